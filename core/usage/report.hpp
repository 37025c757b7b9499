#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"
#include "core/usage/ledger.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::usage {

// Times by their size, each within 4 %: constant memory for any number of rows.
class Histogram {
  public:
    void add(double milliseconds) { add_to(bucket_of(milliseconds)); }
    void add(const Histogram& other);
    // The two halves of add(), for one time in several histograms.
    static std::size_t bucket_of(double milliseconds);
    void add_to(std::size_t bucket) {
        ++counts_[bucket];
        ++total_;
    }
    // In milliseconds; nothing when it is empty. `share`: 0.5 for the median.
    std::optional<double> quantile(double share) const;

  private:
    static constexpr std::size_t per_octave = 16;
    static constexpr std::size_t size = 32 * per_octave; // 1/64 ms to a year
    std::array<std::uint32_t, size> counts_{};
    std::uint64_t total_ = 0;
};

enum class Dimension : std::uint8_t { agent, model, day, status };
// Error: an unknown word (kind usage, with the nearest).
Result<std::vector<Dimension>> parse_dimensions(std::string_view words);
std::string_view name_of(Dimension dimension);

// Rows that have the same values in the dimensions of a report. Days are local dates ("2026-11-21").
struct Group {
    std::vector<std::string> keys;
    Totals totals;
    std::uint64_t partial = 0;
    Histogram first_byte;
    Histogram total_time;
};
struct Report {
    std::vector<Dimension> by;
    std::vector<Group> groups; // sorted by their keys
    Group total;
};

struct ReportQuery {
    std::optional<system::WallTime> since; // inclusive
    std::optional<system::WallTime> until; // exclusive
    Filter filter;
    std::function<std::chrono::seconds(system::WallTime)> utc_offset; // of the local time
};

// One report for each list of dimensions, from one pass over the rows. Errors: as open_for_reading; a missing
// file is one of kind file.
Result<std::vector<Report>> make_reports(const system::Path& ledger, system::FileSystem& files,
                                         const ReportQuery& query,
                                         const std::vector<std::vector<Dimension>>& groupings);

// One row.
struct Recent {
    std::int64_t id = 0;
    system::WallTime started_at;
    std::string agent;
    std::string model;
    int status = 0;
    std::string error_class;
    Totals totals;
    bool partial = false;
    std::optional<double> first_byte_ms;
    double total_ms = 0;
    double queued_ms = 0;
};
// The newest rows, the newest first.
Result<std::vector<Recent>> recent_rows(const system::Path& ledger, system::FileSystem& files,
                                        const Filter& filter, std::size_t count);

// "7d", "12h", "today", "yesterday", "2026-11-01", "2026-11-01T18:30": a moment, in local time. Error: kind
// usage.
Result<system::WallTime>
parse_moment(std::string_view text, system::WallTime now,
             const std::function<std::chrono::seconds(system::WallTime)>& utc_offset);

// "2026-11-21"
std::string local_date(system::WallTime time, std::chrono::seconds utc_offset);

// One self-contained page (no network): tokens per day by model, cost, latency, errors, a sortable table.
// `daily` is grouped by day, agent and model, `days` by day, `models` by agent and model.
struct Page {
    std::string from;
    std::string to;
    std::string made; // local time
    std::string version;
};
std::string html_page(const Page& page, const Report& daily, const Report& days, const Report& models);

} // namespace dbx::usage
