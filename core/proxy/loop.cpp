#include "core/proxy/loop.hpp"

#include "core/proxy/client.hpp"
#include "core/system/self.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include <algorithm>

namespace dbx::proxy {

namespace {

constexpr std::chrono::seconds tick_every{1};
// A connection to the gateway that nobody used for so long is closed: load balancers close theirs after 60 s
// and more, and a request on a connection that is just being closed would have to be sent again.
constexpr std::chrono::seconds idle_upstream{50};
constexpr std::size_t most_idle = 64;
constexpr std::chrono::milliseconds connect_timeout{15'000};
constexpr std::chrono::seconds handshake_timeout{15};

// Only one thread runs the loop, so the reactor needs no locks; posting from other threads stays safe.
constexpr int concurrency = BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO;

} // namespace

Loop::Loop(Shared shared, std::shared_ptr<const Policy> policy, std::size_t most_connections)
    : shared_(std::move(shared))
    , policy_(std::move(policy))
    , most_connections_(most_connections)
    , io_(concurrency)
    , acceptor_(io_)
    , timer_(io_)
    , work_(asio::make_work_guard(io_))
    , now_(std::chrono::steady_clock::now()) {}

Loop::~Loop() {
    for (auto& upstream : idle_) upstream->close();
    const auto all = connections_;
    for (const auto& [raw, connection] : all) connection->close("stopped");
    for (auto& one : settlers_) one.connection.reset();
    end_turn();
}

Result<int> Loop::listen(const std::string& address, int port, bool share) {
    const auto failed = [&](const error_code& error, const std::string& fix) {
        return fail(ErrorKind::failed, "cannot listen on " + address + ", port " + std::to_string(port),
                    error.message(), fix);
    };
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return failed(error, "--bind takes an IP address");
    const asio::ip::tcp::endpoint endpoint(ip, static_cast<unsigned short>(port));
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && share)
        acceptor_.set_option(asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>(true), error);
    if (!error && ip.is_v6()) acceptor_.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use)
        return failed(error, "another program has this port; choose another one with --port");
    if (error) return failed(error, "choose another port with --port");
    const auto bound = acceptor_.local_endpoint(error);
    if (error) return failed(error, "");
    accept();
    tick();
    return bound.port();
}

void Loop::run() {
    io_.run();
}

void Loop::post(std::function<void()> work) {
    asio::post(io_, std::move(work));
}

bool Loop::record(usage::Ledger::Record record, ClientConnection* whose, std::uint64_t number) {
    // With a single request under way there is nothing to wait for.
    if (settled_.empty() && counters_.active.load(std::memory_order_relaxed) <= 1 &&
        shared_.ledger->commit({&record, 1}))
        return true;
    if (settled_.empty()) asio::post(io_, [this] { gather_settled(); });
    settled_.push_back(std::move(record));
    settlers_.push_back(
        {whose != nullptr ? whose->weak_from_this() : std::weak_ptr<ClientConnection>(), number});
    return false;
}

void Loop::gather_settled() {
    // A commit costs more than a row in it. While others are under way, what is ready by now comes first.
    if (counters_.active.load(std::memory_order_relaxed) > settled_.size())
        asio::post(io_, [this] { end_turn(); });
    else
        end_turn();
}

void Loop::end_turn() {
    if (settled_.empty()) return;
    committing_.swap(settled_);
    telling_.swap(settlers_);
    if (shared_.ledger->commit(committing_)) {
        for (const auto& one : telling_)
            if (const auto connection = one.connection.lock()) connection->committed(one.number);
    } else {
        for (std::size_t i = 0; i < committing_.size(); ++i) {
            usage::Ledger::Done done;
            if (!telling_[i].connection.expired())
                done = [this, whom = telling_[i]](bool) {
                    post([whom] {
                        if (const auto connection = whom.connection.lock())
                            connection->committed(whom.number);
                    });
                };
            shared_.ledger->add(committing_[i].ticket, std::move(committing_[i].row), std::move(done));
        }
    }
    committing_.clear();
    telling_.clear();
}

void Loop::set_policy(std::shared_ptr<const Policy> policy) {
    post([this, policy = std::move(policy)] { policy_ = policy; });
}

void Loop::begin_drain() {
    post([this] {
        if (draining_) return;
        draining_ = true;
        error_code ignored;
        acceptor_.close(ignored);
        const auto all = connections_;
        for (const auto& [raw, connection] : all) connection->drain();
        end_if_drained();
    });
}

void Loop::stop() {
    post([this] { io_.stop(); });
}

void Loop::end_if_drained() {
    if (!draining_ || !connections_.empty()) return;
    for (auto& upstream : idle_) upstream->close();
    idle_.clear();
    timer_.cancel();
    work_.reset();
}

void Loop::accept() {
    acceptor_.async_accept(io_, [this](const error_code& error, Socket socket) {
        if (!acceptor_.is_open()) return;
        if (error) {
            // Out of descriptors, or the client has left again: the next tick goes on.
            accept_paused_ = true;
            return;
        }
        admit_socket(std::move(socket));
        accept();
    });
}

void Loop::admit_socket(Socket socket) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    Counters::add(counters_.connections_total);
    if (connections_.size() >= most_connections_) {
        const auto answer = render(Refusal{503, "too-many-connections",
                                           "The local proxy of dbx-agents has too many connections.", true,
                                           std::chrono::seconds(1)},
                                   Dialect::openai, false, true);
        socket.write_some(asio::buffer(answer), ignored);
        Counters::add(counters_.turned_away);
        return;
    }
    Counters::add(counters_.connections);
    auto connection = std::make_shared<ClientConnection>(*this, std::move(socket));
    connections_.emplace(connection.get(), connection);
    connection->start();
}

void Loop::forget(ClientConnection& connection) {
    if (connections_.erase(&connection) == 0) return;
    Counters::subtract(counters_.connections);
    end_if_drained();
}

void Loop::tick() {
    timer_.expires_after(tick_every);
    timer_.async_wait([this](const error_code& error) {
        if (error) return;
        now_ = std::chrono::steady_clock::now();
        if (accept_paused_ && acceptor_.is_open()) {
            accept_paused_ = false;
            accept();
        }
        std::vector<std::shared_ptr<ClientConnection>> late;
        for (const auto& [raw, connection] : connections_)
            if (connection->is_late(now_)) late.push_back(connection);
        for (const auto& connection : late) connection->too_late();
        std::erase_if(handshaking_, [&](const auto& one) {
            const auto upstream = one.first.lock();
            if (upstream && one.second > now_) return false;
            // One that came through in time is in use or in idle_; closing is only for those that did not.
            if (upstream && upstream->in_handshake()) upstream->close();
            return true;
        });
        const auto old = [&](const std::shared_ptr<Upstream>& upstream) {
            if (now_ - upstream->idle_since < idle_upstream) return false;
            upstream->close();
            return true;
        };
        std::erase_if(idle_, old);
        blocks_.trim();
        if (!(draining_ && connections_.empty())) tick();
    });
}

std::shared_ptr<Upstream> Loop::take_idle(const std::shared_ptr<const Endpoint>& endpoint) {
    // The one used last: it is the least likely to be closed by the other side.
    for (auto i = idle_.size(); i-- > 0;) {
        if (idle_[i]->endpoint() != endpoint && *idle_[i]->endpoint() != *endpoint) continue;
        auto upstream = std::move(idle_[i]);
        idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
        upstream->idle_ended = nullptr;
        return upstream;
    }
    return nullptr;
}

void Loop::open(const std::shared_ptr<const Endpoint>& endpoint, const std::shared_ptr<LazyTls>& tls,
                std::function<void(tl::expected<std::shared_ptr<Upstream>, http::Failure>)> done) {
    // The connector answers on its own thread.
    shared_.connector.connect(
        endpoint->host, endpoint->port, endpoint->tls, connect_timeout,
        [this, endpoint, tls, done = std::move(done)](tl::expected<int, http::Failure> connected) mutable {
            std::shared_ptr<TlsContext> context;
            if (connected && endpoint->tls) {
                // Reading the certificates takes a while, the first time: not on the loop's thread.
                auto made = tls->get();
                if (made)
                    context = *made;
                else {
                    system::close_descriptor(*connected);
                    connected = tl::unexpected(http::Failure{http::NetworkProblem::tls, false,
                                                             made.error().what + ": " + made.error().why,
                                                             made.error().fix});
                }
            }
            post([this, endpoint, context = std::move(context), connected = std::move(connected),
                  done = std::move(done)]() mutable {
                if (!connected) {
                    done(tl::unexpected(connected.error()));
                    return;
                }
                Socket socket(io_);
                error_code error;
                // Which of the two families it is plays no role from here on.
                socket.assign(asio::ip::tcp::v4(), *connected, error);
                if (error) {
                    system::close_descriptor(*connected);
                    done(tl::unexpected(
                        http::Failure{http::NetworkProblem::other, false, error.message(), ""}));
                    return;
                }
                auto upstream = std::make_shared<Upstream>(std::move(socket), endpoint, counters_);
                if (endpoint->tls) handshaking_.emplace_back(upstream, now_ + handshake_timeout);
                auto* raw = upstream.get();
                raw->begin(std::move(context), [upstream = std::move(upstream), done = std::move(done)](
                                                   tl::expected<void, http::Failure> ready) {
                    if (ready)
                        done(upstream);
                    else {
                        upstream->close();
                        done(tl::unexpected(ready.error()));
                    }
                });
            });
        });
}

void Loop::give_back(std::shared_ptr<Upstream> upstream) {
    upstream->user = nullptr;
    if (draining_ || idle_.size() >= most_idle) {
        upstream->close();
        return;
    }
    upstream->reused = true;
    upstream->idle_since = now_;
    upstream->idle_ended = [this](Upstream& ended) {
        ended.close();
        std::erase_if(idle_, [&](const auto& one) { return one.get() == &ended; });
    };
    upstream->arm_read();
    idle_.push_back(std::move(upstream));
}

} // namespace dbx::proxy
