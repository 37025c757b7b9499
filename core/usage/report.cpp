#include "core/usage/report.hpp"

#include "core/base/strings.hpp"
#include "core/usage/calendar.hpp"
#include "core/usage/ledger_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <unordered_map>

namespace dbx::usage {

namespace {

constexpr double smallest_ms = 1.0 / 64;

std::int64_t milliseconds(system::WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

bool matches(const Filter& filter, std::string_view agent, std::string_view model) {
    return (filter.agent.empty() || glob_match(filter.agent, agent)) &&
           (filter.model.empty() || glob_match(filter.model, model));
}

// Dates of moments that mostly are near each other.
class Dates {
  public:
    explicit Dates(const std::function<std::chrono::seconds(system::WallTime)>& utc_offset)
        : utc_offset_(utc_offset) {}
    const std::string& of(std::int64_t started_ms) {
        // A quarter of an hour: the least step in which zones differ.
        const auto quarter = started_ms / 900'000;
        if (quarter != quarter_) {
            quarter_ = quarter;
            const system::WallTime time{std::chrono::milliseconds(started_ms)};
            date_ = local_date(time, utc_offset_(time));
        }
        return date_;
    }

  private:
    const std::function<std::chrono::seconds(system::WallTime)>& utc_offset_;
    std::int64_t quarter_ = INT64_MIN;
    std::string date_;
};

struct Grouping {
    Report report;
    std::unordered_map<std::string, std::size_t> places; // of joined keys
    std::string joined;
    std::size_t last = SIZE_MAX; // neighbours are often of one group
    std::string last_joined;
};

tl::unexpected<Error> cannot_read(const system::Path& ledger, sqlite3* database) {
    return fail(ErrorKind::file, "cannot read the ledger " + ledger.string(), sqlite3_errmsg(database));
}

int digits(std::string_view text, std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
        if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

} // namespace

std::size_t Histogram::bucket_of(double ms) {
    // Octaves, each in equal parts: a mantissa in [0.5, 1) and its exponent are at hand, a logarithm is not.
    int exponent = 0;
    const double mantissa = std::frexp(std::max(ms, smallest_ms) / smallest_ms, &exponent);
    const auto part = static_cast<std::size_t>((mantissa - 0.5) * 2 * per_octave);
    return std::min(static_cast<std::size_t>(exponent - 1) * per_octave + part, size - 1);
}

void Histogram::add(const Histogram& other) {
    for (std::size_t i = 0; i < size; ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
}

std::optional<double> Histogram::quantile(double share) const {
    if (total_ == 0) return std::nullopt;
    const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_ - 1));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < size; ++i) {
        seen += counts_[i];
        if (seen <= rank) continue;
        const double part = (static_cast<double>(i % per_octave) + 0.5) / per_octave;
        return smallest_ms * std::ldexp(1 + part, static_cast<int>(i / per_octave));
    }
    return std::nullopt;
}

std::string_view name_of(Dimension dimension) {
    switch (dimension) {
    case Dimension::agent:
        return "agent";
    case Dimension::model:
        return "model";
    case Dimension::day:
        return "day";
    case Dimension::status:
        break;
    }
    return "status";
}

Result<std::vector<Dimension>> parse_dimensions(std::string_view words) {
    static const std::vector<std::string> known = {"agent", "model", "day", "status"};
    std::vector<Dimension> result;
    for (const auto& part : split(words, ',')) {
        const std::string word(trim(part));
        const auto found = std::find(known.begin(), known.end(), word);
        if (found == known.end()) {
            const auto near = nearest(word, known);
            return fail(ErrorKind::usage, "cannot report by '" + word + "'", "known: " + join(known, ", "),
                        near.empty() ? "use some of them, such as --by agent,model"
                                     : "did you mean '" + near + "'?");
        }
        const auto dimension = static_cast<Dimension>(found - known.begin());
        if (std::find(result.begin(), result.end(), dimension) == result.end()) result.push_back(dimension);
    }
    return result;
}

std::string local_date(system::WallTime time, std::chrono::seconds utc_offset) {
    using namespace std::chrono;
    const year_month_day date(floor<days>(time + utc_offset));
    char text[32];
    std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    return text;
}

Result<std::vector<Report>> make_reports(const system::Path& ledger, system::FileSystem& files,
                                         const ReportQuery& query,
                                         const std::vector<std::vector<Dimension>>& groupings) {
    auto opened = open_for_reading(ledger, files);
    if (!opened) return fail(opened.error());
    std::string sql =
        "SELECT started_at, agent, model_asked, status, error_class IS NOT NULL, input_tokens, "
        "output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd, partial, "
        "first_byte_ms, total_ms FROM requests";
    if (query.since || query.until) {
        sql += " WHERE id >= ? AND started_at >= ? AND started_at < ?";
    }
    Statement statement(opened->get(), sql);
    if (!statement) return cannot_read(ledger, opened->get());
    if (query.since || query.until) {
        statement.bind(1, query.since ? first_id_since(opened->get(), *query.since) : INT64_MIN);
        statement.bind(2, query.since ? milliseconds(*query.since) : INT64_MIN);
        statement.bind(3, query.until ? milliseconds(*query.until) : INT64_MAX);
    }

    std::vector<Grouping> work(groupings.size());
    for (std::size_t i = 0; i < groupings.size(); ++i) work[i].report.by = groupings[i];
    Dates dates(query.utc_offset);
    Group all;
    int code = statement.step();
    for (; code == SQLITE_ROW; code = statement.step()) {
        const auto agent = statement.text(1);
        const auto model = statement.text(2);
        if (!matches(query.filter, agent, model)) continue;
        Totals row;
        row.requests = 1;
        const auto status = statement.number(3);
        row.errors = status == 0 || status >= 400 || statement.number(4) != 0 ? 1 : 0;
        row.input = statement.count(5);
        row.output = statement.count(6);
        row.cache_read = statement.count(7);
        row.cache_write = statement.count(8);
        row.reasoning = statement.count(9);
        const bool priced = !statement.is_null(10);
        if (priced) row.cost_usd = statement.real(10);
        row.known = !statement.is_null(5) || !statement.is_null(6) ? 1 : 0;
        row.unpriced = priced ? 0 : row.known;
        const bool partial = statement.number(11) != 0;
        const bool timed = !statement.is_null(12);
        const auto first_byte = timed ? Histogram::bucket_of(statement.real(12)) : 0;
        const auto total = Histogram::bucket_of(statement.real(13));
        for (auto& grouping : work) {
            auto& joined = grouping.joined;
            joined.clear();
            for (const auto dimension : grouping.report.by) {
                switch (dimension) {
                case Dimension::agent:
                    joined += agent;
                    break;
                case Dimension::model:
                    joined += model;
                    break;
                case Dimension::day:
                    joined += dates.of(statement.number(0));
                    break;
                case Dimension::status:
                    joined += std::to_string(status);
                    break;
                }
                joined += '\0';
            }
            if (grouping.last == SIZE_MAX || joined != grouping.last_joined) {
                const auto [place, fresh] =
                    grouping.places.try_emplace(joined, grouping.report.groups.size());
                if (fresh) {
                    auto& group = grouping.report.groups.emplace_back();
                    group.keys = split(std::string_view(joined).substr(0, joined.size() - 1), '\0');
                    if (grouping.report.by.empty()) group.keys.clear();
                }
                grouping.last = place->second;
                grouping.last_joined = joined;
            }
            auto& group = grouping.report.groups[grouping.last];
            group.totals.add(row);
            group.partial += partial ? 1 : 0;
            if (timed) group.first_byte.add_to(first_byte);
            group.total_time.add_to(total);
        }
    }
    if (code != SQLITE_DONE) return cannot_read(ledger, opened->get());

    std::vector<Report> reports;
    for (auto& grouping : work) {
        auto& report = grouping.report;
        std::sort(report.groups.begin(), report.groups.end(),
                  [](const Group& a, const Group& b) { return a.keys < b.keys; });
        for (const auto& group : report.groups) {
            report.total.totals.add(group.totals);
            report.total.partial += group.partial;
            report.total.first_byte.add(group.first_byte);
            report.total.total_time.add(group.total_time);
        }
        reports.push_back(std::move(report));
    }
    return reports;
}

Result<std::vector<Recent>> recent_rows(const system::Path& ledger, system::FileSystem& files,
                                        const Filter& filter, std::size_t count) {
    auto opened = open_for_reading(ledger, files);
    if (!opened) return fail(opened.error());
    Statement statement(
        opened->get(),
        "SELECT id, started_at, agent, model_asked, status, error_class, input_tokens, output_tokens, "
        "cache_read_tokens, cache_write_tokens, cost_usd, partial, first_byte_ms, total_ms, queued_ms "
        "FROM requests ORDER BY id DESC");
    if (!statement) return cannot_read(ledger, opened->get());
    std::vector<Recent> result;
    int code = SQLITE_DONE;
    while (result.size() < count && (code = statement.step()) == SQLITE_ROW) {
        if (!matches(filter, statement.text(2), statement.text(3))) continue;
        Recent row;
        row.id = statement.number(0);
        row.started_at = system::WallTime(std::chrono::milliseconds(statement.number(1)));
        row.agent = statement.text(2);
        row.model = statement.text(3);
        row.status = static_cast<int>(statement.number(4));
        row.error_class = statement.text(5);
        row.totals.requests = 1;
        row.totals.input = statement.count(6);
        row.totals.output = statement.count(7);
        row.totals.cache_read = statement.count(8);
        row.totals.cache_write = statement.count(9);
        row.totals.cost_usd = statement.real(10);
        row.totals.known = !statement.is_null(6) || !statement.is_null(7) ? 1 : 0;
        row.totals.unpriced = statement.is_null(10) ? row.totals.known : 0;
        row.partial = statement.number(11) != 0;
        if (!statement.is_null(12)) row.first_byte_ms = statement.real(12);
        row.total_ms = statement.real(13);
        row.queued_ms = statement.real(14);
        result.push_back(std::move(row));
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW) return cannot_read(ledger, opened->get());
    return result;
}

Result<system::WallTime>
parse_moment(std::string_view text, system::WallTime now,
             const std::function<std::chrono::seconds(system::WallTime)>& utc_offset) {
    using namespace std::chrono;
    const auto word = trim(text);
    const auto today = bounds_of(Period::day, now, utc_offset(now)).begin;
    if (word == "today") return today;
    if (word == "yesterday") return bounds_of(Period::day, today - 12h, utc_offset(today - 12h)).begin;
    const auto wrong = [&] {
        return fail(ErrorKind::usage, "'" + std::string(text) + "' is no time", "",
                    "write 7d, 12h, today, 2026-11-01 or 2026-11-01T18:30");
    };
    if (word.size() >= 10 && word[4] == '-' && word[7] == '-') {
        const year_month_day date{year(digits(word, 0, 4)), month(static_cast<unsigned>(digits(word, 5, 2))),
                                  day(static_cast<unsigned>(digits(word, 8, 2)))};
        int hour = 0, minute = 0;
        if (word.size() == 16 && (word[10] == 'T' || word[10] == ' ') && word[13] == ':') {
            hour = digits(word, 11, 2);
            minute = digits(word, 14, 2);
        } else if (word.size() != 10) {
            return wrong();
        }
        if (digits(word, 0, 4) < 1970 || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59)
            return wrong();
        const system::WallTime local = sys_days(date) + hours(hour) + minutes(minute);
        // The offset at the moment itself; the second round is for the hours around a change of it.
        auto moment = local - utc_offset(local);
        return local - utc_offset(moment);
    }
    const auto span = parse_keep(word);
    if (!span) return wrong();
    return now - *span;
}

} // namespace dbx::usage
