#pragma once

#include "core/usage/json_walk.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::usage {

// Finds a few members of the JSON object that a request's body is, from pieces of any size, without keeping
// or parsing the rest (strings and nesting are skipped by bytes). No allocation except the model's name.
class RequestScan {
  public:
    // A part of the body, in bytes from its begin: the model's raw string without its quotes, as it may be
    // replaced in passing.
    struct Span {
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
    };

    // The next bytes of the body. Returns at once when settled().
    void see(std::string_view bytes);

    // Nothing more will be found: model and stream are known, or the object ended, or it is not one.
    bool settled() const { return settled_; }
    // The body ended or was no JSON object.
    bool broken() const { return walk_.broken(); }

    const std::optional<std::string>& model() const { return model_; } // escapes resolved
    std::optional<Span> model_span() const { return span_; }
    std::optional<bool> stream() const { return stream_; }
    // max_tokens, max_completion_tokens, max_output_tokens or maxOutputTokens, if it came before the rest.
    std::optional<std::uint64_t> output_cap() const { return cap_; }

  private:
    JsonWalk walk_;
    bool settled_ = false;
    std::optional<std::string> model_;
    std::optional<Span> span_;
    std::optional<bool> stream_;
    std::optional<std::uint64_t> cap_;
};

} // namespace dbx::usage
