#include "tests/workspace/dialects.hpp"

#include "tests/workspace/context.hpp"

namespace dbx::standin {

namespace {

std::string text_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string data_event(const Json& json) {
    return "data: " + text_of(json) + "\n\n";
}

std::string named_event(const Json& json) {
    return "event: " + json["type"].get<std::string>() + "\ndata: " + text_of(json) + "\n\n";
}

// Words with the blank that follows, never in the middle of a UTF-8 sequence; one piece at least.
std::vector<std::string> pieces(const std::string& text) {
    std::vector<std::string> out;
    std::string piece;
    for (const char c : text) {
        piece.push_back(c);
        if (c == ' ' || c == '\n') {
            out.push_back(piece);
            piece.clear();
        }
    }
    if (!piece.empty() || out.empty()) out.push_back(piece);
    return out;
}

Response stream() {
    Response response;
    response.streamed = true;
    response.with("content-type", "text/event-stream; charset=utf-8").with("cache-control", "no-cache");
    return response;
}

// --- Anthropic messages -------------------------------------------------------------------------------

Json anthropic_usage(const Usage& usage, std::int64_t output) {
    return {{"input_tokens", usage.input},
            {"cache_creation_input_tokens", usage.cache_write},
            {"cache_read_input_tokens", usage.cache_read},
            {"cache_creation",
             {{"ephemeral_5m_input_tokens", usage.cache_write}, {"ephemeral_1h_input_tokens", 0}}},
            {"output_tokens", output}};
}

Json anthropic_message(const Turn& turn) {
    return {{"id", "msg_" + turn.id},  {"type", "message"},        {"role", "assistant"},
            {"model", turn.model},     {"content", Json::array()}, {"stop_reason", nullptr},
            {"stop_sequence", nullptr}};
}

// The first usage carries the input counts and a placeholder output; message_delta has the final output.
Response anthropic(const Turn& turn, Form form) {
    Json message = anthropic_message(turn);
    if (form == Form::whole) {
        message["content"].push_back({{"type", "text"}, {"text", turn.text}});
        message["stop_reason"] = "end_turn";
        message["usage"] = anthropic_usage(turn.usage, turn.usage.output);
        return json_response(200, message);
    }
    Response response = stream();
    message["usage"] = anthropic_usage(turn.usage, 1);
    auto& events = response.events;
    events.push_back(named_event({{"type", "message_start"}, {"message", message}}));
    events.push_back(named_event({{"type", "content_block_start"},
                                  {"index", 0},
                                  {"content_block", {{"type", "text"}, {"text", ""}}}}));
    events.push_back(named_event({{"type", "ping"}}));
    for (const std::string& piece : pieces(turn.text))
        events.push_back(named_event({{"type", "content_block_delta"},
                                      {"index", 0},
                                      {"delta", {{"type", "text_delta"}, {"text", piece}}}}));
    events.push_back(named_event({{"type", "content_block_stop"}, {"index", 0}}));
    events.push_back(named_event({{"type", "message_delta"},
                                  {"delta", {{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}}},
                                  {"usage", anthropic_usage(turn.usage, turn.usage.output)}}));
    events.push_back(named_event({{"type", "message_stop"}}));
    return response;
}

// --- OpenAI responses ---------------------------------------------------------------------------------

Json responses_usage(const Usage& usage) {
    const std::int64_t input = usage.input + usage.cache_read;
    return {{"input_tokens", input},
            {"input_tokens_details", {{"cached_tokens", usage.cache_read}}},
            {"output_tokens", usage.output},
            {"output_tokens_details", {{"reasoning_tokens", usage.reasoning}}},
            {"total_tokens", input + usage.output}};
}

Response responses(const Turn& turn, Form form) {
    const std::string item_id = "msg_" + turn.id;
    const Json part = {{"type", "output_text"}, {"text", turn.text}, {"annotations", Json::array()}};
    const Json item = {{"id", item_id},
                       {"type", "message"},
                       {"status", "completed"},
                       {"role", "assistant"},
                       {"content", Json::array({part})}};
    Json whole = {{"id", "resp_" + turn.id},
                  {"object", "response"},
                  {"created_at", turn.created},
                  {"status", "completed"},
                  {"error", nullptr},
                  {"incomplete_details", nullptr},
                  {"model", turn.model},
                  {"output", Json::array({item})},
                  {"parallel_tool_calls", true},
                  {"store", false},
                  {"usage", responses_usage(turn.usage)}};
    if (form == Form::whole) return json_response(200, whole);

    Response response = stream();
    std::int64_t sequence = 0;
    const auto add = [&](Json event) {
        event["sequence_number"] = sequence++;
        response.events.push_back(named_event(event));
    };
    Json begun = whole;
    begun["status"] = "in_progress";
    begun["output"] = Json::array();
    begun["usage"] = nullptr;
    add({{"type", "response.created"}, {"response", begun}});
    add({{"type", "response.in_progress"}, {"response", begun}});
    Json empty_item = item;
    empty_item["status"] = "in_progress";
    empty_item["content"] = Json::array();
    add({{"type", "response.output_item.added"}, {"output_index", 0}, {"item", empty_item}});
    const Json where = {{"item_id", item_id}, {"output_index", 0}, {"content_index", 0}};
    const auto at = [&](const char* type, const char* key, const Json& value) {
        Json event = where;
        event["type"] = type;
        event[key] = value;
        add(std::move(event));
    };
    Json empty_part = part;
    empty_part["text"] = "";
    at("response.content_part.added", "part", empty_part);
    for (const std::string& piece : pieces(turn.text)) at("response.output_text.delta", "delta", piece);
    at("response.output_text.done", "text", turn.text);
    at("response.content_part.done", "part", part);
    add({{"type", "response.output_item.done"}, {"output_index", 0}, {"item", item}});
    add({{"type", "response.completed"}, {"response", whole}});
    return response;
}

// --- Chat completions -----------------------------------------------------------------------------------

Json chat_usage(const Usage& usage) {
    const std::int64_t input = usage.input + usage.cache_read;
    return {{"prompt_tokens", input},
            {"completion_tokens", usage.output},
            {"total_tokens", input + usage.output},
            {"prompt_tokens_details", {{"cached_tokens", usage.cache_read}}},
            {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning}}}};
}

Response chat(const Turn& turn, Form form) {
    if (form == Form::whole)
        return json_response(
            200, {{"id", "chatcmpl_" + turn.id},
                  {"object", "chat.completion"},
                  {"created", turn.created},
                  {"model", turn.model},
                  {"choices", Json::array({Json{{"index", 0},
                                                {"message", {{"role", "assistant"}, {"content", turn.text}}},
                                                {"finish_reason", "stop"}}})},
                  {"usage", chat_usage(turn.usage)}});
    Response response = stream();
    const auto add = [&](const Json& choices, const Json& usage) {
        Json event = {{"id", "chatcmpl_" + turn.id},
                      {"object", "chat.completion.chunk"},
                      {"created", turn.created},
                      {"model", turn.model},
                      {"choices", choices}};
        if (turn.include_usage) event["usage"] = usage;
        response.events.push_back(data_event(event));
    };
    const auto choice = [](const Json& delta, const Json& reason) {
        return Json::array({Json{{"index", 0}, {"delta", delta}, {"finish_reason", reason}}});
    };
    add(choice({{"role", "assistant"}, {"content", ""}}, nullptr), nullptr);
    for (const std::string& piece : pieces(turn.text)) add(choice({{"content", piece}}, nullptr), nullptr);
    add(choice(Json::object(), "stop"), nullptr);
    if (turn.include_usage) add(Json::array(), chat_usage(turn.usage));
    response.events.push_back("data: [DONE]\n\n");
    return response;
}

// --- Gemini ---------------------------------------------------------------------------------------------

Json gemini_chunk(const Turn& turn, const std::string& text, bool last, std::int64_t candidates) {
    Json candidate = {{"content", {{"role", "model"}, {"parts", Json::array({Json{{"text", text}}})}}},
                      {"index", 0}};
    if (last) candidate["finishReason"] = "STOP";
    const std::int64_t prompt = turn.usage.input + turn.usage.cache_read;
    return {{"candidates", Json::array({candidate})},
            {"usageMetadata",
             {{"promptTokenCount", prompt},
              {"cachedContentTokenCount", turn.usage.cache_read},
              {"candidatesTokenCount", candidates},
              {"thoughtsTokenCount", turn.usage.reasoning},
              {"totalTokenCount", prompt + candidates + turn.usage.reasoning}}},
            {"modelVersion", turn.model},
            {"responseId", "gem_" + turn.id}};
}

// Counts grow from chunk to chunk: the last usageMetadata counts, they are not to be added.
Response gemini(const Turn& turn, Form form) {
    const std::int64_t candidates = turn.usage.output - turn.usage.reasoning;
    if (form == Form::whole) return json_response(200, gemini_chunk(turn, turn.text, true, candidates));
    Response response = stream();
    if (form == Form::json_array) response.headers[0].second = "application/json; charset=utf-8";
    const auto parts = pieces(turn.text);
    const auto count = static_cast<std::int64_t>(parts.size());
    for (std::int64_t i = 0; i < count; ++i) {
        const Json json = gemini_chunk(turn, parts[static_cast<std::size_t>(i)], i + 1 == count,
                                       candidates * (i + 1) / count);
        response.events.push_back(form == Form::sse ? "data: " + text_of(json) + "\r\n\r\n"
                                                    : (i == 0 ? "[" : ",\r\n") + text_of(json) +
                                                          (i + 1 == count ? "]" : ""));
    }
    return response;
}

} // namespace

Json to_record(const Usage& usage) {
    return {{"input", usage.input},
            {"cache_read", usage.cache_read},
            {"cache_write", usage.cache_write},
            {"output", usage.output},
            {"reasoning", usage.reasoning}};
}

Response render(Dialect dialect, const Turn& turn, Form form) {
    switch (dialect) {
    case Dialect::anthropic:
        return anthropic(turn, form);
    case Dialect::responses:
        return responses(turn, form);
    case Dialect::chat:
        return chat(turn, form);
    case Dialect::gemini:
        return gemini(turn, form);
    }
    return {};
}

namespace {

const char* word_for(int status, const char* bad, const char* unauthorized, const char* forbidden,
                     const char* missing, const char* limited, const char* overloaded, const char* other) {
    switch (status) {
    case 400:
        return bad;
    case 401:
        return unauthorized;
    case 403:
        return forbidden;
    case 404:
        return missing;
    case 429:
        return limited;
    case 529:
    case 503:
        return overloaded;
    default:
        return other;
    }
}

} // namespace

Response native_error(Dialect dialect, int status, const std::string& message) {
    switch (dialect) {
    case Dialect::anthropic:
        return json_response(
            status,
            {{"type", "error"},
             {"error",
              {{"type", word_for(status, "invalid_request_error", "authentication_error", "permission_error",
                                 "not_found_error", "rate_limit_error", "overloaded_error", "api_error")},
               {"message", message}}},
             {"request_id", "req_standin"}});
    case Dialect::gemini: {
        Json error = {{"code", status},
                      {"message", message},
                      {"status", word_for(status, "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED",
                                          "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL")}};
        if (status == 429)
            error["details"] = Json::array(
                {Json{{"@type", "type.googleapis.com/google.rpc.RetryInfo"}, {"retryDelay", "7s"}}});
        return json_response(status, {{"error", error}});
    }
    case Dialect::responses:
    case Dialect::chat:
        break;
    }
    return json_response(
        status,
        {{"error",
          {{"message", message},
           {"type", word_for(status, "invalid_request_error", "authentication_error", "permission_error",
                             "invalid_request_error", "rate_limit_error", "server_error", "server_error")},
           {"param", nullptr},
           {"code", word_for(status, "invalid_value", "invalid_api_key", "forbidden", "model_not_found",
                             "rate_limit_exceeded", "server_error", "server_error")}}}});
}

std::string error_event(Dialect dialect, const std::string& code, const std::string& message) {
    switch (dialect) {
    case Dialect::anthropic:
        return named_event({{"type", "error"}, {"error", {{"type", code}, {"message", message}}}});
    case Dialect::responses:
        return named_event({{"type", "response.failed"},
                            {"response",
                             {{"id", "resp_failed"},
                              {"status", "failed"},
                              {"error", {{"code", code}, {"message", message}}}}}});
    case Dialect::gemini:
        return data_event({{"error", {{"code", 429}, {"message", message}, {"status", code}}}});
    case Dialect::chat:
        break;
    }
    return data_event(
        {{"error", {{"message", message}, {"type", code}, {"param", nullptr}, {"code", code}}}});
}

} // namespace dbx::standin
