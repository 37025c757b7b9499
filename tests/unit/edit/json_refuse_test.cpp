#include "tests/unit/edit/json_bench.hpp"

using namespace dbx;
using namespace dbx::edit;
using namespace dbx::edit::tests;

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
