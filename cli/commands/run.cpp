#include "cli/agent_settings.hpp"
#include "cli/command.hpp"
#include "cli/run_proxy.hpp"
#include "cli/session.hpp"
#include "core/agents/run_plan.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"
#include "core/state/local_keys.hpp"
#include "core/system/overlay.hpp"
#include "core/system/programs.hpp"
#include "core/system/self.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

// The port of a proxy that would be started: not known before.
constexpr int no_port = 0;

// Starts an agent for one run. Its exit code is ours.
class Run : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", name_, "codex, gemini, claude, or another one whose template has [run]")
            ->type_name("");
        app.add_option("args", words_, "After --: the agent's own arguments")->type_name("");
        app.add_option("--model", model_, "The model for this run")->type_name("NAME");
        app.add_option("--gateway", gateway_, "The gateway's root, as in setup")->type_name("URL");
        app.add_flag("--dry-run", dry_run_, "Show what would be started; start nothing");
    }

    std::string_view state_after_error() const override { return "Nothing was started."; }

    Result<int> run(Session& session) override {
        if (name_.empty())
            return fail(ErrorKind::usage, "which agent?", "none was named",
                        "dbx-agents run codex -- exec \"say hi\"");
        if (!words_.empty())
            return fail(ErrorKind::usage, "'" + words_.front() + "' stands before --",
                        "the agent's own arguments stand behind it",
                        "dbx-agents run " + name_ + " -- " + join(words_, " "));
        session.options().gateway = gateway_;
        const auto named = session.agents_named({name_});
        if (!named) return fail(named.error());
        const agents::Agent& agent = *named->front();
        agents::RunRequest request;
        if (agent.run) {
            if (const auto flag = agents::reserved_flag(*agent.run, session.options().rest); !flag.empty())
                return fail(ErrorKind::usage, flag + " cannot be given to " + agent.display_name + " here",
                            "the run needs it for itself, and " + agent.display_name + " takes only one",
                            "dbx-agents setup " + name_ + ", then start " + agent.program + " itself");
        }
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());
        if (auto read = read_agent_settings(agent, **settings, model_, request.setup); !read)
            return fail(read.error());
        const auto target = session.target();
        if (!target) return fail(target.error());
        if (!(*target)->gateway) return fail(databricks::no_workspace("cannot run " + agent.display_name));
        if ((*target)->workspace) request.setup.workspace = (*target)->workspace->value;
        request.setup.gateway = (*target)->gateway->value;
        const auto program = agent.program.empty() ? std::nullopt
                                                   : system::find_program(session.environment(),
                                                                          session.files(), agent.program);
        // An agent that cannot be run at all is the better reason.
        if (!program && agent.run)
            return fail(ErrorKind::failed, "cannot run " + agent.display_name,
                        "there is no program '" + agent.program + "' on PATH",
                        agent.npm_package.empty() ? "install it, or put its folder on PATH"
                                                  : "npm install -g " + agent.npm_package);

        const auto folder = run_folder(session);
        if (!folder) return fail(folder.error());
        request.folder = *folder;
        const auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        auto key = local_key(session, agent.name);
        if (!key) return fail(key.error());
        request.setup.local_key = key->key;
        const auto plan = [&](int port) {
            request.setup.proxy = "http://127.0.0.1:" + (port == no_port ? "PORT" : std::to_string(port));
            return agents::plan_run(agent, request, *journal, session.environment(), session.files(),
                                    session.now());
        };
        if (auto possible = plan(no_port); !possible) return fail(possible.error());
        if (dry_run_) {
            const auto found = RunProxy::find(session, **target, {key->key, false});
            const auto shown = plan(found ? found->port : no_port);
            if (!shown) return fail(shown.error());
            return show(session, *program, *shown, found);
        }

        const auto& credential = (*target)->resolution.credential;
        if (!credential) return fail(credential.error());
        if (key->is_new) {
            if (auto kept = keep_key(session, agent.name, key->key); !kept) return fail(kept.error());
        }
        auto proxy = RunProxy::get(session, **target, *key);
        if (!proxy) return fail(proxy.error());
        auto planned = plan(proxy->port());
        Result<int> code = planned ? start(session, *program, *planned, *folder) : fail(planned.error());
        proxy->release(session);
        return code;
    }

  private:
    // state directory/run/PID. Those of runs that were killed go on this occasion.
    static Result<system::Path> run_folder(Session& session) {
        const auto directory = system::state_directory(session.environment());
        if (!directory) return fail(directory.error());
        const auto all = *directory / "run";
        const auto names = session.files().list(all);
        if (!names) return fail(names.error());
        for (const auto& name : *names) {
            long pid = 0;
            const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
            if (wrong == std::errc() && end == name.data() + name.size() && !system::process_exists(pid))
                system::remove_tree(all / name);
        }
        return all / std::to_string(system::process_id());
    }

    static Result<LocalKey> local_key(Session& session, const std::string& agent) {
        auto known = state::read_local_key(agent, session.environment(), session.files());
        if (!known) return fail(known.error());
        if (*known) return LocalKey{**known, false};
        return LocalKey{state::new_local_key(), true};
    }

    static Result<void> keep_key(Session& session, const std::string& agent, Secret& key) {
        const auto lock = session.lock();
        if (!lock) return fail(lock.error());
        auto keys = state::read_local_keys(session.environment(), session.files());
        if (!keys) return fail(keys.error());
        key = keys->try_emplace(agent, key).first->second; // another run may have been first
        const auto path = state::local_keys_path(session.environment());
        if (!path) return fail(path.error());
        const auto text = state::local_keys_text(*keys);
        if (!text) return fail(text.error());
        return session.files().write(*path, *text, 0600);
    }

    static std::map<std::string, std::string> environment_for(Session& session, const agents::RunPlan& plan) {
        auto environment = session.environment().all();
        for (const auto& name : plan.unset) environment.erase(name);
        for (const auto& [name, value] : plan.environment) environment[name] = value;
        return environment;
    }

    static Result<void> write_files(Session& session, const agents::RunPlan& plan,
                                    const system::Path& folder) {
        auto& files = session.files();
        if (auto made = files.make_directories(folder, 0700); !made) return made;
        if (!plan.home.empty()) {
            if (auto made = files.make_directories(plan.home, 0700); !made) return made;
            if (auto linked = system::link_entries(plan.real_home, plan.home, own_names(plan)); !linked)
                return linked;
            // The agent's home stands in a folder that has files for it as well.
            if (const auto root = folder / "home"; plan.home != root) {
                const auto below = plan.home.lexically_relative(root).begin()->string();
                const auto real_root = plan.real_home.parent_path();
                if (auto linked = system::link_entries(real_root, root, {below}); !linked) return linked;
            }
        }
        for (const auto& [path, text] : plan.files)
            if (auto written = files.write(path, text, 0600); !written) return written;
        return {};
    }

    static std::set<std::string> own_names(const agents::RunPlan& plan) {
        std::set<std::string> names;
        for (const auto& [path, unused] : plan.files)
            if (path.parent_path() == plan.home) names.insert(path.filename().string());
        return names;
    }

    Result<int> start(Session& session, const system::Path& program, const agents::RunPlan& plan,
                      const system::Path& folder) const {
        const bool has_folder = !plan.files.empty() || !plan.home.empty();
        Result<void> written = has_folder ? write_files(session, plan, folder) : Result<void>();
        Result<int> code = fail(ErrorKind::failed, "");
        if (written) {
            system::Launch launch{program, plan.arguments, environment_for(session, plan)};
            const auto& rest = session.options().rest;
            launch.arguments.insert(launch.arguments.end(), rest.begin(), rest.end());
            code = system::run_in_foreground(launch);
            if (!plan.home.empty()) system::carry_back(plan.home, plan.real_home, own_names(plan));
        } else {
            code = fail(written.error());
        }
        if (has_folder) system::remove_tree(folder);
        return code;
    }

    int show(Session& session, const system::Path& program, const agents::RunPlan& plan,
             const std::optional<RunProxy::Found>& found) const {
        auto& output = session.output();
        const auto masked = [&](std::string text) {
            for (const auto& secret : plan.secrets) {
                for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;)
                    text.replace(at, secret.size(), edit::masked);
            }
            return text;
        };
        auto arguments = plan.arguments;
        arguments.insert(arguments.end(), session.options().rest.begin(), session.options().rest.end());
        if (output.json()) {
            ordered_json root;
            root["program"] = program.string();
            root["arguments"] = arguments;
            root["environment"] = ordered_json::object();
            for (const auto& [name, value] : plan.environment) root["environment"][name] = masked(value);
            root["unset"] = plan.unset;
            root["files"] = ordered_json::object();
            for (const auto& [path, text] : plan.files) root["files"][path.string()] = masked(text);
            root["proxy"] = found ? ordered_json{{"port", found->port}, {"started", false}}
                                  : ordered_json{{"port", nullptr}, {"started", true}};
            output.document(root);
            return 0;
        }
        std::vector<std::string> words = {shell_quote(program.string())};
        for (const auto& argument : arguments) words.push_back(shell_quote(argument));
        output.result(found ? fmt::format("proxy: the one on port {}\n", found->port)
                            : std::string("proxy: started for this run\n"));
        for (const auto& [name, value] : plan.environment)
            output.result("set " + name + "=" + shell_quote(masked(value)) + "\n");
        for (const auto& name : plan.unset) output.result("unset " + name + "\n");
        for (const auto& [path, unused] : plan.files)
            output.result("file " + session.shown(path) + ", only for this run\n");
        output.result(join(words, " ") + "\n");
        return 0;
    }

    std::string name_, model_, gateway_;
    std::vector<std::string> words_;
    bool dry_run_ = false;
};

} // namespace

std::unique_ptr<Command> make_run() {
    return std::make_unique<Run>();
}

} // namespace dbx::cli
