#include "core/usage/picked.hpp"

#include <charconv>

namespace dbx::usage {

namespace {

// No request has more; what says so is broken, and sums must not overflow.
constexpr std::uint64_t count_limit = 1'000'000'000'000;
constexpr std::size_t name_limit = 128;
constexpr std::size_t class_limit = 64;

enum Place : int {
    top,
    inner, // `response` of the Responses' events, `message` of message_start
    usage,
    input_details,
    output_details,
    cache_creation,
    gemini_usage,
    error,
    delta,
    choices,
    choice_text, // `delta` or `message` of a choice
    tool_calls,
    tool_function,
    candidates,
    candidate_content,
    parts,
    // leaves
    leaf_type,
    leaf_model,
    leaf_id,
    leaf_text,
    leaf_finish,
    leaf_error_code,   // error.code, or at the top
    leaf_error_status, // Gemini's RESOURCE_EXHAUSTED; Databricks' error_code
    leaf_error_type,
    leaf_counts, // + Count
};
constexpr int leaf(Count kind) {
    return leaf_counts + static_cast<int>(kind);
}

int child_of_top(std::string_view key, bool at_top) {
    switch (key.size()) {
    case 2:
        return key == "id" ? leaf_id : -1;
    case 4:
        if (key == "type") return at_top ? leaf_type : -1;
        return key == "code" && at_top ? leaf_error_code : -1;
    case 5:
        if (key == "usage") return usage;
        if (key == "model") return leaf_model;
        if (key == "error") return error;
        return key == "delta" ? delta : -1;
    case 7:
        if (key == "choices") return choices;
        return key == "message" && at_top ? inner : -1;
    case 8:
        return key == "response" && at_top ? inner : -1;
    case 10:
        if (key == "candidates") return candidates;
        if (key == "responseId") return leaf_id;
        return key == "error_code" ? leaf_error_status : -1; // {"error_code", "message"}: Databricks
    case 12:
        return key == "modelVersion" ? leaf_model : -1;
    case 13:
        return key == "usageMetadata" ? gemini_usage : -1;
    default:
        return -1;
    }
}

int child_of_usage(std::string_view key) {
    switch (key.size()) {
    case 12:
        if (key == "input_tokens") return leaf(Count::input);
        return key == "total_tokens" ? leaf(Count::total) : -1;
    case 13:
        if (key == "output_tokens") return leaf(Count::output);
        return key == "prompt_tokens" ? leaf(Count::prompt) : -1;
    case 14:
        return key == "cache_creation" ? cache_creation : -1;
    case 17:
        return key == "completion_tokens" ? leaf(Count::completion) : -1;
    case 20:
        return key == "input_tokens_details" ? input_details : -1;
    case 21:
        if (key == "prompt_tokens_details") return input_details;
        return key == "output_tokens_details" ? output_details : -1;
    case 23:
        return key == "cache_read_input_tokens" ? leaf(Count::cache_read) : -1;
    case 25:
        return key == "completion_tokens_details" ? output_details : -1;
    case 27:
        return key == "cache_creation_input_tokens" ? leaf(Count::cache_creation) : -1;
    default:
        return -1;
    }
}

int child_of_gemini_usage(std::string_view key) {
    if (key == "promptTokenCount") return leaf(Count::gemini_prompt);
    if (key == "cachedContentTokenCount") return leaf(Count::gemini_cached);
    if (key == "candidatesTokenCount") return leaf(Count::gemini_candidates);
    if (key == "thoughtsTokenCount") return leaf(Count::gemini_thoughts);
    if (key == "totalTokenCount") return leaf(Count::gemini_total);
    if (key == "toolUsePromptTokenCount") return leaf(Count::gemini_tools);
    return -1;
}

std::optional<std::uint64_t> number_of(const JsonScalar& value) {
    if (value.is_string) return std::nullopt;
    const auto* const begin = value.raw.data();
    const auto* const end = begin + value.raw.size();
    std::uint64_t number = 0;
    const auto whole = std::from_chars(begin, end, number);
    if (whole.ec != std::errc()) return std::nullopt;
    if (whole.ptr != end) { // 12.0, 1e3
        double real = 0;
        if (std::from_chars(begin, end, real).ec != std::errc() || !(real >= 0)) return std::nullopt;
        number = real > static_cast<double>(count_limit) ? count_limit + 1 : static_cast<std::uint64_t>(real);
    }
    if (number > count_limit) return std::nullopt;
    return number;
}

// A name without anything that would have to be escaped.
void take_name(std::string& into, const JsonScalar& value) {
    if (!into.empty() || !value.is_string || value.length > name_limit) return;
    for (const char c : value.raw) {
        if (static_cast<unsigned char>(c) < 0x21 || static_cast<unsigned char>(c) > 0x7e || c == '\\') return;
    }
    into.assign(value.raw);
}

} // namespace

void Picked::clear() {
    counts.clear();
    model.clear();
    id.clear();
    type.clear();
    error_class.clear();
    text_bytes = 0;
    finished = false;
    error_rank_ = 0;
}

int Picked::child(int place, std::string_view key) {
    switch (place) {
    case top:
        return child_of_top(key, true);
    case inner:
        return child_of_top(key, false);
    case usage:
        return child_of_usage(key);
    case input_details:
        if (key == "cached_tokens") return leaf(Count::cached);
        return key == "cache_write_tokens" ? leaf(Count::cached_write) : -1;
    case output_details:
        return key == "reasoning_tokens" ? leaf(Count::reasoning) : -1;
    case cache_creation:
        if (key == "ephemeral_5m_input_tokens") return leaf(Count::ephemeral_5m);
        return key == "ephemeral_1h_input_tokens" ? leaf(Count::ephemeral_1h) : -1;
    case gemini_usage:
        return child_of_gemini_usage(key);
    case error:
        if (key == "type") return leaf_error_type;
        if (key == "code") return leaf_error_code;
        return key == "status" ? leaf_error_status : -1;
    case delta:
        return key == "text" || key == "thinking" || key == "partial_json" ? leaf_text : -1;
    case choices:
        return key == "delta" || key == "message" ? choice_text : -1;
    case choice_text:
        if (key == "content") return parts; // a string, or (reasoning models) an array of parts
        if (key == "reasoning_content" || key == "refusal") return leaf_text;
        return key == "tool_calls" ? tool_calls : -1;
    case tool_calls:
        return key == "function" ? tool_function : -1;
    case tool_function:
        return key == "arguments" ? leaf_text : -1;
    case candidates:
        if (key == "content") return candidate_content;
        return key == "finishReason" ? leaf_finish : -1;
    case candidate_content:
        return key == "parts" ? parts : -1;
    case parts:
        if (key == "text") return leaf_text;
        return key == "summary" ? parts : -1;
    default:
        return -1;
    }
}

void Picked::enter(int place) {
    // A later usage object replaces the whole earlier one (Gemini tells growing ones in an array of answers).
    if (place == usage || place == gemini_usage) counts.clear();
    if (place == error) take_error(1, "error");
}

void Picked::scalar(int place, const JsonScalar& value) {
    if (place >= leaf_counts) {
        if (const auto number = number_of(value))
            counts.set(static_cast<Count>(place - leaf_counts), *number);
        return;
    }
    switch (place) {
    case top:
        finished = finished || value.raw == "DONE";
        break; // "[DONE]" reads as an array of one word
    case leaf_type:
        if (value.is_string && value.length <= name_limit) type.assign(value.raw);
        break;
    case leaf_model:
        take_name(model, value);
        break;
    case leaf_id:
        take_name(id, value);
        break;
    case delta:
    case parts:
    case leaf_text:
        if (value.is_string) text_bytes += value.length;
        break;
    case leaf_finish:
        finished = finished || value.is_string;
        break;
    case error: // {"error": "words"}
        if (value.is_string) take_error(1, "error");
        break;
    case leaf_error_type:
        if (value.is_string) take_error(2, value.raw);
        break;
    case leaf_error_code:
        if (value.is_string) take_error(3, value.raw);
        break;
    case leaf_error_status:
        if (value.is_string) take_error(4, value.raw);
        break;
    default:
        break;
    }
}

void Picked::take_error(int rank, std::string_view word) {
    if (rank <= error_rank_ || word.empty() || word.size() > class_limit) return;
    for (const char c : word) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '_' || c == '.' || c == '-';
        if (!plain) return;
    }
    error_rank_ = rank;
    error_class.assign(word);
}

} // namespace dbx::usage
