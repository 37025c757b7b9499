#include "core/edit/unicode.hpp"
#include "core/edit/value.hpp"

#include <cstdint>
#include <optional>

namespace dbx::edit {

namespace {

bool is_bare(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// `digits` hexadecimal digits at text[at...]; nullopt when there are fewer or they are no scalar value.
std::optional<std::uint32_t> hex_code(std::string_view text, std::size_t at, std::size_t digits) {
    if (at + digits > text.size()) return std::nullopt;
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const int digit = hex_digit(text[at + i]);
        if (digit < 0) return std::nullopt;
        code = (code << 4) | static_cast<std::uint32_t>(digit);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return std::nullopt;
    return code;
}

// A basic string that starts after its opening quote at text[at]; leaves `at` after the closing one.
std::optional<std::string> basic_string(std::string_view text, std::size_t& at) {
    std::string result;
    while (at < text.size()) {
        const char c = text[at++];
        if (c == '"') return result;
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t') return std::nullopt;
        if (c == 0x7F) return std::nullopt;
        if (c != '\\') {
            result += c;
            continue;
        }
        if (at == text.size()) return std::nullopt;
        const char escape = text[at++];
        switch (escape) {
        case 'b':
            result += '\b';
            break;
        case 't':
            result += '\t';
            break;
        case 'n':
            result += '\n';
            break;
        case 'f':
            result += '\f';
            break;
        case 'r':
            result += '\r';
            break;
        case '"':
            result += '"';
            break;
        case '\\':
            result += '\\';
            break;
        case 'u':
        case 'U': {
            const std::size_t digits = escape == 'u' ? 4 : 8;
            const auto code = hex_code(text, at, digits);
            if (!code) return std::nullopt;
            append_utf8(result, *code);
            at += digits;
            break;
        }
        default:
            return std::nullopt;
        }
    }
    return std::nullopt;
}

std::string quoted_component(std::string_view component) {
    constexpr char hex[] = "0123456789ABCDEF";
    std::string result = "\"";
    for (const char c : component) {
        const auto byte = static_cast<unsigned char>(c);
        switch (c) {
        case '\b':
            result += "\\b";
            break;
        case '\t':
            result += "\\t";
            break;
        case '\n':
            result += "\\n";
            break;
        case '\f':
            result += "\\f";
            break;
        case '\r':
            result += "\\r";
            break;
        case '"':
            result += "\\\"";
            break;
        case '\\':
            result += "\\\\";
            break;
        default:
            if (byte < 0x20 || byte == 0x7F) {
                result += "\\u00";
                result += hex[byte >> 4];
                result += hex[byte & 0xF];
            } else {
                result += c;
            }
        }
    }
    return result + '"';
}

} // namespace

std::string to_string(const KeyPath& path) {
    std::string result;
    bool first = true;
    for (const auto& component : path) {
        if (!first) result += '.';
        first = false;
        bool bare = !component.empty();
        for (const char c : component) bare = bare && is_bare(c);
        result += bare ? component : quoted_component(component);
    }
    return result;
}

KeyPath parse_key_path(std::string_view text) {
    KeyPath path;
    std::size_t at = 0;
    const auto skip_blanks = [&] {
        while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    };
    while (true) {
        skip_blanks();
        if (at == text.size()) return {};
        if (text[at] == '"') {
            auto component = basic_string(text, ++at);
            if (!component) return {};
            path.push_back(std::move(*component));
        } else if (text[at] == '\'') {
            const auto end = text.find('\'', at + 1);
            if (end == std::string_view::npos) return {};
            const auto component = text.substr(at + 1, end - at - 1);
            for (const char c : component) {
                if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) return {};
            }
            path.emplace_back(component);
            at = end + 1;
        } else {
            const std::size_t begin = at;
            while (at < text.size() && is_bare(text[at])) ++at;
            if (at == begin) return {};
            path.emplace_back(text.substr(begin, at - begin));
        }
        skip_blanks();
        if (at == text.size()) return path;
        if (text[at++] != '.') return {};
    }
}

} // namespace dbx::edit
