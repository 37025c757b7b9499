#include "cli/command.hpp"
#include "cli/file_diff.hpp"
#include "cli/questions.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using agents::FileChange;
using nlohmann::ordered_json;

class Revert : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", names_, "The agents whose files are taken back")->type_name("AGENT");
        app.add_flag("--all", all_, "Everything that setup wrote");
        app.add_flag("--force", force_, "Also keys that somebody changed since setup");
        app.add_flag("--list", list_, "List what can be taken back, and the backups; change nothing");
        app.add_flag("--dry-run", dry_run_, "Show what would change, as a diff; write nothing");
        app.add_flag("--yes,-y", yes_, "Do not ask");
    }

    std::string_view state_after_error() const override { return list_ ? "" : "Nothing was changed."; }

    Result<int> run(Session& session) override {
        if (all_ && !names_.empty())
            return fail(ErrorKind::usage,
                        "--all and the agent '" + names_.front() + "' contradict each other",
                        "--all already names every agent", "use one of them");
        if (!all_ && names_.empty() && !list_)
            return fail(ErrorKind::usage, "which agents?", "neither an agent nor --all was given",
                        "dbx-agents revert codex, or dbx-agents revert --all");

        // Nobody waits for a lock that a question holds: with a question it is taken after the answer.
        auto& out = session.output();
        const bool writes = !list_ && !dry_run_;
        const bool asks = writes && !yes_ && !out.json() && out.can_ask();
        const system::InterruptGuard guard;
        std::optional<system::Lock> lock;
        if (writes && !asks) {
            auto locked = session.lock();
            if (!locked) return fail(locked.error());
            lock = std::move(*locked);
        }
        auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        if (auto known = check_names(session, *journal); !known) return fail(known.error());
        if (list_) return show_list(session, *journal);

        auto changes = plan(session, *journal);
        if (!changes) return fail(changes.error());
        if (changes->empty()) return show_nothing(session);
        if (dry_run_) return show_dry_run(session, *changes);
        if (!asks) {
            if (!out.json())
                for (const auto& change : *changes) show_remarks(session, change);
            return write(session, *changes, *journal);
        }

        for (const auto& change : *changes) {
            out.result(out.colored_diff(diff_of(change)));
            show_remarks(session, change);
        }
        const auto agreed =
            Questions(session.console(), out).yes_no("Take these changes back?", Questions::Preset::yes);
        if (!agreed) {
            session.console().err("Nothing was changed.\n");
            return exit_code(ErrorKind::interrupted);
        }
        if (!*agreed) {
            out.summary("Nothing was changed.\n");
            return 1;
        }
        auto locked = session.lock();
        if (!locked) return fail(locked.error());
        lock = std::move(*locked);
        journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        auto again = plan(session, *journal);
        if (!again) return fail(again.error());
        if (const auto* other = agents::first_difference(*changes, *again))
            return fail(ErrorKind::file, "cannot update " + session.shown(other->named),
                        "somebody changed it while the question was open", "run the command again");
        return write(session, *again, *journal);
    }

  private:
    Result<std::vector<FileChange>> plan(Session& session, const state::Journal& journal) const {
        return agents::plan_revert(names_, force_ ? agents::Force::yes : agents::Force::no, journal,
                                   session.environment(), session.files());
    }

    // An agent whose template is gone can still be reverted: the journal knows what was written.
    Result<void> check_names(Session& session, const state::Journal& journal) {
        for (const auto& name : names_) {
            bool written = false;
            for (const auto& entry : journal.written()) written = written || entry.agent == name;
            if (written) continue;
            if (auto known = session.agents_named({name}); !known) return fail(known.error());
        }
        return {};
    }

    bool wanted(const std::string& agent) const {
        return names_.empty() || std::find(names_.begin(), names_.end(), agent) != names_.end();
    }

    Result<int> show_list(Session& session, const state::Journal& journal) {
        auto& out = session.output();
        ordered_json root;
        root["written"] = ordered_json::array();
        root["backups"] = ordered_json::array();
        std::vector<std::vector<std::string>> rows;
        std::vector<system::Path> paths;
        for (const auto& entry : journal.written()) {
            if (!wanted(entry.agent)) continue;
            paths.push_back(entry.path);
            root["written"].push_back({{"agent", entry.agent},
                                       {"path", entry.named.string()},
                                       {"written_at", entry.written_at},
                                       {"keys", entry.keys.size()},
                                       {"created", !entry.existed}});
            rows.push_back({entry.agent, session.shown(entry.named), entry.written_at,
                            entry.existed ? fmt::format("{} keys", entry.keys.size()) : "created by setup"});
        }
        std::string text =
            rows.empty() ? "Nothing of setup's is in place.\n" : "Written by setup:\n" + columns(rows, 2);
        rows.clear();
        const auto directory = system::state_directory(session.environment());
        for (const auto& backup : journal.backups()) {
            if (!names_.empty() && std::find(paths.begin(), paths.end(), backup.path) == paths.end())
                continue;
            const auto copy = directory ? *directory / "blobs" / backup.blob : system::Path();
            root["backups"].push_back({{"path", backup.path.string()},
                                       {"taken_at", backup.taken_at},
                                       {"mode", fmt::format("{:04o}", backup.mode)},
                                       {"copy", copy.string()}});
            rows.push_back({session.shown(backup.path), backup.taken_at, session.shown(copy)});
        }
        if (!rows.empty())
            text +=
                "\nBackups (the file as it was, to be copied back by hand if need be):\n" + columns(rows, 2);
        if (out.json()) {
            out.document(root);
        } else {
            out.result(text);
        }
        return 0;
    }

    Result<int> show_nothing(Session& session) {
        auto& out = session.output();
        if (out.json()) {
            out.document({{"changed", false}, {"files", ordered_json::array()}});
        } else {
            out.summary("Nothing to take back: setup has written nothing here" +
                        (names_.empty() ? std::string() : " for " + join(names_, ", ")) + ".\n");
        }
        return 0;
    }

    static std::string action_of(const FileChange& change) {
        if (!change.existed) return "gone already";
        if (!change.after) return change.changes() ? "removed" : "unchanged";
        if (change.text_changes()) return change.remarks.empty() ? "restored" : "our keys taken out";
        return change.mode_changes() ? "restored" : "unchanged";
    }

    Result<int> show_dry_run(Session& session, const std::vector<FileChange>& changes) {
        auto& out = session.output();
        if (out.json()) {
            out.document(document_of(changes));
            return 0;
        }
        for (const auto& change : changes) {
            if (change.mode_changes())
                out.note(fmt::format("{}: mode {:04o} becomes {:04o}", session.shown(change.named),
                                     change.mode_before, change.mode_after));
            out.result(out.colored_diff(diff_of(change)));
            show_remarks(session, change);
        }
        return 0;
    }

    static ordered_json document_of(const std::vector<FileChange>& changes) {
        ordered_json root;
        bool any = false;
        root["changed"] = false;
        root["files"] = ordered_json::array();
        for (const auto& change : changes) {
            any = any || change.changes();
            ordered_json file;
            file["agent"] = change.agent;
            file["path"] = change.named.string();
            file["action"] = action_of(change);
            file["keys"] = ordered_json::array();
            for (const auto& key : change.keys) {
                ordered_json entry;
                entry["key"] = edit::to_string(key.path);
                entry["action"] = key.action == FileChange::Key::Action::left      ? "left"
                                  : key.action == FileChange::Key::Action::removed ? "removed"
                                                                                   : "restored";
                if (!key.why.empty()) entry["why"] = key.why;
                file["keys"].push_back(std::move(entry));
            }
            file["remarks"] = change.remarks;
            root["files"].push_back(std::move(file));
        }
        root["changed"] = any;
        return root;
    }

    static void show_remarks(Session& session, const FileChange& change) {
        for (const auto& remark : change.remarks)
            session.output().note(session.shown(change.named) + ": " + remark);
        for (const auto& key : change.keys) {
            if (key.action == FileChange::Key::Action::left)
                session.output().warning(fmt::format("{}: {} was left alone: {}", session.shown(change.named),
                                                     edit::to_string(key.path), key.why));
        }
    }

    Result<int> write(Session& session, const std::vector<FileChange>& changes, state::Journal& journal) {
        auto& out = session.output();
        std::vector<const FileChange*> list;
        for (const auto& change : changes) list.push_back(&change);
        std::vector<std::string> behind_proxy;
        for (const auto& entry : journal.written())
            if (entry.auth == "proxy" && wanted(entry.agent) &&
                std::find(behind_proxy.begin(), behind_proxy.end(), entry.agent) == behind_proxy.end())
                behind_proxy.push_back(entry.agent);
        if (auto applied =
                agents::apply(list, journal, session.environment(), session.files(), session.now());
            !applied)
            return fail(applied.error());
        if (out.json()) {
            out.document(document_of(changes));
            return 0;
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& change : changes)
            rows.push_back(
                {change.agent, session.shown(change.named), out.styled(action_of(change), Style::green)});
        out.summary(columns(rows, 0));
        if (!behind_proxy.empty())
            out.note("the local proxy still knows the key of " + join(behind_proxy, ", ") +
                     "; dbx-agents proxy rotate-keys ends that");
        return 0;
    }

    std::vector<std::string> names_;
    bool all_ = false;
    bool force_ = false;
    bool list_ = false;
    bool dry_run_ = false;
    bool yes_ = false;
};

} // namespace

std::unique_ptr<Command> make_revert() {
    return std::make_unique<Revert>();
}

} // namespace dbx::cli
