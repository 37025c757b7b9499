#pragma once

#include "tests/workspace/context.hpp"
#include "tests/workspace/dialects.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace dbx::standin {

// The gateway route of a path, without /ai-gateway; `legacy` when the path has no such prefix (the deprecated
// host of its own, whose routes are directly at the root). Empty optional: not a gateway path.
struct GatewayPath {
    std::string route;
    bool legacy = false;
};
std::optional<GatewayPath> gateway_path(std::string_view path);

// The dialect whose shapes a route speaks; chat for what has none of its own.
Dialect dialect_of(std::string_view route);

Response gateway(Context& context, const GatewayPath& path);

} // namespace dbx::standin
