#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::databricks {

struct ConfigEntry {
    std::string key; // lower case
    std::string value;
    int line = 0;
};

struct ConfigProfile {
    std::string name;
    int line = 0; // of its first header (of its first key, for keys before any header)
    std::vector<ConfigEntry> entries;
    // Set when the profile cannot be used as it stands: one key twice with different values.
    std::string problem = {};

    // The value of a key; nullptr when missing or empty.
    const std::string* find(std::string_view key) const;
};

// ~/.databrickscfg. Read as the Databricks CLI (Go) reads it: repeated sections are one, keys before any
// section belong to DEFAULT, '=' and ':' separate, quotes around a whole value go, a comment after a value
// needs white space before its '#'.
struct ConfigFile {
    std::vector<ConfigProfile> profiles; // without [__settings__]
    std::string default_profile = {};    // [__settings__] default_profile

    const ConfigProfile* find(std::string_view name) const;
    std::vector<std::string> names() const;
};

// `shown` is the file's name for messages. Errors are of kind credential and name file and line, never a
// value.
Result<ConfigFile> parse_config_file(std::string_view text, std::string_view shown);

// The profile file: DATABRICKS_CONFIG_FILE (a leading ~/ is home), else ~/.databrickscfg.
system::Path config_file_path(const system::Environment& environment, const system::Path& home);

// Reads and parses it; a missing file is an empty one when `must_exist` is false. For completions and doctor.
Result<ConfigFile> read_config_file(const system::Environment& environment, system::FileSystem& files,
                                    const system::Path& home, bool must_exist = false);

} // namespace dbx::databricks
