#pragma once

#include "tests/workspace/otlp_decode.hpp"

#include <string>
#include <utility>
#include <vector>

namespace dbx::standin {

// The documented columns of a signal's table: name and canonical type, in their order.
const std::vector<std::pair<std::string, std::string>>& documented_columns(OtlpSignal signal);

} // namespace dbx::standin
