#include "core/proxy/answers.hpp"

#include <nlohmann/json.hpp>
#include <protozero/pbf_writer.hpp>

#include <charconv>

namespace dbx::proxy {

namespace {

// What Anthropic calls its classes of errors.
std::string_view anthropic_type(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
        return "overloaded_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

std::string_view openai_type(int status) {
    if (status == 401) return "authentication_error";
    if (status == 403) return "permission_error";
    if (status == 429) return "rate_limit_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
}

// google.rpc.Code
std::string_view google_status(int status) {
    switch (status) {
    case 401:
        return "UNAUTHENTICATED";
    case 403:
        return "PERMISSION_DENIED";
    case 404:
        return "NOT_FOUND";
    case 429:
        return "RESOURCE_EXHAUSTED";
    case 502:
    case 503:
        return "UNAVAILABLE";
    case 504:
        return "DEADLINE_EXCEEDED";
    default:
        return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    }
}

// Names and paths are the user's: no line ends in a header, and no bytes that clients refuse there.
std::string header_value(std::string_view text) {
    std::string value(text);
    for (auto& byte : value)
        if (byte < ' ' || byte > '~') byte = '?';
    return value;
}

// A sentence that another one is to go on.
std::string_view without_stop(std::string_view sentence) {
    if (sentence.ends_with('.')) sentence.remove_suffix(1);
    return sentence;
}

// The same as a number.
int google_code(int status) {
    switch (status) {
    case 405:
        return 12; // UNIMPLEMENTED
    case 503:
        return 14; // UNAVAILABLE
    case 504:
        return 4; // DEADLINE_EXCEEDED
    default:
        return status >= 500 ? 13 : 3; // INTERNAL, INVALID_ARGUMENT
    }
}

std::string start(int status) {
    return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n";
}

std::string finish(std::string head, std::string_view content_type, std::string_view body, bool head_only,
                   bool close) {
    head += "Content-Type: ";
    head += content_type;
    head += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
    if (close) head += "Connection: close\r\n";
    head += "\r\n";
    if (!head_only) head += body;
    return head;
}

} // namespace

bool gives_up_at_429(std::string_view user_agent) {
    constexpr std::string_view before = "/0.";
    constexpr int first_that_waits = 159;
    const auto at = user_agent.find(before);
    if (!user_agent.starts_with("codex") || at == std::string_view::npos) return false;
    int minor = 0;
    const auto* const digits = user_agent.data() + at + before.size();
    const auto [end, error] = std::from_chars(digits, user_agent.data() + user_agent.size(), minor);
    return error == std::errc() && minor < first_that_waits;
}

std::string_view reason_of(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Error";
    }
}

std::string error_body(Dialect dialect, const Refusal& refusal) {
    using nlohmann::json;
    json body;
    switch (dialect) {
    case Dialect::anthropic:
        body = {{"type", "error"},
                {"error", {{"type", anthropic_type(refusal.status)}, {"message", refusal.message}}}};
        break;
    case Dialect::gemini: {
        json details = json::array();
        if (refusal.retry_after)
            details.push_back({{"@type", "type.googleapis.com/google.rpc.RetryInfo"},
                               {"retryDelay", std::to_string(refusal.retry_after->count()) + "s"}});
        body = {{"error",
                 {{"code", refusal.status},
                  {"message", refusal.message},
                  {"status", google_status(refusal.status)},
                  {"details", std::move(details)}}}};
        break;
    }
    case Dialect::otlp_json:
        body = {{"code", google_code(refusal.status)}, {"message", refusal.message}};
        break;
    case Dialect::otlp_protobuf: {
        // google.rpc.Status: code = 1, message = 2
        std::string status;
        protozero::pbf_writer writer(status);
        writer.add_int32(1, google_code(refusal.status));
        writer.add_string(2, refusal.message);
        return status;
    }
    case Dialect::openai:
        // Codex ends the turn at once on this type alone, with "You've hit your usage limit", the words of
        // x-codex-promo-message (see render) and resets_at. Of any other 429 it shows no word: it waits for
        // Retry-After, asks again up to five times and then tells that it did (measured on Codex CLI 0.133.0,
        // 0.169.0 and 0.171.0; UsageLimitReachedError in openai/codex).
        if (refusal.resets_at) {
            const auto at =
                std::chrono::duration_cast<std::chrono::seconds>(refusal.resets_at->time_since_epoch())
                    .count();
            body = {{"error",
                     {{"message", refusal.message},
                      {"type", "usage_limit_reached"},
                      {"resets_at", at},
                      {"param", nullptr},
                      {"code", refusal.name}}}};
            break;
        }
        body = {{"error",
                 {{"message", refusal.message},
                  {"type", openai_type(refusal.status)},
                  {"param", nullptr},
                  {"code", refusal.name}}}};
        break;
    }
    return body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string render(const Refusal& refusal, Dialect dialect, bool head_only, bool close) {
    std::string head = start(refusal.status);
    head += "x-dbx-agents-error: ";
    head += refusal.name;
    head += "\r\n";
    if (!refusal.retry) head += "x-should-retry: false\r\n";
    if (refusal.retry_after) head += "Retry-After: " + std::to_string(refusal.retry_after->count()) + "\r\n";
    if (!refusal.limit.empty()) {
        head += "x-dbx-agents-limit: ";
        head += header_value(refusal.limit);
        head += "\r\n";
    }
    if (refusal.resets_at && dialect == Dialect::openai)
        head += "x-codex-promo-message: " + header_value(without_stop(refusal.message)) + "\r\n";
    // RFC 9110, 15.5.2 and 15.5.22: these two answers name what they want.
    if (refusal.status == 401) head += "WWW-Authenticate: Bearer realm=\"dbx-agents\"\r\n";
    if (refusal.status == 426) head += "Upgrade: HTTP/1.1\r\n";
    const auto* type = dialect == Dialect::otlp_protobuf ? "application/x-protobuf" : "application/json";
    return finish(std::move(head), type, error_body(dialect, refusal), head_only, close || refusal.close);
}

std::string render(int status, std::string_view content_type, std::string_view body, bool head_only,
                   bool close) {
    return finish(start(status), content_type, body, head_only, close);
}

} // namespace dbx::proxy
