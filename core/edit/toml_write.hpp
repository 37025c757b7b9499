#pragma once

#include "core/base/error.hpp"
#include "core/edit/value.hpp"

#include <string>
#include <string_view>

namespace dbx::edit {

enum class TomlQuote { basic, literal };

// How a file spells things.
struct TomlSpelling {
    TomlQuote quote = TomlQuote::basic;
    std::string before_equals = " ";
    std::string behind_equals = " ";
};

// In the wanted quotes where they can hold the text, else as a basic string with escapes; always one line.
std::string write_toml_string(std::string_view text, TomlQuote quote);

// Bare where it can be.
std::string write_toml_key(std::string_view name, TomlQuote quote);

// On one line; objects become inline tables. Fails for what TOML cannot say: null, integers above 2^63-1,
// text that is not UTF-8.
Result<std::string> write_toml_value(const Value& value, const TomlSpelling& spelling);

} // namespace dbx::edit
