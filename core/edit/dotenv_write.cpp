#include "core/edit/dotenv_write.hpp"

#include "core/base/strings.hpp"
#include "core/edit/position.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace dbx::edit {

namespace {

// Plain for dotenv, for a shell that sources the file, and for a reader.
bool is_plain(std::string_view value) {
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+,=-";
    return !value.empty() && value.find_first_not_of(plain) == std::string_view::npos;
}

// The value between two `quote`s; nullopt when dotenv 17.1.0 would read something else back: in no kind of
// quote does a backslash protect the quote, and in double quotes \n and \r always expand.
std::optional<std::string> in_quotes(std::string_view value, char quote) {
    if (value.find(quote) != std::string_view::npos) return std::nullopt;
    if (!value.empty() && value.back() == '\\') return std::nullopt;
    if (quote != '"') {
        if (value.find_first_of("\r\n") != std::string_view::npos) return std::nullopt;
        return quote + std::string(value) + quote;
    }
    for (std::size_t at = value.find('\\'); at != std::string_view::npos; at = value.find('\\', at + 1)) {
        if (value[at + 1] == 'n' || value[at + 1] == 'r') return std::nullopt;
    }
    return '"' + replace_all(replace_all(std::string(value), "\n", "\\n"), "\r", "\\r") + '"';
}

} // namespace

DotenvWriter::DotenvWriter(std::string_view text, const std::vector<DotenvEntry>& entries)
    : text_(text) {
    const auto newline = text.rfind('\n');
    if (newline != std::string_view::npos && newline > 0 && text[newline - 1] == '\r') eol_ = "\r\n";
    final_eol_ = text.empty() || text == byte_order_mark || newline == text.size() - 1;

    std::array<std::size_t, 4> quotes{};
    constexpr std::array kinds = {'\0', '"', '\'', '`'};
    constexpr std::array signs = {std::string_view("="), std::string_view(" = "), std::string_view("= "),
                                  std::string_view(": ")};
    std::array<std::size_t, 4> sign_counts{};
    std::size_t exported = 0;
    for (const auto& entry : entries) {
        if (entry.exported) ++exported;
        if (entry.value_begin == entry.value_end) continue;
        ++quotes[static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), entry.quote) -
                                          kinds.begin())];
        const auto sign = text.substr(entry.key_end, entry.value_begin - entry.key_end);
        const auto known = std::find(signs.begin(), signs.end(), sign);
        if (known != signs.end()) ++sign_counts[static_cast<std::size_t>(known - signs.begin())];
    }
    quote_ = kinds[static_cast<std::size_t>(std::max_element(quotes.begin(), quotes.end()) - quotes.begin())];
    sign_ = signs[static_cast<std::size_t>(std::max_element(sign_counts.begin(), sign_counts.end()) -
                                           sign_counts.begin())];
    exports_ = 2 * exported > entries.size();
}

std::optional<std::string> DotenvWriter::spelled(const std::string& value, char preferred) const {
    if (preferred == 0 && is_plain(value)) return value;
    if (preferred != 0) {
        if (auto quoted = in_quotes(value, preferred)) return quoted;
    }
    for (const char quote : {'"', '\'', '`'}) {
        if (auto quoted = in_quotes(value, quote)) return quoted;
    }
    return std::nullopt;
}

bool DotenvWriter::set(const std::string& key, const DotenvEntry* entry, const std::string& value,
                       const std::optional<std::string>& raw) {
    const bool replaces = entry != nullptr && entry->value_begin != entry->value_end;
    auto spelling = raw ? raw : spelled(value, replaces ? entry->quote : quote_);
    if (!spelling) return false;
    if (entry == nullptr) {
        lines_.push_back((exports_ ? "export " : "") + key + sign_ + *spelling);
        return true;
    }
    std::size_t begin = entry->value_begin;
    const std::size_t end = entry->value_end;
    if (!replaces) {
        const char before = text_[begin - 1];
        if (before == '\n' || before == '\r') {
            // "KEY:" took its line end for the blank after the colon.
            begin = entry->key_end + 1;
            splices_.push_back({begin, begin, " " + *spelling});
            return true;
        }
        const bool spaced = entry->key_end < text_.size() && text_[entry->key_end] == ' ';
        if (spaced && before == '=' && begin < text_.size() && text_[begin] == ' ') ++begin; // "KEY = "
        if (begin < text_.size() && text_[begin] == '#') *spelling += ' ';
        splices_.push_back({begin, begin, *spelling});
        return true;
    }
    splices_.push_back({begin, end, *spelling});
    return true;
}

void DotenvWriter::remove(const DotenvEntry& entry) {
    const std::size_t line_end = dotenv_line_end(text_, entry.end);
    std::size_t begin = entry.begin;
    // The last line goes with the line end before it, so that the text ends as it did.
    if (line_end == 0 && begin > 0 && entry.end == text_.size() && !final_eol_) {
        if (text_[begin - 1] == '\n') --begin;
        if (begin > 0 && begin != entry.begin && text_[begin - 1] == '\r') --begin;
    }
    splices_.push_back({begin, entry.end + line_end, {}});
}

std::string DotenvWriter::result(Gap gap) const {
    auto result = with_splices(text_, splices_, 0, text_.size());
    if (lines_.empty()) return result;
    const bool empty = result.empty() || result == byte_order_mark;
    const bool ends_line = empty || dotenv_line_end(result, result.size() - 1) != 0;
    if (!ends_line) result += eol_;
    if (gap == Gap::blank_line) result += eol_;
    for (const auto& line : lines_) {
        result += line;
        if (&line != &lines_.back() || final_eol_) result += eol_;
    }
    return result;
}

} // namespace dbx::edit
