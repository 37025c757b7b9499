#pragma once

#include "core/system/environment.hpp"

#include <chrono>
#include <cstdint>

namespace dbx::usage {

enum class Period : std::uint8_t { day, week, month };

// The calendar period around a moment: days, weeks from Monday, months of the local time. `utc_offset` is
// that of the local time then.
struct PeriodBounds {
    system::WallTime begin;
    system::WallTime end;
};
PeriodBounds bounds_of(Period period, system::WallTime moment, std::chrono::seconds utc_offset);
std::chrono::seconds local_utc_offset(system::WallTime moment);

} // namespace dbx::usage
