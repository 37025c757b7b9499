#include "core/usage/recent_minute.hpp"
#include "tests/unit/usage/limiter_time.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <random>
#include <set>

using namespace dbx;
using namespace dbx::usage;
using namespace std::chrono_literals;

TEST_CASE("without a rule, or with none that concerns it, everything goes") {
    Time time;
    Limiter none(with({}), time.now());
    CHECK(none.empty());
    CHECK(none.admit(ask("claude"), time.now()).decision == Decision::go);
    Limiter other(with({requests(1, "codex"), requests(1, "", "gpt-*")}), time.now());
    for (int i = 0; i < 10; ++i) {
        const auto verdict = other.admit(ask("claude"), time.now());
        CHECK(verdict.decision == Decision::go);
        CHECK(verdict.ticket == 0);
        other.settle(verdict.ticket, {}, time.now());
    }
}

TEST_CASE("a minute's worth goes at once, the next one when the first is a minute old") {
    Time time;
    Limiter limiter(with({requests(60)}, 90s), time.now());
    for (int i = 0; i < 60; ++i) {
        time.passed = std::chrono::seconds(i / 20);
        CHECK(limiter.admit(ask("claude"), time.now()).decision == Decision::go);
    }
    const auto verdict = limiter.admit(ask("claude"), time.now());
    REQUIRE(verdict.decision == Decision::wait);
    CHECK(verdict.refusal->in_words() == "limit 1: 60 requests per minute (config.toml:3)");
    CHECK(verdict.refusal->retry_after == 58s);
    CHECK(limiter.levels(time.now())[0].frees_in == 58s);
    CHECK(limiter.run(time.now()).empty());
    REQUIRE(limiter.next_wakeup());
    CHECK(*limiter.next_wakeup() - time.now().steady >= 58s);
    CHECK(*limiter.next_wakeup() - time.now().steady < 58s + 10ms);
    time.passed = std::chrono::duration_cast<std::chrono::microseconds>(*limiter.next_wakeup() -
                                                                        Steady::time_point(1h));
    const auto released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].decision == Decision::go);
    CHECK(released[0].ticket == verdict.ticket);
    CHECK(released[0].limit == "limit 1");
    CHECK_FALSE(limiter.next_wakeup());
}

TEST_CASE("the last minute is known exactly, or as more, in bounded memory") {
    std::mt19937 random(3);
    RecentMinute recent;
    std::deque<std::pair<std::chrono::microseconds, int>> all;
    std::chrono::microseconds passed{0};
    const auto at = [](std::chrono::microseconds when) { return Steady::time_point(1h) + when; };
    for (int step = 0; step < 50'000; ++step) {
        // Now and then one by one, now and then thousands in a second.
        passed += std::chrono::microseconds((step / 5'000) % 2 == 0 ? random() % 500 : random() % 2'000'000);
        const int amount = 1 + static_cast<int>(random() % 100);
        recent.add(at(passed), amount);
        all.emplace_back(passed, amount);
        while (passed - all.front().first >= 60s) all.pop_front();
        if (step % 500 == 0) {
            int sum = 0, sure = 0; // `sure`: still there in half a second
            for (const auto& [when, what] : all) sum += what;
            REQUIRE(recent.sum() >= sum);
            REQUIRE(recent.entries() <= 242);
            const auto wait = recent.until(0, at(passed));
            REQUIRE(wait == 60s);
            for (const auto& [when, what] : all)
                if (passed - when < 59'750ms) sure += what;
            REQUIRE(recent.until(sure, at(passed)) <= 500ms);
        }
    }
    RecentMinute one;
    one.add(at(0s), 5);
    one.add(at(1s), 7);
    one.take_back(at(0s), 4);
    CHECK(one.sum() == 8);
    CHECK(one.until(7, at(2s)) == 58s);
    CHECK(one.until(6, at(2s)) == 59s);
    CHECK(one.until(8, at(2s)) == 0s);
    one.forget(at(60s));
    one.take_back(at(0s), 1);
    CHECK(one.sum() == 7);
    one.forget(at(61s));
    CHECK(one.sum() == 0);
}

TEST_CASE("hold over: refused, with the time until there is room") {
    Time time;
    Limiter limiter(with({requests(1)}, 10s), time.now());
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::go);
    const auto verdict = limiter.admit(ask("a"), time.now());
    REQUIRE(verdict.decision == Decision::wait);
    CHECK(*limiter.next_wakeup() == time.now().steady + 10s);
    time.passed = 9'999ms;
    CHECK(limiter.run(time.now()).empty());
    time.passed = 10s;
    const auto released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].decision == Decision::refuse);
    CHECK(released[0].waited == 10s);
    CHECK(released[0].refusal->retry_after == 50s);
    CHECK(limiter.levels(time.now())[0].refused == 1);
    CHECK(limiter.levels(time.now())[0].held == 1);
    CHECK(limiter.levels(time.now())[0].frees_in == 50s);

    Limiter none(with({requests(1)}, 0s), time.now());
    CHECK(none.admit(ask("a"), time.now()).decision == Decision::go);
    const auto refused = none.admit(ask("a"), time.now());
    CHECK(refused.decision == Decision::refuse);
    CHECK(refused.refusal->retry_after == 60s);
    CHECK_FALSE(none.next_wakeup());
}

TEST_CASE("concurrency: a place is free when a request is settled, and those who leave the line open it") {
    Time time;
    LimitRule rule;
    rule.name = "two";
    rule.concurrent = 2;
    Limiter limiter(with({rule}), time.now());
    const auto one = limiter.admit(ask("a"), time.now());
    const auto two = limiter.admit(ask("a"), time.now());
    const auto three = limiter.admit(ask("a"), time.now());
    const auto four = limiter.admit(ask("b"), time.now());
    CHECK(two.decision == Decision::go);
    CHECK(three.decision == Decision::wait);
    CHECK(four.decision == Decision::wait);
    CHECK(limiter.levels(time.now())[0].used == 2);
    CHECK(limiter.levels(time.now())[0].waiting == 2);
    CHECK(limiter.cancel(three.ticket, time.now()));
    CHECK_FALSE(limiter.cancel(three.ticket, time.now()));
    CHECK(limiter.run(time.now()).empty());
    limiter.settle(one.ticket, {}, time.now());
    limiter.settle(one.ticket, {}, time.now()); // twice: nothing
    CHECK(*limiter.next_wakeup() <= time.now().steady);
    const auto released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].ticket == four.ticket);
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::wait);
}

TEST_CASE("tokens: reserved by estimate, settled on the real use, a debt is waited for") {
    Time time;
    LimitRule rule;
    rule.name = "tokens";
    rule.tokens_per_minute = 6'000;
    Limiter limiter(with({rule}), time.now());
    // 4,000 bytes: 1,000 tokens; at most 200 of output
    Limiter::Ask big{"a", "m", 4'000, 200, std::nullopt};
    const auto first = limiter.admit(big, time.now());
    CHECK(first.decision == Decision::go);
    CHECK(limiter.levels(time.now())[0].used == 1'200);
    limiter.settle(first.ticket, {9'000, std::nullopt, 8'800, 200}, time.now());
    CHECK(limiter.levels(time.now())[0].used == 9'000); // 3,000 of debt
    // What was learnt: 2.2 tokens per byte.
    const auto second = limiter.admit({"a", "m", 1'000, std::nullopt, std::nullopt}, time.now());
    REQUIRE(second.decision == Decision::wait);
    CHECK(second.refusal->retry_after ==
          60s); // when those 9,000 are a minute old; the debt is paid after 54 s
    // More than a full bucket goes when the bucket is full.
    Limiter fresh(with({rule}), time.now());
    CHECK(fresh.admit({"a", "m", 4'000'000, 0, std::nullopt}, time.now()).decision == Decision::go);
    CHECK(fresh.admit({"a", "m", 4, 0, std::nullopt}, time.now()).decision == Decision::wait);
    // Less than was reserved: the rest comes back at once.
    Limiter back(with({rule}), time.now());
    const auto reserved = back.admit({"a", "m", 20'000, 1'000, std::nullopt}, time.now());
    back.settle(reserved.ticket, {10, std::nullopt, std::nullopt, std::nullopt}, time.now());
    CHECK(back.levels(time.now())[0].used == 10);
}

TEST_CASE("a debt is paid although what made it is older than a minute") {
    Time time;
    LimitRule rule;
    rule.name = "tokens";
    rule.tokens_per_minute = 6'000;
    Limiter limiter(with({rule}, 0s), time.now());
    const auto first = limiter.admit({"a", "m", 0, 0, std::nullopt}, time.now());
    limiter.settle(first.ticket, {30'000, std::nullopt, std::nullopt, std::nullopt}, time.now());
    time.passed = 61s;
    const auto level = limiter.levels(time.now())[0];
    CHECK(level.used == 23'900); // five minutes' worth, one of them is over
    CHECK(level.frees_in > 179s);
    const auto refused = limiter.admit({"a", "m", 400, 0, std::nullopt}, time.now());
    REQUIRE(refused.decision == Decision::refuse);
    CHECK(refused.refusal->retry_after == 180s);
    time.passed = 61s + 180s;
    CHECK(limiter.admit({"a", "m", 400, 0, std::nullopt}, time.now()).decision == Decision::go);
}

TEST_CASE("small requests do not overtake a large one that waits for the same, others pass") {
    Time time;
    LimitRule tokens;
    tokens.name = "tokens";
    tokens.model = "slow";
    tokens.tokens_per_minute = 6'000;
    Limiter limiter(with({tokens, requests(100)}, 90s), time.now());
    CHECK(limiter.admit({"a", "slow", 16'000, 0, std::nullopt}, time.now()).decision == Decision::go);
    const auto large = limiter.admit({"a", "slow", 12'000, 0, std::nullopt}, time.now());
    CHECK(large.decision == Decision::wait);
    time.passed = 1s;
    const auto small = limiter.admit({"b", "slow", 40, 0, std::nullopt}, time.now());
    CHECK(small.decision == Decision::wait); // there is room for it, but `large` is first
    CHECK(limiter.admit({"b", "fast", 40, 0, std::nullopt}, time.now()).decision == Decision::go);
    CHECK(limiter.run(time.now()).empty());
    // No busy waiting for the one that is only behind.
    CHECK(*limiter.next_wakeup() > time.now().steady + 20s);
    time.passed = 61s;
    const auto released = limiter.run(time.now());
    REQUIRE(released.size() == 2);
    CHECK(released[0].ticket == large.ticket);
    CHECK(released[0].decision == Decision::go);
    CHECK(released[1].ticket == small.ticket);
    CHECK(released[1].decision == Decision::go);
}

TEST_CASE("agents take turns, each one's own requests stay in order") {
    Time time;
    Limiter limiter(with({requests(60)}, 90s), time.now());
    for (int i = 0; i < 60; ++i) {
        time.passed = std::chrono::seconds(i);
        limiter.admit(ask("x"), time.now());
    }
    std::map<Limiter::TicketId, char> who;
    for (int i = 0; i < 10; ++i) who[limiter.admit(ask("greedy"), time.now()).ticket] = 'g';
    who[limiter.admit(ask("calm"), time.now()).ticket] = 'c';
    who[limiter.admit(ask("calm"), time.now()).ticket] = 'c';
    std::string order;
    Limiter::TicketId last_greedy = 0;
    for (int second = 60; second < 72; ++second) {
        time.passed = std::chrono::seconds(second) + 1ms;
        const auto released = limiter.run(time.now());
        CHECK(released.size() == 1);
        for (const auto& one : released) {
            order += who[one.ticket];
            if (who[one.ticket] != 'g') continue;
            CHECK(one.ticket > last_greedy);
            last_greedy = one.ticket;
        }
    }
    CHECK(order == "gcgcgggggggg");
}

TEST_CASE("the line is bounded") {
    Time time;
    auto options = with({requests(1)});
    options.line = 3;
    Limiter limiter(options, time.now());
    limiter.admit(ask("a"), time.now());
    for (int i = 0; i < 3; ++i) CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::wait);
    const auto verdict = limiter.admit(ask("a"), time.now());
    CHECK(verdict.decision == Decision::refuse);
    CHECK(verdict.refusal->kind == Limiter::Kind::line);
    CHECK(verdict.refusal->retry_after == 240s);
}

TEST_CASE("no 60 seconds let more than the number pass, nobody starves, and all of it is used") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        std::mt19937 random(seed);
        Time time;
        constexpr double per_minute = 30;
        LimitRule all = requests(per_minute);
        LimitRule few;
        few.name = "few";
        few.agent = "b*";
        few.concurrent = 3;
        Limiter limiter(with({all, few}, 3600s), time.now());
        std::vector<std::chrono::microseconds> went;
        std::deque<std::pair<std::chrono::microseconds, Limiter::TicketId>> running;
        std::map<Limiter::TicketId, std::pair<std::string, std::chrono::microseconds>> waiting;
        std::map<std::string, int> running_of;
        std::map<Limiter::TicketId, std::string> agent_of;
        std::chrono::microseconds longest{0};
        const auto goes = [&](Limiter::TicketId ticket, const std::string& agent) {
            went.push_back(time.passed);
            running.emplace_back(time.passed + std::chrono::milliseconds(random() % 20'000), ticket);
            agent_of[ticket] = agent;
            ++running_of[agent];
            REQUIRE(running_of["b1"] + running_of["b2"] <= 3);
        };
        for (int step = 0; step < 4'000; ++step) {
            time.passed += std::chrono::microseconds(random() % 600'000);
            std::erase_if(running, [&](const auto& one) {
                if (one.first > time.passed) return false;
                --running_of[agent_of[one.second]];
                limiter.settle(one.second, {}, time.now());
                return true;
            });
            const auto wakeup = limiter.next_wakeup();
            const auto released = limiter.run(time.now());
            if (!released.empty()) {
                REQUIRE(wakeup);
                REQUIRE(*wakeup <= time.now().steady + 100us);
            }
            for (const auto& one : released) {
                REQUIRE(one.decision == Decision::go);
                const auto [agent, came] = waiting.at(one.ticket);
                longest = std::max(longest, time.passed - came);
                waiting.erase(one.ticket);
                goes(one.ticket, agent);
            }
            // Bursts and pauses.
            if ((step / 400) % 2 == 0 && step < 3'600 && random() % 5 == 0) {
                const std::string agent = std::array{"a", "b1", "b2", "c"}[random() % 4];
                const auto verdict = limiter.admit(ask(agent), time.now());
                REQUIRE(verdict.decision != Decision::refuse);
                if (verdict.decision == Decision::go)
                    goes(verdict.ticket, agent);
                else if (random() % 10 == 0)
                    REQUIRE(limiter.cancel(verdict.ticket, time.now()));
                else
                    waiting[verdict.ticket] = {agent, time.passed};
            }
        }
        for (std::size_t i = 0; i < went.size(); ++i) {
            const auto beyond = std::lower_bound(went.begin(), went.end(), went[i] + 60s);
            REQUIRE(beyond - went.begin() - static_cast<std::ptrdiff_t>(i) <= per_minute);
        }
        // What came in bursts has gone by the end of the pause.
        CHECK(waiting.empty());
        CHECK(longest < 120s);
        CHECK(went.size() > 300);
    }
}

TEST_CASE("tokens: no request goes that would make more than the number in 60 seconds, and with true "
          "estimates none do") {
    for (unsigned seed = 1; seed <= 6; ++seed) {
        std::mt19937 random(seed);
        const bool estimates_are_true = seed % 2 == 0;
        Time time;
        constexpr double per_minute = 10'000;
        LimitRule rule;
        rule.name = "tokens";
        rule.tokens_per_minute = per_minute;
        Limiter limiter(with({rule}, 3600s), time.now());
        struct Booked {
            std::chrono::microseconds when;
            double tokens;
        };
        std::vector<Booked> booked; // in the order of time
        struct Going {
            std::chrono::microseconds ends, went;
            Limiter::TicketId ticket;
            double estimate;
            std::uint64_t real;
        };
        std::vector<Going> going;
        std::map<Limiter::TicketId, double> waiting;
        double used = 0;
        const auto last_minute = [&] {
            double sum = 0;
            for (auto at = booked.rbegin(); at != booked.rend() && time.passed - at->when < 60s; ++at)
                sum += at->tokens;
            return sum;
        };
        const auto goes = [&](Limiter::TicketId ticket, double estimate) {
            booked.push_back({time.passed, estimate});
            REQUIRE(last_minute() <= per_minute + 1e-3);
            const auto real = estimates_are_true ? static_cast<std::uint64_t>(estimate) : random() % 4'000;
            going.push_back({time.passed + std::chrono::milliseconds(random() % 20'000), time.passed, ticket,
                             estimate, real});
        };
        for (int step = 0; step < 3'000; ++step) {
            time.passed += std::chrono::microseconds(random() % 300'000);
            std::erase_if(going, [&](const Going& one) {
                if (one.ends > time.passed) return false;
                const double more = static_cast<double>(one.real) - one.estimate;
                used += static_cast<double>(one.real);
                if (more > 0) booked.push_back({time.passed, more});
                for (auto& at : booked)
                    if (more < 0 && at.when == one.went && at.tokens == one.estimate) {
                        at.tokens += more;
                        break;
                    }
                limiter.settle(one.ticket, {one.real, std::nullopt, std::nullopt, std::nullopt}, time.now());
                return true;
            });
            for (const auto& one : limiter.run(time.now())) {
                REQUIRE(one.decision == Decision::go);
                goes(one.ticket, waiting.at(one.ticket));
                waiting.erase(one.ticket);
            }
            if (random() % 3 != 0 || waiting.size() > 50) continue;
            const std::uint64_t bytes = random() % 16'000;
            const double estimate = std::ceil(static_cast<double>(bytes) * 0.25);
            const auto verdict = limiter.admit({"a", "m", bytes, 0, std::nullopt}, time.now());
            if (verdict.decision == Decision::go)
                goes(verdict.ticket, estimate);
            else
                waiting[verdict.ticket] = estimate;
        }
        if (estimates_are_true) {
            for (std::size_t i = 0; i < booked.size(); ++i) {
                double sum = 0;
                for (auto j = i; j < booked.size() && booked[j].when - booked[i].when < 60s; ++j)
                    sum += booked[j].tokens;
                REQUIRE(sum <= per_minute + 1e-3);
            }
        }
        const double minutes = std::chrono::duration<double>(time.passed).count() / 60;
        CHECK(used > per_minute * minutes * 0.75);
        CHECK(used <= per_minute * (minutes + 1) + 4'000);
    }
}

TEST_CASE("a token limit holds in the long run although every estimate is wrong") {
    std::mt19937 random(7);
    Time time;
    LimitRule rule;
    rule.name = "tokens";
    rule.tokens_per_minute = 10'000;
    Limiter limiter(with({rule}, 0s), time.now());
    double used = 0, most = 0;
    for (int step = 0; step < 20'000; ++step) {
        time.passed += 100ms;
        const auto verdict =
            limiter.admit({"a", "m", random() % 2'000, std::nullopt, std::nullopt}, time.now());
        if (verdict.decision != Decision::go) continue;
        const std::uint64_t real = random() % 8'000;
        most = std::max(most, static_cast<double>(real));
        used += static_cast<double>(real);
        limiter.settle(verdict.ticket, {real, std::nullopt, std::nullopt, std::nullopt}, time.now());
    }
    const double minutes = std::chrono::duration<double>(time.passed).count() / 60;
    CHECK(used <= 10'000 * (1 + minutes) + most);
    CHECK(used > 10'000 * minutes * 0.95);
}

TEST_CASE("budgets: used up is refused at once, with the end of its period; reserved is waited for") {
    Time time; // 22:00 on a Saturday
    Limiter::Options options = with({});
    options.budgets.push_back({"budget 1", "config.toml:9", "", "", Period::day, 1'000.0, std::nullopt});
    Limiter limiter(options, time.now());
    Totals used;
    used.input = 300;
    used.output = 200;
    used.cache_read = 99'999;
    limiter.restore(0, used);
    CHECK(limiter.budget_begin(0, time.now()) == time.start - 22h);
    const auto one = limiter.admit({"a", "m", 4'000, 0, std::nullopt}, time.now()); // reserves 1,000
    CHECK(one.decision == Decision::go);
    const auto two = limiter.admit(ask("a"), time.now());
    CHECK(two.decision == Decision::wait);
    limiter.settle(one.ticket, {100, std::nullopt, std::nullopt, std::nullopt}, time.now());
    auto released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].decision == Decision::go);
    limiter.settle(two.ticket, {5'000, std::nullopt, std::nullopt, std::nullopt}, time.now()); // overdrawn
    const auto three = limiter.admit(ask("a"), time.now());
    REQUIRE(three.decision == Decision::refuse);
    CHECK(three.refusal->resets_at == time.start + 2h);
    CHECK(three.refusal->retry_after == 2h);
    CHECK(three.refusal->in_words() == "budget 1: 1000 tokens per day (config.toml:9)");
    time.passed = 2h - 10s; // the period ends within the hold
    const auto four = limiter.admit(ask("a"), time.now());
    CHECK(four.decision == Decision::wait);
    time.passed = 2h;
    CHECK(*limiter.next_wakeup() <= time.now().steady + 1ms);
    time.passed = 2h + 1ms;
    released = limiter.run(time.now());
    REQUIRE(released.size() == 1);
    CHECK(released[0].decision == Decision::go);
    CHECK(limiter.levels(time.now())[0].resets_at == time.start + 26h);
}

TEST_CASE("USD budgets count what has a price, and say what has none") {
    Time time;
    Limiter::Options options = with({}, 0s);
    options.budgets.push_back({"money", "", "", "", Period::month, std::nullopt, 1.0});
    Limiter limiter(options, time.now());
    const auto one = limiter.admit({"a", "m", 4'000, 0, 1e-5}, time.now());
    CHECK(limiter.levels(time.now())[0].used == doctest::Approx(0.01));
    limiter.settle(one.ticket, {0, 1.25, std::nullopt, std::nullopt}, time.now());
    CHECK(limiter.admit({"a", "m", 4'000, 0, 1e-5}, time.now()).decision == Decision::refuse);
    const auto free = limiter.admit(ask("a", "unpriced"), time.now());
    CHECK(free.decision == Decision::go);
    limiter.settle(free.ticket, {}, time.now());
    CHECK(limiter.levels(time.now())[0].unpriced == 1);
    CHECK(limiter.levels(time.now())[0].used == doctest::Approx(1.25));
}

TEST_CASE("a request counts in the budget's period in which it began") {
    Time time;
    Limiter::Options options = with({}, 0s);
    options.budgets.push_back({"b", "", "", "", Period::day, 1'000.0, std::nullopt});
    Limiter limiter(options, time.now());
    const auto one = limiter.admit(ask("a"), time.now());
    time.passed = 3h;
    limiter.settle(one.ticket, {5'000, std::nullopt, std::nullopt, std::nullopt}, time.now());
    CHECK(limiter.levels(time.now())[0].used == 0);
    CHECK(limiter.admit(ask("a"), time.now()).decision == Decision::go);
}

TEST_CASE("calendar periods") {
    const auto at = [](long seconds) { return system::WallTime(std::chrono::seconds(seconds)); };
    const auto saturday = at(1'795'298'400); // 2026-11-21 22:00 UTC
    auto bounds = bounds_of(Period::day, saturday, 0s);
    CHECK(bounds.begin == saturday - 22h);
    CHECK(bounds.end == saturday + 2h);
    bounds = bounds_of(Period::day, saturday, 3h); // there it is Sunday, 01:00
    CHECK(bounds.begin == saturday - 1h);
    bounds = bounds_of(Period::week, saturday, 0s);
    CHECK(bounds.begin == saturday - 22h - 24h * 5);
    CHECK(bounds.end == saturday + 26h);
    bounds = bounds_of(Period::month, saturday, -5h);
    CHECK(system::format_utc(bounds.begin) == "2026-11-01T05:00:00Z");
    CHECK(system::format_utc(bounds.end) == "2026-12-01T05:00:00Z");
    bounds = bounds_of(Period::month, at(1'798'761'600 - 1), 0s); // the last second of 2026
    CHECK(system::format_utc(bounds.end) == "2027-01-01T00:00:00Z");
}
