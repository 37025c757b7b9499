#include "core/databricks/warehouses.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;

namespace {

std::string list(const std::string& items, const std::string& next = "") {
    return R"({"warehouses":[)" + items + "]" +
           (next.empty() ? "" : R"(,"next_page_token":")" + next + "\"") + "}";
}

std::string item(const std::string& id, const std::string& name, const std::string& state,
                 bool serverless = false, const std::string& size = "Small") {
    return R"({"id":")" + id + R"(","name":")" + name + R"(","state":")" + state + R"(","cluster_size":")" +
           size + R"(","enable_serverless_compute":)" + (serverless ? "true" : "false") + "}";
}

} // namespace

TEST_CASE("running first, then starting, then serverless, then stopped") {
    const Warehouse running{"1", "r", "RUNNING", "Large", "PRO", false};
    const Warehouse starting{"2", "s", "STARTING", "Small", "PRO", false};
    const Warehouse serverless{"3", "x", "STOPPED", "Small", "PRO", true};
    const Warehouse stopped{"4", "a", "STOPPED", "2X-Small", "PRO", false};
    const Warehouse large{"5", "a", "STOPPED", "Large", "PRO", false};
    const Warehouse deleted{"6", "d", "DELETED", "2X-Small", "PRO", true};
    CHECK(pick_warehouse({stopped, serverless, starting, running})->warehouse.id == "1");
    CHECK_FALSE(pick_warehouse({running})->will_start);
    CHECK(pick_warehouse({stopped, serverless, starting})->warehouse.id == "2");
    CHECK(pick_warehouse({stopped, serverless})->warehouse.id == "3");
    CHECK(pick_warehouse({stopped, serverless})->will_start);
    CHECK(pick_warehouse({large, deleted, stopped})->warehouse.id == "4");
    CHECK_FALSE(pick_warehouse({deleted}));
    CHECK_FALSE(pick_warehouse({}));
}

TEST_CASE("warehouses are read from all pages") {
    ApiBench bench;
    bench.http.script = {answer(200, list(item("1", "one", "STOPPED"), "a/b")),
                         answer(200, list(item("2", "two", "RUNNING", true) + ",{},7"))};
    const auto all = list_warehouses(bench.workspace);
    REQUIRE(all);
    CHECK(all->size() == 2);
    CHECK(all->at(1).serverless);
    CHECK(bench.http.requests[0].url == "https://w.com/api/2.0/sql/warehouses?page_size=100");
    CHECK(bench.http.requests[1].url ==
          "https://w.com/api/2.0/sql/warehouses?page_size=100&page_token=a%2Fb");
}

TEST_CASE("pages without an end are an error") {
    ApiBench bench;
    bench.http.rule = [](const http::Request&) { return answer(200, list("", "again")); };
    CHECK(list_warehouses(bench.workspace).error().problem == ApiProblem::not_databricks);
    CHECK(bench.http.requests.size() == 2);
}

TEST_CASE("a warehouse is found by id, by name, by name in another case, or not") {
    const auto choose = [](std::string wanted, std::string items) {
        ApiBench bench;
        bench.http.rule = [items](const http::Request& request) -> Answer {
            if (has(request.url, "/warehouses?")) return answer(200, list(items));
            if (has(request.url, "0123456789abcdef"))
                return answer(200, item("0123456789abcdef", "by id", "STOPPED"));
            return answer(404, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"no"})");
        };
        return choose_warehouse(bench.workspace, wanted);
    };
    const auto two = item("1", "Shared", "RUNNING") + "," + item("2", "shared", "STOPPED") + "," +
                     item("3", "Team X", "STOPPED");
    CHECK(choose("0123456789abcdef", "")->warehouse.name == "by id");
    CHECK(choose("0123456789abcdef", "")->will_start);
    CHECK(choose("Shared", two)->warehouse.id == "1");
    CHECK(choose("shared", two)->warehouse.id == "2");
    CHECK(has(choose("SHARED", two).error().error.why, "2 SQL warehouses"));
    CHECK(choose("team x", two)->warehouse.id == "3");
    CHECK(choose("auto", two)->warehouse.id == "1");
    CHECK(choose("", two)->reason == "it is running");
    CHECK(choose("Team Y", two).error().error.fix == "did you mean 'Team X'?");
    CHECK(has(choose("zzzzzzzz", two).error().error.fix, "Shared, shared, Team X"));
    CHECK(choose("fedcba9876543210", two).error().problem == ApiProblem::not_found);
    CHECK(has(choose("auto", "").error().error.fix, "CAN USE"));
}
