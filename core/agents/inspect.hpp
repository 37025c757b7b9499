#pragma once

#include "core/agents/plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::agents {

// One key that setup knows, as it stands now.
struct KeyReport {
    edit::KeyPath path;
    std::optional<std::string> value; // masked; nullopt: not in the file
    std::size_t line = 0;
    enum class Owner { us, somebody, nobody } owner = Owner::nobody;
    std::string drift;  // how it differs from what setup wrote; empty: it does not
    std::string shadow; // what decides instead of this key; empty: nothing
};

struct FileReport {
    std::string name;
    system::Path named;
    bool exists = false;
    std::string problem; // why it can't be read or parsed; empty: it can
    std::vector<KeyReport> keys;
    std::optional<std::string> written_at; // by setup
};

struct AgentReport {
    const Agent* agent = nullptr;
    Installed installed;
    bool configured = false; // setup wrote at least one of its files
    std::string auth;        // the form that setup took; empty: not configured
    std::vector<FileReport> files;
    std::vector<std::string> warnings; // about the environment
};

// What is configured now, whose it is, and what wins over it. Reads files only.
Result<AgentReport> inspect(const Agent& agent, const state::Journal& journal,
                            const system::Environment& environment, system::FileSystem& files);

} // namespace dbx::agents
