#pragma once

#include "core/agents/agent.hpp"

#include <map>
#include <string>

namespace dbx::agents {

// Reads one agent from its files. Errors name the file and the line: a key that does not exist, a missing
// document, a placeholder nobody fills. Kind: usage.
Result<Agent> read_agent(std::string name, std::string origin, std::map<std::string, std::string> documents);

} // namespace dbx::agents
