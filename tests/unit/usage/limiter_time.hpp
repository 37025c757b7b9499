// A clock that the test moves, and short ways to write rules and requests.
#pragma once

#include "core/usage/limiter.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace dbx::usage {

using namespace std::chrono_literals;

using Steady = std::chrono::steady_clock;

// A clock that the test moves.
struct Time {
    std::chrono::microseconds passed{0};
    // Saturday, 2026-11-21 22:00 UTC
    system::WallTime start = system::WallTime(std::chrono::seconds(1'795'298'400));
    Moment now() const { return {Steady::time_point(1h) + passed, start + passed}; }
};

inline LimitRule requests(double number, std::string agent = "", std::string model = "") {
    LimitRule rule;
    rule.name = "limit 1";
    rule.where = "config.toml:3";
    rule.agent = std::move(agent);
    rule.model = std::move(model);
    rule.requests_per_minute = number;
    return rule;
}

inline Limiter::Options with(std::vector<LimitRule> limits, std::chrono::milliseconds hold = 30s) {
    Limiter::Options options;
    options.limits = std::move(limits);
    options.hold = hold;
    options.utc_offset = [](system::WallTime) { return 0s; };
    return options;
}

inline Limiter::Ask ask(std::string_view agent, std::string_view model = "m", std::uint64_t bytes = 0) {
    return {agent, model, bytes, 0, std::nullopt};
}

using Decision = Limiter::Decision;

} // namespace dbx::usage
