#include "core/tables/rights.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::tables;

namespace {

std::string read(const std::string& message) {
    databricks::ApiError error;
    error.message = message;
    const auto right = missing_right(error);
    return right ? right->right + "|" + right->type + "|" + right->name : "(none)";
}

WriterRights with(Holding use, Holding write) {
    WriterRights rights;
    rights.principal = "ada";
    rights.rights = {{"USE CATALOG", "catalog", "main", use, ""}, {"MODIFY", "table", "main.t.x", write, ""}};
    return rights;
}

} // namespace

TEST_CASE("the missing right is read out of the workspace's words") {
    CHECK(read("PERMISSION_DENIED: User does not have USE CATALOG on Catalog 'main'.") ==
          "USE CATALOG|catalog|main");
    CHECK(
        read("[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have CREATE TABLE on Schema "
             "'main.telemetry'. SQLSTATE: 42501") == "CREATE TABLE|schema|main.telemetry");
    CHECK(read("User does not have permission MANAGE on Table `a.b.c`.") == "MANAGE|table|a.b.c");
    CHECK(read("user DOES NOT HAVE use_schema ON Database main.x.") == "USE SCHEMA|schema|main.x");
}

TEST_CASE("other words name no right, and nothing odd gets into SQL") {
    CHECK(read("") == "(none)");
    CHECK(read("User does not have ") == "(none)");
    CHECK(read("User does not have x; DROP on Schema 'a'") == "(none)");
    CHECK(read("User does not have SELECT on Moon 'a'") == "(none)");
    CHECK(read("User does not have SELECT on Table 'a") == "(none)");
    CHECK(read("User does not have SELECT on Table") == "(none)");
}

TEST_CASE("a creator is granted what creating takes") {
    const Place place{"main", "t", "p"};
    auto list = creator_grants(place, NewSchema::no, "a`b");
    REQUIRE(list.size() == 2);
    CHECK(list[0].sql == "GRANT USE CATALOG ON CATALOG `main` TO `a``b`");
    CHECK(list[1].sql == "GRANT USE SCHEMA, CREATE TABLE ON SCHEMA `main`.`t` TO `a``b`");
    list = creator_grants(place, NewSchema::yes, "a");
    REQUIRE(list.size() == 2);
    CHECK(list[1].sql == "GRANT CREATE SCHEMA ON CATALOG `main` TO `a`");
}

TEST_CASE("a writer's rights are sure only when MODIFY and SELECT are granted by name") {
    CHECK(with(Holding::granted, Holding::granted).verdict() == Verdict::yes);
    CHECK(with(Holding::owner, Holding::granted).verdict() == Verdict::yes);
    CHECK(with(Holding::granted, Holding::owner).verdict() == Verdict::unproven);
    CHECK(with(Holding::granted, Holding::unknown).verdict() == Verdict::unproven);
    CHECK(with(Holding::granted, Holding::all_privileges).verdict() == Verdict::no);
    CHECK(with(Holding::missing, Holding::unknown).verdict() == Verdict::no);
    CHECK(WriterRights{}.verdict() == Verdict::unproven);
}
