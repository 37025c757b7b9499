#pragma once

#include "core/databricks/target.hpp"
#include "core/http/client.hpp"
#include "core/proxy/policy.hpp"
#include "core/proxy/server.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/settings.hpp"
#include "core/usage/ledger.hpp"
#include "core/usage/limiter.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::proxy {

// "30s", "500ms", "10m", "2h", or a bare number of seconds. Error: kind usage.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// The settings proxy.port, proxy.bind, proxy.threads, proxy.drain, proxy.log_level. Errors: a value that
// makes no sense, with its origin; an address that other machines reach without `allow_remote`.
Result<ServerOptions> server_options(const state::Settings& settings, bool allow_remote);

// Who may come in and where requests go. `target` says gateway and workspace. Errors: no gateway, a model
// rule that is not whole, what relay_policy() and limiter_options() refuse.
Result<std::shared_ptr<Policy>> make_policy(const state::Settings& settings, const databricks::Target& target,
                                            const state::LocalKeys& keys, const http::ClientOptions& client,
                                            const std::string& bind, int port);

// What the relay does: otel.tables, otel.traces, otel.resource_attributes, otel.drop_attributes,
// proxy.spool_size, proxy.spool_age, proxy.export_usage. Errors: a value that makes no sense, with its
// origin.
Result<RelayPolicy> relay_policy(const state::Settings& settings, const databricks::Target& target);

// "64MB", "512 KB", "1GiB", or a bare number of bytes. Error: kind usage.
Result<std::uint64_t> parse_size(std::string_view text);

// The limits and budgets of the settings, with those of the flags (proxy.rpm, proxy.tpm,
// proxy.max_concurrent, proxy.hold). Errors: a number that is none.
Result<usage::Limiter::Options> limiter_options(const state::Settings& settings);

// Where the ledger is and how long it keeps its rows: --ledger, ledger.file, ledger.keep. Nothing:
// --no-ledger.
Result<std::optional<usage::Ledger::Options>> ledger_options(const state::Settings& settings,
                                                             const system::Environment& environment);

} // namespace dbx::proxy
