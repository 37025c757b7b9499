#pragma once

#include "tests/workspace/sql_lexer.hpp"
#include "tests/workspace/sql_types.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dbx::standin {

// One to three parts, as written.
using SqlName = std::vector<std::string>;

enum class IfExists { fail, skip };

struct CreateSchema {
    SqlName name;
    IfExists if_exists = IfExists::fail;
    std::string comment;
};

struct CreateTable {
    SqlName name;
    IfExists if_exists = IfExists::fail;
    std::vector<SqlField> columns;
    std::string provider; // lower case; empty: not said
    std::map<std::string, std::string> properties;
    std::vector<std::string> cluster_by;
    std::string comment;
};

struct CreateView {
    SqlName name;
    bool or_replace = false;
    IfExists if_exists = IfExists::fail;
    std::vector<std::string> columns;
    std::string comment;
    std::string definition;            // the query's text
    std::vector<SqlName> three_parted; // names after FROM and JOIN with a catalog
};

// `securable` is catalog, schema or table. Privileges in SQL form, upper case ("USE CATALOG").
struct GrantOrRevoke {
    bool revoke = false;
    std::vector<std::string> privileges;
    std::string securable;
    SqlName name;
    std::string principal;
};

struct ShowGrants {
    std::string principal; // empty: all
    std::string securable;
    SqlName name;
};

struct DescribeTable {
    SqlName name;
    bool extended = false;
};

struct ShowProperties {
    SqlName name;
    std::string key; // empty: all
};

struct Drop {
    std::string what; // table, view, schema
    SqlName name;
    IfExists if_exists = IfExists::fail;
};

// SELECT of literals, current_user() and COUNT(*), from nothing.
struct Select {
    struct Item {
        enum class Kind { literal, null, current_user, count } kind = Kind::literal;
        std::string value;
        std::string name; // column heading
        std::string type = "STRING";
    };
    std::vector<Item> items;
    std::optional<std::int64_t> limit;
};

// Values of named parameters (:p); an empty optional is NULL.
using SqlParameters = std::map<std::string, std::optional<std::string>>;

// SELECT … FROM and WITH: read by sql_query.hpp when it runs, since names are resolved by the tables.
struct TableQuery {
    std::string text;
    SqlParameters parameters;
};

using SqlStatement = std::variant<CreateSchema, CreateTable, CreateView, GrantOrRevoke, ShowGrants,
                                  DescribeTable, ShowProperties, Drop, Select, TableQuery>;

// Exactly one statement; a closing semicolon is allowed. Throws SqlError for what is wrong or unknown.
SqlStatement parse_sql(std::string_view sql, const SqlParameters& parameters = {});

// A type by itself, such as a column's remembered type_text. Throws SqlError.
SqlType parse_type(std::string_view text);

} // namespace dbx::standin
