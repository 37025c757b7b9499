#pragma once

#include "cli/reflection.hpp"

#include <string>
#include <vector>

namespace dbx::cli {

// dbx-agents(1) in mdoc, made from describe_all() and the topics of help.
std::string manual_page(const std::vector<CommandInfo>& commands);

} // namespace dbx::cli
