#include "core/edit/toml_write.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

namespace dbx::edit {

namespace {

// Characters that are not to be seen in an editor, or that a parser may take for a line end: U+0080 to
// U+009F, U+2028, U+2029, U+FEFF. Returns their length in bytes.
std::size_t invisible_at(std::string_view text, std::size_t at) {
    const auto rest = text.substr(at);
    if (rest[0] == '\xC2' && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xA0) return 2;
    const auto three = rest.substr(0, 3);
    return three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9" || three == "\xEF\xBB\xBF" ? 3 : 0;
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

std::string unicode_escape(std::uint32_t code) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[(code >> static_cast<unsigned>(shift)) & 0xF];
    return out;
}

bool fits_literal(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\'' || is_control(text[i]) || invisible_at(text, i) != 0) return false;
    return true;
}

std::string basic_string(std::string_view text) {
    std::string out = "\"";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (const auto length = invisible_at(text, i); length == 2) {
            out += unicode_escape(static_cast<unsigned char>(text[++i]));
            continue;
        } else if (length == 3) {
            out += unicode_escape(c == '\xEF' ? 0xFEFF : text[i + 2] == '\xA8' ? 0x2028 : 0x2029);
            i += 2;
            continue;
        }
        switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\b':
            out += "\\b";
            break;
        case '\t':
            out += "\\t";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\f':
            out += "\\f";
            break;
        case '\r':
            out += "\\r";
            break;
        default:
            if (is_control(c))
                out += unicode_escape(static_cast<unsigned char>(c));
            else
                out += c;
        }
    }
    return out + '"';
}

std::string float_spelling(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
    std::array<char, 40> buffer{};
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
    std::string out(buffer.data(), result.ptr);
    if (out.find_first_of(".e") == std::string::npos) out += ".0";
    return out;
}

tl::unexpected<Error> can_not_write(std::string why) {
    return fail(ErrorKind::file, "a value can not be written as TOML", std::move(why));
}

Result<void> write(const Value& value, const TomlSpelling& spelling, std::size_t depth, std::string& out) {
    if (depth > 100) return can_not_write("it is nested deeper than 100 levels");
    switch (value.type()) {
    case Value::value_t::string: {
        const auto& text = value.get_ref<const std::string&>();
        if (!is_utf8(text)) return can_not_write("a string is not valid UTF-8");
        out += write_toml_string(text, spelling.quote);
        return {};
    }
    case Value::value_t::boolean:
        out += value.get<bool>() ? "true" : "false";
        return {};
    case Value::value_t::number_integer:
        out += std::to_string(value.get<std::int64_t>());
        return {};
    case Value::value_t::number_unsigned:
        if (value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return can_not_write("the integer " + std::to_string(value.get<std::uint64_t>()) +
                                 " is too large");
        out += std::to_string(value.get<std::uint64_t>());
        return {};
    case Value::value_t::number_float:
        out += float_spelling(value.get<double>());
        return {};
    case Value::value_t::array: {
        out += '[';
        bool first = true;
        for (const auto& element : value) {
            if (!first) out += ", ";
            first = false;
            if (auto done = write(element, spelling, depth + 1, out); !done) return done;
        }
        out += ']';
        return {};
    }
    case Value::value_t::object: {
        if (value.empty()) {
            out += "{}";
            return {};
        }
        out += "{ ";
        bool first = true;
        for (const auto& [name, member] : value.items()) {
            if (!first) out += ", ";
            first = false;
            if (!is_utf8(name)) return can_not_write("a key is not valid UTF-8");
            out +=
                write_toml_key(name, spelling.quote) + spelling.before_equals + '=' + spelling.behind_equals;
            if (auto done = write(member, spelling, depth + 1, out); !done) return done;
        }
        out += " }";
        return {};
    }
    default:
        return can_not_write("TOML has no null");
    }
}

} // namespace

std::string write_toml_string(std::string_view text, TomlQuote quote) {
    if (quote == TomlQuote::literal && fits_literal(text)) return "'" + std::string(text) + "'";
    return basic_string(text);
}

std::string write_toml_key(std::string_view name, TomlQuote quote) {
    const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
    return bare ? std::string(name) : write_toml_string(name, quote);
}

Result<std::string> write_toml_value(const Value& value, const TomlSpelling& spelling) {
    std::string out;
    if (auto done = write(value, spelling, 0, out); !done) return tl::unexpected(done.error());
    return out;
}

} // namespace dbx::edit
