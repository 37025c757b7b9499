#include "core/proxy/server.hpp"

#include "core/proxy/loop.hpp"
#include "core/proxy/status.hpp"

#include <boost/asio/signal_set.hpp>
#include <nlohmann/json.hpp>

#include <csignal>
#include <thread>

namespace dbx::proxy {

namespace {

constexpr std::chrono::seconds look_every{2};

} // namespace

struct Server::State {
    ServerOptions options;
    ServerServices services;
    int port = 0;

    // The order matters: what answers on threads of its own ends before the loops that it answers to.
    asio::io_context control{1};
    asio::signal_set signals{control};
    std::unique_ptr<Relay>
        relay; // before the loops: bodies that come in on their connections are counted in it
    std::vector<std::unique_ptr<Loop>> loops;
    std::unique_ptr<TokenKeeper> tokens;
    std::unique_ptr<http::Connector> connector;
    std::vector<std::thread> threads;
    const std::shared_ptr<Limits> limits = std::make_shared<Limits>();

    State(ServerOptions given, ServerServices handed)
        : options(std::move(given))
        , services(std::move(handed)) {
        limits->wake = [this](std::chrono::steady_clock::time_point at) {
            asio::post(control, [this, at] {
                auto timer = std::make_shared<asio::steady_timer>(control, at);
                timer->async_wait([this, timer](const error_code& error) {
                    if (!error) limits->run();
                });
            });
        };
    }

    ~State() {
        for (auto& loop : loops) loop->stop();
        for (auto& thread : threads) thread.join();
        if (relay) relay->end();
        // A token that is just being fetched is not waited for.
        const system::InterruptGuard guard;
        system::InterruptGuard::interrupt();
        tokens.reset();
        // The ledger tells its commits to the loops: they live until it has told the last one.
        if (services.ledger != nullptr) services.ledger->flush();
    }

    std::vector<const Counters*> counters() const {
        std::vector<const Counters*> all;
        for (const auto& loop : loops) all.push_back(&loop->counters());
        return all;
    }

    // What the limits count goes on; a new budget starts from what the ledger knows.
    void use(std::shared_ptr<Policy> fresh) {
        limits->use(std::move(fresh->rules), [this](const usage::BudgetRule& rule, system::WallTime begin) {
            std::optional<usage::Totals> used;
            if (services.ledger == nullptr) return used;
            auto read = services.ledger->since(begin, {rule.agent, rule.model});
            if (read)
                used = *read;
            else
                services.warn("a budget starts from zero: " + read.error().what);
            return used;
        });
        fresh->limits = limits;
        relay->use(fresh->relay);
        for (auto& loop : loops) loop->set_policy(fresh);
    }

    std::string page(Page which) const {
        if (which == Page::metrics) return metrics_text(counters()) + relay->metrics_text();
        nlohmann::json token = {{"ready", tokens->current() != nullptr},
                                {"fetched", tokens->fetched()},
                                {"problem", tokens->last_problem()}};
        std::string members = services.about() + ",\"token\":" +
                              token.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        members += ",\"limits\":" + limits_json(limits->levels());
        members += ",\"ledger\":" + (services.ledger != nullptr ? ledger_json(services.ledger->status())
                                                                : std::string("null"));
        members += ",\"telemetry\":" + relay->status_json();
        return status_json(counters(), members);
    }

    void reload(const std::string& why) {
        auto policy = services.read_policy(port);
        if (!policy) {
            const auto& error = policy.error();
            services.warn("the new configuration cannot be used, the old one stays: " + error.what +
                          (error.why.empty() ? "" : ": " + error.why));
            return;
        }
        use(std::move(*policy));
        services.log("configuration read again (" + why + ")");
    }
};

Server::Server(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

Server::~Server() = default;

int Server::port() const {
    return state_->port;
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, ServerServices services) {
    auto state = std::make_unique<State>(std::move(options), std::move(services));
    auto& it = *state;
    // Before anybody is told that we are here, and before the first child process.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        error_code ignored;
        it.signals.add(signal, ignored);
    }
    it.connector = std::make_unique<http::Connector>(it.services.client);
    it.tokens = std::make_unique<TokenKeeper>(it.services.get_token, it.services.clock);
    it.relay = std::make_unique<Relay>(
        Relay::Services{it.services.spool_root, it.services.clock,
                        [options = it.services.client](std::function<bool()> interrupted) mutable {
                            options.interrupted = std::move(interrupted);
                            return std::make_unique<http::CurlClient>(std::move(options));
                        },
                        *it.tokens, it.services.log, it.services.warn});
    const Shared shared{*it.connector,     *it.tokens,
                        *it.relay,         [&it](Page which) { return it.page(which); },
                        it.services.log,   it.options.log_requests,
                        it.services.ledger};
    const auto nothing = std::make_shared<const Policy>();
    const int count = std::max(1, it.options.threads);
    for (int i = 0; i < count; ++i) {
        auto loop = std::make_unique<Loop>(shared, nothing,
                                           it.options.most_connections / static_cast<std::size_t>(count));
        const auto port = loop->listen(it.options.bind, i == 0 ? it.options.port : it.port, count > 1);
        if (!port) return fail(port.error());
        it.port = *port;
        it.loops.push_back(std::move(loop));
    }
    // The names under which we answer hold the port, so the policy comes after it.
    auto policy = it.services.read_policy(it.port);
    if (!policy) return fail(policy.error());
    it.use(std::move(*policy));
    return std::unique_ptr<Server>(new Server(std::move(state)));
}

void Server::run() {
    auto& it = *state_;

    asio::steady_timer timer(it.control);
    asio::steady_timer watch(it.control);
    bool draining = false;
    std::size_t running = it.loops.size();

    for (auto& loop : it.loops) {
        it.threads.emplace_back([&it, &running, raw = loop.get()] {
            raw->run();
            asio::post(it.control, [&it, &running] {
                if (--running == 0) it.control.stop();
            });
        });
    }
    const auto stop = [&] {
        for (auto& loop : it.loops) loop->stop();
    };
    std::function<void()> wait_for_signal = [&] {
        it.signals.async_wait([&](const error_code& error, int signal) {
            if (error) return;
            if (signal == SIGHUP) {
                it.reload("SIGHUP");
            } else if (draining) {
                it.services.log("ending at once");
                stop();
            } else {
                draining = true;
                it.services.log("no new requests; waiting up to " + std::to_string(it.options.drain.count()) +
                                " s for those under way");
                for (auto& loop : it.loops) loop->begin_drain();
                it.services.listener_closed();
                timer.expires_after(it.options.drain);
                timer.async_wait([&](const error_code& cancelled) {
                    if (cancelled) return;
                    it.services.log("the time is over: requests under way are cut");
                    stop();
                });
            }
            wait_for_signal();
        });
    };
    std::function<void()> look = [&] {
        watch.expires_after(look_every);
        watch.async_wait([&](const error_code& error) {
            if (error) return;
            if (it.services.policy_changed && it.services.policy_changed()) it.reload("a file has changed");
            look();
        });
    };
    wait_for_signal();
    look();
    it.control.run();
}

} // namespace dbx::proxy
