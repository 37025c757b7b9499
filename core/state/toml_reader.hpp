#pragma once

#include "core/base/error.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::state {

// One value of a TOML file that is only read. Members of arrays of tables carry their index in the key:
// "proxy.limit.0.agent".
struct TomlEntry {
    std::string key;   // dotted
    std::string value; // strings as they are, anything else in TOML spelling
    std::size_t line = 1;
    std::optional<std::vector<std::string>> strings; // of an array that holds nothing but strings
};

// Every value, in text order of the tables. Error: kind file, `why` is "line L, column C: reason".
Result<std::vector<TomlEntry>> read_toml(std::string_view text);

} // namespace dbx::state
