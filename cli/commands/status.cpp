#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/agents/inspect.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using agents::AgentReport;
using agents::FileReport;
using agents::KeyReport;
using nlohmann::ordered_json;

std::string owner_name(KeyReport::Owner owner) {
    switch (owner) {
    case KeyReport::Owner::us:
        return "setup";
    case KeyReport::Owner::somebody:
        return "somebody else";
    case KeyReport::Owner::nobody:
        break;
    }
    return "-";
}

class Status : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", names_, "Only these agents")->type_name("AGENT");
    }

    Result<int> run(Session& session) override {
        auto chosen = session.agents_named(names_);
        if (!chosen) return fail(chosen.error());
        auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        if (chosen->empty()) {
            const auto catalogue = session.catalogue();
            if (!catalogue) return fail(catalogue.error());
            for (const auto& agent : (*catalogue)->agents) chosen->push_back(&agent);
            for (const auto& [name, error] : (*catalogue)->broken)
                session.output().warning(error.what + ": " + error.why);
        }
        std::vector<AgentReport> reports;
        for (const auto* agent : *chosen) {
            auto report = agents::inspect(*agent, *journal, session.environment(), session.files());
            if (!report) return fail(report.error());
            reports.push_back(std::move(*report));
        }
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());
        if (session.output().json()) {
            session.output().document(document_of(**target, **settings, reports));
        } else {
            show(session, **target, **settings, reports);
        }
        return 0;
    }

  private:
    static ordered_json named(const std::optional<databricks::Named>& value) {
        if (!value) return nullptr;
        return {{"value", value->value},
                {"origin", value->origin},
                {"locked", value->rank == state::Rank::locked}};
    }

    // Cursor's key is pasted by hand: its form says nothing.
    static bool shows_auth(const AgentReport& report) {
        return !report.auth.empty() && !report.agent->token_variable.empty();
    }

    static ordered_json document_of(const databricks::Target& target, const state::Settings& settings,
                                    const std::vector<AgentReport>& reports) {
        ordered_json root;
        root["workspace"] = named(target.workspace);
        root["gateway"] = named(target.gateway);
        root["profile"] = named(target.profile);
        root["locked"] = ordered_json::object();
        for (const auto& [key, setting] : settings.locked())
            root["locked"][key] = {{"value", setting.value}, {"origin", setting.origin}};
        root["overruled"] = ordered_json::array();
        for (const auto& item : settings.overruled())
            root["overruled"].push_back({{"key", item.key},
                                         {"value", edit::mask_value(item.key, item.setting.value)},
                                         {"origin", item.setting.origin},
                                         {"locked_by", item.by}});
        root["agents"] = ordered_json::array();
        for (const auto& report : reports) {
            ordered_json agent;
            agent["agent"] = report.agent->name;
            agent["display_name"] = report.agent->display_name;
            agent["found"] = report.installed.found;
            agent["version"] =
                report.installed.version ? ordered_json(*report.installed.version) : ordered_json(nullptr);
            agent["configured"] = report.configured;
            agent["auth"] = shows_auth(report) ? ordered_json(report.auth) : ordered_json(nullptr);
            agent["files"] = ordered_json::array();
            for (const auto& file : report.files) {
                ordered_json item;
                item["path"] = file.named.string();
                item["exists"] = file.exists;
                item["problem"] = file.problem.empty() ? ordered_json(nullptr) : ordered_json(file.problem);
                item["written_at"] = file.written_at ? ordered_json(*file.written_at) : ordered_json(nullptr);
                item["keys"] = ordered_json::array();
                for (const auto& key : file.keys) {
                    ordered_json entry;
                    entry["key"] = edit::to_string(key.path);
                    entry["value"] = key.value ? ordered_json(*key.value) : ordered_json(nullptr);
                    entry["line"] = key.value ? ordered_json(key.line) : ordered_json(nullptr);
                    entry["set_by"] = owner_name(key.owner);
                    entry["drift"] = key.drift.empty() ? ordered_json(nullptr) : ordered_json(key.drift);
                    entry["shadowed_by"] =
                        key.shadow.empty() ? ordered_json(nullptr) : ordered_json(key.shadow);
                    item["keys"].push_back(std::move(entry));
                }
                agent["files"].push_back(std::move(item));
            }
            agent["warnings"] = report.warnings;
            root["agents"].push_back(std::move(agent));
        }
        return root;
    }

    static void show(Session& session, const databricks::Target& target, const state::Settings& settings,
                     const std::vector<AgentReport>& reports) {
        auto& out = session.output();
        std::vector<std::vector<std::string>> rows;
        const auto row = [&](const std::string& label, const std::optional<databricks::Named>& value) {
            if (value)
                rows.push_back({label, value->value,
                                out.styled((value->rank == state::Rank::locked ? "(locked by " : "(") +
                                               value->origin + ")",
                                           Style::dim)});
        };
        row("workspace", target.workspace);
        row("gateway", target.gateway);
        row("profile", target.profile);
        for (const auto& [key, setting] : settings.locked()) {
            if (key != "workspace" && key != "gateway" && key != "profile") row(key, setting);
        }
        for (const auto& item : settings.overruled())
            rows.push_back({item.key, edit::mask_value(item.key, item.setting.value),
                            out.styled("(ignored: " + item.setting.origin + "; locked by " + item.by + ")",
                                       Style::yellow)});
        if (rows.empty())
            rows.push_back({"workspace", "none known", out.styled("(use --workspace)", Style::dim)});
        out.result(columns(rows, 0));
        for (const auto& report : reports) show_agent(session, report);
    }

    static void show_agent(Session& session, const AgentReport& report) {
        auto& out = session.output();
        std::string head = "\n" + out.styled(report.agent->display_name, Style::bold);
        head += !report.installed.found    ? "  not found on PATH"
                : report.installed.version ? "  " + *report.installed.version
                                           : "  version unknown";
        head += report.configured ? "  configured" : "  not configured by dbx-agents";
        if (shows_auth(report)) head += ", auth " + report.auth;
        out.result(head + "\n");
        for (const auto& file : report.files) show_file(session, file);
        for (const auto& warning : report.warnings) out.warning(report.agent->name + ": " + warning);
    }

    static void show_file(Session& session, const FileReport& file) {
        auto& out = session.output();
        const std::string path = session.shown(file.named);
        if (!file.problem.empty()) {
            out.result(wrap("  " + path + "  " + out.styled(file.problem, Style::red), out.width(), 4) +
                       "\n");
            return;
        }
        if (!file.exists) {
            if (file.written_at) {
                out.result("  " + path + "  " + out.styled("is gone since setup", Style::yellow) + "\n");
            } else if (out.verbose()) {
                out.result("  " + path + "  not there\n");
            }
            return;
        }
        if (file.keys.empty()) {
            if (file.written_at || out.verbose()) out.result("  " + path + "\n");
            return;
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& key : file.keys) {
            std::string text = edit::to_string(key.path);
            if (key.value) text += " = " + printable(replace_all(*key.value, "\n", "\\n"));
            for (const auto* remark : {&key.drift, &key.shadow})
                if (!remark->empty()) text += out.styled("  (" + *remark + ")", Style::yellow);
            rows.push_back({path + (key.value ? ":" + std::to_string(key.line) : ""),
                            out.styled(owner_name(key.owner), Style::dim), text});
        }
        out.result(columns(rows, 2));
    }

    std::vector<std::string> names_;
};

} // namespace

std::unique_ptr<Command> make_status() {
    return std::make_unique<Status>();
}

} // namespace dbx::cli
