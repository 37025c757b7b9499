#include "core/agents/version.hpp"

#include <doctest/doctest.h>

using namespace dbx::agents;

TEST_CASE("versions compare by number, and a pre-release comes before its release") {
    const auto order = [](const char* a, const char* b) {
        return compare(*parse_version(a), *parse_version(b));
    };
    CHECK(order("0.99.0", "0.118.0") < 0);
    CHECK(order("2.1.330", "2.1.330") == 0);
    CHECK(order("0.61.0-nightly.20260909", "0.61.0") < 0);
    CHECK(order("1.0", "1.0.0") == 0);
    CHECK(order("v1.2.3", "1.2.3+build7") == 0);
}

TEST_CASE("what is no version is none") {
    for (const auto* text : {"", "codex", "1", "1.", "1..2", "1.x", "99999999999.1"})
        CHECK_FALSE(parse_version(text));
}

TEST_CASE("an unknown version counts as the newest") {
    Installed installed;
    CHECK_FALSE(is_below(installed, "1.0.0"));
    installed.found = true;
    CHECK_FALSE(is_below(installed, "1.0.0"));
    installed.version = "0.9.0";
    CHECK(is_below(installed, "1.0.0"));
}
