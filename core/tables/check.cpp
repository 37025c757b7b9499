#include "core/tables/check.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::tables {

namespace {

using databricks::ApiError;
using databricks::ApiProblem;

// What is missing, by the words of the API ("SCHEMA_DOES_NOT_EXIST") or of SQL ("SCHEMA_NOT_FOUND").
std::string absent_by(std::string_view words) {
    if (words.find("CATALOG_DOES_NOT_EXIST") != std::string_view::npos ||
        words.find("NO_SUCH_CATALOG") != std::string_view::npos ||
        words.find("CATALOG_NOT_FOUND") != std::string_view::npos)
        return "catalog";
    if (words.find("SCHEMA_DOES_NOT_EXIST") != std::string_view::npos ||
        words.find("SCHEMA_NOT_FOUND") != std::string_view::npos)
        return "schema";
    return "table";
}

bool is_absence(const ApiError& error) {
    const std::string_view words = error.error_class;
    return words.starts_with("TABLE_OR_VIEW_NOT_FOUND") || words.starts_with("SCHEMA_NOT_FOUND") ||
           words.starts_with("CATALOG_NOT_FOUND") || words.starts_with("NO_SUCH_CATALOG");
}

void judge(TableReport& report, const databricks::TableInfo& table) {
    report.owner = table.owner;
    report.differences = compare(documented_schema(report.signal), table);
    report.state = report.differences.empty() ? TableState::same : TableState::different;
}

databricks::ApiResult<TableReport> check_by_sql(databricks::Workspace& workspace, const Place& place,
                                                TableReport report, const SqlFallback& fallback) {
    const auto warehouse = fallback.warehouse_id();
    if (!warehouse) return tl::unexpected(warehouse.error());
    report.via = "DESCRIBE";
    StatementRun run{describe_table(place, report.signal), true, {}, {}, {}, {}};
    databricks::StatementRequest request;
    request.sql = run.statement.sql;
    request.warehouse_id = *warehouse;
    request.timeout = fallback.timeout;
    request.repeatable = http::Repeatable::yes;
    const auto result = databricks::execute(workspace, request, [&](const databricks::StatementProgress& p) {
        run.state = p.state;
        run.elapsed = p.elapsed;
        if (fallback.progress) fallback.progress({0, 1, p.state, p.elapsed});
    });
    if (!result) {
        if (!is_absence(result.error())) {
            auto error = result.error();
            error.error.what = "cannot look at the table " + report.name + ": " + error.error.what;
            return tl::unexpected(std::move(error));
        }
        run.statement_id = result.error().statement_id;
        report.absent = absent_by(result.error().error_class);
        report.described = std::move(run);
        return report;
    }
    run.statement_id = result->statement_id;
    run.state = result->state;
    run.elapsed = result->elapsed;
    const auto table = read_description(*result);
    if (!table) {
        ApiError error;
        error.problem = ApiProblem::not_databricks;
        error.statement_id = run.statement_id;
        error.error = Error{ErrorKind::workspace,
                            "cannot look at the table " + report.name,
                            "the answer to DESCRIBE TABLE EXTENDED is not of the form that is documented",
                            "look at it in the workspace's Catalog Explorer",
                            {}};
        return tl::unexpected(std::move(error));
    }
    report.described = std::move(run);
    judge(report, *table);
    return report;
}

} // namespace

std::string_view name_of(TableState state) {
    switch (state) {
    case TableState::same:
        return "same";
    case TableState::different:
        return "different";
    case TableState::missing:
        return "missing";
    }
    return "missing";
}

bool wants_sql(const ApiError& error) {
    return error.problem == ApiProblem::no_permission || error.problem == ApiProblem::missing_scope ||
           error.problem == ApiProblem::route_missing;
}

databricks::ApiResult<TableReport> check_table(databricks::Workspace& workspace, const Place& place,
                                               Signal signal, const SqlFallback* fallback) {
    TableReport report;
    report.signal = signal;
    report.name = place.table_name(signal);
    report.via = "Unity Catalog";
    const auto table = databricks::get_table(workspace, report.name);
    if (table) {
        judge(report, *table);
        return report;
    }
    const auto& error = table.error();
    if (error.problem == ApiProblem::not_found) {
        report.absent = absent_by(error.code + " " + error.message);
        return report;
    }
    if (fallback != nullptr && wants_sql(error))
        return check_by_sql(workspace, place, std::move(report), *fallback);
    return tl::unexpected(error);
}

int exit_code_of(const std::vector<TableReport>& reports) {
    const auto any = [&](TableState state) {
        return std::any_of(reports.begin(), reports.end(), [&](const auto& r) { return r.state == state; });
    };
    if (any(TableState::different)) return 11;
    return any(TableState::missing) ? 12 : 0;
}

} // namespace dbx::tables
