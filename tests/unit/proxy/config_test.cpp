#include "core/proxy/config.hpp"

#include <doctest/doctest.h>

using namespace dbx::proxy;
using std::chrono::milliseconds;

TEST_CASE("times are read with their unit, or as seconds") {
    CHECK(parse_duration("30s") == milliseconds(30'000));
    CHECK(parse_duration("500ms") == milliseconds(500));
    CHECK(parse_duration("1.5m") == milliseconds(90'000));
    CHECK(parse_duration("2h") == milliseconds(7'200'000));
    CHECK(parse_duration("30") == milliseconds(30'000));
    CHECK(parse_duration("0") == milliseconds(0));
    for (const char* text : {"", "s", "-1s", "1 s", "1w", "1e99s", "nan", "inf"})
        CHECK_MESSAGE(!parse_duration(text), text);
}

TEST_CASE("the first model rule that matches counts") {
    Policy policy;
    policy.models = {{"gemini-3-*", "databricks-gemini-2-5-flash"}, {"*", "other"}};
    CHECK(mapped_model(policy, "gemini-3-flash") == "databricks-gemini-2-5-flash");
    CHECK(mapped_model(policy, "x") == "other");
    CHECK(mapped_model(policy, "other").empty());
    CHECK(mapped_model(Policy{}, "x").empty());
}
