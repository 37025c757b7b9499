#pragma once

#include "core/agents/plan.hpp"

#include <string>

namespace dbx::cli {

// A file's text as it may be shown: our secrets and everything that looks like one masked.
std::string masked_text(const agents::FileChange& change, const std::string& text);

// What the change does to the file, as a unified diff with secrets masked; empty when the text stays.
std::string diff_of(const agents::FileChange& change);

} // namespace dbx::cli
