#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <set>
#include <string>

namespace dbx::system {

// A folder that stands for another one: its own files, and links to everything else of the other.

// Links every entry of `real` (which may be missing) into `folder`, except those named.
Result<void> link_entries(const Path& real, const Path& folder, const std::set<std::string>& except);

// Moves to `real` what a program has made in `folder`, or put in a link's place, except the entries named; a
// folder only where `real` has nothing of that name. What cannot be moved stays.
void carry_back(const Path& folder, const Path& real, const std::set<std::string>& except);

// Removes a folder with everything in it; links go, what they lead to stays.
void remove_tree(const Path& folder);

} // namespace dbx::system
