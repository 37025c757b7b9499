#pragma once

#include "tests/workspace/sql_parser.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A query as it is written: names are not resolved, nothing has a type.
namespace dbx::standin::tree {

struct Node;
using NodePtr = std::shared_ptr<Node>;

struct Window {
    std::vector<NodePtr> partition;
    std::vector<std::pair<NodePtr, bool>> order; // descending?
};

struct Node {
    enum class Kind {
        literal,
        null,
        name,
        star,
        field,
        element,
        call,
        binary,
        unary,
        cast,
        cases,
        in,
        between,
        is_null
    };
    Kind kind = Kind::literal;
    std::string text; // value, operator, function in lower case, field
    SqlType type;     // of literals and casts
    std::vector<std::string> name;
    std::vector<NodePtr> children;
    bool flag = false; // NOT, DISTINCT, TRY_
    NodePtr filter;
    std::optional<Window> window;
    std::size_t at = 0; // in the statement
};

struct Query;

struct Source {
    SqlName name;
    std::shared_ptr<Query> query;
    std::string alias;
    std::string join; // "", "JOIN", "LEFT JOIN", "CROSS JOIN"
    NodePtr on;
    std::size_t at = 0;
};

struct Item {
    NodePtr node;
    std::string name;
};

struct SelectBody {
    bool distinct = false;
    std::vector<Item> items;
    std::vector<Source> from;
    NodePtr where;
    std::vector<NodePtr> group;
    bool group_all = false;
    NodePtr having;
};

struct OrderItem {
    NodePtr node;
    bool descending = false;
    std::string nulls;
};

struct Query {
    std::vector<std::pair<std::string, std::shared_ptr<Query>>> with;
    std::vector<SelectBody> parts; // joined by UNION ALL
    std::vector<OrderItem> order;
    std::optional<std::string> limit;
};

// Throws SqlError for what is wrong, and for what the stand-in does not know.
std::shared_ptr<Query> parse_query(std::string_view sql, const SqlParameters& parameters);

// A type without parts.
SqlType simple(std::string name);
// In any case of letters.
bool one_of(std::string_view word, std::initializer_list<std::string_view> words);

} // namespace dbx::standin::tree
