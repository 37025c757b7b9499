#pragma once

#include "tests/workspace/http.hpp"
#include "tests/workspace/state.hpp"

#include <cstdint>
#include <string>

namespace dbx::standin {

enum class Dialect { anthropic, responses, chat, gemini };

// Tokens of one answer, each counted once: `input` without cached tokens, `output` with reasoning.
struct Usage {
    std::int64_t input = 0;
    std::int64_t cache_read = 0;
    std::int64_t cache_write = 0; // only the Anthropic dialect can tell it
    std::int64_t output = 0;
    std::int64_t reasoning = 0;
};

Json to_record(const Usage& usage);

// One model answer, still without a shape.
struct Turn {
    std::string id; // number that makes the ids of this answer unique
    std::string model;
    std::string text;
    Usage usage;
    std::int64_t created = 0;   // seconds since 1970
    bool include_usage = false; // chat streams only tell usage when asked to
};

enum class Form { whole, sse, json_array };

Response render(Dialect dialect, const Turn& turn, Form form);

// An error in the shape of the model API itself, as some routes give it.
Response native_error(Dialect dialect, int status, const std::string& message);

// One event that tells of a failure inside an answer with status 200.
std::string error_event(Dialect dialect, const std::string& code, const std::string& message);

} // namespace dbx::standin
