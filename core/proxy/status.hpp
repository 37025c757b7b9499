#pragma once

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/http/client.hpp"
#include "core/proxy/counters.hpp"
#include "core/usage/ledger.hpp"
#include "core/usage/limiter.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace dbx::proxy {

// What /status and /metrics say. `members`: further members of the JSON object ("\"port\":8790"), may be
// empty.
std::string status_json(const std::vector<const Counters*>& loops, const std::string& members);
std::string limits_json(const std::vector<usage::Limiter::Level>& levels);
std::string ledger_json(const usage::Ledger::Status& status);
std::string metrics_text(const std::vector<const Counters*>& loops);

// What the running proxy on that port of this machine says on its /status: an object. Error: kind failed or
// workspace.
Result<nlohmann::ordered_json> ask_status(http::HttpClient& http, int port, const Secret& key);

} // namespace dbx::proxy
