#include "cli/setup_show.hpp"

#include "cli/file_diff.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <fmt/format.h>

namespace dbx::cli {

namespace {

using agents::FileChange;
using nlohmann::ordered_json;

constexpr int exit_would_change = 10;

std::string mode_text(mode_t mode) {
    return fmt::format("{:04o}", mode);
}

std::string action_of(const FileChange& change) {
    if (!change.changes()) return "unchanged";
    if (!change.existed) return "created";
    if (!change.after) return "removed";
    return "changed";
}

std::string tables_text(const agents::Telemetry& telemetry) {
    return telemetry.place.schema_name() + "." + telemetry.place.prefix;
}

} // namespace

std::string proxy_command(int port) {
    return "dbx-agents proxy --port " + std::to_string(port);
}

ordered_json document_of(Session& session, const SetupPlan& plan, bool written) {
    ordered_json root;
    root["changed"] = plan.changes();
    root["written"] = written;
    if (plan.proxy_port) root["next"] = proxy_command(*plan.proxy_port);
    root["agents"] = ordered_json::array();
    for (const auto& agent : plan.agents) {
        ordered_json item;
        item["agent"] = agent.agent->name;
        item["display_name"] = agent.agent->display_name;
        item["found"] = agent.installed.found;
        item["version"] =
            agent.installed.version ? ordered_json(*agent.installed.version) : ordered_json(nullptr);
        item["auth"] = to_string(agent.auth);
        item["auth_reason"] = agent.auth_reason;
        item["telemetry"] = nullptr;
        if (agent.otel)
            item["telemetry"] = {{"tables", tables_text(*agent.otel)},
                                 {"traces", agent.otel->traces},
                                 {"way", agent.auth == agents::Auth::proxy ? "local proxy" : "direct"}};
        item["files"] = ordered_json::array();
        for (const auto& change : agent.files) {
            ordered_json file;
            file["path"] = session.output().json() ? change.named.string() : session.shown(change.named);
            file["action"] = action_of(change);
            if (change.mode_changes() || !change.existed) file["mode"] = mode_text(change.mode_after);
            file["keys"] = ordered_json::array();
            for (const auto& key : change.keys) {
                ordered_json entry;
                entry["key"] = edit::to_string(key.path);
                entry["action"] = key.action == FileChange::Key::Action::added     ? "added"
                                  : key.action == FileChange::Key::Action::removed ? "removed"
                                                                                   : "set";
                if (key.action != FileChange::Key::Action::removed) entry["value"] = key.shown;
                file["keys"].push_back(std::move(entry));
            }
            if (change.changes()) file["diff"] = diff_of(change);
            file["remarks"] = change.remarks;
            item["files"].push_back(std::move(file));
        }
        item["warnings"] = agent.warnings;
        item["notes"] = agent.notes;
        root["agents"].push_back(std::move(item));
    }
    return root;
}

void show_remarks(Session& session, const SetupPlan& plan) {
    for (const auto& agent : plan.agents) {
        for (const auto& change : agent.files)
            for (const auto& remark : change.remarks)
                session.output().note(session.shown(change.named) + ": " + remark);
        for (const auto& warning : agent.warnings)
            session.output().warning(agent.agent->name + ": " + warning);
        for (const auto& note : agent.notes) session.output().note(agent.agent->name + ": " + note);
    }
    if (!plan.no_credential.empty())
        session.output().note("the proxy will need a credential when it starts, and there is none yet: " +
                              plan.no_credential);
}

void show_diffs(Session& session, const SetupPlan& plan) {
    auto& out = session.output();
    for (const auto& agent : plan.agents) {
        for (const auto& change : agent.files) {
            if (change.mode_changes())
                out.note(fmt::format("{}: mode {} becomes {}", session.shown(change.named),
                                     mode_text(change.mode_before), mode_text(change.mode_after)));
            if (change.text_changes()) out.result(out.colored_diff(diff_of(change)));
        }
    }
}

void show_summary(Session& session, const SetupPlan& plan, Keys keys) {
    auto& out = session.output();
    for (const auto& agent : plan.agents) {
        std::string head = agent.agent->display_name;
        if (agent.installed.version) head += " " + *agent.installed.version;
        std::string text = out.styled(head, Style::bold);
        if (!agent.agent->token_variable.empty())
            text += fmt::format(": auth {}, {}", to_string(agent.auth), agent.auth_reason);
        out.summary(wrap(text, out.width(), 2) + "\n");
        if (agent.otel)
            out.summary(
                wrap(fmt::format("  telemetry{} to {}, {}", agent.otel->traces ? " with traces" : "",
                                 tables_text(*agent.otel),
                                 agent.auth == agents::Auth::proxy ? "through the local proxy" : "directly"),
                     out.width(), 4) +
                "\n");
        for (const auto& change : agent.files) {
            const std::string action = action_of(change);
            const Style style = action == "unchanged" ? Style::dim : Style::green;
            out.summary(
                fmt::format("  {}  {}{}\n", session.shown(change.named), out.styled(action, style),
                            change.mode_changes() ? ", now mode " + mode_text(change.mode_after) : ""));
            if (keys == Keys::left_out) continue;
            std::vector<std::vector<std::string>> rows;
            for (const auto& key : change.keys) {
                if (!change.changes()) continue;
                const bool removed = key.action == FileChange::Key::Action::removed;
                rows.push_back({removed                                        ? "-"
                                : key.action == FileChange::Key::Action::added ? "+"
                                                                               : "~",
                                edit::to_string(key.path),
                                removed ? "" : printable(replace_all(key.shown, "\n", "\\n"))});
            }
            out.summary(columns(rows, 4));
        }
    }
}

Result<int> show_check(Session& session, const SetupPlan& plan) {
    auto& out = session.output();
    const bool changes = plan.changes();
    if (out.json()) {
        out.document(document_of(session, plan, false));
    } else {
        for (const auto& agent : plan.agents) {
            for (const auto& change : agent.files) {
                if (change.changes())
                    out.summary(
                        fmt::format("{} would be {}\n", session.shown(change.named), action_of(change)));
            }
        }
        if (!changes) out.summary("Everything is as setup would write it.\n");
    }
    return changes ? exit_would_change : 0;
}

Result<int> show_dry_run(Session& session, const SetupPlan& plan) {
    auto& out = session.output();
    if (out.json()) {
        out.document(document_of(session, plan, false));
        return 0;
    }
    show_diffs(session, plan);
    show_remarks(session, plan);
    if (!plan.changes()) out.note("nothing would change");
    return 0;
}

Result<int> show_files(Session& session, const SetupPlan& plan) {
    auto& out = session.output();
    std::vector<const FileChange*> files;
    for (const auto& agent : plan.agents) {
        for (const auto& change : agent.files)
            if (change.after) files.push_back(&change);
    }
    if (out.json()) {
        ordered_json root;
        root["files"] = ordered_json::array();
        for (const auto* change : files)
            root["files"].push_back(
                {{"path", change->named.string()}, {"text", masked_text(*change, *change->after)}});
        out.document(root);
        return 0;
    }
    for (const auto* change : files) {
        if (files.size() > 1)
            out.result(fmt::format("{}==> {} <==\n", change == files.front() ? "" : "\n",
                                   session.shown(change->named)));
        out.result(masked_text(*change, *change->after));
    }
    show_remarks(session, plan);
    return 0;
}

} // namespace dbx::cli
