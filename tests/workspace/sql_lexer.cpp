#include "tests/workspace/sql_lexer.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Lexer {
  public:
    explicit Lexer(std::string_view sql)
        : sql_(sql) {}

    std::vector<SqlToken> run() {
        for (;;) {
            skip_blanks();
            SqlToken token = next();
            const bool last = token.kind == TokenKind::end;
            // Neighbouring string literals are one: 'a' 'b', and so also 'a''b'.
            if (token.kind == TokenKind::string && !tokens_.empty() &&
                tokens_.back().kind == TokenKind::string) {
                tokens_.back().text += token.text;
                tokens_.back().end = token.end;
                continue;
            }
            tokens_.push_back(std::move(token));
            if (last) return std::move(tokens_);
        }
    }

  private:
    char at(std::size_t i) const { return i < sql_.size() ? sql_[i] : '\0'; }

    void skip_blanks() {
        while (at_ < sql_.size()) {
            const char c = sql_[at_];
            if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                ++at_;
            } else if (c == '-' && at(at_ + 1) == '-') {
                while (at_ < sql_.size() && sql_[at_] != '\n') ++at_;
            } else if (c == '/' && at(at_ + 1) == '*') {
                skip_bracketed();
            } else {
                return;
            }
        }
    }

    void skip_bracketed() {
        const std::size_t begin = at_;
        int depth = 0;
        do {
            if (at_ >= sql_.size())
                throw SqlError(
                    "[UNCLOSED_BRACKETED_COMMENT] Found an unclosed bracketed comment. Please, append "
                    "*/ at the end of the comment. SQLSTATE: 42601 (line 1, pos " +
                        std::to_string(begin) + ")",
                    "42601");
            if (at(at_) == '/' && at(at_ + 1) == '*') {
                ++depth;
                at_ += 2;
            } else if (at(at_) == '*' && at(at_ + 1) == '/') {
                --depth;
                at_ += 2;
            } else {
                ++at_;
            }
        } while (depth > 0);
    }

    SqlToken next() {
        SqlToken token;
        token.begin = at_;
        if (at_ >= sql_.size()) {
            token.end = at_;
            return token;
        }
        const char c = sql_[at_];
        if (c == '`') {
            token.kind = TokenKind::quoted;
            token.text = back_quoted();
        } else if (c == '\'' || c == '"') {
            token.kind = TokenKind::string;
            token.text = literal(c);
        } else if (is_word_byte(c)) {
            while (is_word_byte(at(at_))) ++at_;
            token.text = std::string(sql_.substr(token.begin, at_ - token.begin));
            const bool digits = std::all_of(token.text.begin(), token.text.end(), is_digit);
            token.kind = digits ? TokenKind::number : TokenKind::word;
            if (digits && at(at_) == '.' && is_digit(at(at_ + 1))) {
                ++at_;
                while (is_digit(at(at_))) ++at_;
                token.text = std::string(sql_.substr(token.begin, at_ - token.begin));
            }
        } else {
            token.kind = TokenKind::symbol;
            token.text = std::string(1, c);
            ++at_;
        }
        token.end = at_;
        return token;
    }

    // An inner back-quote is doubled.
    std::string back_quoted() {
        const std::size_t begin = at_++;
        std::string out;
        for (; at_ < sql_.size(); ++at_) {
            if (sql_[at_] != '`') {
                out.push_back(sql_[at_]);
            } else if (at(at_ + 1) == '`') {
                out.push_back('`');
                ++at_;
            } else {
                ++at_;
                if (out.empty()) throw syntax_error(sql_, begin, "``");
                return out;
            }
        }
        throw syntax_error(sql_, begin, "`");
    }

    std::string literal(char quote) {
        const std::size_t begin = at_++;
        std::string out;
        for (; at_ < sql_.size(); ++at_) {
            const char c = sql_[at_];
            if (c == quote) {
                ++at_;
                return out;
            }
            if (c != '\\' || at_ + 1 >= sql_.size()) {
                out.push_back(c);
                continue;
            }
            switch (sql_[++at_]) {
            case 'n':
                out.push_back('\n');
                break;
            case 't':
                out.push_back('\t');
                break;
            case 'r':
                out.push_back('\r');
                break;
            case '0':
                out.push_back('\0');
                break;
            default:
                out.push_back(sql_[at_]);
            }
        }
        throw syntax_error(sql_, begin, std::string(1, quote));
    }

    std::string_view sql_;
    std::size_t at_ = 0;
    std::vector<SqlToken> tokens_;
};

} // namespace

std::vector<SqlToken> tokenize(std::string_view sql) {
    return Lexer(sql).run();
}

SqlError syntax_error(std::string_view sql, std::size_t position, const std::string& near,
                      const std::string& more) {
    position = std::min(position, sql.size());
    const std::string_view before = sql.substr(0, position);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto newline = before.rfind('\n');
    const std::size_t column = newline == std::string_view::npos ? position : position - newline - 1;
    const std::string where = near.empty() ? "end of input" : "'" + near + "'";
    std::string text = "[PARSE_SYNTAX_ERROR] Syntax error at or near " + where + more +
                       ". SQLSTATE: 42601 (line " + std::to_string(line) + ", pos " + std::to_string(column) +
                       ")\n\n== SQL ==\n";
    const auto line_end = sql.find('\n', position);
    text += std::string(sql.substr(0, line_end)) + "\n" + std::string(column, '-') + "^^^";
    if (line_end != std::string_view::npos) text += std::string(sql.substr(line_end));
    return SqlError(text, "42601");
}

} // namespace dbx::standin
