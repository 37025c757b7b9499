#include "cli/command.hpp"
#include "cli/run_proxy.hpp"
#include "cli/session.hpp"
#include "core/edit/mask.hpp"
#include "core/proxy/config.hpp"
#include "core/proxy/server.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/running_proxies.hpp"
#include "core/system/notify.hpp"
#include "core/system/self.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <mutex>

namespace dbx::cli {

namespace {

// Runs in the foreground until a signal ends it.
class Proxy : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--port", port_, "The port to listen on (default 8790; 0: any free one)")
            ->type_name("N");
        app.add_option("--bind", bind_, "The address to listen on (default 127.0.0.1)")->type_name("ADDR");
        app.add_flag("--allow-remote", allow_remote_, "With --bind: let other machines reach the proxy");
        app.add_option("--threads", threads_, "Event loops (default 1)")->type_name("N");
        app.add_option("--drain", drain_, "How long requests under way may take after SIGTERM (default 30)")
            ->type_name("SECONDS");
        app.add_option("--rpm", rpm_, "At most so many requests per minute")->type_name("N");
        app.add_option("--tpm", tpm_, "At most so many tokens per minute")->type_name("N");
        app.add_option("--max-concurrent", concurrent_, "At most so many requests at once")->type_name("N");
        app.add_option("--hold", hold_,
                       "How long a request over a limit waits before it is refused (default 30)")
            ->type_name("SECONDS");
        app.add_option("--ledger", ledger_, "The ledger's file instead of usage.db")->type_name("FILE");
        app.add_flag("--no-ledger", no_ledger_, "Record nothing");
        app.add_option("--upstream", upstream_, "Send requests here instead of the gateway")
            ->type_name("URL");
        app.add_option("--gateway", gateway_, "The gateway's root, as in setup")->type_name("URL");
        app.add_option("--for-runs", for_runs_)->group(""); // of `run`: the file that those who use it share
        app.add_option("--log-level", log_level_,
                       "How much is logged: debug logs every request (default: info)")
            ->type_name("warn|info|debug");
    }

    Result<int> run(Session& session) override {
        auto& options = session.options();
        options.gateway = gateway_;
        const auto set = [&](const char* key, const std::string& value) {
            if (!value.empty()) options.settings[key] = value;
        };
        set("proxy.port", port_);
        set("proxy.bind", bind_);
        set("proxy.threads", threads_);
        set("proxy.drain", drain_);
        set("proxy.upstream", upstream_);
        set("proxy.log_level", log_level_);
        set("proxy.rpm", rpm_);
        set("proxy.tpm", tpm_);
        set("proxy.max_concurrent", concurrent_);
        set("proxy.hold", hold_);
        set("ledger.file", ledger_);
        if (no_ledger_) options.settings["ledger.off"] = "true";
        if (no_ledger_ && !ledger_.empty())
            return fail(ErrorKind::usage, "--ledger and --no-ledger contradict each other", {},
                        "use one of them");

        // 1. the configuration, and a credential
        auto read = session.read_again();
        if (!read) return fail(read.error());
        auto server_options = proxy::server_options(read->first, allow_remote_);
        if (!server_options) return fail(server_options.error());
        databricks::use_upstream(read->second);
        if (!read->second.gateway) return fail(databricks::no_workspace("cannot start the proxy"));
        const auto& credential = read->second.resolution.credential;
        if (!credential) return fail(credential.error());
        credential_ = credential->origin;
        tokens_ = session.make_tokens(*credential);
        const auto level = read->first.find("proxy.log_level");
        logs_info_ = !session.output().quiet() && !(level && level->value == "warn");

        // 2. the port is ours alone
        const auto directory = system::state_directory(session.environment());
        if (!directory) return fail(directory.error());
        if (auto made = session.files().make_directories(*directory, 0700); !made) return fail(made.error());
        std::optional<system::Lock> lock;
        if (server_options->port != 0) {
            auto taken = take_port(*directory, server_options->port);
            if (!taken) return fail(taken.error());
            lock = std::move(*taken);
        }
        system::keep_memory_private();
        // Each connection of a client may need one upstream; the ledger, a child process and DNS need some,
        // too.
        constexpr std::size_t other_files = 40, fewest = 4;
        const auto files = system::raise_open_file_limit();
        server_options->most_connections =
            std::min(server_options->most_connections,
                     std::max(fewest, files > other_files ? (files - other_files) / 2 : 0));

        // 3. the ledger
        auto ledger_options = proxy::ledger_options(read->first, session.environment());
        if (!ledger_options) return fail(ledger_options.error());
        std::unique_ptr<usage::Ledger> ledger;
        if (*ledger_options) {
            ledger_shown_ = (*ledger_options)->file.string();
            (*ledger_options)->log = [&](const std::string& line) { warn(session, line); };
            ledger = usage::Ledger::open(std::move(**ledger_options), session.files());
        }

        // 4. listen
        proxy::ServerServices services{
            http::ClientOptions::from(session.environment()),
            [this](databricks::Freshness freshness) {
                std::shared_ptr<databricks::TokenSource> tokens;
                {
                    const std::lock_guard guard(guard_);
                    tokens = tokens_;
                }
                return tokens->get(freshness);
            },
            session.clock(),
            [&](int port) { return read_policy(session, server_options->bind, port); },
            [&] {
                end_when_unused();
                return keys_text(session) != keys_seen_;
            },
            ledger.get(),
            *directory / "spool",
            [&] {
                system::notify_service_manager(session.environment(), "STOPPING=1");
                // Its port is a new one each time: nobody would take this lock again.
                if (lock && !for_runs_.empty()) [[maybe_unused]]
                    const auto gone = session.files().remove(state::proxy_lock_path(*directory, port_bound_));
                lock.reset();
                const std::lock_guard guard(guard_);
                ending_.reset();
            },
            [&] { return about(session); },
            [&](const std::string& line) { log(session, line); },
            [&](const std::string& line) { warn(session, line); },
        };
        auto server = proxy::Server::start(*server_options, std::move(services));
        if (!server) return fail(server.error());
        port_bound_ = (*server)->port();
        if (!lock) {
            auto taken = take_port(*directory, port_bound_);
            if (!taken) return fail(taken.error());
            lock = std::move(*taken);
        }

        // 5. say so, and serve
        const bool v6 = server_options->bind.find(':') != std::string::npos;
        const std::string address =
            fmt::format("http://{}{}{}:{}", v6 ? "[" : "", server_options->bind, v6 ? "]" : "", port_bound_);
        if (session.output().json()) {
            nlohmann::ordered_json root;
            root["listening"] = address;
            root["port"] = port_bound_;
            root["pid"] = system::process_id();
            session.console().out(root.dump() + "\n"); // one line: it is waited for
        } else {
            session.output().result("listening on " + address + "\n");
        }
        system::notify_service_manager(session.environment(), "READY=1\nSTATUS=listening on " + address);
        if (no_keys_)
            session.output().warning(
                "no agent has a key for the proxy yet: run dbx-agents setup --all --auth proxy");
        (*server)->run();
        return 0;
    }

  private:
    static Result<system::Lock> take_port(const system::Path& directory, int port) {
        const auto path = state::proxy_lock_path(directory, port);
        auto lock = system::Lock::acquire(path, 0);
        if (lock || lock.error().kind != ErrorKind::timeout) return lock;
        const auto first = system::lock_holder(path);
        return fail(
            ErrorKind::failed, fmt::format("a proxy of dbx-agents is already running on port {}", port),
            first ? fmt::format("it is process {}", *first) : std::string("another process holds its lock"),
            "use that one, end it with dbx-agents proxy stop, or choose another port with --port");
    }

    void end_when_unused() {
        if (for_runs_.empty()) return;
        const std::lock_guard guard(guard_);
        if (ending_ || !(ending_ = nobody_uses(for_runs_))) return;
        [[maybe_unused]] const auto asked = system::ask_to_end(system::process_id());
    }

    static std::string keys_text(Session& session) {
        const auto path = state::local_keys_path(session.environment());
        if (!path) return {};
        constexpr std::uint64_t limit = 1U << 20U;
        const auto text = session.files().read(*path, limit);
        return text ? *text : std::string();
    }

    // At the start and on SIGHUP.
    Result<std::shared_ptr<proxy::Policy>> read_policy(Session& session, const std::string& bind, int port) {
        auto seen = keys_text(session);
        auto read = session.read_again();
        if (!read) return fail(read.error());
        auto& [settings, target] = *read;
        // What a proxy would not start with is no configuration for one that runs either.
        if (const auto valid = proxy::server_options(settings, allow_remote_); !valid)
            return fail(valid.error());
        if (const auto valid = proxy::ledger_options(settings, session.environment()); !valid)
            return fail(valid.error());
        databricks::use_upstream(target);
        const auto keys = state::read_local_keys(session.environment(), session.files());
        if (!keys) return fail(keys.error());
        auto policy = proxy::make_policy(settings, target, *keys,
                                         http::ClientOptions::from(session.environment()), bind, port);
        if (!policy) return fail(policy.error());
        const auto& credential = target.resolution.credential;
        if (!credential) return fail(credential.error());
        const std::lock_guard guard(guard_);
        tokens_ = session.make_tokens(*credential);
        credential_ = credential->origin;
        gateway_shown_ = target.gateway->value;
        workspace_shown_ = target.workspace ? target.workspace->value : std::string();
        no_keys_ = keys->empty();
        keys_seen_ = std::move(seen);
        return policy;
    }

    std::string about(Session& session) {
        const std::lock_guard guard(guard_);
        nlohmann::ordered_json root;
        root["version"] = DBX_VERSION;
        root["pid"] = system::process_id();
        root["port"] = port_bound_;
        root["uptime_seconds"] =
            std::chrono::duration_cast<std::chrono::seconds>(session.clock().now() - started_).count();
        root["gateway"] = gateway_shown_;
        root["workspace"] = workspace_shown_;
        root["credential"] = credential_;
        if (!for_runs_.empty()) root["for_runs"] = true;
        if (!ledger_shown_.empty()) root["ledger_file"] = ledger_shown_;
        // A path in them may be no UTF-8.
        const auto text = root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        return text.substr(1, text.size() - 2);
    }

    void log(Session& session, const std::string& line) {
        if (logs_info_) warn(session, line);
    }

    void warn(Session& session, const std::string& line) {
        const std::lock_guard guard(log_guard_);
        session.console().err(system::format_utc(session.clock().now()) + " " + edit::mask_text(line) + "\n");
    }

    std::string rpm_, tpm_, concurrent_, hold_, ledger_;
    bool no_ledger_ = false;
    std::string for_runs_;
    std::string port_, bind_, threads_, drain_, upstream_, gateway_, log_level_;
    bool allow_remote_ = false;

    std::mutex guard_; // of what the keeper's and the loops' threads ask for
    std::shared_ptr<databricks::TokenSource> tokens_;
    std::optional<system::Lock> ending_; // since nobody uses it, until the port is free
    std::string credential_, gateway_shown_, workspace_shown_;
    std::string ledger_shown_; // set before the first request
    std::string keys_seen_;    // by the control thread only
    bool no_keys_ = false;
    int port_bound_ = 0;
    bool logs_info_ = true;
    std::mutex log_guard_;
    system::WallTime started_ = std::chrono::system_clock::now();
};

} // namespace

std::unique_ptr<Command> make_proxy() {
    return std::make_unique<Proxy>();
}

} // namespace dbx::cli
