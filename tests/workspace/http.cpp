#include "tests/workspace/http.hpp"

#include "core/base/strings.hpp"

namespace dbx::standin {

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

} // namespace

const std::string* find_header(const Headers& headers, std::string_view name) {
    for (const auto& [key, value] : headers)
        if (iequals(key, name)) return &value;
    return nullptr;
}

std::string percent_decode(std::string_view text, Plus plus) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
            hex_value(text[i + 2]) >= 0) {
            out.push_back(static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
            i += 2;
        } else if (text[i] == '+' && plus == Plus::blank) {
            out.push_back(' ');
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

Headers parse_form(std::string_view text) {
    Headers out;
    if (text.empty()) return out;
    for (const std::string& pair : split(text, '&')) {
        if (pair.empty()) continue;
        const auto equals = pair.find('=');
        const std::string_view all = pair;
        out.emplace_back(percent_decode(all.substr(0, equals), Plus::blank),
                         equals == std::string::npos ? std::string()
                                                     : percent_decode(all.substr(equals + 1), Plus::blank));
    }
    return out;
}

std::string Request::header(std::string_view name) const {
    const std::string* value = find_header(headers, name);
    return value ? *value : std::string();
}

std::optional<std::string> Request::param(std::string_view name) const {
    for (auto& [key, value] : parse_form(query))
        if (key == name) return value;
    return std::nullopt;
}

} // namespace dbx::standin
