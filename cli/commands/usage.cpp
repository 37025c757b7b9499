#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"
#include "core/usage/calendar.hpp"
#include "core/usage/report.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;
using usage::Dimension;
using usage::Group;
using usage::Report;
using usage::Totals;
using namespace std::chrono_literals;

constexpr auto refresh_every = 1s;
constexpr std::size_t recent_count = 12;
constexpr std::size_t follow_count = 200;

std::string tokens_text(std::uint64_t count) {
    const auto value = static_cast<double>(count);
    if (value >= 1e9) return fmt::format("{:.2f}B", value / 1e9);
    if (value >= 1e6) return fmt::format("{:.2f}M", value / 1e6);
    if (value >= 1e4) return fmt::format("{:.1f}k", value / 1e3);
    return std::to_string(count);
}

std::string usd_text(double usd) {
    return usd >= 100             ? fmt::format("${:.0f}", usd)
           : usd >= 1 || usd == 0 ? fmt::format("${:.2f}", usd)
                                  : fmt::format("${:.4f}", usd);
}

// Unpriced is never 0.
std::string cost_text(const Totals& totals) {
    if (totals.known == 0) return "-";
    if (totals.unpriced == totals.known) return "unpriced";
    if (totals.unpriced == 0) return usd_text(totals.cost_usd);
    return fmt::format("{} + {} unpriced", usd_text(totals.cost_usd), totals.unpriced);
}

std::string share_text(const Totals& totals) {
    const auto all = totals.input + totals.cache_read + totals.cache_write;
    if (all == 0) return "-";
    return fmt::format("{:.0f} %", 100.0 * static_cast<double>(totals.cache_read) / static_cast<double>(all));
}

std::string time_text(const std::optional<double>& ms) {
    if (!ms) return "-";
    return *ms >= 10'000 ? fmt::format("{:.1f} s", *ms / 1000)
           : *ms >= 1000 ? fmt::format("{:.2f} s", *ms / 1000)
                         : fmt::format("{:.0f} ms", *ms);
}

// What a narrow terminal can do without, the least important first.
const std::vector<std::string> dispensable = {"cache write",    "p95",   "cached", "cache read",
                                              "first byte p50", "error", "input",  "errors"};

// The end of a long word, which tells models apart better than its beginning.
std::string end_of(std::string word, std::size_t width) {
    if (word.size() <= width) return word;
    auto at = word.size() - (width - 1);
    while (at < word.size() && (static_cast<unsigned char>(word[at]) & 0xC0) == 0x80)
        ++at; // amid a character
    return "…" + word.substr(at);
}

// Columns under their heads, of which all but the first `words` are aligned to the right. When they do not
// fit into `room` columns (0: there is no end to it), some are left out, and a last line says which; then
// the widest column of words keeps their ends.
std::string table(std::vector<std::vector<std::string>> rows, std::size_t words, std::size_t room) {
    std::vector<std::size_t> widths(rows.at(0).size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    const auto excess = [&] {
        std::size_t whole = 0;
        for (const auto width : widths) whole += width + 2;
        return room == 0 || whole <= room + 2 ? 0 : whole - room - 2;
    };
    std::vector<std::string> left_out;
    for (const auto& head : dispensable) {
        if (excess() == 0) break;
        const auto at = std::find(rows[0].begin(), rows[0].end(), head);
        if (at == rows[0].end()) continue;
        const auto index = at - rows[0].begin();
        left_out.push_back(head);
        for (auto& row : rows) row.erase(row.begin() + index);
        widths.erase(widths.begin() + index);
        if (static_cast<std::size_t>(index) < words) --words;
    }
    if (const auto too_wide = excess(); too_wide > 0 && words > 0) {
        const auto widest =
            std::max_element(widths.begin(), widths.begin() + static_cast<std::ptrdiff_t>(words));
        constexpr std::size_t least = 8;
        const auto width = std::max(*widest - std::min(*widest, too_wide), least);
        const auto index = static_cast<std::size_t>(widest - widths.begin());
        for (auto& row : rows) row[index] = end_of(std::move(row[index]), width);
    }
    for (auto& row : rows) {
        for (std::size_t i = words; i < row.size(); ++i) row[i].insert(0, widths[i] - row[i].size(), ' ');
    }
    std::string text = columns(rows, 0);
    if (!left_out.empty())
        text += wrap("no room here for: " + join(left_out, ", "), static_cast<int>(room), 2) + "\n";
    return text;
}

const std::vector<std::string> number_heads = {"requests", "input", "cache read", "cache write",    "cached",
                                               "output",   "cost",  "errors",     "first byte p50", "p95"};

std::vector<std::string> number_cells(const Group& group) {
    const auto& totals = group.totals;
    return {std::to_string(totals.requests),
            tokens_text(totals.input),
            tokens_text(totals.cache_read),
            tokens_text(totals.cache_write),
            share_text(totals),
            tokens_text(totals.output),
            cost_text(totals),
            std::to_string(totals.errors),
            time_text(group.first_byte.quantile(0.5)),
            time_text(group.first_byte.quantile(0.95))};
}

std::string text_of(const Report& report, std::size_t room) {
    std::vector<std::vector<std::string>> rows(1);
    for (const auto dimension : report.by) rows[0].emplace_back(usage::name_of(dimension));
    rows[0].insert(rows[0].end(), number_heads.begin(), number_heads.end());
    const auto add = [&](std::vector<std::string> cells, const Group& group) {
        for (auto& cell : number_cells(group)) cells.push_back(std::move(cell));
        rows.push_back(std::move(cells));
    };
    for (const auto& group : report.groups) {
        std::vector<std::string> cells;
        for (const auto& key : group.keys) cells.push_back(key.empty() ? "-" : printable(key));
        add(std::move(cells), group);
    }
    if (report.groups.size() != 1) {
        std::vector<std::string> cells(report.by.size());
        if (!cells.empty()) cells[0] = "total";
        add(std::move(cells), report.total);
    }
    return table(std::move(rows), report.by.size(), room);
}

ordered_json number_or_null(const std::optional<double>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json document_of(const Group& group) {
    const auto& totals = group.totals;
    return {
        {"requests", totals.requests},
        {"errors", totals.errors},
        {"partial", group.partial},
        {"input_tokens", totals.input},
        {"output_tokens", totals.output},
        {"cache_read_tokens", totals.cache_read},
        {"cache_write_tokens", totals.cache_write},
        {"reasoning_tokens", totals.reasoning},
        // Of the priced requests; null when there is none.
        {"cost_usd", totals.known > totals.unpriced ? ordered_json(totals.cost_usd) : ordered_json(nullptr)},
        {"unpriced_requests", totals.unpriced},
        {"first_byte_p50_ms", number_or_null(group.first_byte.quantile(0.5))},
        {"first_byte_p95_ms", number_or_null(group.first_byte.quantile(0.95))},
        {"total_p50_ms", number_or_null(group.total_time.quantile(0.5))},
        {"total_p95_ms", number_or_null(group.total_time.quantile(0.95))}};
}

ordered_json document_of(const Report& report) {
    ordered_json root;
    root["by"] = ordered_json::array();
    for (const auto dimension : report.by) root["by"].push_back(usage::name_of(dimension));
    root["groups"] = ordered_json::array();
    for (const auto& group : report.groups) {
        ordered_json one;
        for (std::size_t i = 0; i < report.by.size(); ++i)
            one[std::string(usage::name_of(report.by[i]))] = group.keys.at(i);
        one.update(document_of(group));
        root["groups"].push_back(std::move(one));
    }
    root["total"] = document_of(report.total);
    return root;
}

// RFC 4180, with \n. What a spreadsheet would take for a formula gets a quote in front.
std::string csv_cell(std::string text) {
    if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos)
        text.insert(0, "'");
    if (text.find_first_of("\",\r\n") == std::string::npos) return text;
    return '"' + replace_all(std::move(text), "\"", "\"\"") + '"';
}

std::string csv_of(const Report& report) {
    std::string out;
    for (const auto dimension : report.by) out += std::string(usage::name_of(dimension)) + ",";
    out += "requests,errors,partial,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens,"
           "reasoning_tokens,"
           "cost_usd,unpriced_requests,first_byte_p50_ms,first_byte_p95_ms,total_p50_ms,total_p95_ms\n";
    const auto real = [](const std::optional<double>& value) {
        return value ? fmt::format("{:.3f}", *value) : std::string();
    };
    for (const auto& group : report.groups) {
        const auto& totals = group.totals;
        for (const auto& key : group.keys) out += csv_cell(key) + ",";
        out += fmt::format(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", totals.requests, totals.errors, group.partial,
            totals.input, totals.output, totals.cache_read, totals.cache_write, totals.reasoning,
            totals.known > totals.unpriced ? fmt::format("{:.6f}", totals.cost_usd) : "", totals.unpriced,
            real(group.first_byte.quantile(0.5)), real(group.first_byte.quantile(0.95)),
            real(group.total_time.quantile(0.5)), real(group.total_time.quantile(0.95)));
    }
    return out;
}

class UsageCommand : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--since", since_,
                       "Requests from then on: 7d, 12h, today, 2026-11-01 (default: 30 days)")
            ->type_name("TIME");
        app.add_option("--until", until_, "Requests before then")->type_name("TIME");
        app.add_option("--by", by_, "Group by some of these")->type_name("agent,model,day,status");
        app.add_option("--agent", filter_.agent, "Only this agent (a glob)")->type_name("AGENT");
        app.add_option("--model", filter_.model, "Only this model (a glob)")->type_name("MODEL");
        auto* csv = app.add_flag("--csv", csv_, "Comma-separated values");
        auto* watch = app.add_flag("--watch", watch_, "Keep showing what happens, until Ctrl-C");
        auto* html =
            app.add_option("--html", html_, "Write one self-contained page with plots")->type_name("FILE");
        app.add_option("--ledger", ledger_, "Another ledger than the proxy's usual one")->type_name("FILE");
        csv->excludes(watch)->excludes(html);
        watch->excludes(html);
    }

    Result<int> run(Session& session) override {
        const auto ledger = find_ledger(session);
        if (!ledger) return fail(ledger.error());
        offset_ = usage::local_utc_offset;
        auto query = read_query(session);
        if (!query) return fail(query.error());
        std::vector<Dimension> by = {Dimension::agent, Dimension::model};
        if (!by_.empty()) {
            const auto given = usage::parse_dimensions(by_);
            if (!given) return fail(given.error());
            by = *given;
        }
        const auto status = session.files().status(*ledger);
        if (!status) return fail(status.error());
        if (status->kind == system::FileKind::missing && !ledger_.empty())
            return fail(ErrorKind::file, "cannot read the ledger " + session.shown(*ledger),
                        "there is no such file", "correct the path behind --ledger");
        if (status->kind == system::FileKind::missing && !watch_) return nothing_yet(session, by);
        if (watch_) return watch(session, *ledger, *query);
        if (!html_.empty()) return write_page(session, *ledger, *query);

        const bool plain =
            by_.empty() && since_.empty() && until_.empty() && !csv_ && !session.output().json();
        std::vector<std::vector<Dimension>> groupings = {by};
        if (plain) groupings.push_back({Dimension::day});
        const auto reports = usage::make_reports(*ledger, session.files(), *query, groupings);
        if (!reports) return fail(reports.error());
        auto& out = session.output();
        if (out.json()) {
            auto document = document_of((*reports)[0]);
            document["since"] = system::format_utc(*query->since);
            document["until"] =
                query->until ? ordered_json(system::format_utc(*query->until)) : ordered_json(nullptr);
            document["ledger"] = ledger->string();
            out.document(document);
        } else if (csv_) {
            out.result(csv_of((*reports)[0]));
        } else {
            if (plain) out.result(summary(session, (*reports)[1]) + "\n");
            if ((*reports)[0].groups.empty()) {
                out.note("no requests since " + usage::local_date(*query->since, offset_(*query->since)));
            } else {
                if (plain) out.result(out.styled("By agent and model, 30 days", Style::bold) + "\n");
                out.result(text_of((*reports)[0], room(session)));
            }
        }
        return 0;
    }

  private:
    // The terminal's columns; 0 for a file or a pipe, which have room for everything.
    static std::size_t room(Session& session) {
        const auto& out = session.output();
        return out.result_is_terminal() ? static_cast<std::size_t>(std::max(out.width(), 20)) : 0;
    }

    Result<system::Path> find_ledger(Session& session) const {
        if (!ledger_.empty()) {
            const system::Path given(ledger_);
            return given.is_absolute() ? given : session.environment().working_directory() / given;
        }
        return usage::default_ledger(session.environment());
    }

    Result<usage::ReportQuery> read_query(Session& session) const {
        usage::ReportQuery query;
        query.filter = filter_;
        query.utc_offset = offset_;
        const auto now = session.now();
        // 30 days: today and the 29 before.
        const auto today = usage::bounds_of(usage::Period::day, now, offset_(now)).begin;
        const auto first = today - 29 * 24h + 12h;
        query.since = usage::bounds_of(usage::Period::day, first, offset_(first)).begin;
        if (!since_.empty()) {
            const auto since = usage::parse_moment(since_, now, offset_);
            if (!since) return fail(since.error());
            query.since = *since;
        }
        if (!until_.empty()) {
            const auto until = usage::parse_moment(until_, now, offset_);
            if (!until) return fail(until.error());
            query.until = *until;
        }
        if (query.until && *query.until <= *query.since)
            return fail(ErrorKind::usage, "--until is not behind --since");
        return query;
    }

    Result<int> nothing_yet(Session& session, const std::vector<Dimension>& by) const {
        auto& out = session.output();
        Report report;
        report.by = by;
        if (out.json()) {
            out.document(document_of(report));
        } else if (csv_) {
            out.result(csv_of(report));
        }
        out.note(
            "nothing is recorded yet: the ledger begins with the first request through dbx-agents proxy");
        return 0;
    }

    // Today, 7 days, 30 days, from the days' sums.
    std::string summary(Session& session, const Report& days) const {
        std::vector<std::vector<std::string>> rows(1);
        rows[0].emplace_back("");
        rows[0].insert(rows[0].end(), number_heads.begin(), number_heads.end());
        const auto now = session.now();
        const auto noon = usage::bounds_of(usage::Period::day, now, offset_(now)).begin + 12h;
        for (const auto& [name, count] : {std::pair{"today", 1}, {"7 days", 7}, {"30 days", 30}}) {
            const auto first = noon - (count - 1) * 24h;
            const auto from = usage::local_date(first, offset_(first));
            Group sum;
            for (const auto& group : days.groups) {
                if (group.keys[0] < from) continue;
                sum.totals.add(group.totals);
                sum.first_byte.add(group.first_byte);
            }
            std::vector<std::string> cells = {name};
            for (auto& cell : number_cells(sum)) cells.push_back(std::move(cell));
            rows.push_back(std::move(cells));
        }
        return table(std::move(rows), 1, room(session));
    }

    Result<int> write_page(Session& session, const system::Path& ledger,
                           const usage::ReportQuery& query) const {
        const auto reports = usage::make_reports(ledger, session.files(), query,
                                                 {{Dimension::day, Dimension::agent, Dimension::model},
                                                  {Dimension::day},
                                                  {Dimension::agent, Dimension::model}});
        if (!reports) return fail(reports.error());
        const auto now = session.now();
        const auto date = [&](system::WallTime time) { return usage::local_date(time, offset_(time)); };
        const auto text = usage::html_page(
            {date(*query.since), date(query.until ? *query.until - 1ms : now), date(now), DBX_VERSION},
            (*reports)[0], (*reports)[1], (*reports)[2]);
        system::Path target(html_);
        if (!target.is_absolute()) target = session.environment().working_directory() / target;
        if (auto written = session.files().write(target, text, 0644); !written) return fail(written.error());
        auto& out = session.output();
        if (out.json())
            out.document({{"file", target.string()}, {"requests", (*reports)[0].total.totals.requests}});
        else
            out.summary("wrote " + session.shown(target) + "\n");
        return 0;
    }

    std::string time_of(const usage::Recent& row) const {
        const auto local = row.started_at + offset_(row.started_at);
        const auto second = std::chrono::floor<std::chrono::seconds>(local);
        const std::chrono::hh_mm_ss clock(second - std::chrono::floor<std::chrono::days>(second));
        return fmt::format("{:02}:{:02}:{:02}", clock.hours().count(), clock.minutes().count(),
                           clock.seconds().count());
    }

    static std::string error_of(const usage::Recent& row) {
        return printable(row.error_class) + (row.partial ? " (partial)" : "");
    }

    std::string line_of(const usage::Recent& row) const {
        return fmt::format("{}  {:<8} {:<34} {:>3}  in {:>7}  cache {:>7}  out {:>6}  {:>10}  {:>8} {}\n",
                           time_of(row), printable(row.agent), printable(row.model), row.status,
                           tokens_text(row.totals.input), tokens_text(row.totals.cache_read),
                           tokens_text(row.totals.output), cost_text(row.totals), time_text(row.total_ms),
                           error_of(row));
    }

    // The newest requests under today's table.
    std::string recent(const std::vector<usage::Recent>& rows, std::size_t room) const {
        std::vector<std::vector<std::string>> cells = {
            {"time", "agent", "model", "error", "answer", "input", "cache read", "output", "cost", "took"}};
        for (const auto& row : rows)
            cells.push_back({time_of(row), printable(row.agent), printable(row.model), error_of(row),
                             std::to_string(row.status), tokens_text(row.totals.input),
                             tokens_text(row.totals.cache_read), tokens_text(row.totals.output),
                             cost_text(row.totals), time_text(row.total_ms)});
        constexpr std::size_t words = 4;
        return table(std::move(cells), words, room);
    }

    // On a terminal today's table and the newest requests, drawn again each second; otherwise a line for each
    // new request.
    Result<int> watch(Session& session, const system::Path& ledger, usage::ReportQuery query) const {
        auto& out = session.output();
        if (out.json())
            return fail(ErrorKind::usage, "--watch has no --json", "",
                        "ask again and again: usage --since today --json");
        const system::InterruptGuard guard;
        const bool draws = out.result_is_terminal();
        std::vector<std::int64_t> seen;
        for (bool first = true;; first = false) {
            const auto status = session.files().status(ledger);
            if (status && status->kind == system::FileKind::regular) {
                const auto rows =
                    usage::recent_rows(ledger, session.files(), filter_, draws ? recent_count : follow_count);
                if (!rows) return fail(rows.error());
                if (draws) {
                    const auto today = session.now();
                    query.since = usage::bounds_of(usage::Period::day, today, offset_(today)).begin;
                    const auto reports = usage::make_reports(ledger, session.files(), query,
                                                             {{Dimension::agent, Dimension::model}});
                    if (!reports) return fail(reports.error());
                    std::string page = "\x1b[H\x1b[2J" + out.styled("Today", Style::bold) + "\n" +
                                       text_of((*reports)[0], room(session)) + "\n" +
                                       recent(*rows, room(session));
                    out.result(page);
                } else {
                    std::string lines;
                    for (auto row = rows->rbegin(); row != rows->rend(); ++row) {
                        if (std::find(seen.begin(), seen.end(), row->id) != seen.end()) continue;
                        if (!first) lines += line_of(*row);
                    }
                    seen.clear();
                    for (const auto& row : *rows) seen.push_back(row.id);
                    if (!lines.empty()) out.result(lines);
                }
            } else if (first) {
                out.note("nothing is recorded yet; waiting for the first request");
            }
            if (!out.ok() || !session.pacer().wait(refresh_every)) break;
        }
        return 0;
    }

    std::string since_;
    std::string until_;
    std::string by_;
    usage::Filter filter_;
    bool csv_ = false;
    bool watch_ = false;
    std::string html_;
    std::string ledger_;
    std::function<std::chrono::seconds(system::WallTime)> offset_;
};

} // namespace

std::unique_ptr<Command> make_usage() {
    return std::make_unique<UsageCommand>();
}

} // namespace dbx::cli
