#include "tests/workspace/context.hpp"

#include "core/base/strings.hpp"

#include <charconv>

namespace dbx::standin {

Response json_response(int status, const Json& body) {
    Response response;
    response.status = status;
    response.with("content-type", "application/json");
    response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    return response;
}

Response api_error(int status, std::string_view code, std::string_view message) {
    return json_response(status, {{"error_code", code}, {"message", message}});
}

Response not_found_route(const Request& request) {
    return api_error(404, "ENDPOINT_NOT_FOUND",
                     "No API found for '" + request.method + " " + request.path + "'");
}

Response wrong_method() {
    return api_error(405, "METHOD_NOT_ALLOWED", "HTTP method not allowed");
}

BodyOrError json_body(const Request& request) {
    BodyOrError out;
    out.body = Json::parse(request.body, nullptr, false);
    if (!out.body.is_object())
        out.error = api_error(400, "MALFORMED_REQUEST", "Invalid JSON given in the body - expected a map");
    return out;
}

namespace {

std::optional<std::size_t> number(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

} // namespace

Page page_of(const Request& request, std::string_view list, std::size_t total, std::size_t default_size,
             std::size_t largest, std::string_view size_name) {
    Page page;
    std::size_t size = default_size;
    if (const auto text = request.param(size_name); text && !text->empty()) {
        const auto value = number(*text);
        if (!value || *value > largest) {
            page.error =
                api_error(400, "INVALID_PARAMETER_VALUE",
                          std::string(size_name) + " must be between 0 and " + std::to_string(largest));
            return page;
        }
        if (*value > 0) size = *value;
    }
    if (const auto token = request.param("page_token"); token && !token->empty()) {
        const std::string prefix = "pt-" + std::string(list) + "-";
        const auto value = token->starts_with(prefix) ? number(std::string_view(*token).substr(prefix.size()))
                                                      : std::nullopt;
        if (!value || *value > total) {
            page.error = api_error(400, "INVALID_PARAMETER_VALUE", "Invalid page token");
            return page;
        }
        page.begin = *value;
    }
    page.end = std::min(total, page.begin + size);
    if (page.end < total) page.next = "pt-" + std::string(list) + "-" + std::to_string(page.end);
    return page;
}

} // namespace dbx::standin
