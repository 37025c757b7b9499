#include "tests/unit/edit/json_bench.hpp"

using namespace dbx;
using namespace dbx::edit;
using namespace dbx::edit::tests;

TEST_CASE("json: remove takes the member, its comma and its line") {
    const std::string text = "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n";
    CHECK(remove(text, {"a"}) == "{\n  \"b\": 2,\n  \"c\": 3\n}\n");
    CHECK(remove(text, {"b"}) == "{\n  \"a\": 1,\n  \"c\": 3\n}\n");
    CHECK(remove(text, {"c"}) == "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
    CHECK(remove(text, {"d"}) == text);
    CHECK(remove(text, {"a", "x"}) == text);
    CHECK(edited(text, {Edit::remove({"b"}), Edit::remove({"c"})}) == "{\n  \"a\": 1\n}\n");
    CHECK(edited(text, {Edit::remove({"a"}), Edit::remove({"b"}), Edit::remove({"c"})}) == "{}\n");
    CHECK(edited(text, {Edit::remove({"a"}), Edit::remove({"c"})}) == "{\n  \"b\": 2\n}\n");
}

TEST_CASE("json: remove within a line") {
    const std::string text = "{\"a\": 1, \"b\": 2, \"c\": 3}";
    CHECK(remove(text, {"a"}) == "{\"b\": 2, \"c\": 3}");
    CHECK(remove(text, {"b"}) == "{\"a\": 1, \"c\": 3}");
    CHECK(remove(text, {"c"}) == "{\"a\": 1, \"b\": 2}");
    CHECK(remove("{ \"a\": 1 }", {"a"}) == "{}");
    CHECK(remove("{\"a\": 1, \"b\": 2,\n \"c\": 3}", {"b"}) == "{\"a\": 1,\n \"c\": 3}");
    CHECK(remove("{\"a\": 1,\n \"b\": 2 }", {"b"}) == "{\"a\": 1 }");
    CHECK(remove("{\"a\": 1,\n \"b\": 2 }", {"a"}) == "{\"b\": 2 }");
}

TEST_CASE("json: a comment on the removed member's line goes with it, others stay") {
    CHECK(remove("{\n  // about a\n  \"a\": 1, // one\n  \"b\": 2 // two\n}", {"a"}) ==
          "{\n  // about a\n  \"b\": 2 // two\n}");
    CHECK(remove("{\n  \"a\": 1, // one\n  \"b\": 2 // two\n}", {"b"}) == "{\n  \"a\": 1 // one\n}");
    CHECK(remove("{\n  // about a\n  \"a\": 1 // one\n}", {"a"}) == "{\n  // about a\n}");
    CHECK(remove("{\n  \"a\": 1, /* starts\n here */ \"b\": 2\n}", {"a"}) ==
          "{\n  /* starts\n here */ \"b\": 2\n}");
    CHECK(remove("{\n  \"a\": 1 // x\n  , \"b\": 2\n}", {"a"}) == "{\n   // x\n  \"b\": 2\n}");
}

TEST_CASE("json: one call may remove, replace and add in the same object") {
    CHECK(edited("{\n  \"a\": 1, // keep\n  \"b\": 2\n}\n", {Edit::remove({"b"}), Edit::set({"c"}, 3)}) ==
          "{\n  \"a\": 1, // keep\n  \"c\": 3\n}\n");
    CHECK(edited("{\"a\": 1, \"b\": 2}", {Edit::set({"c"}, 3), Edit::remove({"b"}), Edit::set({"a"}, 0)}) ==
          "{\"a\": 0, \"c\": 3}");
    CHECK(edited("{ \"a\": 1 }", {Edit::remove({"a"}), Edit::set({"b"}, 2)}) == "{ \"b\": 2 }");
    CHECK(edited("{\n    \"a\": 1\n}", {Edit::remove({"a"}), Edit::set({"b"}, 2)}) == "{\n    \"b\": 2\n}");
    CHECK(edited("{\n    \"a\": 1\n    // c\n}", {Edit::remove({"a"}), Edit::set({"b"}, 2)}) ==
          "{\n    // c\n    \"b\": 2\n}");
}

TEST_CASE("json: the order of edits does not matter") {
    const std::string text = "{\n  \"a\": {\n    \"x\": 1\n  },\n  \"l\": [1]\n}\n";
    const std::vector<Edit> edits = {Edit::remove({"a", "x"}), Edit::prune({"a"}), Edit::append({"l"}, 2),
                                     Edit::remove_element({"l"}, 1)};
    std::vector<std::size_t> order = {0, 1, 2, 3};
    const auto expected = edited(text, edits);
    CHECK(expected == "{\n  \"l\": [2]\n}\n");
    while (std::next_permutation(order.begin(), order.end())) {
        std::vector<Edit> shuffled;
        for (const auto i : order) shuffled.push_back(edits[i]);
        CHECK(edited(text, shuffled) == expected);
    }
}

TEST_CASE("json: append follows the array's own style") {
    const auto append = [](const std::string& text, Value value) {
        return edited(text, {Edit::append({"l"}, std::move(value))});
    };
    CHECK(append("{\"l\": [1, 2]}", 3) == "{\"l\": [1, 2, 3]}");
    CHECK(append("{\"l\":[1,2]}", 3) == "{\"l\":[1,2,3]}");
    CHECK(append("{\n  \"l\": [\n    1,\n    2 // two\n  ]\n}", 3) ==
          "{\n  \"l\": [\n    1,\n    2, // two\n    3\n  ]\n}");
    CHECK(append("{\n  \"l\": []\n}", "x") == "{\n  \"l\": [\"x\"]\n}");
    CHECK(append("{\n  \"l\": []\n}", {{"a", 1}}) == "{\n  \"l\": [\n    {\n      \"a\": 1\n    }\n  ]\n}");
    CHECK(append("{\n  \"l\": [\n    { \"a\": 1 }\n  ]\n}", {{"a", 2}}) ==
          "{\n  \"l\": [\n    { \"a\": 1 },\n    { \"a\": 2 }\n  ]\n}");
    CHECK(append("{\n  \"l\": [{\n    \"a\": 1\n  }]\n}", {{"a", 2}}) ==
          "{\n  \"l\": [{\n    \"a\": 1\n  }, {\n    \"a\": 2\n  }]\n}");
    CHECK(append("{}", "x") == "{\n  \"l\": [\"x\"]\n}");
    CHECK(append("{\"l\": [{\"b\":1,\"a\":2}]}", {{"a", 2}, {"b", 1}}) == "{\"l\": [{\"b\":1,\"a\":2}]}");
}

TEST_CASE("json: several appends keep their order") {
    CHECK(edited("{\"l\": [1]}", {Edit::append({"l"}, 3), Edit::append({"l"}, 2), Edit::append({"l"}, 3)}) ==
          "{\"l\": [1, 3, 2]}");
    CHECK(edited("{\n\"x\": 0\n}", {Edit::append({"m", "l"}, 3), Edit::append({"m", "l"}, 2)}) ==
          "{\n\"x\": 0,\n\"m\": {\n  \"l\": [3, 2]\n}\n}");
}

TEST_CASE("json: remove_element takes every equal element") {
    const auto take = [](const std::string& text, Value value) {
        return edited(text, {Edit::remove_element({"l"}, std::move(value))});
    };
    CHECK(take("{\"l\": [1, 2, 1]}", 1) == "{\"l\": [2]}");
    CHECK(take("{\"l\": [1, 1]}", 1) == "{\"l\": []}");
    CHECK(take("{\n  \"l\": [\n    {\"a\": 1},\n    \"x\"\n  ]\n}", {{"a", 1}}) ==
          "{\n  \"l\": [\n    \"x\"\n  ]\n}");
    CHECK(take("{\"l\": \"text\"}", 1) == "{\"l\": \"text\"}");
    CHECK(take("{}", 1) == "{}");
}

TEST_CASE("json: prune takes an object that is empty afterwards, unless it holds comments") {
    CHECK(edited("{\n  \"a\": 1,\n  \"env\": {\n    \"X\": 1\n  }\n}",
                 {Edit::remove({"env", "X"}), Edit::prune({"env"})}) == "{\n  \"a\": 1\n}");
    CHECK(edited("{\n  \"s\": {\n    \"t\": {\n      \"X\": 1\n    }\n  }\n}",
                 {Edit::remove({"s", "t", "X"}), Edit::prune({"s"}), Edit::prune({"s", "t"})}) == "{}");
    CHECK(edited("{ \"env\": { \"X\": 1, \"Y\": 2 } }", {Edit::remove({"env", "X"}), Edit::prune({"env"})}) ==
          "{ \"env\": { \"Y\": 2 } }");
    CHECK(edited("{ \"env\": {\n  // mine\n  \"X\": 1\n} }",
                 {Edit::remove({"env", "X"}), Edit::prune({"env"})}) == "{ \"env\": {\n  // mine\n} }");
    CHECK(edited("{ \"a\": {}, \"b\": [ ], \"c\": \"\" }",
                 {Edit::prune({"a"}), Edit::prune({"b"}), Edit::prune({"c"}), Edit::prune({"d"})}) ==
          "{ \"c\": \"\" }");
    CHECK(edited("{ \"a\": {} }", {Edit::prune({"a"}), Edit::set({"a", "x"}, 1)}) ==
          "{ \"a\": { \"x\": 1 } }");
}

TEST_CASE("json: remove and set_raw give a file back byte for byte") {
    const std::string text = "{\r\n    \"a\": 1,\r\n    \"model\": \"caf\\u00e9\"\r\n}";
    const auto before = open(text)->get({"model"});
    const auto changed = edited(text, {Edit::remove({"model"}), Edit::set({"env", "X"}, "1")});
    CHECK(edited(changed, {Edit::remove({"env", "X"}), Edit::prune({"env"}),
                           Edit::set_raw({"model"}, before->raw)}) == text);
}
