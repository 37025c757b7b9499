#include "core/otlp/names.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::otlp;

TEST_CASE("an identifier is letters, digits, underscores and hyphens, up to 255 bytes") {
    for (const auto* good : {"main", "MAIN", "a", "0", "_", "-", "my-catalog_01"}) {
        CAPTURE(good);
        CHECK(check_identifier("--schema", good));
    }
    CHECK(check_identifier("--schema", std::string(255, 'a')));
    CHECK_FALSE(check_identifier("--schema", std::string(256, 'a')));
}

TEST_CASE("anything else in an identifier is refused as wrong usage, and named") {
    const std::string bad[] = {"",
                               "a.b",
                               "a b",
                               "a/b",
                               "a`b",
                               "a'b",
                               "a\"b",
                               "a;b",
                               "a\nb",
                               "a\tb",
                               "a\x7f",
                               "caf\xc3\xa9",
                               "a\\b",
                               "a(b",
                               "`; DROP--",
                               "a\xc0\xaf",
                               "$x",
                               "{{table}}",
                               std::string("a\0b", 3),
                               " a",
                               "a ",
                               "x%2e",
                               "\xef\xbc\xa1"};
    for (const auto& text : bad) {
        CAPTURE(text);
        const auto result = check_identifier("--schema", text);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::usage);
        CHECK(result.error().what.find("--schema") != std::string::npos);
        CHECK_FALSE(result.error().why.empty());
        CHECK_FALSE(result.error().fix.empty());
    }
}

TEST_CASE("the prefix leaves room for the tables' own names") {
    CHECK(check_place({"c", "s", std::string(242, 'p')}));
    const auto result = check_place({"c", "s", std::string(243, 'p')});
    REQUIRE_FALSE(result);
    CHECK(result.error().what.find("--prefix") != std::string::npos);
}

TEST_CASE("names are those of the contract, and every part is quoted in SQL") {
    const Place place{"main", "tele-metry", "dev"};
    CHECK(place.table_name(Signal::metrics) == "main.tele-metry.dev_otel_metrics");
    CHECK(place.table_name(Signal::logs) == "main.tele-metry.dev_otel_logs");
    CHECK(place.table_name(Signal::traces) == "main.tele-metry.dev_otel_spans");
    CHECK(place.quoted_table(Signal::traces) == "`main`.`tele-metry`.`dev_otel_spans`");
    CHECK(place.quoted_schema() == "`main`.`tele-metry`");
    CHECK(quote_identifier("a`b") == "`a``b`");
    CHECK(quote_identifier("``") == "``````");
}

TEST_CASE("the place of the configuration has three parts") {
    const auto place = parse_place("main.telemetry.dev", "config.toml:3");
    REQUIRE(place);
    CHECK(place->catalog == "main");
    CHECK(place->schema == "telemetry");
    CHECK(place->prefix == "dev");
    for (const auto* text : {"", "main", "main.telemetry", "a.b.c.d", "a..c", "`a`.b.c", "a.b.c;"}) {
        CAPTURE(text);
        const auto bad = parse_place(text, "config.toml:3");
        REQUIRE_FALSE(bad);
        CHECK(bad.error().kind == ErrorKind::usage);
        CHECK(bad.error().what.find("config.toml:3") != std::string::npos);
    }
}

TEST_CASE("signals are named in any order, once each") {
    CHECK(parse_signals("")->size() == 3);
    const auto some = parse_signals("traces, Metrics");
    REQUIRE(some);
    CHECK(*some == std::vector<Signal>{Signal::metrics, Signal::traces});
    CHECK_FALSE(parse_signals("metrics,metrics"));
    CHECK_FALSE(parse_signals("metrics,"));
    const auto spans = parse_signals("spans");
    REQUIRE_FALSE(spans);
    CHECK(spans.error().fix.find("traces") != std::string::npos);
}
