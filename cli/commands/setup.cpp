#include "cli/command.hpp"
#include "cli/file_diff.hpp"
#include "cli/session.hpp"
#include "core/agents/plan.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/edit/mask.hpp"
#include "core/state/local_keys.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>

namespace dbx::cli {

namespace {

using agents::AgentPlan;
using agents::FileChange;
using nlohmann::ordered_json;

constexpr int exit_would_change = 10;
constexpr int default_proxy_port = 8790;

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
        app.add_option("--auth", auth_,
                       "How the agent gets its token: auto (default), helper, pat, env or proxy")
            ->type_name("FORM");
        via_proxy_flag_ = app.add_flag("--via-proxy", via_proxy_,
                                       "Through the local proxy: --auth proxy; --via-proxy=PORT names its "
                                       "port (default: setting proxy.port, else 8790)");
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
        if (via_proxy_flag_->count() > 0) auth_ = "proxy";
        if (auth_.empty()) auth_ = "auto";
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

        const auto port = proxy_port(**settings);
        if (!port) return fail(port.error());
        auto keys = state::read_local_keys(session.environment(), session.files());
        if (!keys) return fail(keys.error());

        std::vector<AgentPlan> plans;
        for (const auto* agent : *chosen) {
            auto request = request_for(session, *agent, **target, **settings);
            if (!request) return fail(request.error());
            request->proxy = "http://127.0.0.1:" + std::to_string(*port);
            const auto known = keys->find(agent->name);
            request->local_key = known == keys->end() ? state::new_local_key() : known->second;
            auto plan = agents::plan_setup(*agent, *request, *journal, session.environment(), session.files(),
                                           session.now());
            if (!plan) return fail(plan.error());
            plans.push_back(std::move(*plan));
            if (plans.back().auth == agents::Auth::proxy) {
                keys->insert_or_assign(agent->name, request->local_key);
                proxy_port_ = *port;
                if (request->credential.empty()) no_credential_ = request->no_token_reason;
            }
        }
        warn_of_other_port(session, **settings, *journal);
        if (check_) return show_check(session, plans);
        if (dry_run_) return show_dry_run(session, plans);
        if (print_) return show_files(session, plans);
        auto keys_change = agents::plan_local_keys(*keys, session.environment(), session.files());
        if (!keys_change) return fail(keys_change.error());
        return write(session, plans, *keys_change, **target, **settings, *journal);
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
        if (via_proxy_flag_->count() > 0 && !auth_.empty() && auth_ != "proxy")
            return wrong("--via-proxy and --auth " + auth_ + " contradict each other",
                         "--via-proxy means --auth proxy", "use one of them");
        if (via_proxy_flag_->count() > 0 && via_proxy_ != "true" && !parse_port(via_proxy_))
            return wrong("--via-proxy=" + via_proxy_ + " cannot be used",
                         "the port of the local proxy is a number from 1 to 65535",
                         "--via-proxy=8790, or --via-proxy alone");
        if (via_proxy_flag_->count() > 0) {
            for (const auto& name : names_) {
                if (parse_port(name))
                    return wrong("there is no agent '" + name + "'", "the port stands behind an equals sign",
                                 "--via-proxy=" + name);
            }
        }
        if (!auth_.empty() && !agents::parse_auth(auth_))
            return wrong("--auth '" + auth_ + "' is not known", "known forms: auto, helper, pat, env, proxy",
                         "use one of them");
        if (betas_ != "on" && betas_ != "off")
            return wrong("--claude-betas '" + betas_ + "' is not known", "it is on or off",
                         "use one of them");
        return std::nullopt;
    }

    bool model_given() const { return !model_.empty(); }

    static std::optional<int> parse_port(std::string_view text) {
        int port = 0;
        const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), port);
        if (wrong != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
            return std::nullopt;
        return port;
    }

    // The local proxy's port: 1. --via-proxy=PORT, 2. the setting proxy.port (environment, configuration,
    // remembered), 3. the default.
    Result<int> proxy_port(const state::Settings& settings) const {
        if (const auto port = parse_port(via_proxy_)) return *port;
        const auto setting = settings.find("proxy.port");
        if (!setting) return default_proxy_port;
        if (const auto port = parse_port(setting->value)) return *port;
        if (auth_ != "proxy") return default_proxy_port; // nobody asks for it
        return fail(ErrorKind::usage, "the port from " + setting->origin + " cannot be used",
                    "'" + setting->value +
                        "' is not a number from 1 to 65535, and the agents need a fixed one",
                    "correct it, or use --via-proxy=8790");
    }

    static std::string remembered_port(const state::Settings& settings) {
        for (const auto& setting : settings.all("proxy.port"))
            if (setting.rank == state::Rank::remembered) return setting.value;
        return {};
    }

    // One proxy listens on one port: agents that were set up for another one are left behind.
    void warn_of_other_port(Session& session, const state::Settings& settings,
                            const state::Journal& journal) const {
        const std::string before = remembered_port(settings);
        if (!proxy_port_ || before.empty() || before == std::to_string(*proxy_port_)) return;
        std::vector<std::string> others;
        for (const auto& entry : journal.written()) {
            const bool named = all_ || std::find(names_.begin(), names_.end(), entry.agent) != names_.end();
            if (entry.auth == "proxy" && !named &&
                std::find(others.begin(), others.end(), entry.agent) == others.end())
                others.push_back(entry.agent);
        }
        if (!others.empty())
            session.output().warning(fmt::format(
                "set up for port {}, not {}: {}; dbx-agents setup {} --via-proxy={} takes them along", before,
                *proxy_port_, join(others, ", "), join(others, " "), *proxy_port_));
    }

    std::string proxy_command() const {
        return "dbx-agents proxy --port " + std::to_string(proxy_port_.value_or(default_proxy_port));
    }

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

        // Workspaces differ in the routes that they have; doctor finds out which one answers.
        if (const auto route = settings.find("agents." + agent.name + ".route")) {
            constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-._/";
            const auto& text = route->value;
            if (!text.starts_with('/') || text.ends_with('/') || text.find("//") != std::string::npos ||
                text.find("..") != std::string::npos || text.find_first_not_of(allowed) != std::string::npos)
                return fail(ErrorKind::usage, "the route from " + route->origin + " cannot be used",
                            "it is not a path such as /codex/v1", "correct it, or take it out");
            request.route = text;
        }

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

    ordered_json document_of(Session& session, const std::vector<AgentPlan>& plans, bool written) const {
        ordered_json root;
        root["changed"] = would_change(plans);
        root["written"] = written;
        if (proxy_port_) root["next"] = proxy_command();
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

    void show_remarks(Session& session, const std::vector<AgentPlan>& plans) const {
        for (const auto& plan : plans) {
            for (const auto& change : plan.files)
                for (const auto& remark : change.remarks)
                    session.output().note(session.shown(change.named) + ": " + remark);
            for (const auto& warning : plan.warnings)
                session.output().warning(plan.agent->name + ": " + warning);
            for (const auto& note : plan.notes) session.output().note(plan.agent->name + ": " + note);
        }
        if (!no_credential_.empty())
            session.output().note("the proxy will need a credential when it starts, and there is none yet: " +
                                  no_credential_);
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

    Result<int> show_check(Session& session, const std::vector<AgentPlan>& plans) const {
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

    Result<int> show_dry_run(Session& session, const std::vector<AgentPlan>& plans) const {
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

    Result<int> show_files(Session& session, const std::vector<AgentPlan>& plans) const {
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

    Result<int> write(Session& session, const std::vector<AgentPlan>& plans, const FileChange& keys,
                      const databricks::Target& target, const state::Settings& settings,
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
        if (proxy_port_ && keys.changes()) list.push_back(&keys); // before the files that hold them
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
        if (auto remembered = remember(session, target, settings); !remembered) {
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
        if (proxy_port_)
            out.summary("Next: start the local proxy and keep it running: " + proxy_command() + "\n");
        return 0;
    }

    Result<void> remember(Session& session, const databricks::Target& target,
                          const state::Settings& settings) const {
        std::map<std::string, std::string> values;
        if (target.workspace) values["workspace"] = target.workspace->value;
        if (target.gateway && !target.gateway_is_derived) values["gateway"] = target.gateway->value;
        if (target.profile) values["profile"] = target.profile->value;
        // Other agents may go through the proxy although these do not.
        values["proxy.port"] = proxy_port_ ? std::to_string(*proxy_port_) : remembered_port(settings);
        return state::remember(values, session.environment(), session.files());
    }

    std::vector<std::string> names_;
    bool all_ = false;
    std::string gateway_;
    std::string model_;
    std::string auth_;
    std::string via_proxy_;
    CLI::Option* via_proxy_flag_ = nullptr;
    std::optional<int> proxy_port_; // when an agent of this run goes through the proxy
    std::string no_credential_;     // why the proxy could not start now; empty: it could
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
