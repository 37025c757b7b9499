#include "core/usage/gauge.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::usage {

namespace {

constexpr double seconds_per_minute = 60;
constexpr double one_request = 1;
constexpr double weight = 0.2; // of the newest in the running mean
// Sums of fractions: what is this near to enough is enough.
constexpr double hair = 1e-6;

} // namespace

bool Gauge::continues(const Gauge& before) const {
    return kind == before.kind && agent == before.agent && model == before.model && period == before.period;
}

void Gauge::take_over(const Gauge& before) {
    level = allowed - (before.allowed - before.level);
    filled = before.filled;
    recent = before.recent;
    in_flight = before.in_flight;
    mean_duration = before.mean_duration;
    bounds = before.bounds;
    used = before.used;
    reserved = before.reserved;
    unpriced = before.unpriced;
    refused = before.refused;
    held = before.held;
}

bool Gauge::concerns(std::string_view whose, std::string_view which) const {
    return (agent.empty() || glob_match(agent, whose)) && (model.empty() || glob_match(model, which));
}

double Gauge::amount_of(const Need& need) const {
    switch (kind) {
    case Kind::tokens:
    case Kind::budget_tokens:
        return need.tokens;
    case Kind::budget_usd:
        return need.usd;
    default:
        return one_request;
    }
}

double Gauge::entrance(const Need& need) const {
    return std::min(amount_of(need), allowed);
}

void Gauge::refresh(Moment now, const std::function<std::chrono::seconds(system::WallTime)>& utc_offset) {
    if (is_per_minute()) {
        recent.forget(now.steady);
        const double passed = Seconds(now.steady - filled).count();
        if (passed <= 0) return;
        level = std::min(allowed, level + passed * allowed / seconds_per_minute);
        filled = now.steady;
    } else if (is_budget() && now.wall >= bounds.end) {
        bounds = bounds_of(period, now.wall, utc_offset(now.wall));
        used = 0;
    }
}

bool Gauge::has_room(const Need& need) const {
    if (!counts(need)) return true;
    if (is_per_minute()) {
        const double needed = entrance(need);
        return level + hair >= needed && recent.sum() + needed <= allowed + hair;
    }
    if (is_budget()) return used + reserved + hair < allowed;
    return in_flight + one_request <= allowed;
}

bool Gauge::is_spent() const {
    return is_budget() && used + hair >= allowed;
}

std::optional<Gauge::Seconds> Gauge::until_room(double needed, Moment now) const {
    if (is_per_minute()) {
        const double per_second = allowed / seconds_per_minute;
        const Seconds paid(std::max(0.0, (needed - level) / per_second));
        const Seconds gone = recent.until(std::max(0.0, allowed - needed) + hair, now.steady);
        return std::max(paid, gone + Seconds(std::max(0.0, (needed - allowed) / per_second)));
    }
    if (is_budget()) return Seconds(bounds.end - now.wall);
    return std::nullopt;
}

void Gauge::take(const Need& need, Moment now) {
    if (!counts(need)) {
        ++unpriced;
        return;
    }
    const double amount = amount_of(need);
    if (is_per_minute()) {
        level -= amount;
        recent.add(now.steady, amount);
    } else if (is_budget()) {
        reserved += amount;
    } else {
        in_flight += one_request;
    }
}

void Gauge::settle(const Need& need, const Limiter::Spent& spent, std::chrono::steady_clock::time_point went,
                   system::WallTime period_began, Moment now) {
    switch (kind) {
    case Kind::requests:
    case Kind::line:
        break;
    case Kind::tokens: {
        const double more = static_cast<double>(spent.tokens) - need.tokens;
        level = std::min(allowed, level - more);
        if (more > 0)
            recent.add(now.steady, more);
        else
            recent.take_back(went, -more);
        break;
    }
    case Kind::concurrent:
        in_flight = std::max(0.0, in_flight - one_request);
        mean_duration += (Seconds(now.steady - went) - mean_duration) * weight;
        break;
    case Kind::budget_tokens:
    case Kind::budget_usd:
        if (counts(need)) reserved = std::max(0.0, reserved - amount_of(need));
        // A request counts in the period in which it began, as its row in the ledger does.
        if (period_began != bounds.begin) break;
        used += kind == Kind::budget_tokens ? static_cast<double>(spent.tokens) : spent.usd.value_or(0);
        break;
    }
}

} // namespace dbx::usage
