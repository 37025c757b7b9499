#pragma once

#include "core/http/connector.hpp"
#include "core/proxy/counters.hpp"
#include "core/proxy/net.hpp"
#include "core/proxy/policy.hpp"
#include "core/proxy/relay.hpp"
#include "core/proxy/token_keeper.hpp"
#include "core/proxy/upstream.hpp"
#include "core/usage/ledger.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dbx::proxy {

class ClientConnection;

using SteadyTime = std::chrono::steady_clock::time_point;

// What all loops share. Outlives them.
struct Shared {
    http::Connector& connector;
    TokenKeeper& tokens;
    Relay& relay;
    std::function<std::string(Page)> page;       // the text of /status and /metrics; any thread
    std::function<void(const std::string&)> log; // one line, without secrets; any thread
    bool log_requests = false;
    usage::Ledger* ledger = nullptr; // null: --no-ledger
};

// One event loop: its listening socket, its connections, its idle upstream connections. One thread runs it;
// other threads only post to it.
class Loop {
  public:
    Loop(Shared shared, std::shared_ptr<const Policy> policy, std::size_t most_connections);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Binds and listens; the port that it got. `share`: other loops listen on the same port.
    Result<int> listen(const std::string& address, int port, bool share);
    void run();

    // From any thread.
    void set_policy(std::shared_ptr<const Policy> policy);
    void begin_drain(); // no new connections; ends when the last request has ended
    void stop();        // at once
    void post(std::function<void()> work);

    const Counters& counters() const { return counters_; }

    // What follows is for connections, on the loop's thread.
    asio::io_context& io() { return io_; }
    BlockPool& blocks() { return blocks_; }
    Counters& mutable_counters() { return counters_; }
    const std::shared_ptr<const Policy>& policy() const { return policy_; }
    const Shared& shared() const { return shared_; }
    bool draining() const { return draining_; }
    SteadyTime now() const { return now_; } // as of the last tick: to the second

    // An idle connection, or null.
    std::shared_ptr<Upstream> take_idle(const std::shared_ptr<const Endpoint>& endpoint);
    // A new one.
    void open(const std::shared_ptr<const Endpoint>& endpoint, const std::shared_ptr<LazyTls>& tls,
              std::function<void(tl::expected<std::shared_ptr<Upstream>, http::Failure>)> done);
    void give_back(std::shared_ptr<Upstream> upstream);

    // The row of a request. True: it is committed. Else it will be with the others of this turn of the loop,
    // and `whose` (null: nobody) is told: committed(number).
    bool record(usage::Ledger::Record record, ClientConnection* whose, std::uint64_t number);

    void forget(ClientConnection& connection);

    // Used by one call at a time, to spare allocations.
    Head scratch_head;
    std::vector<std::string_view> scratch_pieces;
    std::vector<asio::const_buffer> scratch_buffers;

  private:
    void accept();
    void admit_socket(Socket socket);
    void tick();
    void end_if_drained();
    void gather_settled();
    void end_turn();

    const Shared shared_;
    std::shared_ptr<const Policy> policy_;
    const std::size_t most_connections_;
    asio::io_context io_;
    asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type> acceptor_;
    asio::steady_timer timer_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    BlockPool blocks_;
    Counters counters_;
    // What the handlers of this turn settled, until all that was ready has been handled; and whom to tell.
    struct Settler {
        std::weak_ptr<ClientConnection> connection;
        std::uint64_t number;
    };
    std::vector<usage::Ledger::Record> settled_, committing_;
    std::vector<Settler> settlers_, telling_;
    std::unordered_map<ClientConnection*, std::shared_ptr<ClientConnection>> connections_;
    std::vector<std::shared_ptr<Upstream>> idle_;
    std::vector<std::pair<std::weak_ptr<Upstream>, SteadyTime>> handshaking_; // with their deadlines
    bool draining_ = false;
    bool accept_paused_ = false;
    SteadyTime now_;
};

} // namespace dbx::proxy
