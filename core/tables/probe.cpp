#include "core/tables/probe.hpp"

#include "core/base/strings.hpp"
#include "core/otlp/probe.hpp"
#include "core/tables/rights.hpp"

#include <algorithm>

namespace dbx::tables {

namespace {

using databricks::ApiError;
using databricks::ApiProblem;
using std::chrono::milliseconds;
using State = ProbeResult::State;

constexpr milliseconds first_wait{1'000};
constexpr milliseconds longest_wait{10'000};

std::string flags_of(const Place& place) {
    return "--catalog " + place.catalog + " --schema " + place.schema + " --prefix " + place.prefix;
}

std::string bytes_of(Signal signal, const otlp::Probe& probe) {
    switch (signal) {
    case Signal::metrics:
        return otlp::probe_metric(probe);
    case Signal::logs:
        return otlp::probe_log(probe);
    case Signal::traces:
        return otlp::probe_span(probe);
    }
    return {};
}

// 1. the words that name a cause  2. the kind of answer
ProbeCause cause_of(const ApiError& error) {
    const auto says = [&](std::string_view word) {
        return icontains(error.message, word) || icontains(error.code, word);
    };
    if (error.problem == ApiProblem::invalid_token || error.problem == ApiProblem::not_authenticated ||
        error.problem == ApiProblem::missing_scope)
        return ProbeCause::token;
    if (missing_right(error)) return ProbeCause::missing_right;
    if (says("region")) return ProbeCause::region;
    if (says("preview") || says("not enabled") || says("FEATURE_DISABLED")) return ProbeCause::preview;
    if (error.problem == ApiProblem::bad_request &&
        (says("schema") || says("column") || says("managed") || says("otel.schemaVersion")))
        return ProbeCause::schema;
    switch (error.problem) {
    case ApiProblem::route_missing:
        return ProbeCause::preview;
    case ApiProblem::not_found:
        return ProbeCause::no_table;
    case ApiProblem::no_permission:
        return ProbeCause::missing_right;
    case ApiProblem::rate_limited:
    case ApiProblem::unavailable:
    case ApiProblem::server_error:
        return ProbeCause::unavailable;
    case ApiProblem::network:
    case ApiProblem::timeout:
        return ProbeCause::network;
    case ApiProblem::statement_failed:
        if (error.error_class.starts_with("TABLE_OR_VIEW_NOT_FOUND")) return ProbeCause::no_table;
        if (error.sql_state == "42501") return ProbeCause::missing_right;
        if (error.error_class.starts_with("UNRESOLVED_COLUMN") ||
            error.error_class.starts_with("FIELD_NOT_FOUND"))
            return ProbeCause::schema;
        return ProbeCause::refused;
    default:
        return ProbeCause::refused;
    }
}

class Probing {
  public:
    Probing(databricks::Workspace& workspace, ProbeRoute& route, const ProbeWish& wish,
            const std::function<void(const RunProgress&)>& progress)
        : workspace_(workspace)
        , route_(route)
        , wish_(wish)
        , progress_(progress)
        , pacer_(workspace.pacer()) {
        for (const Signal signal : wish.signals)
            results_.push_back({signal, wish.place.table_name(signal), State::not_sent, {}, 0, {}});
        probe_.marker = wish.marker;
        probe_.service_version = wish.version;
        probe_.time_unix_nano = static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(pacer_.wall_now().time_since_epoch())
                .count());
    }

    Result<std::vector<ProbeResult>> run() {
        start_ = pacer_.now();
        for (auto& result : results_)
            if (auto ended = look(result)) return fail(std::move(*ended));
        start_ = pacer_.now();
        for (auto& result : results_) {
            if (result.state == State::refused) continue;
            if (auto trouble = route_.send(result.signal, bytes_of(result.signal, probe_))) {
                if (trouble->error.kind == ErrorKind::interrupted) return fail(trouble->error);
                refuse(result, std::move(*trouble));
            } else {
                result.state = State::waiting;
            }
        }
        start_ = pacer_.now();
        for (auto wait = first_wait; any_waits(); wait = std::min(wait * 2, longest_wait)) {
            for (auto& result : results_) {
                if (result.state != State::waiting) continue;
                if (auto ended = look(result)) return fail(std::move(*ended));
                // Only what is not there can be in trouble.
                if (result.state == State::waiting)
                    if (auto trouble = route_.news(result.signal)) refuse(result, std::move(*trouble));
            }
            if (!any_waits()) break;
            const auto left = std::chrono::duration_cast<milliseconds>(wish_.deadline - pacer_.now());
            if (left <= milliseconds(0)) break;
            if (!pacer_.wait(std::min(wait, left)))
                return fail(ErrorKind::interrupted, "interrupted while waiting for the probe",
                            "it was taken and may still arrive", "");
        }
        for (auto& result : results_)
            if (result.state == State::waiting) result.trouble = not_yet(result);
        return std::move(results_);
    }

  private:
    bool any_waits() const {
        return std::any_of(results_.begin(), results_.end(),
                           [](const ProbeResult& result) { return result.state == State::waiting; });
    }

    static void refuse(ProbeResult& result, ProbeTrouble trouble) {
        result.state = State::refused;
        result.trouble = std::move(trouble);
    }

    milliseconds elapsed() const { return std::chrono::duration_cast<milliseconds>(pacer_.now() - start_); }

    void tell(databricks::StatementState state) const {
        if (!progress_) return;
        const auto arrived = std::count_if(results_.begin(), results_.end(), [](const ProbeResult& result) {
            return result.state == State::arrived;
        });
        progress_({static_cast<std::size_t>(arrived), results_.size(), state, elapsed()});
    }

    // One look into a table. The error is an interrupt.
    std::optional<Error> look(ProbeResult& result) {
        const auto left = std::chrono::duration_cast<milliseconds>(wish_.deadline - pacer_.now());
        databricks::StatementRequest request;
        request.sql = count_probes(wish_.place, result.signal, probe_.time_unix_nano).sql;
        request.warehouse_id = wish_.warehouse_id;
        request.parameters = {{"marker", wish_.marker}};
        request.timeout = std::max(left, milliseconds(1'000));
        request.repeatable = http::Repeatable::yes;
        const auto answer = databricks::execute(
            workspace_, request, [&](const databricks::StatementProgress& p) { tell(p.state); });
        ++result.looks;
        result.elapsed = elapsed();
        if (!answer) {
            const auto& error = answer.error();
            if (error.problem == ApiProblem::interrupted) return error.error;
            // The end of the time is told as such, at the end.
            if (error.problem == ApiProblem::timeout && result.state == State::waiting) return std::nullopt;
            refuse(result, explain_probe(error, wish_.place, result.signal));
            return std::nullopt;
        }
        const bool there = !answer->rows.empty() && !answer->rows[0].empty() && answer->rows[0][0] &&
                           *answer->rows[0][0] != "0";
        if (there) result.state = State::arrived;
        tell(databricks::StatementState::pending);
        return std::nullopt;
    }

    ProbeTrouble not_yet(const ProbeResult& result) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(result.elapsed).count();
        const auto delay = std::chrono::duration_cast<std::chrono::seconds>(documented_delay).count();
        std::string why = "it was taken, and after " + std::to_string(seconds) + " s it is not there";
        why += seconds < delay ? "; rows are documented to come within 5 minutes"
                               : ", which is longer than the documented 5 minutes";
        if (const auto hindrance = route_.hindrance(result.signal); !hindrance.empty())
            why += "; " + hindrance;
        return {ProbeCause::waiting,
                {ErrorKind::timeout, "the probe did not arrive in " + result.table, std::move(why),
                 seconds < delay ? "give it more time: dbx-agents tables check --probe --timeout 10m"
                                 : "look whether it comes later; tell your administrator if it does not",
                 ""}};
    }

    databricks::Workspace& workspace_;
    ProbeRoute& route_;
    const ProbeWish& wish_;
    const std::function<void(const RunProgress&)>& progress_;
    http::Pacer& pacer_;
    otlp::Probe probe_;
    std::vector<ProbeResult> results_;
    std::chrono::steady_clock::time_point start_;
};

} // namespace

std::string_view name_of(ProbeCause cause) {
    switch (cause) {
    case ProbeCause::missing_right:
        return "missing_right";
    case ProbeCause::no_table:
        return "no_table";
    case ProbeCause::schema:
        return "schema";
    case ProbeCause::region:
        return "region";
    case ProbeCause::preview:
        return "preview";
    case ProbeCause::token:
        return "token";
    case ProbeCause::proxy_not_running:
        return "proxy_not_running";
    case ProbeCause::proxy_elsewhere:
        return "proxy_elsewhere";
    case ProbeCause::rejected:
        return "rejected";
    case ProbeCause::unavailable:
        return "unavailable";
    case ProbeCause::network:
        return "network";
    case ProbeCause::waiting:
        return "waiting";
    case ProbeCause::refused:
        return "refused";
    }
    return "refused";
}

std::string_view name_of(State state) {
    switch (state) {
    case State::not_sent:
        return "not_sent";
    case State::waiting:
        return "waiting";
    case State::arrived:
        return "arrived";
    case State::refused:
        return "refused";
    }
    return "not_sent";
}

ProbeTrouble explain_probe(const ApiError& error, const Place& place, Signal signal) {
    ProbeTrouble trouble{cause_of(error), error.error};
    auto& shown = trouble.error;
    const auto table = place.table_name(signal);
    const bool reading = error.problem == ApiProblem::statement_failed;
    shown.what = (reading ? "cannot look for the probe in " : "the probe was refused for ") + table;
    switch (trouble.cause) {
    case ProbeCause::missing_right: {
        if (const auto right = missing_right(error))
            shown.what +=
                ": the right " + right->right + " on the " + right->type + " " + right->name + " is missing";
        shown.fix = "let it be granted by name, ALL PRIVILEGES is not enough for ingestion: dbx-agents "
                    "tables grant " +
                    flags_of(place) + " --to PRINCIPAL";
        break;
    }
    case ProbeCause::no_table:
        shown.what += ": the workspace does not find it";
        shown.fix = "create it: dbx-agents tables create " + flags_of(place);
        break;
    case ProbeCause::schema:
        shown.what += ": the table is not as documented";
        shown.fix = "see the differences: dbx-agents tables check " + flags_of(place);
        break;
    case ProbeCause::region:
        shown.fix =
            "ingestion does not exist in this workspace's region: use a workspace in a region that has it";
        break;
    case ProbeCause::preview:
        shown.fix = "a workspace administrator switches the preview \"OpenTelemetry on Databricks\" on";
        break;
    default:
        break;
    }
    return trouble;
}

ProbeTrouble explain_rejection(int status, std::string_view why, std::string_view fix, const Place& place,
                               Signal signal) {
    ApiError error;
    error.status = status;
    error.message = why;
    error.problem = status == 401   ? ApiProblem::invalid_token
                    : status == 403 ? ApiProblem::no_permission
                    : status == 404 ? ApiProblem::not_found
                    : status >= 500 ? ApiProblem::server_error
                                    : ApiProblem::bad_request;
    if (error.problem == ApiProblem::not_found && icontains(why, "does not offer this API"))
        error.problem = ApiProblem::route_missing;
    error.error = {ErrorKind::workspace, "", std::string(why), std::string(fix), ""};
    auto trouble = explain_probe(error, place, signal);
    if (trouble.cause == ProbeCause::refused || trouble.cause == ProbeCause::unavailable)
        trouble.cause = ProbeCause::rejected;
    return trouble;
}

std::optional<ProbeTrouble> DirectRoute::send(Signal signal, const std::string& bytes) {
    databricks::ApiCall call;
    call.what = "cannot send the probe";
    call.method = "POST";
    call.path = "/api/2.0/otel/v1/" + std::string(name_of(signal));
    call.body = bytes;
    call.headers = {{"Content-Type", "application/x-protobuf"},
                    {"X-Databricks-UC-Table-Name", place_.table_name(signal)}};
    // A second time it would be a second row.
    call.repeatable = http::Repeatable::only_unsent;
    const auto answer = workspace_.call(call);
    if (answer) return std::nullopt;
    return explain_probe(answer.error(), place_, signal);
}

Statement count_probes(const Place& place, Signal signal, std::uint64_t time_unix_nano) {
    const auto table = place.table_name(signal);
    const std::string time = std::to_string(time_unix_nano);
    const std::string marker = "attributes['" + std::string(otlp::probe_marker_attribute) + "'] = :marker";
    // The time lets Delta pass over files by their statistics.
    std::string where;
    switch (signal) {
    case Signal::metrics:
        where = "t.name = '" + std::string(otlp::probe_name) + "' AND t.sum.time_unix_nano = " + time +
                " AND t.sum." + marker;
        break;
    case Signal::logs:
        where = "t.time_unix_nano = " + time + " AND t." + marker;
        break;
    case Signal::traces:
        where = "t.name = '" + std::string(otlp::probe_name) + "' AND t." + marker;
        break;
    }
    return {"look for the probe in " + table, table,
            "SELECT COUNT(*) AS found FROM " + place.quoted_table(signal) + " AS t WHERE " + where};
}

Result<std::vector<ProbeResult>> run_probe(databricks::Workspace& workspace, ProbeRoute& route,
                                           const ProbeWish& wish,
                                           const std::function<void(const RunProgress&)>& progress) {
    return Probing(workspace, route, wish, progress).run();
}

} // namespace dbx::tables
