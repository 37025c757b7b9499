#pragma once

#include "core/http/client.hpp"
#include "core/otlp/amend.hpp"
#include "core/otlp/usage_metrics.hpp"
#include "core/proxy/relay_body.hpp"
#include "core/proxy/relay_verdict.hpp"
#include "core/proxy/spool.hpp"
#include "core/proxy/token_keeper.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace dbx::proxy {

// Where telemetry goes and what becomes of it on the way. A part of the Policy.
struct RelayPolicy {
    std::optional<otlp::Place> tables; // nothing: nobody named them
    std::string workspace;             // its URL, without a slash at its end; empty: unknown
    bool traces = false;               // whether the table of spans is wanted
    otlp::Amendments amendments;
    Spool::Bounds bounds;
    std::string extra_ca_file; // network.ca_file
    bool export_usage = false;
    std::chrono::milliseconds export_every{60'000};
};

class Relay;

// A body on its way in. What all of them hold is bounded.
class HeldBody {
  public:
    explicit HeldBody(Relay& relay)
        : relay_(relay) {}
    ~HeldBody();
    HeldBody(const HeldBody&) = delete;
    HeldBody& operator=(const HeldBody&) = delete;

    // False: there is no room for it now.
    bool append(std::string_view bytes);
    const std::string& bytes() const { return bytes_; }

  private:
    Relay& relay_;
    std::string bytes_;
};

// The agents' telemetry: taken in on a thread of its own (decode, convert, amend, into the spool), then
// acknowledged; sent to the workspace from the spool on another thread, in order per table. Any thread.
class Relay {
  public:
    struct Services {
        system::Path spool_root;
        const system::Clock& clock;
        // For one thread; gives a request up when `interrupted` says so.
        std::function<std::unique_ptr<http::HttpClient>(std::function<bool()> interrupted)> make_client;
        TokenKeeper& tokens;
        // One line, without secrets; any thread. `warn`: what has to be heard at every level.
        std::function<void(const std::string&)> log;
        std::function<void(const std::string&)> warn;
    };

    explicit Relay(Services services);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    // Takes in what has arrived, and sends for up to two seconds more, unless there is trouble; what is in
    // the spool then stays. Nothing of the relay runs after it; bodies that were still coming in may outlive
    // it.
    void end();

    // At the start and when the configuration was read anew: rejected batches get another try.
    void use(std::shared_ptr<const RelayPolicy> policy);

    struct Arrival {
        otlp::Signal signal = otlp::Signal::metrics;
        OtlpForm form;
        std::unique_ptr<HeldBody> body;
    };
    struct Answer {
        int status = 200;
        std::string_view name; // of a refusal
        std::string message;
    };
    // `done` is called once, on the relay's thread: with 200 when the batch is in the spool, and when it is
    // dropped for a reason that the agent can do nothing about (agents print or repeat what is refused); with
    // 400 or 413 when it cannot be read.
    void accept(Arrival arrival, std::function<void(Answer)> done);

    // A request that was turned away before its body was read.
    void count_refused(otlp::Signal signal);

    // What the ledger booked, for export_usage; nothing when that is off. Cheap.
    bool wants_usage() const { return wants_usage_.load(std::memory_order_relaxed); }
    void add_usage(const otlp::UsageRow& row);

    std::string status_json() const;  // an object
    std::string metrics_text() const; // Prometheus

  private:
    friend class HeldBody;

    using Steady = std::chrono::steady_clock::time_point;
    struct Count {
        std::atomic<std::uint64_t> accepted = 0;  // acknowledged, in the spool
        std::atomic<std::uint64_t> delivered = 0; // the workspace has it
        std::atomic<std::uint64_t> rejected = 0;  // by the workspace, set aside
        std::atomic<std::uint64_t> dropped = 0;   // lost, for a reason that was said
        std::atomic<std::uint64_t> refused = 0;   // 4xx to the agent
        std::atomic<std::uint64_t> unwanted = 0;  // traces without a table
        std::atomic<std::uint64_t> not_taken = 0; // points, records or spans of delivered ones
    };
    struct Queued {
        Arrival arrival;
        std::function<void(Answer)> done;
    };
    // The line to one table.
    struct Lane {
        Spool::Rejection rejection; // the last batch that the workspace did not take
        int attempts = 0;           // in a row that failed, for whatever reason
        int server_errors = 0;      // answers of 5xx to the batch in front
        Steady not_before = {};
        Spool::Rejection trouble; // why it waits
    };

    void take_in_all();
    Answer take_in(const Arrival& arrival);
    void drop(otlp::Signal signal, const std::string& why, std::uint64_t batches = 1);
    void say(const std::string& what, const std::string& line);

    void send_all();
    bool send_next(const RelayPolicy& policy, Spool& spool, otlp::Signal signal);
    Verdict send(const RelayPolicy& policy, otlp::Signal signal, const std::string& bytes, int answers);
    static void clear(Lane& lane); // all but the last rejection
    Result<Bearer> token(const Bearer& refused);
    void export_usage(bool last);
    bool is_over() const; // nothing more is sent
    void account_dropped(Spool& spool);

    std::pair<std::shared_ptr<const RelayPolicy>, std::shared_ptr<Spool>> now() const;
    Count& count(otlp::Signal signal) { return counts_[static_cast<std::size_t>(signal)]; }

    const Services services_;
    std::array<Count, otlp::all_signals.size()> counts_;
    std::atomic<std::size_t> held_bytes_ = 0;
    std::atomic<bool> wants_usage_ = false;
    std::atomic<Steady::rep> cut_at_; // when a request under way is given up
    std::unique_ptr<http::HttpClient> client_;

    mutable std::mutex guard_; // of what follows
    std::condition_variable arrived_;
    std::condition_variable wake_;
    std::shared_ptr<const RelayPolicy> policy_;
    std::shared_ptr<Spool> spool_;
    std::deque<Queued> queue_;
    bool no_more_ = false;
    bool stopping_ = false;
    bool look_now_ = false;     // something was put, or the policy is another one
    bool try_rejected_ = false; // the configuration is new
    std::array<Lane, otlp::all_signals.size()> lanes_;
    bool sends_ = false;
    std::string last_drop_;

    std::mutex said_guard_;
    std::map<std::string, Steady> said_;

    std::mutex usage_guard_;
    otlp::UsageMetrics usage_;
    system::WallTime usage_since_;
    Steady usage_due_ = {}; // the sender's own

    std::thread intake_; // last: they use the others
    std::thread sender_;
};

} // namespace dbx::proxy
