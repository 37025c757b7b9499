#pragma once

#include "core/doctor/scene.hpp"

namespace dbx::doctor {

// What the user's running proxies say of their ledgers, each asked on its /status. A proxy that does not
// answer is the business of the agents that use it.
Findings examine_running_proxies(const Scene& scene, http::HttpClient& http);

// A warning when that ledger (the member of /status) is not good; `file` may be empty.
std::optional<Finding> examine_ledger(int port, const system::Path& file, const std::string& health,
                                      const std::string& why, std::uint64_t waiting, std::uint64_t lost);

} // namespace dbx::doctor
