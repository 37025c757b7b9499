#pragma once

#include "cli/setup_plan.hpp"

#include <optional>
#include <string>

namespace dbx::cli {

// Whether questions may be asked: a terminal on stdin and stderr, no --json, no --quiet, and not in a CI job
// (CI in the environment).
bool may_ask(Session& session);

// `setup` without an agent on a terminal: asks for what neither a flag nor a setting tells, and puts the
// answers where the flags would have put them: into `wish` and the session's options. Reads files only.
// false: the input ended or Ctrl-C came. Needs an InterruptGuard that lives.
Result<bool> first_run(Session& session, SetupWish& wish);

// The command that does the same without a question: every answer and every setting in force as a flag,
// quoted for a shell; never a secret.
std::string equivalent_command(const databricks::Target& target, const SetupWish& wish,
                               const SetupPlan& plan);

// What a script has to add, when there is nobody to ask. Error: kind usage.
Error missing_flags(Session& session);

} // namespace dbx::cli
