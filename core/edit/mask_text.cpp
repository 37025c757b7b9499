#include "core/edit/mask_text.hpp"

#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <algorithm>
#include <array>

namespace dbx::edit {

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_alnum(char c) {
    return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z');
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}
bool is_token(char c) {
    return is_alnum(c) || c == '_' || c == '-';
}
bool is_name(char c) {
    return is_token(c) || c == '.';
}
bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
bool is_quote(char c) {
    return c == '"' || c == '\'' || c == '`';
}
bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

template <class Predicate>
std::size_t run_length(std::string_view text, Predicate predicate) {
    return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), predicate) - text.begin());
}

template <class Predicate>
bool any(std::string_view text, Predicate predicate) {
    return std::any_of(text.begin(), text.end(), predicate);
}

// How tokens of well-known services (and our local keys: dbxl_) begin, and how many characters have to follow
// at least.
struct Shape {
    std::string_view prefix;
    std::size_t at_least = 0;
};
constexpr std::array shapes = {
    Shape{"sk-ant-", 4}, Shape{"sk-", 8},   Shape{"ghp_", 8},   Shape{"gho_", 8},        Shape{"ghu_", 8},
    Shape{"ghs_", 8},    Shape{"ghr_", 8},  Shape{"glpat-", 8}, Shape{"AIza", 8},        Shape{"xoxb-", 8},
    Shape{"xoxp-", 8},   Shape{"xoxa-", 8}, Shape{"xoxr-", 8},  Shape{"xoxs-", 8},       Shape{"ya29.", 10},
    Shape{"hf_", 20},    Shape{"AKIA", 12}, Shape{"ASIA", 12},  Shape{"github_pat_", 8}, Shape{"dbxl_", 16}};

struct Token {
    std::size_t length = 0; // 0: none
    std::string_view prefix = {};
};

// The token of a known shape that `text` begins with.
Token known_token(std::string_view text) {
    if (text.empty() || std::string_view("deghsxyhAa").find(text[0]) == std::string_view::npos) return {};
    for (const auto& shape : shapes) {
        if (text.substr(0, shape.prefix.size()) != shape.prefix) continue;
        const bool aws = shape.prefix == "AKIA" || shape.prefix == "ASIA";
        const auto rest = run_length(text.substr(shape.prefix.size()),
                                     [&](char c) { return aws ? is_upper(c) || is_digit(c) : is_token(c); });
        if (rest >= shape.at_least) return {shape.prefix.size() + rest, shape.prefix};
    }
    if (text.substr(0, 4) == "dapi") {
        // Databricks: 32 hexadecimal digits and perhaps "-2"; stand-ins such as dapi-fake-token as well, but
        // not words such as "dapibus".
        const auto rest = text.substr(4, run_length(text.substr(4), is_token));
        if (rest.size() >= 4 &&
            (rest[0] == '-' || rest.size() >= 16 || any(rest, is_digit) || any(rest, is_upper)))
            return {4 + rest.size(), "dapi"};
    }
    for (const std::string_view prefix : {"dkea", "dose"}) { // Databricks: keys and OAuth secrets
        if (text.substr(0, 4) != prefix) continue;
        if (run_length(text.substr(4), is_hex) >= 16)
            return {4 + run_length(text.substr(4), is_token), prefix};
    }
    if (text.substr(0, 3) == "eyJ") { // the begin of every JSON Web Token
        auto length = run_length(text, is_name);
        while (text[length - 1] == '.') --length;
        if (length >= 8) return {length, "eyJ"};
    }
    return {};
}

std::string shown(std::string_view prefix) {
    return std::string(prefix) + std::string(masked);
}

// The length of "Bearer " and the like at the begin; 0: none.
std::size_t scheme_length(std::string_view text) {
    for (const std::string_view scheme : {"bearer", "basic", "digest", "token", "apikey", "negotiate"}) {
        if (!iequals(text.substr(0, scheme.size()), scheme)) continue;
        const auto blanks = run_length(text.substr(scheme.size()), is_blank);
        if (blanks > 0) return scheme.size() + blanks;
        if (text.substr(scheme.size(), 3) == "%20") return scheme.size() + 3;
    }
    return 0;
}

// "****", "dapi****", "Bearer ****": the work of an earlier round.
bool is_masked(std::string_view value) {
    value.remove_prefix(scheme_length(value));
    if (value.size() < masked.size() || value.substr(value.size() - masked.size()) != masked) return false;
    value.remove_suffix(masked.size());
    if (value.empty() || value == "dapi" || value == "dkea" || value == "dose" || value == "eyJ") return true;
    return std::any_of(shapes.begin(), shapes.end(),
                       [&](const Shape& shape) { return shape.prefix == value; });
}

// What people write behind the word "bearer" without meaning a token.
bool is_prose(std::string_view word) {
    constexpr std::string_view words[] = {"token",
                                          "tokens",
                                          "auth",
                                          "authentication",
                                          "authorization",
                                          "credential",
                                          "credentials",
                                          "scheme",
                                          "or",
                                          "and",
                                          "is",
                                          "was",
                                          "not",
                                          "in",
                                          "for",
                                          "to",
                                          "with",
                                          "header",
                                          "headers",
                                          "prefix",
                                          "challenge",
                                          "realm",
                                          "of",
                                          "from",
                                          "key",
                                          "keys",
                                          "value",
                                          "method",
                                          "format",
                                          "type",
                                          "error"};
    while (!word.empty() && !is_alnum(word.back())) word.remove_suffix(1);
    return std::any_of(std::begin(words), std::end(words),
                       [&](std::string_view other) { return iequals(word, other); });
}

class Finder {
  public:
    Finder(std::string_view text, std::size_t begin, std::size_t end)
        : text_(text.substr(0, end))
        , begin_(begin) {}

    std::vector<MaskRange> run() {
        find_tokens();
        find_names();
        return std::move(ranges_);
    }

  private:
    char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

    void add(std::size_t begin, std::size_t end, std::string reads) {
        if (begin < end) ranges_.push_back({begin, end, std::move(reads)});
    }

    // A value as a whole.
    void add_value(std::size_t begin, std::size_t end) {
        const auto value = text_.substr(begin, end - begin);
        if (!is_never_secret(value) && !is_masked(value) &&
            any(value, [](char c) { return is_alnum(c) || (c & 0x80) != 0; }))
            add(begin, end, masked_whole(value));
    }

    std::size_t skip_blanks(std::size_t at) const {
        while (at < text_.size() && is_blank(text_[at])) ++at;
        return at;
    }

    // Whether a token can begin here: also behind an escape such as \n, \u0022 or %20.
    bool token_can_begin(std::size_t at) const {
        if (at == 0 || !is_alnum(text_[at - 1])) return true;
        if (at >= 2 && text_[at - 2] == '\\') return true;
        if (at >= 3 && text_[at - 3] == '%') return true;
        return at >= 6 && text_[at - 6] == '\\' && text_[at - 5] == 'u';
    }

    void find_tokens() {
        for (std::size_t at = begin_; at < text_.size();) {
            const char c = text_[at];
            if (c == ':' && text_.substr(at, 3) == "://") {
                at = url_password(at + 3);
                continue;
            }
            if (!is_alnum(c) || !token_can_begin(at)) {
                // A whole Databricks token can be no part of a word.
                const bool whole = c == 'd' && text_.substr(at, 4) == "dapi" &&
                                   run_length(text_.substr(at + 4, 32), is_hex) == 32;
                if (whole) add(at, at + 36, shown("dapi"));
                at += whole ? 36 : 1;
                continue;
            }
            const auto token = known_token(text_.substr(at));
            if (token.length != 0) {
                add(at, at + token.length, shown(token.prefix));
                at += token.length;
            } else if ((c == 'B' || c == 'b') && iequals(text_.substr(at, 6), "bearer")) {
                at = bearer(at);
            } else {
                ++at;
            }
        }
    }

    std::size_t bearer(std::size_t at) {
        const std::size_t value = at + scheme_length(text_.substr(at));
        if (value == at) return at + 6;
        const std::size_t length = run_length(text_.substr(value), [](char c) {
            return !is_blank(c) && !is_line_end(c) && !is_quote(c) && c != '\\' && c != ',' && c != ';' &&
                   c != '<' && c != '>' && c != ')' && c != '}' && c != ']';
        });
        const auto word = text_.substr(value, length);
        if (is_prose(word.substr(0, word.find('=')))) return value;
        add_value(value, value + length);
        return value + length;
    }

    // user:password@host
    std::size_t url_password(std::size_t at) {
        const std::size_t length = run_length(text_.substr(at), [](char c) {
            return !is_blank(c) && !is_line_end(c) && !is_quote(c) && c != '/' && c != '?' && c != '#' &&
                   c != '\\' && c != ',';
        });
        const auto authority = text_.substr(at, length);
        const auto host = authority.rfind('@');
        const auto colon = authority.find(':');
        if (host == std::string_view::npos || colon == std::string_view::npos || colon > host) return at;
        if (colon + 1 < host) add(at + colon + 1, at + host, std::string(masked));
        return at + host;
    }

    void find_names() {
        for (std::size_t at = begin_; at < text_.size();) {
            if (!is_name(text_[at])) {
                ++at;
                continue;
            }
            const std::size_t end = at + run_length(text_.substr(at), is_name);
            const auto name = text_.substr(at, end - at);
            at = is_secret_name(name) ? std::max(value_of(at, end), end) : end;
        }
    }

    // A quote with the backslashes before it, as in JSON inside a string; empty: none.
    std::string_view quote_at(std::size_t at) const {
        constexpr std::size_t most_backslashes = 16;
        std::size_t end = at;
        while (peek(end) == '\\' && end - at < most_backslashes) ++end;
        return is_quote(peek(end)) ? text_.substr(at, end + 1 - at) : std::string_view{};
    }

    // What follows the secret name text[begin, end); returns where to go on.
    std::size_t value_of(std::size_t begin, std::size_t end) {
        const auto close = quote_at(end);
        std::size_t at = skip_blanks(end + close.size());
        const bool flag = text_[begin] == '-';
        if (peek(at) == '=') {
            ++at;
            if (peek(at) == '=' || peek(at) == '>') ++at;
        } else if (peek(at) == ':') {
            ++at;
            if (peek(at) == ':' || text_.substr(at, 2) == "//") return at;
            if (peek(at) == '=') ++at;
            if (is_source_position(begin, end, at)) return at;
        } else if (flag && !close.empty() && peek(at) == ',') {
            // ["--api-key", "x"]
            at = skip_blanks(at + 1);
            return quote_at(at).empty() ? at : quoted(at);
        } else if (flag && close.empty() && at > end) {
            return flag_value(at);
        } else {
            return end;
        }
        at = skip_blanks(at);
        if (at >= text_.size() || is_line_end(text_[at]) || text_[at] == '#' || text_[at] == '{') return at;
        if (text_.substr(at, 2) == "//" || text_.substr(at, 2) == "/*") return at;
        if (text_[at] == '[' || text_[at] == '(') return list(at + 1);
        if (!quote_at(at).empty()) return quoted(at);
        return bare(begin, at, close.empty());
    }

    // "monkey.cpp:12:"
    bool is_source_position(std::size_t begin, std::size_t end, std::size_t at) const {
        const std::size_t digits = run_length(text_.substr(at), is_digit);
        if (digits == 0 || digits > 6 || text_.substr(begin, end - begin).find('.') == std::string_view::npos)
            return false;
        const char next = peek(at + digits);
        return next == ':' || next == '\0' || is_blank(next) || is_line_end(next);
    }

    std::size_t quoted(std::size_t at) {
        std::string_view open = quote_at(at);
        if (open.size() == 1 && text_.substr(at, 3) == std::string(3, open[0])) open = text_.substr(at, 3);
        const std::size_t begin = at + open.size();
        std::size_t end = begin;
        while (end < text_.size() && !is_line_end(text_[end])) {
            if (text_.substr(end, open.size()) == open) {
                add_value(begin, end);
                return end + open.size();
            }
            end += open[0] != '\\' && text_[end] == '\\' && !is_line_end(peek(end + 1)) ? 2 : 1;
        }
        end = std::min(end, text_.size());
        add_value(begin, end);
        return end;
    }

    // Behind an opening bracket: its strings and words.
    std::size_t list(std::size_t at) {
        while (true) {
            at = skip_blanks(at);
            if (peek(at) == ',') {
                ++at;
            } else if (!quote_at(at).empty()) {
                at = quoted(at);
            } else if (is_token(peek(at))) {
                const std::size_t end =
                    at + run_length(text_.substr(at), [](char c) {
                        return !is_blank(c) && !is_line_end(c) && c != ',' && c != ']' && c != ')';
                    });
                add_value(at, end);
                at = end;
            } else {
                return at;
            }
        }
    }

    // "--token x" in prose may be "--token to ...": only what does not look like a word.
    std::size_t flag_value(std::size_t at) {
        const std::size_t length = run_length(
            text_.substr(at), [](char c) { return !is_blank(c) && !is_line_end(c) && !is_quote(c); });
        const auto word = text_.substr(at, length);
        if (word.empty() || word[0] == '-') return at;
        if (any(word, is_digit) || any(word.substr(1), is_upper) || word.size() >= 16)
            add_value(at, at + length);
        return at + length;
    }

    // Whether "name=" or "name:" comes next: another entry of a list.
    bool entry_at(std::size_t at) const {
        at = skip_blanks(at);
        at += quote_at(at).size();
        const std::size_t length = run_length(text_.substr(at), is_name);
        if (!any(text_.substr(at, length), is_alnum)) return false;
        const std::size_t after = skip_blanks(at + length + quote_at(at + length).size());
        return peek(after) == '=' || (peek(after) == ':' && text_.substr(after, 3) != "://");
    }

    // Whether the name at `at` is the first word of its line, as in a configuration file or a commented-out
    // line of one.
    bool leads_line(std::size_t at) const {
        std::size_t line = at;
        while (line > 0 && at - line < 40 && !is_line_end(text_[line - 1])) --line;
        if (line > 0 && !is_line_end(text_[line - 1])) return false;
        auto before = text_.substr(line, at - line);
        while (!before.empty() && !is_alnum(before.front())) before.remove_prefix(1);
        while (!before.empty() && !is_alnum(before.back())) before.remove_suffix(1);
        return before.empty() || before == "export";
    }

    // A value without quotes. It ends where the quotes around name and value end ('x-api-key: a b'); on a
    // line of its own it may have blanks; within a sentence it ends at one.
    std::size_t bare(std::size_t name, std::size_t at, bool open_name) {
        const char around = open_name && name > 0 && is_quote(text_[name - 1]) ? text_[name - 1] : '\0';
        const bool blanks = around != '\0' || leads_line(name);
        std::size_t end = at + scheme_length(text_.substr(at));
        for (; end < text_.size() && !is_line_end(text_[end]); ++end) {
            const char c = text_[end];
            const char next = peek(end + 1);
            const bool last = next == '\0' || is_blank(next) || is_line_end(next);
            if (c == '\\' && (next == 'n' || next == 'r' || is_quote(next))) break;
            if (c == '*' && next == '/') break;
            if (is_quote(c) && (around == '\0' ? !blanks : c == around)) break;
            if ((c == ',' || c == ';' || c == '&') && (entry_at(end + 1) || (!blanks && last))) break;
            if (is_blank(c)) {
                const std::size_t after = skip_blanks(end);
                if (!blanks || peek(after) == '#' || entry_at(after)) break;
                end = after - 1;
            }
            if (!blanks && (c == ')' || c == ']' || c == '}' || c == '>') && !is_alnum(next)) break;
        }
        std::size_t value_end = end;
        while (value_end > at && is_blank(text_[value_end - 1])) --value_end;
        add_value(at, value_end);
        return end;
    }

    std::string_view text_;
    std::size_t begin_;
    std::vector<MaskRange> ranges_;
};

} // namespace

bool is_never_secret(std::string_view value) {
    return value == "true" || value == "false" || value == "null";
}

std::string masked_whole(std::string_view value) {
    const auto scheme = scheme_length(value);
    const auto rest = value.substr(scheme);
    return std::string(value.substr(0, scheme)) + shown(known_token(rest).prefix);
}

std::vector<MaskRange> find_secrets(std::string_view text, std::size_t begin, std::size_t end) {
    return Finder(text, begin, end).run();
}

std::string with_masks(std::string_view text, std::vector<MaskRange> ranges) {
    std::sort(ranges.begin(), ranges.end(), [](const MaskRange& a, const MaskRange& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
    });
    std::string result;
    std::size_t at = 0;
    for (const auto& range : ranges) {
        if (range.end <= at) continue; // inside another one
        if (range.begin >= at) {
            result += text.substr(at, range.begin - at);
            result += range.shown;
            at = range.begin;
        }
        for (; at < range.end; ++at) {
            if (text[at] == '\n' || (text[at] == '\r' && text.substr(at, 2) == "\r\n")) result += text[at];
        }
    }
    return result += text.substr(at);
}

} // namespace dbx::edit
