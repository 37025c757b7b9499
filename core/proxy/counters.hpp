#pragma once

#include <atomic>
#include <cstdint>

namespace dbx::proxy {

// What one loop counts. Written by its thread, read by any.
struct Counters {
    using Count = std::atomic<std::uint64_t>;
    Count connections = 0;       // open now
    Count connections_total = 0; //
    Count active = 0;            // accepted requests under way
    Count accepted = 0;          // key, Host, path and framing were good
    Count turned_away = 0;       // they were not
    Count answered_2xx = 0;
    Count answered_4xx = 0;
    Count answered_5xx = 0;
    Count limited = 0;              // refused by a limit
    Count aborted = 0;              // the client left
    Count upstream_failed = 0;      // no answer, or a cut one
    Count upstream_connections = 0; // open now, idle ones too
    Count token_retries = 0;        // sent again with a new token
    Count bytes_in = 0;             // bodies, from the clients
    Count bytes_out = 0;            // bodies, to the clients

    // One thread writes: no locked instruction.
    static void add(Count& count, std::uint64_t by = 1) {
        count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    static void subtract(Count& count) { add(count, ~std::uint64_t{0}); }
};

} // namespace dbx::proxy
