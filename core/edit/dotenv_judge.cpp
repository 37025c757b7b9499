#include "core/edit/dotenv_scan.hpp"
#include "core/edit/unicode.hpp"

#include <algorithm>
#include <optional>

namespace dbx::edit {

namespace {

// This file follows the expression of dotenv 17.1.0 part by part, on characters:
//   (?:^|^)\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)
//   (\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)      flags m and
//   g
using Text = std::u32string;
using View = std::u32string_view;
constexpr auto none = View::npos;

// Decoded, and with \r\n? replaced by \n as dotenv does first.
Text characters(std::string_view text) {
    Text result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        char32_t code = length == 1 ? lead : lead & (0x7FU >> length);
        for (std::size_t k = 1; k < length && i + k < text.size(); ++k)
            code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
        i += length;
        if (code == U'\n' && !result.empty() && i >= 2 && text[i - 2] == '\r') continue;
        result += code == U'\r' ? U'\n' : code;
    }
    return result;
}

bool terminator(char32_t c) {
    return c == U'\n' || c == U'\r' || c == 0x2028 || c == 0x2029;
}

bool white(char32_t c) {
    return (c >= 9 && c <= 13) || c == 32 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

bool word(char32_t c) {
    return (c >= U'0' && c <= U'9') || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z') || c == U'_' ||
           c == U'.' || c == U'-';
}

bool line_begins(View text, std::size_t at) {
    return at == 0 || terminator(text[at - 1]);
}
bool line_ends(View text, std::size_t at) {
    return at == text.size() || terminator(text[at]);
}

std::size_t whites(View text, std::size_t at) {
    while (at < text.size() && white(text[at])) ++at;
    return at;
}

// \s*(?:#.*)?$ from `at`: where the match ends.
std::optional<std::size_t> tail(View text, std::size_t at) {
    for (std::size_t end = whites(text, at);; --end) {
        if (end < text.size() && text[end] == U'#') {
            std::size_t comment = end;
            while (!line_ends(text, comment)) ++comment;
            return comment;
        }
        if (line_ends(text, end)) return end;
        if (end == at) return std::nullopt;
    }
}

struct Match {
    std::size_t key = 0, key_end = 0, value = 0, value_end = 0, end = 0;
};

// \s*Q(?:\\Q|[^Q])*Q and the tail: the body as long as it gets, then shorter and shorter.
bool quoted(View text, std::size_t at, char32_t quote, Match& match) {
    const std::size_t open = whites(text, at);
    if (open == text.size() || text[open] != quote) return false;
    std::vector<bool> pairs; // what each step of the body took: \Q or one character
    std::size_t body = open + 1;
    while (body < text.size()) {
        const bool pair = text[body] == U'\\' && body + 1 < text.size() && text[body + 1] == quote;
        if (!pair && text[body] == quote) break;
        pairs.push_back(pair);
        body += pair ? 2 : 1;
    }
    const auto closes = [&](std::size_t close) {
        if (close >= text.size() || text[close] != quote) return false;
        const auto end = tail(text, close + 1);
        if (!end) return false;
        match.value = at;
        match.value_end = close + 1;
        match.end = *end;
        return true;
    };
    if (closes(body)) return true;
    while (!pairs.empty()) {
        body -= pairs.back() ? 2 : 1;
        // The other way to take a pair: the backslash alone, and the quote closes.
        if (pairs.back() && closes(body + 1)) return true;
        pairs.pop_back();
    }
    return false;
}

bool value_matches(View text, std::size_t at, Match& match) {
    for (const char32_t quote : {U'\'', U'"', U'`'}) {
        if (quoted(text, at, quote, match)) return true;
    }
    std::size_t end = at;
    while (end < text.size() && text[end] != U'#' && text[end] != U'\n') ++end;
    // Behind these characters is always a comment or the end of the line.
    match.value = at;
    match.value_end = end;
    const auto rest = tail(text, end);
    match.end = rest.value_or(end);
    return rest.has_value();
}

bool key_matches(View text, std::size_t at, Match& match) {
    match.key = at;
    while (at < text.size() && word(text[at])) ++at;
    match.key_end = at;
    if (at == match.key) return false;
    const std::size_t sign = whites(text, at);
    if (sign < text.size() && text[sign] == U'=' && value_matches(text, sign + 1, match)) return true;
    return at + 1 < text.size() && text[at] == U':' && white(text[at + 1]) &&
           value_matches(text, at + 2, match);
}

bool line_matches(View text, std::size_t at, Match& match) {
    at = whites(text, at);
    constexpr View word_export = U"export";
    if (text.substr(at, word_export.size()) == word_export) {
        const std::size_t after = whites(text, at + word_export.size());
        if (after != at + word_export.size() && key_matches(text, after, match)) return true;
    }
    return key_matches(text, at, match);
}

// value.trim().replace(/^(['"`])([\s\S]*)\1$/mg, '$2') and the expansion of \n and \r.
Text clean(View value) {
    while (!value.empty() && white(value.front())) value.remove_prefix(1);
    while (!value.empty() && white(value.back())) value.remove_suffix(1);
    if (value.empty()) return {};
    Text stripped;
    bool unmatched[128] = {}; // quotes without a closing one from here on
    for (std::size_t at = 0; at < value.size();) {
        const char32_t c = value[at];
        std::size_t close = none;
        if (line_begins(value, at) && (c == U'\'' || c == U'"' || c == U'`') && !unmatched[c]) {
            for (close = value.size() - 1; close > at; --close) {
                if (value[close] == c && line_ends(value, close + 1)) break;
            }
            if (close == at) {
                close = none;
                unmatched[c] = true;
            }
        }
        if (close == none) {
            stripped += value[at++];
        } else {
            stripped += value.substr(at + 1, close - at - 1);
            at = close + 1;
        }
    }
    if (value.front() != U'"') return stripped;
    for (const auto& [escape, meaning] : {std::pair{U'n', U'\n'}, std::pair{U'r', U'\r'}}) {
        Text expanded;
        for (std::size_t at = 0; at < stripped.size(); ++at) {
            if (stripped[at] == U'\\' && at + 1 < stripped.size() && stripped[at + 1] == escape) {
                expanded += meaning;
                ++at;
            } else {
                expanded += stripped[at];
            }
        }
        stripped = std::move(expanded);
    }
    return stripped;
}

std::string bytes(View text) {
    std::string result;
    for (const char32_t code : text) append_utf8(result, code);
    return result;
}

} // namespace

std::vector<std::pair<std::string, std::string>> evaluate_dotenv(std::string_view source) {
    const Text text = characters(source);
    std::vector<std::pair<std::string, std::string>> result;
    for (std::size_t at = 0; at < text.size();) {
        Match match;
        if (line_begins(text, at) && line_matches(text, at, match)) {
            result.emplace_back(bytes(View(text).substr(match.key, match.key_end - match.key)),
                                bytes(clean(View(text).substr(match.value, match.value_end - match.value))));
            at = match.end;
            continue;
        }
        // Every line start within white space leads to the same place and fails the same way.
        at = line_begins(text, at) ? std::max(whites(text, at), at + 1) : at + 1;
    }
    return result;
}

} // namespace dbx::edit
