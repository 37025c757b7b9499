// The functions of Expressions: those of one row, aggregates, windows.
#include "core/base/strings.hpp"
#include "tests/workspace/sql_expressions.hpp"

namespace dbx::standin {

using namespace tree;

Typed Expressions::call(const Node& node, Scope& scope) {
    const std::string& name = node.text;
    if (node.window) return windowed(node, scope);
    if (is_aggregate(node)) return aggregate(node, scope);
    if (node.flag || node.filter) throw unknown(node, name);
    std::vector<Typed> args;
    for (const NodePtr& child : node.children) args.push_back(expression(*child, scope));
    const auto want = [&](std::size_t low, std::size_t high) {
        if (args.size() < low || args.size() > high)
            throw SqlError("[WRONG_NUM_ARGS.WITHOUT_SUGGESTION] The `" + name +
                               "` has a wrong number of parameters. SQLSTATE: 42605",
                           "42605");
    };
    const auto want_type = [&](std::size_t i, std::initializer_list<std::string_view> types) {
        if (!is_void(args[i].type) && !one_of(args[i].type.name, types))
            throw type_error(name + "() does not take " + type_text(args[i].type) + ".");
    };
    const auto listed = [&] {
        std::vector<std::string> out;
        for (const Typed& arg : args) out.push_back(arg.sql);
        return join(out, ", ");
    };
    if (name == "coalesce" || name == "greatest" || name == "least") {
        want(name == "coalesce" ? 1 : 2, 50);
        SqlType type = simple("void");
        for (const Typed& arg : args) type = common_type(type, arg.type);
        if (name == "coalesce" && args.size() == 1) return {args[0].sql, type};
        return {(name == "coalesce" ? "coalesce(" : "spark_" + name + "(") + listed() + ")", type};
    }
    if (name == "nullif") {
        want(2, 2);
        check_comparable(args[0].type, args[1].type);
        return {"nullif(" + listed() + ")", args[0].type};
    }
    if (name == "if") {
        want(3, 3);
        want_type(0, {"boolean"});
        return {"(CASE WHEN " + args[0].sql + " THEN " + args[1].sql + " ELSE " + args[2].sql + " END)",
                common_type(args[1].type, args[2].type)};
    }
    if (name == "concat") {
        want(1, 50);
        std::string sql;
        for (std::size_t i = 0; i < args.size(); ++i) {
            want_type(i, {"string"});
            sql += (i ? " || " : "") + args[i].sql;
        }
        return {"(" + sql + ")", simple("string")};
    }
    if (name == "replace") {
        want(3, 3);
        for (std::size_t i = 0; i < 3; ++i) want_type(i, {"string"});
        return {"replace(" + listed() + ")", simple("string")};
    }
    if (name == "lower" || name == "upper") {
        want(1, 1);
        want_type(0, {"string"});
        return {name + "(" + listed() + ")", simple("string")};
    }
    if (name == "startswith") {
        want(2, 2);
        want_type(0, {"string"});
        want_type(1, {"string"});
        return {"(substr(" + args[0].sql + ", 1, length(" + args[1].sql + ")) = " + args[1].sql + ")",
                simple("boolean")};
    }
    if (name == "timestamp_micros" || name == "timestamp_millis") {
        want(1, 1);
        want_type(0, {"int", "bigint"});
        return {name == "timestamp_micros" ? args[0].sql : "(1000 * " + args[0].sql + ")",
                simple("timestamp")};
    }
    if (name == "to_date") {
        want(1, 1);
        want_type(0, {"timestamp", "date"});
        if (args[0].type.name == "date") return args[0];
        return {"spark_date(" + listed() + ")", simple("date")};
    }
    if (name == "map_entries") {
        want(1, 1);
        want_type(0, {"map"});
        SqlType pair = simple("struct");
        if (args[0].type.children.size() == 2)
            pair.children = {{"key", args[0].type.children[0].type, false, ""},
                             {"value", args[0].type.children[1].type, true, ""}};
        SqlType type = simple("array");
        type.children = {{"", pair, true, ""}};
        return {"spark_map_entries(" + listed() + ")", type};
    }
    if (name == "array_sort") {
        want(1, 1);
        want_type(0, {"array"});
        return {"spark_array_sort(" + listed() + ")", args[0].type};
    }
    if (name == "to_json") {
        want(1, 1);
        want_type(0, {"array", "map", "struct"});
        return {args[0].sql, simple("string")};
    }
    if (name == "try_divide") {
        want(2, 2);
        return {"(CAST(" + args[0].sql + " AS REAL) / nullif(" + args[1].sql + ", 0))", simple("double")};
    }
    if (name == "current_user" || name == "session_user") {
        want(0, 0);
        return {sql_text(user_), simple("string")};
    }
    throw SqlError("[UNRESOLVED_ROUTINE] Cannot resolve routine `" + name +
                       "` on search path: the stand-in does not know it. SQLSTATE: 42883",
                   "42883");
}

// The type of what an aggregate gives, and its SQLite form.
Typed Expressions::aggregate(const Node& node, Scope& scope) {
    if (inside_aggregate_)
        throw SqlError("[NESTED_AGGREGATE_FUNCTION] It is not allowed to use an aggregate function in the "
                       "argument of another aggregate function. SQLSTATE: 42607",
                       "42607");
    inside_aggregate_ = true;
    Typed out = aggregate_call(node, scope);
    if (node.filter) out.sql += " FILTER (WHERE " + boolean(*node.filter, scope) + ")";
    inside_aggregate_ = false;
    return out;
}

Typed Expressions::aggregate_call(const Node& node, Scope& scope) {
    const std::string& name = node.text;
    const std::string distinct = node.flag ? "DISTINCT " : "";
    if (name == "count" && node.children.size() == 1 && node.children[0]->kind == Node::Kind::star)
        return {"count(*)", simple("bigint")};
    if (node.children.size() != (name == "max_by" || name == "min_by" ? 2u : 1u)) throw unknown(node, name);
    const Typed arg = expression(*node.children[0], scope);
    if (name == "count") return {"count(" + distinct + arg.sql + ")", simple("bigint")};
    if (name == "count_if") {
        if (node.flag || arg.type.name != "boolean") throw type_error("count_if() needs a condition.");
        return {"count(CASE WHEN " + arg.sql + " THEN 1 END)", simple("bigint")};
    }
    if (name == "sum" || name == "avg") {
        if (!is_number(arg.type) && !is_void(arg.type))
            throw type_error(name + "() needs a number, not " + type_text(arg.type) + ".");
        if (name == "avg") return {"avg(" + distinct + arg.sql + ")", simple("double")};
        return {"sum(" + distinct + arg.sql + ")", simple(arg.type.name == "double" ? "double" : "bigint")};
    }
    if (name == "max_by" || name == "min_by") {
        const Typed by = expression(*node.children[1], scope);
        if (is_nested(arg.type) || is_nested(by.type)) throw unknown(node, name);
        return {"spark_" + name + "(" + arg.sql + ", " + by.sql + ")", arg.type};
    }
    if (is_nested(arg.type)) throw type_error(name + "() needs an orderable type.");
    return {name + "(" + distinct + arg.sql + ")", arg.type};
}

Typed Expressions::windowed(const Node& node, Scope& scope) {
    Typed function;
    const std::string& name = node.text;
    if (node.flag || node.filter) throw unknown(node, name);
    if (name == "row_number" && node.children.empty()) {
        function = {"row_number()", simple("bigint")};
    } else if ((name == "lag" || name == "lead") && node.children.size() == 1) {
        const Typed arg = expression(*node.children[0], scope);
        function = {name + "(" + arg.sql + ")", arg.type};
    } else if (one_of(name, {"sum", "min", "max", "count"})) {
        inside_aggregate_ = true;
        function = aggregate_call(node, scope);
        inside_aggregate_ = false;
    } else {
        throw unknown(node, name);
    }
    std::string over;
    std::vector<std::string> parts;
    for (const NodePtr& one : node.window->partition) {
        const Typed by = expression(*one, scope);
        if (by.type.name == "map")
            throw SqlError(
                "[EXPRESSION_TYPE_IS_NOT_ORDERABLE] Column expression cannot be sorted because its type "
                "\"MAP\" is not orderable. SQLSTATE: 42822",
                "42822");
        parts.push_back(by.sql);
    }
    if (!parts.empty()) over = "PARTITION BY " + join(parts, ", ");
    parts.clear();
    for (const auto& [one, descending] : node.window->order)
        parts.push_back(expression(*one, scope).sql + (descending ? " DESC" : ""));
    if (!parts.empty()) over += (over.empty() ? "ORDER BY " : " ORDER BY ") + join(parts, ", ");
    if (parts.empty() && one_of(name, {"lag", "lead", "row_number"}))
        throw SqlError("[WINDOW_FUNCTION_WITHOUT_ORDER_BY] " + name + " needs an ORDER BY. SQLSTATE: 42601",
                       "42601");
    return {function.sql + " OVER (" + over + ")", function.type};
}

} // namespace dbx::standin
