#pragma once

#include "core/proxy/counters.hpp"

#include <string>
#include <vector>

namespace dbx::proxy {

// What /status and /metrics say. `members`: further members of the JSON object ("\"port\":8790"), may be
// empty.
std::string status_json(const std::vector<const Counters*>& loops, const std::string& members);
std::string metrics_text(const std::vector<const Counters*>& loops);

} // namespace dbx::proxy
