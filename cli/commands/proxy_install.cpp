#include "cli/command.hpp"
#include "cli/proxy_support.hpp"
#include "cli/service.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"
#include "core/proxy/config.hpp"
#include "core/proxy/service_unit.hpp"
#include "core/state/running_proxies.hpp"
#include "core/system/hash.hpp"
#include "core/system/notify.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

constexpr std::uint64_t unit_limit = 1U << 20U;

// The environment that the service will have: the user's service manager knows nothing of a shell's exports.
class ServiceEnvironment : public system::Environment {
  public:
    ServiceEnvironment(const system::Environment& real, std::map<std::string, std::string> variables)
        : real_(real)
        , variables_(std::move(variables)) {}
    std::optional<std::string> get(std::string_view name) const override {
        const auto found = variables_.find(std::string(name));
        return found == variables_.end() ? std::nullopt : std::optional(found->second);
    }
    std::map<std::string, std::string> all() const override { return variables_; }
    system::Path working_directory() const override { return real_.working_directory(); }
    system::Path program() const override { return real_.program(); }
    uid_t user_id() const override { return real_.user_id(); }

  private:
    const system::Environment& real_;
    std::map<std::string, std::string> variables_;
};

// What of the shell the service needs to find the same files, programs and network. Never a token.
constexpr std::string_view taken_along[] = {
    "PATH",          "XDG_CONFIG_HOME", "XDG_STATE_HOME", "DATABRICKS_CONFIG_FILE",
    "HTTPS_PROXY",   "https_proxy",     "HTTP_PROXY",     "http_proxy",
    "ALL_PROXY",     "all_proxy",       "NO_PROXY",       "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR"};

class ProxyInstall : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--port", port_, "The port (default: setting proxy.port, else 8790)")->type_name("N");
        app.add_option("--gateway", gateway_, "The gateway's root, as in setup")->type_name("URL");
        app.add_flag("--dry-run", dry_run_, "Print the unit; write nothing, start nothing");
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        if (!port_.empty()) session.options().settings["proxy.port"] = port_;
        const auto given_port = parse_port(port_);
        if (!given_port) return fail(given_port.error());
        const auto service = Service::find(session);
        if (!service) return fail(service.error());
        auto unit = make_unit(session);
        if (!unit) return fail(unit.error());
        const auto text = proxy::unit_text(*unit);
        if (!text) return fail(text.error());

        // A unit that is not ours, or that somebody has edited, stays.
        const auto written = service->written();
        if (!written) return fail(written.error());
        std::string before;
        const auto status = session.files().status(service->unit());
        if (!status) return fail(status.error());
        const bool there = status->kind != system::FileKind::missing;
        if (there) {
            auto read = session.files().read(service->unit(), unit_limit);
            if (!read) return fail(read.error());
            before = std::move(*read);
            if (!*written || (*written)->hash != system::sha256(before))
                return fail(
                    ErrorKind::file, "there is another unit already: " + session.shown(service->unit()),
                    *written ? "it was changed since dbx-agents wrote it" : "dbx-agents has not written it",
                    "move it away; changes of yours belong beside it: systemctl --user edit "
                    "dbx-agents-proxy");
        }
        const bool changes = before != *text;
        if (dry_run_) return show(session, *service, *text, changes, Done::nothing);

        const bool manager = service->manager_runs();
        if (manager) {
            if (auto free = port_is_free(session, *service); !free) return fail(free.error());
        }
        const auto state = system::state_directory(session.environment());
        if (!state) return fail(state.error());
        if (auto made = session.files().make_directories(*state, 0700); !made) return fail(made.error());
        if (changes) {
            if (auto wrote = write(session, *service, *text, *written); !wrote) return fail(wrote.error());
        }
        if (!manager) return show(session, *service, *text, changes, Done::written);
        for (const auto& words : commands(changes && there)) {
            if (auto ran = service->control(words); !ran) {
                Error error = ran.error();
                error.state = "The unit was written: " + session.shown(service->unit()) +
                              ". To take it back: dbx-agents proxy uninstall";
                return fail(error);
            }
        }
        return show(session, *service, *text, changes, Done::started);
    }

  private:
    enum class Done { nothing, written, started };

    static std::vector<std::vector<std::string>> commands(bool running_before) {
        std::vector<std::vector<std::string>> result = {{"daemon-reload"},
                                                        {"enable", "--now", proxy::service_name}};
        if (running_before) result.push_back({"restart", proxy::service_name});
        return result;
    }

    // The unit, and the proof that the service would have an address and a credential.
    Result<proxy::ServiceUnit> make_unit(Session& session) {
        const auto& environment = session.environment();
        const auto home = system::home_directory(environment);
        if (!home) return fail(home.error());
        const auto config = system::config_directory(environment);
        if (!config) return fail(config.error());
        const auto state = system::state_directory(environment);
        if (!state) return fail(state.error());
        proxy::ServiceUnit unit;
        for (const auto name : taken_along) {
            const auto value = environment.get(name);
            if (!value || value->empty()) continue;
            if (value->find('@') != std::string::npos && icontains(name, "proxy") &&
                !icontains(name, "no_proxy")) {
                session.output().warning(
                    fmt::format("{} may hold a password, so it is not in the unit; put it into {} "
                                "(mode 0600)",
                                name, session.shown(*config / "proxy.env")));
                continue;
            }
            unit.environment[std::string(name)] = *value;
        }
        unit.environment_file = (*config / "proxy.env").string();

        auto variables = unit.environment;
        variables["HOME"] = home->string();
        if (auto added = add_file(session, unit.environment_file, variables); !added)
            return fail(added.error());
        const ServiceEnvironment seen(environment, std::move(variables));
        const auto known = session.target();
        if (!known) return fail(known.error());
        auto& options = session.options();
        state::Settings::Sources sources;
        if (!options.config.empty()) {
            system::Path file = options.config;
            if (file.is_relative()) file = environment.working_directory() / file;
            sources.config_file = file.lexically_normal();
        }
        sources.flags = options.settings;
        if (!options.profile.empty()) sources.flags["profile"] = options.profile;
        if (!gateway_.empty()) sources.flags["gateway"] = gateway_;
        if (!options.workspace.empty()) sources.flags["workspace"] = options.workspace;
        auto settings = state::Settings::load(sources, seen, session.files());
        if (!settings) return fail(settings.error());
        auto target = databricks::resolve_target(*settings, seen, session.files());
        if (!target) return fail(target.error());
        // What only the shell says goes into the command line.
        if (!(*known)->gateway && !target->gateway)
            return fail(databricks::no_workspace("cannot make the proxy a service"));
        if ((*known)->gateway && (!target->gateway || target->gateway->value != (*known)->gateway->value)) {
            if ((*known)->workspace && (*known)->gateway_is_derived)
                sources.flags["workspace"] = (*known)->workspace->value;
            else
                sources.flags["gateway"] = (*known)->gateway->value;
            settings = state::Settings::load(sources, seen, session.files());
            if (!settings) return fail(settings.error());
            target = databricks::resolve_target(*settings, seen, session.files());
            if (!target) return fail(target.error());
        }
        if (!target->resolution.credential) {
            Error error = target->resolution.credential.error();
            error.what = "the service would have no credential: " + error.what;
            if ((*known)->resolution.credential)
                error.why = "what your shell exports (" + (*known)->resolution.credential->origin +
                            ") does not reach a service";
            error.fix = "put a profile into ~/.databrickscfg, or the variable, as NAME=value, into " +
                        session.shown(unit.environment_file) + " (mode 0600)";
            return fail(error);
        }
        const auto server = proxy::server_options(*settings, false);
        if (!server) return fail(server.error());
        if (server->port == 0)
            return fail(ErrorKind::usage, "cannot make the proxy a service on any free port",
                        "the agents need a fixed one", "dbx-agents proxy install --port 8790");
        listen_ = server->port;
        unit.drain = server->drain;

        unit.command = {environment.program().string()};
        if (sources.config_file)
            unit.command.insert(unit.command.end(), {"--config", sources.config_file->string()});
        for (const auto& [key, flag] : {std::pair{"profile", "--profile"}, {"workspace", "--workspace"}}) {
            if (const auto value = sources.flags.find(key); value != sources.flags.end())
                unit.command.insert(unit.command.end(), {flag, value->second});
        }
        unit.command.insert(unit.command.end(), {"proxy", "--port", std::to_string(listen_)});
        if (const auto value = sources.flags.find("gateway"); value != sources.flags.end())
            unit.command.insert(unit.command.end(), {"--gateway", value->second});

        unit.writable = {state->string()};
        if (const auto ledger = settings->find("ledger.file")) {
            system::Path file = ledger->value;
            if (file.is_absolute() && file.parent_path() != *state)
                unit.writable.push_back(file.parent_path().string());
        }
        // The Databricks CLI and the Azure CLI keep their own tokens there.
        unit.writable_if_there = {(*home / ".databricks").string(), (*home / ".azure").string()};
        why_no_view_ = system::no_user_namespaces(session.files());
        unit.own_view = why_no_view_.empty();
        return unit;
    }

    // The lines NAME=value of the environment's file, as systemd reads the plain ones.
    static Result<void> add_file(Session& session, const system::Path& path,
                                 std::map<std::string, std::string>& variables) {
        const auto status = session.files().status(path);
        if (!status) return fail(status.error());
        if (status->kind == system::FileKind::missing) return {};
        constexpr mode_t others = 077;
        if ((status->mode & others) != 0)
            session.output().warning(session.shown(path) + " can be read by others: chmod 600 " +
                                     session.shown(path));
        const auto text = session.files().read(path, unit_limit);
        if (!text) return fail(text.error());
        for (const auto& row : split(*text, '\n')) {
            const std::string line(trim(row));
            const auto sign = line.find('=');
            if (line.empty() || line.front() == '#' || line.front() == ';' || sign == std::string::npos)
                continue;
            std::string value(trim(line.substr(sign + 1)));
            if (value.size() > 1 && (value.front() == '"' || value.front() == '\'') &&
                value.back() == value.front())
                value = value.substr(1, value.size() - 2);
            variables[std::string(trim(line.substr(0, sign)))] = value;
        }
        return {};
    }

    // Nobody but the service itself listens there.
    Result<void> port_is_free(Session& session, const Service& service) const {
        const auto running = state::running_proxies(session.environment(), session.files(), listen_);
        if (!running) return fail(running.error());
        if (running->empty()) return {};
        const auto main = service.control({"show", "--property=MainPID", "--value", proxy::service_name});
        if (main && trim(*main) == std::to_string(running->front().process_id)) return {};
        return fail(ErrorKind::failed,
                    fmt::format("a proxy of dbx-agents is already running on port {}", listen_),
                    fmt::format("it is process {}", running->front().process_id),
                    "end it first: dbx-agents proxy stop");
    }

    static Result<void> write(Session& session, const Service& service, const std::string& text,
                              const std::optional<Service::Written>& before) {
        Service::Written record;
        record.hash = system::sha256(text);
        if (before) record.folders = before->folders;
        auto folder = service.enabled_link().parent_path(); // `enable` makes this one
        for (; folder.has_relative_path(); folder = folder.parent_path()) {
            const auto status = session.files().status(folder);
            if (!status) return fail(status.error());
            if (status->kind != system::FileKind::missing) break;
            if (!before) record.folders.push_back(folder.string());
        }
        if (auto made = session.files().make_directories(service.unit().parent_path(), 0755); !made)
            return made;
        // First the record: a unit that we do not know of would stay for ever.
        if (auto kept = service.remember(record); !kept) return kept;
        constexpr mode_t mode = 0644;
        return session.files().write(service.unit(), text, mode);
    }

    int show(Session& session, const Service& service, const std::string& text, bool changes,
             Done done) const {
        auto& output = session.output();
        const auto todo = commands(false);
        if (output.json()) {
            ordered_json root;
            root["unit"] = service.unit().string();
            root["changed"] = changes && done != Done::nothing;
            root["would_change"] = changes;
            root["started"] = done == Done::started;
            root["port"] = listen_;
            root["left_out"] = why_no_view_.empty() ? ordered_json(nullptr) : ordered_json(why_no_view_);
            root["next"] = ordered_json::array();
            if (done != Done::started)
                for (const auto& words : todo) root["next"].push_back(Service::typed(words));
            root["text"] = text;
            output.document(root);
            return 0;
        }
        if (!why_no_view_.empty())
            output.note("this system gives no user namespaces (" + why_no_view_ +
                        "), so the unit leaves out PrivateTmp and ProtectSystem");
        if (done == Done::nothing) {
            output.result(text);
            output.note(std::string(changes ? "would be written to " : "stands already in ") +
                        session.shown(service.unit()));
            return 0;
        }
        output.summary(session.shown(service.unit()) + (changes ? "  written\n" : "  as it should be\n"));
        if (done == Done::started) {
            output.summary(fmt::format(
                "The proxy runs as a service, on http://127.0.0.1:{}, and starts with your session.\n"
                "Without a session it runs after: loginctl enable-linger\n",
                listen_));
        } else {
            output.summary("No service manager of yours runs here. In a login session:\n");
            for (const auto& words : todo) output.summary("  " + Service::typed(words) + "\n");
        }
        output.summary("To take it back: dbx-agents proxy uninstall\n");
        return 0;
    }

    std::string port_, gateway_;
    std::string why_no_view_;
    int listen_ = 0;
    bool dry_run_ = false;
};

} // namespace

std::unique_ptr<Command> make_proxy_install() {
    return std::make_unique<ProxyInstall>();
}

} // namespace dbx::cli
