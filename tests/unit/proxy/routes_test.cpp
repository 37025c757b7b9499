#include "core/proxy/routes.hpp"

#include <doctest/doctest.h>

using namespace dbx::proxy;

TEST_CASE("paths come into normal form") {
    CHECK(normal_path("/anthropic/v1/messages") == "/anthropic/v1/messages");
    CHECK(normal_path("//anthropic///v1/") == "/anthropic/v1/");
    CHECK(normal_path("/a/./b/../c") == "/a/c");
    CHECK(normal_path("/a/b/..") == "/a/");
    CHECK(normal_path("/a/%2e%2E/b") == "/b");
    CHECK(normal_path("/%61nthropic/x") == "/anthropic/x");
    CHECK(normal_path("/models/a%3Ab:generateContent") == "/models/a%3Ab:generateContent");
    CHECK(normal_path("/") == "/");
}

TEST_CASE("paths that hide something are none") {
    for (const char* path :
         {"",        "a",        "/..",         "/a/../..", "/%2e%2e/x",    "/a%2fb", "/a%5cb",
          "/a\\b",   "/a%00b",   "/a%0d%0ab",   "/a b",     "/a%",          "/a%2",   "/a%zz",
          "/a%252e", "/a/..;/b", "/a/..%3Bx/b", "/.;/b",    "/caf\xc3\xa9", "/a#b",   "/a\tb"})
        CHECK_MESSAGE(!normal_path(path), path);
}

TEST_CASE("the local key in a query is taken out, whatever its spelling; the rest stays as it is") {
    const auto target = read_target("/gemini/v1beta/models/m:x?alt=sse&key=dbxl_%31&a=%2F&k%65y=two&b");
    REQUIRE(target);
    CHECK(target->path == "/gemini/v1beta/models/m:x");
    CHECK(target->query == "alt=sse&a=%2F&b");
    CHECK(target->key == "two");
    CHECK(read_target("/x?key=abc")->query.empty());
    CHECK(read_target("/x?monkey=1&key2=3")->query == "monkey=1&key2=3");
    CHECK_FALSE(read_target("/x?a b"));
    CHECK_FALSE(read_target("http://evil/x"));
    CHECK_FALSE(read_target("*"));
}

TEST_CASE("each path has one destination, in the words of its own clients") {
    const auto route = [](const char* method, const char* path) {
        return find_route(method, *read_target(path));
    };
    CHECK(route("POST", "/anthropic/v1/messages?beta=true")->dialect == Dialect::anthropic);
    CHECK(route("POST", "/anthropic/v1/messages")->destination == Destination::gateway);
    CHECK_FALSE(route("POST", "/anthropic/v1/messages")->free);
    CHECK(route("POST", "/anthropic/v1/messages/count_tokens")->free);
    CHECK(route("GET", "/openai/v1/models")->free);
    CHECK(route("HEAD", "/anthropic")->free);
    CHECK(route("POST", "/gemini/v1beta/models/m:countTokens")->free);
    CHECK_FALSE(route("POST", "/gemini/v1beta/models/m:streamGenerateContent")->free);
    CHECK(route("POST", "/codex/v1/responses")->dialect == Dialect::openai);
    CHECK(route("POST", "/cursor/v1/chat/completions")->name == "cursor");
    CHECK(route("POST", "/mlflow/v1/chat/completions")->name == "mlflow");
    CHECK(route("POST", "/api/2.0/otel/v1/logs")->destination == Destination::relay);
    CHECK(route("POST", "/api/2.0/otel/v1/traces")->signal == dbx::otlp::Signal::traces);
    CHECK(route("GET", "/healthz")->destination == Destination::local);
    for (const char* path :
         {"/", "/api/2.0/sql/statements", "/api/2.0/otel/v1/logs/x", "/api/2.0/otel/v1", "/api/2.0/otel/v1/",
          "/openai/v2/x", "/anthropicx/v1", "/anthropic/../api/2.0/sql/statements", "/healthz/x", "/status/"})
        CHECK_MESSAGE(!route("GET", path), path);
}

TEST_CASE("the model in a Gemini path is found") {
    const std::string path = "/gemini/v1beta/models/gemini-3-flash:generateContent";
    const auto model = model_in_path(path);
    REQUIRE(model);
    CHECK(path.substr(model->offset, model->length) == "gemini-3-flash");
    CHECK_FALSE(model_in_path("/gemini/v1beta/models"));
    CHECK_FALSE(model_in_path("/gemini/v1beta/models/:x"));
}
