#include "tests/workspace/sql_engine.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/privileges.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/sql_query.hpp"

#include <algorithm>
#include <ctime>

namespace dbx::standin {

namespace {

std::string quoted(const SqlName& name) {
    std::vector<std::string> parts;
    for (const std::string& part : name) parts.push_back("`" + replace_all(part, "`", "``") + "`");
    return join(parts, ".");
}

Json column(const char* name, const char* type = "STRING") {
    return {{"name", name}, {"type_name", type}, {"type_text", type}};
}

Json row(std::initializer_list<Json> cells) {
    Json out = Json::array();
    for (const Json& cell : cells) out.push_back(cell);
    return out;
}

std::string time_text(std::int64_t milliseconds) {
    const std::time_t seconds = static_cast<std::time_t>(milliseconds / 1000);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    std::strftime(text, sizeof text, "%a %b %d %H:%M:%S UTC %Y", &parts);
    return text;
}

class Engine {
  public:
    Engine(World& world, const SqlSession& session)
        : world_(world)
        , session_(session) {}

    SqlResult operator()(const CreateSchema& statement) {
        SqlName name = statement.name;
        if (name.size() == 1) name.insert(name.begin(), session_.catalog);
        if (name.size() != 2) throw bad_name(name);
        check_name(name.back(), "CreateSchema", "SchemaInfo");
        require_catalog(name[0]);
        const std::string full = to_lower(join(name, "."));
        if (find_schema(world_, full)) {
            if (statement.if_exists == IfExists::skip) return {};
            throw SqlError(
                "[SCHEMA_ALREADY_EXISTS] Cannot create schema " + quoted(name) +
                    " because it already exists.\nChoose a different name, drop the existing schema, or "
                    "add the IF NOT EXISTS clause to tolerate pre-existing schema. SQLSTATE: 42P06",
                "42P06");
        }
        require("CREATE_SCHEMA", {"catalog", to_lower(name[0])});
        world_.schemas.push_back({full, session_.user, statement.comment});
        return {};
    }

    SqlResult operator()(const CreateTable& statement) {
        const SqlName name = full_name(statement.name);
        check_name(name.back(), "CreateTable", "TableInfo");
        require_schema(name);
        const std::string full = to_lower(join(name, "."));
        if (find_table(world_, full)) {
            if (statement.if_exists == IfExists::skip) return {};
            throw already_exists(name);
        }
        require("CREATE_TABLE", {"schema", full.substr(0, full.rfind('.'))});
        if (!statement.provider.empty() && statement.provider != "delta")
            throw SqlError(
                "[MANAGED_TABLE_FORMAT] Only Delta is supported for managed tables in Unity Catalog, not " +
                    statement.provider + ". SQLSTATE: 0A000",
                "0A000");
        Table table;
        table.name = full;
        table.owner = session_.user;
        table.comment = statement.comment;
        table.properties = statement.properties;
        // What Delta adds on its own: a check that wants exactly its own properties fails here as it would
        // there.
        table.properties.emplace("delta.enableDeletionVectors", "true");
        table.properties.emplace("delta.feature.deletionVectors", "supported");
        table.properties.emplace("delta.minReaderVersion", "3");
        table.properties.emplace("delta.minWriterVersion", "7");
        table.cluster_by = statement.cluster_by;
        table.created_at = now_seconds(world_) * 1000;
        for (const SqlField& field : statement.columns) {
            check_column(field, table);
            table.columns.push_back({field.name, type_text(field.type), field.comment, field.nullable});
        }
        for (const std::string& key : statement.cluster_by)
            if (std::none_of(table.columns.begin(), table.columns.end(),
                             [&](const Column& c) { return iequals(c.name, key); }))
                throw SqlError("[UNRESOLVED_COLUMN] A column with name `" + key +
                                   "` cannot be resolved. SQLSTATE: 42703",
                               "42703");
        world_.tables.push_back(std::move(table));
        return {};
    }

    SqlResult operator()(const CreateView& statement) {
        const SqlName name = full_name(statement.name);
        check_name(name.back(), "CreateTable", "TableInfo");
        require_schema(name);
        const std::string full = to_lower(join(name, "."));
        Table* old = find_table(world_, full);
        if (old) {
            if (old->table_type != "VIEW")
                throw SqlError(
                    "[EXPECT_VIEW_NOT_TABLE.NO_ALTERNATIVE] 'CREATE OR REPLACE VIEW' expects a view but " +
                        quoted(name) + " is a table. SQLSTATE: 42809",
                    "42809");
            if (statement.if_exists == IfExists::skip) return {};
            if (!statement.or_replace) throw already_exists(name);
        }
        require("CREATE_TABLE", {"schema", full.substr(0, full.rfind('.'))});
        for (const SqlName& source : statement.three_parted) {
            const Table& table = existing_table(source);
            require("SELECT", {"table", table.name});
        }
        Table view;
        view.name = full;
        view.table_type = "VIEW";
        view.owner = session_.user;
        view.comment = statement.comment;
        view.view_definition = statement.definition;
        view.created_at = now_seconds(world_) * 1000;
        describe_view(view, statement);
        if (old)
            *old = std::move(view);
        else
            world_.tables.push_back(std::move(view));
        return {};
    }

    SqlResult operator()(const GrantOrRevoke& statement) {
        const Securable securable = named(statement.securable, statement.name);
        require("MANAGE", securable);
        std::vector<std::string> privileges;
        for (const std::string& words : statement.privileges) {
            const std::string privilege = api_form(words);
            if (!is_privilege(privilege))
                throw SqlError("[INVALID_PRIVILEGE] Privilege " + words + " is not valid. SQLSTATE: 42000",
                               "42000");
            if (!applies_to(privilege, securable.type))
                throw SqlError(
                    "INVALID_PARAMETER_VALUE: Privilege " + sql_form(privilege) +
                        " is not applicable to this entity [" + securable.name +
                        "]. If this seems unexpected, please check the privilege version of the metastore "
                        "in use [1.0].",
                    "22023");
            privileges.push_back(privilege);
        }
        if (!principal_exists(world_, statement.principal))
            throw SqlError("PRINCIPAL_DOES_NOT_EXIST: Could not find principal with name " +
                               statement.principal,
                           "42704");
        for (const std::string& privilege : privileges) {
            if (statement.revoke)
                revoke(world_, securable, statement.principal, privilege);
            else
                grant(world_, securable, statement.principal, privilege);
        }
        return {};
    }

    SqlResult operator()(const ShowGrants& statement) {
        const Securable securable = named(statement.securable, statement.name);
        SqlResult out;
        out.columns = {column("Principal"), column("ActionType"), column("ObjectType"), column("ObjectKey")};
        for (const Granted& one : granted(world_, securable, statement.principal)) {
            std::string type = one.from.type;
            std::transform(type.begin(), type.end(), type.begin(),
                           [](char c) { return static_cast<char>(c - 'a' + 'A'); });
            out.rows.push_back(row({one.principal, sql_form(one.privilege), type, one.from.name}));
        }
        return out;
    }

    SqlResult operator()(const DescribeTable& statement) {
        const Table& table = existing_table(statement.name);
        require_any_use(table);
        SqlResult out;
        out.columns = {column("col_name"), column("data_type"), column("comment")};
        const auto add = [&](const std::string& a, const std::string& b) {
            out.rows.push_back(row({a, b, ""}));
        };
        for (const Column& c : table.columns)
            out.rows.push_back(row({c.name, c.type_text, c.comment.empty() ? Json() : Json(c.comment)}));
        if (!table.cluster_by.empty()) {
            add("# Clustering Information", "");
            out.rows.push_back(row({"# col_name", "data_type", "comment"}));
            for (const std::string& key : table.cluster_by)
                for (const Column& c : table.columns)
                    if (iequals(c.name, key)) out.rows.push_back(row({c.name, c.type_text, Json()}));
        }
        if (!statement.extended) return out;
        const auto parts = split(table.name, '.');
        add("", "");
        add("# Detailed Table Information", "");
        add("Catalog", parts[0]);
        add("Database", parts[1]);
        add("Table", parts[2]);
        add("Created Time", time_text(table.created_at));
        add("Last Access", "UNKNOWN");
        add("Created By", "Spark ");
        add("Type", table.table_type);
        if (!table.comment.empty()) add("Comment", table.comment);
        if (table.table_type == "VIEW") {
            add("View Text", table.view_definition);
        } else {
            add("Location", location_of(table));
            add("Provider", "delta");
        }
        add("Owner", table.owner);
        if (table.table_type == "MANAGED") add("Is_managed_location", "true");
        std::vector<std::string> pairs;
        for (const auto& [key, value] : table.properties) pairs.push_back(key + "=" + value);
        add("Table Properties", "[" + join(pairs, ",") + "]");
        return out;
    }

    SqlResult operator()(const ShowProperties& statement) {
        const Table& table = existing_table(statement.name);
        require_any_use(table);
        SqlResult out;
        out.columns = {column("key"), column("value")};
        if (!statement.key.empty()) {
            const auto found = table.properties.find(statement.key);
            out.rows.push_back(row(
                {statement.key, found != table.properties.end()
                                    ? found->second
                                    : "Table " + table.name + " does not have property: " + statement.key}));
            return out;
        }
        for (const auto& [key, value] : table.properties) out.rows.push_back(row({key, value}));
        return out;
    }

    SqlResult operator()(const Drop& statement) {
        if (statement.what == "schema") return drop_schema(statement);
        const SqlName name = full_name(statement.name);
        const std::string full = to_lower(join(name, "."));
        const Table* table = find_table(world_, full);
        if (!table) {
            if (statement.if_exists == IfExists::skip) return {};
            throw not_found(name);
        }
        if ((table->table_type == "VIEW") != (statement.what == "view"))
            throw SqlError("[WRONG_COMMAND_FOR_OBJECT_TYPE] The operation DROP " + statement.what +
                               " requires another kind of object than " + quoted(name) + ". SQLSTATE: 42809",
                           "42809");
        require("MANAGE", {"table", full});
        std::erase_if(world_.tables, [&](const Table& t) { return t.name == full; });
        world_.grants.erase("table " + full);
        if (session_.rows) session_.rows->erase(full);
        return {};
    }

    SqlResult operator()(const Select& statement) {
        using Kind = Select::Item::Kind;
        SqlResult out;
        Json cells = Json::array();
        for (const Select::Item& item : statement.items) {
            out.columns.push_back(column(item.name.c_str(), item.type.c_str()));
            if (item.kind == Kind::literal)
                cells.push_back(item.value);
            else if (item.kind == Kind::current_user)
                cells.push_back(session_.user);
            else if (item.kind == Kind::count)
                cells.push_back("1");
            else
                cells.push_back(nullptr);
        }
        if (statement.limit.value_or(1) > 0) out.rows.push_back(cells);
        return out;
    }

    SqlResult operator()(const TableQuery& statement) {
        return run_query(statement.text, statement.parameters, session_, readable());
    }

  private:
    // Tables and views that a user may SELECT from.
    FindTable readable() {
        return [this](const SqlName& name, const std::string& user) -> const Table& {
            SqlSession as = session_;
            as.user = user;
            Engine engine(world_, as);
            const Table& table = engine.existing_table(name);
            engine.require("SELECT", {"table", table.name});
            return table;
        };
    }

    // The columns of a view, where the query is one that the stand-in can evaluate; a view of which it knows
    // no more than the text is kept all the same.
    void describe_view(Table& view, const CreateView& statement) {
        try {
            for (const QueryColumn& one : query_columns(view.view_definition, {}, session_, readable()))
                view.columns.push_back({one.name, type_text(one.type), "", true});
        } catch (const SqlError& error) {
            for (const char* state : {"42703", "42704", "42803", "42P01", "42501", "42822"})
                if (error.sql_state == state) throw;
            view.columns.clear();
            return;
        }
        if (statement.columns.empty()) return;
        if (statement.columns.size() != view.columns.size())
            throw SqlError(
                "[CREATE_VIEW_COLUMN_ARITY_MISMATCH] Cannot create view: the number of columns is not that "
                "of the query. SQLSTATE: 21S01",
                "21S01");
        for (std::size_t i = 0; i < statement.columns.size(); ++i)
            view.columns[i].name = statement.columns[i];
    }

    SqlName full_name(SqlName name) const {
        if (name.size() > 3) throw bad_name(name);
        if (name.size() == 1) name.insert(name.begin(), session_.schema);
        if (name.size() == 2) name.insert(name.begin(), session_.catalog);
        return name;
    }

    static SqlError bad_name(const SqlName& name) {
        return SqlError("[REQUIRES_SINGLE_PART_NAMESPACE] " + quoted(name) +
                            " has too many or too few parts. SQLSTATE: 42K05",
                        "42K05");
    }

    // Unity Catalog object names: no dot, blank, slash or control character, 255 at most.
    static void check_name(const std::string& name, const char* call, const char* message) {
        const bool good = name.size() <= 255 && std::none_of(name.begin(), name.end(), [](char c) {
                              const auto byte = static_cast<unsigned char>(c);
                              return byte <= 0x20 || byte == 0x7f || c == '.' || c == '/';
                          });
        if (!good)
            throw SqlError("INVALID_PARAMETER_VALUE: Invalid input: RPC " + std::string(call) +
                               " Field managedcatalog." + message + ".name: name \"" + name +
                               "\" is not a valid name",
                           "22023");
    }

    static void check_column(const SqlField& field, const Table& table) {
        if (field.name.find_first_of(" ,;{}()\n\t=") != std::string::npos)
            throw SqlError("[DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES] Found invalid character(s) among "
                           "' ,;{}()\\n\\t=' in the column names of your schema.\nInvalid column names: " +
                               field.name + ". SQLSTATE: 42K05",
                           "42K05");
        for (const Column& other : table.columns)
            if (iequals(other.name, field.name))
                throw SqlError(
                    "[COLUMN_ALREADY_EXISTS] The column `" + to_lower(field.name) +
                        "` already exists. Choose another name or rename the existing column. SQLSTATE: "
                        "42711",
                    "42711");
    }

    void require_catalog(const std::string& name) {
        if (!find_catalog(world_, name))
            throw SqlError(
                "[NO_SUCH_CATALOG_EXCEPTION] Catalog '" + to_lower(name) +
                    "' was not found. Please verify the catalog name and then retry the query or command "
                    "again. SQLSTATE: 42704",
                "42704");
        require("USE_CATALOG", {"catalog", to_lower(name)});
    }

    // The schema of a three-part name.
    void require_schema(const SqlName& name) {
        require_catalog(name[0]);
        const std::string schema = to_lower(name[0] + "." + name[1]);
        if (!find_schema(world_, schema))
            throw SqlError(
                "[SCHEMA_NOT_FOUND] The schema " + quoted({name[0], name[1]}) +
                    " cannot be found. Verify the spelling and correctness of the schema and catalog.\nIf "
                    "you did not qualify the name with a catalog, verify the current_schema() output, or "
                    "qualify the name with the correct catalog.\nTo tolerate the error on drop use DROP "
                    "SCHEMA IF EXISTS. SQLSTATE: 42704",
                "42704");
        require("USE_SCHEMA", {"schema", schema});
    }

    const Table& existing_table(const SqlName& given) {
        const SqlName name = full_name(given);
        require_schema(name);
        const Table* table = find_table(world_, join(name, "."));
        if (!table) throw not_found(name);
        return *table;
    }

    static SqlError not_found(const SqlName& name) {
        return SqlError(
            "[TABLE_OR_VIEW_NOT_FOUND] The table or view " + quoted(name) +
                " cannot be found. Verify the spelling and correctness of the schema and catalog.\nIf you "
                "did not qualify the name with a schema, verify the current_schema() output, or qualify "
                "the name with the correct schema and catalog.\nTo tolerate the error on drop use DROP "
                "VIEW IF EXISTS or DROP TABLE IF EXISTS. SQLSTATE: 42P01",
            "42P01");
    }

    static SqlError already_exists(const SqlName& name) {
        return SqlError(
            "[TABLE_OR_VIEW_ALREADY_EXISTS] Cannot create table or view " + quoted(name) +
                " because it already exists.\nChoose a different name, drop or replace the existing "
                "object, or add the IF NOT EXISTS clause to tolerate pre-existing objects. SQLSTATE: "
                "42P07",
            "42P07");
    }

    // A missing USE privilege is told without an error class, others with one: both forms occur.
    void require(const std::string& privilege, const Securable& securable) {
        if (may(world_, session_.user, privilege, securable)) return;
        std::string type = securable.type;
        type[0] = static_cast<char>(type[0] - 'a' + 'A');
        const std::string what =
            "User does not have " + sql_form(privilege) + " on " + type + " '" + securable.name + "'.";
        if (privilege.starts_with("USE_")) throw SqlError("PERMISSION_DENIED: " + what, "42501");
        throw SqlError("[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\n" + what + " SQLSTATE: 42501",
                       "42501");
    }

    void require_any_use(const Table& table) {
        const Securable securable{"table", table.name};
        if (!may(world_, session_.user, "MODIFY", securable)) require("SELECT", securable);
    }

    Securable named(const std::string& type, const SqlName& given) {
        SqlName name = given;
        if (type == "catalog") {
            if (name.size() != 1) throw bad_name(name);
            require_catalog(name[0]);
        } else if (type == "schema") {
            if (name.size() == 1) name.insert(name.begin(), session_.catalog);
            if (name.size() != 2) throw bad_name(name);
            require_schema(name);
        } else {
            return {"table", existing_table(name).name};
        }
        return {type, to_lower(join(name, "."))};
    }

    SqlResult drop_schema(const Drop& statement) {
        SqlName name = statement.name;
        if (name.size() == 1) name.insert(name.begin(), session_.catalog);
        if (name.size() != 2) throw bad_name(name);
        const std::string full = to_lower(join(name, "."));
        if (statement.if_exists == IfExists::skip && !find_schema(world_, full)) return {};
        require_schema(name);
        require("MANAGE", {"schema", full});
        for (const Table& table : world_.tables)
            if (table.name.starts_with(full + "."))
                throw SqlError(
                    "[SCHEMA_NOT_EMPTY] Cannot drop a schema " + quoted(name) +
                        " because it contains objects.\nUse DROP SCHEMA ... CASCADE to drop the schema and "
                        "all its objects. SQLSTATE: 2BP01",
                    "2BP01");
        std::erase_if(world_.schemas, [&](const Schema& schema) { return iequals(schema.name, full); });
        world_.grants.erase("schema " + full);
        return {};
    }

    std::string location_of(const Table& table) const {
        return "abfss://unity@standin.dfs.core.windows.net/__unitystorage/tables/" +
               std::to_string(table.created_at);
    }

    World& world_;
    const SqlSession& session_;
};

} // namespace

SqlResult run_sql(World& world, const SqlSession& session, const SqlStatement& statement) {
    return std::visit(Engine(world, session), statement);
}

} // namespace dbx::standin
