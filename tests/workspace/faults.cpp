#include "tests/workspace/faults.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/context.hpp"
#include "tests/workspace/gateway.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace dbx::standin {

namespace {

enum class Kind { status, page, stream, socket };

struct Preset {
    const char* name;
    Kind kind;
    bool replaces; // the request is not processed
    const char* options;
};

// Every preset, what it replaces, and which options it understands.
constexpr std::array presets = {
    // "401 {"error_code":401,"message":"Credential was not sent or was of an unsupported type for this
    // API."}"
    Preset{"401", Kind::status, true, "shape message"},
    // "400 bad/expired token: "Invalid Token" (not 401) on some routes": plain text, not JSON
    Preset{"400_invalid_token", Kind::status, true, ""},
    // "403 {"error_code":"PERMISSION_DENIED","message":"..."} (missing EXECUTE, IP access list, scope)"
    Preset{"403", Kind::status, true, "shape message"},
    // "Provided OAuth token does not have required scopes: …"
    Preset{"403_scope", Kind::status, true, "scope"},
    // Source IP address: … is blocked by Databricks IP ACL for workspace: …
    Preset{"403_ip_list", Kind::status, true, ""},
    // "404 on a route not enabled in this workspace"
    Preset{"404_route", Kind::status, true, ""},
    // "429 Databricks: {"error_code":"REQUEST_LIMIT_EXCEEDED",…}; Retry-After and X-RateLimit-* sometimes
    // present"
    Preset{"429", Kind::status, true, "retry_after shape message"},
    // "503 TEMPORARILY_UNAVAILABLE", "504 DEADLINE_EXCEEDED", 529 overloaded; `status`, default 503
    Preset{"5xx", Kind::status, true, "status retry_after shape message"},
    // "302/HTML 200 login pages when host is wrong or token missing: check content-type"
    Preset{"html_login_page", Kind::page, true, ""},
    // "Private-link: redirect to /login.html?error=private-link-validation-error"
    Preset{"private_link_redirect", Kind::page, true, ""},
    // Any answer: `status`, `headers`, `body`
    Preset{"raw", Kind::page, true, "status headers body"},
    // An intermediary that breaks the JSON in the middle
    Preset{"garbage_json", Kind::page, false, "body"},
    // A cold endpoint: the first byte comes late; `ms`
    Preset{"slow_first_byte", Kind::stream, false, "ms"},
    // Time between two events; `ms`
    Preset{"slow_events", Kind::stream, false, "ms"},
    // The model server dies in mid-answer: after `events` whole events and `bytes` of the next one
    Preset{"cut_stream", Kind::stream, false, "events bytes reset"},
    // The stream stands still after `events` events until /_control/release
    Preset{"hold_stream", Kind::stream, false, "events"},
    // "An in-stream error inside HTTP 200": after `events` events
    Preset{"stream_error", Kind::stream, false, "events code message"},
    // "a read is an arbitrary byte slice, not an event": chunks of `bytes` bytes
    Preset{"split_bytes", Kind::stream, false, "bytes"},
    // The request was processed, its answer is lost
    Preset{"cut_before_answer", Kind::socket, false, "reset"},
    // The connection ends before the workspace did anything
    Preset{"cut_before_processing", Kind::socket, true, "reset"},
    // No answer until the client leaves or /_control/release (which cuts)
    Preset{"hang", Kind::socket, true, "reset"},
};

const Preset* find_preset(std::string_view name) {
    for (const Preset& preset : presets)
        if (name == preset.name) return &preset;
    return nullptr;
}

std::int64_t number(const Json& options, const char* key, std::int64_t fallback) {
    const auto found = options.find(key);
    return found != options.end() && found->is_number_integer() ? found->get<std::int64_t>() : fallback;
}

std::size_t size(const Json& options, const char* key, std::size_t fallback) {
    return static_cast<std::size_t>(
        std::max<std::int64_t>(0, number(options, key, static_cast<std::int64_t>(fallback))));
}

std::string text(const Json& options, const char* key, const std::string& fallback) {
    const auto found = options.find(key);
    return found != options.end() && found->is_string() ? found->get<std::string>() : fallback;
}

Dialect dialect_for(const Request& request) {
    const auto path = gateway_path(request.path);
    return path ? dialect_of(path->route) : Dialect::chat;
}

Response error_answer(const Fault& fault, const Request& request, int status, const Json& code,
                      const std::string& message) {
    const std::string words = text(fault.options, "message", message);
    Response response = text(fault.options, "shape", "databricks") == "native"
                            ? native_error(dialect_for(request), status, words)
                            : json_response(status, {{"error_code", code}, {"message", words}});
    // Seconds as a number, or an HTTP date as text.
    if (const auto after = fault.options.find("retry_after"); after != fault.options.end())
        response.with("retry-after", after->is_string() ? after->get<std::string>() : after->dump());
    return response;
}

Response status_answer(const Fault& fault, const Request& request) {
    const std::string& name = fault.preset;
    if (name == "401")
        return error_answer(fault, request, 401, 401,
                            "Credential was not sent or was of an unsupported type for this API.");
    if (name == "400_invalid_token") {
        Response response;
        response.status = 400;
        response.with("content-type", "text/plain; charset=utf-8");
        response.body = "Invalid Token";
        return response;
    }
    if (name == "403")
        return error_answer(fault, request, 403, "PERMISSION_DENIED",
                            "User does not have EXECUTE on Model Service 'system.ai.claude-opus-4-6'.");
    if (name == "403_scope")
        return api_error(403, "PERMISSION_DENIED",
                         "Provided OAuth token does not have required scopes: " +
                             text(fault.options, "scope", "all-apis"));
    if (name == "403_ip_list")
        return api_error(403, "PERMISSION_DENIED",
                         "Source IP address: 203.0.113.7 is blocked by Databricks IP ACL for workspace: "
                         "1234567890123456");
    if (name == "404_route") return not_found_route(request);
    if (name == "429")
        return error_answer(fault, request, 429, "REQUEST_LIMIT_EXCEEDED",
                            "REQUEST_LIMIT_EXCEEDED: Exceeded the rate limit of this workspace.");
    const int status = static_cast<int>(number(fault.options, "status", 503));
    const char* code = status == 503 || status == 529 ? "TEMPORARILY_UNAVAILABLE"
                       : status == 504                ? "DEADLINE_EXCEEDED"
                                                      : "INTERNAL_ERROR";
    return error_answer(fault, request, status, code,
                        "The service is temporarily unavailable. Please try again.");
}

Response page_answer(const Fault& fault) {
    Response response;
    if (fault.preset == "private_link_redirect") {
        response.status = 302;
        response.with("location", "/login.html?error=private-link-validation-error");
        return response;
    }
    if (fault.preset == "html_login_page") {
        response.with("content-type", "text/html; charset=utf-8");
        response.body = "<!DOCTYPE html>\n<html><head><title>Databricks - Sign In</title></head>"
                        "<body><div id=\"login-page\"></div></body></html>\n";
        return response;
    }
    response.status = static_cast<int>(number(fault.options, "status", 200));
    const Json headers = fault.options.value("headers", Json::object());
    for (const auto& [name, value] : headers.items())
        response.with(name, value.is_string() ? value.get<std::string>() : value.dump());
    response.body = text(fault.options, "body", "");
    return response;
}

void break_stream(const Fault& fault, const Request& request, Exchange& exchange) {
    Response& response = exchange.response;
    Delivery& delivery = exchange.delivery;
    const std::string& name = fault.preset;
    const auto milliseconds = [&] {
        return std::chrono::milliseconds(
            std::clamp<std::int64_t>(number(fault.options, "ms", 0), 0, 600'000));
    };
    if (name == "slow_first_byte")
        delivery.before_first_byte = milliseconds();
    else if (name == "slow_events")
        delivery.between_events = milliseconds();
    else if (name == "hold_stream")
        delivery.hold_after_events = size(fault.options, "events", 1);
    else if (name == "split_bytes")
        delivery.slice_bytes = std::max<std::size_t>(1, size(fault.options, "bytes", 1));
    else if (name == "stream_error" && response.streamed) {
        response.events.resize(std::min(response.events.size(), size(fault.options, "events", 2)));
        response.events.push_back(error_event(dialect_for(request),
                                              text(fault.options, "code", "rate_limit_exceeded"),
                                              text(fault.options, "message", "Rate limit reached.")));
    } else if (name == "cut_stream") {
        delivery.reset = fault.options.value("reset", false);
        if (response.streamed) {
            delivery.cut_after_events = size(fault.options, "events", 1);
            delivery.cut_after_bytes = size(fault.options, "bytes", 0);
        } else {
            delivery.cut_body = true;
            delivery.cut_after_bytes = size(fault.options, "bytes", response.body.size() / 2);
        }
    }
}

} // namespace

Json to_record(const Fault& fault) {
    Json json = fault.options;
    json["id"] = fault.id;
    json["fault"] = fault.preset;
    json["path"] = fault.path;
    if (!fault.method.empty()) json["method"] = fault.method;
    if (!fault.body.empty()) json["match_body"] = fault.body;
    json["count"] = fault.count < 0 ? Json("forever") : Json(fault.count);
    json["after"] = fault.after;
    return json;
}

std::string Faults::add(const Json& rule) {
    if (!rule.is_object()) return "a fault is a JSON object";
    Fault fault;
    fault.preset = text(rule, "fault", "");
    // "429" may as well be written as a number, and a server error by its status.
    if (const auto given = rule.find("fault"); given != rule.end() && given->is_number_integer())
        fault.preset = given->dump();
    if (const std::string& name = fault.preset; name.size() == 3 && name[0] == '5' && name != "5xx") {
        int status = 0;
        std::from_chars(name.data(), name.data() + name.size(), status);
        fault.options["status"] = status;
        fault.preset = "5xx";
    }
    const Preset* preset = find_preset(fault.preset);
    if (!preset) return "no such fault: " + fault.preset;
    const std::vector<std::string> allowed = split(preset->options, ' ');
    for (const auto& [key, value] : rule.items()) {
        const bool is_text = value.is_string();
        const bool is_number = value.is_number_integer();
        if (key == "fault") continue;
        if (key == "path" && is_text)
            fault.path = value.get<std::string>();
        else if (key == "method" && is_text)
            fault.method = value.get<std::string>();
        else if (key == "match_body" && is_text)
            fault.body = value.get<std::string>();
        else if (key == "count" && is_number)
            fault.count = value.get<std::int64_t>();
        else if (key == "count" && value == "forever")
            fault.count = -1;
        else if (key == "after" && is_number)
            fault.after = value.get<std::int64_t>();
        else if (std::find(allowed.begin(), allowed.end(), key) != allowed.end())
            fault.options[key] = value;
        else
            return "the fault " + fault.preset + " does not take this: " + key;
    }
    const std::int64_t status = number(fault.options, "status", 200);
    if (status < 200 || status > 599) return "status: not an HTTP status";
    if (fault.options.contains("reset") && !fault.options["reset"].is_boolean())
        return "reset: not a boolean";
    fault.id = next_id_++;
    rules_.push_back(fault);
    return {};
}

bool Faults::remove(std::int64_t id) {
    return std::erase_if(rules_, [id](const Fault& fault) { return fault.id == id; }) > 0;
}

Json Faults::list() const {
    Json out = Json::array();
    for (const Fault& fault : rules_) out.push_back(to_record(fault));
    return out;
}

std::optional<Fault> Faults::take(const Request& request) {
    for (Fault& fault : rules_) {
        if (fault.count == 0) continue;
        if (!fault.method.empty() && fault.method != request.method) continue;
        if (!glob_match(fault.path, request.path)) continue;
        if (!fault.body.empty() && request.body.find(fault.body) == std::string::npos) continue;
        if (fault.after > 0) {
            --fault.after;
            continue;
        }
        if (fault.count > 0) --fault.count;
        return fault;
    }
    return std::nullopt;
}

bool replaces_processing(const Fault& fault) {
    const Preset* preset = find_preset(fault.preset);
    return preset && preset->replaces;
}

void apply_fault(const Fault& fault, const Request& request, Exchange& exchange) {
    const Preset* preset = find_preset(fault.preset);
    if (!preset) return;
    switch (preset->kind) {
    case Kind::status:
        exchange.response = status_answer(fault, request);
        break;
    case Kind::page:
        if (fault.preset == "garbage_json") {
            // The status and type stay those of the true answer: only reading the body tells.
            Response& response = exchange.response;
            const std::string garbage = text(fault.options, "body", "{\"error_code\": \"OK\", \"mess");
            if (response.streamed)
                response.events.assign({"data: " + garbage + "\n\n"});
            else
                response.body = garbage;
        } else {
            exchange.response = page_answer(fault);
        }
        break;
    case Kind::stream:
        break_stream(fault, request, exchange);
        break;
    case Kind::socket:
        exchange.delivery.reset = fault.options.value("reset", false);
        (fault.preset == "hang" ? exchange.delivery.hang : exchange.delivery.no_answer) = true;
        break;
    }
}

} // namespace dbx::standin
