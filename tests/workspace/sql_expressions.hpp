#pragma once

#include "tests/workspace/sql_tree.hpp"
#include "tests/workspace/sql_types.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbx::standin {

struct QueryColumn {
    std::string name;
    SqlType type;
};

// What names may mean in one SELECT.
struct ScopeSource {
    std::string alias;    // as the statement says it; may be empty
    std::string internal; // t1, t2, …
    std::vector<QueryColumn> columns;
};

struct Scope {
    std::vector<ScopeSource> sources;
    bool grouped = false;
    std::vector<std::string> group_sql; // what may stand outside aggregates
    std::vector<SqlType> group_types;
};

// An expression in SQLite's words, with Spark's type.
struct Typed {
    std::string sql;
    SqlType type;
};

// A literal and a name, quoted for SQLite.
std::string sql_text(std::string_view text);
std::string sql_name(std::string_view text);

bool is_integer(const SqlType& type);
bool is_number(const SqlType& type);
bool is_void(const SqlType& type); // of NULL
bool is_nested(const SqlType& type);
// The type of both. Throws where Spark, or the stand-in, knows none.
SqlType common_type(const SqlType& a, const SqlType& b);
// Spark would cast; the stand-in wants the types to agree. Throws.
void check_comparable(const SqlType& a, const SqlType& b);
SqlError type_error(const std::string& what);

bool is_aggregate(const tree::Node& node); // itself
bool has_aggregate(const tree::NodePtr& node);

// Types the expressions of one statement as Spark does, and says them to SQLite. Throws SqlError.
class Expressions {
  public:
    // `user`: who current_user() is.
    Expressions(std::string_view statement, std::string user)
        : statement_(statement)
        , user_(std::move(user)) {}

    Typed expression(const tree::Node& node, Scope& scope);
    std::string boolean(const tree::Node& node, Scope& scope);
    // What the stand-in does not know.
    SqlError unknown(const tree::Node& node, const std::string& what) const;

  private:
    Typed plain(const tree::Node& node, Scope& scope);
    Typed column(const tree::Node& node, Scope& scope) const;
    Typed element(const tree::Node& node, Scope& scope);
    Typed unary(const tree::Node& node, Scope& scope);
    Typed binary(const tree::Node& node, Scope& scope);
    Typed cast(const tree::Node& node, Scope& scope);
    // sql_functions.cpp
    Typed call(const tree::Node& node, Scope& scope);
    Typed aggregate(const tree::Node& node, Scope& scope);
    Typed aggregate_call(const tree::Node& node, Scope& scope);
    Typed windowed(const tree::Node& node, Scope& scope);

    std::string_view statement_;
    const std::string user_;
    bool inside_aggregate_ = false;
};

} // namespace dbx::standin
