#include "core/usage/limiter.hpp"
#include "core/usage/prices.hpp"
#include "tests/unit/system/sandbox.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::usage;

namespace {

Result<state::Settings> settings_of(const std::string& toml) {
    const system::tests::Sandbox box;
    box.put("config.toml", toml);
    system::tests::FakeEnvironment environment;
    environment.variables["HOME"] = box.path().string();
    system::RealFileSystem files;
    state::Settings::Sources sources;
    sources.config_file = box / "config.toml";
    return state::Settings::load(sources, environment, files);
}

Usage usage_of(std::uint64_t input, std::uint64_t output) {
    Usage usage;
    usage.input = input;
    usage.output = output;
    return usage;
}

} // namespace

TEST_CASE("the configuration's price wins, the more exact name first") {
    const auto settings =
        settings_of("[[price]]\nmodel = \"databricks-claude-*\"\ninput = 2\noutput = 4.5\n"
                    "[[price]]\nmodel = \"*\"\ninput = 1\noutput = 1\ncache_read = 0\n"
                    "[[price]]\nmodel = \"databricks-claude-opus-4-6\"\ninput = 10\noutput = 20\n"
                    "cache_read = 1\ncache_write = 12\ncache_write_1h = 24\n");
    REQUIRE(settings);
    const auto book = PriceBook::load(*settings);
    REQUIRE(book);
    CHECK(book->find("databricks-claude-opus-4-6")->input == 10);
    CHECK(book->find("databricks-claude-sonnet-4-5")->input == 2);
    CHECK(book->find("gpt")->input == 1);
    auto usage = usage_of(1'000'000, 100'000);
    usage.cache_read = 1'000'000;
    usage.cache_write = 300'000;
    usage.cache_write_1h = 100'000;
    auto cost = book->cost("databricks-claude-opus-4-6", usage);
    REQUIRE(cost);
    CHECK(cost->usd == doctest::Approx(10 + 2 + 1 + 0.2 * 12 + 0.1 * 24));
    CHECK(cost->price.find("in 10 out 20 cache 1/12/24 (") == 0);
    CHECK(cost->price.find("config.toml:11)") != std::string::npos);
    // Without cache prices the cache costs what input costs.
    CHECK(book->cost("databricks-claude-sonnet-4-5", usage)->usd == doctest::Approx(2 + 0.45 + 2 + 0.6));
}

TEST_CASE("list prices know a model by all its names and say where they are from") {
    const auto settings = settings_of("");
    REQUIRE(settings);
    const auto book = PriceBook::load(*settings);
    REQUIRE(book);
    for (const char* name :
         {"databricks-claude-sonnet-4-5", "system.ai.databricks-claude-sonnet-4-5", "claude-sonnet-4-5",
          "claude-sonnet-4-5-20250929", "system.ai.claude-sonnet-4.5"}) {
        CAPTURE(name);
        const auto* const price = book->find(name);
        REQUIRE(price);
        CHECK(price->input == 3);
        CHECK(price->source.find("list price of Anthropic, 20") == 0);
    }
    // No price without a vendor's page to cite.
    CHECK_FALSE(book->find("databricks-gpt-5-2"));
    CHECK_FALSE(book->find("databricks-llama"));
    CHECK_FALSE(book->find(""));
    CHECK_FALSE(book->cost("databricks-llama", usage_of(1, 1)));
    CHECK_FALSE(book->cost("databricks-claude-sonnet-4-5", Usage()));
    auto answered = usage_of(1'000'000, 0);
    answered.model_answered = "claude-haiku-4-5-20251001";
    const auto cost = book->cost("my-endpoint", answered);
    REQUIRE(cost);
    CHECK(cost->usd == 1);
    CHECK(cost->price.find("in 1 out 5 cache 0.1/1.25/2 (list price of Anthropic, 20") == 0);
}

TEST_CASE("an entry that cannot be a price is an error that names its line") {
    for (const char* wrong : {"[[price]]\ninput = 1\noutput = 2\n", "[[price]]\nmodel = \"m\"\ninput = 1\n",
                              "[[price]]\nmodel = \"m\"\ninput = \"cheap\"\noutput = 1\n",
                              "[[price]]\nmodel = \"m\"\ninput = -1\noutput = 1\n",
                              "[[price]]\nmodel = \"m\"\ninput = nan\noutput = 1\n"}) {
        CAPTURE(wrong);
        const auto settings = settings_of(wrong);
        REQUIRE(settings);
        const auto book = PriceBook::load(*settings);
        REQUIRE_FALSE(book);
        CHECK(book.error().kind == ErrorKind::usage);
        CHECK(book.error().what.find("config.toml:") != std::string::npos);
    }
}

TEST_CASE("rules come from the configuration with their line") {
    const auto settings = settings_of(
        "[proxy]\nhold = \"30s\"\n[[proxy.limit]]\nagent = \"claude\"\nmodel = \"databricks-claude-*\"\n"
        "requests_per_minute = 60\ntokens_per_minute = 400_000\nconcurrent = 4\n"
        "[[proxy.limit]]\nname = \"all\"\nrequests_per_minute = 0.5\n"
        "[[proxy.budget]]\ntokens_per_day = 20000000\nusd_per_month = 12.5\n");
    REQUIRE(settings);
    const auto rules = load_rules(*settings);
    REQUIRE(rules);
    REQUIRE(rules->limits.size() == 2);
    CHECK(rules->limits[0].name == "limit 1");
    CHECK(rules->limits[0].where.find("config.toml:4") != std::string::npos);
    CHECK(rules->limits[0].agent == "claude");
    CHECK(rules->limits[0].tokens_per_minute == 400'000);
    CHECK(rules->limits[0].concurrent == 4);
    CHECK(rules->limits[1].name == "all");
    CHECK(rules->limits[1].requests_per_minute == 0.5);
    REQUIRE(rules->budgets.size() == 2);
    CHECK(rules->budgets[0].tokens == 20'000'000);
    CHECK(rules->budgets[0].period == Period::day);
    CHECK(rules->budgets[1].usd == 12.5);
    CHECK(rules->budgets[1].period == Period::month);
    for (const char* wrong :
         {"[[proxy.limit]]\nagent = \"x\"\n", "[[proxy.limit]]\nrequests_per_minute = 0\n",
          "[[proxy.limit]]\nconcurrent = \"many\"\n", "[[proxy.budget]]\nmodel = \"x\"\n"}) {
        CAPTURE(wrong);
        const auto bad = settings_of(wrong);
        REQUIRE(bad);
        CHECK_FALSE(load_rules(*bad));
    }
}
