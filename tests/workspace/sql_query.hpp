#pragma once

#include "tests/workspace/sql_engine.hpp"
#include "tests/workspace/sql_expressions.hpp"

#include <functional>
#include <string>
#include <vector>

namespace dbx::standin {

// Queries over stored rows: SELECT … FROM, WITH, UNION ALL, joins, GROUP BY, windows; see README.md. They are
// checked and typed as Spark does it, then evaluated by SQLite. What the stand-in does not know is a
// [PARSE_SYNTAX_ERROR], never a wrong answer.

// Finds a table for a user who is to read it; throws SqlError when it is not there or may not be read.
using FindTable = std::function<const Table&(const SqlName& name, const std::string& user)>;

// The columns that a query gives. Throws SqlError.
std::vector<QueryColumn> query_columns(std::string_view sql, const SqlParameters& parameters,
                                       const SqlSession& session, const FindTable& find);

// Runs it; afterwards every table it read was looked at (RowStore::look).
SqlResult run_query(std::string_view sql, const SqlParameters& parameters, const SqlSession& session,
                    const FindTable& find);

} // namespace dbx::standin
