#pragma once

#include "core/http/client.hpp"
#include "core/proxy/spool.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace dbx::proxy {

// What becomes of a batch after the workspace's answer to it.
struct Verdict {
    enum class Kind {
        delivered,
        new_token, // the token was refused: at once with another one, if there is one; else later
        later,     // the workspace or the way to it has trouble
        aside,     // this batch will never be taken, or not before somebody changes something
    };
    Kind kind = Kind::later;
    Spool::Rejection why;                           // not of `delivered`
    std::optional<std::chrono::milliseconds> asked; // Retry-After
    std::uint64_t not_taken = 0;                    // of a delivered one: items that the workspace refused
    std::string not_taken_why;
};

// `answers`: how often this batch met an error of the server, with this time. By OTLP/HTTP's rules (429, 502,
// 503 and 504 are worth a retry, other errors are not), with what workspaces do beyond: a redirect, a log-in
// page or an IP access list says nothing about the batch, and neither does a token without the scope.
Verdict judge(const http::Response& response, int answers, system::WallTime now);
Verdict judge(const http::Failure& failure, const std::string& url);

// How long to wait after so many attempts in a row that failed: doubling from a second to a minute, half of
// it by `random` in [0, 1); at least what the server asked for, up to ten minutes.
std::chrono::milliseconds wait_after(int attempts, std::optional<std::chrono::milliseconds> asked,
                                     double random);

} // namespace dbx::proxy
