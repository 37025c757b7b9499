#include "tests/unit/edit/json_bench.hpp"

using namespace dbx;
using namespace dbx::edit;
using namespace dbx::edit::tests;

TEST_CASE("json: get finds value, spelling and place") {
    const auto document = open("{\n  \"é\": [10, {\"b\": \"x\\ty\"}],\n  \"big\": 18446744073709551615\n}");
    CHECK(document->get({"é", "1", "b"})->value == "x\ty");
    CHECK(document->get({"é", "1", "b"})->raw == "\"x\\ty\"");
    CHECK(document->get({"é", "1", "b"})->position.line == 2);
    CHECK(document->get({"é", "1", "b"})->position.column == 14);
    CHECK(document->get({"big"})->value == 18446744073709551615U);
    CHECK(document->get({"é"})->raw == "[10, {\"b\": \"x\\ty\"}]");
    CHECK(document->get({})->position.line == 1);
    for (const KeyPath& path : {KeyPath{"x"}, {"é", "2"}, {"é", "01"}, {"é", "-1"}, {"é", ""}, {"big", "x"}})
        CHECK_FALSE(document->get(path));
    CHECK(document->position({"big"})->line == 3);
    CHECK_FALSE(document->position({"bi"}));
}

TEST_CASE("json: value keeps the order and knows all numbers") {
    const auto value = open("{\"z\": -1, \"a\": [true, null, 1.5, 1e-400, -9223372036854775808]}")->value();
    CHECK(value.dump() == "{\"z\":-1,\"a\":[true,null,1.5,0.0,-9223372036854775808]}");
}

TEST_CASE("json: leaves come in text order with decoded strings") {
    const auto leaves =
        open("{\"a\": {\"k\\u0041\": \"\\ud83d\\ude00\"}, \"l\": [1, [], \"x\"], \"t\": true}")->leaves();
    REQUIRE(leaves.size() == 4);
    CHECK(leaves[0].path == KeyPath{"a", "kA"});
    CHECK(leaves[0].text == "😀");
    CHECK(leaves[0].length == 14);
    CHECK(leaves[1].path == KeyPath{"l", "0"});
    CHECK_FALSE(leaves[1].is_string);
    CHECK(leaves[2].path == KeyPath{"l", "2"});
    CHECK(leaves[3].text == "true");
}
