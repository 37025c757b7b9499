#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbx::edit {

// One assignment in a .env text, found by the rules of dotenv 17.1.0.
struct DotenvEntry {
    std::size_t begin = 0; // of its first line
    std::size_t key_begin = 0, key_end = 0;
    std::size_t value_begin = 0, value_end = 0; // with quotes, without blanks
    std::size_t end = 0;                        // after value and comment, before the line end
    char quote = 0;                             // ' " ` or 0: bare
    bool exported = false;
    std::string value;

    std::string_view key(std::string_view text) const { return text.substr(key_begin, key_end - key_begin); }
};

// Never fails: what is no assignment is skipped, as dotenv does. Linear in the length of the text.
std::vector<DotenvEntry> scan_dotenv(std::string_view text);

// Keys and values in text order, all duplicates, evaluated step by step as the regular expression of
// dotenv 17.1.0 would: the judge of what the scanner and the writer do. Shares no code with them.
std::vector<std::pair<std::string, std::string>> evaluate_dotenv(std::string_view text);

// True for [A-Za-z0-9_.-]+.
bool is_dotenv_key(std::string_view key);

// Bytes of the line end at `at`: 0 when there is none. JavaScript's U+2028 and U+2029 end lines as well.
std::size_t dotenv_line_end(std::string_view text, std::size_t at);

} // namespace dbx::edit
