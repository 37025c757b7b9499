#include "core/proxy/relay.hpp"

#include "core/base/strings.hpp"
#include "core/http/retry.hpp"
#include "core/otlp/json.hpp"

#include <algorithm>
#include <utility>

namespace dbx::proxy {

using otlp::Signal;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Bodies on their way in, of all connections.
constexpr std::size_t most_held_bytes = std::size_t{64} << 20U;
constexpr milliseconds request_time{30'000};
// Other proxies put batches into the folder, too; and the sender may end.
constexpr seconds look_every{2};
constexpr seconds end_grace{2};
constexpr seconds token_time{60};
// The same sentence again.
constexpr std::chrono::minutes say_every{10};

std::chrono::steady_clock::time_point steady_now() {
    return std::chrono::steady_clock::now();
}

std::uint64_t nanoseconds(system::WallTime time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

std::string in_words(const Error& error) {
    return error.what + (error.why.empty() ? "" : ": " + error.why);
}

} // namespace

// --- bodies on their way in

HeldBody::~HeldBody() {
    relay_.held_bytes_.fetch_sub(bytes_.size(), std::memory_order_relaxed);
}

bool HeldBody::append(std::string_view bytes) {
    const auto before = relay_.held_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (before + bytes.size() > most_held_bytes) {
        relay_.held_bytes_.fetch_sub(bytes.size(), std::memory_order_relaxed);
        return false;
    }
    bytes_ += bytes;
    return true;
}

// --- life

Relay::Relay(Services services)
    : services_(std::move(services))
    , cut_at_(Steady::max().time_since_epoch().count())
    , client_(services_.make_client([this] { return is_over(); }))
    , policy_(std::make_shared<const RelayPolicy>())
    , usage_since_(services_.clock.now())
    , intake_([this] { take_in_all(); })
    , sender_([this] { send_all(); }) {}

Relay::~Relay() {
    end();
}

void Relay::end() {
    if (!intake_.joinable()) return;
    {
        const std::lock_guard lock(guard_);
        no_more_ = true;
    }
    arrived_.notify_all();
    intake_.join();
    cut_at_.store((steady_now() + end_grace).time_since_epoch().count());
    {
        const std::lock_guard lock(guard_);
        stopping_ = true;
    }
    wake_.notify_all();
    sender_.join();
}

void Relay::use(std::shared_ptr<const RelayPolicy> policy) {
    std::shared_ptr<Spool> spool;
    {
        const std::lock_guard lock(guard_);
        spool = spool_;
    }
    client_->trust_also(policy->extra_ca_file);
    const auto path = services_.spool_root / spool_name(policy->workspace);
    const bool other = !spool || spool->path() != path;
    if (policy->workspace.empty())
        spool = nullptr;
    else if (other)
        spool = std::make_shared<Spool>(path, services_.clock);
    if (spool) {
        spool->set_bounds(policy->bounds);
        spool->look_again(); // what an earlier proxy left comes before what arrives now
    }
    wants_usage_.store(policy->export_usage, std::memory_order_relaxed);
    {
        const std::lock_guard lock(guard_);
        policy_ = std::move(policy);
        spool_ = std::move(spool);
        try_rejected_ = true;
        // A new token, other tables: worth a try at once.
        for (auto& lane : lanes_) {
            if (other) lane = Lane{}; // what another workspace did says nothing about this one
            lane.not_before = {};
        }
        look_now_ = true;
    }
    wake_.notify_all();
}

std::pair<std::shared_ptr<const RelayPolicy>, std::shared_ptr<Spool>> Relay::now() const {
    const std::lock_guard lock(guard_);
    return {policy_, spool_};
}

// Once, and again when it still holds after a while.
void Relay::say(const std::string& what, const std::string& line) {
    {
        const std::lock_guard lock(said_guard_);
        const auto time = steady_now();
        std::erase_if(said_, [&](const auto& one) { return time - one.second >= say_every; });
        if (!said_.emplace(what, time).second) return;
    }
    services_.warn(line);
}

void Relay::drop(Signal signal, const std::string& why, std::uint64_t batches) {
    {
        const std::lock_guard lock(guard_);
        last_drop_ = why;
    }
    count(signal).dropped.fetch_add(batches);
    say("drop " + why, "telemetry is dropped (" + std::string(otlp::name_of(signal)) + "): " + why);
}

// --- taking in

void Relay::accept(Arrival arrival, std::function<void(Answer)> done) {
    {
        const std::lock_guard lock(guard_);
        queue_.push_back({std::move(arrival), std::move(done)});
    }
    arrived_.notify_one();
}

void Relay::count_refused(Signal signal) {
    count(signal).refused.fetch_add(1);
}

void Relay::take_in_all() {
    while (true) {
        Queued next;
        {
            std::unique_lock lock(guard_);
            arrived_.wait(lock, [&] { return no_more_ || !queue_.empty(); });
            if (queue_.empty()) return;
            next = std::move(queue_.front());
            queue_.pop_front();
        }
        auto answer = take_in(next.arrival);
        if (answer.status != 200) {
            count_refused(next.arrival.signal);
            say("refused " + answer.message, "an agent's telemetry is refused: " + answer.message);
        }
        next.arrival.body.reset();
        next.done(std::move(answer));
    }
}

Relay::Answer Relay::take_in(const Arrival& arrival) {
    const auto [policy, spool] = now();
    const Signal signal = arrival.signal;
    // Gemini CLI sends traces although they are off in its settings (measured on 0.61).
    if (signal == Signal::traces && !policy->traces) {
        count(signal).unwanted.fetch_add(1);
        return {};
    }
    const auto unreadable = [](const Error& error) {
        const bool large = error.what == too_large;
        return Answer{large ? 413 : 400, large ? "too-large" : "bad-otlp",
                      "The batch of telemetry cannot be read: " + in_words(error) + "."};
    };
    auto body = decoded_body(arrival.form.coding, arrival.body->bytes());
    if (body && arrival.form.json) body = otlp::protobuf_from_json(signal, *body);
    if (body) body = otlp::amend(signal, *body, policy->amendments);
    if (!body) return unreadable(body.error());
    if (body->empty()) return {}; // nothing is in it
    if (!policy->tables) {
        drop(signal, "no tables are named: dbx-agents setup --all --otel CATALOG.SCHEMA.PREFIX");
        return {};
    }
    if (!spool) {
        drop(signal, "no workspace is known: start the proxy with --workspace");
        return {};
    }
    if (auto put = spool->put(signal, *body); !put) {
        drop(signal, in_words(put.error()));
        return {};
    }
    count(signal).accepted.fetch_add(1);
    account_dropped(*spool);
    {
        const std::lock_guard lock(guard_);
        look_now_ = true;
    }
    wake_.notify_all();
    return {};
}

void Relay::account_dropped(Spool& spool) {
    for (const auto& dropped : spool.take_dropped()) drop(dropped.signal, dropped.why, dropped.batches);
}

// --- sending

void Relay::send_all() {
    Steady next_look = steady_now() + look_every;
    bool last_export = false;
    while (true) {
        const auto [policy, spool] = now();
        bool ending = false;
        {
            const std::lock_guard lock(guard_);
            ending = stopping_;
        }
        export_usage(ending && !std::exchange(last_export, ending));
        bool sends = false;
        if (spool) {
            sends = spool->is_sender();
            if (steady_now() >= next_look) {
                spool->look_again();
                next_look = steady_now() + look_every;
            }
            bool again = false;
            {
                const std::lock_guard lock(guard_);
                if (sends) again = std::exchange(try_rejected_, false) || !sends_;
                sends_ = sends;
            }
            if (again && policy->tables) {
                if (const auto count = spool->try_rejected_again(); count > 0)
                    services_.log("rejected telemetry gets another try: " + std::to_string(count) +
                                  (count == 1 ? " batch" : " batches"));
            }
            if (sends) spool->expire();
            account_dropped(*spool);
        }
        bool sent = false;
        if (sends && policy->tables)
            for (const Signal signal : otlp::all_signals) sent = send_next(*policy, *spool, signal) || sent;
        // At the end what goes out without trouble still goes, as far as the time allows.
        if (ending && (!sent || is_over())) return;
        if (sent) continue;
        std::unique_lock lock(guard_);
        auto until = next_look;
        if (sends && policy->tables)
            for (const Signal signal : otlp::all_signals) {
                const auto& lane = lanes_[static_cast<std::size_t>(signal)];
                if (lane.attempts > 0) until = std::min(until, lane.not_before);
            }
        wake_.wait_until(lock, until, [&] { return stopping_ || std::exchange(look_now_, false); });
    }
}

bool Relay::is_over() const {
    return steady_now().time_since_epoch().count() >= cut_at_.load();
}

void Relay::clear(Lane& lane) {
    Lane fresh;
    fresh.rejection = std::move(lane.rejection);
    lane = std::move(fresh);
}

bool Relay::send_next(const RelayPolicy& policy, Spool& spool, Signal signal) {
    auto& lane = lanes_[static_cast<std::size_t>(signal)]; // written by this thread and by use()
    int server_errors = 0;
    {
        const std::lock_guard lock(guard_);
        if (is_over() || lane.not_before > steady_now()) return false;
        server_errors = lane.server_errors;
    }
    const auto batch = spool.first(signal);
    if (!batch) {
        // What waited is gone, by age or to another proxy: nobody waits for its next try.
        const std::lock_guard lock(guard_);
        clear(lane);
        return false;
    }
    const auto bytes = spool.read(*batch);
    if (!bytes) {
        account_dropped(spool);
        return true;
    }
    auto verdict = send(policy, signal, *bytes, server_errors + 1);
    const std::string name(otlp::name_of(signal));
    auto& counted = count(signal);
    switch (verdict.kind) {
    case Verdict::Kind::delivered:
        spool.remove(*batch);
        counted.delivered.fetch_add(1);
        if (verdict.not_taken > 0) {
            counted.not_taken.fetch_add(verdict.not_taken);
            say("not taken " + verdict.not_taken_why,
                "the workspace did not take " + std::to_string(verdict.not_taken) + " items of " + name +
                    (verdict.not_taken_why.empty() ? "" : ": " + verdict.not_taken_why));
        }
        break;
    case Verdict::Kind::aside:
        verdict.why.table = policy.tables->table_name(signal);
        spool.set_aside(*batch, verdict.why);
        {
            const std::lock_guard lock(guard_);
            lanes_[static_cast<std::size_t>(signal)].rejection = verdict.why;
        }
        counted.rejected.fetch_add(1);
        say("aside " + name + verdict.why.why, "a batch of " + name + " was rejected and set aside: " +
                                                   verdict.why.why + " (dbx-agents doctor tells more)");
        break;
    case Verdict::Kind::new_token:
    case Verdict::Kind::later: {
        spool.release(signal);
        bool first = false;
        {
            const std::lock_guard lock(guard_);
            // Read again meanwhile: what the old configuration met delays nothing.
            if (policy_.get() != &policy) return true;
            ++lane.attempts;
            // A server that is away says nothing about the batch.
            const int status = verdict.why.status;
            if (status >= 500 && status != 502 && status != 503 && status != 504) ++lane.server_errors;
            lane.not_before =
                steady_now() + wait_after(lane.attempts, verdict.asked, http::RealPacer().random());
            first = lane.trouble.why.empty();
            lane.trouble = verdict.why;
        }
        if (first) services_.log("telemetry waits (" + name + "): " + verdict.why.why);
        return true;
    }
    }
    bool waited = false;
    {
        const std::lock_guard lock(guard_);
        waited = !lane.trouble.why.empty();
        clear(lane);
    }
    if (waited && verdict.kind == Verdict::Kind::delivered)
        services_.log("telemetry goes out again (" + name + ")");
    return true;
}

Verdict Relay::send(const RelayPolicy& policy, Signal signal, const std::string& bytes, int answers) {
    http::Request request;
    request.method = "POST";
    request.url = policy.workspace + "/api/2.0/otel/v1/" + std::string(otlp::name_of(signal));
    request.headers = {{"Content-Type", "application/x-protobuf"},
                       {"X-Databricks-UC-Table-Name", policy.tables->table_name(signal)}};
    request.body = bytes;
    request.timeout = request_time;
    request.response_limit_bytes = std::size_t{1} << 20U;
    Bearer refused;
    for (int tries = 0;; ++tries) {
        const auto bearer = token(refused);
        if (!bearer || *bearer == refused) {
            Verdict verdict;
            verdict.kind = Verdict::Kind::new_token;
            if (bearer)
                verdict.why = {401,
                               "the workspace refuses the token, and there is no other one",
                               "see which credential is used: dbx-agents auth status",
                               {}};
            else
                verdict.why = {0, "there is no token: " + in_words(bearer.error()), bearer.error().fix, {}};
            return verdict;
        }
        request.authorization = **bearer;
        const auto response = client_->send(request);
        if (!response) return judge(response.error(), request.url);
        auto verdict = judge(*response, answers, services_.clock.now());
        if (verdict.kind != Verdict::Kind::new_token || tries > 0) return verdict;
        refused = *bearer;
    }
}

// The token at hand; another one than the refused one, if there is one. Waits for a fetch.
Result<Bearer> Relay::token(const Bearer& refused) {
    if (!refused)
        if (auto bearer = services_.tokens.current()) return bearer;
    struct Waiting {
        std::mutex guard;
        std::condition_variable wake;
        std::optional<Result<Bearer>> got;
    };
    const auto waiting = std::make_shared<Waiting>();
    services_.tokens.ask(refused, [waiting](Result<Bearer> got) {
        const std::lock_guard lock(waiting->guard);
        waiting->got = std::move(got);
        waiting->wake.notify_all();
    });
    const auto end = steady_now() + token_time;
    std::unique_lock lock(waiting->guard);
    while (!waiting->got) {
        waiting->wake.wait_for(lock, milliseconds(200));
        if (steady_now() >= end || is_over()) return fail(ErrorKind::timeout, "no token came in time");
    }
    return *waiting->got;
}

// --- the proxy's own usage

void Relay::add_usage(const otlp::UsageRow& row) {
    const std::lock_guard lock(usage_guard_);
    usage_.add(row);
}

void Relay::export_usage(bool last) {
    const auto [policy, spool] = now();
    if (!policy->export_usage && !last) return;
    const auto time = steady_now();
    if (usage_due_ == Steady{}) usage_due_ = time + policy->export_every;
    if (!last && time < usage_due_) return;
    usage_due_ = time + policy->export_every;
    std::string batch;
    {
        const std::lock_guard lock(usage_guard_);
        const auto end = services_.clock.now();
        batch = usage_.encode(nanoseconds(usage_since_), nanoseconds(end),
                              {{"service.name", "dbx-agents"}, {"service.version", DBX_VERSION}});
        usage_.clear();
        usage_since_ = end;
    }
    if (batch.empty()) return;
    constexpr Signal signal = Signal::metrics;
    if (!policy->tables || !spool) {
        drop(signal, "proxy.export_usage is on, but no tables or no workspace are named");
        return;
    }
    auto amended = otlp::amend(signal, batch, policy->amendments);
    if (!amended) {
        drop(signal, in_words(amended.error()));
        return;
    }
    if (auto put = spool->put(signal, *amended); !put) {
        drop(signal, in_words(put.error()));
        return;
    }
    count(signal).accepted.fetch_add(1);
    account_dropped(*spool);
}

} // namespace dbx::proxy
