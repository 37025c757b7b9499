#pragma once

#include "tests/workspace/sql_parser.hpp"
#include "tests/workspace/state.hpp"

#include <string>

namespace dbx::standin {

// Columns as [{"name","type_name","type_text"}], rows as arrays of strings and nulls; no columns: DDL.
struct SqlResult {
    Json columns = Json::array();
    Json rows = Json::array();
};

// Who runs a statement, and what unqualified names mean.
struct SqlSession {
    std::string user;
    std::string catalog = "main";
    std::string schema = "default";
    RowStore* rows = nullptr; // nullptr: no table has any
};

// Runs one statement on the world. Throws SqlError for every failure that the statement API reports inside
// HTTP 200; then nothing was changed.
SqlResult run_sql(World& world, const SqlSession& session, const SqlStatement& statement);

} // namespace dbx::standin
