#pragma once

#include "core/http/client.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace dbx::http {

// The waiting side of time, as a seam: no test sleeps.
class Pacer {
  public:
    virtual ~Pacer() = default;
    virtual std::chrono::steady_clock::time_point now() const = 0;
    virtual system::WallTime wall_now() const = 0;
    // False when it ended early because the user interrupted.
    virtual bool wait(std::chrono::milliseconds time) = 0;
    // In [0, 1).
    virtual double random() = 0;
};

class RealPacer : public Pacer {
  public:
    std::chrono::steady_clock::time_point now() const override;
    system::WallTime wall_now() const override;
    bool wait(std::chrono::milliseconds time) override;
    double random() override;
};

struct RetryPolicy {
    std::chrono::milliseconds first_wait{1'000};
    std::chrono::milliseconds longest_wait{10'000}; // of our own choice; Retry-After may ask for more
    std::chrono::milliseconds total{300'000};       // no new attempt begins after this
    int attempts = 20;
};

enum class Repeatable {
    yes,         // doing it twice is doing it once
    only_unsent, // repeated only when it cannot have reached the server, or the server said "not now" (429,
                 // 503)
};

// Retry-After of a response, in seconds or as an HTTP date (RFC 9110), never negative; nothing when absent or
// unreadable.
std::optional<std::chrono::milliseconds> retry_after(const Response& response, system::WallTime now);

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<system::WallTime> parse_http_date(std::string_view text);

bool worth_repeating(const Response& response, Repeatable repeatable);
bool worth_repeating(const Failure& failure, Repeatable repeatable);

// How long to wait before attempt `done` + 1: at least what the server asked for, otherwise growing (1, 2, 4
// … longest) with `random` in [0, 1) of jitter (half to full). Nothing: give up (attempts used up, or it
// would go over the total).
std::optional<std::chrono::milliseconds> next_wait(const RetryPolicy& policy, int done,
                                                   std::chrono::milliseconds elapsed,
                                                   std::optional<std::chrono::milliseconds> asked,
                                                   double random);

// Sends until there is an answer worth keeping or the policy ends; then the last answer or failure. A user's
// interrupt while waiting is a failure `interrupted`.
tl::expected<Response, Failure> send_with_retries(HttpClient& client, const Request& request,
                                                  Repeatable repeatable, const RetryPolicy& policy,
                                                  Pacer& pacer);

} // namespace dbx::http
