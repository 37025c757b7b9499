#pragma once

#include "core/agents/plan.hpp"
#include "core/state/settings.hpp"

#include <string>

namespace dbx::cli {

// What the settings say about one agent: its route and its models, with `model` (--model; may be empty) on
// top. Errors: a value that no file and no URL should hold (kind usage, with its origin).
Result<void> read_agent_settings(const agents::Agent& agent, const state::Settings& settings,
                                 const std::string& model, agents::SetupRequest& request);

} // namespace dbx::cli
