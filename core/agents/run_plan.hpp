#pragma once

#include "core/agents/plan.hpp"

#include <map>
#include <string>
#include <vector>

namespace dbx::agents {

// What one run of an agent needs, with everything resolved that is not the agent's own business.
struct RunRequest {
    SetupRequest setup;  // proxy, local_key, models, route, workspace
    system::Path folder; // private to this run, not there yet
};

// How the agent is started: all as values; nothing is written.
struct RunPlan {
    std::vector<std::string> arguments;             // ours, before the user's
    std::map<std::string, std::string> environment; // ours
    std::vector<std::string> unset;
    std::map<system::Path, std::string> files; // in the run's folder
    // The run's own home, below the folder, and the agent's real one: what is in the real one and not in
    // `files` is linked. Both empty: the agent uses its own.
    system::Path home, real_home;
    std::vector<std::string> secrets; // values to mask
};

// Errors: the agent's template has no [run] (kind usage), its files do not parse (kind file).
Result<RunPlan> plan_run(const Agent& agent, const RunRequest& request, const state::Journal& journal,
                         const system::Environment& environment, system::FileSystem& files,
                         system::WallTime now);

// A flag of the user's that only one can have and the run needs itself; empty: there is none.
std::string reserved_flag(const RunForm& run, const std::vector<std::string>& arguments);

// A TOML value as it stands behind "key=": for agents that take such arguments.
std::string toml_argument(const edit::Value& value);

} // namespace dbx::agents
