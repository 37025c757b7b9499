#include "cli/run_proxy.hpp"

#include "core/proxy/status.hpp"
#include "core/state/running_proxies.hpp"
#include "core/system/hash.hpp"
#include "core/system/self.hpp"

#include <nlohmann/json.hpp>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds start_patience{30};
constexpr std::chrono::milliseconds look_every{50};
constexpr std::chrono::seconds key_patience{4};
constexpr std::chrono::seconds end_patience{3};
constexpr int lock_patience_ms = 60'000;

// Who decides about a proxy of runs, starts or ends it, holds this.
system::Path decision_lock(const system::Path& users) {
    return system::Path(users.string() + ".lock");
}

// One file for each gateway, profile and configuration.
Result<system::Path> users_path(Session& session, const databricks::Target& target) {
    const auto directory = system::state_directory(session.environment());
    if (!directory) return fail(directory.error());
    const std::string identity =
        target.gateway->value + "\n" + (target.workspace ? target.workspace->value : "") + "\n" +
        (target.profile ? target.profile->value : "") + "\n" + session.options().config;
    return *directory / ("runs-" + system::sha256(identity).substr(0, 16));
}

std::string text_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

// A running proxy looks for new keys every other second.
Result<ordered_json> ask(Session& session, int port, const LocalKey& key) {
    const auto end = session.pacer().now() + key_patience;
    while (true) {
        auto status = proxy::ask_status(session.http(), port, key.key);
        if (status || !key.is_new || session.pacer().now() > end || !session.pacer().wait(look_every))
            return status;
    }
}

bool serves(const ordered_json& status, const databricks::Target& target) {
    return text_of(status, "gateway") == target.gateway->value;
}

// A proxy that just runs, and for the same gateway; with --profile also with that credential.
std::optional<int> permanent_one(Session& session, const databricks::Target& target, const LocalKey& key) {
    const auto running = state::running_proxies(session.environment(), session.files());
    if (!running) return std::nullopt;
    for (const auto& proxy : *running) {
        const auto status = ask(session, proxy.port, key);
        if (!status || !serves(*status, target) || status->value("for_runs", false)) continue;
        if (!session.options().profile.empty() && target.resolution.credential &&
            text_of(*status, "credential") != target.resolution.credential->origin)
            continue;
        return proxy.port;
    }
    return std::nullopt;
}

// The port that stands in the users' file, when a proxy of runs answers there.
std::optional<int> shared_one(Session& session, const databricks::Target& target, const system::Path& users,
                              const LocalKey& key) {
    constexpr std::uint64_t limit = 64;
    auto text = session.files().read(users, limit);
    const auto port = text ? state::to_port(*text) : std::nullopt;
    if (!port) return std::nullopt;
    const auto status = ask(session, *port, key);
    if (!status || !serves(*status, target) || !status->value("for_runs", false)) return std::nullopt;
    return port;
}

// "cannot …: why", of the error that the proxy printed.
Error words_of(const std::string& output, const system::Path& log) {
    const auto root = ordered_json::parse(output, nullptr, false);
    Error error{ErrorKind::failed, "cannot start the local proxy", {}, {}, {}};
    if (root.is_object() && root.contains("error") && root["error"].is_object()) {
        error.what += ": " + text_of(root["error"], "what");
        error.why = text_of(root["error"], "why");
        error.fix = text_of(root["error"], "fix");
    } else {
        error.why = "it ended before it was ready";
        error.fix = "what it said stands in " + log.string();
    }
    return error;
}

Result<int> start_one(Session& session, const system::Path& users) {
    const auto& options = session.options();
    system::Launch launch;
    launch.program = session.environment().program();
    launch.environment = session.environment().all();
    launch.arguments = {"--json",      "proxy", "--port",     "0",
                        "--log-level", "warn",  "--for-runs", users.string()};
    const auto add = [&](const char* flag, const std::string& value) {
        if (!value.empty()) launch.arguments.insert(launch.arguments.end(), {flag, value});
    };
    add("--config", options.config);
    add("--profile", options.profile);
    add("--workspace", options.workspace);
    add("--gateway", options.gateway);
    const system::Path log = users.string() + ".log";
    const auto started = system::start_in_background(launch, log, "\"listening\"", start_patience);
    if (!started) return fail(started.error());
    if (!started->running) return fail(words_of(started->output, log));
    const auto line = ordered_json::parse(started->output, nullptr, false);
    if (!line.is_object() || !line.contains("port") || !line["port"].is_number_integer())
        return fail(words_of(started->output, log));
    return line["port"].get<int>();
}

} // namespace

std::optional<RunProxy::Found> RunProxy::find(Session& session, const databricks::Target& target,
                                              const LocalKey& key) {
    if (const auto port = permanent_one(session, target, key)) return Found{*port, false};
    const auto users = users_path(session, target);
    if (!users) return std::nullopt;
    if (const auto port = shared_one(session, target, *users, key)) return Found{*port, true};
    return std::nullopt;
}

// 1. one that runs anyway, 2. one that another run has started, 3. a new one.
Result<RunProxy> RunProxy::get(Session& session, const databricks::Target& target, const LocalKey& key) {
    RunProxy proxy;
    auto users = users_path(session, target);
    if (!users) return fail(users.error());
    proxy.users_ = std::move(*users);
    if (const auto port = permanent_one(session, target, key)) {
        proxy.port_ = *port;
        return proxy;
    }
    const auto lock = system::Lock::acquire(decision_lock(proxy.users_), lock_patience_ms);
    if (!lock) return fail(lock.error());
    auto share = system::Share::take(proxy.users_);
    if (!share) return fail(share.error());
    proxy.share_ = std::move(*share);
    proxy.for_runs_ = true;
    if (const auto port = shared_one(session, target, proxy.users_, key)) {
        proxy.port_ = *port;
        return proxy;
    }
    const auto port = start_one(session, proxy.users_);
    if (!port) return fail(port.error());
    proxy.share_->note(std::to_string(*port));
    proxy.port_ = *port;
    return proxy;
}

void RunProxy::release(Session& session) {
    if (!for_runs_) return;
    const auto lock = system::Lock::acquire(decision_lock(users_), 0);
    share_.reset();
    // Somebody who decides now sees for himself; and a proxy that nobody uses ends by itself within seconds.
    if (!lock || system::is_shared(users_)) return;
    const auto running = state::running_proxies(session.environment(), session.files(), port_);
    if (!running || running->empty()) return;
    if (!system::ask_to_end(running->front().process_id)) return;
    const auto end = session.pacer().now() + end_patience;
    while (system::lock_holder(state::proxy_lock_path(users_.parent_path(), port_)) &&
           session.pacer().now() < end)
        if (!session.pacer().wait(look_every)) return;
}

std::optional<system::Lock> nobody_uses(const system::Path& users) {
    auto lock = system::Lock::acquire(decision_lock(users), 0);
    if (!lock || system::is_shared(users)) return std::nullopt;
    return std::move(*lock);
}

} // namespace dbx::cli
