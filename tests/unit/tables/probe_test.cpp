#include "core/tables/probe.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx;
using namespace dbx::tables;
using namespace dbx::test;

namespace {

const Place place{"main", "telemetry", "dev"};

ProbeTrouble explained(int status, const std::string& body) {
    http::Response response;
    response.status = status;
    response.body = body;
    response.url = "https://w.example.com/api/2.0/otel/v1/logs";
    return explain_probe(databricks::classify(response, "cannot send the probe"), place, Signal::logs);
}

std::string message(const std::string& code, const std::string& words) {
    return nlohmann::json{{"error_code", code}, {"message", words}}.dump();
}

// A way on which everything is taken.
struct Taking : ProbeRoute {
    std::optional<ProbeTrouble> send(Signal signal, const std::string& bytes) override {
        CHECK_FALSE(bytes.empty());
        sent.push_back(signal);
        return std::nullopt;
    }
    std::optional<ProbeTrouble> news(Signal) override { return trouble; }
    std::string hindrance(Signal) override { return "it rains"; }
    std::vector<Signal> sent;
    std::optional<ProbeTrouble> trouble;
};

std::string counted(const std::string& count) {
    return R"({"statement_id":"s","status":{"state":"SUCCEEDED"},"manifest":{"schema":{"columns":[{"name":"found",)"
           R"("type_text":"BIGINT"}]},"total_chunk_count":1},"result":{"data_array":[[")" +
           count + R"("]]}})";
}

ProbeWish wish_for(ApiBench& bench, std::vector<Signal> signals) {
    return {place, std::move(signals),
            "w1",  "probe-1",
            "1.0", bench.workspace.pacer().now() + std::chrono::minutes(2)};
}

} // namespace

TEST_CASE("the causes of a refusal are told apart by its words, then by its kind") {
    CHECK(explained(403, message("PERMISSION_DENIED", "User does not have MODIFY on Table 'a.b.c'.")).cause ==
          ProbeCause::missing_right);
    CHECK(explained(403, message("FEATURE_DISABLED", "OpenTelemetry is not enabled")).cause ==
          ProbeCause::preview);
    CHECK(explained(404, message("ENDPOINT_NOT_FOUND", "No API found for 'POST /api'")).cause ==
          ProbeCause::preview);
    CHECK(explained(404, message("TABLE_DOES_NOT_EXIST", "Table 'x' does not exist.")).cause ==
          ProbeCause::no_table);
    CHECK(explained(400, message("X", "not supported in this Region")).cause == ProbeCause::region);
    CHECK(explained(400, message("X", "Schema mismatch: column body")).cause == ProbeCause::schema);
    CHECK(explained(400, message("X", "no")).cause == ProbeCause::refused);
    CHECK(explained(400, "Invalid Token").cause == ProbeCause::token);
    CHECK(explained(429, message("REQUEST_LIMIT_EXCEEDED", "slow")).cause == ProbeCause::unavailable);
    CHECK(explained(503, "").cause == ProbeCause::unavailable);
}

TEST_CASE("a missing right is named, with the command that grants it") {
    const auto trouble =
        explained(403, message("PERMISSION_DENIED", "User does not have USE SCHEMA on Schema 'main.t'."));
    CHECK(trouble.error.what == "the probe was refused for main.telemetry.dev_otel_logs: the right USE "
                                "SCHEMA on the schema main.t is missing");
    CHECK(trouble.error.fix.find("tables grant --catalog main --schema telemetry --prefix dev") !=
          std::string::npos);
}

TEST_CASE("what the local proxy was told is read the same way") {
    const auto cause = [](int status, const char* why) {
        return explain_rejection(status, why, "", place, Signal::metrics).cause;
    };
    CHECK(cause(403, "HTTP 403: lacks a right (\"User does not have SELECT on Table 'a.b.c'.\")") ==
          ProbeCause::missing_right);
    CHECK(cause(404, "HTTP 404: https://w does not offer this API") == ProbeCause::preview);
    CHECK(cause(404, "HTTP 404: it does not exist") == ProbeCause::no_table);
    CHECK(cause(400, "HTTP 400: Schema mismatch") == ProbeCause::schema);
    CHECK(cause(400, "HTTP 400: malformed") == ProbeCause::rejected);
    CHECK(cause(0, "the file is torn") == ProbeCause::rejected);
}

TEST_CASE("the marker is a parameter, never a part of the statement") {
    for (const auto signal : all_signals) {
        const auto sql = count_probes(place, signal, 7).sql;
        CHECK(sql.find("= :marker") != std::string::npos);
        CHECK(sql.find(place.quoted_table(signal)) != std::string::npos);
    }
}

TEST_CASE("a probe is looked for until it is there, with growing waits") {
    ApiBench bench;
    int looks = 0;
    bench.http.rule = [&](const http::Request&) { return answer(200, counted(++looks > 4 ? "1" : "0")); };
    Taking route;
    const auto wish = wish_for(bench, {Signal::metrics});
    const auto results = run_probe(bench.workspace, route, wish);
    REQUIRE(results);
    CHECK((*results)[0].state == ProbeResult::State::arrived);
    CHECK((*results)[0].looks == 5);
    CHECK((*results)[0].elapsed == std::chrono::seconds(1 + 2 + 4));
    CHECK(route.sent == std::vector{Signal::metrics});
    const auto body = nlohmann::json::parse(bench.http.requests[0].body);
    CHECK(body.at("parameters").at(0).at("value") == "probe-1");
}

TEST_CASE("what does not come in time says for how long it was waited, and what is in the way") {
    ApiBench bench;
    bench.http.rule = [](const http::Request&) { return answer(200, counted("0")); };
    Taking route;
    const auto wish = wish_for(bench, {Signal::logs});
    const auto results = run_probe(bench.workspace, route, wish);
    REQUIRE(results);
    const auto& result = (*results)[0];
    CHECK(result.state == ProbeResult::State::waiting);
    REQUIRE(result.trouble);
    CHECK(result.trouble->cause == ProbeCause::waiting);
    CHECK(result.trouble->error.kind == ErrorKind::timeout);
    CHECK(result.trouble->error.why.find("within 5 minutes; it rains") != std::string::npos);
}

TEST_CASE("news of a rejection ends the wait") {
    ApiBench bench;
    bench.http.rule = [](const http::Request&) { return answer(200, counted("0")); };
    Taking route;
    route.trouble = ProbeTrouble{ProbeCause::rejected, {ErrorKind::workspace, "no", "", "", ""}};
    const auto wish = wish_for(bench, {Signal::logs, Signal::traces});
    const auto results = run_probe(bench.workspace, route, wish);
    REQUIRE(results);
    for (const auto& result : *results) CHECK(result.state == ProbeResult::State::refused);
}
