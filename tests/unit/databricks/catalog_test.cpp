#include "core/databricks/catalog.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;

TEST_CASE("a table is read with its columns in order") {
    ApiBench bench;
    bench.http.script = {
        answer(200, R"({"full_name":"a.b.c","table_type":"MANAGED","data_source_format":"DELTA","owner":"ada",
        "columns":[{"name":"y","type_text":"bigint","position":1,"nullable":false},{"name":"x","type_text":"map<string,string>","position":0}],
        "properties":{"otel.schemaVersion":"v1","n":3}})")};
    const auto table = get_table(bench.workspace, "a.b.c");
    REQUIRE(table);
    CHECK(bench.http.requests[0].url == "https://w.com/api/2.1/unity-catalog/tables/a.b.c");
    CHECK(table->table_type == "MANAGED");
    CHECK(table->columns.at(0).name == "x");
    CHECK(table->columns.at(1).nullable == false);
    CHECK(table->properties.at("otel.schemaVersion") == "v1");
    CHECK(table->properties.at("n") == "3");
    bench.http.script = {answer(404, R"({"error_code":"TABLE_DOES_NOT_EXIST","message":"no"})")};
    CHECK(get_table(bench.workspace, "a.b.c").error().problem == ApiProblem::not_found);
}

TEST_CASE("a name cannot leave its place in the path") {
    ApiBench bench;
    bench.http.rule = [](const http::Request&) { return answer(200, "{}"); };
    (void)get_table(bench.workspace, "../x?y#z/a b");
    CHECK(bench.http.requests[0].url == "https://w.com/api/2.1/unity-catalog/tables/..%2Fx%3Fy%23z%2Fa%20b");
}

TEST_CASE("grants and effective rights, in both forms and over pages") {
    ApiBench bench;
    bench.http.script = {
        answer(200, R"({"privilege_assignments":[{"principal":"team","privileges":["SELECT","MODIFY"]}]})")};
    const auto grants = get_permissions(bench.workspace, "table", "a.b.c");
    REQUIRE(grants);
    CHECK(grants->at(0).privileges.at(1).name == "MODIFY");
    bench.http.script = {
        answer(
            200,
            R"({"privilege_assignments":[{"principal":"ada@x","privileges":[{"privilege":"USE_CATALOG","inherited_from_type":"CATALOG","inherited_from_name":"a"}]}],"next_page_token":"n"})"),
        answer(200,
               R"({"privilege_assignments":[{"principal":"ada@x","privileges":[{"privilege":"SELECT"}]}]})")};
    const auto rights = get_effective_permissions(bench.workspace, "table", "a.b.c", "ada@x");
    REQUIRE(rights);
    CHECK(rights->size() == 1);
    CHECK(rights->at(0).privileges.at(0).inherited_from == "CATALOG a");
    CHECK(rights->at(0).privileges.at(1).name == "SELECT");
    CHECK(bench.http.requests[1].url ==
          "https://w.com/api/2.1/unity-catalog/effective-permissions/table/a.b.c?principal=ada%40x");
    CHECK(bench.http.requests[2].url.ends_with("?principal=ada%40x&page_token=n"));
}
