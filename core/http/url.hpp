#pragma once

#include "core/base/error.hpp"

#include <string>
#include <string_view>

namespace dbx::http {

// An http(s) URL in its parts. Nothing is decoded; host and scheme are lower case, a default port is 0, IPv6
// keeps its brackets.
struct Url {
    std::string scheme;
    std::string host;
    int port = 0;
    std::string path;  // "" or "/…"
    std::string query; // without "?"

    // "https://host[:port]"
    std::string origin() const;
};

// Reads a URL as people paste it: blanks around it are dropped, a missing scheme is https. Refused (kind
// usage, with why and fix, never showing credentials or queries): other schemes, credentials, blanks, control
// characters, backslashes, non-ASCII, impossible hosts and ports. A fragment is dropped.
Result<Url> parse_url(std::string_view text);

// localhost, *.localhost, 127.0.0.0/8 as four plain decimals, ::1. `host` as in Url. Lookalikes
// ("127.1", "127.0.0.1.example.com") are not loopback.
bool is_loopback_host(std::string_view host);

// Percent-encodes everything but unreserved characters (RFC 3986): for one path segment or query value.
std::string percent_encode(std::string_view text);

// The URL for a message: without credentials, query and control characters, at most ~120 bytes; a text that
// looks like a token is not shown at all.
std::string shown_url(std::string_view text);

} // namespace dbx::http
