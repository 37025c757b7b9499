#include "core/doctor/local_proxy.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace dbx;
using doctor::examine_ledger;

TEST_CASE("a good ledger is no finding, nor is one that nothing is known about") {
    CHECK_FALSE(examine_ledger(8790, "/x/usage.db", "good", "", 3, 0));
    CHECK_FALSE(examine_ledger(8790, "/x/usage.db", "", "", 0, 0));
}

TEST_CASE("an ill ledger is a warning with the port, the reason and a fix of its own") {
    std::set<std::string> fixes;
    for (const auto* health : {"locked", "disk full", "from a newer version", "unavailable"}) {
        CAPTURE(health);
        const auto finding = examine_ledger(8790, "/x/usage.db", health, "the reason", 1, 0);
        REQUIRE(finding);
        CHECK(finding->id == "proxy-ledger");
        CHECK(finding->severity == doctor::Severity::warning);
        CHECK(finding->what.find("port 8790") != std::string::npos);
        CHECK(finding->what.find("wait in memory") != std::string::npos);
        CHECK(finding->evidence == "the reason; 1 row waiting");
        CHECK(finding->file == "/x/usage.db");
        fixes.insert(finding->fix);
    }
    CHECK(fixes.size() == 4);
}

TEST_CASE("rows that are lost are said to be lost") {
    const auto finding = examine_ledger(1, "", "disk full", "", 50'000, 2);
    REQUIRE(finding);
    CHECK(finding->what.find("2 rows of usage are lost") != std::string::npos);
    CHECK(finding->evidence == "disk full; 50000 rows waiting");
    CHECK(finding->fix.find("the disk of the ledger") != std::string::npos);
}

TEST_CASE("a token in the reason is not shown") {
    const std::string token = "dapi" + std::string(32, 'a');
    const auto finding = examine_ledger(1, "", "unavailable", "cannot open " + token, 0, 0);
    REQUIRE(finding);
    CHECK(finding->evidence.find(token) == std::string::npos);
}
