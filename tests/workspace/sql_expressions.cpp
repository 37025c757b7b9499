#include "tests/workspace/sql_expressions.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>

namespace dbx::standin {

using namespace tree;

// --- words and types

std::string sql_text(std::string_view text) {
    if (text.find('\0') != std::string_view::npos)
        throw SqlError("[PARSE_SYNTAX_ERROR] The stand-in takes no NUL in a literal. SQLSTATE: 42601",
                       "42601");
    return "'" + replace_all(std::string(text), "'", "''") + "'";
}

std::string sql_name(std::string_view text) {
    return "\"" + replace_all(std::string(text), "\"", "\"\"") + "\"";
}

bool is_integer(const SqlType& type) {
    return type.name == "int" || type.name == "bigint";
}
bool is_number(const SqlType& type) {
    return is_integer(type) || type.name == "double";
}
bool is_void(const SqlType& type) {
    return type.name == "void";
}
bool is_nested(const SqlType& type) {
    return type.name == "struct" || type.name == "map" || type.name == "array";
}

SqlError type_error(const std::string& what) {
    return SqlError("[DATATYPE_MISMATCH] " + what + " SQLSTATE: 42K09", "42K09");
}

SqlType common_type(const SqlType& a, const SqlType& b) {
    if (is_void(a)) return b;
    if (is_void(b) || type_text(a) == type_text(b)) return a;
    if (is_number(a) && is_number(b)) {
        if (a.name == "double" || b.name == "double") return simple("double");
        return simple("bigint");
    }
    throw type_error(type_text(a) + " and " + type_text(b) + " have no common type in the stand-in.");
}

void check_comparable(const SqlType& a, const SqlType& b) {
    if (is_void(a) || is_void(b) || (is_number(a) && is_number(b))) return;
    if (a.name == b.name && !is_nested(a)) return;
    throw type_error("Cannot compare " + type_text(a) + " with " + type_text(b) + " in the stand-in.");
}

namespace {

constexpr std::array aggregate_names = {"count", "sum", "min", "max", "avg", "count_if", "max_by", "min_by"};

} // namespace

bool is_aggregate(const Node& node) {
    return node.kind == Node::Kind::call && !node.window &&
           std::any_of(aggregate_names.begin(), aggregate_names.end(),
                       [&](const char* name) { return node.text == name; });
}

bool has_aggregate(const NodePtr& node) {
    if (!node) return false;
    if (is_aggregate(*node)) return true;
    return std::any_of(node->children.begin(), node->children.end(), has_aggregate);
}

// --- expressions

namespace {

bool has_aggregate_in(const Node& node) {
    return std::any_of(node.children.begin(), node.children.end(), has_aggregate);
}

Typed entry(const Typed& map, const std::string& key) {
    if (key.find_first_of("\"'") != std::string::npos)
        throw type_error("The stand-in cannot look up a key with quotes.");
    return {"json_extract(" + map.sql + ", '$.\"" + key + "\"')", map.type.children[1].type};
}

Typed field_of(const Typed& from, const std::string& name) {
    if (from.type.name == "struct")
        for (const SqlField& one : from.type.children)
            if (iequals(one.name, name))
                return {"json_extract(" + from.sql + ", '$.\"" + one.name + "\"')", one.type};
    // m.key reads a map as well.
    if (from.type.name == "map") return entry(from, name);
    if (from.type.name == "struct")
        throw SqlError("[FIELD_NOT_FOUND] No such struct field `" + name + "`. SQLSTATE: 42704", "42704");
    throw SqlError(
        "[INVALID_EXTRACT_BASE_FIELD_TYPE] Can't extract a value. Need a complex type [STRUCT, ARRAY, "
        "MAP] but got \"" +
            type_text(from.type) + "\". SQLSTATE: 42000",
        "42000");
}

} // namespace

SqlError Expressions::unknown(const Node& node, const std::string& what) const {
    return syntax_error(statement_, node.at, what, ": the stand-in does not know this");
}

std::string Expressions::boolean(const Node& node, Scope& scope) {
    const Typed typed = expression(node, scope);
    if (typed.type.name != "boolean" && !is_void(typed.type))
        throw type_error("A condition is " + type_text(typed.type) + ", must be boolean.");
    return typed.sql;
}

Typed Expressions::expression(const Node& node, Scope& scope) {
    if (!scope.grouped || inside_aggregate_) return plain(node, scope);
    // Outside of aggregates only what is grouped by, as a whole or as parts of an expression.
    if (is_aggregate(node)) return plain(node, scope);
    if (node.kind != Node::Kind::literal && node.kind != Node::Kind::null && !has_aggregate_in(node)) {
        scope.grouped = false;
        const Typed typed = plain(node, scope);
        scope.grouped = true;
        for (std::size_t i = 0; i < scope.group_sql.size(); ++i)
            if (scope.group_sql[i] == typed.sql) return typed;
        if (node.kind == Node::Kind::name || node.kind == Node::Kind::star)
            throw SqlError("[MISSING_AGGREGATION] The non-aggregating expression \"" + join(node.name, ".") +
                               "\" is based on columns which are not participating in the GROUP BY clause. "
                               "SQLSTATE: 42803",
                           "42803");
    }
    if (node.window) throw unknown(node, "a window over groups");
    return plain(node, scope);
}
Typed Expressions::plain(const Node& node, Scope& scope) {
    using Kind = Node::Kind;
    switch (node.kind) {
    case Kind::literal:
        if (node.type.name == "string") return {sql_text(node.text), node.type};
        return {node.text, node.type};
    case Kind::null:
        return {"NULL", simple("void")};
    case Kind::name:
        return column(node, scope);
    case Kind::star:
        throw unknown(node, "*");
    case Kind::field:
        return field_of(expression(*node.children[0], scope), node.text);
    case Kind::element:
        return element(node, scope);
    case Kind::unary:
        return unary(node, scope);
    case Kind::binary:
        return binary(node, scope);
    case Kind::is_null: {
        const Typed inner = expression(*node.children[0], scope);
        return {"(" + inner.sql + (node.flag ? " IS NOT NULL)" : " IS NULL)"), simple("boolean")};
    }
    case Kind::in: {
        const Typed left = expression(*node.children[0], scope);
        std::vector<std::string> list;
        for (std::size_t i = 1; i < node.children.size(); ++i) {
            const Typed one = expression(*node.children[i], scope);
            check_comparable(left.type, one.type);
            list.push_back(one.sql);
        }
        return {"(" + left.sql + (node.flag ? " NOT IN (" : " IN (") + join(list, ", ") + "))",
                simple("boolean")};
    }
    case Kind::between: {
        const Typed a = expression(*node.children[0], scope);
        const Typed b = expression(*node.children[1], scope);
        const Typed c = expression(*node.children[2], scope);
        check_comparable(a.type, b.type);
        check_comparable(a.type, c.type);
        return {"(" + a.sql + (node.flag ? " NOT BETWEEN " : " BETWEEN ") + b.sql + " AND " + c.sql + ")",
                simple("boolean")};
    }
    case Kind::cases: {
        std::string sql = "CASE";
        SqlType type = simple("void");
        std::size_t i = 0;
        for (; i + 1 < node.children.size(); i += 2) {
            const Typed value = expression(*node.children[i + 1], scope);
            type = common_type(type, value.type);
            sql += " WHEN " + boolean(*node.children[i], scope) + " THEN " + value.sql;
        }
        if (i < node.children.size()) {
            const Typed value = expression(*node.children[i], scope);
            type = common_type(type, value.type);
            sql += " ELSE " + value.sql;
        }
        return {"(" + sql + " END)", type};
    }
    case Kind::cast:
        return cast(node, scope);
    case Kind::call:
        return call(node, scope);
    }
    throw unknown(node, "this");
}

Typed Expressions::column(const Node& node, Scope& scope) const {
    const auto find_in = [&](const ScopeSource& source, const std::string& name) -> const QueryColumn* {
        for (const QueryColumn& column : source.columns)
            if (iequals(column.name, name)) return &column;
        return nullptr;
    };
    Typed out;
    std::size_t used = 0;
    // 1. alias.column 2. column
    if (node.name.size() > 1)
        for (const ScopeSource& source : scope.sources) {
            if (!iequals(source.alias, node.name[0]) && source.internal != node.name[0]) continue;
            if (const QueryColumn* found = find_in(source, node.name[1])) {
                out = {source.internal + "." + sql_name(found->name), found->type};
                used = 2;
            }
        }
    if (used == 0)
        for (const ScopeSource& source : scope.sources)
            if (const QueryColumn* found = find_in(source, node.name[0])) {
                if (used > 0)
                    throw SqlError("[AMBIGUOUS_REFERENCE] Reference `" + node.name[0] +
                                       "` is ambiguous. SQLSTATE: 42704",
                                   "42704");
                out = {source.internal + "." + sql_name(found->name), found->type};
                used = 1;
            }
    if (used == 0)
        throw SqlError(
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `" +
                join(node.name, "`.`") + "` cannot be resolved. SQLSTATE: 42703",
            "42703");
    for (; used < node.name.size(); ++used) out = field_of(out, node.name[used]);
    return out;
}

Typed Expressions::element(const Node& node, Scope& scope) {
    const Typed base = expression(*node.children[0], scope);
    const Node& key = *node.children[1];
    if (base.type.name != "map" || key.kind != Node::Kind::literal || key.type.name != "string")
        throw unknown(node, "[");
    return entry(base, key.text);
}

Typed Expressions::unary(const Node& node, Scope& scope) {
    if (node.text == "NOT") return {"(NOT " + boolean(*node.children[0], scope) + ")", simple("boolean")};
    const Typed inner = expression(*node.children[0], scope);
    if (!is_number(inner.type)) throw type_error("- needs a number.");
    return {"(- " + inner.sql + ")", inner.type};
}

Typed Expressions::binary(const Node& node, Scope& scope) {
    if (node.text == "AND" || node.text == "OR")
        return {"(" + boolean(*node.children[0], scope) + " " + node.text + " " +
                    boolean(*node.children[1], scope) + ")",
                simple("boolean")};
    Typed a = expression(*node.children[0], scope);
    Typed b = expression(*node.children[1], scope);
    if (node.text == "||") {
        for (const Typed* side : {&a, &b})
            if (side->type.name != "string" && !is_void(side->type)) throw type_error("|| needs strings.");
        return {"(" + a.sql + " || " + b.sql + ")", simple("string")};
    }
    if (node.text == "LIKE") {
        if (a.type.name != "string" || b.type.name != "string") throw type_error("LIKE needs strings.");
        return {"(" + a.sql + (node.flag ? " NOT" : "") + " LIKE " + b.sql + " ESCAPE '\\')",
                simple("boolean")};
    }
    if (one_of(node.text, {"+", "-", "*", "/"})) {
        if ((!is_number(a.type) && !is_void(a.type)) || (!is_number(b.type) && !is_void(b.type)))
            throw type_error(node.text + " needs numbers, not " + type_text(a.type) + " and " +
                             type_text(b.type) + ".");
        if (node.text == "/") return {"spark_divide(" + a.sql + ", " + b.sql + ")", simple("double")};
        SqlType type = common_type(a.type, b.type);
        if (is_integer(type)) type = simple("bigint");
        return {"(" + a.sql + " " + node.text + " " + b.sql + ")", type};
    }
    check_comparable(a.type, b.type);
    return {"(" + a.sql + " " + (node.text == "<=>" ? "IS" : node.text) + " " + b.sql + ")",
            simple("boolean")};
}

Typed Expressions::cast(const Node& node, Scope& scope) {
    const Typed inner = expression(*node.children[0], scope);
    const std::string& from = inner.type.name;
    const std::string& to = node.type.name;
    if (is_void(inner.type)) return {"NULL", node.type};
    if (from == to) return inner;
    const std::string mode = node.flag ? "1" : "0";
    if (from == "string" && (to == "bigint" || to == "int" || to == "double"))
        return {"spark_cast_" + to + "(" + inner.sql + ", " + mode + ")", node.type};
    if (is_integer(inner.type) && to == "double") return {"CAST(" + inner.sql + " AS REAL)", node.type};
    if (is_integer(inner.type) && to == "bigint") return {inner.sql, node.type};
    if (from == "double" && to == "bigint") return {"spark_long(" + inner.sql + ")", node.type};
    if (to == "string" && (is_integer(inner.type) || from == "date"))
        return {"CAST(" + inner.sql + " AS TEXT)", node.type};
    if (to == "string" && from == "boolean")
        return {"(CASE " + inner.sql + " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)", node.type};
    if (to == "date" && from == "timestamp") return {"spark_date(" + inner.sql + ")", node.type};
    throw unknown(node, "CAST from " + from + " to " + to);
}

} // namespace dbx::standin
