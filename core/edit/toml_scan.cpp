#include "core/edit/toml_scan.hpp"

#include "core/base/strings.hpp"

#include <array>
#include <utility>

namespace dbx::edit {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_bare_key(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '-';
}

bool is_bare_value(char c) {
    return is_bare_key(c) || c == '+' || c == '.' || c == ':';
}

class Scanner {
  public:
    explicit Scanner(std::string_view text, TomlValueSink* sink = nullptr)
        : text_(text)
        , sink_(sink) {}

    bool document(TomlScan& scan) {
        if (text_.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;
        scan.content_begin = offset();
        std::size_t section_depth = 0;
        while (true) {
            const auto line = offset();
            skip_blanks();
            if (end()) return true;
            if (peek() == '#') {
                skip_comment();
                continue;
            }
            if (newline()) continue;
            TomlStatement statement;
            statement.lines.begin = line;
            if (peek() == '[') {
                if (!header(scan, statement)) return false;
                section_depth = statement.part_count;
            } else if (!pair(scan, statement, section_depth)) {
                return false;
            }
            skip_blanks();
            if (!end() && peek() == '#') {
                statement.has_comment = true;
                skip_comment();
            }
            if (!end() && !newline()) return stop_expecting("the end of the line or a comment");
            statement.lines.end = offset();
            scan.statements.push_back(statement);
        }
    }

    bool value(std::size_t depth) {
        if (depth > toml_max_depth) return stop_deep();
        if (end()) return stop_expecting("a value");
        switch (peek()) {
        case '[':
            return container(depth, ']');
        case '{':
            return container(depth, '}');
        case '"':
        case '\'': {
            const auto begin = offset();
            if (!string()) return false;
            if (sink_ != nullptr) sink_->scalar({begin, offset()});
            return true;
        }
        default:
            return bare_value();
        }
    }

    void move_to(TomlOffset offset) { at_ = offset; }
    TomlOffset offset() const { return static_cast<TomlOffset>(at_); }
    TomlScanFailure failure() && { return std::move(failure_); }

  private:
    bool end() const { return at_ >= text_.size(); }
    char peek() const { return text_[at_]; }
    char peek(std::size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

    bool stop(std::string reason) {
        failure_ = {offset(), std::move(reason)};
        return false;
    }
    bool stop_expecting(std::string_view wanted) {
        return stop("expected " + std::string(wanted) + ", found " + what_is_here());
    }
    std::string what_is_here() const {
        if (end()) return "the end of the file";
        const auto byte = static_cast<unsigned char>(peek());
        if (byte == '\r' && peek(1) != '\n') return "a carriage return without a line feed";
        if (byte == '\n' || byte == '\r') return "the end of the line";
        if (byte < 0x20 || byte == 0x7F) return "a control character";
        std::size_t length = 1;
        while (at_ + length < text_.size() &&
               (static_cast<unsigned char>(text_[at_ + length]) & 0xC0) == 0x80)
            ++length;
        return "'" + std::string(text_.substr(at_, length)) + "'";
    }
    bool stop_deep() {
        failure_ = {offset(), "nested deeper than " + std::to_string(toml_max_depth) + " levels"};
        return false;
    }

    void skip_blanks() {
        while (!end() && is_blank(peek())) ++at_;
    }
    bool newline() {
        if (end()) return false;
        if (peek() == '\n') {
            ++at_;
            return true;
        }
        if (peek() == '\r' && peek(1) == '\n') {
            at_ += 2;
            return true;
        }
        return false;
    }
    // Up to, not including, the line end.
    void skip_comment() {
        if (sink_ != nullptr) sink_->comment(offset());
        const auto found = text_.find('\n', at_);
        at_ = found == std::string_view::npos ? text_.size() : found;
        if (found != std::string_view::npos && text_[at_ - 1] == '\r') --at_;
    }
    // Between the parts of an array or inline table.
    void skip_space() {
        while (true) {
            skip_blanks();
            if (end()) return;
            if (peek() == '#')
                skip_comment();
            else if (!newline())
                return;
        }
    }

    bool key(std::vector<TomlRange>& parts, std::size_t depth) {
        while (true) {
            skip_blanks();
            const auto begin = offset();
            if (end()) return stop_expecting("a key");
            if (peek() == '"' || peek() == '\'') {
                const bool multi_line = peek(1) == peek() && peek(2) == peek();
                if (multi_line) return stop("a key can not be a multi-line string");
                if (!string()) return false;
            } else {
                while (!end() && is_bare_key(peek())) ++at_;
                if (offset() == begin)
                    return stop_expecting(static_cast<unsigned char>(peek()) < 0x80
                                              ? "a key"
                                              : "a key (one with such characters needs quotes)");
            }
            parts.push_back({begin, offset()});
            if (++depth > toml_max_depth) return stop_deep();
            const auto behind = at_;
            skip_blanks();
            if (end() || peek() != '.') {
                at_ = behind;
                return true;
            }
            ++at_;
        }
    }

    bool key(TomlScan& scan, TomlStatement& statement, std::size_t depth) {
        statement.first_part = static_cast<std::uint32_t>(scan.parts.size());
        if (!key(scan.parts, depth)) return false;
        statement.part_count = static_cast<std::uint32_t>(scan.parts.size()) - statement.first_part;
        statement.key = {scan.parts[statement.first_part].begin, scan.parts.back().end};
        return true;
    }

    bool header(TomlScan& scan, TomlStatement& statement) {
        statement.value.begin = offset();
        ++at_;
        statement.kind = TomlStatement::Kind::table;
        if (!end() && peek() == '[') {
            ++at_;
            statement.kind = TomlStatement::Kind::array_of_tables;
        }
        if (!key(scan, statement, 0)) return false;
        skip_blanks();
        const std::string_view closing = statement.kind == TomlStatement::Kind::table ? "]" : "]]";
        if (text_.substr(at_, closing.size()) != closing)
            return stop_expecting("'" + std::string(closing) + "'");
        at_ += closing.size();
        statement.value.end = offset();
        return true;
    }

    bool pair(TomlScan& scan, TomlStatement& statement, std::size_t depth) {
        if (!key(scan, statement, depth)) return false;
        skip_blanks();
        if (end() || peek() != '=') return stop_expecting("'=' after the key");
        statement.equals = offset();
        ++at_;
        skip_blanks();
        statement.value.begin = offset();
        if (!value(depth + statement.part_count)) return false;
        statement.value.end = offset();
        return true;
    }

    bool container(std::size_t depth, char closing) {
        const bool array = closing == ']';
        if (sink_ != nullptr) sink_->open(offset(), array);
        ++at_;
        bool may_begin = true; // an entry: at the start and behind a comma
        while (true) {
            skip_space();
            if (end()) return stop_expecting(std::string("'") + closing + "'");
            if (peek() == closing) {
                ++at_;
                if (sink_ != nullptr) sink_->close(offset());
                return true;
            }
            if (peek() == ',') {
                if (may_begin) return stop("there is nothing before this comma");
                if (sink_ != nullptr) sink_->comma(offset());
                ++at_;
                may_begin = true;
                continue;
            }
            if (!may_begin) return stop_expecting(std::string("a comma or '") + closing + "'");
            may_begin = false;
            if (array) {
                if (!value(depth + 1)) return false;
                continue;
            }
            std::vector<TomlRange> parts;
            if (!key(parts, depth)) return false;
            if (sink_ != nullptr) sink_->key(parts);
            skip_blanks();
            if (end() || peek() != '=') return stop_expecting("'=' after the key");
            ++at_;
            skip_blanks();
            if (!value(depth + parts.size())) return false;
        }
    }

    bool string() {
        const char quote = peek();
        const bool escapes = quote == '"';
        if (peek(1) == quote && peek(2) == quote) return multi_line_string(quote, escapes);
        ++at_;
        while (true) {
            if (end() || peek() == '\n') return stop_expecting("a closing quote");
            const char c = peek();
            ++at_;
            if (escapes && c == '\\') {
                if (!end() && peek() != '\n') ++at_;
                continue;
            }
            if (c == quote) return true;
        }
    }

    bool multi_line_string(char quote, bool escapes) {
        at_ += 3;
        std::size_t quotes = 0;
        while (true) {
            if (end()) return stop_expecting("three closing quotes");
            const char c = peek();
            ++at_;
            if (escapes && c == '\\') {
                if (!end()) ++at_;
                quotes = 0;
                continue;
            }
            quotes = c == quote ? quotes + 1 : 0;
            if (quotes < 3) continue;
            // One or two quotes more are content that stands before the closing three.
            for (int more = 0; more < 2 && !end() && peek() == quote; ++more) ++at_;
            return true;
        }
    }

    bool bare_value() {
        const auto begin = at_;
        while (!end() && is_bare_value(peek())) ++at_;
        if (at_ == begin) return stop_expecting("a value");
        // A blank may stand between a date and its time.
        if (at_ - begin == 10 && text_[begin + 4] == '-' && text_[begin + 7] == '-' && peek(0) == ' ' &&
            is_digit(peek(1)) && is_digit(peek(2)) && peek(3) == ':') {
            ++at_;
            while (!end() && is_bare_value(peek())) ++at_;
        }
        if (sink_ != nullptr) sink_->scalar({static_cast<TomlOffset>(begin), offset()});
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    TomlValueSink* sink_;
    TomlScanFailure failure_;
};

// Collects what stands directly in the outermost container.
class DirectEntries : public TomlValueSink {
  public:
    DirectEntries(std::string_view text, TomlContainer& container)
        : text_(text)
        , container_(container) {}

    void open(TomlOffset bracket, bool array) override {
        if (depth_ == 0)
            container_.array = array;
        else if (depth_ == 1)
            value_begins(bracket);
        ++depth_;
    }
    void close(TomlOffset end) override {
        --depth_;
        if (depth_ == 1) container_.entries.back().value.end = end;
    }
    void key(std::span<const TomlRange> parts) override {
        if (depth_ != 1) return;
        TomlEntry entry;
        entry.begin = parts.front().begin;
        for (const auto& part : parts)
            entry.key.push_back(decode_toml_string(text_.substr(part.begin, part.end - part.begin)));
        entry.equals = static_cast<TomlOffset>(text_.find('=', parts.back().end));
        container_.entries.push_back(std::move(entry));
    }
    void scalar(TomlRange range) override {
        if (depth_ != 1) return;
        value_begins(range.begin);
        container_.entries.back().value.end = range.end;
    }
    void comma(TomlOffset offset) override {
        if (depth_ == 1) container_.entries.back().comma = offset;
    }
    void comment(TomlOffset) override { container_.has_comment = true; }

  private:
    void value_begins(TomlOffset offset) {
        if (container_.array) {
            container_.entries.emplace_back();
            container_.entries.back().begin = offset;
        }
        container_.entries.back().value.begin = offset;
    }

    std::string_view text_;
    TomlContainer& container_;
    std::size_t depth_ = 0;
};

void append_utf8(std::string& out, std::uint32_t c) {
    const auto put = [&out](std::uint32_t byte) {
        out += static_cast<char>(static_cast<unsigned char>(byte));
    };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | (c >> 6));
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | (c >> 12));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3F));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

std::uint32_t hex_digit(char c) {
    if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint32_t>(c - 'A' + 10);
    return 0;
}

std::string decode_basic(std::string_view content, bool multi_line) {
    std::string out;
    out.reserve(content.size());
    for (std::size_t i = 0; i < content.size(); ++i) {
        if (content[i] != '\\' || i + 1 >= content.size()) {
            out += content[i];
            continue;
        }
        const char c = content[++i];
        std::size_t digits = 0;
        switch (c) {
        case 'b':
            out += '\b';
            break;
        case 't':
            out += '\t';
            break;
        case 'n':
            out += '\n';
            break;
        case 'f':
            out += '\f';
            break;
        case 'r':
            out += '\r';
            break;
        case 'e':
            out += '\x1B';
            break;
        case 'x':
            digits = 2;
            break;
        case 'u':
            digits = 4;
            break;
        case 'U':
            digits = 8;
            break;
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            // A backslash at the end of a line swallows all space up to the next character.
            if (multi_line) {
                while (i + 1 < content.size() &&
                       (is_blank(content[i + 1]) || content[i + 1] == '\r' || content[i + 1] == '\n'))
                    ++i;
            }
            break;
        default:
            out += c;
        }
        if (digits == 0) continue;
        std::uint32_t code = 0;
        for (; digits > 0 && i + 1 < content.size(); --digits) code = (code << 4) | hex_digit(content[++i]);
        append_utf8(out, code);
    }
    return out;
}

} // namespace

bool scan_toml(std::string_view text, TomlScan& scan, TomlScanFailure& failure) {
    Scanner scanner(text);
    if (scanner.document(scan)) return true;
    failure = std::move(scanner).failure();
    return false;
}

TomlOffset walk_toml_value(std::string_view text, TomlOffset begin, TomlValueSink& sink) {
    Scanner scanner(text, &sink);
    scanner.move_to(begin);
    scanner.value(0);
    return scanner.offset();
}

TomlContainer scan_toml_container(std::string_view text, TomlOffset begin) {
    TomlContainer container;
    DirectEntries entries(text, container);
    container.range.begin = begin;
    container.range.end = walk_toml_value(text, begin, entries);
    return container;
}

std::string decode_toml_string(std::string_view spelling) {
    if (spelling.empty() || (spelling[0] != '"' && spelling[0] != '\'')) return std::string(spelling);
    const char quote = spelling[0];
    const bool multi_line = spelling.size() >= 6 && spelling[1] == quote && spelling[2] == quote;
    const std::size_t width = multi_line ? 3 : 1;
    auto content = spelling.substr(width, spelling.size() - 2 * width);
    if (multi_line) { // a line end right behind the opening quotes is not content
        if (content.substr(0, 1) == "\n")
            content.remove_prefix(1);
        else if (content.substr(0, 2) == "\r\n")
            content.remove_prefix(2);
    }
    if (!multi_line) return quote == '"' ? decode_basic(content, multi_line) : std::string(content);
    // toml++ reads every line end of a text as LF.
    const auto text = replace_all(std::string(content), "\r\n", "\n");
    return quote == '"' ? decode_basic(text, multi_line) : text;
}

} // namespace dbx::edit
