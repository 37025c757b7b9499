#include "core/edit/document.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace dbx;
using namespace dbx::edit;

namespace {

std::unique_ptr<Document> open(const std::string& text, Format format = Format::jsonc) {
    auto document = Document::parse(format, text);
    INFO(text);
    if (!document) FAIL(document.error().why);
    return std::move(*document);
}

std::string edited(const std::string& text, const std::vector<Edit>& edits, Format format = Format::jsonc) {
    auto result = open(text, format)->apply(edits);
    INFO(text);
    if (!result) FAIL(result.error().what << " / " << result.error().why);
    return *result;
}

std::string set(const std::string& text, KeyPath path, Value value) {
    return edited(text, {Edit::set(std::move(path), std::move(value))});
}

std::string remove(const std::string& text, KeyPath path) {
    return edited(text, {Edit::remove(std::move(path))});
}

std::string why(const std::string& text, Format format = Format::json) {
    const auto document = Document::parse(format, text);
    return document ? "accepted" : document.error().why;
}

Error apply_error(const std::string& text, const std::vector<Edit>& edits) {
    const auto result = open(text)->apply(edits);
    REQUIRE_FALSE(result);
    return result.error();
}

} // namespace

TEST_CASE("json: a replaced scalar changes exactly its bytes") {
    CHECK(set("{\r\n\t\"a\" : \"x\" ,\n  \"b\":1.0}\n\n", {"a"}, "y") ==
          "{\r\n\t\"a\" : \"y\" ,\n  \"b\":1.0}\n\n");
    CHECK(set("{\"a\":[1,2],\"b\":0}", {"b"}, true) == "{\"a\":[1,2],\"b\":true}");
    CHECK(set("{\"a\": null}", {"a"}, "\"\\\n\x01é/") == "{\"a\": \"\\\"\\\\\\n\\u0001é/\"}");
}

TEST_CASE("json: an equal value changes nothing, however it is spelled") {
    const std::string text =
        "{\"a\": \"caf\\u00e9\\/x\", \"n\": 1.0, \"e\": 1e2, \"l\": [ 1,2 ], \"o\":{\"y\":1,\"x\":2}}";
    CHECK(edited(text, {Edit::set({"a"}, "café/x"), Edit::set({"n"}, 1), Edit::set({"e"}, 100),
                        Edit::set({"l"}, {1, 2}), Edit::set({"o"}, {{"x", 2}, {"y", 1}})}) == text);
}

TEST_CASE("json: a new member goes after its siblings in the file's indentation") {
    CHECK(set("{\n  \"a\": 1\n}\n", {"b"}, 2) == "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
    CHECK(set("{\n\t\"a\": 1\n}", {"b"}, 2) == "{\n\t\"a\": 1,\n\t\"b\": 2\n}");
    CHECK(set("{\r\n    \"a\": 1\r\n}", {"b"}, 2) == "{\r\n    \"a\": 1,\r\n    \"b\": 2\r\n}");
    CHECK(set("{\n  \"env\": {\n    \"A\": \"1\"\n  },\n  \"z\": 0\n}\n", {"env", "B"}, "2") ==
          "{\n  \"env\": {\n    \"A\": \"1\",\n    \"B\": \"2\"\n  },\n  \"z\": 0\n}\n");
}

TEST_CASE("json: mixed line ends: the new line takes the one of its neighbour") {
    CHECK(set("{\n\"a\": 1,\r\n\"b\": 2\r\n}\n", {"c"}, 3) == "{\n\"a\": 1,\r\n\"b\": 2,\r\n\"c\": 3\r\n}\n");
    CHECK(set("{\r\n\"a\": 1,\n\"b\": 2\r\n}\n", {"c"}, 3) == "{\r\n\"a\": 1,\n\"b\": 2,\r\n\"c\": 3\r\n}\n");
}

TEST_CASE("json: a one-line object with members stays on one line") {
    CHECK(set("{\"a\": 1}", {"b"}, 2) == "{\"a\": 1, \"b\": 2}");
    CHECK(set("{\"a\":1}", {"b"}, 2) == "{\"a\":1,\"b\":2}");
    CHECK(set("{ \"a\" : 1 }", {"b"}, 2) == "{ \"a\" : 1, \"b\" : 2 }");
    CHECK(set("{\n  \"env\": { \"A\": \"1\" }\n}", {"env", "B"}, "2") ==
          "{\n  \"env\": { \"A\": \"1\", \"B\": \"2\" }\n}");
    CHECK(set("{\"a\":1}", {"x", "y", "z"}, 2) == "{\"a\":1,\"x\":{\"y\":{\"z\":2}}}");
    CHECK(set("{ \"a\": 1 }", {"x", "y"}, 2) == "{ \"a\": 1, \"x\": { \"y\": 2 } }");
}

TEST_CASE("json: an empty object opens up where lines are the habit") {
    CHECK(set("{}", {"a"}, 1) == "{\n  \"a\": 1\n}");
    CHECK(set("{}\n", {"a"}, 1) == "{\n  \"a\": 1\n}\n");
    CHECK(set("{ }\r\n", {"a"}, 1) == "{\r\n  \"a\": 1\r\n}\r\n");
    CHECK(set("{\n}\n", {"a", "b"}, 1) == "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
    CHECK(set("{\n\t\"x\": 1,\n\t\"env\": {}\n}\n", {"env", "A"}, "1") ==
          "{\n\t\"x\": 1,\n\t\"env\": {\n\t\t\"A\": \"1\"\n\t}\n}\n");
    CHECK(set("{\"env\": {}}", {"env", "A"}, "1") == "{\"env\": {\"A\": \"1\"}}");
    CHECK(set("{\n    \"o\": {\"env\": {}}\n}", {"o", "env", "A"}, "1") ==
          "{\n    \"o\": {\"env\": {\"A\": \"1\"}}\n}");
    CHECK(set("{\n    \"env\": {\n    }\n}", {"env", "A"}, "1") ==
          "{\n    \"env\": {\n        \"A\": \"1\"\n    }\n}");
}

TEST_CASE("json: a byte-order mark stays and positions do not count it") {
    const std::string text = "\xEF\xBB\xBF{\"a\": 1}";
    CHECK(edited(text, {Edit::set({"a"}, 2)}, Format::json) == "\xEF\xBB\xBF{\"a\": 2}");
    CHECK(edited("\xEF\xBB\xBF{}", {Edit::set({"a"}, 2)}, Format::json) == "\xEF\xBB\xBF{\n  \"a\": 2\n}");
    CHECK(open(text, Format::json)->get({"a"})->position.column == 2);
    CHECK(open(text, Format::json)->get({"a"})->offset == 9);
    CHECK(why(text, Format::jsonc) == "line 1, column 1: a byte-order mark is not allowed here");
}

TEST_CASE("json: new members that share missing parents come as one object in the order given") {
    CHECK(
        edited("{\n  \"a\": 1\n}\n", {Edit::set({"env", "X"}, "1"), Edit::set({"m"}, "2"),
                                      Edit::set({"env", "Y"}, "3"), Edit::set({"env", "deep", "Z"}, "4")}) ==
        "{\n  \"a\": 1,\n  \"env\": {\n    \"X\": \"1\",\n    \"Y\": \"3\",\n    \"deep\": {\n      \"Z\": "
        "\"4\"\n"
        "    }\n  },\n  \"m\": \"2\"\n}\n");
}

TEST_CASE("json: what a member is aligned with is not copied") {
    CHECK(set("{\n  \"a\":      1,\n  \"bbbbbb\": 2\n}", {"c"}, 3) ==
          "{\n  \"a\":      1,\n  \"bbbbbb\": 2,\n  \"c\": 3\n}");
    CHECK(set("{\n  \"bbbbbb\": 2,\n  \"a\":      1\n}", {"c"}, 3) ==
          "{\n  \"bbbbbb\": 2,\n  \"a\":      1,\n  \"c\": 3\n}");
}

TEST_CASE("json: the comma goes right behind the value, before its comment") {
    CHECK(set("{\n  \"a\": 1 // one\n}", {"b"}, 2) == "{\n  \"a\": 1, // one\n  \"b\": 2\n}");
    CHECK(set("{\n  \"a\": 1 /* one */ // more\r\n}", {"b"}, 2) ==
          "{\n  \"a\": 1, /* one */ // more\r\n  \"b\": 2\r\n}");
    CHECK(set("{ \"a\": 1 /* one */ }", {"b"}, 2) == "{ \"a\": 1, /* one */ \"b\": 2 }");
    CHECK(set("{ \"a\": 1 // one\n}", {"b"}, 2) == "{ \"a\": 1, \"b\": 2 // one\n}");
    CHECK(set("{\n  \"a\": 1\n  // \"b\": 0\n}", {"b"}, 2) == "{\n  \"a\": 1,\n  \"b\": 2\n  // \"b\": 0\n}");
    CHECK(set("{\n  \"a\": 1 /* two\n lines */\n}", {"b"}, 2) ==
          "{\n  \"a\": 1,\n  \"b\": 2 /* two\n lines */\n}");
}

TEST_CASE("json: an object that holds only comments keeps them") {
    CHECK(set("{\n  // none yet\n}\n", {"b"}, 2) == "{\n  // none yet\n  \"b\": 2\n}\n");
    CHECK(set("{ /* none */ }", {"b"}, 2) == "{ /* none */ \"b\": 2 }");
    CHECK(set("{/* none */}", {"b"}, 2) == "{/* none */ \"b\": 2}");
    CHECK(edited("{\n  // x\n}", {Edit::set({"b"}, 2), Edit::set({"c"}, 3)}) ==
          "{\n  // x\n  \"b\": 2,\n  \"c\": 3\n}");
}

TEST_CASE("json: commas at the begin of the line stay there") {
    const std::string text = "{ \"a\": 1\n, \"b\": 2\n}\n";
    CHECK(set(text, {"c"}, 3) == "{ \"a\": 1\n, \"b\": 2\n, \"c\": 3\n}\n");
    CHECK(edited("{ \"a\": 1\n, \"b\": 2,\n  \"c\": 3\n}\n", {Edit::remove({"c"}), Edit::set({"d"}, 4)}) ==
          "{ \"a\": 1\n, \"b\": 2\n, \"d\": 4\n}\n");
    CHECK(remove("{ \"a\": 1\n, \"b\": 2\n, \"c\": 3\n}\n", {"b"}) == "{ \"a\": 1\n, \"c\": 3\n}\n");
    CHECK(remove("{ \"a\": 1\n, \"b\": 2\n, \"c\": 3\n}\n", {"c"}) == text);
    CHECK(remove("{ \"a\": 1\n, \"b\": 2\n, \"c\": 3\n}\n", {"a"}) == "{ \"b\": 2\n, \"c\": 3\n}\n");
}

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

TEST_CASE("json: set in whatever form something stands there now") {
    CHECK(set("{\"e\": {\"otlp\": [1]}, \"b\": 2}", {"e"}, "none") == "{\"e\": \"none\", \"b\": 2}");
    CHECK(set("{\"e\": [\n1\n]}", {"e"}, 5) == "{\"e\": 5}");
}

TEST_CASE("json: set writes an array in the file's style") {
    CHECK(set("{\n  \"a\": 1\n}", {"l"}, {"x", "y"}) == "{\n  \"a\": 1,\n  \"l\": [\"x\", \"y\"]\n}");
    CHECK(set("{\n  \"l\": [\n    \"x\"\n  ]\n}", {"l"}, {"y", "z"}) ==
          "{\n  \"l\": [\n    \"y\",\n    \"z\"\n  ]\n}");
    CHECK(set("{\n  \"l\": [ \"x\" ]\n}", {"l"}, {"y", "z"}) == "{\n  \"l\": [\"y\", \"z\"]\n}");
    CHECK(set("{\n\t\"a\": 1\n}", {"l"}, Value::parse(R"([{"m":{"n":1}}])")) ==
          "{\n\t\"a\": 1,\n\t\"l\": [\n\t\t{\n\t\t\t\"m\": {\n\t\t\t\t\"n\": 1\n\t\t\t}\n\t\t}\n\t]\n}");
    CHECK(set("{\"a\": 1}", {"l"}, Value::parse(R"([{"m":1},{}])")) == "{\"a\": 1, \"l\": [{\"m\": 1}, {}]}");
    CHECK(set("{\"a\": 1}", {"l"}, Value::array()) == "{\"a\": 1, \"l\": []}");
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

TEST_CASE("json: set_raw keeps the spelling") {
    CHECK(edited("{\"n\": 1}", {Edit::set_raw({"n"}, "1.00")}) == "{\"n\": 1.00}");
    CHECK(edited("{\"n\": 1}", {Edit::set_raw({"s"}, "\"\\u00e9\\/\"")}) ==
          "{\"n\": 1, \"s\": \"\\u00e9\\/\"}");
    CHECK(edited("{\"n\": \"é\"}", {Edit::set_raw({"n"}, "\"\\u00e9\"")}) == "{\"n\": \"\\u00e9\"}");
    CHECK(edited("{\"n\": 1}", {Edit::set_raw({"n"}, "[1, // x\n 2]")}) == "{\"n\": [1, // x\n 2]}");
    CHECK(apply_error("{\"n\": 1}", {Edit::set_raw({"n"}, "1, \"x\": 2")}).what.find("not JSON") !=
          std::string::npos);
    CHECK(apply_error("{\"n\": 1}", {Edit::set_raw({"n"}, "1 // x")}).kind == ErrorKind::file);
    CHECK(apply_error("{\"n\": 1}", {Edit::set_raw({"n"}, "")}).kind == ErrorKind::file);
}

TEST_CASE("json: remove and set_raw give a file back byte for byte") {
    const std::string text = "{\r\n    \"a\": 1,\r\n    \"model\": \"caf\\u00e9\"\r\n}";
    const auto before = open(text)->get({"model"});
    const auto changed = edited(text, {Edit::remove({"model"}), Edit::set({"env", "X"}, "1")});
    CHECK(edited(changed, {Edit::remove({"env", "X"}), Edit::prune({"env"}),
                           Edit::set_raw({"model"}, before->raw)}) == text);
}

TEST_CASE("json: number spellings outside the edit stay") {
    const std::string rest =
        "\"a\": 1.0, \"b\": 12345678901234567890123, \"c\": 1e5, \"d\": -0, \"e\": 0.10, ";
    CHECK(set("{" + rest + "\"z\": 1}", {"z"}, 2) == "{" + rest + "\"z\": 2}");
}

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

TEST_CASE("json: what does not parse is refused with line, column and reason") {
    CHECK(why("") == "line 1, column 1: the file is empty");
    CHECK(why(" \n\n") == "line 3, column 1: the file is empty");
    CHECK(why("// x", Format::jsonc) == "line 1, column 5: the file holds no value");
    CHECK(why("{\n  \"a\": 1\n  \"b\": 2\n}") ==
          "line 3, column 3: expected ',' or '}' after the value, found '\"'");
    CHECK(why("{\n  \"a\": 1,\n}") == "line 2, column 9: trailing comma before '}'");
    CHECK(why("[1,]", Format::jsonc) == "line 1, column 3: trailing comma before ']'");
    CHECK(why("{\n  // c\n}") ==
          "line 2, column 3: a comment is not allowed here: this file must be strict JSON");
    CHECK(why("{\"a\": /* c */ 1}") ==
          "line 1, column 7: a comment is not allowed here: this file must be strict JSON");
    CHECK(why("{\"é\": tru}") == "line 1, column 7: unknown word 'tru' (a string needs double quotes)");
    CHECK(why("{'a': 1}") == "line 1, column 2: expected a key in double quotes, found '''");
    CHECK(why("{\"a\": 'x'}") == "line 1, column 7: strings need double quotes");
    CHECK(why("{\"a\" 1}") == "line 1, column 6: expected ':' after the key, found '1'");
    CHECK(why("{\n\"a\": {\"b\": 1\n") ==
          "line 3, column 1: the file ends inside the object that begins in line 2");
    CHECK(why("{\"a\": \"x\n\"}") == "line 1, column 7: the string is never closed");
    CHECK(why("{\"a\": \"x\ty\"}") == "line 1, column 9: a tab inside a string must be written as \\t");
    CHECK(why("{\"a\": \"\\x\"}") == "line 1, column 8: unknown escape in a string");
    CHECK(why("{\"a\": \"\\ud800\"}") == "line 1, column 8: half of a surrogate pair");
    CHECK(why("{\"a\": \"\\udc00\\ud800\"}") == "line 1, column 8: half of a surrogate pair");
    CHECK(why("{\"a\": \"\xff\"}") == "line 1, column 8: not valid UTF-8");
    CHECK(why("{\"a\": 01}") == "line 1, column 7: a number cannot begin with 0");
    CHECK(why("{\"a\": 1.}") == "line 1, column 7: a number needs digits after '.'");
    CHECK(why("{\"a\": 1e}") == "line 1, column 7: a number needs digits after 'e'");
    CHECK(why("{\"a\": -}") == "line 1, column 7: '-' needs a number");
    CHECK(why("{\"a\": .5}") == "line 1, column 7: a number cannot begin with '.'");
    CHECK(why("{\"a\": 1e999}") == "line 1, column 7: the number is too large");
    CHECK(why("{} x") == "line 1, column 4: unexpected text after the end of the document");
    CHECK(why("{,}") == "line 1, column 2: a comma without a member before it");
    CHECK(why("[1 2]") == "line 1, column 4: expected ',' or ']' after the value, found '2'");
    CHECK(why("{\"a\":}") == "line 1, column 6: expected a value, found '}'");
    CHECK(why("/* x", Format::jsonc) == "line 1, column 1: the comment is never closed");
    CHECK(why("// x\ry\n1", Format::jsonc) == "line 1, column 5: a carriage return inside a comment");
}

TEST_CASE("json: a duplicate member is refused at the second one, also when spelled with escapes") {
    CHECK(why("{\n  \"env\": {},\n  \"b\": 1,\n  \"env\": {}\n}") ==
          "line 4, column 3: the key env is there twice (first in line 2)");
    CHECK(why("{\"a\": [{\"x\": 1, \"\\u0078\": 2}]}") ==
          "line 1, column 17: the key x is there twice (first in line 1)");
    CHECK(why("{\"a\": {\"x\": 1}, \"b\": {\"x\": 1}}") == "accepted");
}

TEST_CASE("json: a container of the wrong type on the way is an error with its line") {
    auto error = apply_error("{\n  \"env\": \"x\"\n}", {Edit::set({"env", "A"}, "1")});
    CHECK(error.kind == ErrorKind::file);
    CHECK(error.what == "env is a string, not an object");
    CHECK(error.why == "line 2, column 3: env has to be an object");
    CHECK(apply_error("{\"env\": []}", {Edit::set({"env", "A"}, "1")}).what ==
          "env is an array, not an object");
    CHECK(apply_error("{\"env\": null}", {Edit::set({"env", "A"}, "1")}).what ==
          "env is null, not an object");
    CHECK(apply_error("{\"l\": {}}", {Edit::append({"l"}, "1")}).what == "l is an object, not an array");
    CHECK(apply_error("[]", {Edit::set({"a"}, "1")}).what == "its top level is an array, not an object");
    CHECK(apply_error("{\"a\":{\"b\":1}}", {Edit::set({"a", "b", "c"}, "1")}).what ==
          "a.b is a number, not an object");
}

TEST_CASE("json: edits that contradict each other are refused") {
    CHECK(apply_error("{}", {Edit::set({"a"}, 1), Edit::set({"a"}, 2)}).kind == ErrorKind::file);
    CHECK(apply_error("{}", {Edit::set({"a"}, 1), Edit::set({"a", "b"}, 2)}).kind == ErrorKind::file);
    CHECK(apply_error("{}", {Edit::remove({"a"}), Edit::set({"a", "b"}, 2)}).kind == ErrorKind::file);
    CHECK(apply_error("{}", {Edit::append({"a"}, 1), Edit::remove_element({"a"}, 1)}).kind ==
          ErrorKind::file);
    CHECK(apply_error("{}", {Edit::set({}, 1)}).kind == ErrorKind::file);
    CHECK(edited("{}", {Edit::set({"a"}, 1), Edit::set({"a"}, 1)}) == "{\n  \"a\": 1\n}");
}

TEST_CASE("json: values that JSON cannot hold are refused") {
    CHECK(apply_error("{}", {Edit::set({"a"}, "\xff")}).kind == ErrorKind::file);
    CHECK(apply_error("{}", {Edit::set({"\xff"}, 1)}).kind == ErrorKind::file);
    CHECK(apply_error("{}", {Edit::set({"a"}, std::numeric_limits<double>::infinity())}).kind ==
          ErrorKind::file);
    CHECK(apply_error("{}", {Edit::set(KeyPath(600, "a"), 1)}).kind == ErrorKind::file);
}

TEST_CASE("json: nesting is bounded") {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(why(nested(500)) == "accepted");
    CHECK(why(nested(501)) == "line 1, column 501: nested deeper than 500 levels");
    CHECK(why(std::string(1000000, '[')).find("nested deeper") != std::string::npos);
    CHECK(set("{\"d\":" + nested(499) + ",\"a\":1}", {"a"}, 2) == "{\"d\":" + nested(499) + ",\"a\":2}");
}

TEST_CASE("json: the size is bounded") {
    auto document = Document::parse(Format::json, std::string(max_file_bytes + 1, ' '));
    REQUIRE_FALSE(document);
    CHECK(document.error().what == "it is too large (the limit is 64 MiB)");
}

TEST_CASE("json: many members and a long line cost no more than their length") {
    std::string text = "{";
    for (int i = 0; i < 30000; ++i) text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
    text += "\"long\":\"" + std::string(1000000, 'x') + "\"}";
    const auto result =
        edited(text, {Edit::set({"key29999"}, "x"), Edit::remove({"key0"}), Edit::set({"new"}, 1)});
    CHECK(result.size() ==
          text.size() - std::string("\"key0\":0,").size() - 5 + 3 + std::string(",\"new\":1").size());
    std::string list = "{\"l\":[";
    for (int i = 0; i < 30000; ++i) list += "0,1,";
    CHECK(edited(list + "2]}", {Edit::remove_element({"l"}, 0), Edit::remove_element({"l"}, 1)}) ==
          "{\"l\":[2]}");
}

TEST_CASE("json: keys are data, whatever they hold") {
    CHECK(set("{\"a.b\": 1}", {"a.b"}, 2) == "{\"a.b\": 2}");
    CHECK(set("{\"\": 1}", {""}, 2) == "{\"\": 2}");
    CHECK(set("{\"q\\\"\": 1}", {"q\""}, 2) == "{\"q\\\"\": 2}");
    CHECK(set("{\"a\":1}", {"n\n\"/*"}, 2) == "{\"a\":1,\"n\\n\\\"/*\":2}");
    CHECK(set("{\"a\": \"// no comment, }\"}", {"b"}, 2) == "{\"a\": \"// no comment, }\", \"b\": 2}");
}

TEST_CASE("json: a realistic Claude file with tabs comes through") {
    const std::string text =
        "{\n\t\"$schema\": \"https://json.schemastore.org/claude-code-settings.json\",\n\t\"env\": {\n"
        "\t\t\"NO_PROXY\": \"localhost,127.0.0.1\"\n\t},\n\t\"permissions\": { \"allow\": [\"Bash(ls:*)\"] "
        "},\n\t\"hooks\": {\n\t\t\"Stop\": [\n\t\t\t{ \"hooks\": [{ \"type\": \"command\" }] }\n\t\t]\n\t},\n"
        "\t\"model\": \"opus[1m]\",\n\t\"ratio\": 0.10\n}\n";
    const auto result = edited(text, {Edit::set({"env", "ANTHROPIC_MODEL"}, "databricks-claude-opus-4-6"),
                                      Edit::set({"apiKeyHelper"}, "/usr/bin/dbx-agents auth token")});
    CHECK(result.find("\t\t\"NO_PROXY\": \"localhost,127.0.0.1\",\n\t\t\"ANTHROPIC_MODEL\": "
                      "\"databricks-claude-opus-4-6\"\n\t},\n") != std::string::npos);
    CHECK(result.find("\t\"ratio\": 0.10,\n\t\"apiKeyHelper\": \"/usr/bin/dbx-agents auth token\"\n}\n") !=
          std::string::npos);
    CHECK(edited(result, {Edit::remove({"env", "ANTHROPIC_MODEL"}), Edit::remove({"apiKeyHelper"})}) == text);
}

namespace {

// Documents in all kinds of layouts, and edits of them.
class Generator {
  public:
    explicit Generator(std::uint32_t seed)
        : random_(seed) {}

    std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
    bool chance(int percent) { return below(100) < static_cast<std::size_t>(percent); }

    std::string space() {
        static const std::vector<std::string> spaces = {"",   " ",  "\n",   "\r\n",    "\n  ",
                                                        "\t", "  ", "\n\t", "\n\n    "};
        std::string result = spaces[below(spaces.size())];
        if (comments && chance(15)) result += chance(50) ? "/* c, } */" : "// c \" ]\n";
        if (chance(20)) result += spaces[below(spaces.size())];
        return result;
    }

    std::string scalar() {
        static const std::vector<std::string> scalars = {"1",
                                                         "1.0",
                                                         "-0",
                                                         "1e5",
                                                         "12345678901234567890123",
                                                         "true",
                                                         "null",
                                                         "\"x\"",
                                                         "\"\"",
                                                         "\"\\u00e9\\/\"",
                                                         "\"// {\"",
                                                         "\"\\ud83d\\ude00\"",
                                                         "\"é,\"",
                                                         "false"};
        return scalars[below(scalars.size())];
    }

    std::string value(int depth) {
        if (depth == 0 || chance(40)) return scalar();
        const bool object = chance(70);
        std::string result(1, object ? '{' : '[');
        const std::size_t count = below(4);
        for (std::size_t i = 0; i < count; ++i) {
            if (i > 0) result += ",";
            result += pretty ? "\n" + std::string(static_cast<std::size_t>(6 - depth) * 2, ' ') : space();
            if (object)
                result += "\"k" + std::to_string(i) + "\"" + (pretty ? ": " : space() + ":" + space());
            result += value(depth - 1);
            if (!pretty) result += space();
        }
        if (pretty && count > 0) result += "\n" + std::string(static_cast<std::size_t>(5 - depth) * 2, ' ');
        return result + (object ? '}' : ']');
    }

    std::string document() {
        pretty = chance(40);
        std::string body = value(4);
        while (body[0] != '{') body = value(4);
        if (pretty) return body + "\n";
        return (!comments && chance(10) ? "\xEF\xBB\xBF" : "") + space() + body + space();
    }

    KeyPath path() {
        KeyPath result;
        for (std::size_t i = 1 + below(3); i > 0; --i) result.push_back("k" + std::to_string(below(5)));
        return result;
    }

    Edit edit() {
        static const std::vector<Value> values = {1,     "x", true, nullptr, {1, 2}, {{"a", {{"b", 1}}}},
                                                  "é\n", 1.5};
        const auto& value = values[below(values.size())];
        switch (below(8)) {
        case 0:
        case 1:
        case 2:
            return Edit::set(path(), value);
        case 3:
            return Edit::set_raw(path(), scalar());
        case 4:
            return Edit::append(path(), value);
        case 5:
            return Edit::remove_element(path(), value);
        case 6:
            return Edit::prune(path());
        default:
            return Edit::remove(path());
        }
    }

    bool comments = false;
    bool pretty = false;

  private:
    std::mt19937 random_;
};

} // namespace

TEST_CASE("json: random edits of random documents pass the judge and change nothing when repeated") {
    std::size_t applied = 0;
    for (std::uint32_t seed = 0; seed < 1500; ++seed) {
        Generator generator(seed);
        generator.comments = seed % 2 == 0;
        const auto format = generator.comments ? Format::jsonc : Format::json;
        const auto text = generator.document();
        const auto document = open(text, format);
        std::vector<Edit> edits;
        bool removes = false;
        for (std::size_t i = 1 + generator.below(4); i > 0; --i) {
            edits.push_back(generator.edit());
            const auto kind = edits.back().kind;
            removes = removes || kind != Edit::Kind::set || document->get(edits.back().path);
        }
        CAPTURE(seed);
        CAPTURE(text);
        const auto result = document->apply(edits);
        if (!result) {
            // Refusals are about the wishes or the document, never about our own work.
            CHECK(result.error().fix.find("defect") == std::string::npos);
            continue;
        }
        ++applied;
        CHECK(*open(*result, format)->apply(edits) == *result);
        if (!removes) {
            // Only insertions: the old text is still there, in order.
            std::size_t at = 0;
            for (const char c : *result) {
                if (at < text.size() && text[at] == c) ++at;
            }
            const bool opened_up =
                text.find("{}") != std::string::npos || text.find("{ ") != std::string::npos ||
                text.find("{\t") != std::string::npos || text.find("{\n") != std::string::npos ||
                text.find("{\r") != std::string::npos;
            CHECK((at == text.size() || opened_up));
        }
    }
    CHECK(applied > 750);
}

TEST_CASE("json: setting a new key and taking it out again gives the random document back") {
    for (std::uint32_t seed = 0; seed < 1000; ++seed) {
        Generator generator(seed);
        const auto text = generator.document();
        const auto document = open(text, Format::json);
        if (document->value().empty()) continue; // {} opens up and closes as {}
        CAPTURE(seed);
        CAPTURE(text);
        const auto changed =
            edited(text, {Edit::set({"new", "x"}, 1), Edit::set({"other"}, "y")}, Format::json);
        const auto back =
            edited(changed, {Edit::remove({"new", "x"}), Edit::prune({"new"}), Edit::remove({"other"})},
                   Format::json);
        CHECK(Value(back).dump() == Value(text).dump()); // line ends escaped
        const auto present = document->get({"k0"});
        const auto replaced = edited(text, {Edit::set({"k0"}, "quite another")}, Format::json);
        CHECK(edited(replaced, {Edit::set_raw({"k0"}, present->raw)}, Format::json) == text);
    }
}
