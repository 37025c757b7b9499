#include "core/usage/request_scan.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace dbx::usage;

namespace {

RequestScan scan(std::string_view body, std::size_t slice = std::string_view::npos) {
    RequestScan result;
    for (std::size_t at = 0; at < body.size(); at += std::min(slice, body.size()))
        result.see(body.substr(at, slice));
    return result;
}

} // namespace

TEST_CASE("a scan finds model and stream wherever they stand, in any slices") {
    const std::string body =
        R"({"messages":[{"role":"user","content":"say \"model\":\"x\" {[\\"}],"nested":{"model":"no","stream":false},)"
        R"( "model" : "databricks-claude-opus-4-6", "max_tokens": 32000, "tools":[[],{}],"stream" : true,"x":1})";
    for (std::size_t slice = 1; slice < body.size() + 2; slice += slice < 12 ? 1 : 13) {
        CAPTURE(slice);
        const auto found = scan(body, slice);
        CHECK(found.settled());
        CHECK(found.model() == "databricks-claude-opus-4-6");
        REQUIRE(found.model_span());
        CHECK(body.substr(found.model_span()->offset, found.model_span()->length) ==
              "databricks-claude-opus-4-6");
        CHECK(found.stream() == true);
        CHECK(found.output_cap() == 32000);
    }
}

TEST_CASE("a scan ends as soon as both are known") {
    RequestScan found;
    found.see(R"({"model":"m","stream":false,"input":[)");
    CHECK(found.settled());
    found.see("garbage that is not read");
    CHECK_FALSE(found.broken());
    CHECK(found.stream() == false);
}

TEST_CASE("a scan of a body without a model settles at its end") {
    const auto found = scan(R"( {"contents":[],"generationConfig":{"maxOutputTokens":9}} )");
    CHECK(found.settled());
    CHECK_FALSE(found.model());
    CHECK_FALSE(found.stream());
    CHECK(found.output_cap() == 9);
}

TEST_CASE("a scan of what is no object finds nothing and says so") {
    for (const char* body : {"model=x&stream=true", "[1,2]", "\"model\"", "{]", "nonsense", "{\"model\":}"}) {
        CAPTURE(body);
        const auto found = scan(std::string(body) + " ");
        CHECK(found.settled());
        CHECK_FALSE(found.model());
    }
    CHECK_FALSE(scan("").settled());
    CHECK_FALSE(scan("{\"model\":\"cut of").settled());
}

TEST_CASE("a scan resolves escapes of the model's name, and its span is the raw one") {
    const std::string body = R"({"model":"a\/b\u002dc","stream":true})";
    const auto found = scan(body, 3);
    CHECK(found.model() == "a/b-c");
    CHECK(body.substr(found.model_span()->offset, found.model_span()->length) == R"(a\/b\u002dc)");
    const std::string huge = "{\"model\":\"" + std::string(100'000, 'm') + "\",\"stream\":true}";
    CHECK_FALSE(scan(huge, 999).model());
    CHECK_FALSE(scan(huge).model());
}
