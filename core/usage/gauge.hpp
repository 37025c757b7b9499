#pragma once

#include "core/usage/limiter.hpp"
#include "core/usage/recent_minute.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::usage {

// What a request asks for.
struct Need {
    double tokens = 0;
    double usd = 0;
    bool priced = false;
};

// What a rule of the user came apart into: one number each, and how far it is used. Times that are handed in
// never go back. Internal to the limiter.
struct Gauge {
    using Kind = Limiter::Kind;
    using Seconds = std::chrono::duration<double>;

    std::string name;
    std::string where;
    std::string agent;
    std::string model;
    Kind kind = Kind::requests;
    double allowed = 0;

    // per minute
    double level = 0;                               // of the bucket; below 0: debt
    std::chrono::steady_clock::time_point filled{}; // when `level` was right
    RecentMinute recent;
    // concurrency
    double in_flight = 0;
    Seconds mean_duration{5}; // of a request; so long before any was seen
    // budgets
    Period period = Period::day;
    std::size_t budget = SIZE_MAX; // of Options::budgets
    PeriodBounds bounds{};
    double used = 0;
    double reserved = 0;
    std::uint64_t unpriced = 0;

    // of the line
    std::uint64_t blocked = 0; // those waiting for this one
    std::uint64_t refused = 0;
    std::uint64_t held = 0;

    bool is_per_minute() const { return kind == Kind::requests || kind == Kind::tokens; }
    bool is_budget() const { return kind == Kind::budget_tokens || kind == Kind::budget_usd; }
    // The same number of the same rule, however large it is now and whatever it is called.
    bool continues(const Gauge& before) const;
    // Goes on where that one stood (as of its refresh()): what was used stays used.
    void take_over(const Gauge& before);
    bool concerns(std::string_view whose, std::string_view which) const;
    bool counts(const Need& need) const { return kind != Kind::budget_usd || need.priced; }
    double amount_of(const Need& need) const;
    // What has to be free before it goes: more than there ever is goes when all is free, and leaves a debt.
    double entrance(const Need& need) const;

    // `utc_offset`: of the local time then.
    void refresh(Moment now, const std::function<std::chrono::seconds(system::WallTime)>& utc_offset);
    bool has_room(const Need& need) const; // as of refresh()
    // A budget that is really used up: no end of a running request brings anything back.
    bool is_spent() const;
    // Until so much is free, when nothing else goes meanwhile; nothing: not known.
    std::optional<Seconds> until_room(double needed, Moment now) const;

    void take(const Need& need, Moment now);
    // One that took `need` at `went`, in the period that began then, has ended.
    void settle(const Need& need, const Limiter::Spent& spent, std::chrono::steady_clock::time_point went,
                system::WallTime period_began, Moment now);
};

} // namespace dbx::usage
