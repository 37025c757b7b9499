#pragma once

#include "core/base/error.hpp"
#include "core/state/settings.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::usage {

// One entry of an array of tables ([[price]], [[proxy.limit]]) as one configuration file has it. The user's
// file and the organisation's are not mixed: each entry is of one of them.
class ConfigEntry {
  public:
    // The entries of both files, the user's first. `keys`: the members that are looked for; an entry without
    // any of them ends its file's list.
    static std::vector<ConfigEntry> all(const state::Settings& settings, std::string_view array,
                                        const std::vector<std::string>& keys);

    const std::string* find(std::string_view key) const;
    // A number that is at least `least`. Error: something else (kind usage).
    Result<std::optional<double>> number(std::string_view key, double least) const;
    Error error(std::string what, std::string fix) const;

    const std::string& where() const { return where_; } // of its first member
    std::size_t index() const { return index_; }        // in its file, from 1

  private:
    std::string array_;
    std::string where_;
    std::size_t index_ = 1;
    std::map<std::string, state::Setting, std::less<>> members_;
};

} // namespace dbx::usage
