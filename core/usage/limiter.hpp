#pragma once

#include "core/state/settings.hpp"
#include "core/system/environment.hpp"
#include "core/usage/calendar.hpp"
#include "core/usage/ledger.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::usage {

// The time, handed in: nothing here asks a clock.
struct Moment {
    std::chrono::steady_clock::time_point steady;
    system::WallTime wall;
};

// A [[proxy.limit]]. Each number that is there is a limit of its own.
struct LimitRule {
    std::string name;  // "limit 1", or what the user calls it
    std::string where; // "~/.config/dbx-agents/config.toml:12", "--rpm": for messages
    std::string agent; // globs; empty: all
    std::string model;
    std::optional<double> requests_per_minute;
    std::optional<double> tokens_per_minute;
    std::optional<std::uint32_t> concurrent;
};

// A [[proxy.budget]]: calendar days, weeks (from Monday) and months of the local time.
struct BudgetRule {
    std::string name;
    std::string where;
    std::string agent;
    std::string model;
    Period period = Period::day;
    std::optional<double> tokens;
    std::optional<double> usd;
};

// Requests and tokens per minute, concurrency and budgets over one proxy; arithmetic only.
//
// In no 60 seconds does more go than a minute's number, and nobody waits who would not exceed it: what went
// in the last 60 seconds is known exactly (RecentMinute). A request takes an estimate of its tokens when it
// goes and is settled on what it used; what it used more counts when it is known. That may leave a debt,
// which a bucket keeps: it holds a minute's number, refills evenly and has to have room as well, so that in
// the long run no more goes than the number per minute, however wrong the estimates are. What alone is more
// than a minute's number goes when nothing else did.
//
// Not thread-safe: one mutex around it; a call takes a few microseconds at most (run() more, with long
// lines).
class Limiter {
  public:
    struct Options {
        std::vector<LimitRule> limits;
        std::vector<BudgetRule> budgets;
        std::chrono::milliseconds hold{30'000};
        std::size_t line = 1'024; // waiting requests in all; more are refused at once
        std::function<std::chrono::seconds(system::WallTime)> utc_offset = local_utc_offset;
    };

    // A request that generates. `input_bytes`: size of the body; `output_cap`: the client's max_tokens.
    struct Ask {
        std::string_view agent;
        std::string_view model;
        std::uint64_t input_bytes = 0;
        std::optional<std::uint64_t> output_cap;
        // Of the model, per token (for USD budgets); absent: unpriced, does not count there.
        std::optional<double> usd_per_token;
    };

    enum class Kind : std::uint8_t { requests, tokens, concurrent, budget_tokens, budget_usd, line };
    struct Refusal {
        std::string limit; // the rule's name
        std::string where;
        Kind kind = Kind::requests;
        double allowed = 0;                        // the rule's number
        Period period = Period::day;               // of budgets
        std::chrono::milliseconds retry_after{0};  // at least 1 s
        std::optional<system::WallTime> resets_at; // of budgets
        // "limit 1: 60 requests per minute (~/.config/…/config.toml:12)"
        std::string in_words() const;
    };

    using TicketId = std::uint64_t;
    enum class Decision : std::uint8_t { go, wait, refuse };
    struct Verdict {
        Decision decision = Decision::go;
        TicketId ticket = 0;            // go: to settle; wait: to be told by run(); refuse: 0
        std::optional<Refusal> refusal; // refuse: why; wait: what it waits for
    };
    // What became of one that waited: go or refuse (its hold is over).
    struct Released {
        TicketId ticket = 0;
        Decision decision = Decision::go;
        std::chrono::milliseconds waited{0};
        std::string limit; // what it waited for last
        std::optional<Refusal> refusal;
    };

    explicit Limiter(Options options, Moment now);
    ~Limiter();
    Limiter(const Limiter&) = delete;
    Limiter& operator=(const Limiter&) = delete;

    // Other rules from now on (the configuration was read again). A rule whose agent, model and kind stay
    // goes on where it stood, with its new number; in a new one, requests under way count as if they went
    // now. Those who wait do so by the new rules: call run(). The indices, in options.budgets, of budgets
    // that were not there before: see restore().
    std::vector<std::size_t> change_rules(Options options, Moment now);

    // Whether there is any rule at all; without one admit() always says go with ticket 0.
    bool empty() const;

    // Nobody overtakes those who wait for the same rule.
    Verdict admit(const Ask& ask, Moment now);

    // Lets those go whose time has come and refuses those whose hold is over; agents take turns, each agent's
    // own in order. Call it at next_wakeup() and after each settle().
    std::vector<Released> run(Moment now);
    // Nothing while nobody waits. Never later than the first hold's end.
    std::optional<std::chrono::steady_clock::time_point> next_wakeup() const;

    // A waiting client went away. False: it does not wait (any more).
    bool cancel(TicketId ticket, Moment now);

    // A request that went has ended, however; `usd` absent: unpriced. Exactly once per go. Unknown tickets
    // and 0 are ignored.
    struct Spent {
        std::uint64_t tokens = 0; // Usage::counted(), or the estimate of what was seen
        std::optional<double> usd;
        // What the running means learn from; absent when the answer told no counts.
        std::optional<std::uint64_t> input; // with cache writes, without cache reads
        std::optional<std::uint64_t> output;
    };
    void settle(TicketId ticket, const Spent& spent, Moment now);

    // A new budget, by its index in Options::budgets: its rule, when its period began, and what was used
    // since then.
    const BudgetRule& budget(std::size_t index) const;
    system::WallTime budget_begin(std::size_t budget, Moment now) const;
    void restore(std::size_t budget, const Totals& used);

    // For /status. One per number of a rule.
    struct Level {
        std::string limit;
        std::string where;
        std::string agent;
        std::string model;
        Kind kind = Kind::requests;
        Period period = Period::day;
        double allowed = 0;
        double used = 0; // of the bucket, now in flight, or of the budget; may be above `allowed` (debt)
        std::uint64_t waiting = 0;
        std::uint64_t refused = 0;             // since the start
        std::uint64_t held = 0;                // since the start
        std::uint64_t unpriced = 0;            // requests that a USD budget could not count
        std::chrono::milliseconds frees_in{0}; // until there is room again; 0: there is, or it is not known
        std::optional<system::WallTime> resets_at;
    };
    std::vector<Level> levels(Moment now) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The rules of the user's configuration and of the organisation's: all of them apply. A [[proxy.budget]]
// with several numbers becomes several rules. Names are "limit 1", "budget 2" in the order of the file, or
// the entry's `name`. Error: a number that is none or not above 0, an entry without a number (kind usage,
// with file and line).
struct Rules {
    std::vector<LimitRule> limits;
    std::vector<BudgetRule> budgets;
};
Result<Rules> load_rules(const state::Settings& settings);

} // namespace dbx::usage
