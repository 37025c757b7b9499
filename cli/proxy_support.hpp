#pragma once

#include "core/base/error.hpp"

#include <string>

namespace dbx::cli {

// A port as typed; empty: 0. Error: kind usage.
Result<int> parse_port(const std::string& text);

} // namespace dbx::cli
