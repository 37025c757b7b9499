#include "cli/command.hpp"
#include "cli/file_diff.hpp"
#include "cli/session.hpp"
#include "core/agents/plan.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/edit/mask.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using agents::AgentPlan;
using agents::FileChange;
using nlohmann::ordered_json;

constexpr int exit_would_change = 10;

std::string mode_text(mode_t mode) {
    return fmt::format("{:04o}", mode);
}

class Setup : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", names_, "cursor, codex, gemini, claude, or another one with a template")
            ->type_name("");
        app.add_flag("--all", all_, "Cursor, Codex CLI, Gemini CLI and Claude Code, found or not");
        app.add_option("--gateway", gateway_, "The gateway's root, used as it is")->type_name("URL");
        app.add_option("--model", model_, "The model, for the agents named")->type_name("NAME");
        app.add_option("--auth", auth_, "How the agent gets its token: auto, helper, pat, env or proxy")
            ->type_name("FORM");
        app.add_option("--claude-betas", betas_,
                       "on: let Claude Code send its beta headers (cheaper caching; some gateways "
                       "refuse them); off (default): do not")
            ->type_name("on|off");
        auto* dry_run =
            app.add_flag("--dry-run", dry_run_, "Show what would change, as a diff; write nothing");
        auto* check = app.add_flag("--check", check_, "Write nothing; exit 10 when something would change");
        auto* print = app.add_flag("--print", print_, "Print the resulting files; write nothing");
        app.add_flag("--yes,-y", yes_, "Do not ask");
        dry_run->excludes(check)->excludes(print);
        check->excludes(print);
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        if (auto wrong = refuse_bad_flags(); wrong) return fail(*wrong);
        session.options().gateway = gateway_;
        auto chosen = choose_agents(session);
        if (!chosen) return fail(chosen.error());
        const auto target = session.target();
        if (!target) return fail(target.error());
        if (!(*target)->gateway) return fail(databricks::no_workspace("cannot set up the agents"));

        if (model_given() && chosen->size() > 1)
            session.output().warning("--model sets the same model for all " + std::to_string(chosen->size()) +
                                     " agents, and each speaks to another family of models");

        const bool writes = !dry_run_ && !check_ && !print_;
        std::optional<system::Lock> lock;
        if (writes) {
            auto locked = session.lock();
            if (!locked) return fail(locked.error());
            lock = std::move(*locked);
        }
        auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());

        std::vector<AgentPlan> plans;
        for (const auto* agent : *chosen) {
            auto request = request_for(session, *agent, **target, **settings);
            if (!request) return fail(request.error());
            auto plan = agents::plan_setup(*agent, *request, *journal, session.environment(), session.files(),
                                           session.now());
            if (!plan) return fail(plan.error());
            plans.push_back(std::move(*plan));
        }
        if (check_) return show_check(session, plans);
        if (dry_run_) return show_dry_run(session, plans);
        if (print_) return show_files(session, plans);
        return write(session, plans, **target, *journal);
    }

  private:
    std::optional<Error> refuse_bad_flags() const {
        const auto wrong = [](std::string what, std::string why, std::string fix) {
            return Error{ErrorKind::usage, std::move(what), std::move(why), std::move(fix), {}};
        };
        if (all_ && !names_.empty())
            return wrong("--all and the agent '" + names_.front() + "' contradict each other",
                         "--all already names every agent", "use one of them");
        if (!all_ && names_.empty())
            return wrong(
                "which agents?", "neither an agent nor --all was given",
                "dbx-agents setup codex claude --workspace URL, or dbx-agents setup --all --workspace URL");
        if (!agents::parse_auth(auth_))
            return wrong("--auth '" + auth_ + "' is not known", "known forms: auto, helper, pat, env, proxy",
                         "use one of them");
        if (betas_ != "on" && betas_ != "off")
            return wrong("--claude-betas '" + betas_ + "' is not known", "it is on or off",
                         "use one of them");
        return std::nullopt;
    }

    bool model_given() const { return !model_.empty(); }

    Result<std::vector<const agents::Agent*>> choose_agents(Session& session) {
        if (!all_) return session.agents_named(names_);
        const auto catalogue = session.catalogue();
        if (!catalogue) return fail(catalogue.error());
        if (!(*catalogue)->broken.empty()) return fail((*catalogue)->broken.begin()->second);
        std::vector<const agents::Agent*> result;
        for (const auto& agent : (*catalogue)->agents) {
            if (agent.always || agents::find_installed(agent, session.environment(), session.files()).found)
                result.push_back(&agent);
        }
        return result;
    }

    // A model's name becomes part of URLs, headers and files: control characters have no place in one.
    static std::optional<Error> refuse_model(const std::string& model, const std::string& origin) {
        for (const char c : model) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7F)
                return Error{ErrorKind::usage,
                             "the model name from " + origin + " cannot be used",
                             "it holds a line end or another control character",
                             "correct the name",
                             {}};
        }
        if (trim(model).empty() || trim(model).size() != model.size() || !is_utf8(model))
            return Error{ErrorKind::usage,
                         "the model name from " + origin + " cannot be used",
                         "it is empty, begins or ends with a blank, or is not UTF-8",
                         "correct the name",
                         {}};
        return std::nullopt;
    }

    Result<agents::SetupRequest> request_for(Session& session, const agents::Agent& agent,
                                             const databricks::Target& target,
                                             const state::Settings& settings) {
        agents::SetupRequest request;
        request.gateway = target.gateway->value;
        if (target.workspace) request.workspace = target.workspace->value;
        request.auth = *agents::parse_auth(auth_);
        request.claude_betas = betas_;

        for (const auto& [family, model] : agent.models) {
            const std::string key = "agents." + agent.name + "." + (family == "main" ? "model" : family);
            const auto setting = settings.find(key);
            if (!setting) continue;
            if (const auto wrong = refuse_model(setting->value, setting->origin)) return fail(*wrong);
            request.models[family] = setting->value;
        }
        if (model_given()) {
            if (const auto wrong = refuse_model(model_, "--model")) return fail(*wrong);
            for (const auto& [family, unused] : agent.models) {
                if (family != "main" && icontains(model_, family)) request.models[family] = model_;
            }
            request.models["main"] = model_;
        }

        const auto& resolution = target.resolution;
        if (resolution.credential) {
            request.credential = resolution.credential->origin;
            const auto kind = resolution.credential->static_token_kind();
            if (kind) {
                request.token = resolution.credential->token;
                request.token_is_pat = *kind == "pat";
            } else {
                request.no_token_reason = request.credential + " (" +
                                          std::string(databricks::name_of(resolution.credential->kind)) +
                                          ") gives short-lived tokens only";
            }
        } else {
            const Error& error = resolution.credential.error();
            request.no_token_reason = error.what + (error.why.empty() ? "" : ": " + error.why);
        }

        request.helper = {session.environment().program().string()};
        if (!session.options().config.empty()) {
            request.helper.push_back("--config");
            system::Path config = session.options().config;
            if (config.is_relative()) config = session.environment().working_directory() / config;
            request.helper.push_back(config.lexically_normal().string());
        }
        request.helper.insert(request.helper.end(), {"auth", "token"});
        if (target.workspace) {
            request.helper.insert(request.helper.end(), {"--workspace", target.workspace->value});
        } else {
            request.helper.insert(request.helper.end(), {"--gateway", target.gateway->value});
        }
        if (target.profile) request.helper.insert(request.helper.end(), {"--profile", target.profile->value});
        return request;
    }

    static bool would_change(const std::vector<AgentPlan>& plans) {
        for (const auto& plan : plans)
            for (const auto& change : plan.files)
                if (change.changes()) return true;
        return false;
    }

    // --- showing
    // ---------------------------------------------------------------------------------------------------

    static ordered_json document_of(Session& session, const std::vector<AgentPlan>& plans, bool written) {
        ordered_json root;
        root["changed"] = would_change(plans);
        root["written"] = written;
        root["agents"] = ordered_json::array();
        for (const auto& plan : plans) {
            ordered_json item;
            item["agent"] = plan.agent->name;
            item["display_name"] = plan.agent->display_name;
            item["found"] = plan.installed.found;
            item["version"] =
                plan.installed.version ? ordered_json(*plan.installed.version) : ordered_json(nullptr);
            item["auth"] = to_string(plan.auth);
            item["auth_reason"] = plan.auth_reason;
            item["files"] = ordered_json::array();
            for (const auto& change : plan.files) {
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
            item["warnings"] = plan.warnings;
            item["notes"] = plan.notes;
            root["agents"].push_back(std::move(item));
        }
        return root;
    }

    static std::string action_of(const FileChange& change) {
        if (!change.changes()) return "unchanged";
        if (!change.existed) return "created";
        if (!change.after) return "removed";
        return "changed";
    }

    static void show_remarks(Session& session, const std::vector<AgentPlan>& plans) {
        for (const auto& plan : plans) {
            for (const auto& change : plan.files)
                for (const auto& remark : change.remarks)
                    session.output().note(session.shown(change.named) + ": " + remark);
            for (const auto& warning : plan.warnings)
                session.output().warning(plan.agent->name + ": " + warning);
            for (const auto& note : plan.notes) session.output().note(plan.agent->name + ": " + note);
        }
    }

    static void show_diffs(Session& session, const std::vector<AgentPlan>& plans) {
        auto& out = session.output();
        for (const auto& plan : plans) {
            for (const auto& change : plan.files) {
                if (change.mode_changes())
                    out.note(fmt::format("{}: mode {} becomes {}", session.shown(change.named),
                                         mode_text(change.mode_before), mode_text(change.mode_after)));
                if (change.text_changes()) out.result(out.colored_diff(diff_of(change)));
            }
        }
    }

    static void show_summary(Session& session, const std::vector<AgentPlan>& plans) {
        auto& out = session.output();
        for (const auto& plan : plans) {
            std::string head = plan.agent->display_name;
            if (plan.installed.version) head += " " + *plan.installed.version;
            std::string text = out.styled(head, Style::bold);
            if (!plan.agent->token_variable.empty())
                text += fmt::format(": auth {}, {}", to_string(plan.auth), plan.auth_reason);
            out.summary(wrap(text, out.width(), 2) + "\n");
            for (const auto& change : plan.files) {
                const std::string action = action_of(change);
                const Style style = action == "unchanged" ? Style::dim : Style::green;
                out.summary(
                    fmt::format("  {}  {}{}\n", session.shown(change.named), out.styled(action, style),
                                change.mode_changes() ? ", now mode " + mode_text(change.mode_after) : ""));
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

    static Result<int> show_check(Session& session, const std::vector<AgentPlan>& plans) {
        auto& out = session.output();
        const bool changes = would_change(plans);
        if (out.json()) {
            out.document(document_of(session, plans, false));
        } else {
            for (const auto& plan : plans) {
                for (const auto& change : plan.files) {
                    if (change.changes())
                        out.summary(
                            fmt::format("{} would be {}\n", session.shown(change.named), action_of(change)));
                }
            }
            if (!changes) out.summary("Everything is as setup would write it.\n");
        }
        return changes ? exit_would_change : 0;
    }

    static Result<int> show_dry_run(Session& session, const std::vector<AgentPlan>& plans) {
        auto& out = session.output();
        if (out.json()) {
            out.document(document_of(session, plans, false));
            return 0;
        }
        show_diffs(session, plans);
        show_remarks(session, plans);
        if (!would_change(plans)) out.note("nothing would change");
        return 0;
    }

    static Result<int> show_files(Session& session, const std::vector<AgentPlan>& plans) {
        auto& out = session.output();
        std::vector<const FileChange*> files;
        for (const auto& plan : plans) {
            for (const auto& change : plan.files)
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
        show_remarks(session, plans);
        return 0;
    }

    // --- writing
    // ---------------------------------------------------------------------------------------------------

    Result<int> write(Session& session, const std::vector<AgentPlan>& plans, const databricks::Target& target,
                      state::Journal& journal) {
        auto& out = session.output();
        const bool changes = would_change(plans);
        if (changes && !yes_ && !out.json() && out.can_ask()) {
            show_diffs(session, plans);
            show_remarks(session, plans);
            if (!out.confirm("Write these changes?")) {
                out.summary("Nothing was changed.\n");
                return 1;
            }
        } else if (!out.json()) {
            show_remarks(session, plans);
        }
        std::vector<const FileChange*> list;
        for (const auto& plan : plans)
            for (const auto& change : plan.files)
                if (change.changes()) list.push_back(&change);
        if (!list.empty()) {
            const system::InterruptGuard guard;
            if (auto applied =
                    agents::apply(list, journal, session.environment(), session.files(), session.now());
                !applied)
                return fail(applied.error());
        }
        if (auto remembered = remember(session, target); !remembered) {
            Error error = remembered.error();
            error.state = "The agents' files were written; only the settings were not remembered.";
            return fail(error);
        }
        if (out.json()) {
            out.document(document_of(session, plans, changes));
            return 0;
        }
        show_summary(session, plans);
        for (const auto& plan : plans) {
            for (const auto& change : plan.files)
                if (change.print && change.after) out.summary("\n" + masked_text(change, *change.after));
        }
        if (changes) {
            out.summary("\nTo take it back: dbx-agents revert " +
                        (all_ ? std::string("--all") : join(names_, " ")) + "\n");
        } else {
            out.summary("\nEverything was already as it should be; nothing was changed.\n");
        }
        return 0;
    }

    static Result<void> remember(Session& session, const databricks::Target& target) {
        std::map<std::string, std::string> values;
        if (target.workspace) values["workspace"] = target.workspace->value;
        if (target.gateway && !target.gateway_is_derived) values["gateway"] = target.gateway->value;
        if (target.profile) values["profile"] = target.profile->value;
        return state::remember(values, session.environment(), session.files());
    }

    std::vector<std::string> names_;
    bool all_ = false;
    std::string gateway_;
    std::string model_;
    std::string auth_ = "auto";
    std::string betas_ = "off";
    bool dry_run_ = false;
    bool check_ = false;
    bool print_ = false;
    bool yes_ = false;
};

} // namespace

std::unique_ptr<Command> make_setup() {
    return std::make_unique<Setup>();
}

} // namespace dbx::cli
