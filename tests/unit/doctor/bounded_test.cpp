#include "core/doctor/bounded.hpp"
#include "tests/unit/http/fakes.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace std::chrono_literals;

namespace {

class RememberingProcess : public system::Process {
  public:
    std::vector<system::ProcessRequest> requests;
    Result<system::ProcessResult> run(const system::ProcessRequest& request) override {
        requests.push_back(request);
        return system::ProcessResult{};
    }
};

} // namespace

TEST_CASE("a request gets no more time than is left, and no more than one may take") {
    test::FakePacer pacer;
    test::FakeHttp http;
    http.rule = [](const http::Request&) { return test::answer(200, "{}"); };
    const doctor::Deadline deadline(pacer, 20s);
    doctor::BoundedClient client(http, deadline, 10s);
    http::Request request;
    request.timeout = 60s;
    request.connect_timeout = 30s;
    REQUIRE(client.send(request));
    CHECK(http.requests.back().timeout == 10s);
    CHECK(http.requests.back().connect_timeout == 10s);
    pacer.passed = 17s;
    REQUIRE(client.send(request));
    CHECK(http.requests.back().timeout == 3s);
    request.timeout = 1s;
    REQUIRE(client.send(request));
    CHECK(http.requests.back().timeout == 1s);
}

TEST_CASE("when the time is over nobody is asked and nothing is started") {
    test::FakePacer pacer;
    test::FakeHttp http;
    RememberingProcess process;
    const doctor::Deadline deadline(pacer, 20s);
    doctor::BoundedClient client(http, deadline, 10s);
    doctor::BoundedProcess children(process, deadline, 10s);
    for (const auto passed : {20s, 21s, 1000s}) {
        pacer.passed = passed;
        CHECK(deadline.left() == 0s);
        const auto answer = client.send({});
        REQUIRE_FALSE(answer);
        CHECK(answer.error().problem == http::NetworkProblem::timeout);
        const auto done = children.run({});
        REQUIRE_FALSE(done);
        CHECK(done.error().kind == ErrorKind::timeout);
    }
    CHECK(http.requests.empty());
    CHECK(process.requests.empty());
}

TEST_CASE("a child process gets no more time than is left") {
    test::FakePacer pacer;
    RememberingProcess process;
    const doctor::Deadline deadline(pacer, 20s);
    doctor::BoundedProcess children(process, deadline, 10s);
    system::ProcessRequest request;
    request.timeout = 30s;
    REQUIRE(children.run(request));
    pacer.passed = 18s;
    REQUIRE(children.run(request));
    REQUIRE(process.requests.size() == 2);
    CHECK(process.requests[0].timeout == 10s);
    CHECK(process.requests[1].timeout == 2s);
}

TEST_CASE("a policy of minutes ends after one short wait") {
    test::FakePacer real;
    const doctor::Deadline deadline(real, 20s);
    doctor::ImpatientPacer pacer(real, deadline);
    const auto begin = pacer.now();
    CHECK(pacer.wait(std::chrono::minutes(5)));
    CHECK(real.waits == std::vector<std::chrono::milliseconds>{1s});
    CHECK(pacer.now() - begin > std::chrono::minutes(30));
    CHECK(deadline.left() == 19s); // the deadline itself goes by real time
}

TEST_CASE("the last wait is cut down to what is left, and an interrupt is passed on") {
    test::FakePacer real;
    const doctor::Deadline deadline(real, 1'500ms);
    doctor::ImpatientPacer pacer(real, deadline);
    real.interrupt_at_wait = 1;
    CHECK(pacer.wait(5s));
    CHECK_FALSE(pacer.wait(5s));
    CHECK(real.waits == std::vector<std::chrono::milliseconds>{1'000ms, 500ms});
}
