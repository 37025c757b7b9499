#include "core/http/url.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace dbx::http {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Four plain decimals without leading zeros: the only spelling that every library reads alike.
std::optional<std::array<int, 4>> read_ipv4(std::string_view host) {
    const auto parts = split(host, '.');
    if (parts.size() != 4) return std::nullopt;
    std::array<int, 4> bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
        const auto& part = parts[i];
        if (part.empty() || part.size() > 3 || !std::all_of(part.begin(), part.end(), is_digit))
            return std::nullopt;
        if (part.size() > 1 && part[0] == '0') return std::nullopt;
        bytes[i] = std::stoi(part);
        if (bytes[i] > 255) return std::nullopt;
    }
    return bytes;
}

using Groups = std::array<std::uint16_t, 8>;

// The colon-separated groups of one side of "::", at most eight; an IPv4 tail counts as two.
std::optional<std::vector<std::uint16_t>> read_groups(std::string_view text) {
    std::vector<std::uint16_t> groups;
    if (text.empty()) return groups;
    const auto parts = split(text, ':');
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto& part = parts[i];
        if (i + 1 == parts.size() && part.find('.') != std::string::npos) {
            const auto v4 = read_ipv4(part);
            if (!v4) return std::nullopt;
            groups.push_back(static_cast<std::uint16_t>((*v4)[0] * 256 + (*v4)[1]));
            groups.push_back(static_cast<std::uint16_t>((*v4)[2] * 256 + (*v4)[3]));
        } else {
            if (part.empty() || part.size() > 4 || !std::all_of(part.begin(), part.end(), is_hex))
                return std::nullopt;
            groups.push_back(static_cast<std::uint16_t>(std::stoul(part, nullptr, 16)));
        }
    }
    return groups;
}

std::optional<Groups> read_ipv6(std::string_view text) {
    const auto gap = text.find("::");
    const auto left = read_groups(text.substr(0, gap));
    if (!left) return std::nullopt;
    Groups result{};
    if (gap == std::string_view::npos) {
        if (left->size() != 8) return std::nullopt;
        std::copy(left->begin(), left->end(), result.begin());
        return result;
    }
    const auto right = read_groups(text.substr(gap + 2));
    if (!right || left->size() + right->size() > 7) return std::nullopt;
    std::copy(left->begin(), left->end(), result.begin());
    std::copy(right->begin(), right->end(), result.end() - static_cast<std::ptrdiff_t>(right->size()));
    return result;
}

// A personal access token (dapi and 32 hex digits; newer prefixes alike) or a JWT, pasted into the wrong
// place.
bool looks_like_token(std::string_view text) {
    if (text.starts_with("eyJ")) return true;
    if (!text.starts_with("dapi") && !text.starts_with("dkea") && !text.starts_with("dose")) return false;
    const auto digits = text.substr(4, 16);
    return digits.size() == 16 && std::all_of(digits.begin(), digits.end(), is_hex);
}

std::string check_name(std::string_view host) {
    if (host.size() > 253) return "the host name is longer than 253 characters";
    for (const auto& label : split(host, '.')) {
        if (label.empty()) return "the host name has an empty part";
        if (label.size() > 63) return "a part of the host name is longer than 63 characters";
        if (label.front() == '-' || label.back() == '-')
            return "a part of the host name begins or ends with '-'";
        for (const char c : label) {
            if (!is_digit(c) && !is_alpha(c) && c != '-' && c != '_')
                return "the host name holds a character that host names cannot have";
        }
    }
    const auto last = host.substr(host.rfind('.') == std::string_view::npos ? 0 : host.rfind('.') + 1);
    const bool numeric = std::all_of(last.begin(), last.end(), is_digit) || last.starts_with("0x");
    if (numeric && !read_ipv4(host)) return "the host is neither a name nor a full IPv4 address";
    return {};
}

} // namespace

std::string Url::origin() const {
    return scheme + "://" + host + (port == 0 ? std::string() : ":" + std::to_string(port));
}

bool is_loopback_host(std::string_view host) {
    if (iequals(host, "localhost")) return true;
    constexpr std::string_view suffix = ".localhost";
    if (host.size() > suffix.size() && iequals(host.substr(host.size() - suffix.size()), suffix)) return true;
    if (const auto v4 = read_ipv4(host)) return (*v4)[0] == 127;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        const auto v6 = read_ipv6(host.substr(1, host.size() - 2));
        return v6 && *v6 == Groups{0, 0, 0, 0, 0, 0, 0, 1};
    }
    return false;
}

std::string percent_encode(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        if (is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            result += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            result += '%';
            result += digits[byte >> 4];
            result += digits[byte & 15U];
        }
    }
    return result;
}

std::string shown_url(std::string_view text) {
    text = trim(text);
    const auto scheme = text.find("://");
    const auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
    auto rest = text.substr(start);
    rest = rest.substr(0, rest.find_first_of("?#"));
    // The last @ counts: a password may hold one as well, or a slash.
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) rest = rest.substr(at + 1);
    if (looks_like_token(rest)) return "(a value that looks like a token)";
    std::string result(text.substr(0, std::min<std::size_t>(start, 20)));
    for (const char c : rest.substr(0, 120)) {
        const auto byte = static_cast<unsigned char>(c);
        result += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    if (rest.size() > 120) result += "...";
    return result;
}

Result<Url> parse_url(std::string_view text) {
    text = trim(text);
    const auto refuse = [&](std::string why,
                            std::string fix = "give an address such as https://example.com") {
        return fail(ErrorKind::usage, "cannot use the address '" + shown_url(text) + "'", std::move(why),
                    std::move(fix));
    };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > 2048) return refuse("it is longer than 2048 characters");
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == ' ') return refuse("it holds a blank");
        if (byte < 0x20 || byte == 0x7f) return refuse("it holds a control character (a line end, a tab)");
        if (byte > 0x7f)
            return refuse("it holds a character outside of ASCII", "give the host in its ASCII (xn--) form");
        if (c == '\\') return refuse("it holds a backslash", "use forward slashes");
    }
    Url url;
    url.scheme = "https";
    if (const auto at = text.find("://"); at != std::string_view::npos && at < text.find_first_of("/?#")) {
        url.scheme = to_lower(text.substr(0, at));
        text.remove_prefix(at + 3);
    } else if (text.starts_with("//")) {
        text.remove_prefix(2);
    } else if (iequals(text.substr(0, 6), "https:") || iequals(text.substr(0, 5), "http:")) {
        return refuse("the scheme is not followed by '//'");
    }
    if (url.scheme != "https" && url.scheme != "http")
        return refuse("'" + url.scheme + "' is not a scheme for web addresses",
                      "give an address that begins with https://");

    const auto end = text.find_first_of("/?#");
    auto authority = text.substr(0, end);
    auto rest = end == std::string_view::npos ? std::string_view() : text.substr(end);
    if (authority.find('@') != std::string_view::npos)
        return refuse("it holds a user name or password before the '@'", "leave the part before the '@' out");
    // In lower case as well: that is how the host is used from here on.
    if (looks_like_token(authority) || looks_like_token(to_lower(authority)))
        return refuse("it looks like a token, not like an address");

    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const auto close = authority.find(']');
        if (close == std::string_view::npos || !read_ipv6(authority.substr(1, close - 1)))
            return refuse("the IPv6 address in brackets is not valid");
        url.host = to_lower(authority.substr(0, close + 1));
        const auto after = authority.substr(close + 1);
        if (!after.empty() && after[0] != ':')
            return refuse("something other than a port follows the IPv6 address");
        has_port = !after.empty();
        if (has_port) port = after.substr(1);
    } else {
        const auto colon = authority.find(':');
        has_port = colon != std::string_view::npos;
        if (has_port) port = authority.substr(colon + 1);
        url.host = to_lower(authority.substr(0, colon));
        // The root dot of a fully qualified name; certificates are issued without it.
        if (url.host.ends_with('.')) url.host.pop_back();
        if (url.host.empty()) return refuse("it has no host");
        if (has_port && port.find(':') != std::string_view::npos)
            return refuse("an IPv6 address needs brackets", "write it as https://[::1]");
        if (auto why = check_name(url.host); !why.empty()) return refuse(std::move(why));
    }
    if (has_port) {
        if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit))
            return refuse("the port is not a number");
        url.port = std::stoi(std::string(port));
        if (url.port < 1 || url.port > 65535) return refuse("the port is not between 1 and 65535");
        if (url.port == (url.scheme == "https" ? 443 : 80)) url.port = 0;
    }
    rest = rest.substr(0, rest.find('#'));
    const auto question = rest.find('?');
    url.path = std::string(rest.substr(0, question));
    if (question != std::string_view::npos) url.query = std::string(rest.substr(question + 1));
    return url;
}

} // namespace dbx::http
