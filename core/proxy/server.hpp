#pragma once

#include "core/http/client.hpp"
#include "core/proxy/policy.hpp"
#include "core/proxy/token_keeper.hpp"
#include "core/usage/ledger.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace dbx::proxy {

struct ServerOptions {
    std::string bind = "127.0.0.1";
    int port = 8790; // 0: any free one
    int threads = 1;
    std::chrono::seconds drain{30};
    std::size_t most_connections = 1024;
    bool log_requests = false;
};

struct ServerServices {
    http::ClientOptions client; // proxies, for connections upstream
    TokenKeeper::Get get_token;
    const system::Clock& clock;
    // The configuration, read anew: at the start, and on SIGHUP. `port` is the one that was bound. Called on
    // one thread at a time.
    std::function<Result<std::shared_ptr<Policy>>(int port)> read_policy;
    // Whether files that read_policy reads have changed since it ran (keys that setup made): asked every
    // other second.
    std::function<bool()> policy_changed;
    usage::Ledger* ledger = nullptr;       // null: --no-ledger. Outlives the server.
    system::Path spool_root;               // where telemetry waits
    std::function<void()> listener_closed; // the port is free: another proxy may have it
    // What /status says besides the counters: a JSON object's members, without secrets. Any thread.
    std::function<std::string()> about;
    // One line, without secrets; any thread. `warn`: what has to be heard at every level.
    std::function<void(const std::string&)> log;
    std::function<void(const std::string&)> warn;
};

// The proxy: event loops on threads of their own.
class Server {
  public:
    // Listens. Errors: the port, the configuration.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, ServerServices services);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int port() const;

    // Serves until SIGTERM or SIGINT; then waits for the requests under way, up to `drain`; a second signal
    // ends at once. SIGHUP reads the configuration anew.
    void run();

  private:
    struct State;
    explicit Server(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

} // namespace dbx::proxy
