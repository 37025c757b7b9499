#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dbx::usage {

// The API that a request speaks: OpenAI Responses, OpenAI Chat Completions, Anthropic Messages, Gemini
// generateContent.
enum class Dialect : std::uint8_t { responses, chat, messages, gemini, unknown };

// "responses", "chat", "messages", "gemini", "unknown": the ledger's words.
std::string_view name_of(Dialect dialect);

// What the path of a request tells (with or without its query).
struct Route {
    Dialect dialect = Dialect::unknown;
    std::string name;  // "/anthropic/v1/messages": without the query; a Gemini model stands as {model}
    std::string model; // Gemini's, which stands in the path; decoded; empty elsewhere
    // A request for the model's work. Lists of models, count_tokens and HEAD are not: they make a row but
    // no limit counts them.
    bool generates = false;
};
Route route_of(std::string_view method, std::string_view target);

} // namespace dbx::usage
