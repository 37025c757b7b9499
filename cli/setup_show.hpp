#pragma once

#include "cli/setup_plan.hpp"

namespace dbx::cli {

// A plan of setup, for people and as --json; secrets masked everywhere.

nlohmann::ordered_json document_of(Session& session, const SetupPlan& plan, bool written);

// Warnings and notes of the plan, on stderr.
void show_remarks(Session& session, const SetupPlan& plan);
// What changes, as unified diffs.
void show_diffs(Session& session, const SetupPlan& plan);
// What was written: each agent, its files, its keys (left out when the diff was shown just before).
enum class Keys { shown, left_out };
void show_summary(Session& session, const SetupPlan& plan, Keys keys);

// --check, --dry-run and --print: the whole output; the value is the exit code.
Result<int> show_check(Session& session, const SetupPlan& plan);
Result<int> show_dry_run(Session& session, const SetupPlan& plan);
Result<int> show_files(Session& session, const SetupPlan& plan);

// How the local proxy is started.
std::string proxy_command(int port);

} // namespace dbx::cli
