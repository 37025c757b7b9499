#include "tests/workspace/sql_statements.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/sql_engine.hpp"
#include "tests/workspace/tokens.hpp"
#include "tests/workspace/warehouses.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string_view>

namespace dbx::standin {

namespace {

constexpr std::string_view root = "/api/2.0/sql/statements";
constexpr std::size_t largest_statement_bytes = 16u * 1024 * 1024;
constexpr std::int64_t result_seconds = 3600; // "results stay 1 h after success"

Response invalid(const std::string& message) {
    return api_error(400, "INVALID_PARAMETER_VALUE", message);
}

bool terminal(const std::string& state) {
    return state == "SUCCEEDED" || state == "FAILED" || state == "CANCELED" || state == "CLOSED";
}

bool all_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// "0s" or "5s" … "50s"; -1: anything else.
int wait_seconds(std::string_view text) {
    if (text.size() < 2 || text.back() != 's') return -1;
    text.remove_suffix(1);
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return -1;
    return value == 0 || (value >= 5 && value <= 50) ? value : -1;
}

std::string text_at(const Json& body, const char* key, const std::string& fallback = {}) {
    const auto found = body.find(key);
    return found != body.end() && found->is_string() ? found->get<std::string>() : fallback;
}

SqlParameters parameters_of(const Statement& statement) {
    SqlParameters out;
    for (const Json& parameter : statement.parameters) {
        const auto value = parameter.find("value");
        const bool null = value == parameter.end() || value->is_null();
        out[parameter["name"].get<std::string>()] =
            null ? std::nullopt : std::optional<std::string>(value->get<std::string>());
    }
    return out;
}

void finish(Context& context, Statement& statement, const char* state) {
    statement.state = state;
    statement.finished_at = now_seconds(context.world());
}

// Does what the statement says. Only here: a statement that is canceled before has changed nothing.
void execute(Context& context, Statement& statement) {
    World& world = context.world();
    for (const CannedResult& canned : world.canned_results)
        if (statement.text.find(canned.contains) != std::string::npos) {
            statement.columns = canned.columns;
            statement.rows = canned.rows;
            finish(context, statement, "SUCCEEDED");
            return;
        }
    SqlSession session;
    session.user = statement.owner;
    session.rows = &context.store.rows();
    if (!statement.catalog.empty()) session.catalog = statement.catalog;
    if (!statement.schema.empty()) session.schema = statement.schema;
    try {
        SqlResult result = run_sql(world, session, parse_sql(statement.text, parameters_of(statement)));
        statement.columns = std::move(result.columns);
        statement.rows = std::move(result.rows);
        finish(context, statement, "SUCCEEDED");
    } catch (const SqlError& error) {
        statement.error_code = "BAD_REQUEST";
        statement.error_message = error.what();
        statement.sql_state = error.sql_state;
        finish(context, statement, "FAILED");
    }
}

// One look at a statement brings it one step on: PENDING while its warehouse starts and for the set number
// of looks, then RUNNING, then its end.
void step(Context& context, Statement& statement) {
    context.store.touch();
    if (statement.state == "SUCCEEDED" &&
        statement.finished_at + result_seconds <= now_seconds(context.world())) {
        statement.state = "CLOSED";
        statement.rows = Json::array();
    }
    if (terminal(statement.state)) return;
    if (Warehouse* warehouse = find_warehouse(context.world(), statement.warehouse_id)) {
        start(context, *warehouse);
        look_at(context, *warehouse);
        if (warehouse->state != "RUNNING") return;
    }
    if (statement.pending_polls > 0) {
        --statement.pending_polls;
        return;
    }
    statement.state = "RUNNING";
    if (statement.running_polls > 0) {
        --statement.running_polls;
        return;
    }
    execute(context, statement);
}

std::size_t rows_per_chunk(Context& context) {
    return static_cast<std::size_t>(std::max<std::int64_t>(1, context.world().settings.rows_per_chunk));
}

std::size_t row_count(const Statement& statement) {
    const std::size_t all = statement.rows.size();
    return statement.row_limit > 0 ? std::min(all, static_cast<std::size_t>(statement.row_limit)) : all;
}

Json chunk_json(Context& context, const Statement& statement, std::size_t index) {
    const std::size_t size = rows_per_chunk(context);
    const std::size_t begin = index * size;
    const std::size_t end = std::min(row_count(statement), begin + size);
    Json data = Json::array();
    for (std::size_t i = begin; i < end; ++i) data.push_back(statement.rows[i]);
    Json json = {
        {"chunk_index", index}, {"row_offset", begin}, {"row_count", end - begin}, {"data_array", data}};
    if (end < row_count(statement)) {
        json["next_chunk_index"] = index + 1;
        json["next_chunk_internal_link"] = std::string(root) + "/" + statement.id + "/result/chunks/" +
                                           std::to_string(index + 1) + "?row_offset=" + std::to_string(end);
    }
    return json;
}

std::size_t chunk_count(Context& context, const Statement& statement) {
    const std::size_t size = rows_per_chunk(context);
    return (row_count(statement) + size - 1) / size;
}

Json manifest_json(Context& context, const Statement& statement) {
    Json schema = {{"column_count", statement.columns.size()}};
    if (!statement.columns.empty()) {
        schema["columns"] = statement.columns;
        for (std::size_t i = 0; i < statement.columns.size(); ++i) schema["columns"][i]["position"] = i;
    }
    const std::size_t count = chunk_count(context, statement);
    Json json = {{"format", "JSON_ARRAY"},
                 {"schema", schema},
                 {"total_chunk_count", count},
                 {"total_row_count", row_count(statement)},
                 {"truncated", row_count(statement) < statement.rows.size()}};
    Json chunks = Json::array();
    for (std::size_t i = 0; i < count; ++i) {
        Json chunk = chunk_json(context, statement, i);
        chunks.push_back(
            {{"chunk_index", i}, {"row_offset", chunk["row_offset"]}, {"row_count", chunk["row_count"]}});
    }
    if (count > 0) json["chunks"] = chunks;
    return json;
}

Json statement_json(Context& context, const Statement& statement) {
    Json status = {{"state", statement.state}};
    if (statement.state == "FAILED") {
        status["error"] = {{"error_code", statement.error_code}, {"message", statement.error_message}};
        if (!statement.sql_state.empty()) status["sql_state"] = statement.sql_state;
    }
    Json json = {{"statement_id", statement.id}, {"status", status}};
    if (statement.state == "SUCCEEDED") {
        json["manifest"] = manifest_json(context, statement);
        json["result"] = statement.columns.empty() ? Json::object() : chunk_json(context, statement, 0);
    }
    return json;
}

// What is wrong with the fields of a new statement; empty: nothing.
std::string complaint(const Json& body) {
    if (text_at(body, "statement").empty()) return "statement is required and must not be empty.";
    if (text_at(body, "statement").size() > largest_statement_bytes)
        return "statement must not be larger than 16 MiB.";
    if (text_at(body, "warehouse_id").empty()) return "warehouse_id is required.";
    for (const char* key : {"wait_timeout", "on_wait_timeout", "format", "disposition", "catalog", "schema"})
        if (body.contains(key) && !body[key].is_string()) return std::string(key) + " must be a string.";
    if (wait_seconds(text_at(body, "wait_timeout", "10s")) < 0)
        return "wait_timeout must be 0 seconds (e.g. `0s`), or between 5 and 50 seconds (e.g. `5s`).";
    const std::string on_timeout = text_at(body, "on_wait_timeout", "CONTINUE");
    if (on_timeout != "CONTINUE" && on_timeout != "CANCEL")
        return "on_wait_timeout must be CONTINUE or CANCEL.";
    const std::string format = text_at(body, "format", "JSON_ARRAY");
    if (format != "JSON_ARRAY" && format != "ARROW_STREAM" && format != "CSV")
        return "Unknown format: " + format;
    const std::string disposition = text_at(body, "disposition", "INLINE");
    if (disposition != "INLINE" && disposition != "EXTERNAL_LINKS")
        return "Unknown disposition: " + disposition;
    if (disposition == "INLINE" && format != "JSON_ARRAY")
        return "The format field must be JSON_ARRAY when the disposition field is INLINE.";
    if (const auto limit = body.find("row_limit");
        limit != body.end() && (!limit->is_number_integer() || limit->get<std::int64_t>() < 1))
        return "row_limit must be a positive integer.";
    if (const auto tags = body.find("query_tags");
        tags != body.end() && (!tags->is_array() || tags->size() > 20))
        return "query_tags must be a list of at most 20 tags.";
    if (const auto parameters = body.find("parameters"); parameters != body.end()) {
        if (!parameters->is_array()) return "parameters must be a list.";
        for (const Json& one : *parameters) {
            if (!one.is_object() || text_at(one, "name").empty()) return "Each parameter needs a name.";
            if (one.contains("value") && !one["value"].is_string() && !one["value"].is_null())
                return "The value of a parameter must be a string or null.";
        }
    }
    return {};
}

Response create(Context& context) {
    BodyOrError parsed = json_body(context.request);
    if (parsed.error) return *parsed.error;
    const Json& body = parsed.body;
    if (const std::string wrong = complaint(body); !wrong.empty()) return invalid(wrong);
    if (text_at(body, "disposition", "INLINE") == "EXTERNAL_LINKS")
        return api_error(501, "NOT_IMPLEMENTED", "The stand-in has no EXTERNAL_LINKS.");
    const std::string id = text_at(body, "warehouse_id");
    Warehouse* warehouse = find_warehouse(context.world(), id);
    if (!warehouse) {
        if (id.size() != 16 || !all_hex(id)) return invalid(id + " is not a valid endpoint id.");
        return api_error(404, "RESOURCE_DOES_NOT_EXIST", "SQL warehouse " + id + " does not exist.");
    }
    if (std::find(warehouse->denied.begin(), warehouse->denied.end(), context.caller.name) !=
        warehouse->denied.end())
        return api_error(403, "PERMISSION_DENIED",
                         context.caller.name + " does not have CAN USE permission on SQL warehouse " + id +
                             ".");
    if (warehouse->state == "DELETED" || warehouse->state == "DELETING")
        return api_error(400, "INVALID_STATE", "SQL warehouse " + id + " is deleted.");

    World& world = context.world();
    Statement statement;
    char name[48];
    std::snprintf(name, sizeof name, "01f10000-0000-1000-8000-%012llx",
                  static_cast<unsigned long long>(world.next_id++));
    statement.id = name;
    statement.owner = context.caller.name;
    statement.warehouse_id = id;
    statement.text = text_at(body, "statement");
    statement.catalog = text_at(body, "catalog");
    statement.schema = text_at(body, "schema");
    statement.parameters = body.value("parameters", Json::array());
    statement.pending_polls = world.settings.statement_pending_polls;
    statement.running_polls = world.settings.statement_running_polls;
    statement.row_limit = body.value("row_limit", std::int64_t{0});
    // The wait counts as one look; "0s" does not wait, so nothing is ever ready at once.
    if (wait_seconds(text_at(body, "wait_timeout", "10s")) > 0) {
        step(context, statement);
        if (!terminal(statement.state) && text_at(body, "on_wait_timeout") == "CANCEL")
            finish(context, statement, "CANCELED");
    } else {
        start(context, *warehouse);
    }
    context.store.touch();
    world.statements.push_back(statement);
    return json_response(200, statement_json(context, statement));
}

Response chunk(Context& context, const Statement& statement, std::string_view number) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
    if (error != std::errc() || end != number.data() + number.size())
        return invalid("chunk_index must be a number.");
    if (statement.state != "SUCCEEDED")
        return api_error(400, "INVALID_STATE",
                         "Statement " + statement.id + " has no result: it is " + statement.state + ".");
    if (index >= chunk_count(context, statement))
        return invalid("chunk_index " + std::string(number) + " is out of range.");
    return json_response(200, chunk_json(context, statement, index));
}

} // namespace

Response sql_statements(Context& context) {
    const Request& request = context.request;
    if (auto refusal = authenticate(context, "sql")) return *refusal;
    const bool get = request.method == "GET" || request.method == "HEAD";
    if (request.path.size() <= root.size() + 1)
        return request.method == "POST" ? create(context) : wrong_method();

    const std::string rest = request.path.substr(root.size() + 1);
    const auto slash = rest.find('/');
    const std::string id = rest.substr(0, slash);
    const std::string verb = slash == std::string::npos ? "" : rest.substr(slash + 1);
    auto& statements = context.world().statements;
    const auto found = std::find_if(statements.begin(), statements.end(),
                                    [&](const Statement& statement) { return statement.id == id; });
    if (found == statements.end())
        return api_error(404, "NOT_FOUND", "The statement " + id + " was not found.");
    if (found->owner != context.caller.name)
        return api_error(403, "PERMISSION_DENIED",
                         "You do not have permission to access statement " + id + ".");

    if (verb.empty()) {
        if (!get) return wrong_method();
        step(context, *found);
        return json_response(200, statement_json(context, *found));
    }
    if (verb == "cancel") {
        if (request.method != "POST") return wrong_method();
        // "cancel may silently fail -> poll to a terminal state": the answer is the same either way.
        if (!context.world().settings.cancel_fails && !terminal(found->state)) {
            finish(context, *found, "CANCELED");
            context.store.touch();
        }
        Response response;
        response.with("content-type", "application/json");
        return response;
    }
    if (verb.starts_with("result/chunks/")) {
        if (!get) return wrong_method();
        return chunk(context, *found, std::string_view(verb).substr(14));
    }
    return not_found_route(request);
}

} // namespace dbx::standin
