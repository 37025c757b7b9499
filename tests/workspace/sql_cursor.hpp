#pragma once

#include "core/base/strings.hpp"
#include "tests/workspace/sql_lexer.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::standin {

// A place in a statement's tokens, for the parsers that derive from it. Words are compared without case.
class SqlCursor {
  protected:
    explicit SqlCursor(std::string_view sql)
        : sql_(sql)
        , tokens_(tokenize(sql)) {}

    const SqlToken& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
    }
    const SqlToken& advance() { return tokens_[std::min(at_++, tokens_.size() - 1)]; }

    bool sees(std::string_view word, std::size_t ahead = 0) const {
        return peek(ahead).kind == TokenKind::word && iequals(peek(ahead).text, word);
    }
    bool take(std::string_view word) {
        if (!sees(word)) return false;
        ++at_;
        return true;
    }
    void expect(std::string_view word) {
        if (!take(word)) throw unexpected();
    }

    // Symbols of several bytes are neighbouring tokens.
    bool sees_symbol(std::string_view symbol, std::size_t ahead = 0) const {
        for (std::size_t i = 0; i < symbol.size(); ++i) {
            const SqlToken& token = peek(ahead + i);
            if (token.kind != TokenKind::symbol || token.text[0] != symbol[i]) return false;
            if (i > 0 && token.begin != peek(ahead + i - 1).end) return false;
        }
        return true;
    }
    bool take_symbol(std::string_view symbol) {
        if (!sees_symbol(symbol)) return false;
        at_ += symbol.size();
        return true;
    }
    void expect_symbol(std::string_view symbol) {
        if (!take_symbol(symbol)) throw unexpected();
    }

    std::string source(const SqlToken& token) const {
        return std::string(sql_.substr(token.begin, token.end - token.begin));
    }
    SqlError unexpected(const std::string& more = {}) const {
        return syntax_error(sql_, peek().begin, source(peek()), more);
    }

    std::string_view sql_;
    std::vector<SqlToken> tokens_;
    std::size_t at_ = 0;
};

} // namespace dbx::standin
