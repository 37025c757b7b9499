#pragma once

#include "core/tables/compare.hpp"
#include "core/tables/run.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbx::tables {

enum class TableState { same, different, missing };
std::string_view name_of(TableState state);

// What stands where a signal's table belongs.
struct TableReport {
    Signal signal = Signal::metrics;
    std::string name;
    TableState state = TableState::missing;
    std::string absent; // when missing: the outermost that is: "catalog", "schema" or "table"
    std::string owner;
    std::string via; // "Unity Catalog" or "DESCRIBE"
    std::vector<Difference> differences;
    std::optional<StatementRun> described; // of the DESCRIBE
};

// For workspaces or tokens that do not let the Unity Catalog API be asked. `warehouse_id` is called at most
// once per table, and only when it is needed.
struct SqlFallback {
    std::function<databricks::ApiResult<std::string>()> warehouse_id;
    std::chrono::milliseconds timeout{600'000};
    std::function<void(const RunProgress&)> progress = {};
};

// Asks the Unity Catalog API, and where that is not allowed or not there, by SQL (when `fallback` is given).
databricks::ApiResult<TableReport> check_table(databricks::Workspace& workspace, const Place& place,
                                               Signal signal, const SqlFallback* fallback);

// Whether an error of check_table() without fallback is one that the fallback is for.
bool wants_sql(const databricks::ApiError& error);

// The contract's exit code of a check: 0 all the same, 11 one differs, 12 one is missing (and none differs).
int exit_code_of(const std::vector<TableReport>& reports);

} // namespace dbx::tables
