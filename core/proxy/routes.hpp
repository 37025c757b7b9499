#pragma once

#include "core/otlp/names.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace dbx::proxy {

// Whose words an error is made of. OTLP's are of google.rpc.Status, in the request's form.
enum class Dialect { openai, anthropic, gemini, otlp_json, otlp_protobuf };

enum class Destination {
    gateway, // below the gateway root
    relay,   // the OTLP routes
    local,   // the proxy's own pages
};

enum class Page { health, status, metrics };

// Where a request goes.
struct Route {
    Destination destination = Destination::gateway;
    Page page = Page::health;                    // local
    otlp::Signal signal = otlp::Signal::metrics; // relay
    Dialect dialect = Dialect::openai;
    std::string_view name; // "anthropic", "openai", …: the first segment; "otel"; "" for local pages
    std::string path;      // normalised, as it is sent below the destination's root
    std::string query;     // without the local key; without "?"
    bool free = false;     // no limit and no budget counts it: model lists, count_tokens, HEAD
};

// A path in normal form (RFC 3986, 6.2.2): escaped letters, digits and "-._~" decoded, dot segments gone, one
// slash for many. Nothing for a path that hides something: an escaped slash, backslash or control character,
// a bad escape, more ".." than segments, bytes that do not belong into a path.
std::optional<std::string> normal_path(std::string_view path);

// Reads a request target in origin form ("/path?query"); nothing for any other form and for bad paths.
struct Target {
    std::string path;
    std::string query;
    std::string
        key; // the decoded value of the query's `key`, which is taken out (Gemini's clients put theirs there)
};
std::optional<Target> read_target(std::string_view target);

// The route of a target; nothing when there is none.
std::optional<Route> find_route(std::string_view method, const Target& target);

// The dialect of a path, also of one that has no route: for errors.
Dialect dialect_of(std::string_view path);

// Gemini names the model in the path: ".../models/MODEL:generateContent". The place of MODEL; nothing when
// there is none.
struct Span {
    std::size_t offset = 0;
    std::size_t length = 0;
};
std::optional<Span> model_in_path(std::string_view path);

} // namespace dbx::proxy
