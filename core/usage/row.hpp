#pragma once

#include "core/system/environment.hpp"
#include "core/usage/meter.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::usage {

// What is known when a request is accepted.
struct Begin {
    system::WallTime started_at;
    std::string_view agent;   // "claude"; of the local key
    std::string_view dialect; // name_of(Dialect)
    std::string_view route;   // Route::name
    std::string_view model_asked;
};

// One request: a row of the table `requests`. No bodies, no prompts, no values of headers.
struct Row {
    system::WallTime started_at;
    std::string agent;
    std::string dialect;
    std::string route;
    std::string model_asked; // as the client wrote it, before a model map
    int status = 0;          // what the client got; 0: nothing
    // Why it failed, if it did: Usage::error_class, or the proxy's own word ("limit", "client_gone",
    // "upstream_cut", "upstream_unreachable", "timeout", "killed").
    std::string error_class;
    bool streamed = false;
    Usage usage;                    // also model_answered
    std::optional<double> cost_usd; // absent: unpriced
    std::string price;              // the price it was booked at (PriceBook)
    std::chrono::microseconds queued{0};
    std::optional<std::chrono::microseconds> first_byte; // of the answer's body, from started_at
    std::chrono::microseconds total{0};
    std::string limit_hit; // the limit that held or refused it
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::string upstream_request_id;
};

} // namespace dbx::usage
