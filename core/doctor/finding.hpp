#pragma once

#include "core/system/files.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace dbx::doctor {

enum class Severity {
    broken,  // the agent does not work, or a secret goes where it should not
    warning, // it works, but not as it looks
    info,
};
std::string_view to_string(Severity severity);

// One thing that is wrong, where it can be seen, and one thing to do about it. Never holds a secret.
struct Finding {
    std::string id;    // stable, for scripts: "codex-profile"
    std::string agent; // its name; empty: concerns all
    Severity severity = Severity::broken;
    std::string what;     // a clause
    system::Path file;    // where it is to be seen; may be empty
    std::size_t line = 0; // in that file; 0: no line
    std::string evidence; // further evidence in words; may be empty
    std::string fix;      // a command, or a sentence
};
using Findings = std::vector<Finding>;

} // namespace dbx::doctor
