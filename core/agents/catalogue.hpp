#pragma once

#include "core/agents/agent.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::agents {

// All agents: the built-in ones, and the folders in $XDG_CONFIG_HOME/dbx-agents/templates, which win over
// built-in ones of the same name.
struct Catalogue {
    std::vector<Agent> agents;                        // by order, then name
    std::map<std::string, Error, std::less<>> broken; // users' templates that can't be used, by name
    const Agent* find(std::string_view name) const;
    std::vector<std::string> names() const;
    // The agents that can use a model of these API types; none when the types are not told.
    std::vector<std::string> names_for(const std::vector<std::string>& api_types) const;
};
Result<Catalogue> load_catalogue(const system::Environment& environment, system::FileSystem& files);

// Where users' own templates are.
Result<system::Path> user_templates(const system::Environment& environment);

} // namespace dbx::agents
