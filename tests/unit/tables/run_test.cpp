#include "core/tables/run.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx;
using namespace dbx::tables;
using namespace dbx::test;
using databricks::ApiProblem;

namespace {

std::vector<Statement> three() {
    return {{"a", "a", "CREATE a"}, {"b", "b", "CREATE b"}, {"c", "c", "CREATE c"}};
}

std::string ended(const std::string& id, const std::string& state) {
    return R"({"statement_id":")" + id + R"(","status":{"state":")" + state +
           R"(","error":{"error_code":"BAD_REQUEST","message":"[SCHEMA_NOT_FOUND] no"}}})";
}

std::string sql_of(const http::Request& request) {
    return nlohmann::json::parse(request.body).at("statement");
}

} // namespace

TEST_CASE("every statement is submitted once, and its run stands in its place") {
    ApiBench bench;
    bench.http.rule = [](const http::Request& request) {
        return answer(200, ended("id of " + sql_of(request), "SUCCEEDED"));
    };
    std::size_t calls = 0;
    RunProgress last;
    const auto runs =
        run_side_by_side(bench.workspace, three(), "w1", std::chrono::minutes(1), [&](const RunProgress& p) {
            ++calls;
            last = p;
        });
    REQUIRE(runs.size() == 3);
    CHECK(bench.http.requests.size() == 3);
    CHECK(runs[0].statement_id == "id of CREATE a");
    CHECK(runs[2].statement_id == "id of CREATE c");
    CHECK(runs[1].succeeded());
    CHECK(first_error(runs) == nullptr);
    CHECK(calls >= 9);
    CHECK(last.total == 3);
}

TEST_CASE("one failure leaves the others alone") {
    ApiBench bench;
    bench.http.rule = [](const http::Request& request) {
        return answer(200, ended("s", sql_of(request) == "CREATE b" ? "FAILED" : "SUCCEEDED"));
    };
    const auto runs = run_side_by_side(bench.workspace, three(), "w1", std::chrono::minutes(1));
    CHECK(runs[0].succeeded());
    CHECK_FALSE(runs[1].succeeded());
    CHECK(runs[2].succeeded());
    REQUIRE(first_error(runs) != nullptr);
    CHECK(first_error(runs)->problem == ApiProblem::statement_failed);
}

TEST_CASE("a statement is not begun when the time is over") {
    ApiBench bench;
    const auto runs = run_side_by_side(bench.workspace, three(), "w1", std::chrono::milliseconds(0));
    CHECK(bench.http.requests.empty());
    for (const auto& run : runs) {
        CHECK_FALSE(run.begun);
        CHECK(run.error->error.kind == ErrorKind::timeout);
    }
}

TEST_CASE("a timeout is a number with a unit") {
    CHECK(parse_timeout("10m")->count() == 600'000);
    CHECK(parse_timeout("90s")->count() == 90'000);
    CHECK(parse_timeout("45")->count() == 45'000);
    CHECK(parse_timeout("24h")->count() == 86'400'000);
    for (const auto* text :
         {"", "0", "-1s", "10 m", "m", "1d", "1.5m", "25h", "99999999999999999999s", "10mm", "0x10"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_timeout(text));
    }
}
