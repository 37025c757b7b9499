#include "core/databricks/api_error.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::databricks {

namespace {

using nlohmann::json;

// The parts of an error body.
struct Words {
    std::string code;
    std::string message;
    std::string reason; // of google.rpc.ErrorInfo
};

std::string text_of(const json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number()) return value.dump();
    return {};
}

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() ? std::string() : text_of(*found);
}

// The body forms of Databricks' services and of the model routes behind the gateway.
Words read_object(const json& body) {
    Words words;
    words.code = text_of(body, "error_code");
    words.message = text_of(body, "message");
    if (const auto error = body.find("error"); error != body.end()) {
        if (error->is_object()) { // OpenAI, Anthropic and Gemini
            words.message = text_of(*error, "message");
            for (const auto* key : {"status", "type", "code"}) {
                if (words.code.empty()) words.code = text_of(*error, key);
            }
        } else if (words.message.empty()) { // API 1.2, OAuth
            words.message = text_of(body, "error_description");
            if (words.message.empty())
                words.message = text_of(*error);
            else if (words.code.empty())
                words.code = text_of(*error);
        }
    }
    if (words.message.empty()) words.message = text_of(body, "detail"); // SCIM
    if (words.code.empty()) words.code = text_of(body, "scimType");
    if (const auto details = body.find("details"); details != body.end() && details->is_array()) {
        for (const auto& detail : *details) {
            if (detail.is_object() && words.reason.empty()) words.reason = text_of(detail, "reason");
        }
    }
    return words;
}

bool is_code(std::string_view text) {
    return text.size() >= 3 && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
           });
}

bool is_html(const http::Response& response) {
    const auto* type = response.header("Content-Type");
    if (type != nullptr && icontains(*type, "text/html")) return true;
    const auto start = to_lower(trim(response.body).substr(0, 15));
    return start.starts_with("<!doctype html") || start.starts_with("<html");
}

Words read_words(const http::Response& response) {
    const auto body = json::parse(response.body, nullptr, false);
    if (body.is_object()) return read_object(body);
    Words words;
    std::string_view text = trim(response.body);
    if (body.is_string()) text = body.get_ref<const std::string&>();
    if (is_html(response)) { // an error page keeps its words in <pre>
        const auto open = text.find("<pre>");
        const auto close = text.find("</pre>", open == std::string_view::npos ? 0 : open);
        if (open == std::string_view::npos || close == std::string_view::npos) return words;
        text = trim(text.substr(open + 5, close - open - 5));
    }
    // "CODE: message"
    if (const auto colon = text.find(": ");
        colon != std::string_view::npos && is_code(text.substr(0, colon))) {
        words.code = text.substr(0, colon);
        text = trim(text.substr(colon + 2));
    }
    words.message = text;
    return words;
}

// Foreign words in one line of at most 500 bytes, well-formed.
std::string one_line(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = ' ';
    }
    text = std::string(trim(text));
    if (text.size() > 500) {
        text.resize(500);
        // Not in the middle of a character.
        while (!text.empty() && !is_utf8(text) && text.size() > 490) text.pop_back();
        text += "...";
    }
    return is_utf8(text) ? text : "(not readable)";
}

std::string header_of(const http::Response& response, std::initializer_list<std::string_view> names) {
    for (const auto name : names) {
        if (const auto* value = response.header(name)) return one_line(*value);
    }
    return {};
}

ApiProblem problem_of(const http::Response& response, const Words& words) {
    const auto says = [&](std::string_view part) {
        return icontains(words.message, part) || icontains(words.reason, part);
    };
    const int status = response.status;
    if (status >= 300 && status < 400) {
        const auto location = header_of(response, {"Location"});
        if (icontains(location, "private-link-validation-error")) return ApiProblem::private_link;
        if (icontains(location, "login") || icontains(location, "/oidc/")) return ApiProblem::login_page;
        return ApiProblem::redirected;
    }
    if (status < 300) return is_html(response) ? ApiProblem::login_page : ApiProblem::not_databricks;
    // The gateway says 400 where others say 401, and the older REST APIs say 403.
    if (says("invalid token") || says("invalid access token") || says("token is expired") ||
        says("token has expired") || says("expired token") || says("access token expired"))
        return ApiProblem::invalid_token;
    if (says("credential was not sent") || says("unsupported type for this API"))
        return ApiProblem::not_authenticated;
    switch (status) {
    case 401:
        return ApiProblem::invalid_token;
    case 403:
        if (says("scope")) return ApiProblem::missing_scope;
        if (says("ip access list") || says("ip acl") ||
            (says("ip address") && (says("block") || says("not allowed"))))
            return ApiProblem::ip_blocked;
        if (says("private link") || says("private-link")) return ApiProblem::private_link;
        return ApiProblem::no_permission;
    case 404:
    case 405:
    case 501:
        // A resource that is missing says so in a Databricks body; anything else has no such route.
        if (status == 404 && !words.code.empty() && !iequals(words.code, "ENDPOINT_NOT_FOUND") &&
            !says("no api found") && !says("route"))
            return ApiProblem::not_found;
        return ApiProblem::route_missing;
    case 409:
        return ApiProblem::conflict;
    case 429:
        return ApiProblem::rate_limited;
    case 408:
    case 499:
    case 502:
    case 503:
    case 504:
        return ApiProblem::unavailable;
    default:
        return status >= 500 ? ApiProblem::server_error : ApiProblem::bad_request;
    }
}

// The usual word for a status, for bodies without one.
std::string code_of(int status) {
    switch (status) {
    case 400:
        return "BAD_REQUEST";
    case 401:
        return "UNAUTHENTICATED";
    case 403:
        return "PERMISSION_DENIED";
    case 404:
        return "RESOURCE_DOES_NOT_EXIST";
    case 409:
        return "RESOURCE_CONFLICT";
    case 429:
        return "RESOURCE_EXHAUSTED";
    case 503:
        return "TEMPORARILY_UNAVAILABLE";
    case 504:
        return "DEADLINE_EXCEEDED";
    default:
        return "HTTP_" + std::to_string(status);
    }
}

struct Advice {
    std::string why;
    std::string fix;
};

Advice advice_for(const ApiError& error, const http::Response& response) {
    const auto parsed = http::parse_url(response.url);
    const std::string host = parsed ? parsed->origin() : "the workspace";
    switch (error.problem) {
    case ApiProblem::invalid_token:
        return {"the token is wrong, revoked or expired, or belongs to another workspace",
                "see which credential is used: dbx-agents auth status"};
    case ApiProblem::not_authenticated:
        return {"the credential did not arrive, or is of a kind that this API does not take",
                "see which credential is used: dbx-agents auth status"};
    case ApiProblem::missing_scope:
        if (is_deprecated_gateway(response.url))
            return {"this gateway host is deprecated and asks for the scope all-apis",
                    "use the workspace's own gateway: --workspace https://YOUR-WORKSPACE"};
        return {"the token is restricted to other scopes",
                "use a token that has the scope the workspace names"};
    case ApiProblem::ip_blocked:
        return {"an IP access list of the workspace does not let this machine in",
                "connect through your company's network or VPN, or ask an administrator to add your address"};
    case ApiProblem::no_permission:
        return {"the principal of this credential lacks a right",
                "ask for the right that the workspace names"};
    case ApiProblem::not_found:
        return {"it does not exist, or is not visible to this principal", "check the name"};
    case ApiProblem::route_missing:
        return {host + (parsed && parsed->path.find("/ai-gateway") != std::string::npos
                            ? " does not offer this gateway route"
                            : " does not offer this API"),
                "check the address; an administrator enables previews such as the AI Gateway"};
    case ApiProblem::conflict:
        return {"it exists already, or somebody else changes it right now", "look at it, then try again"};
    case ApiProblem::bad_request:
        return {"the workspace does not accept the request", "see its words"};
    case ApiProblem::rate_limited:
        return {"the workspace limits the rate of requests", "try again in a minute"};
    case ApiProblem::unavailable:
        return {"the workspace is not available at the moment", "try again in a minute"};
    case ApiProblem::server_error:
        return {"the workspace failed", "try again; if it stays, give the request id to your administrator"};
    case ApiProblem::login_page:
        return {
            host + " answered with a log-in page instead of data",
            "check that the address is a workspace and the credential belongs to it: dbx-agents auth status"};
    case ApiProblem::private_link:
        return {"the workspace accepts connections over Private Link only",
                "connect from its private network"};
    case ApiProblem::redirected:
        return {host + " redirects to " + http::shown_url(header_of(response, {"Location"})) +
                    "; a token is never sent after a redirect",
                "use the address that the redirect names, if you trust it"};
    default:
        return {host + " answered with something that no Databricks API answers", "check the address"};
    }
}

ErrorKind kind_of_problem(ApiProblem problem) {
    switch (problem) {
    case ApiProblem::invalid_token:
    case ApiProblem::not_authenticated:
        return ErrorKind::credential;
    case ApiProblem::timeout:
        return ErrorKind::timeout;
    case ApiProblem::interrupted:
        return ErrorKind::interrupted;
    default:
        return ErrorKind::workspace;
    }
}

} // namespace

bool is_good(const http::Response& response) {
    return response.status >= 200 && response.status < 300 && !is_html(response);
}

ApiError classify(const http::Response& response, std::string_view what) {
    const auto words = read_words(response);
    ApiError error;
    error.status = response.status;
    // Some services send the HTTP status as error_code.
    error.code = is_code(words.code) && words.code.find_first_not_of("0123456789") != std::string::npos
                     ? words.code
                     : code_of(response.status);
    error.message = one_line(words.message);
    error.request_id = header_of(response, {"x-request-id", "x-databricks-request-id"});
    error.problem = problem_of(response, words);
    const auto advice = advice_for(error, response);
    auto& shown = error.error;
    shown.kind = kind_of_problem(error.problem);
    shown.what = what;
    shown.why = "HTTP " + std::to_string(response.status) + ": " + advice.why;
    if (!error.message.empty() && error.problem != ApiProblem::login_page)
        shown.why += " (\"" + error.message + "\")";
    if (!error.request_id.empty() && response.status >= 500) shown.why += ", request id " + error.request_id;
    shown.fix = advice.fix;
    return error;
}

ApiError classify(const http::Failure& failure, std::string_view url, std::string_view what) {
    ApiError error;
    error.error = http::to_error(failure, url);
    error.message = failure.why;
    switch (failure.problem) {
    case http::NetworkProblem::interrupted:
        error.problem = ApiProblem::interrupted;
        return error;
    case http::NetworkProblem::timeout:
        error.problem = ApiProblem::timeout;
        break;
    default:
        error.problem = ApiProblem::network;
    }
    error.error.why = error.error.what + (error.error.why.empty() ? "" : ": " + error.error.why);
    error.error.what = what;
    return error;
}

ApiError not_understood(const http::Response& response, std::string_view what, std::string_view why) {
    auto error = classify(response, what);
    error.problem = ApiProblem::not_databricks;
    error.message.clear();
    const auto host = http::parse_url(response.url);
    error.error =
        Error{ErrorKind::workspace,
              std::string(what),
              (host ? host->origin() : std::string("the workspace")) + " answered, but " + std::string(why),
              "check that the address is a workspace",
              {}};
    return error;
}

bool is_transient(const ApiError& error) {
    if (error.status < 400) return false;
    const auto says = [&](std::string_view part) { return icontains(error.message, part); };
    return says("UnknownWorkerEnvironmentException") || says("ClusterNotReadyException") ||
           says("Timed out after ") || says("deadline exceeded") ||
           (says("worker env ") && says(" not found"));
}

} // namespace dbx::databricks
