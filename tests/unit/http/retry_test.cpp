#include "core/http/retry.hpp"
#include "tests/unit/http/fakes.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::http;
using namespace dbx::test;
using namespace std::chrono_literals;

TEST_CASE("Retry-After is read as seconds and as an HTTP date") {
    const auto now = system::WallTime(784111777s); // Sun, 06 Nov 1994 08:49:37 GMT
    const auto read = [&](std::string value) {
        return retry_after(answer(429, "", {{"retry-after", value}}), now);
    };
    CHECK(read("7") == 7s);
    CHECK(read(" 0 ") == 0s);
    CHECK(read("Sun, 06 Nov 1994 08:49:47 GMT") == 10s);
    CHECK(read("Sun, 06 Nov 1994 08:00:00 GMT") == 0s);
    for (const auto* bad :
         {"", "-1", "soon", "1.5", "99999999999999999999", "Sun, 32 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET", "06 Nov 1994"}) {
        CAPTURE(bad);
        CHECK_FALSE(read(bad));
    }
    CHECK_FALSE(retry_after(answer(429, ""), now));
}

TEST_CASE("waits grow, have jitter, honour the server and end at the total") {
    const RetryPolicy policy;
    CHECK(next_wait(policy, 1, 0ms, {}, 0.0) == 500ms);
    CHECK(next_wait(policy, 1, 0ms, {}, 0.5) == 750ms);
    CHECK(next_wait(policy, 2, 0ms, {}, 0.0) == 1000ms);
    CHECK(next_wait(policy, 3, 0ms, {}, 0.0) == 2000ms);
    CHECK(next_wait(policy, 15, 0ms, {}, 0.0) == 5000ms);
    CHECK(next_wait(policy, 1, 0ms, 30'000ms, 0.0) == 30'000ms);
    CHECK(*next_wait(policy, 1, 0ms, 30'000ms, 0.9) > 30'000ms);
    CHECK(next_wait(policy, 1, 0ms, 0ms, 0.0) == 500ms);
    CHECK_FALSE(next_wait(policy, 1, 0ms, 301s, 0.0));
    CHECK_FALSE(next_wait(policy, 1, 299'900ms, {}, 0.0));
    CHECK_FALSE(next_wait(policy, policy.attempts, 0ms, {}, 0.0));
}

TEST_CASE("what is worth repeating") {
    for (const int status : {429, 503}) {
        CHECK(worth_repeating(answer(status, ""), Repeatable::only_unsent));
        CHECK(worth_repeating(answer(status, ""), Repeatable::yes));
    }
    for (const int status : {502, 504}) {
        CHECK_FALSE(worth_repeating(answer(status, ""), Repeatable::only_unsent));
        CHECK(worth_repeating(answer(status, ""), Repeatable::yes));
    }
    for (const int status : {200, 302, 400, 401, 403, 404, 500})
        CHECK_FALSE(worth_repeating(answer(status, ""), Repeatable::yes));
    CHECK(worth_repeating(failure(NetworkProblem::dropped, true), Repeatable::yes));
    CHECK_FALSE(worth_repeating(failure(NetworkProblem::dropped, true), Repeatable::only_unsent));
    CHECK(worth_repeating(failure(NetworkProblem::connect, false), Repeatable::only_unsent));
    CHECK_FALSE(worth_repeating(failure(NetworkProblem::tls), Repeatable::yes));
    CHECK_FALSE(worth_repeating(failure(NetworkProblem::name), Repeatable::yes));
    CHECK_FALSE(worth_repeating(failure(NetworkProblem::interrupted), Repeatable::yes));
}

TEST_CASE("a request is repeated until it is answered, within the total") {
    FakeHttp client;
    FakePacer pacer;
    client.script = {answer(503, ""), answer(429, "", {{"Retry-After", "4"}}),
                     tl::unexpected(failure(NetworkProblem::dropped, true)), answer(200, "ok")};
    const auto result = send_with_retries(client, {}, Repeatable::yes, {}, pacer);
    REQUIRE(result);
    CHECK(result->body == "ok");
    CHECK(client.requests.size() == 4);
    CHECK(pacer.waits.at(1) >= 4s);

    FakeHttp always;
    always.rule = [](const Request&) { return answer(429, "", {{"Retry-After", "50"}}); };
    FakePacer slow;
    const auto last = send_with_retries(always, {}, Repeatable::yes, {}, slow);
    REQUIRE(last);
    CHECK(last->status == 429);
    CHECK(slow.passed <= 300s);
    CHECK(always.requests.size() == 6);
}

TEST_CASE("an interrupt ends the waiting") {
    FakeHttp client;
    client.rule = [](const Request&) { return answer(503, ""); };
    FakePacer pacer;
    pacer.interrupt_at_wait = 1;
    const auto result = send_with_retries(client, {}, Repeatable::yes, {}, pacer);
    REQUIRE_FALSE(result);
    CHECK(result.error().problem == NetworkProblem::interrupted);
    CHECK(to_error(result.error(), "https://h.com/x").kind == ErrorKind::interrupted);
}
