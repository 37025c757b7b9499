#pragma once

#include "core/agents/agent.hpp"

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::agents {

// major.minor.patch, with a pre-release tail that sorts below the release (0.61.0-nightly < 0.61.0).
struct Version {
    std::vector<int> numbers;
    std::string tail;
};
std::optional<Version> parse_version(std::string_view text);
std::strong_ordering compare(const Version& a, const Version& b);

// What is installed of an agent, read from files only: nothing is ever started.
struct Installed {
    bool found = false;
    system::Path program;               // as found on PATH
    std::optional<std::string> version; // from its package.json, or from a folder named after its version
};
Installed find_installed(const Agent& agent, const system::Environment& environment,
                         system::FileSystem& files);

// True when the installed version is known and lower than `version`.
bool is_below(const Installed& installed, std::string_view version);

} // namespace dbx::agents
