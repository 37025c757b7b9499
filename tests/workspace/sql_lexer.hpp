#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::standin {

// A failure as the statement API reports it: inside HTTP 200.
class SqlError : public std::runtime_error {
  public:
    SqlError(const std::string& message, std::string state)
        : std::runtime_error(message)
        , sql_state(std::move(state)) {}
    std::string sql_state;
};

enum class TokenKind { word, quoted, string, number, symbol, end };

// One token. `text` is the value: without quotes and with escapes resolved; a word as it is written.
struct SqlToken {
    TokenKind kind = TokenKind::end;
    std::string text;
    std::size_t begin = 0; // byte range in the statement
    std::size_t end = 0;
};

// Words, `back-quoted` names, 'strings' and "strings", numbers, one-byte symbols; comments (-- and nested /*
// */) are skipped. The last token is `end`. Throws SqlError.
std::vector<SqlToken> tokenize(std::string_view sql);

// [PARSE_SYNTAX_ERROR] at a place of the statement, with the statement shown as the real one shows it.
SqlError syntax_error(std::string_view sql, std::size_t position, const std::string& near,
                      const std::string& more = {});

} // namespace dbx::standin
