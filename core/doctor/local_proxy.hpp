#pragma once

#include "core/doctor/scene.hpp"

#include <nlohmann/json_fwd.hpp>

namespace dbx::doctor {

// What the user's running proxies say of their ledgers, each asked on its /status. A proxy that does not
// answer is the business of the agents that use it.
Findings examine_running_proxies(const Scene& scene, http::HttpClient& http);

// Telemetry that waits or was rejected in spools that no running proxy has.
Findings examine_spools(const Scene& scene);

// What a proxy's relay (the member `telemetry` of /status) has to tell.
Findings examine_relay(int port, long process, const nlohmann::ordered_json& relay);

// A warning when that ledger (the member of /status) is not good; `file` may be empty.
std::optional<Finding> examine_ledger(int port, const system::Path& file, const std::string& health,
                                      const std::string& why, std::uint64_t waiting, std::uint64_t lost);

} // namespace dbx::doctor
