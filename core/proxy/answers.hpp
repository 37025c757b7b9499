#pragma once

#include "core/proxy/routes.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::proxy {

// An answer that the proxy itself makes instead of the gateway.
struct Refusal {
    int status = 500;
    std::string_view name; // x-dbx-agents-error: "wrong-key"
    std::string message;   // what is wrong and what to do, for the person at the agent; no secret
    bool retry = false;    // false: x-should-retry: false, a retry changes nothing
    std::optional<std::chrono::seconds> retry_after = {};
    std::string_view limit = {}; // x-dbx-agents-limit: the rule that refused
    bool close = false;          // the connection cannot be used any further
    // Waiting here and now is of no use: the agent's turn ends with the message, and with this time.
    std::optional<std::chrono::system_clock::time_point> resets_at = {};
};

// Codex before 0.159 ends its turn at any 429, whatever Retry-After says (measured on 0.133 and 0.158).
bool gives_up_at_429(std::string_view user_agent);

// "Not Found"; "Error" for a status without a name here.
std::string_view reason_of(int status);

// The body of an error as clients of that dialect read it: JSON, or protobuf for otlp_protobuf.
std::string error_body(Dialect dialect, const Refusal& refusal);

// The whole message. `head_only`: the answer to HEAD.
std::string render(const Refusal& refusal, Dialect dialect, bool head_only, bool close);
std::string render(int status, std::string_view content_type, std::string_view body, bool head_only,
                   bool close);

} // namespace dbx::proxy
