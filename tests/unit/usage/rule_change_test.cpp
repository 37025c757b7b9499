#include "tests/unit/usage/limiter_time.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::usage;

namespace {

LimitRule tokens(double number) {
    LimitRule rule;
    rule.name = "tokens";
    rule.tokens_per_minute = number;
    return rule;
}

LimitRule concurrent(std::uint32_t number, std::string agent = "") {
    LimitRule rule;
    rule.name = "places";
    rule.agent = std::move(agent);
    rule.concurrent = number;
    return rule;
}

Limiter::Options budget(double number, Period period = Period::day) {
    auto options = with({});
    options.budgets.push_back({"budget 1", "config.toml:9", "", "", period, number, std::nullopt});
    return options;
}

Limiter::Spent spent(std::uint64_t number) {
    return {number, std::nullopt, std::nullopt, std::nullopt};
}

} // namespace

TEST_CASE("the same rules read again: nothing is forgotten") {
    Time time;
    Limiter limiter(with({requests(2)}), time.now());
    for (int i = 0; i < 2; ++i) CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::go);
    time.passed = 30s;
    auto rules = with({requests(2)}, 0s);
    rules.limits[0].name = "renamed";
    CHECK(limiter.change_rules(rules, time.now()).empty());
    const auto refused = limiter.admit(ask("a"), time.now());
    REQUIRE(refused.decision == Decision::refuse);
    CHECK(refused.refusal->limit == "renamed");
    CHECK(refused.refusal->retry_after == 30s);
}

TEST_CASE("a new number: what was used stays used") {
    Time time;
    Limiter limiter(with({requests(60)}, 0s), time.now());
    for (int i = 0; i < 50; ++i) limiter.admit(ask("a"), time.now());
    limiter.change_rules(with({requests(52)}, 0s), time.now());
    CHECK(limiter.levels(time.now())[0].used == 50);
    for (int i = 0; i < 2; ++i) CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::go);
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::refuse);
    limiter.change_rules(with({requests(10)}, 0s), time.now()); // less than was used
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::refuse);
    time.passed = 61s;
    // A debt: 52 went where 10 are allowed now, and 61 seconds of those came back.
    CHECK(limiter.levels(time.now())[0].used == doctest::Approx(52 - 61.0 / 6));
    time.passed = 60s * 6;
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::go);
}

TEST_CASE("what is under way is settled by the new rules") {
    Time time;
    Limiter limiter(with({concurrent(2), tokens(10'000)}, 0s), time.now());
    const auto one = limiter.admit(ask("a"), time.now());
    const auto two = limiter.admit(ask("b"), time.now());
    // The order is another one, and there is a rule for an agent of its own.
    limiter.change_rules(with({tokens(10'000), concurrent(1, "b"), concurrent(2)}, 0s), time.now());
    auto levels = limiter.levels(time.now());
    CHECK(levels[1].used == 1); // it counts as if it had gone by this rule
    CHECK(levels[2].used == 2);
    CHECK(limiter.admit(ask("b"), time.now()).decision == Decision::refuse);
    limiter.settle(two.ticket, spent(700), time.now());
    limiter.settle(one.ticket, spent(300), time.now());
    levels = limiter.levels(time.now());
    CHECK(levels[0].used == 1'000);
    CHECK(levels[1].used == 0);
    CHECK(levels[2].used == 0);
    // Of a rule that is gone nothing is left.
    const auto three = limiter.admit(ask("a"), time.now());
    limiter.change_rules(with({}), time.now());
    CHECK(limiter.empty());
    limiter.settle(three.ticket, spent(1), time.now());
}

TEST_CASE("who waits does so by the new rules") {
    Time time;
    Limiter limiter(with({concurrent(1)}), time.now());
    const auto one = limiter.admit(ask("a"), time.now());
    const auto two = limiter.admit(ask("a"), time.now());
    const auto three = limiter.admit(ask("b"), time.now());
    REQUIRE(three.decision == Decision::wait);
    time.passed = 10s;
    limiter.change_rules(with({concurrent(2)}), time.now());
    CHECK(limiter.next_wakeup() == time.now().steady);
    auto released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].ticket == two.ticket);
    CHECK(released[0].waited == 10s);
    CHECK(limiter.levels(time.now())[0].waiting == 1);
    // Another hold counts from when it came.
    limiter.change_rules(with({concurrent(2)}, 5s), time.now());
    released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].ticket == three.ticket);
    CHECK(released[0].decision == Decision::refuse);
    const auto four = limiter.admit(ask("c"), time.now());
    REQUIRE(four.decision == Decision::wait);
    limiter.change_rules(with({}), time.now()); // no rule any more
    released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].ticket == four.ticket);
    CHECK(released[0].decision == Decision::go);
    CHECK(released[0].limit.empty());
    limiter.settle(four.ticket, {}, time.now());
    limiter.settle(one.ticket, {}, time.now());
    CHECK_FALSE(limiter.cancel(two.ticket, time.now()));
}

TEST_CASE("a budget goes on; a new one is told, to be read from the ledger") {
    Time time;
    Limiter limiter(budget(1'000), time.now());
    const auto one = limiter.admit(ask("a"), time.now());
    limiter.settle(one.ticket, spent(400), time.now());
    const auto two = limiter.admit(ask("a"), time.now()); // a long stream
    CHECK(limiter.change_rules(budget(2'000), time.now()).empty());
    limiter.settle(two.ticket, spent(500), time.now());
    CHECK(limiter.levels(time.now())[0].used == 900);

    const auto three = limiter.admit(ask("a"), time.now());
    const auto fresh = limiter.change_rules(budget(5'000, Period::month), time.now());
    REQUIRE(fresh == std::vector<std::size_t>{0});
    CHECK(limiter.budget(0).period == Period::month);
    Totals used;
    used.output = 900;
    limiter.restore(0, used);
    limiter.settle(three.ticket, spent(50), time.now());
    CHECK(limiter.levels(time.now())[0].used == 950);
}
