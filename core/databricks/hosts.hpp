#pragma once

#include "core/base/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace dbx::databricks {

// A workspace as users paste it ("ADB-1.2.azuredatabricks.net/", "https://ws/?o=123#job/4") as
// "https://host[:port]", lower case. Errors (kind usage) for http to anything but a loopback address,
// credentials, gateway hosts and the account console.
Result<std::string> normalise_workspace(std::string_view text);

// The gateway root of a normalised workspace: "https://HOST/ai-gateway".
std::string gateway_of_workspace(std::string_view workspace);

// A gateway URL as users paste it, cut back to its root: everything after /ai-gateway, or from the first
// route name (cursor, openai, codex, gemini, anthropic, mlflow) on, goes. Otherwise it stays as it is. Same
// errors.
Result<std::string> normalise_gateway(std::string_view text);

// The --upstream of the proxy: like a gateway, any http(s) address that may receive a token.
Result<std::string> normalise_upstream(std::string_view text);

// "https://HOST" for a gateway root of the form https://HOST/ai-gateway; nothing for a dedicated gateway
// host.
std::optional<std::string> workspace_of_gateway(std::string_view gateway);

// Questions about a normalised URL. A URL that does not parse answers no.
bool is_loopback(std::string_view url);           // localhost, *.localhost, 127.0.0.0/8, [::1]
bool is_deprecated_gateway(std::string_view url); // <workspace id>.ai-gateway.<cloud domain>
bool is_databricks_host(std::string_view url);    // a host in one of the Databricks domains
bool is_azure_host(std::string_view url);

// Scheme, host and port are the same, however they are written.
bool same_origin(std::string_view a, std::string_view b);

} // namespace dbx::databricks
