#include "tests/workspace/sql_query.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/spark_functions.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <set>

namespace dbx::standin {

using namespace tree;

namespace {

constexpr int deepest_view = 8;

struct Translated {
    std::string sql;
    std::vector<QueryColumn> columns;
};

class Translator {
  public:
    Translator(std::string_view sql, const SqlSession& session, const FindTable& find,
               std::set<std::string>& read)
        : expressions_(sql, session.user)
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
    static void widen(std::vector<QueryColumn>& all, const std::vector<QueryColumn>& more) {
        if (all.size() != more.size())
            throw SqlError(
                "[NUM_COLUMNS_MISMATCH] UNION can only be performed on inputs with the same number of "
                "columns. SQLSTATE: 42826",
                "42826");
        for (std::size_t i = 0; i < all.size(); ++i) all[i].type = common_type(all[i].type, more[i].type);
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
                if (query.parts.size() > 1 || query.parts[0].distinct)
                    throw expressions_.unknown(*item.node, "ORDER BY");
                by = expressions_.expression(*item.node, scope).sql;
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
            if (one.on) from += " ON " + expressions_.boolean(*one.on, scope);
        }
        std::string where;
        if (body.where) {
            if (has_aggregate(body.where)) throw expressions_.unknown(*body.where, "an aggregate in WHERE");
            where = " WHERE " + expressions_.boolean(*body.where, scope);
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
            if (has_aggregate(by)) throw expressions_.unknown(*by, "an aggregate in GROUP BY");
            const Typed typed = expressions_.expression(*by, scope);
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
            const Typed typed = expressions_.expression(*item.node, scope);
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
            if (group_sql.empty()) throw expressions_.unknown(*body.having, "HAVING without GROUP BY");
            out.sql += " HAVING " + expressions_.boolean(*body.having, scope);
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

    Expressions expressions_;
    const SqlSession& session_;
    const FindTable& find_;
    std::set<std::string>& read_;
    int next_ = 0;
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
