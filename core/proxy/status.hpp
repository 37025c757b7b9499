#pragma once

#include "core/proxy/counters.hpp"
#include "core/usage/ledger.hpp"
#include "core/usage/limiter.hpp"

#include <string>
#include <vector>

namespace dbx::proxy {

// What /status and /metrics say. `members`: further members of the JSON object ("\"port\":8790"), may be
// empty.
std::string status_json(const std::vector<const Counters*>& loops, const std::string& members);
std::string limits_json(const std::vector<usage::Limiter::Level>& levels);
std::string ledger_json(const usage::Ledger::Status& status);
std::string metrics_text(const std::vector<const Counters*>& loops);

} // namespace dbx::proxy
