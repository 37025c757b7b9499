#pragma once

#include "core/usage/json_walk.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::usage {

// A count as one of the dialects names it.
enum class Count : std::uint8_t {
    input,      // Anthropic, Responses
    output,     // Anthropic, Responses
    prompt,     // chat
    completion, // chat
    total,      // chat
    cache_creation,
    cache_read,
    ephemeral_5m,
    ephemeral_1h,
    cached,       // in *_tokens_details
    cached_write, // in *_tokens_details
    reasoning,
    gemini_prompt,
    gemini_cached,
    gemini_candidates,
    gemini_thoughts,
    gemini_total,
    gemini_tools,
};
inline constexpr std::size_t count_kinds = 18;

// Counts that were told; absent is not 0.
class Counts {
  public:
    bool has(Count kind) const { return (told_ & bit(kind)) != 0; }
    std::uint64_t get(Count kind) const { return has(kind) ? values_[static_cast<std::size_t>(kind)] : 0; }
    std::optional<std::uint64_t> find(Count kind) const {
        if (!has(kind)) return std::nullopt;
        return get(kind);
    }
    void set(Count kind, std::uint64_t value) {
        values_[static_cast<std::size_t>(kind)] = value;
        told_ |= bit(kind);
    }
    bool any() const { return told_ != 0; }
    void clear() { told_ = 0; }
    bool any_gemini() const {
        return has(Count::gemini_prompt) || has(Count::gemini_candidates) || has(Count::gemini_thoughts) ||
               has(Count::gemini_total);
    }
    bool any_chat() const { return has(Count::prompt) || has(Count::completion); }

  private:
    static std::uint32_t bit(Count kind) { return 1U << static_cast<unsigned>(kind); }
    std::array<std::uint64_t, count_kinds> values_{};
    std::uint32_t told_ = 0;
};

// What the events of all dialects tell, taken out of one JSON document as it passes: the sink of a JsonWalk.
class Picked {
  public:
    Counts counts;
    std::string model;
    std::string id;
    std::string type;             // at the top
    std::string error_class;      // not empty: the document tells an error
    std::uint64_t text_bytes = 0; // of what the model wrote in this document
    bool finished = false;        // a finishReason (Gemini) or the word [DONE]

    // Forgets everything; keeps the strings' memory.
    void clear();

    static int child(int place, std::string_view key);
    void enter(int place);
    void scalar(int place, const JsonScalar& value);

  private:
    int error_rank_ = 0; // of the word in error_class: the most telling one stays
    void take_error(int rank, std::string_view word);
};

} // namespace dbx::usage
