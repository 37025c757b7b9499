#include "tests/workspace/unity_catalog.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/privileges.hpp"
#include "tests/workspace/sql_parser.hpp"
#include "tests/workspace/tokens.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

constexpr std::string_view root = "/api/2.1/unity-catalog/";

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return text;
}

std::string last_part(const std::string& name) {
    return name.substr(name.rfind('.') + 1);
}

bool is_get(const Request& request) {
    return request.method == "GET" || request.method == "HEAD";
}

// CATALOG_DOES_NOT_EXIST, SCHEMA_DOES_NOT_EXIST or TABLE_DOES_NOT_EXIST, for the outermost part that is
// missing.
Response missing(World& world, const Securable& securable) {
    std::vector<Securable> chain = with_parents(securable);
    std::reverse(chain.begin(), chain.end());
    for (const Securable& place : chain)
        if (!exists(world, place)) {
            std::string word = place.type;
            word[0] = static_cast<char>(word[0] - 'a' + 'A');
            return api_error(404, upper(place.type) + "_DOES_NOT_EXIST",
                             word + " '" + place.name + "' does not exist.");
        }
    return api_error(404, "RESOURCE_DOES_NOT_EXIST", "'" + securable.name + "' does not exist.");
}

Response denied(const std::string& privilege, const Securable& securable) {
    std::string word = securable.type;
    word[0] = static_cast<char>(word[0] - 'a' + 'A');
    return api_error(403, "PERMISSION_DENIED",
                     "User does not have " + sql_form(privilege) + " on " + word + " '" + securable.name +
                         "'.");
}

// USE CATALOG and USE SCHEMA on what a securable lies in.
std::optional<Response> check_way(Context& context, const Securable& securable) {
    World& world = context.world();
    const std::string& user = context.caller.name;
    for (const Securable& place : with_parents(securable)) {
        if (place.type == "catalog" && !may(world, user, "USE_CATALOG", place))
            return denied("USE_CATALOG", place);
        if (place.type == "schema" && !may(world, user, "USE_SCHEMA", place))
            return denied("USE_SCHEMA", place);
    }
    return std::nullopt;
}

bool sees(Context& context, const Table& table) {
    const Securable securable{"table", table.name};
    return may(context.world(), context.caller.name, "SELECT", securable) ||
           may(context.world(), context.caller.name, "MODIFY", securable);
}

Json table_json(const Table& table) {
    const auto parts = split(table.name, '.');
    Json columns = Json::array();
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const Column& column = table.columns[i];
        const SqlType type = parse_type(column.type_text);
        Json json = {{"name", column.name},
                     {"type_text", column.type_text},
                     {"type_json", column_json(column.name, type, column.nullable, column.comment).dump()},
                     {"type_name", type_name(type)},
                     {"position", i},
                     {"nullable", column.nullable}};
        if (type.name == "decimal") {
            json["type_precision"] = type.precision;
            json["type_scale"] = type.scale;
        }
        if (!column.comment.empty()) json["comment"] = column.comment;
        columns.push_back(std::move(json));
    }
    Json json = {{"name", parts[2]},
                 {"catalog_name", parts[0]},
                 {"schema_name", parts[1]},
                 {"full_name", table.name},
                 {"table_type", table.table_type},
                 {"columns", columns},
                 {"properties", table.properties},
                 {"owner", table.owner},
                 {"created_at", table.created_at},
                 {"created_by", table.owner},
                 {"updated_at", table.created_at},
                 {"table_id", "t-" + table.name}};
    if (!table.comment.empty()) json["comment"] = table.comment;
    if (table.table_type == "VIEW") {
        json["view_definition"] = table.view_definition;
    } else {
        json["data_source_format"] = "DELTA";
        json["storage_location"] = "abfss://unity@standin.dfs.core.windows.net/__unitystorage/tables/" +
                                   std::to_string(table.created_at);
    }
    return json;
}

Response tables(Context& context, const std::string& rest) {
    World& world = context.world();
    const Request& request = context.request;
    if (!is_get(request)) return wrong_method();
    if (rest.empty()) {
        const std::string schema =
            request.param("catalog_name").value_or("") + "." + request.param("schema_name").value_or("");
        if (schema.front() == '.' || schema.back() == '.')
            return api_error(400, "INVALID_PARAMETER_VALUE", "catalog_name and schema_name are required.");
        const Securable place{"schema", to_lower(schema)};
        if (!exists(world, place)) return missing(world, place);
        if (auto refusal = check_way(context, place)) return *refusal;
        std::vector<const Table*> found;
        for (const Table& table : world.tables)
            if (table.name.starts_with(place.name + ".") && sees(context, table)) found.push_back(&table);
        const Page page = page_of(request, "tables", found.size(), 50, 50, "max_results");
        if (page.error) return *page.error;
        Json list = Json::array();
        for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(table_json(*found[i]));
        Json body = {{"tables", list}};
        if (!page.next.empty()) body["next_page_token"] = page.next;
        return json_response(200, body);
    }

    const bool asks_exists = rest.ends_with("/exists");
    const Securable table{"table", to_lower(rest.substr(0, asks_exists ? rest.size() - 7 : rest.size()))};
    if (std::count(table.name.begin(), table.name.end(), '.') != 2)
        return api_error(400, "INVALID_PARAMETER_VALUE",
                         "full_name must be of the form catalog.schema.table.");
    const Securable schema = with_parents(table)[1];
    if (!exists(world, schema)) return missing(world, schema);
    if (auto refusal = check_way(context, table)) return *refusal;
    const Table* found = find_table(world, table.name);
    if (asks_exists) return json_response(200, {{"table_exists", found != nullptr}});
    if (!found) return missing(world, table);
    if (!sees(context, *found)) return denied("SELECT", table);
    return json_response(200, table_json(*found));
}

Response catalogs(Context& context, const std::string& name) {
    World& world = context.world();
    if (!is_get(context.request)) return wrong_method();
    const auto shape = [](const Catalog& catalog) -> Json {
        return {{"name", catalog.name},
                {"owner", catalog.owner},
                {"comment", catalog.comment},
                {"catalog_type", catalog.name == "system" ? "SYSTEM_CATALOG" : "MANAGED_CATALOG"}};
    };
    if (!name.empty()) {
        const Catalog* catalog = find_catalog(world, name);
        if (!catalog) return missing(world, {"catalog", to_lower(name)});
        return json_response(200, shape(*catalog));
    }
    std::vector<const Catalog*> found;
    for (const Catalog& catalog : world.catalogs)
        if (may(world, context.caller.name, "USE_CATALOG", {"catalog", catalog.name}))
            found.push_back(&catalog);
    const Page page = page_of(context.request, "catalogs", found.size(), 1000, 1000, "max_results");
    if (page.error) return *page.error;
    Json list = Json::array();
    for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(shape(*found[i]));
    Json body = {{"catalogs", list}};
    if (!page.next.empty()) body["next_page_token"] = page.next;
    return json_response(200, body);
}

Json schema_json(const Schema& schema) {
    return {{"name", last_part(schema.name)},
            {"catalog_name", schema.name.substr(0, schema.name.find('.'))},
            {"full_name", schema.name},
            {"owner", schema.owner},
            {"comment", schema.comment}};
}

Response create_schema(Context& context) {
    World& world = context.world();
    BodyOrError parsed = json_body(context.request);
    if (parsed.error) return *parsed.error;
    for (const char* key : {"name", "catalog_name"})
        if (!parsed.body.contains(key) || !parsed.body[key].is_string())
            return api_error(400, "INVALID_PARAMETER_VALUE", std::string(key) + " is required.");
    const Securable catalog{"catalog", to_lower(parsed.body["catalog_name"].get<std::string>())};
    const std::string name = to_lower(parsed.body["name"].get<std::string>());
    if (!exists(world, catalog)) return missing(world, catalog);
    if (auto refusal = check_way(context, catalog)) return *refusal;
    if (!may(world, context.caller.name, "CREATE_SCHEMA", catalog)) return denied("CREATE_SCHEMA", catalog);
    if (name.empty() || name.find_first_of("./ ") != std::string::npos)
        return api_error(400, "INVALID_PARAMETER_VALUE", "name \"" + name + "\" is not a valid name");
    const std::string full = catalog.name + "." + name;
    if (find_schema(world, full))
        return api_error(409, "SCHEMA_ALREADY_EXISTS", "Schema '" + full + "' already exists");
    world.schemas.push_back({full, context.caller.name, ""});
    context.store.touch();
    return json_response(200, schema_json(world.schemas.back()));
}

Response schemas(Context& context, const std::string& name) {
    World& world = context.world();
    if (context.request.method == "POST" && name.empty()) return create_schema(context);
    if (!is_get(context.request)) return wrong_method();
    if (!name.empty()) {
        const Securable place{"schema", to_lower(name)};
        if (!exists(world, place)) return missing(world, place);
        if (auto refusal = check_way(context, place)) return *refusal;
        return json_response(200, schema_json(*find_schema(world, name)));
    }
    const Securable catalog{"catalog", to_lower(context.request.param("catalog_name").value_or(""))};
    if (catalog.name.empty()) return api_error(400, "INVALID_PARAMETER_VALUE", "catalog_name is required.");
    if (!exists(world, catalog)) return missing(world, catalog);
    if (auto refusal = check_way(context, catalog)) return *refusal;
    std::vector<const Schema*> found;
    for (const Schema& schema : world.schemas)
        if (schema.name.starts_with(catalog.name + ".") &&
            may(world, context.caller.name, "USE_SCHEMA", {"schema", schema.name}))
            found.push_back(&schema);
    const Page page = page_of(context.request, "schemas", found.size(), 1000, 1000, "max_results");
    if (page.error) return *page.error;
    Json list = Json::array();
    for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(schema_json(*found[i]));
    Json body = {{"schemas", list}};
    if (!page.next.empty()) body["next_page_token"] = page.next;
    return json_response(200, body);
}

// The securable of …/TYPE/NAME, or the refusal.
struct Target {
    Securable securable;
    std::optional<Response> error;
};

Target target_of(Context& context, const std::string& rest) {
    const auto slash = rest.find('/');
    Target out;
    if (slash == std::string::npos) {
        out.error = not_found_route(context.request);
        return out;
    }
    out.securable = {to_lower(rest.substr(0, slash)), to_lower(rest.substr(slash + 1))};
    const std::string& type = out.securable.type;
    const auto dots = std::count(out.securable.name.begin(), out.securable.name.end(), '.');
    if (type != "catalog" && type != "schema" && type != "table")
        out.error =
            api_error(400, "INVALID_PARAMETER_VALUE", "SECURABLE_TYPE " + upper(type) + " is not supported.");
    else if (dots != (type == "catalog" ? 0 : type == "schema" ? 1 : 2))
        out.error = api_error(400, "INVALID_PARAMETER_VALUE",
                              "'" + out.securable.name + "' is not a " + type + "'s name.");
    else if (!exists(context.world(), out.securable))
        out.error = missing(context.world(), out.securable);
    else if (auto refusal = check_way(context, out.securable))
        out.error = refusal;
    return out;
}

Response assignments(World& world, const Securable& securable, const std::string& principal) {
    Json list = Json::array();
    const auto found = world.grants.find(key_of(securable));
    if (found != world.grants.end())
        for (const auto& [who, privileges] : found->second)
            if (principal.empty() || iequals(who, principal))
                list.push_back({{"principal", who}, {"privileges", privileges}});
    // Nothing granted is an empty object, not an empty list.
    if (list.empty()) return json_response(200, Json::object());
    return json_response(200, {{"privilege_assignments", list}});
}

Response change_permissions(Context& context, const Securable& securable) {
    World& world = context.world();
    if (!may(world, context.caller.name, "MANAGE", securable)) return denied("MANAGE", securable);
    BodyOrError parsed = json_body(context.request);
    if (parsed.error) return *parsed.error;
    const Json changes = parsed.body.value("changes", Json());
    if (!changes.is_array() || changes.empty())
        return api_error(400, "INVALID_PARAMETER_VALUE", "changes must be a list of at least one change.");
    struct Step {
        std::string principal;
        std::string privilege;
        bool add;
    };
    std::vector<Step> steps;
    for (const Json& change : changes) {
        if (!change.is_object() || !change.contains("principal") || !change["principal"].is_string())
            return api_error(400, "INVALID_PARAMETER_VALUE", "Each change needs a principal.");
        const std::string principal = change["principal"].get<std::string>();
        if (!principal_exists(world, principal))
            return api_error(404, "PRINCIPAL_DOES_NOT_EXIST",
                             "Could not find principal with name " + principal);
        for (const char* verb : {"add", "remove"})
            for (const Json& privilege : change.value(verb, Json::array())) {
                const std::string word =
                    privilege.is_string() ? privilege.get<std::string>() : privilege.dump();
                // The API form has underscores; "USE CATALOG" is SQL.
                if (!is_privilege(word))
                    return api_error(400, "INVALID_PARAMETER_VALUE", "Privilege " + word + " is not valid.");
                if (!applies_to(word, securable.type))
                    return api_error(400, "INVALID_PARAMETER_VALUE",
                                     "Privilege " + word + " is not applicable to this entity [" +
                                         securable.name + "].");
                steps.push_back({principal, word, verb == std::string_view("add")});
            }
    }
    for (const Step& step : steps) {
        if (step.add)
            grant(world, securable, step.principal, step.privilege);
        else
            revoke(world, securable, step.principal, step.privilege);
    }
    context.store.touch();
    return assignments(world, securable, "");
}

Response permissions(Context& context, const std::string& rest) {
    const Target target = target_of(context, rest);
    if (target.error) return *target.error;
    if (context.request.method == "PATCH") return change_permissions(context, target.securable);
    if (!is_get(context.request)) return wrong_method();
    return assignments(context.world(), target.securable, context.request.param("principal").value_or(""));
}

Response effective_permissions(Context& context, const std::string& rest) {
    const Target target = target_of(context, rest);
    if (target.error) return *target.error;
    if (!is_get(context.request)) return wrong_method();
    const std::string wanted = context.request.param("principal").value_or("");
    if (!wanted.empty() && !principal_exists(context.world(), wanted))
        return api_error(404, "PRINCIPAL_DOES_NOT_EXIST", "Could not find principal with name " + wanted);
    std::map<std::string, Json> by_principal;
    for (const Granted& one : granted(context.world(), target.securable, "")) {
        // Of one principal: also what its groups hold, told under its name.
        if (!wanted.empty() && !iequals(one.principal, wanted)) {
            const Principal* principal = find_principal(context.world(), wanted);
            const bool member = iequals(one.principal, "account users") ||
                                (principal && std::find(principal->groups.begin(), principal->groups.end(),
                                                        one.principal) != principal->groups.end());
            if (!member) continue;
        }
        Json privilege = {{"privilege", one.privilege}};
        if (one.from.type != target.securable.type) {
            privilege["inherited_from_type"] = upper(one.from.type);
            privilege["inherited_from_name"] = one.from.name;
        }
        Json& list = by_principal[wanted.empty() ? one.principal : wanted];
        if (list.is_null()) list = Json::array();
        list.push_back(std::move(privilege));
    }
    Json list = Json::array();
    for (const auto& [principal, privileges] : by_principal)
        list.push_back({{"principal", principal}, {"privileges", privileges}});
    if (list.empty()) return json_response(200, Json::object());
    return json_response(200, {{"privilege_assignments", list}});
}

} // namespace

Response unity_catalog(Context& context) {
    if (auto refusal = authenticate(context, "unity-catalog")) return *refusal;
    const std::string& path = context.request.path;
    if (path.size() <= root.size()) return not_found_route(context.request);
    const std::string all = path.substr(root.size());
    const auto slash = all.find('/');
    const std::string kind = all.substr(0, slash);
    const std::string rest = slash == std::string::npos ? "" : all.substr(slash + 1);
    if (kind == "tables") return tables(context, rest);
    if (kind == "catalogs") return catalogs(context, rest);
    if (kind == "schemas") return schemas(context, rest);
    if (kind == "permissions") return permissions(context, rest);
    if (kind == "effective-permissions") return effective_permissions(context, rest);
    return not_found_route(context.request);
}

} // namespace dbx::standin
