#include "core/databricks/hosts.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;

TEST_CASE("a workspace is normalised however it is pasted") {
    const std::string host = "https://adb-1.2.azuredatabricks.net";
    for (const auto* text :
         {"https://adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net/",
          "https://adb-1.2.azuredatabricks.net/?o=123456", "https://adb-1.2.azuredatabricks.net?o=1#job/4",
          "adb-1.2.azuredatabricks.net", "ADB-1.2.AzureDatabricks.net/browse/folders/4",
          "https://adb-1.2.azuredatabricks.net:443/", " https://adb-1.2.azuredatabricks.net\n",
          "https://adb-1.2.azuredatabricks.net/ai-gateway/anthropic/v1/messages"}) {
        CAPTURE(text);
        const auto result = normalise_workspace(text);
        REQUIRE(result);
        CHECK(*result == host);
    }
    CHECK(*normalise_workspace("http://127.0.0.1:8080/x") == "http://127.0.0.1:8080");
    CHECK(*normalise_workspace("http://[::1]:80") == "http://[::1]");
    CHECK(*normalise_workspace("http://work.localhost:1") == "http://work.localhost:1");
    CHECK(*normalise_workspace("localhost:1234") == "https://localhost:1234");
    CHECK(*normalise_workspace("https://intranet") == "https://intranet");
}

TEST_CASE("an unusable workspace is an error of kind usage with a fix") {
    for (const auto* text :
         {"", "http://adb-1.2.azuredatabricks.net", "http://127.0.0.1.evil.com", "http://10.0.0.1",
          "https://user:pw@adb-1.2.azuredatabricks.net", "https://adb 1.net", "myworkspace",
          "https://1234.ai-gateway.cloud.databricks.com/openai/v1", "https://accounts.cloud.databricks.com",
          "https://accounts.azuredatabricks.net/login", "ftp://x.y",
          "dapi0123456789abcdef0123456789abcdef"}) {
        CAPTURE(text);
        const auto result = normalise_workspace(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::usage);
        CHECK(result.error().what.starts_with("cannot use the workspace"));
        CHECK_FALSE(result.error().why.empty());
        CHECK_FALSE(result.error().fix.empty());
    }
}

TEST_CASE("a pasted gateway URL is cut back to its root") {
    const auto root = [](const char* text) {
        CAPTURE(text);
        const auto result = normalise_gateway(text);
        REQUIRE(result);
        return *result;
    };
    CHECK(root("https://ws.example.com/ai-gateway") == "https://ws.example.com/ai-gateway");
    CHECK(root("https://ws.example.com/ai-gateway/") == "https://ws.example.com/ai-gateway");
    CHECK(root("https://WS.example.com/ai-gateway/anthropic/v1/messages?beta=true") ==
          "https://ws.example.com/ai-gateway");
    CHECK(root("https://ws.example.com/ai-gateway/otel/v1/traces") == "https://ws.example.com/ai-gateway");
    CHECK(root("https://123.ai-gateway.cloud.databricks.com/openai/v1") ==
          "https://123.ai-gateway.cloud.databricks.com");
    CHECK(root("123.ai-gateway.cloud.databricks.com/cursor/v1/") ==
          "https://123.ai-gateway.cloud.databricks.com");
    CHECK(root("https://gw.example.com/prefix/gemini") == "https://gw.example.com/prefix");
    CHECK(root("https://gw.example.com/prefix/") == "https://gw.example.com/prefix");
    CHECK(root("https://gw.example.com//a//codex/v1") == "https://gw.example.com/a");
    CHECK(root("https://gw.example.com/mlflow/v1/chat/completions") == "https://gw.example.com");
    CHECK(root("https://gw.example.com/my-gemini-team") == "https://gw.example.com/my-gemini-team");
    CHECK(root("http://localhost:9/anthropic") == "http://localhost:9");
    CHECK(root("https://gw.example.com") == "https://gw.example.com");
}

TEST_CASE("a gateway URL that would break a configuration file or leak a token is refused") {
    for (const auto* text :
         {"http://gw.example.com/x", "https://gw.example.com/a\"b", "https://gw.example.com/$(id)",
          "https://gw.example.com/../x", "https://gw.example.com/a'b", "https://gw.example.com/a`b",
          "https://u@gw.example.com/x", "gateway"}) {
        CAPTURE(text);
        const auto result = normalise_gateway(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::usage);
    }
}

TEST_CASE("an upstream keeps its path") {
    CHECK(*normalise_upstream("http://127.0.0.1:9/ai-gateway/anthropic/") ==
          "http://127.0.0.1:9/ai-gateway/anthropic");
    CHECK_FALSE(normalise_upstream("http://example.com"));
}

TEST_CASE("questions about hosts") {
    CHECK(gateway_of_workspace("https://h") == "https://h/ai-gateway");
    CHECK(workspace_of_gateway("https://h.com/ai-gateway") == "https://h.com");
    CHECK_FALSE(workspace_of_gateway("https://h.com/x/ai-gateway"));
    CHECK_FALSE(workspace_of_gateway("https://h.com"));
    CHECK(is_loopback("http://127.0.0.1:80/x"));
    CHECK_FALSE(is_loopback("http://127.0.0.1.evil.com"));
    CHECK_FALSE(is_loopback("http://user@127.0.0.1"));
    CHECK(is_deprecated_gateway("https://12.ai-gateway.cloud.databricks.com"));
    CHECK(is_deprecated_gateway("https://12.ai-gateway.azuredatabricks.net"));
    CHECK_FALSE(is_deprecated_gateway("https://ws.cloud.databricks.com/ai-gateway"));
    CHECK_FALSE(is_deprecated_gateway("https://x.ai-gateway.cloud.databricks.com.evil.com"));
    CHECK(is_azure_host("https://adb-1.2.azuredatabricks.net"));
    CHECK_FALSE(is_azure_host("https://ws.cloud.databricks.com"));
    CHECK(is_databricks_host("https://1.2.gcp.databricks.com"));
    CHECK_FALSE(is_databricks_host("https://azuredatabricks.net.evil.com"));
    CHECK(same_origin("https://A.com/x", "a.com:443"));
    CHECK_FALSE(same_origin("https://a.com", "http://a.com"));
    CHECK_FALSE(same_origin("https://a.com", "https://a.com:444"));
    CHECK_FALSE(same_origin("", ""));
}
