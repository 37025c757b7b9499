#include "core/proxy/heads.hpp"

#include "core/base/strings.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::proxy {

namespace {

// Fields of one connection only.
bool is_hop_by_hop(const Field& field) {
    switch (field.id) {
    case Name::connection:
    case Name::keep_alive:
    case Name::proxy_authorization:
    case Name::proxy_connection:
    case Name::te:
    case Name::trailer:
    case Name::transfer_encoding:
    case Name::upgrade:
        return true;
    default:
        return false;
    }
}

// Whether a Connection field names this field as one of the connection's own.
bool is_nominated(const Head& head, const Field& field) {
    for (const auto& connection : head.fields) {
        if (connection.id != Name::connection) continue;
        std::string_view rest = connection.value;
        while (!rest.empty()) {
            const auto comma = rest.find(',');
            if (iequals(trim(rest.substr(0, comma)), field.name)) return true;
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        }
    }
    return false;
}

// "keep-alive" and "close" alone nominate nothing; almost every Connection field is one of them.
bool nominates(const Head& head) {
    return std::any_of(head.fields.begin(), head.fields.end(), [](const Field& field) {
        return field.id == Name::connection && !iequals(field.value, "keep-alive") &&
               !iequals(field.value, "close");
    });
}

void append(std::string& head, const Field& field) {
    head.append(field.name).append(": ").append(field.value).append("\r\n");
}

} // namespace

Result<Endpoint> endpoint_of(std::string_view url) {
    const auto parsed = http::parse_url(url);
    if (!parsed) return fail(parsed.error());
    Endpoint result;
    result.tls = parsed->scheme == "https";
    if (!result.tls && !http::is_loopback_host(parsed->host))
        return fail(ErrorKind::usage, "the upstream address cannot be used",
                    "it is http, and the token must not travel in the clear", "give an https address");
    result.host = parsed->host;
    result.port = parsed->port != 0 ? parsed->port : result.tls ? 443 : 80;
    result.root = parsed->path;
    while (result.root.ends_with('/')) result.root.pop_back();
    result.host_field = parsed->host + (parsed->port != 0 ? ":" + std::to_string(parsed->port) : "");
    return result;
}

std::string upstream_head(const Head& request, const Route& route, const Endpoint& endpoint) {
    std::string head;
    head.reserve(2048);
    head.append(request.method).append(" ");
    if (route.destination == Destination::gateway) head.append(endpoint.root);
    head.append(route.path);
    if (!route.query.empty()) head.append("?").append(route.query);
    head.append(" HTTP/1.1\r\nHost: ").append(endpoint.host_field).append("\r\n");
    const bool nominated = nominates(request);
    for (const auto& field : request.fields) {
        if (is_hop_by_hop(field) || is_credential(field)) continue;
        switch (field.id) {
        case Name::host:
        case Name::expect:
        case Name::accept_encoding:
        case Name::content_length:
            continue;
        default:
            break;
        }
        if (nominated && is_nominated(request, field)) continue;
        append(head, field);
    }
    // Usage is read from the passing answer: it must not come compressed.
    head.append("Accept-Encoding: identity\r\n");
    return head;
}

std::string client_head(const Head& response, Framing framing, bool close) {
    std::string head;
    head.reserve(1024);
    head.append("HTTP/1.1 ")
        .append(std::to_string(response.status))
        .append(" ")
        .append(response.reason)
        .append("\r\n");
    const bool nominated = nominates(response);
    for (const auto& field : response.fields) {
        if (is_hop_by_hop(field)) continue;
        // The length of a body that is not sent (HEAD, 304) is information and passes.
        if (field.id == Name::content_length && framing != Framing::length && framing != Framing::none)
            continue;
        if (nominated && is_nominated(response, field)) continue;
        append(head, field);
    }
    if (framing == Framing::chunked) head.append("Transfer-Encoding: chunked\r\n");
    if (close) head.append("Connection: close\r\n");
    head.append("\r\n");
    return head;
}

} // namespace dbx::proxy
