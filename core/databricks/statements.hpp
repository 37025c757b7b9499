#pragma once

#include "core/databricks/api.hpp"

#include <functional>

namespace dbx::databricks {

enum class StatementState {
    pending, // queued, or the warehouse is starting
    running,
    succeeded,
    failed,
    canceled,
    closed,  // succeeded, and the result is gone
    unknown, // a word that is not known here
};

// "PENDING", … as the API writes it.
std::string_view name_of(StatementState state);

struct Parameter { // :name in the statement; never an identifier
    std::string name;
    std::string value;
    std::string type = "STRING";
};

struct StatementRequest {
    std::string sql; // exactly one statement
    std::string warehouse_id;
    std::string catalog = {}; // may be empty
    std::string schema = {};
    std::vector<Parameter> parameters = {};
    std::chrono::milliseconds timeout{600'000}; // of everything, the warehouse's start included
    // yes: when the answer to the submit is lost it is submitted again. Only for statements that do no harm
    // when they run twice (CREATE ... IF NOT EXISTS, GRANT, SELECT).
    http::Repeatable repeatable = http::Repeatable::only_unsent;
    std::int64_t row_limit = 0; // 0: none
};

struct StatementProgress {
    StatementState state = StatementState::pending;
    std::string statement_id; // empty before the submit was answered
    std::chrono::milliseconds elapsed{0};
};

struct StatementColumn {
    std::string name;
    std::string type_text;
};

struct StatementResult {
    std::string statement_id;
    StatementState state = StatementState::succeeded;
    std::vector<StatementColumn> columns;
    std::vector<std::vector<std::optional<std::string>>> rows; // every cell is text or null
    bool truncated = false;                                    // by row_limit, or by the server
    std::chrono::milliseconds elapsed{0};
};

// Runs one statement on a warehouse to its end. A failed statement is an error (statement_failed, with
// sql_state, error_class and the server's message), also though HTTP says 200. On a timeout or an interrupt
// the statement is cancelled; when it turns out to have succeeded in that moment, that is the result.
// `progress` is called before the submit and after every look at the state, on the calling thread.
ApiResult<StatementResult> execute(Workspace& workspace, const StatementRequest& request,
                                   const std::function<void(const StatementProgress&)>& progress = {});

} // namespace dbx::databricks
