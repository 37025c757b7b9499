#pragma once

#include "core/usage/dialect.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::usage {

// What one answer used. A count that the upstream did not tell is absent, never 0. `input` excludes what
// came from or went to the cache, `output` includes reasoning, in every dialect.
struct Usage {
    std::optional<std::uint64_t> input;
    std::optional<std::uint64_t> cache_read;
    std::optional<std::uint64_t> cache_write; // all of it; the two below are parts of it where told
    std::optional<std::uint64_t> cache_write_5m;
    std::optional<std::uint64_t> cache_write_1h;
    std::optional<std::uint64_t> output;
    std::optional<std::uint64_t> reasoning; // part of output
    // Output tokens by the size of the text that passed (bytes / 4); what limits settle on when `output` is
    // absent.
    std::uint64_t output_estimate = 0;
    bool partial = false;       // the answer was cut before its last count: the numbers are a lower bound
    std::string model_answered; // as the upstream names it
    std::string upstream_id;    // the answer's own id ("msg_…", "resp_…")
    // The kind of error in the body or in the stream ("overloaded_error", "rate_limit_exceeded",
    // "RESOURCE_EXHAUSTED"); only letters, digits, "_.-", at most 64. A stream with status 200 that has one
    // failed. Never the message: it may quote the prompt.
    std::string error_class;

    // What limits and token budgets count: input, cache writes and output; nothing for reads of the cache.
    std::uint64_t counted() const;
    bool known() const { return input || output; }
    void forget_counts();
};

// How an answer came to its end, as the proxy saw it: `cut` = the upstream broke off or the client went away.
enum class End { complete, cut };

// Reads the usage out of one answer's body while it passes. One object per answer, one thread; see() never
// blocks and keeps about a kilobyte whatever the size of the body (30 more when it is compressed).
class Meter {
  public:
    // `content_type` and `content_encoding` as in the answer's header ("" when there is none). gzip and
    // deflate are decoded in a copy; of other encodings nothing is known.
    Meter(Dialect dialect, std::string_view content_type, std::string_view content_encoding);
    Meter(Meter&&) noexcept;
    Meter& operator=(Meter&&) noexcept;
    ~Meter();

    // The next bytes of the body (framing of HTTP taken off), in any slices.
    void see(std::string_view bytes);

    // Whether the answer's own last event has been seen (message_stop, response.completed, [DONE]): a client
    // that goes away after it has everything.
    bool saw_end() const;

    // The result. Nothing may be seen afterwards.
    Usage finish(End end);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace dbx::usage
