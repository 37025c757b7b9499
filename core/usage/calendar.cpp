#include "core/usage/calendar.hpp"

#include <ctime>

namespace dbx::usage {

PeriodBounds bounds_of(Period period, system::WallTime moment, std::chrono::seconds utc_offset) {
    using namespace std::chrono;
    const auto local = floor<days>(moment + utc_offset);
    sys_days first = local, next = local + days(1);
    if (period == Period::week) {
        first = local - (weekday(local) - Monday);
        next = first + days(7);
    } else if (period == Period::month) {
        const year_month_day date(local);
        first = sys_days(date.year() / date.month() / 1);
        next = sys_days((date.year() / date.month() + months(1)) / 1);
    }
    return {system::WallTime(first) - utc_offset, system::WallTime(next) - utc_offset};
}

std::chrono::seconds local_utc_offset(system::WallTime moment) {
    const std::time_t time = std::chrono::system_clock::to_time_t(moment);
    std::tm local{};
    if (::localtime_r(&time, &local) == nullptr) return std::chrono::seconds(0);
    return std::chrono::seconds(local.tm_gmtoff);
}

} // namespace dbx::usage
