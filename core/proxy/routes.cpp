#include "core/proxy/routes.hpp"

#include "core/base/strings.hpp"

#include <array>
#include <vector>

namespace dbx::proxy {

namespace {

bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<unsigned char> escaped_byte(std::string_view text, std::size_t at) {
    if (at + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[at + 1]), low = hex_digit(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    return static_cast<unsigned char>(high * 16 + low);
}

// Every escape decoded; for the value of the local key.
std::string decoded(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (const auto byte = text[i] == '%' ? escaped_byte(text, i) : std::nullopt) {
            result += static_cast<char>(*byte);
            i += 2;
        } else {
            result += text[i];
        }
    }
    return result;
}

struct GatewayRoute {
    std::string_view prefix; // with a slash at its end
    std::string_view name;
    Dialect dialect;
};

// The gateway's own paths (contract, section 2).
constexpr std::array gateway_routes = {
    GatewayRoute{"/anthropic/", "anthropic", Dialect::anthropic},
    GatewayRoute{"/openai/v1/", "openai", Dialect::openai},
    GatewayRoute{"/codex/v1/", "codex", Dialect::openai},
    GatewayRoute{"/gemini/", "gemini", Dialect::gemini},
    GatewayRoute{"/cursor/v1/", "cursor", Dialect::openai},
    GatewayRoute{"/mlflow/v1/", "mlflow", Dialect::openai},
};

constexpr std::string_view otel_prefix = "/api/2.0/otel/v1/";

} // namespace

std::optional<std::string> normal_path(std::string_view path) {
    if (path.empty() || path.front() != '/') return std::nullopt;
    std::string plain;
    plain.reserve(path.size());
    std::size_t copied = 0; // of the path
    for (std::size_t i = 0; i < path.size(); ++i) {
        const auto c = static_cast<unsigned char>(path[i]);
        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' || c == '#')
            return std::nullopt;
        if (c != '%') continue;
        plain.append(path.substr(copied, i - copied));
        const auto byte = escaped_byte(path, i);
        if (!byte || *byte < 0x20 || *byte == 0x7f || *byte == '/' || *byte == '\\' || *byte == '%')
            return std::nullopt;
        if (is_unreserved(*byte))
            plain += static_cast<char>(*byte);
        else
            plain.append(path.substr(i, 3));
        i += 2;
        copied = i + 1;
    }
    plain.append(path.substr(copied));
    // "..;x" is ".." to servers that know parameters of a segment.
    if (plain.find("/.") != std::string::npos) {
        for (const auto& segment : split(plain, '/')) {
            const auto name = segment.substr(0, std::min(segment.find(';'), to_lower(segment).find("%3b")));
            if (name.size() < segment.size() && (name == "." || name == "..")) return std::nullopt;
        }
    }
    // Most paths are in normal form already.
    if (plain.find("//") == std::string::npos && plain.find("/.") == std::string::npos) return plain;
    std::vector<std::string> segments;
    const bool folder = plain.back() == '/' || plain.ends_with("/.") || plain.ends_with("/..");
    for (const auto& segment : split(plain, '/')) {
        if (segment.empty() || segment == ".") continue;
        if (segment == "..") {
            if (segments.empty()) return std::nullopt;
            segments.pop_back();
        } else {
            segments.push_back(segment);
        }
    }
    std::string result = "/" + join(segments, "/");
    if (folder && result.size() > 1) result += '/';
    return result;
}

std::optional<Target> read_target(std::string_view target) {
    const auto mark = target.find('?');
    auto path = normal_path(target.substr(0, mark));
    if (!path) return std::nullopt;
    Target result;
    result.path = std::move(*path);
    if (mark == std::string_view::npos) return result;
    const auto query = target.substr(mark + 1);
    for (const char c : query) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f || byte == '#') return std::nullopt;
    }
    std::size_t from = 0;
    while (from <= query.size()) {
        const auto end = std::min(query.find('&', from), query.size());
        const auto part = query.substr(from, end - from);
        const auto equals = part.find('=');
        // The name may be escaped as well: k%65y is key.
        if (equals != std::string_view::npos && decoded(part.substr(0, equals)) == "key") {
            result.key = decoded(part.substr(equals + 1));
        } else if (!part.empty()) {
            if (!result.query.empty()) result.query += '&';
            result.query += part;
        }
        from = end + 1;
    }
    return result;
}

Dialect dialect_of(std::string_view path) {
    for (const auto& route : gateway_routes)
        if (path.starts_with(route.prefix.substr(0, route.prefix.find('/', 1)))) return route.dialect;
    return Dialect::openai;
}

std::optional<Route> find_route(std::string_view method, const Target& target) {
    Route result;
    result.path = target.path;
    result.query = target.query;
    result.dialect = dialect_of(target.path);
    if (target.path == "/healthz" || target.path == "/status" || target.path == "/metrics") {
        result.destination = Destination::local;
        result.page = target.path == "/healthz"  ? Page::health
                      : target.path == "/status" ? Page::status
                                                 : Page::metrics;
        result.free = true;
        return result;
    }
    for (const auto signal : otlp::all_signals) {
        if (!target.path.starts_with(otel_prefix) ||
            target.path.substr(otel_prefix.size()) != otlp::name_of(signal))
            continue;
        result.destination = Destination::relay;
        result.signal = signal;
        result.name = "otel";
        result.free = true;
        return result;
    }
    for (const auto& route : gateway_routes) {
        // "/anthropic" itself is asked for by HEAD (Claude Code 2.1.197).
        const bool root =
            target.path.size() + 1 == route.prefix.size() && route.prefix.starts_with(target.path);
        if (!root && !target.path.starts_with(route.prefix)) continue;
        result.name = route.name;
        const bool counts = method == "POST" && !target.path.ends_with("/count_tokens") &&
                            !target.path.ends_with(":countTokens");
        result.free = !counts;
        return result;
    }
    return std::nullopt;
}

std::optional<Span> model_in_path(std::string_view path) {
    constexpr std::string_view before = "/models/";
    const auto at = path.find(before);
    if (at == std::string_view::npos) return std::nullopt;
    const auto from = at + before.size();
    const auto colon = path.find(':', from);
    if (colon == std::string_view::npos || colon == from) return std::nullopt;
    return Span{from, colon - from};
}

} // namespace dbx::proxy
