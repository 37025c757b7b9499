#pragma once

#include "cli/reflection.hpp"

#include <string>
#include <vector>

namespace dbx::cli {

// The completion scripts, made from describe_all(). What can only be known when the user asks (agents,
// profiles, models) comes from `dbx-agents complete`, which never uses the network.

// With the bash-completion package or without it.
std::string bash_completion(const std::vector<CommandInfo>& commands);
// A #compdef file for a folder of fpath.
std::string zsh_completion(const std::vector<CommandInfo>& commands);
// For fish 3.
std::string fish_completion(const std::vector<CommandInfo>& commands);

} // namespace dbx::cli
