#pragma once

#include "core/databricks/statements.hpp"
#include "core/tables/schema.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbx::tables {

// What became of one statement.
struct StatementRun {
    Statement statement;
    bool begun = false; // false: an interrupt or the end of the time came first
    std::string statement_id;
    databricks::StatementState state = databricks::StatementState::pending; // the last that was seen
    std::chrono::milliseconds elapsed{0};
    std::optional<databricks::ApiError> error;

    bool succeeded() const { return begun && !error; }
};

struct RunProgress {
    std::size_t done = 0;
    std::size_t total = 0;
    databricks::StatementState state = databricks::StatementState::pending; // of the one that told last
    std::chrono::milliseconds elapsed{0};
};

// Runs statements that do no harm when they run twice, at most three at a time, in no order; all within
// `timeout`. `progress` is called by one thread at a time. The runs are in the order of the statements.
std::vector<StatementRun> run_side_by_side(databricks::Workspace& workspace,
                                           const std::vector<Statement>& statements,
                                           const std::string& warehouse_id, std::chrono::milliseconds timeout,
                                           const std::function<void(const RunProgress&)>& progress = {});

// The error of the first run that failed, interrupts and timeouts first; nullptr when all succeeded.
const databricks::ApiError* first_error(const std::vector<StatementRun>& runs);

// Whether it is not known what became of a statement: its answer was lost. A look at the result decides then.
bool may_have_run(const databricks::ApiError& error);

// "90s", "10m", "1h", or a number of seconds; 1 s to 24 h. Errors: kind usage.
Result<std::chrono::milliseconds> parse_timeout(std::string_view text);

} // namespace dbx::tables
