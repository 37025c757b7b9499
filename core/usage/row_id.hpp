#pragma once

#include "core/system/environment.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

// The id of a row says when its request began, so that rows lie in the file in the order of time: a report,
// the newest rows and old ones to delete are ranges of the table itself, and a commit has no index to write.
//   42 bits   milliseconds since 1970, UTC (until 2109)
//   11 bits   the proxy: its number in the table `proxies`, modulo 2048
//   10 bits   counts up within a millisecond
namespace dbx::usage {

inline constexpr int row_id_bits = 21;
inline constexpr int row_id_count_bits = 10;

// The least id of a request that began then.
inline std::int64_t first_row_id(system::WallTime time) {
    constexpr std::int64_t most = (std::int64_t{1} << (63 - row_id_bits)) - 1;
    const std::int64_t ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    return std::clamp<std::int64_t>(ms, 0, most) << row_id_bits;
}

// The id after `last` of the same proxy. A clock that was set back does not make it smaller.
inline std::int64_t next_row_id(std::int64_t last, system::WallTime began, std::uint32_t proxy) {
    constexpr std::uint32_t proxies = 1U << (row_id_bits - row_id_count_bits);
    return std::max(last + 1, first_row_id(began) + (std::int64_t{proxy % proxies} << row_id_count_bits));
}

} // namespace dbx::usage
