#include "tests/workspace/otlp.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/otlp_columns.hpp"
#include "tests/workspace/otlp_decode.hpp"
#include "tests/workspace/privileges.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/tokens.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

constexpr std::string_view root = "/api/2.0/otel/v1/";
constexpr std::string_view table_header = "X-Databricks-UC-Table-Name";

Response invalid(const std::string& message) {
    return api_error(400, "INVALID_PARAMETER_VALUE", message);
}

// The type of a body, without parameters.
std::string media_type(const std::string& header) {
    return to_lower(trim(std::string_view(header).substr(0, header.find(';'))));
}

// catalog.schema.table, nothing quoted.
bool is_plain_name(const std::string& name) {
    const auto parts = split(name, '.');
    return parts.size() == 3 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
               return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
                   return static_cast<unsigned char>(c) > 0x20 && c != '`' && c != '/' && c != '"' &&
                          c != '\'' && c != 0x7f;
               });
           });
}

std::string word_of(const Securable& securable) {
    std::string word = securable.type;
    word[0] = static_cast<char>(word[0] - 'a' + 'A');
    return word;
}

// Granted to the caller or a group of its, on the securable or on what it lies in; by this name. ALL
// PRIVILEGES and being an admin do not count: "ALL_PRIVILEGES are not enough due to a known issue"
// (Databricks' onboarding guide). Whether ownership does is a setting: nothing public tells it.
bool holds(Context& context, std::string_view privilege, const Securable& securable) {
    World& world = context.world();
    const std::string& user = context.caller.name;
    const Principal* principal = find_principal(world, user);
    const auto is_caller = [&](const std::string& name) {
        return iequals(name, user) || iequals(name, "account users") ||
               (principal && std::any_of(principal->groups.begin(), principal->groups.end(),
                                         [&](const std::string& group) { return iequals(group, name); }));
    };
    if (world.settings.otlp_owner_counts && is_caller(owner_of(world, securable))) return true;
    for (const Granted& one : granted(world, securable, ""))
        if (one.privilege == privilege && is_caller(one.principal)) return true;
    return false;
}

std::optional<Response> check_rights(Context& context, const std::string& table) {
    const std::vector<Securable> chain = with_parents({"table", table});
    const std::pair<const char*, const Securable*> needed[] = {
        {"USE_CATALOG", &chain[2]}, {"USE_SCHEMA", &chain[1]}, {"MODIFY", &chain[0]}, {"SELECT", &chain[0]}};
    for (const auto& [privilege, securable] : needed)
        if (!holds(context, privilege, *securable))
            return api_error(403, "PERMISSION_DENIED",
                             "User does not have " + sql_form(privilege) + " on " + word_of(*securable) +
                                 " '" + securable->name + "'.");
    return std::nullopt;
}

std::optional<Response> check_table(const Table& table, OtlpSignal signal) {
    const std::string name = "Table '" + table.name + "'";
    if (table.table_type != "MANAGED") return invalid(name + " is not a managed Delta table.");
    const auto version = table.properties.find("otel.schemaVersion");
    if (version == table.properties.end() || version->second != "v1")
        return invalid(name + " does not have the table property otel.schemaVersion = v1.");
    const auto& wanted = documented_columns(signal);
    for (const auto& one : wanted) {
        const auto& [column, type] = one;
        const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                        [&](const Column& c) { return iequals(c.name, one.first); });
        if (found == table.columns.end())
            return invalid("Schema mismatch: " + name + " has no column " + column + ".");
        if (!iequals(found->type_text, type))
            return invalid("Schema mismatch: column " + column + " of " + name + " has the type " +
                           found->type_text + ", expected " + type + ".");
    }
    if (table.columns.size() != wanted.size())
        return invalid("Schema mismatch: " + name + " has columns that the signal does not have.");
    return std::nullopt;
}

Response not_existing(World& world, const std::string& name) {
    const std::vector<Securable> chain = with_parents({"table", name});
    for (std::size_t i = chain.size(); i-- > 0;)
        if (!exists(world, chain[i])) {
            std::string code = chain[i].type;
            std::transform(code.begin(), code.end(), code.begin(),
                           [](char c) { return static_cast<char>(c - 'a' + 'A'); });
            return api_error(404, code + "_DOES_NOT_EXIST",
                             word_of(chain[i]) + " '" + chain[i].name + "' does not exist.");
        }
    return not_found_route({});
}

} // namespace

Response otlp(Context& context) {
    const Request& request = context.request;
    World& world = context.world();
    const std::string last = request.path.substr(root.size());
    OtlpSignal signal = OtlpSignal::metrics;
    if (last == "logs")
        signal = OtlpSignal::logs;
    else if (last == "traces")
        signal = OtlpSignal::traces;
    else if (last != "metrics")
        return not_found_route(request);
    // The preview "OpenTelemetry on Databricks" is not switched on: the route is not there.
    if (world.settings.otlp == "preview_off") return not_found_route(request);
    if (auto refusal = authenticate(context, "all-apis")) return *refusal;
    if (request.method != "POST") return wrong_method();
    // The words are ours: nothing public shows them.
    if (world.settings.otlp == "disabled")
        return api_error(403, "FEATURE_DISABLED",
                         "OpenTelemetry on Databricks is not enabled for this workspace.");
    if (world.settings.otlp == "wrong_region")
        return invalid("OpenTelemetry ingestion is not supported in the region of this workspace.");
    if (const std::string coding = to_lower(trim(request.header("content-encoding")));
        !coding.empty() && coding != "identity")
        return api_error(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding " + coding + " is not supported.");
    if (media_type(request.header("content-type")) != "application/x-protobuf")
        return api_error(415, "UNSUPPORTED_MEDIA_TYPE",
                         "Content-Type must be application/x-protobuf, not '" +
                             request.header("content-type") + "'.");
    const auto named = std::count_if(request.headers.begin(), request.headers.end(),
                                     [](const auto& header) { return iequals(header.first, table_header); });
    if (named == 0) return invalid("The header " + std::string(table_header) + " is missing.");
    const std::string name = to_lower(request.header(table_header));
    if (named > 1 || !is_plain_name(name))
        return invalid("The header " + std::string(table_header) +
                       " must be one catalog.schema.table without quotes.");
    if (!exists(world, {"catalog", split(name, '.')[0]})) return not_existing(world, name);
    if (auto refusal = find_table(world, name) ? check_rights(context, name) : std::nullopt) return *refusal;
    const Table* table = find_table(world, name);
    if (!table) return not_existing(world, name);
    if (auto refusal = check_table(*table, signal)) return *refusal;
    try {
        context.store.rows().add(name, decode_otlp(signal, request.body), world.settings.delivery_polls);
    } catch (const OtlpError& error) {
        return api_error(400, "MALFORMED_REQUEST", error.what());
    }
    // An empty Export…ServiceResponse: everything was taken.
    Response response;
    response.with("content-type", "application/x-protobuf");
    return response;
}

void load_rows(Store& store, const Json& body) {
    const std::string name = to_lower(body.at("table").get<std::string>());
    const Table* table = find_table(store.world, name);
    if (!table) throw std::runtime_error("no such table: " + name);
    Json rows = body.at("rows");
    for (Json& row : rows) {
        for (const auto& [key, unused] : row.items())
            if (std::none_of(table->columns.begin(), table->columns.end(),
                             [&, &wanted = key](const Column& c) { return c.name == wanted; }))
                throw std::runtime_error("no such column: " + key);
        for (const Column& column : table->columns)
            if (!row.contains(column.name)) row[column.name] = nullptr;
    }
    store.rows().add(name, rows, body.value("hidden", std::int64_t{0}));
}

} // namespace dbx::standin
