#include "tests/unit/edit/json_bench.hpp"

using namespace dbx;
using namespace dbx::edit;
using namespace dbx::edit::tests;

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

TEST_CASE("json: number spellings outside the edit stay") {
    const std::string rest =
        "\"a\": 1.0, \"b\": 12345678901234567890123, \"c\": 1e5, \"d\": -0, \"e\": 0.10, ";
    CHECK(set("{" + rest + "\"z\": 1}", {"z"}, 2) == "{" + rest + "\"z\": 2}");
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
