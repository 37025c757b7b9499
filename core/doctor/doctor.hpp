#pragma once

#include "core/agents/agent.hpp"
#include "core/databricks/target.hpp"
#include "core/databricks/tokens.hpp"
#include "core/doctor/finding.hpp"
#include "core/state/journal.hpp"
#include "core/state/settings.hpp"

#include <functional>
#include <string>
#include <vector>

namespace dbx::doctor {

// What the checks may look at and use. All of it outlives the diagnosis; http, pacer and process are used by
// several threads at once.
struct Surroundings {
    const system::Environment& environment;
    system::FileSystem& files;
    const system::Clock& clock;
    system::Process& process;
    http::HttpClient& http;
    http::Pacer& pacer;
    const databricks::Target& target;
    const state::Journal& journal;
    const state::Settings& settings;
    // Told how many agents' probes have ended; by one thread at a time. May be empty.
    std::function<void(std::size_t done, std::size_t total)> told = {};
};

enum class Network { use, avoid };

// One request that was made in an agent's name.
struct Probe {
    std::string agent;
    std::string url;
    std::string model;
    std::string outcome; // "ok", or the finding's id
};

struct Report {
    Findings findings;                  // in the order of the agents
    std::vector<std::string> looked_at; // names of agents
    std::vector<std::string> skipped;   // neither installed nor configured
    std::vector<Probe> probes;
};

// How long one request and the whole network part may take.
inline constexpr std::chrono::seconds request_limit{10};
inline constexpr std::chrono::seconds network_limit{20};
// How long to wait for another process that makes the same token: leaves time to make one, and for the
// models.
inline constexpr std::chrono::seconds lock_limit{5};

// Examines these agents. `named`: they were asked for by name, so none is skipped. Reads files; with
// Network::use also runs the agents' own token helpers, and sends each agent's token to where that agent
// would send it. Writes nothing but the token cache. Errors: no HOME.
enum class Asked { by_name, all };
Result<Report> diagnose(const std::vector<const agents::Agent*>& agents, Asked asked, Network network,
                        const Surroundings& surroundings);

} // namespace dbx::doctor
