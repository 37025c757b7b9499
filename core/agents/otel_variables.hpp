#pragma once

#include "core/otlp/names.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dbx::agents {

// The documents' variables for any program with an OpenTelemetry SDK, in their order. What is not known stays
// a placeholder in angle brackets; the token always does. `workspace` without a slash at its end, or empty.
std::vector<std::pair<std::string, std::string>> otel_variables(const std::string& workspace,
                                                                const std::optional<otlp::Place>& place);

} // namespace dbx::agents
