#include "core/databricks/statements.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;
using namespace std::chrono_literals;

namespace {

std::string in_state(const std::string& word) {
    return R"({"statement_id":"s1","status":{"state":")" + word + R"("}})";
}

const std::string rows = R"({"statement_id":"s1","status":{"state":"SUCCEEDED"},
  "manifest":{"schema":{"columns":[{"name":"a","type_text":"STRING"},{"name":"b","type_text":"BIGINT"}]},"total_chunk_count":1,"truncated":false},
  "result":{"chunk_index":0,"data_array":[["x","1"],[null,"2"]]}})";

StatementRequest request(std::string sql = "SELECT 1") {
    StatementRequest result;
    result.sql = std::move(sql);
    result.warehouse_id = "w1";
    return result;
}

} // namespace

TEST_CASE("a statement that ends at once gives its rows") {
    ApiBench bench;
    bench.http.script = {answer(200, rows)};
    auto asked = request("SELECT :p");
    asked.catalog = "main";
    asked.schema = "otel";
    asked.parameters = {{"p", "v"}};
    const auto result = execute(bench.workspace, asked);
    REQUIRE(result);
    CHECK(result->statement_id == "s1");
    CHECK(result->columns.at(1).type_text == "BIGINT");
    CHECK(result->rows.size() == 2);
    CHECK(result->rows[0][0] == "x");
    CHECK_FALSE(result->rows[1][0].has_value());
    const auto body = nlohmann::json::parse(bench.http.requests.at(0).body);
    CHECK(body["statement"] == "SELECT :p");
    CHECK(body["warehouse_id"] == "w1");
    CHECK(body["wait_timeout"] == "10s");
    CHECK(body["on_wait_timeout"] == "CONTINUE");
    CHECK(body["catalog"] == "main");
    CHECK(body["parameters"][0]["name"] == "p");
    CHECK(bench.http.requests[0].method == "POST");
}

TEST_CASE("a statement is polled at growing intervals, and progress is told") {
    ApiBench bench;
    bench.http.script = {answer(200, in_state("PENDING")), answer(200, in_state("PENDING")),
                         answer(200, in_state("RUNNING")), answer(200, in_state("RUNNING")),
                         answer(200, rows)};
    std::vector<StatementState> seen;
    const auto result =
        execute(bench.workspace, request(), [&](const StatementProgress& p) { seen.push_back(p.state); });
    REQUIRE(result);
    CHECK(bench.http.requests.at(1).url == "https://w.com/api/2.0/sql/statements/s1");
    CHECK(bench.pacer.waits.size() == 4);
    for (std::size_t i = 1; i < bench.pacer.waits.size(); ++i)
        CHECK(bench.pacer.waits[i] > bench.pacer.waits[i - 1]);
    CHECK(seen.size() == 6);
    CHECK(seen.back() == StatementState::succeeded);
    CHECK(result->elapsed == bench.pacer.passed);
}

TEST_CASE("FAILED inside HTTP 200 is an error with its class") {
    ApiBench bench;
    bench.http.script = {
        answer(200, R"({"statement_id":"s1","status":{"state":"FAILED","error":{"error_code":"BAD_REQUEST",
        "message":"[TABLE_OR_VIEW_NOT_FOUND] The table\nis not there. SQLSTATE: 42P01"}}})")};
    const auto result = execute(bench.workspace, request());
    REQUIRE_FALSE(result);
    const auto& error = result.error();
    CHECK(error.problem == ApiProblem::statement_failed);
    CHECK(error.code == "BAD_REQUEST");
    CHECK(error.error_class == "TABLE_OR_VIEW_NOT_FOUND");
    CHECK(error.sql_state == "42P01");
    CHECK(error.statement_id == "s1");
    CHECK(error.error.kind == ErrorKind::workspace);
    CHECK_FALSE(has(error.error.why, "\n"));
    bench.http.script = {answer(200, R"({"statement_id":"s1","status":{"state":"CANCELED"}})")};
    CHECK(has(execute(bench.workspace, request()).error().error.what, "cancelled"));
    bench.http.script = {answer(200, R"({"statement_id":"s1","status":{"state":"CLOSED"}})")};
    CHECK(execute(bench.workspace, request())->state == StatementState::closed);
}

TEST_CASE("all chunks are read, and chunks that go round are an error") {
    ApiBench bench;
    const auto chunk = [](int index, int next) {
        return R"({"chunk_index":)" + std::to_string(index) + R"(,"data_array":[["c)" +
               std::to_string(index) + R"("]])" +
               (next < 0 ? "" : R"(,"next_chunk_index":)" + std::to_string(next)) + "}";
    };
    const auto first = R"({"statement_id":"s1","status":{"state":"SUCCEEDED"},"result":)" + chunk(0, 1) + "}";
    bench.http.script = {answer(200, first), answer(200, chunk(1, 2)), answer(429, "{}"),
                         answer(200, chunk(2, -1))};
    const auto result = execute(bench.workspace, request());
    REQUIRE(result);
    CHECK(result->rows.size() == 3);
    CHECK(bench.http.requests.back().url == "https://w.com/api/2.0/sql/statements/s1/result/chunks/2");
    bench.http.script = {answer(200, first), answer(200, chunk(1, 1))};
    CHECK(execute(bench.workspace, request()).error().problem == ApiProblem::not_databricks);
}

TEST_CASE("our timeout cancels the statement") {
    ApiBench bench;
    bool cancelled = false;
    bench.http.rule = [&](const http::Request& r) -> Answer {
        if (has(r.url, "/cancel")) {
            cancelled = true;
            return answer(200, "");
        }
        return answer(200, in_state(cancelled ? "CANCELED" : "PENDING"));
    };
    auto asked = request();
    asked.timeout = 30s;
    const auto result = execute(bench.workspace, asked);
    REQUIRE_FALSE(result);
    CHECK(result.error().problem == ApiProblem::timeout);
    CHECK(result.error().error.kind == ErrorKind::timeout);
    CHECK(has(result.error().error.why, "statement s1: it was cancelled"));
    CHECK(bench.pacer.passed >= 30s);
    CHECK(bench.pacer.passed < 32s);
}

TEST_CASE("an interrupt cancels the statement, also when the request is the one that notices it") {
    for (const bool in_request : {false, true}) {
        CAPTURE(in_request);
        ApiBench bench;
        std::vector<std::string> urls;
        bench.http.rule = [&](const http::Request& r) -> Answer {
            if (has(r.url, "/cancel")) {
                CHECK(r.even_if_interrupted);
                return answer(200, "{}");
            }
            if (r.method == "GET" && in_request && !r.even_if_interrupted)
                return tl::unexpected(failure(http::NetworkProblem::interrupted));
            return answer(200, in_state("RUNNING"));
        };
        if (!in_request) bench.pacer.interrupt_at_wait = 0;
        const auto result = execute(bench.workspace, request());
        REQUIRE_FALSE(result);
        CHECK(result.error().problem == ApiProblem::interrupted);
        CHECK(result.error().error.kind == ErrorKind::interrupted);
        bool seen = false;
        for (const auto& r : bench.http.requests)
            seen = seen || r.url == "https://w.com/api/2.0/sql/statements/s1/cancel";
        CHECK(seen);
    }
}

TEST_CASE("a statement that was faster than its cancel has succeeded") {
    ApiBench bench;
    bool cancelled = false;
    bench.http.rule = [&](const http::Request& r) -> Answer {
        if (has(r.url, "/cancel")) {
            cancelled = true;
            return answer(200, "{}");
        }
        return answer(200, cancelled ? rows : in_state("RUNNING"));
    };
    bench.pacer.interrupt_at_wait = 0;
    CHECK(execute(bench.workspace, request())->rows.size() == 2);
}

TEST_CASE("a submit whose answer was lost is repeated only for statements that may run twice") {
    ApiBench bench;
    bench.http.script = {tl::unexpected(failure(http::NetworkProblem::dropped, true)), answer(200, rows)};
    const auto once = execute(bench.workspace, request());
    REQUIRE_FALSE(once);
    CHECK(once.error().problem == ApiProblem::network);
    CHECK(has(once.error().error.why, "the statement may have run"));
    bench.http.script = {tl::unexpected(failure(http::NetworkProblem::dropped, true)), answer(200, rows)};
    auto again = request();
    again.repeatable = http::Repeatable::yes;
    CHECK(execute(bench.workspace, again));
}

TEST_CASE("trouble with the workspace while a statement runs") {
    const auto error_of = [](std::deque<Answer> script) {
        ApiBench bench;
        bench.http.script = std::move(script);
        const auto result = execute(bench.workspace, request());
        REQUIRE_FALSE(result);
        return result.error();
    };
    CHECK(error_of({answer(200, "<html>")}).problem == ApiProblem::login_page);
    CHECK(error_of({answer(302, "", {{"Location", "/login.html?error=private-link-validation-error"}})})
              .problem == ApiProblem::private_link);
    CHECK(error_of({answer(200, "{}")}).problem == ApiProblem::not_databricks);
    CHECK(error_of({answer(200, "nonsense")}).problem == ApiProblem::not_databricks);
    CHECK(error_of(
              {answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"warehouse w1 not found"})")})
              .problem == ApiProblem::bad_request);
    const auto gone = error_of(
        {answer(200, in_state("PENDING")), answer(404, R"({"error_code":"NOT_FOUND","message":"x"})")});
    CHECK(gone.problem == ApiProblem::not_found);
    CHECK(gone.statement_id == "s1");
    ApiBench bench;
    bench.http.script = {answer(429, "{}", {{"Retry-After", "3"}}), answer(200, in_state("RUNNING")),
                         answer(503, "{}"), tl::unexpected(failure(http::NetworkProblem::dropped, true)),
                         answer(200, rows)};
    CHECK(execute(bench.workspace, request()));
    // Longer than anybody waits: the error comes at once.
    CHECK(error_of({answer(429, "{}", {{"Retry-After", "4000"}})}).problem == ApiProblem::rate_limited);
}

TEST_CASE("an unknown state is waited for, and a strange result does no harm") {
    ApiBench bench;
    bench.http.script = {answer(200, in_state("PAUSED")),
                         answer(200, R"({"statement_id":"s1","status":{"state":"SUCCEEDED"},
        "manifest":[],"result":{"data_array":[7,["a",1,{"x":2}],null]}})")};
    const auto result = execute(bench.workspace, request());
    REQUIRE(result);
    CHECK(result->rows.size() == 3);
    CHECK(result->rows[1][1] == "1");
    const std::string deep = std::string(200000, '[') + std::string(200000, ']');
    bench.http.script = {
        answer(200, R"({"statement_id":"s1","status":{"state":"SUCCEEDED"},"result":{"data_array":[[)" +
                        deep + "]]}}")};
    CHECK(execute(bench.workspace, request())->rows.size() == 1);
}

TEST_CASE("a cancel that is not seen to work is not said to have worked") {
    ApiBench bench;
    bench.http.rule = [&](const http::Request& r) -> Answer {
        if (has(r.url, "/cancel")) return answer(200, "");
        return answer(200, in_state("RUNNING"));
    };
    auto wanted = request();
    wanted.timeout = 1s;
    const auto result = execute(bench.workspace, wanted);
    REQUIRE_FALSE(result);
    CHECK(result.error().problem == ApiProblem::timeout);
    CHECK(has(result.error().error.why, "may still be running"));
}
