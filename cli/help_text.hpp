#pragma once

#include "cli/reflection.hpp"
#include "cli/topics.hpp"

namespace dbx::cli {

// What --help prints: lines of at most 80 columns.
std::string help_text(const CommandInfo& command);
// The same for a topic.
std::string help_text(const Topic& topic);

// "AGENT...", "[FILE]": an argument as a usage line shows it.
std::string usage_of(const OptionInfo& argument);
// "--auth auto|helper|pat", "--via-proxy[=PORT]", "-y, --yes".
std::string spelling(const OptionInfo& flag);

} // namespace dbx::cli
