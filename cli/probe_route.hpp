#pragma once

#include "cli/session.hpp"
#include "core/tables/probe.hpp"

#include <memory>
#include <string>
#include <vector>

namespace dbx::cli {

// Which way a probe goes: the one that the agents' telemetry goes.
struct ProbeWay {
    std::unique_ptr<tables::ProbeRoute> route; // nullptr: there is none, see `trouble`
    int port = 0;                              // of the local proxy; 0: straight to the workspace
    bool traces = true;                        // whether spans go that way
    std::string words;                         // "straight to https://…"
    std::optional<tables::ProbeTrouble> trouble;
};

enum class ProbeDirection { as_agents, direct };

// 1. `direct`: straight  2. an agent is set up for the local proxy: through it, with that agent's key
// 3. otherwise straight. Errors: the journal or the keys cannot be read.
Result<ProbeWay> choose_way(Session& session, databricks::Workspace& workspace, const tables::Place& place,
                            ProbeDirection direction);

} // namespace dbx::cli
