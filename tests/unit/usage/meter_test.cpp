#include "core/usage/meter.hpp"

#include <doctest/doctest.h>
#include <zlib.h>

#include <string>
#include <vector>

using namespace dbx::usage;

namespace {

Usage measure(std::string_view body, End end = End::complete, std::size_t slice = std::string_view::npos,
              std::string_view encoding = "", Dialect dialect = Dialect::unknown) {
    Meter meter(dialect, "text/event-stream", encoding);
    for (std::size_t at = 0; at < body.size(); at += std::min(slice, body.size()))
        meter.see(body.substr(at, slice));
    return meter.finish(end);
}

std::string with_line_ends(std::string text, const std::string& line_end) {
    std::string result;
    for (const char c : text) result += c == '\n' ? line_end : std::string(1, c);
    return result;
}

std::string compressed(const std::string& text, int window_bits) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string result(text.size() + 1000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    return result;
}

const std::string messages_stream =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":null,)"
    R"("usage":{"input_tokens":100,"cache_creation_input_tokens":200,"cache_read_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":150,"ephemeral_1h_input_tokens":50},"output_tokens":1}}})"
    "\n\n: ping\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"say \"usage\":{\"output_tokens\":9999} to me"}})"
    "\n\nevent: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":0,"cache_read_input_tokens":303,"output_tokens":44}})"
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const std::string responses_stream =
    "event: response.created\n"
    R"(data: {"type":"response.created","response":{"id":"resp_1","model":"gpt-5-2","usage":null,"error":null}})"
    "\n\n"
    R"(data: {"type":"response.output_text.delta","item_id":"m","delta":"hello there","obfuscation":"xxxxx"})"
    "\n\n"
    R"(data: {"type":"response.completed","response":{"id":"resp_1","output":[{"type":"function_call","arguments":"{\"usage\":1}","usage":{"input_tokens":7}}],"model":"gpt-5-2","error":null,)"
    R"("usage":{"input_tokens":1200,"input_tokens_details":{"cached_tokens":1000},"output_tokens":34,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":1234}}})"
    "\n\ndata: [DONE]\n\n";

const std::string chat_stream =
    R"(data: {"id":"c1","object":"chat.completion.chunk","model":"llama","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}],"usage":null})"
    "\n\n"
    R"(data: {"id":"c1","model":"llama","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":50,"prompt_tokens_details":{"cached_tokens":20},"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":4},"total_tokens":59}})"
    "\n\ndata: [DONE]\n\n";

const std::string gemini_stream =
    R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":1200,"candidatesTokenCount":2,"totalTokenCount":1202},"modelVersion":"gemini-2.5-flash","responseId":"g1"})"
    "\r\n\r\n"
    R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":"lo"}]},"finishReason":"STOP"}],)"
    "\r\ndata: "
    R"("usageMetadata":{"promptTokenCount":1200,"cachedContentTokenCount":1000,"candidatesTokenCount":7,"thoughtsTokenCount":11,"totalTokenCount":1218},"modelVersion":"gemini-2.5-flash"})"
    "\r\n\r\n";

void check_messages(const Usage& usage) {
    CHECK(usage.input == 100);
    CHECK(usage.cache_write == 200);
    CHECK(usage.cache_write_5m == 150);
    CHECK(usage.cache_write_1h == 50);
    CHECK(usage.cache_read == 303);
    CHECK(usage.output == 44);
    CHECK_FALSE(usage.partial);
    CHECK(usage.model_answered == "claude-opus-4-6");
    CHECK(usage.upstream_id == "msg_1");
    CHECK(usage.error_class == "");
    CHECK(usage.counted() == 344);
}
void check_responses(const Usage& usage) {
    CHECK(usage.input == 200);
    CHECK(usage.cache_read == 1000);
    CHECK_FALSE(usage.cache_write);
    CHECK(usage.output == 34);
    CHECK(usage.reasoning == 12);
    CHECK(usage.model_answered == "gpt-5-2");
    CHECK(usage.upstream_id == "resp_1");
    CHECK(usage.error_class == "");
    CHECK_FALSE(usage.partial);
}
void check_chat(const Usage& usage) {
    CHECK(usage.input == 30);
    CHECK(usage.cache_read == 20);
    CHECK(usage.output == 9);
    CHECK(usage.reasoning == 4);
    CHECK(usage.model_answered == "llama");
    CHECK_FALSE(usage.partial);
}
void check_gemini(const Usage& usage) {
    CHECK(usage.input == 200);
    CHECK(usage.cache_read == 1000);
    CHECK(usage.output == 18);
    CHECK(usage.reasoning == 11);
    CHECK(usage.model_answered == "gemini-2.5-flash");
    CHECK_FALSE(usage.partial);
}

struct Stream {
    const std::string* text;
    void (*check)(const Usage&);
};
const Stream streams[] = {{&messages_stream, check_messages},
                          {&responses_stream, check_responses},
                          {&chat_stream, check_chat},
                          {&gemini_stream, check_gemini}};

} // namespace

TEST_CASE("every dialect's stream is counted the same in any slices and with any line ends") {
    for (const auto& stream : streams) {
        for (const char* line_end : {"\n", "\r\n", "\r"}) {
            std::string text = *stream.text;
            if (text.find('\r') == std::string::npos) text = with_line_ends(text, line_end);
            for (const std::size_t slice : {1UL, 2UL, 3UL, 7UL, 64UL, 333UL, 100'000UL})
                stream.check(measure(text, End::complete, slice));
            for (std::size_t at = 0; at <= text.size(); ++at) { // two slices, split at every byte
                Meter meter(Dialect::unknown, "text/event-stream", "identity");
                meter.see(std::string_view(text).substr(0, at));
                meter.see(std::string_view(text).substr(at));
                CHECK(meter.saw_end());
                stream.check(meter.finish(End::complete));
            }
        }
    }
}

TEST_CASE("compressed answers are counted although identity was asked for") {
    for (const auto& stream : streams) {
        for (const std::size_t slice : {1UL, 5UL, 1000UL, 100'000UL}) {
            stream.check(measure(compressed(*stream.text, 31), End::complete, slice, "gzip"));
            stream.check(measure(compressed(*stream.text, 15), End::complete, slice, "deflate"));
            stream.check(measure(compressed(*stream.text, -15), End::complete, slice, "deflate"));
        }
    }
    const auto unknown = measure("whatever", End::complete, 100, "br");
    CHECK_FALSE(unknown.known());
    const auto broken = measure("\x1f\x8b this is no gzip", End::complete, 3, "gzip");
    CHECK_FALSE(broken.known());
}

TEST_CASE("a decompression bomb costs bounded memory and no result") {
    for (const char* begin : {"", "[", "data: {"}) {
        const auto bomb = compressed(begin + std::string(2 << 20, ' '), 31);
        Meter meter(Dialect::unknown, "", "gzip");
        for (int i = 0; i < 40; ++i) meter.see(bomb);
        meter.see(compressed("{\"usage\":{\"prompt_tokens\":1}}", 31));
        CHECK_FALSE(meter.finish(End::complete).known());
    }
}

TEST_CASE("whole JSON answers of every dialect are counted") {
    const std::string text(5'000, 'x');
    const std::string message =
        R"({"model":"claude","id":"msg_2","type":"message","content":[{"type":"tool_use","input":{"usage":{"input_tokens":1,"output_tokens":2}}},{"type":"text","text":")" +
        text +
        R"( \"usage\": {\"input_tokens\": 5}"}],"usage":{"input_tokens":11,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":6}})";
    const std::string response =
        R"({"id":"resp_2","object":"response","error":null,"model":"gpt","output":[{"text":")" + text +
        R"("}],"usage":{"input_tokens":40,"input_tokens_details":{"cached_tokens":30},"output_tokens":4}})";
    const std::string chat =
        R"({"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10},"choices":[{"message":{"content":")" +
        text + R"("}}],"model":"m"})";
    const std::string gemini =
        R"([{"candidates":[],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1,"thoughtsTokenCount":9}},)"
        "\n"
        R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":3}}])";
    for (const std::size_t slice : {1UL, 10UL, 1000UL, 1'000'000UL}) {
        auto usage = measure(message, End::complete, slice);
        CHECK(usage.input == 11);
        CHECK(usage.cache_read == 5);
        CHECK(usage.cache_write == 0);
        CHECK(usage.output == 6);
        CHECK(usage.upstream_id == "msg_2");
        usage = measure(response, End::complete, slice);
        CHECK(usage.input == 10);
        CHECK(usage.cache_read == 30);
        CHECK(usage.output == 4);
        usage = measure(chat, End::complete, slice);
        CHECK(usage.input == 8);
        CHECK(usage.output == 2);
        CHECK_FALSE(usage.cache_read);
        usage = measure(gemini, End::complete, slice);
        CHECK(usage.input == 6);
        CHECK(usage.output == 3);
        CHECK_FALSE(usage.reasoning);
        CHECK_FALSE(usage.partial);
    }
}

TEST_CASE("a value other than 0 in message_delta replaces the one of message_start") {
    const auto run = [](const char* start, const char* delta) {
        return measure(std::string("data: {\"type\":\"message_start\",\"message\":{\"usage\":{") + start +
                       "}}}\n\ndata: {\"type\":\"message_delta\",\"usage\":{" + delta + "}}\n\n");
    };
    const char* full =
        R"("input_tokens":100,"cache_creation_input_tokens":200,"cache_read_input_tokens":300,"output_tokens":1)";
    auto usage = run(
        full,
        R"("input_tokens":101,"cache_creation_input_tokens":202,"cache_read_input_tokens":303,"output_tokens":9)");
    CHECK(usage.counted() == 101 + 202 + 9);
    CHECK(usage.cache_read == 303);
    usage = run(
        full,
        R"("input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":9)");
    CHECK(usage.counted() == 100 + 200 + 9);
    CHECK(usage.cache_read == 300);
    usage = run(R"("input_tokens":0,"output_tokens":0)", full);
    CHECK(usage.input == 100);
    CHECK(usage.output == 1);
    // A server tool: more was written to the cache than message_start's parts say.
    usage = run(
        R"("input_tokens":1,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":0},"output_tokens":1)",
        R"("cache_creation_input_tokens":25,"output_tokens":9)");
    CHECK(usage.cache_write == 25);
    CHECK(usage.cache_write_5m == 10);
}

TEST_CASE("a cut stream is partial, with what was seen of its text instead of a placeholder") {
    const auto at = messages_stream.find("event: message_delta");
    auto usage = measure(messages_stream.substr(0, at), End::cut);
    CHECK(usage.partial);
    CHECK(usage.input == 100);
    CHECK(usage.output == 44 / 4);
    // The same when the upstream ended it politely.
    usage = measure(messages_stream.substr(0, at), End::complete);
    CHECK(usage.partial);
    CHECK(usage.output == 11);
    // Behind the last count nothing is missing.
    usage = measure(messages_stream.substr(0, messages_stream.find("event: message_stop")), End::cut);
    check_messages(usage);

    usage = measure(responses_stream.substr(0, responses_stream.find("data: {\"type\":\"response.completed")),
                    End::cut);
    CHECK(usage.partial);
    CHECK_FALSE(usage.input);
    CHECK(usage.output == 3);
    usage = measure(gemini_stream.substr(0, gemini_stream.find("data: ", 10)), End::cut);
    CHECK(usage.partial);
    CHECK(usage.input == 1200);
    CHECK(usage.output == 2);
    usage = measure("", End::cut);
    CHECK(usage.partial);
    CHECK_FALSE(usage.known());
    usage = measure(R"({"model":"m","content":[{"text":"abc)", End::cut);
    CHECK(usage.partial);
    CHECK(usage.model_answered == "m");
}

TEST_CASE("a last event without its blank line is counted") {
    check_messages(measure(messages_stream.substr(0, messages_stream.rfind("\n\nevent: message_stop"))));
}

TEST_CASE("an answer without counts has none, and an estimate of its text") {
    const auto usage = measure(R"(data: {"model":"m","choices":[{"delta":{"content":"12345678"}}]})"
                               "\n\ndata: [DONE]\n\n");
    CHECK_FALSE(usage.known());
    CHECK_FALSE(usage.partial);
    CHECK(usage.output_estimate == 2);
}

TEST_CASE("errors inside a stream and in a body give their kind, never their words") {
    const auto kind = [](const std::string& body) { return measure(body, End::complete, 5).error_class; };
    CHECK(kind("event: error\ndata: "
               "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n") ==
          "overloaded_error");
    CHECK(kind("data: "
               "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\","
               "\"message\":\"m\"}}}\n\n") == "rate_limit_exceeded");
    CHECK(kind("data: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n") ==
          "response_failed");
    CHECK(kind("data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}\n\n") ==
          "server_error");
    CHECK(kind("data: {\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"m\"}}\n\n") ==
          "RESOURCE_EXHAUSTED");
    CHECK(kind("data: {\"error\":\"words with a secret\"}\n\n") == "error");
    CHECK(kind("{\"error_code\":\"PERMISSION_DENIED\",\"message\":\"m\"}") == "PERMISSION_DENIED");
    CHECK(kind("{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}") ==
          "context_length_exceeded");
    CHECK(kind("{\"error\":{\"type\":\"a kind with blanks and dapi0123\"}}") == "error");
    CHECK(kind("<html>busy</html>") == "");
    CHECK(kind("data: {\"type\":\"response.output_item.done\",\"error\":{\"code\":\"tool\"}}\n\n") == "");
    // The first one stays.
    CHECK(kind("data: {\"error\":{\"type\":\"first\"}}\n\ndata: {\"error\":{\"type\":\"second\"}}\n\n") ==
          "first");
}

TEST_CASE("Claude behind the chat API: Anthropic's cache counts beside OpenAI's names") {
    auto usage = measure(
        R"({"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"cache_read_input_tokens":60,"cache_creation_input_tokens":10}})");
    CHECK(usage.input == 30);
    CHECK(usage.cache_read == 60);
    CHECK(usage.cache_write == 10);
    usage = measure(
        R"({"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9,"cache_read_input_tokens":60}})");
    CHECK(usage.input == 4);
    usage = measure(
        R"({"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":165,"cache_read_input_tokens":60}})");
    CHECK(usage.input == 100);
}

TEST_CASE("odd streams: comments, other fields, broken JSON, a mark in front, several lines of data") {
    auto usage =
        measure("\xef\xbb\xbf: hello\nid: 7\nretry: 100\nevent: x\ndata\ndatax: {}\n\ndata: {broken\n\n"
                "data:{\"usage\":{\ndata: \"prompt_tokens\":3,\ndata:\"completion_tokens\":\ndata: 4}}\n\n",
                End::complete, 1);
    CHECK(usage.input == 3);
    CHECK(usage.output == 4);
    usage = measure(R"({"usage":{"prompt_tokens":-1,"completion_tokens":1e3}})");
    CHECK_FALSE(usage.input);
    CHECK(usage.output == 1000);
    usage = measure(R"({"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":"7"}})");
    CHECK_FALSE(usage.known());
    // Deeper than anything that is looked into, and never ending.
    usage = measure(std::string(100'000, '['));
    CHECK_FALSE(usage.known());
    usage = measure("{\"choices\":" + std::string(50, '[') + "1" + std::string(50, ']') +
                    ",\"usage\":{\"prompt_tokens\":1}}");
    CHECK(usage.input == 1);
}

TEST_CASE("usage in an answer that is larger than any buffer") {
    std::string big = "data: {\"type\":\"response.completed\",\"response\":{\"output\":[";
    for (int i = 0; i < 20'000; ++i)
        big += R"({"type":"message","content":[{"text":"some \"quoted\" text\\"}]},)";
    big += R"({}],"usage":{"input_tokens":5,"output_tokens":6}}})";
    big += "\n\n";
    const auto usage = measure(big, End::complete, 4096);
    CHECK(usage.input == 5);
    CHECK(usage.output == 6);
}
