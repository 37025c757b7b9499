#include "tests/workspace/sql_query.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/spark_functions.hpp"
#include "tests/workspace/sql_tree.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>

namespace dbx::standin {

using namespace tree;

namespace {

constexpr int deepest_view = 8;

// --- to SQLite --------------------------------------------------------------------------------------------

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

struct Typed {
    std::string sql;
    SqlType type;
};

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

struct Translated {
    std::string sql;
    std::vector<QueryColumn> columns;
};

constexpr std::array aggregate_names = {"count", "sum", "min", "max", "avg", "count_if", "max_by", "min_by"};

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

class Translator {
  public:
    Translator(std::string_view sql, const SqlSession& session, const FindTable& find,
               std::set<std::string>& read)
        : statement_(sql)
        , session_(session)
        , find_(find)
        , read_(read) {}

    using Ctes = std::vector<std::pair<std::string, Translated>>;

    Translated query(const Query& query, const Ctes& outer, const std::string& user, int views) {
        Ctes ctes = outer;
        for (const auto& [name, inner] : query.with)
            ctes.emplace_back(name, this->query(*inner, ctes, user, views));
        Translated out;
        Scope last;
        std::vector<std::string> parts;
        for (const SelectBody& body : query.parts) {
            Scope scope;
            Translated part = select(body, ctes, user, views, scope);
            if (parts.empty())
                out.columns = part.columns;
            else
                widen(out.columns, part.columns);
            parts.push_back(part.sql);
            last = std::move(scope);
        }
        out.sql = join(parts, " UNION ALL ");
        if (!query.order.empty()) out.sql += " ORDER BY " + order_by(query, out.columns, last);
        if (query.limit) out.sql += " LIMIT " + *query.limit;
        return out;
    }

  private:
    SqlError unknown(const Node& node, const std::string& what) const {
        return syntax_error(statement_, node.at, what, ": the stand-in does not know this");
    }

    static void widen(std::vector<QueryColumn>& all, const std::vector<QueryColumn>& more) {
        if (all.size() != more.size())
            throw SqlError(
                "[NUM_COLUMNS_MISMATCH] UNION can only be performed on inputs with the same number of "
                "columns. SQLSTATE: 42826",
                "42826");
        for (std::size_t i = 0; i < all.size(); ++i) all[i].type = common(all[i].type, more[i].type);
    }

    static SqlType common(const SqlType& a, const SqlType& b) {
        if (is_void(a)) return b;
        if (is_void(b) || type_text(a) == type_text(b)) return a;
        if (is_number(a) && is_number(b)) {
            if (a.name == "double" || b.name == "double") return simple("double");
            return simple("bigint");
        }
        throw type_error(type_text(a) + " and " + type_text(b) + " have no common type in the stand-in.");
    }

    std::string order_by(const Query& query, const std::vector<QueryColumn>& columns, Scope& scope) {
        std::vector<std::string> parts;
        for (const OrderItem& item : query.order) {
            std::string by;
            if (item.node->kind == Node::Kind::literal && item.node->type.name == "int") {
                by = item.node->text;
            } else if (item.node->kind == Node::Kind::name && item.node->name.size() == 1) {
                for (std::size_t i = 0; i < columns.size(); ++i)
                    if (iequals(columns[i].name, item.node->name[0])) by = std::to_string(i + 1);
            }
            if (by.empty()) {
                if (query.parts.size() > 1 || query.parts[0].distinct) throw unknown(*item.node, "ORDER BY");
                by = expression(*item.node, scope).sql;
            }
            if (item.descending) by += " DESC";
            if (!item.nulls.empty()) by += " NULLS " + item.nulls;
            parts.push_back(by);
        }
        return join(parts, ", ");
    }

    ScopeSource source(const Source& from, const Ctes& ctes, const std::string& user, int views,
                       std::string& sql) {
        ScopeSource out;
        out.internal = "t" + std::to_string(++next_);
        out.alias = !from.alias.empty() ? from.alias : from.name.empty() ? std::string() : from.name.back();
        Translated inner;
        if (from.query) {
            inner = query(*from.query, ctes, user, views);
        } else {
            const auto cte = std::find_if(ctes.rbegin(), ctes.rend(), [&](const auto& one) {
                return from.name.size() == 1 && iequals(one.first, from.name[0]);
            });
            inner = cte != ctes.rend() ? cte->second : table(find_(from.name, user), views);
        }
        out.columns = inner.columns;
        sql = "(" + inner.sql + ") AS " + out.internal;
        return out;
    }

    Translated table(const Table& table, int views) {
        if (table.table_type == "VIEW") {
            if (views >= deepest_view)
                throw SqlError("[VIEW_EXCEED_MAX_NESTED_DEPTH] SQLSTATE: 54K00", "54K00");
            // A view reads with its owner's rights.
            const SqlParameters none;
            const Table copy = table;
            const auto tree = parse_query(copy.view_definition, none);
            Translated out = Translator(copy.view_definition, session_, find_, read_)
                                 .query(*tree, {}, copy.owner, views + 1);
            for (std::size_t i = 0; i < out.columns.size() && i < copy.columns.size(); ++i)
                if (!iequals(out.columns[i].name, copy.columns[i].name)) return renamed(out, copy);
            return out;
        }
        read_.insert(table.name);
        Translated out;
        std::vector<std::string> columns;
        for (const Column& column : table.columns) {
            const SqlType type = parse_type(column.type_text);
            if (column.name.find('"') != std::string::npos || column.name.find('\'') != std::string::npos)
                throw type_error("The stand-in cannot read a column with quotes in its name.");
            columns.push_back("json_extract(row, '$.\"" + column.name + "\"') AS " + sql_name(column.name));
            out.columns.push_back({column.name, type});
        }
        out.sql = "SELECT " + join(columns, ", ") + " FROM rows WHERE tbl = " + sql_text(table.name) +
                  " AND hidden = 0";
        return out;
    }

    static Translated renamed(const Translated& from, const Table& view) {
        Translated out;
        std::vector<std::string> columns;
        for (std::size_t i = 0; i < from.columns.size(); ++i) {
            columns.push_back(sql_name(from.columns[i].name) + " AS " + sql_name(view.columns[i].name));
            out.columns.push_back({view.columns[i].name, from.columns[i].type});
        }
        out.sql = "SELECT " + join(columns, ", ") + " FROM (" + from.sql + ")";
        return out;
    }

    Translated select(const SelectBody& body, const Ctes& ctes, const std::string& user, int views,
                      Scope& scope) {
        std::string from;
        for (const Source& one : body.from) {
            std::string sql;
            ScopeSource source = this->source(one, ctes, user, views, sql);
            scope.sources.push_back(std::move(source));
            from += (from.empty() ? " FROM " : " " + one.join + " ") + sql;
            if (one.on) from += " ON " + boolean(*one.on, scope);
        }
        std::string where;
        if (body.where) {
            if (has_aggregate(body.where)) throw unknown(*body.where, "an aggregate in WHERE");
            where = " WHERE " + boolean(*body.where, scope);
        }
        std::vector<Item> items;
        for (const Item& item : body.items) {
            if (item.node->kind != Node::Kind::star) {
                items.push_back(item);
                continue;
            }
            for (const ScopeSource& source : scope.sources) {
                if (!item.node->name.empty() && !iequals(item.node->name[0], source.alias)) continue;
                for (const QueryColumn& column : source.columns) {
                    auto name = std::make_shared<Node>();
                    name->kind = Node::Kind::name;
                    name->name = {source.internal, column.name};
                    items.push_back({name, column.name});
                }
            }
        }
        std::vector<NodePtr> group = body.group;
        if (body.group_all)
            for (const Item& item : items)
                if (!has_aggregate(item.node)) group.push_back(item.node);
        const bool grouped =
            body.group_all || !group.empty() || body.having ||
            std::any_of(items.begin(), items.end(), [](const Item& i) { return has_aggregate(i.node); });
        std::vector<std::string> group_sql;
        for (NodePtr by : group) {
            by = group_item(by, items, scope);
            if (has_aggregate(by)) throw unknown(*by, "an aggregate in GROUP BY");
            const Typed typed = expression(*by, scope);
            if (is_nested(typed.type) && typed.type.name == "map")
                throw SqlError(
                    "[GROUP_EXPRESSION_TYPE_IS_NOT_ORDERABLE] The expression cannot be used as a "
                    "grouping expression because its data type \"MAP\" is not an orderable data type. "
                    "SQLSTATE: 42822",
                    "42822");
            // A number there would be a place to SQLite.
            group_sql.push_back(by->kind == Node::Kind::literal ? sql_text(by->text) : typed.sql);
            scope.group_types.push_back(typed.type);
        }
        scope.group_sql = group_sql;
        scope.grouped = grouped;
        Translated out;
        std::vector<std::string> columns;
        for (const Item& item : items) {
            const Typed typed = expression(*item.node, scope);
            std::string name = item.name;
            if (name.empty() && item.node->kind == Node::Kind::name) name = item.node->name.back();
            if (name.empty() && item.node->kind == Node::Kind::field) name = item.node->text;
            if (name.empty()) name = heading(*item.node);
            columns.push_back(typed.sql + " AS " + sql_name(name));
            out.columns.push_back({name, typed.type});
        }
        out.sql =
            std::string("SELECT ") + (body.distinct ? "DISTINCT " : "") + join(columns, ", ") + from + where;
        if (!group_sql.empty()) out.sql += " GROUP BY " + join(group_sql, ", ");
        if (body.having) {
            // SQLite wants a GROUP BY before it.
            if (group_sql.empty()) throw unknown(*body.having, "HAVING without GROUP BY");
            out.sql += " HAVING " + boolean(*body.having, scope);
        }
        return out;
    }

    static std::string heading(const Node& node) {
        if (node.kind == Node::Kind::call && node.children.size() == 1 &&
            node.children[0]->kind == Node::Kind::star)
            return node.text + "(1)";
        if (node.kind == Node::Kind::call) return node.text + "()";
        if (node.kind == Node::Kind::literal) return node.text;
        if (node.kind == Node::Kind::null) return "NULL";
        return "expr";
    }

    // A column of the sources wins over a name of the SELECT list; a number is a place in it.
    NodePtr group_item(const NodePtr& by, const std::vector<Item>& items, Scope& scope) {
        if (by->kind == Node::Kind::literal && by->type.name == "int") {
            const std::size_t place = static_cast<std::size_t>(std::stoul(by->text));
            if (place < 1 || place > items.size())
                throw SqlError("[GROUP_BY_POS_OUT_OF_RANGE] GROUP BY position " + by->text +
                                   " is not in select list. SQLSTATE: 42805",
                               "42805");
            return items[place - 1].node;
        }
        if (by->kind == Node::Kind::name && by->name.size() == 1) {
            for (const ScopeSource& source : scope.sources)
                for (const QueryColumn& column : source.columns)
                    if (iequals(column.name, by->name[0])) return by;
            for (const Item& item : items)
                if (iequals(item.name, by->name[0])) return item.node;
        }
        return by;
    }

    std::string boolean(const Node& node, Scope& scope) {
        const Typed typed = expression(node, scope);
        if (typed.type.name != "boolean" && !is_void(typed.type))
            throw type_error("A condition is " + type_text(typed.type) + ", must be boolean.");
        return typed.sql;
    }

    // --- expressions
    Typed expression(const Node& node, Scope& scope) {
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
                throw SqlError(
                    "[MISSING_AGGREGATION] The non-aggregating expression \"" + join(node.name, ".") +
                        "\" is based on columns which are not participating in the GROUP BY clause. "
                        "SQLSTATE: 42803",
                    "42803");
        }
        if (node.window) throw unknown(node, "a window over groups");
        return plain(node, scope);
    }
    static bool has_aggregate_in(const Node& node) {
        return std::any_of(node.children.begin(), node.children.end(), has_aggregate);
    }

    Typed plain(const Node& node, Scope& scope) {
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
            return field(expression(*node.children[0], scope), node.text);
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
                comparable(left.type, one.type);
                list.push_back(one.sql);
            }
            return {"(" + left.sql + (node.flag ? " NOT IN (" : " IN (") + join(list, ", ") + "))",
                    simple("boolean")};
        }
        case Kind::between: {
            const Typed a = expression(*node.children[0], scope);
            const Typed b = expression(*node.children[1], scope);
            const Typed c = expression(*node.children[2], scope);
            comparable(a.type, b.type);
            comparable(a.type, c.type);
            return {"(" + a.sql + (node.flag ? " NOT BETWEEN " : " BETWEEN ") + b.sql + " AND " + c.sql + ")",
                    simple("boolean")};
        }
        case Kind::cases: {
            std::string sql = "CASE";
            SqlType type = simple("void");
            std::size_t i = 0;
            for (; i + 1 < node.children.size(); i += 2) {
                const Typed value = expression(*node.children[i + 1], scope);
                type = common(type, value.type);
                sql += " WHEN " + boolean(*node.children[i], scope) + " THEN " + value.sql;
            }
            if (i < node.children.size()) {
                const Typed value = expression(*node.children[i], scope);
                type = common(type, value.type);
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

    Typed column(const Node& node, Scope& scope) {
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
        for (; used < node.name.size(); ++used) out = field(out, node.name[used]);
        return out;
    }

    static Typed field(const Typed& from, const std::string& name) {
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

    static Typed entry(const Typed& map, const std::string& key) {
        if (key.find_first_of("\"'") != std::string::npos)
            throw type_error("The stand-in cannot look up a key with quotes.");
        return {"json_extract(" + map.sql + ", '$.\"" + key + "\"')", map.type.children[1].type};
    }

    Typed element(const Node& node, Scope& scope) {
        const Typed base = expression(*node.children[0], scope);
        const Node& key = *node.children[1];
        if (base.type.name != "map" || key.kind != Node::Kind::literal || key.type.name != "string")
            throw unknown(node, "[");
        return entry(base, key.text);
    }

    Typed unary(const Node& node, Scope& scope) {
        if (node.text == "NOT") return {"(NOT " + boolean(*node.children[0], scope) + ")", simple("boolean")};
        const Typed inner = expression(*node.children[0], scope);
        if (!is_number(inner.type)) throw type_error("- needs a number.");
        return {"(- " + inner.sql + ")", inner.type};
    }

    // Spark would cast; the stand-in wants the types to agree.
    static void comparable(const SqlType& a, const SqlType& b) {
        if (is_void(a) || is_void(b) || (is_number(a) && is_number(b))) return;
        if (a.name == b.name && !is_nested(a)) return;
        throw type_error("Cannot compare " + type_text(a) + " with " + type_text(b) + " in the stand-in.");
    }

    Typed binary(const Node& node, Scope& scope) {
        if (node.text == "AND" || node.text == "OR")
            return {"(" + boolean(*node.children[0], scope) + " " + node.text + " " +
                        boolean(*node.children[1], scope) + ")",
                    simple("boolean")};
        Typed a = expression(*node.children[0], scope);
        Typed b = expression(*node.children[1], scope);
        if (node.text == "||") {
            for (const Typed* side : {&a, &b})
                if (side->type.name != "string" && !is_void(side->type))
                    throw type_error("|| needs strings.");
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
            SqlType type = common(a.type, b.type);
            if (is_integer(type)) type = simple("bigint");
            return {"(" + a.sql + " " + node.text + " " + b.sql + ")", type};
        }
        comparable(a.type, b.type);
        return {"(" + a.sql + " " + (node.text == "<=>" ? "IS" : node.text) + " " + b.sql + ")",
                simple("boolean")};
    }

    Typed cast(const Node& node, Scope& scope) {
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

    Typed call(const Node& node, Scope& scope) {
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
            for (const Typed& arg : args) type = common(type, arg.type);
            if (name == "coalesce" && args.size() == 1) return {args[0].sql, type};
            return {(name == "coalesce" ? "coalesce(" : "spark_" + name + "(") + listed() + ")", type};
        }
        if (name == "nullif") {
            want(2, 2);
            comparable(args[0].type, args[1].type);
            return {"nullif(" + listed() + ")", args[0].type};
        }
        if (name == "if") {
            want(3, 3);
            want_type(0, {"boolean"});
            return {"(CASE WHEN " + args[0].sql + " THEN " + args[1].sql + " ELSE " + args[2].sql + " END)",
                    common(args[1].type, args[2].type)};
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
            return {sql_text(session_.user), simple("string")};
        }
        throw SqlError("[UNRESOLVED_ROUTINE] Cannot resolve routine `" + name +
                           "` on search path: the stand-in does not know it. SQLSTATE: 42883",
                       "42883");
    }

    // The type of what an aggregate gives, and its SQLite form.
    Typed aggregate(const Node& node, Scope& scope) {
        if (inside_aggregate_)
            throw SqlError(
                "[NESTED_AGGREGATE_FUNCTION] It is not allowed to use an aggregate function in the "
                "argument of another aggregate function. SQLSTATE: 42607",
                "42607");
        inside_aggregate_ = true;
        Typed out = aggregate_call(node, scope);
        if (node.filter) out.sql += " FILTER (WHERE " + boolean(*node.filter, scope) + ")";
        inside_aggregate_ = false;
        return out;
    }

    Typed aggregate_call(const Node& node, Scope& scope) {
        const std::string& name = node.text;
        const std::string distinct = node.flag ? "DISTINCT " : "";
        if (name == "count" && node.children.size() == 1 && node.children[0]->kind == Node::Kind::star)
            return {"count(*)", simple("bigint")};
        if (node.children.size() != (name == "max_by" || name == "min_by" ? 2u : 1u))
            throw unknown(node, name);
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
            return {"sum(" + distinct + arg.sql + ")",
                    simple(arg.type.name == "double" ? "double" : "bigint")};
        }
        if (name == "max_by" || name == "min_by") {
            const Typed by = expression(*node.children[1], scope);
            if (is_nested(arg.type) || is_nested(by.type)) throw unknown(node, name);
            return {"spark_" + name + "(" + arg.sql + ", " + by.sql + ")", arg.type};
        }
        if (is_nested(arg.type)) throw type_error(name + "() needs an orderable type.");
        return {name + "(" + distinct + arg.sql + ")", arg.type};
    }

    Typed windowed(const Node& node, Scope& scope) {
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
            throw SqlError("[WINDOW_FUNCTION_WITHOUT_ORDER_BY] " + name +
                               " needs an ORDER BY. SQLSTATE: 42601",
                           "42601");
        return {function.sql + " OVER (" + over + ")", function.type};
    }

    std::string_view statement_;
    const SqlSession& session_;
    const FindTable& find_;
    std::set<std::string>& read_;
    int next_ = 0;
    bool inside_aggregate_ = false;
};

// --- results ----------------------------------------------------------------------------------------------

Json cell(sqlite3_stmt* statement, int i, const SqlType& type) {
    const int kind = sqlite3_column_type(statement, i);
    if (kind == SQLITE_NULL) return nullptr;
    if (type.name == "double") return Json(sqlite3_column_double(statement, i)).dump();
    if (type.name == "boolean") return sqlite3_column_int(statement, i) ? "true" : "false";
    if (type.name == "timestamp") return timestamp_text(sqlite3_column_int64(statement, i));
    if (is_integer(type) && kind == SQLITE_FLOAT)
        throw SqlError("[ARITHMETIC_OVERFLOW] long overflow. SQLSTATE: 22003", "22003");
    return std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, i)),
                       static_cast<std::size_t>(sqlite3_column_bytes(statement, i)));
}

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

} // namespace

std::vector<QueryColumn> query_columns(std::string_view sql, const SqlParameters& parameters,
                                       const SqlSession& session, const FindTable& find) {
    std::set<std::string> read;
    const auto tree = parse_query(sql, parameters);
    return Translator(sql, session, find, read).query(*tree, {}, session.user, 0).columns;
}

SqlResult run_query(std::string_view sql, const SqlParameters& parameters, const SqlSession& session,
                    const FindTable& find) {
    std::set<std::string> read;
    const auto tree = parse_query(sql, parameters);
    const Translated translated = Translator(sql, session, find, read).query(*tree, {}, session.user, 0);
    SqlResult out;
    for (const QueryColumn& column : translated.columns)
        out.columns.push_back({{"name", column.name},
                               {"type_name", is_void(column.type) ? "VOID" : type_name(column.type)},
                               {"type_text", is_void(column.type) ? "VOID" : type_text(column.type)}});
    if (!session.rows) return out;
    sqlite3* db = session.rows->handle();
    add_spark_functions(db);
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db, translated.sql.c_str(), -1, &raw, nullptr) != SQLITE_OK)
        throw SqlError(std::string("[PARSE_SYNTAX_ERROR] The stand-in cannot translate this: ") +
                           sqlite3_errmsg(db) + ". SQLSTATE: 42601",
                       "42601");
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
        Json row = Json::array();
        for (std::size_t i = 0; i < translated.columns.size(); ++i)
            row.push_back(cell(raw, static_cast<int>(i), translated.columns[i].type));
        out.rows.push_back(std::move(row));
    }
    if (code != SQLITE_DONE) throw SqlError(sqlite3_errmsg(db), "22000");
    for (const std::string& table : read) session.rows->look(table);
    return out;
}

} // namespace dbx::standin
