#include "core/doctor/scene.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using doctor::covered_by_no_proxy;
using doctor::looks_like_token;

TEST_CASE("NO_PROXY covers a host by name, with a port, by domain and by a star") {
    const std::string url = "http://127.0.0.1:8790/openai/v1";
    for (const auto* text : {"127.0.0.1", "*", "127.0.0.1:8790", "localhost,127.0.0.1", " 127.0.0.1 , x",
                             "x 127.0.0.1", "127.0.0.0/8", ",,127.0.0.1,"}) {
        CAPTURE(text);
        CHECK(covered_by_no_proxy(text, url));
    }
    CHECK(covered_by_no_proxy("LOCALHOST", "http://localhost:1"));
    CHECK(covered_by_no_proxy("example.com", "https://a.example.com"));
    CHECK(covered_by_no_proxy(".example.com", "https://a.example.com"));
    CHECK(covered_by_no_proxy("::1", "http://[::1]:8790"));
    CHECK(covered_by_no_proxy("[::1]", "http://[::1]:8790"));
}

TEST_CASE("NO_PROXY does not cover what only looks alike") {
    const std::string url = "http://127.0.0.1:8790";
    for (const auto* text :
         {"", ",", " ", "localhost", "127.0.0.1:8791", "127.0.0.10", "10.0.0.0/8", ".", "0.0.1x"}) {
        CAPTURE(text);
        CHECK_FALSE(covered_by_no_proxy(text, url));
    }
    CHECK_FALSE(covered_by_no_proxy("ample.com", "https://example.com"));
    CHECK_FALSE(covered_by_no_proxy("*", "not an address"));
}

TEST_CASE("tokens are known by their shape") {
    for (const auto* text :
         {"dapi0123456789abcdef", "Bearer dapi0123456789abcdef", " eyJhbGciOi.eyJzdWIi.c2ln\n",
          "sk-ant-0123456789abcdef", "ghp_0123456789abcdef"}) {
        CAPTURE(text);
        CHECK(looks_like_token(text));
    }
    for (const auto* text : {"", "dapi", "dapi-short", "$DATABRICKS_TOKEN", "databricks-claude-opus-4-6",
                             "dapi 0123456789 abcdef", "Bearer", "/usr/bin/dapi0123456789ab"}) {
        CAPTURE(text);
        CHECK_FALSE(looks_like_token(text));
    }
}
