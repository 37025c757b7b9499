#pragma once

#include "core/base/error.hpp"
#include "core/proxy/admit.hpp"
#include "core/proxy/message.hpp"

#include <string>
#include <string_view>

namespace dbx::proxy {

// Where the gateway or the workspace is: fixed by the configuration, never by a request.
struct Endpoint {
    bool tls = true;
    std::string host; // without port; IPv6 in brackets
    int port = 443;
    std::string root;       // "/ai-gateway" or ""
    std::string host_field; // what Host says: with a port that is not the scheme's own

    bool operator==(const Endpoint&) const = default;
};

// From a normalised URL (databricks/hosts.hpp). Error: not a URL, or http to another machine.
Result<Endpoint> endpoint_of(std::string_view url);

// The request's head as it goes upstream, without the framing, Authorization and the empty line
// at its end, which are added when it is sent. Every field passes as it came, except the client's
// credentials, fields of one connection only (RFC 9110, 7.6.1), Host, Expect, Accept-Encoding (identity) and
// the framing.
std::string upstream_head(const Head& request, const Route& route, const Endpoint& endpoint);

enum class Framing {
    none,    // no body: HEAD, 204, 304
    length,  // Content-Length
    chunked, //
    close,   // the end of the connection ends it: for HTTP/1.0 clients
};

// The response's head as the client gets it.
std::string client_head(const Head& response, Framing framing, bool close);

} // namespace dbx::proxy
