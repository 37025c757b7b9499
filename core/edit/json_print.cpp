#include "core/edit/json_print.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

// A longer array of scalars gets a line per element.
constexpr std::size_t short_array = 80;

// The parts between brackets, as one line or as lines.
std::string bracketed(char open, char close, const std::vector<std::string>& parts, const JsonStyle& style,
                      JsonLayout layout, const std::string& indent) {
    if (parts.empty()) return {open, close};
    std::string result(1, open);
    const std::string pad = open == '{' ? style.pad : std::string();
    bool first = true;
    for (const auto& part : parts) {
        if (!first) result += ',';
        if (layout == JsonLayout::lines) {
            result += style.eol + indent + style.unit;
        } else {
            result += first ? pad : style.gap;
        }
        first = false;
        result += part;
    }
    result += layout == JsonLayout::lines ? style.eol + indent : pad;
    return result + close;
}

} // namespace

std::string json_quoted(std::string_view text) {
    constexpr char hex[] = "0123456789abcdef";
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        switch (c) {
        case '"':
            result += "\\\"";
            break;
        case '\\':
            result += "\\\\";
            break;
        case '\b':
            result += "\\b";
            break;
        case '\f':
            result += "\\f";
            break;
        case '\n':
            result += "\\n";
            break;
        case '\r':
            result += "\\r";
            break;
        case '\t':
            result += "\\t";
            break;
        default:
            if (byte < 0x20) {
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

std::string print_json(const Value& value, const JsonStyle& style, JsonLayout layout,
                       const std::string& indent, std::optional<JsonLayout> array_layout) {
    const std::string inner = layout == JsonLayout::lines ? indent + style.unit : indent;
    if (value.is_object()) {
        std::vector<std::string> parts;
        for (const auto& [key, member] : value.items())
            parts.push_back(json_quoted(key) + style.colon + print_json(member, style, layout, inner));
        return bracketed('{', '}', parts, style, layout, indent);
    }
    if (value.is_array()) {
        const bool scalars = std::none_of(value.begin(), value.end(),
                                          [](const Value& element) { return element.is_structured(); });
        std::vector<std::string> parts;
        std::size_t length = 0;
        for (const auto& element : value) {
            parts.push_back(print_json(element, style, layout, inner));
            length += parts.back().size() + 2;
        }
        const bool one_line = layout == JsonLayout::one_line || (scalars && length <= short_array);
        return bracketed('[', ']', parts, style,
                         array_layout.value_or(one_line ? JsonLayout::one_line : JsonLayout::lines), indent);
    }
    if (value.is_string()) return json_quoted(value.get_ref<const std::string&>());
    return value.dump();
}

std::string print_member(const NewMember& member, const JsonStyle& style, JsonLayout layout,
                         const std::string& indent) {
    std::string result = json_quoted(member.key) + style.colon;
    if (member.raw) return result + *member.raw;
    if (member.value) return result + print_json(*member.value, style, layout, indent);
    std::vector<std::string> parts;
    const std::string inner = layout == JsonLayout::lines ? indent + style.unit : indent;
    for (const auto& part : member.members) parts.push_back(print_member(part, style, layout, inner));
    return result + bracketed('{', '}', parts, style, layout, indent);
}

} // namespace dbx::edit
