#pragma once

#include "core/agents/plan.hpp"

#include <string>

namespace dbx::agents {

struct Chosen {
    Auth auth;
    std::string reason; // a clause
};

// The auth form that setup takes. Errors: usage (the agent, or its installed version, does not know what was
// asked for), credential (the form wants one).
Result<Chosen> choose_auth(const Agent& agent, const SetupRequest& request, const Installed& installed);

} // namespace dbx::agents
