#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace dbx::edit {

// A value whatever the file's format: what templates set, what the journal remembers. Members keep the
// order of the text they came from. TOML dates and times have no counterpart and appear as strings.
using Value = nlohmann::ordered_json;

// Where a value stands: {"env", "ANTHROPIC_MODEL"}. In dotenv files a path has one component.
using KeyPath = std::vector<std::string>;

// "env.ANTHROPIC_MODEL"; a component that is not [A-Za-z0-9_-]+ is double-quoted. For messages.
std::string to_string(const KeyPath& path);

// The reverse, by TOML's rules for dotted keys; empty when `text` is not a key.
KeyPath parse_key_path(std::string_view text);

} // namespace dbx::edit
