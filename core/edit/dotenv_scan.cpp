#include "core/edit/dotenv_scan.hpp"

#include "core/base/strings.hpp"
#include "core/edit/position.hpp"

#include <algorithm>

namespace dbx::edit {

namespace {

bool is_key_char(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

// Bytes of the white space (JavaScript's \s) at `at`, CR LF counting as one; 0: none.
std::size_t space_at(std::string_view text, std::size_t at) {
    if (at >= text.size()) return 0;
    const char c = text[at];
    if (c == '\r') return text.substr(at, 2) == "\r\n" ? 2 : 1;
    if (c == ' ' || (c >= '\t' && c <= '\f')) return 1;
    if (static_cast<unsigned char>(c) < 0x80) return 0;
    if (text.substr(at, 2) == "\xC2\xA0") return 2; // U+00A0
    const auto three = text.substr(at, 3);
    if (three == "\xE1\x9A\x80" || three == byte_order_mark || three == "\xE2\x80\xA8" ||
        three == "\xE2\x80\xA9" || three == "\xE2\x80\xAF" || three == "\xE2\x81\x9F" ||
        three == "\xE3\x80\x80")
        return 3; // U+1680, U+FEFF, U+2028, U+2029, U+202F, U+205F, U+3000
    if (three.size() == 3 && three.substr(0, 2) == "\xE2\x80" &&
        static_cast<unsigned char>(three[2]) >= 0x80 && static_cast<unsigned char>(three[2]) <= 0x8A)
        return 3; // U+2000 to U+200A
    return 0;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
    while (const auto length = space_at(text, at)) at += length;
    return at;
}

// White space that does not end the line.
std::size_t skip_blanks(std::string_view text, std::size_t at) {
    while (const auto length = space_at(text, at)) {
        if (dotenv_line_end(text, at) != 0) break;
        at += length;
    }
    return at;
}

std::size_t find_line_end(std::string_view text, std::size_t at) {
    while (at < text.size() && dotenv_line_end(text, at) == 0) ++at;
    return at;
}

// The blanks, line ends included, around text[begin, end) taken off.
void trim_spaces(std::string_view text, std::size_t& begin, std::size_t& end) {
    begin = std::min(skip_space(text.substr(0, end), begin), end);
    std::size_t last = begin;
    for (std::size_t at = begin; at < end;) {
        const auto space = space_at(text.substr(0, end), at);
        at += space == 0 ? 1 : space;
        if (space == 0) last = at;
    }
    end = last;
}

// What dotenv makes of the trimmed spelling: one pair of quotes taken off at line borders, \n and \r expanded
// when the first character is a double quote.
std::string decoded(std::string_view spelling) {
    std::string text = replace_all(std::string(spelling), "\r\n", "\n");
    std::replace(text.begin(), text.end(), '\r', '\n');
    if (text.empty()) return text;
    const bool expand = text[0] == '"';
    constexpr std::string_view quotes = "'\"`";
    std::size_t last_close[3] = {0, 0, 0}; // of each quote, before a line end
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto kind = quotes.find(text[at]);
        if (kind != std::string_view::npos && (at + 1 == text.size() || dotenv_line_end(text, at + 1) != 0))
            last_close[kind] = at;
    }
    std::string bare;
    bare.reserve(text.size());
    for (std::size_t at = 0, line = 0; at < text.size();) {
        const auto kind = at == line ? quotes.find(text[at]) : std::string_view::npos;
        if (kind != std::string_view::npos && last_close[kind] > at) {
            bare += text.substr(at + 1, last_close[kind] - at - 1);
            at = last_close[kind] + 1;
            continue;
        }
        const auto line_end = dotenv_line_end(text, at);
        const std::size_t length = std::max<std::size_t>(line_end, 1);
        bare += text.substr(at, length);
        at += length;
        if (line_end != 0) line = at;
    }
    if (!expand) return bare;
    return replace_all(replace_all(std::move(bare), "\\n", "\n"), "\\r", "\r");
}

class Scanner {
  public:
    explicit Scanner(std::string_view text)
        : text_(text) {}

    std::vector<DotenvEntry> run() {
        std::vector<DotenvEntry> result;
        for (std::size_t at = 0; at < text_.size();) {
            const std::size_t begin = skip_space(text_, at);
            DotenvEntry entry;
            std::size_t end = begin;
            if (assignment(begin, entry)) {
                end = entry.end;
                entry.begin = line_begin(begin, at);
                result.push_back(std::move(entry));
            }
            at = find_line_end(text_, end);
            at += dotenv_line_end(text_, at);
        }
        return result;
    }

  private:
    // The begin of the line of text_[at]; only blanks are between, and `from` is the begin of a line.
    std::size_t line_begin(std::size_t at, std::size_t from) const {
        std::size_t result = from;
        for (std::size_t i = from; i < at; i += space_at(text_, i)) {
            if (dotenv_line_end(text_, i) != 0) result = i + space_at(text_, i);
        }
        if (result == 0 && text_.substr(0, byte_order_mark.size()) == byte_order_mark)
            return byte_order_mark.size();
        return result;
    }

    bool assignment(std::size_t at, DotenvEntry& entry) const {
        constexpr std::string_view word = "export";
        if (text_.substr(at, word.size()) == word && space_at(text_, at + word.size()) != 0) {
            entry.exported = true;
            if (key_and_value(skip_space(text_, at + word.size()), entry)) return true;
            entry.exported = false;
        }
        return key_and_value(at, entry);
    }

    bool key_and_value(std::size_t at, DotenvEntry& entry) const {
        entry.key_begin = at;
        while (at < text_.size() && is_key_char(text_[at])) ++at;
        if (at == entry.key_begin) return false;
        entry.key_end = at;
        const std::size_t equals = skip_space(text_, at);
        if (equals < text_.size() && text_[equals] == '=') {
            value(equals + 1, entry);
            return true;
        }
        // A colon counts with a blank after it, which may as well be the line end.
        if (at < text_.size() && text_[at] == ':') {
            if (const auto blank = space_at(text_, at + 1)) {
                value(at + 1 + blank, entry);
                return true;
            }
        }
        return false;
    }

    void value(std::size_t at, DotenvEntry& entry) const {
        // A quoted value may begin on a later line.
        const std::size_t begin = skip_space(text_, at);
        const char quote = begin < text_.size() ? text_[begin] : '\0';
        if (quote == '\'' || quote == '"' || quote == '`') {
            if (const std::size_t end = closing_quote(begin)) {
                entry.quote = quote;
                entry.value_begin = begin;
                entry.value_end = end;
            }
        }
        if (entry.quote == 0) {
            std::size_t end = text_.find_first_of("#\r\n", at);
            if (end == std::string_view::npos) end = text_.size();
            entry.value_begin = at;
            entry.value_end = end;
            trim_spaces(text_, entry.value_begin, entry.value_end);
            if (entry.value_begin == entry.value_end) entry.value_begin = entry.value_end = at;
        }
        entry.value = decoded(text_.substr(entry.value_begin, entry.value_end - entry.value_begin));
        entry.end = skip_blanks(text_, entry.value_end);
        if (entry.end < text_.size() && text_[entry.end] == '#') entry.end = find_line_end(text_, entry.end);
    }

    // After the quote that closes the one at `open`, 0: none. The first one without a backslash before it,
    // or else the last one before that with a backslash; only blanks and a comment may follow on its line.
    std::size_t closing_quote(std::size_t open) const {
        const char quote = text_[open];
        std::vector<std::size_t> escaped;
        for (std::size_t at = text_.find(quote, open + 1); at != std::string_view::npos;
             at = text_.find(quote, at + 1)) {
            if (text_[at - 1] == '\\') {
                escaped.push_back(at);
            } else {
                if (closes(at)) return at + 1;
                break;
            }
        }
        for (auto at = escaped.rbegin(); at != escaped.rend(); ++at) {
            if (closes(*at)) return *at + 1;
        }
        return 0;
    }

    bool closes(std::size_t quote) const {
        const std::size_t after = skip_blanks(text_, quote + 1);
        return after == text_.size() || text_[after] == '#' || dotenv_line_end(text_, after) != 0;
    }

    std::string_view text_;
};

} // namespace

bool is_dotenv_key(std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), is_key_char);
}

std::size_t dotenv_line_end(std::string_view text, std::size_t at) {
    if (at >= text.size()) return 0;
    if (text[at] == '\n') return 1;
    if (text[at] == '\r') return text.substr(at, 2) == "\r\n" ? 2 : 1;
    const auto three = text.substr(at, 3);
    return three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9" ? 3 : 0;
}

std::vector<DotenvEntry> scan_dotenv(std::string_view text) {
    return Scanner(text).run();
}

} // namespace dbx::edit
