#include "core/proxy/token_keeper.hpp"

#include <doctest/doctest.h>

#include <future>

using namespace dbx::proxy;
using dbx::Result;
using dbx::Secret;
using dbx::databricks::Freshness;
using dbx::databricks::Token;

namespace {

struct FixedClock : dbx::system::Clock {
    std::atomic<long long> seconds = 1'000'000;
    dbx::system::WallTime now() const override {
        return dbx::system::WallTime(std::chrono::seconds(seconds.load()));
    }
};

Result<Bearer> wait_for(TokenKeeper& keeper, const Bearer& refused) {
    std::promise<Result<Bearer>> promise;
    auto future = promise.get_future();
    keeper.ask(refused, [&](Result<Bearer> bearer) { promise.set_value(std::move(bearer)); });
    return future.get();
}

} // namespace

TEST_CASE("the first token is fetched without being asked for") {
    FixedClock clock;
    TokenKeeper keeper([](Freshness) -> Result<Token> { return Token{Secret("one")}; }, clock);
    const auto bearer = wait_for(keeper, nullptr);
    REQUIRE(bearer);
    CHECK((*bearer)->reveal() == "Bearer one");
    CHECK(keeper.current() == *bearer);
}

TEST_CASE("many requests with a refused token cause one new one") {
    FixedClock clock;
    std::atomic<int> forced = 0;
    TokenKeeper keeper(
        [&](Freshness freshness) -> Result<Token> {
            if (freshness == Freshness::forced) ++forced;
            return Token{Secret("token-" + std::to_string(forced.load()))};
        },
        clock);
    const auto old = *wait_for(keeper, nullptr);
    std::vector<std::promise<Result<Bearer>>> promises(50);
    for (auto& promise : promises)
        keeper.ask(old, [&](Result<Bearer> bearer) { promise.set_value(std::move(bearer)); });
    for (auto& promise : promises) {
        const auto bearer = promise.get_future().get();
        REQUIRE(bearer);
        CHECK((*bearer)->reveal() == "Bearer token-1");
    }
    CHECK(forced == 1);
    // One who comes late with the old one gets the new one at once.
    CHECK((*wait_for(keeper, old))->reveal() == "Bearer token-1");
    CHECK(forced == 1);
}

TEST_CASE("without another token the refused one comes back, and it is the same") {
    FixedClock clock;
    TokenKeeper keeper([](Freshness) -> Result<Token> { return Token{Secret("static")}; }, clock);
    const auto old = *wait_for(keeper, nullptr);
    CHECK(*wait_for(keeper, old) == old);
}

TEST_CASE("an error reaches those who wait, and is forgotten with the next token") {
    FixedClock clock;
    std::atomic<bool> works = false;
    TokenKeeper keeper(
        [&](Freshness) -> Result<Token> {
            if (!works) return dbx::fail(dbx::ErrorKind::credential, "no login", "it ran out");
            return Token{Secret("good")};
        },
        clock);
    const auto failed = wait_for(keeper, nullptr);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().what == "no login");
    CHECK(keeper.last_problem() == "no login: it ran out");
    works = true;
    CHECK(wait_for(keeper, nullptr));
    CHECK(keeper.last_problem().empty());
}

TEST_CASE("a token that has run out is not handed out") {
    FixedClock clock;
    std::atomic<bool> works = true;
    TokenKeeper keeper(
        [&](Freshness) -> Result<Token> {
            if (!works) return dbx::fail(dbx::ErrorKind::workspace, "no network");
            return Token{Secret("short"), clock.now(), clock.now() + std::chrono::seconds(60)};
        },
        clock);
    REQUIRE(wait_for(keeper, nullptr));
    works = false;
    clock.seconds += 61;
    const auto late = wait_for(keeper, nullptr);
    CHECK_FALSE(late);
    CHECK(keeper.current() == nullptr);
}
