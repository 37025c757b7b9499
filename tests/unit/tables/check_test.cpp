#include "core/tables/check.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace dbx;
using namespace dbx::tables;
using namespace dbx::test;

namespace {

const Place place{"main", "telemetry", "dev"};

std::string logs_as_the_api_tells() {
    nlohmann::json table = {{"table_type", "MANAGED"},
                            {"data_source_format", "DELTA"},
                            {"owner", "ada"},
                            {"properties", {{"otel.schemaVersion", "v1"}}}};
    for (const auto& column : documented_schema(Signal::logs).columns)
        table["columns"].push_back({{"name", column.name},
                                    {"type_text", to_text(column.type)},
                                    {"position", table["columns"].size()}});
    return table.dump();
}

SqlFallback by_sql() {
    SqlFallback fallback;
    fallback.warehouse_id = [] { return databricks::ApiResult<std::string>("w1"); };
    return fallback;
}

} // namespace

TEST_CASE("a table that the API tells of is compared") {
    ApiBench bench;
    bench.http.script = {answer(200, logs_as_the_api_tells())};
    const auto report = check_table(bench.workspace, place, Signal::logs, nullptr);
    REQUIRE(report);
    CHECK(report->state == TableState::same);
    CHECK(report->owner == "ada");
    CHECK(bench.http.requests.at(0).url ==
          "https://w.com/api/2.1/unity-catalog/tables/main.telemetry.dev_otel_logs");
}

TEST_CASE("what is missing is the outermost thing that is") {
    for (const auto& [code, what] :
         {std::pair{"TABLE_DOES_NOT_EXIST", "table"}, std::pair{"SCHEMA_DOES_NOT_EXIST", "schema"},
          std::pair{"CATALOG_DOES_NOT_EXIST", "catalog"}}) {
        ApiBench bench;
        bench.http.script = {answer(404, R"({"error_code":")" + std::string(code) + R"(","message":"no"})")};
        const auto report = check_table(bench.workspace, place, Signal::logs, nullptr);
        REQUIRE(report);
        CHECK(report->state == TableState::missing);
        CHECK(report->absent == what);
    }
}

TEST_CASE("where the API is not allowed, DESCRIBE tells; without a warehouse it is an error") {
    const auto refused = answer(403, R"({"error_code":"PERMISSION_DENIED","message":"no"})");
    const auto missing =
        answer(200, R"({"statement_id":"s9","status":{"state":"FAILED","error":{"error_code":"BAD_REQUEST",
        "message":"[SCHEMA_NOT_FOUND] The schema is not there"}}})");
    ApiBench bench;
    bench.http.script = {refused, missing};
    const auto fallback = by_sql();
    const auto report = check_table(bench.workspace, place, Signal::logs, &fallback);
    REQUIRE(report);
    CHECK(report->via == "DESCRIBE");
    CHECK(report->absent == "schema");
    CHECK(report->described->statement_id == "s9");

    bench.http.script = {refused};
    const auto error = check_table(bench.workspace, place, Signal::logs, nullptr);
    REQUIRE_FALSE(error);
    CHECK(wants_sql(error.error()));
}

TEST_CASE("a check that differs anywhere is 11, one that only misses is 12") {
    TableReport same, different, missing;
    same.state = TableState::same;
    different.state = TableState::different;
    missing.state = TableState::missing;
    CHECK(exit_code_of({same, same}) == 0);
    CHECK(exit_code_of({same, missing}) == 12);
    CHECK(exit_code_of({missing, different, same}) == 11);
}
