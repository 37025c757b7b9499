#include "core/proxy/admit.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx::proxy;

namespace {

Gate gate() {
    return {{{"claude", dbx::Secret("dbxl_claude")}, {"codex", dbx::Secret("dbxl_codexx")}},
            {"127.0.0.1:8790", "localhost:8790"}};
}

// The name of the refusal, or the agent ("-" for none).
std::string verdict(const std::string& line, const std::string& fields,
                    const std::string& host = "127.0.0.1:8790") {
    const std::string bytes = line + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
    MessageFilter filter(MessageFilter::Kind::request);
    Head head;
    REQUIRE_FALSE(filter.read_head(bytes, head));
    const auto result = admit(head, gate());
    if (const auto* refusal = std::get_if<Refusal>(&result)) return std::string(refusal->name);
    const auto& admission = std::get<Admission>(result);
    return admission.agent.empty() ? "-" : admission.agent;
}

const std::string post = "POST /anthropic/v1/messages";
const std::string key = "Authorization: Bearer dbxl_claude\r\n";

} // namespace

TEST_CASE("a key opens the gate wherever agents put it") {
    CHECK(verdict(post, key) == "claude");
    CHECK(verdict(post, "authorization: bearer  dbxl_codexx\r\n") == "codex");
    CHECK(verdict(post, "x-api-key: dbxl_claude\r\n") == "claude");
    CHECK(verdict(post, "X-Goog-Api-Key: dbxl_claude\r\n") == "claude");
    CHECK(verdict(post, "x-dbx-agents-key: dbxl_claude\r\n") == "claude");
    CHECK(verdict(post + "?key=dbxl_claude", "") == "claude");
    // Gemini CLI 0.61 sends two of them.
    CHECK(verdict(post, "x-goog-api-key: dbxl_claude\r\nAuthorization: Bearer something-else\r\n") ==
          "claude");
}

TEST_CASE("anything else does not") {
    CHECK(verdict(post, "") == "no-key");
    for (const char* field : {"Authorization: Bearer dbxl_claudf\r\n", "Authorization: Bearer dbxl_claud\r\n",
                              "Authorization: Bearer \r\n", "Authorization: dbxl_claude\r\n",
                              "Authorization: Basic dbxl_claude\r\n", "x-api-key:\r\n",
                              "Proxy-Authorization: Bearer dbxl_claude\r\n"})
        CHECK_MESSAGE(verdict(post, field) != "claude", field);
    CHECK(verdict(post + "?key=", "") == "no-key");
    CHECK(verdict("GET /status", "x-api-key: wrong\r\n") == "wrong-key");
    CHECK(verdict("GET /nowhere", "") == "no-key"); // says nothing about paths
    CHECK(verdict("GET /nowhere", key) == "no-route");
}

TEST_CASE("names that a web page could have, browsers, and proxy requests are turned away, key or not") {
    CHECK(verdict(post, key, "evil.example:8790") == "wrong-host");
    CHECK(verdict(post, key, "127.0.0.1") == "wrong-host");
    CHECK(verdict(post, key, "127.0.0.1:8791") == "wrong-host");
    CHECK(verdict(post, key, "LOCALHOST:8790") == "claude");
    CHECK(verdict(post, key + "Origin: http://localhost:8790\r\n") == "browser");
    CHECK(verdict(post, key + "Origin: null\r\n") == "browser");
    CHECK(verdict("GET /healthz", "Origin: null\r\n") == "browser");
    CHECK(verdict("GET http://127.0.0.1:8790/anthropic/v1/models", key) == "not-a-forward-proxy");
    CHECK(verdict("CONNECT example.com:443", key) == "not-a-forward-proxy");
    CHECK(verdict("OPTIONS *", key) == "not-a-forward-proxy");
    CHECK(verdict("TRACE /anthropic/v1/models", key) == "wrong-method");
    CHECK(verdict("OPTIONS /anthropic/v1/models", key) == "wrong-method");
    CHECK(verdict("GET /anthropic/%2e%2e/%2e%2e/x", key) == "bad-path");
}

TEST_CASE("health needs no key, and a HEAD without one is answered here") {
    CHECK(verdict("GET /healthz", "") == "-");
    CHECK(verdict("HEAD /anthropic/api/hello", "") == "-");
    CHECK(verdict("HEAD /openai/v1/responses", "") == "-");
    CHECK(verdict("HEAD /status", "x-api-key: wrong\r\n") == "wrong-key");
    CHECK(verdict("HEAD /nowhere", "") == "no-key");
}

TEST_CASE("a WebSocket is refused so that Codex falls back") {
    CHECK(verdict("GET /openai/v1/responses", key + "Connection: Upgrade\r\nUpgrade: websocket\r\n") ==
          "no-websocket");
    // An offer of another protocol is just not taken.
    CHECK(verdict("GET /openai/v1/models", key + "Connection: Upgrade\r\nUpgrade: h2c\r\n") == "claude");
}

TEST_CASE("each dialect gets its own error, which says whether a retry helps") {
    const Refusal refusal{429, "over-limit", "Wait a little.", true, std::chrono::seconds(7), "limit 1"};
    const auto body = [&](Dialect dialect) { return nlohmann::json::parse(error_body(dialect, refusal)); };
    CHECK(body(Dialect::anthropic)["type"] == "error");
    CHECK(body(Dialect::anthropic)["error"]["type"] == "rate_limit_error");
    CHECK(body(Dialect::openai)["error"]["code"] == "over-limit");
    CHECK(body(Dialect::gemini)["error"]["status"] == "RESOURCE_EXHAUSTED");
    CHECK(body(Dialect::gemini)["error"]["details"][0]["retryDelay"] == "7s");
    const auto message = render(refusal, Dialect::anthropic, false, false);
    CHECK(message.find("\r\nRetry-After: 7\r\n") != std::string::npos);
    CHECK(message.find("\r\nx-dbx-agents-limit: limit 1\r\n") != std::string::npos);
    CHECK(message.find("x-should-retry") == std::string::npos);
    const auto final = render(Refusal{401, "no-key", "x"}, Dialect::openai, true, true);
    CHECK(final.find("\r\nx-should-retry: false\r\n") != std::string::npos);
    CHECK(final.find("\r\nx-dbx-agents-error: no-key\r\n") != std::string::npos);
    CHECK(final.ends_with("\r\n\r\n"));
    CHECK(final.find("Connection: close") != std::string::npos);
}
