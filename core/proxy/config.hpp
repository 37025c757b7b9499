#pragma once

#include "core/databricks/target.hpp"
#include "core/http/client.hpp"
#include "core/proxy/policy.hpp"
#include "core/proxy/server.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/settings.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace dbx::proxy {

// "30s", "500ms", "10m", "2h", or a bare number of seconds. Error: kind usage.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// The settings proxy.port, proxy.bind, proxy.threads, proxy.drain, proxy.log_level. Errors: a value that
// makes no sense, with its origin; an address that other machines reach without `allow_remote`.
Result<ServerOptions> server_options(const state::Settings& settings, bool allow_remote);

// Who may come in and where requests go. `target` says gateway and workspace. Errors: no gateway, a model
// rule that is not whole.
Result<std::shared_ptr<const Policy>>
make_policy(const state::Settings& settings, const databricks::Target& target, const state::LocalKeys& keys,
            const http::ClientOptions& client, const std::string& bind, int port);

} // namespace dbx::proxy
