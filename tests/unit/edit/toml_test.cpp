#include "core/edit/formats.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

using namespace dbx;
using namespace dbx::edit;

namespace {

std::unique_ptr<Document> parsed(const std::string& text) {
    auto document = parse_toml(text);
    REQUIRE_MESSAGE(document.has_value(), (document ? "" : document.error().why));
    return *std::move(document);
}

std::string edited(const std::string& text, const std::vector<Edit>& edits) {
    auto result = parsed(text)->apply(edits);
    REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().what + ": " + result.error().why));
    const auto again = parsed(*result)->apply(edits);
    REQUIRE(again.has_value());
    CHECK(*again == *result); // a second time changes nothing
    return *result;
}

Error refused(const std::string& text, const std::vector<Edit>& edits) {
    const auto result = parsed(text)->apply(edits);
    REQUIRE(!result.has_value());
    CHECK(result.error().kind == ErrorKind::file);
    return result.error();
}

std::string parse_error(const std::string& text) {
    const auto document = parse_toml(text);
    REQUIRE(!document.has_value());
    CHECK(document.error().kind == ErrorKind::file);
    CHECK(document.error().what == "it is not valid TOML");
    return document.error().why;
}

KeyPath path(std::initializer_list<std::string> parts) {
    return parts;
}

Edit set(KeyPath where, Value value) {
    return Edit::set(std::move(where), std::move(value));
}

// What setup writes for Codex.
std::vector<Edit> codex_edits() {
    return {set({"model_provider"}, "databricks"), set({"model"}, "databricks-gpt-5-2"),
            set({"model_providers", "databricks", "name"}, "Databricks AI Gateway"),
            set({"model_providers", "databricks", "base_url"}, "https://h/openai/v1"),
            set({"model_providers", "databricks", "wire_api"}, "responses")};
}

} // namespace

TEST_SUITE("toml: reading") {
    TEST_CASE("an empty text is a valid document") {
        CHECK(parsed("")->value() == Value::object());
        CHECK(parsed("\xEF\xBB\xBF")->value() == Value::object());
        CHECK(parsed("# only a comment")->value() == Value::object());
    }

    TEST_CASE("get finds values of all kinds with their spelling and place") {
        const auto document =
            parsed("a = 0xff # c\n[b]\n  'k 1' = 1_000.5\n  c.d = { e = [1, 2], f.g = 'x' }\n"
                   "when = 1979-05-27 07:32:00Z\n");
        CHECK(document->get({"a"})->value == 255);
        CHECK(document->get({"a"})->raw == "0xff");
        const auto number = document->get({"b", "k 1"});
        REQUIRE(number);
        CHECK(number->raw == "1_000.5");
        CHECK(number->value.get<double>() == 1000.5);
        CHECK(number->position.line == 3);
        CHECK(number->position.column == 3);
        CHECK(document->get({"b", "c", "d", "e"})->raw == "[1, 2]");
        CHECK(document->get({"b", "c", "d", "f", "g"})->value == "x");
        CHECK(document->get({"b", "c", "d", "f"})->raw.empty());
        CHECK(document->get({"b", "when"})->value == "1979-05-27T07:32:00Z");
        CHECK(document->get({"b", "when"})->raw == "1979-05-27 07:32:00Z");
        CHECK_FALSE(document->get({"b", "no"}));
        CHECK_FALSE(document->get({"a", "no"}));
        CHECK_FALSE(document->get({"b", "c", "d", "e", "0", "no"}));
    }

    TEST_CASE("get finds containers that have no one place") {
        const auto document = parsed("[x.y]\na = 1\n[[t]]\nb = 1\n[[t]]\nb = 2\n");
        CHECK(document->get({"x"})->value == Value::parse(R"({"y":{"a":1}})"));
        CHECK(document->get({"x"})->raw.empty());
        CHECK(document->get({"t"})->value == Value::parse(R"([{"b":1},{"b":2}])"));
        CHECK(document->position({"x", "y"})->line == 1);
        CHECK(document->position({"t"})->line == 3);
        CHECK_FALSE(document->position({"t", "b"}));
        CHECK(document->get({})->value == document->value());
    }

    TEST_CASE("position counts characters, and no byte order mark") {
        const auto document = parsed("\xEF\xBB\xBF'\xC3\xA4\xC3\xB6' = { \"\xF0\x9F\x98\x80\" = 1, b = 2 }");
        CHECK(document->position({"\xC3\xA4\xC3\xB6"})->column == 1);
        CHECK(document->position({"\xC3\xA4\xC3\xB6", "b"})->column == 19);
    }

    TEST_CASE("value keeps the order of the text") {
        CHECK(parsed("z = 1\na = { y = 1, b = 2 }\n[m]\n[c]\n")->value().dump() ==
              R"({"z":1,"a":{"y":1,"b":2},"m":{},"c":{}})");
    }

    TEST_CASE("leaves tell every scalar with its path and bytes") {
        const std::string text =
            "a = [1, 'x', { b = \"t\\u0041\" }]\n[[s]]\nk.l = true\n[[s]]\n[s.u]\nv = '''\nw'''\n";
        const auto leaves = parsed(text)->leaves();
        std::vector<std::string> seen;
        for (const auto& leaf : leaves) {
            std::string name;
            for (const auto& part : leaf.path) name += "/" + part;
            seen.push_back(name + "=" + text.substr(leaf.offset, leaf.length));
        }
        CHECK(seen == std::vector<std::string>{"/a/0=1", "/a/1='x'", "/a/2/b=\"t\\u0041\"", "/s/0/k/l=true",
                                               "/s/1/u/v='''\nw'''"});
        CHECK(leaves[2].text == "tA");
        CHECK(leaves[2].is_string);
        CHECK(leaves[4].text == "w");
        CHECK_FALSE(leaves[0].is_string);
    }

    TEST_CASE("strings are decoded as toml++ does") {
        for (const std::string spelling : {R"("a\tb\"\\\u00e9\U0001F600\e\x41\b\f\r\n")", "'''\n'a'\\n'''",
                                           "\"\"\"\r\na\\\r\n   b\n\n \"\" c\"\"\"\"\"", "'''a\r\n\r\nb'''",
                                           "\"\"\"a\r\nb\\r\\n\\\r\n  c\"\"\"", "''''two'''''",
                                           "\"\"\"\"\"\"", "''", "\"\"\"x\\   \n\n  y\"\"\""}) {
            const auto document = parsed("k = " + spelling + "\n");
            REQUIRE(document->leaves().size() == 1);
            CHECK(document->leaves()[0].text == document->get({"k"})->value.get<std::string>());
        }
    }

    TEST_CASE("odd but valid headers and keys are understood") {
        const auto document =
            parsed("[ a . 'b' ]\nx = 1\n[model_providers.p.http_headers ]\n\"\" = 2\n[\t\"[c]\"] # y\n");
        CHECK(document->get({"a", "b", "x"})->value == 1);
        CHECK(document->get({"model_providers", "p", "http_headers", ""})->value == 2);
    }

    TEST_CASE("multi-line strings may look like tables") {
        const auto document =
            parsed("a = \"\"\"\n[x]\nb = 1\n# \\\"\"\" \"\"\"\nc = '''\n[[y]]\n''' # z\n[real]\n");
        CHECK(document->value().size() == 3);
        CHECK(document->get({"real"}));
        CHECK_FALSE(document->get({"x"}));
    }

    TEST_CASE("the inline tables of TOML 1.1 are understood") {
        const auto document = parsed("a = { # c\n  b = 1, # d\n  c = { d = 2,\n },\n}\n");
        CHECK(document->get({"a", "c", "d"})->value == 2);
    }
}

TEST_SUITE("toml: refusing") {
    TEST_CASE("an error names line, column and reason") {
        CHECK(parse_error("a = 1\nb = \n") ==
              "line 2, column 5: expected a value, found the end of the line");
        CHECK(parse_error("a = 1\nb 2\n") == "line 2, column 3: expected '=' after the key, found '2'");
        CHECK(parse_error("\xC3\xA4 = 1") ==
              "line 1, column 1: expected a key (one with such characters needs quotes), found '\xC3\xA4'");
        CHECK(parse_error("a = 'x\n") ==
              "line 1, column 7: expected a closing quote, found the end of the line");
        CHECK(parse_error("a = [1 2]") == "line 1, column 8: expected a comma or ']', found '2'");
        CHECK(parse_error("a = 1\n[b\n") == "line 2, column 3: expected ']', found the end of the line");
        CHECK(parse_error("a = \"\"\"x\n") ==
              "line 2, column 1: expected three closing quotes, found the end of the file");
        CHECK(parse_error("a = 1 b = 2") ==
              "line 1, column 7: expected the end of the line or a comment, found 'b'");
    }

    TEST_CASE("what only toml++ sees is refused as well") {
        CHECK(parse_error("a = 1\na = 2\n").find("`a` is defined a second time") != std::string::npos);
        CHECK(parse_error("[a]\n[a]\n") == "line 2, column 1: `a` is defined a second time");
        CHECK(parse_error("a = 01\n").rfind("line 1, column ", 0) == 0);
        CHECK(parse_error("a = maybe\n").rfind("line 1, column ", 0) == 0);
        CHECK(parse_error("exporter = 'x'\n[exporter.y]\n").rfind("line 2, column ", 0) == 0);
        CHECK(parse_error("a = \"\\q\"\n").rfind("line 1, column ", 0) == 0);
        CHECK(parse_error("# \x01\n").rfind("line 1, column ", 0) == 0);
    }

    TEST_CASE("nothing panics: headers that toml++ would stumble over, and endless nesting") {
        for (const char* text :
             {"[\n", "[", "[[", "[]", "[[]]", "[a.", "[a.]", "=", "a.", "a = {", "a = [", "a = \"\\",
              "a = \"\"\"\\", "'", "\"\"\"a\"\"\" = 1", "a = {,}", "a = [,]", "a = {b=1 c=2}"})
            CHECK_FALSE(parse_toml(text).has_value());
        std::string dots = "a";
        for (int i = 0; i < 100000; ++i) dots += ".a";
        CHECK(parse_error(dots + " = 1").find("nested deeper than 200 levels") != std::string::npos);
        CHECK(parse_error("[" + dots + "]").find("nested deeper") != std::string::npos);
        CHECK(parse_error("x = {" + dots + " = 1}").find("nested deeper") != std::string::npos);
        CHECK(parse_error("x = " + std::string(100000, '[')).find("nested deeper") != std::string::npos);
        CHECK(parse_toml("x = " + std::string(150, '[') + std::string(150, ']')).has_value());
    }

    TEST_CASE("a container of a wrong type on the path is an error with its place") {
        const auto name = path({"model_providers", "databricks", "name"});
        const auto text = refused("a = 1\nmodel_providers = \"x\"\n", {set(name, "y")});
        CHECK(text.what == "`model_providers` is not a table");
        CHECK(text.why == "line 2, column 1: `model_providers` is a string, not a table");
        const auto array = refused("[[model_providers]]\nx = 1\n", {set(name, "y")});
        CHECK(array.why == "line 1, column 3: `model_providers` is an array of tables, not a table");
        const auto inside = refused("model_providers = { p = 1, databricks = [] }\n", {set(name, "y")});
        CHECK(inside.why == "line 1, column 28: `model_providers.databricks` is an array, not a table");
        const auto append = refused("x = 'a'\n", {Edit::append({"x"}, "b")});
        CHECK(append.why == "line 1, column 1: `x` is a string, not an array");
    }

    TEST_CASE("values that TOML can not say are refused") {
        CHECK(refused("", {set({"a"}, nullptr)}).why == "TOML has no null");
        CHECK(refused("", {set({"a"}, std::numeric_limits<std::uint64_t>::max())}).why.find("too large") !=
              std::string::npos);
        CHECK(refused("", {set({"a"}, "\xFF")}).why == "a string is not valid UTF-8");
        CHECK(refused("", {set({"a", "\xFF"}, 1)}).why == "it is not valid UTF-8");
        CHECK(refused("", {set({}, 1)}).kind == ErrorKind::file);
    }

    TEST_CASE("edits that contradict each other are refused") {
        CHECK(refused("", {set({"a"}, 1), set({"a", "b"}, 2)}).what == "the edits contradict each other");
        CHECK(refused("", {set({"a", "b"}, 2), set({"a"}, 1)}).what == "the edits contradict each other");
        CHECK(refused("", {Edit::append({"a"}, 1), set({"a", "b"}, 2)}).what ==
              "the edits contradict each other");
    }

    TEST_CASE("a raw spelling has to be one value") {
        for (const std::string raw : {"", "1\nb = 2", "1 # c", "x", "\"", "[1", "1, 2", "1\n[t]"})
            CHECK(refused("a = 0\n", {Edit::set_raw({"a"}, raw)}).what == "`a` can not be set");
    }
}

TEST_SUITE("toml: setting what is there") {
    TEST_CASE("set keeps the comment after the old value, and all spaces") {
        CHECK(edited("  model   =  \"gpt-5\"   # trailing\t\n", {set({"model"}, "x")}) ==
              "  model   =  \"x\"   # trailing\t\n");
    }

    TEST_CASE("set changes nothing when the value is equal already") {
        const std::string text = "a = 0xff\nb = '''x'''\nc = [ 1 , 2 ]\nd = 1.50\ne = {x=1}\n[f]\ng.h = nan";
        CHECK(edited(text, {set({"a"}, 255), set({"b"}, "x"), set({"c"}, {1, 2}), set({"d"}, 1.5),
                            set({"e"}, {{"x", 1}}),
                            set({"f"}, {{"g", {{"h", std::numeric_limits<double>::quiet_NaN()}}}})}) == text);
    }

    TEST_CASE("an integer is not a float, and a date is not a string") {
        CHECK(edited("a = 1\n", {set({"a"}, 1.0)}) == "a = 1.0\n");
        CHECK(edited("a = 1.0\n", {set({"a"}, 1)}) == "a = 1\n");
        CHECK(edited("a = 1979-05-27\n", {set({"a"}, "1979-05-27")}) == "a = \"1979-05-27\"\n");
    }

    TEST_CASE("a string keeps its kind of quotes where they can hold the text") {
        CHECK(edited("a = 'x'\nb = \"y\"\n", {set({"a"}, "n"), set({"b"}, "m")}) == "a = 'n'\nb = \"m\"\n");
        CHECK(edited("a = 'x'\n", {set({"a"}, "it's")}) == "a = \"it's\"\n");
        CHECK(edited("a = '''x'''\n", {set({"a"}, "two\nlines")}) == "a = \"two\\nlines\"\n");
    }

    TEST_CASE("no text breaks out of its quotes") {
        for (const std::string& text : {std::string("q\"]$\\ # [x]\n\r\t'"), std::string("\0\x01\x1F\x7F", 4),
                                        std::string("\xF0\x9F\x98\x80'''\"\"\""),
                                        std::string("\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF\xEF\xBF\xBE"),
                                        std::string("\\"), std::string("'"), std::string()}) {
            const auto basic = edited("a = \"x\"\nb = {c = 1}\n",
                                      {set({"a"}, text), set({"b", text}, text), set({text}, 1)});
            CHECK(parsed(basic)->get({"a"})->value == text);
            CHECK(parsed(basic)->get({"b", text})->value == text);
            const auto literal = edited("a = 'x'\n", {set({"a"}, text), set({"t", text, "u"}, text)});
            CHECK(parsed(literal)->get({"a"})->value == text);
            CHECK(parsed(literal)->get({"t", text, "u"})->value == text);
        }
    }

    TEST_CASE("numbers come back as they were given") {
        for (const double number :
             {0.1, -0.0, 1e300, 5e-324, 3.0, 1e20, std::numeric_limits<double>::infinity()}) {
            const auto text = edited("", {set({"a"}, number)});
            CHECK(parsed(text)->get({"a"})->value.get<double>() == number);
            CHECK(parsed(text)->get({"a"})->value.is_number_float());
        }
        CHECK(edited("", {set({"a"}, std::numeric_limits<std::int64_t>::min())}) ==
              "a = -9223372036854775808\n");
    }

    TEST_CASE("a value over several lines is replaced whole") {
        CHECK(edited("a = \"\"\"\n[x]\n\"\"\" # c\nb = [\n  1, # one\n] # d\n",
                     {set({"a"}, "y"), set({"b"}, {3})}) == "a = \"y\" # c\nb = [3] # d\n");
    }

    TEST_CASE("quoted, dotted and split keys are found") {
        CHECK(edited("\"a b\".'c' = 1\n[x]\n[y.z]\nk = 1\n[x.'q.r']\nk = 2\n",
                     {set({"a b", "c"}, 2), set({"y", "z", "k"}, 3), set({"x", "q.r", "k"}, 4)}) ==
              "\"a b\".'c' = 2\n[x]\n[y.z]\nk = 3\n[x.'q.r']\nk = 4\n");
    }

    TEST_CASE("set_raw writes the spelling as it is") {
        CHECK(edited("a = 255 # c\nb = \"s\"\n", {Edit::set_raw({"a"}, "0xff"),
                                                  Edit::set_raw({"b"}, "'s'")}) == "a = 0xff # c\nb = 's'\n");
        CHECK(edited("", {Edit::set_raw({"t", "d"}, "1979-05-27 07:32:00")}) ==
              "[t]\nd = 1979-05-27 07:32:00\n");
        CHECK(edited("a = 1\n", {Edit::set_raw({"a"}, "[\n  1, # x\n]")}) == "a = [\n  1, # x\n]\n");
    }

    TEST_CASE("a leaf that is a table section now: the section goes, the key comes") {
        CHECK(edited("x = 1\n\n[model]\na = 1\n# in it\nb = 2\n\n[model.sub]\n\n[z]\n",
                     {set({"model"}, "m")}) == "x = 1\nmodel = \"m\"\n\n[z]\n");
    }

    TEST_CASE("a leaf that dotted keys make a table: their lines go") {
        CHECK(edited("model.x = 1\nmodel.y.z = 2 # c\nb = 1\n", {set({"model"}, "m")}) ==
              "b = 1\nmodel = \"m\"\n");
    }

    TEST_CASE("otel.exporter is replaced in whatever form it stands") {
        const Value exporter = Value::parse(R"({"otlp-http":{"endpoint":"e","headers":{"A":"b"}}})");
        const auto edits = std::vector{set({"otel", "exporter"}, exporter)};
        CHECK(edited("[otel]\nexporter = \"none\" # c\n", edits) ==
              "[otel]\nexporter = { otlp-http = { endpoint = \"e\", headers = { A = \"b\" } } } # c\n");
        CHECK(edited("[otel]\nlog = 1\n\n[otel.exporter.\"otlp-grpc\"]\nendpoint = 1\n\n[z]\n", edits) ==
              "[otel]\nlog = 1\n\n[otel.exporter.otlp-http]\nendpoint = "
              "\"e\"\n\n[otel.exporter.otlp-http.headers]\n"
              "A = \"b\"\n\n[z]\n");
        CHECK(edited("otel = { exporter.x = 1, l = 2 }\n", edits) ==
              "otel = { l = 2, exporter = { otlp-http = { endpoint = \"e\", headers = { A = \"b\" } } } }\n");
        CHECK(edited("[otel]\nexporter.x = 1\n", edits) ==
              "[otel]\n\n[otel.exporter.otlp-http]\nendpoint = \"e\"\n\n[otel.exporter.otlp-http.headers]\nA "
              "= \"b\"\n");
    }

    TEST_CASE("a table that is set as a whole keeps what is the same, in its place") {
        const Value exporter =
            Value::parse(R"({"otlp-http":{"endpoint":"new","protocol":"binary","headers":{"A":"b"}}})");
        CHECK(edited("[otel.exporter.otlp-http]\n# where to\nendpoint = 'old' # c\nextra = "
                     "1\n\n[otel.exporter.x]\n\n"
                     "[otel.exporter.otlp-http.headers]\nA = \"b\"\nB = 'c'\n\n[z]\n",
                     {set({"otel", "exporter"}, exporter)}) ==
              "[otel.exporter.otlp-http]\n# where to\nendpoint = 'new' # c\nprotocol = 'binary'\n\n"
              "[otel.exporter.otlp-http.headers]\nA = \"b\"\n\n[z]\n");
        CHECK(edited("a.b = 1\na.c.d = 2\nz = 1\n", {set({"a"}, {{"b", 3}, {"e", {{"f", 4}}}})}) ==
              "a.b = 3\na.e.f = 4\nz = 1\n");
    }

    TEST_CASE("a removal makes room for what is set below it") {
        CHECK(edited("[otel]\nexporter = 'none'\n",
                     {set({"otel", "exporter", "a"}, 1), Edit::remove({"otel", "exporter"}),
                      set({"otel", "exporter", "b"}, 2)}) == "[otel]\nexporter = { a = 1, b = 2 }\n");
    }
}

TEST_SUITE("toml: new keys") {
    TEST_CASE("top-level keys go behind the last one, before the first header") {
        CHECK(edited("a = 1\n\n# about b\n[b]\n", {set({"m"}, 1), set({"n"}, 2)}) ==
              "a = 1\nm = 1\nn = 2\n\n# about b\n[b]\n");
    }

    TEST_CASE("without a top-level key: behind a leading comment, before the header's own") {
        CHECK(edited("# mine\n\n# about b\n[b]\n", {set({"m"}, 1)}) == "# mine\n\nm = 1\n\n# about b\n[b]\n");
        CHECK(edited("# about b\n[b]\n", {set({"m"}, 1)}) == "m = 1\n\n# about b\n[b]\n");
        CHECK(edited("# mine\n\n[b]\n", {set({"m"}, 1)}) == "# mine\n\nm = 1\n\n[b]\n");
        CHECK(edited("[b]\n", {set({"m"}, 1)}) == "m = 1\n\n[b]\n");
    }

    TEST_CASE("an empty file, one of comments, one of a byte order mark") {
        CHECK(edited("", {set({"m"}, 1), set({"t", "k"}, 2)}) == "m = 1\n\n[t]\nk = 2\n");
        CHECK(edited("# c", {set({"m"}, 1)}) == "# c\n\nm = 1");
        CHECK(edited("\xEF\xBB\xBF", {set({"m"}, 1)}) == "\xEF\xBB\xBFm = 1\n");
        CHECK(edited("\xEF\xBB\xBF[a]\n", {set({"m"}, 1)}) == "\xEF\xBB\xBFm = 1\n\n[a]\n");
    }

    TEST_CASE("keys of a table go behind its last one; comments of the next header stay there") {
        CHECK(edited("[a]\nx = 1\n# of a\n\n# of b\n[b]\ny = 1\n", {set({"a", "z"}, 1)}) ==
              "[a]\nx = 1\nz = 1\n# of a\n\n# of b\n[b]\ny = 1\n");
        CHECK(edited("[a] # c\n[b]\n", {set({"a", "z"}, 1)}) == "[a] # c\nz = 1\n[b]\n");
    }

    TEST_CASE("several keys make one table, in the order given") {
        CHECK(edited("a = 1\n", codex_edits()) == "a = 1\nmodel_provider = \"databricks\"\nmodel = "
                                                  "\"databricks-gpt-5-2\"\n\n[model_providers.databricks]\n"
                                                  "name = \"Databricks AI Gateway\"\nbase_url = "
                                                  "\"https://h/openai/v1\"\nwire_api = \"responses\"\n");
    }

    TEST_CASE("a table goes behind its siblings") {
        CHECK(edited("[model_providers.x]\nname = 'x'\n# of x\n\n# of z\n[z]\nk = 1\n",
                     {set({"model_providers", "d", "name"}, "d")}) ==
              "[model_providers.x]\nname = 'x'\n# of x\n\n[model_providers.d]\nname = 'd'\n\n# of z\n[z]\nk "
              "= 1\n");
        CHECK(edited("[p.x]\n[p.x.sub]\n[z]\n[p.y]\nk=1", {set({"p", "d", "n"}, 1)}) ==
              "[p.x]\n[p.x.sub]\n[z]\n[p.y]\nk=1\n[p.d]\nn=1");
    }

    TEST_CASE("a table without siblings goes to the end, set off as the file does it") {
        CHECK(edited("[a]\nx = 1\n", {set({"t", "k"}, 1)}) == "[a]\nx = 1\n\n[t]\nk = 1\n");
        CHECK(edited("[a]\nx = 1\n[b]\ny = 1\n", {set({"t", "k"}, 1)}) ==
              "[a]\nx = 1\n[b]\ny = 1\n[t]\nk = 1\n");
        CHECK(edited("[a]\nx = 1\n\n\n", {set({"t", "k"}, 1)}) == "[a]\nx = 1\n\n[t]\nk = 1\n\n\n");
        CHECK(edited("[a]\n# end", {set({"t", "k"}, 1)}) == "[a]\n# end\n\n[t]\nk = 1");
    }

    TEST_CASE("a table that only its sub-tables imply gets a header before them") {
        CHECK(edited("x = 1\n\n# of c\n[a.b.c]\nk = 1\n\n[a.d]\n", {set({"a", "b", "n"}, 1)}) ==
              "x = 1\n\n[a.b]\nn = 1\n\n# of c\n[a.b.c]\nk = 1\n\n[a.d]\n");
        CHECK(edited("[[a.b]]\nk = 1\n", {set({"a", "n"}, 1)}) == "[a]\nn = 1\n\n[[a.b]]\nk = 1\n");
    }

    TEST_CASE("a table of dotted keys gets another one") {
        CHECK(edited("tools . web = true\nz = 1\n[q]\n",
                     {set({"tools", "view image"}, 1), set({"tools", "n", "m"}, 2)}) ==
              "tools . web = true\ntools.\"view image\" = 1\ntools.n.m = 2\nz = 1\n[q]\n");
        CHECK(edited("[a]\n  b.c=1\n  b.d.e=2\n", {set({"a", "b", "d", "f"}, 1)}) ==
              "[a]\n  b.c=1\n  b.d.e=2\n  b.d.f=1\n");
    }

    TEST_CASE("the file's form is followed: quotes, spaces, indentation, alignment, line ends") {
        CHECK(edited("a='x'\nb='y'\n", {set({"c"}, "z"), set({"d", "e f"}, "w")}) ==
              "a='x'\nb='y'\nc='z'\n\n[d]\n'e f'='w'\n");
        CHECK(edited("[a]\n\tx = 1\n", {set({"a", "y"}, 2), set({"b", "z"}, 3)}) ==
              "[a]\n\tx = 1\n\ty = 2\n\n[b]\n\tz = 3\n");
        CHECK(edited("name     = 1\nbase_url = 2\n", {set({"key"}, 3), set({"very_long_key"}, 4)}) ==
              "name     = 1\nbase_url = 2\nkey      = 3\nvery_long_key = 4\n");
        CHECK(edited("a = 1\r\n[b]\r\n", {set({"c"}, 1), set({"d", "e"}, 2)}) ==
              "a = 1\r\nc = 1\r\n[b]\r\n[d]\r\ne = 2\r\n");
        CHECK(edited("a = 1\n[b]\r\nx = 1\r\n[c]\ny = 1\n", {set({"b", "z"}, 1), set({"c", "z"}, 1)}) ==
              "a = 1\n[b]\r\nx = 1\r\nz = 1\r\n[c]\ny = 1\nz = 1\n");
        CHECK(edited("  [a]\n    x = 1\n  [a.b]\n    y = 1\n", {set({"a", "c", "z"}, 1)}) ==
              "  [a]\n    x = 1\n  [a.b]\n    y = 1\n  [a.c]\n    z = 1\n");
    }

    TEST_CASE("a missing final line end stays missing") {
        CHECK(edited("a = 1", {set({"b"}, 2)}) == "a = 1\nb = 2");
        CHECK(edited("a = 1\r\nb = 1", {set({"t", "c"}, 2)}) == "a = 1\r\nb = 1\r\n\r\n[t]\r\nc = 2");
        CHECK(edited("a = 1\nb = 2", {Edit::remove({"b"})}) == "a = 1");
    }

    TEST_CASE("an object becomes tables, an empty one a header") {
        CHECK(
            edited("", {set({"a"}, Value::parse(R"({"t":{"x":1,"u":{"y":[1,{"z":2}]}},"k":"v","e":{}})"))}) ==
            "[a]\nk = \"v\"\n\n[a.e]\n\n[a.t]\nx = 1\n\n[a.t.u]\ny = [1, { z = 2 }]\n");
    }
}

TEST_SUITE("toml: inline tables and arrays") {
    TEST_CASE("keys go into an existing inline table inside its braces") {
        CHECK(edited("p = { x = 1 } # c\n",
                     {set({"p", "y"}, 2), set({"p", "d", "n"}, 3), set({"p", "d", "m"}, 4)}) ==
              "p = { x = 1, y = 2, d = { n = 3, m = 4 } } # c\n");
        CHECK(edited("p={x=1,y=2}\n", {set({"p", "z"}, 3)}) == "p={x=1,y=2,z=3}\n");
        CHECK(edited("p = {}\n", {set({"p", "x"}, 1)}) == "p = { x = 1 }\n");
        CHECK(edited("p = { a.b = 1 }\n", {set({"p", "a", "c"}, 2)}) == "p = { a.b = 1, a.c = 2 }\n");
        CHECK(edited("model_providers = { x = { name = 'x' } }\n",
                     {set({"model_providers", "x", "name"}, "y")}) ==
              "model_providers = { x = { name = 'y' } }\n");
    }

    TEST_CASE("an inline table over several lines grows by lines") {
        CHECK(edited("p = {\n\tx = 1, # one\n\ty = 2, # two\n}\n", {set({"p", "z"}, 3)}) ==
              "p = {\n\tx = 1, # one\n\ty = 2, # two\n\tz = 3,\n}\n");
        CHECK(edited("p = {\r\n  x = 1 # one\r\n}\r\n", {set({"p", "z"}, 3), set({"p", "w"}, 4)}) ==
              "p = {\r\n  x = 1, # one\r\n  z = 3,\r\n  w = 4\r\n}\r\n");
        CHECK(edited("p = { x = 1,\n  y = 2 }\n", {set({"p", "z"}, 3)}) ==
              "p = { x = 1,\n  y = 2, z = 3 }\n");
        CHECK(edited("p = {\n  # none yet\n}\n", {set({"p", "z"}, 3)}) ==
              "p = {\n  # none yet\n  z = 3\n}\n");
    }

    TEST_CASE("remove takes a member of an inline table with its comma") {
        CHECK(edited("p = { x = 1, y = 2, z = 3 }\n", {Edit::remove({"p", "x"})}) ==
              "p = { y = 2, z = 3 }\n");
        CHECK(edited("p = { x = 1, y = 2, z = 3 }\n", {Edit::remove({"p", "y"})}) ==
              "p = { x = 1, z = 3 }\n");
        CHECK(edited("p = { x = 1, y = 2, z = 3 }\n", {Edit::remove({"p", "z"})}) ==
              "p = { x = 1, y = 2 }\n");
        CHECK(edited("p = { x = 1, y = 2, z = 3 }\n", {Edit::remove({"p", "z"}), Edit::remove({"p", "y"})}) ==
              "p = { x = 1 }\n");
        CHECK(edited("p = { x = 1, }\n", {Edit::remove({"p", "x"})}) == "p = {}\n");
        CHECK(edited("p = { x = 1, y = 2 }\n", {Edit::remove({"p", "y"}), set({"p", "z"}, 3)}) ==
              "p = { x = 1, z = 3 }\n");
        CHECK(edited("p = {\n  x = 1, # one\n  y = 2 # two\n}\n", {Edit::remove({"p", "y"})}) ==
              "p = {\n  x = 1 # one\n}\n");
        CHECK(edited("p = { a.b = 1, a.c = 2, d = 3 }\n", {Edit::remove({"p", "a"})}) == "p = { d = 3 }\n");
    }

    TEST_CASE("append adds to an array in its style, once") {
        CHECK(edited("a = [\"x\"]\n", {Edit::append({"a"}, "y"), Edit::append({"a"}, "x")}) ==
              "a = [\"x\", \"y\"]\n");
        CHECK(edited("a = [ 1,2 ]\n", {Edit::append({"a"}, 3)}) == "a = [ 1,2,3 ]\n");
        CHECK(edited("a = [\n  'x', # one\n  'y', # two\n] # end\n", {Edit::append({"a"}, "z")}) ==
              "a = [\n  'x', # one\n  'y', # two\n  'z',\n] # end\n");
        CHECK(edited("a = [\n  'x' # one\n]\n", {Edit::append({"a"}, "z")}) ==
              "a = [\n  'x', # one\n  'z'\n]\n");
        CHECK(edited("a = []\n", {Edit::append({"a"}, 1)}) == "a = [1]\n");
        CHECK(edited("a = [\n  # none\n]\n", {Edit::append({"a"}, 1)}) == "a = [\n  # none\n  1\n]\n");
        CHECK(edited("", {Edit::append({"t", "a"}, 1), Edit::append({"t", "a"}, 2)}) == "[t]\na = [1, 2]\n");
        CHECK(edited("p = { a = [1] }\n", {Edit::append({"p", "a"}, 2), Edit::append({"p", "b"}, 3)}) ==
              "p = { a = [1, 2], b = [3] }\n");
    }

    TEST_CASE("remove_element takes equal elements out") {
        CHECK(edited("a = [1, 2, 1, 1.0]\n", {Edit::remove_element({"a"}, 1)}) == "a = [2, 1.0]\n");
        CHECK(edited("a = [\n  'x', # one\n  'y', # two\n]\n", {Edit::remove_element({"a"}, "x")}) ==
              "a = [\n  'y', # two\n]\n");
        CHECK(edited("a = ['x']\n", {Edit::remove_element({"a"}, "x")}) == "a = []\n");
        CHECK(edited("a = 'x'\n", {Edit::remove_element({"a"}, "x"), Edit::remove_element({"no"}, "x")}) ==
              "a = 'x'\n");
        CHECK(edited("a = ['x']\n", {Edit::remove_element({"a"}, "x"), Edit::prune({"a"})}).empty());
    }

    TEST_CASE("a wrapped array loses and gains elements without losing its comments") {
        const std::string text = "a = [ 'w', 'x', # c\n      'y' , 'z' ]\n";
        CHECK(edited(text, {Edit::remove_element({"a"}, "x")}) == "a = [ 'w', # c\n      'y' , 'z' ]\n");
        CHECK(edited(text, {Edit::remove_element({"a"}, "z")}) == "a = [ 'w', 'x', # c\n      'y' ]\n");
        CHECK(edited("a = [ 1\n    , 2\n    , 3 ]\n", {Edit::remove_element({"a"}, 3)}) ==
              "a = [ 1\n    , 2 ]\n");
    }

    TEST_CASE("a line of a hundred thousand elements is no more work than as many lines") {
        std::string text = "a = ['keep'";
        for (int i = 0; i < 100000; ++i) text += i % 2 == 0 ? ", 'x'" : ", 'y'";
        const auto without = edited(text + "]\n", {Edit::remove_element({"a"}, "x")});
        CHECK(without.size() == 11 + 50000 * 5 + 2);
        CHECK(edited(without, {Edit::remove_element({"a"}, "y")}) == "a = ['keep']\n");
    }

    TEST_CASE("elements of an array of tables come and go as sections") {
        const std::string text = "[[s]]\np = \"/a\"\n\n[[s]]\np = \"/b\"\n[s.sub]\nx = 1\n\n[z]\n";
        const Value element = Value::parse(R"({"p":"/c","e":{"f":1}})");
        const auto more = edited(text, {Edit::append({"s"}, element)});
        CHECK(more == "[[s]]\np = \"/a\"\n\n[[s]]\np = \"/b\"\n[s.sub]\nx = 1\n\n[[s]]\np = \"/c\"\ne = { f "
                      "= 1 }\n\n[z]\n");
        CHECK(edited(more, {Edit::remove_element({"s"}, element)}) == text);
        CHECK(edited(text, {Edit::remove_element({"s"}, {{"p", "/a"}})}) ==
              "[[s]]\np = \"/b\"\n[s.sub]\nx = 1\n\n[z]\n");
    }
}

TEST_SUITE("toml: removing") {
    TEST_CASE("the whole line goes with its comment; comments above stay") {
        CHECK(edited("# of a\na = 1 # c\n\nb = [\n 1,\n]\nc = 1\n",
                     {Edit::remove({"a"}), Edit::remove({"b"})}) == "# of a\n\nc = 1\n");
        CHECK(edited("profile = 'x'\nmodel = 1\n", {Edit::remove({"profile"})}) == "model = 1\n");
        CHECK(edited("a = 1\r\nb = 2\r\n", {Edit::remove({"a"})}) == "b = 2\r\n");
    }

    TEST_CASE("what is not there is removed without a change") {
        const std::string text = "a = 'x' \n[b]";
        CHECK(edited(text, {Edit::remove({"no"}), Edit::remove({"a", "b"}), Edit::remove({"b", "c", "d"}),
                            Edit::prune({"q"})}) == text);
    }

    TEST_CASE("a table goes with all its sections, wherever they stand") {
        CHECK(edited("[a.b]\nx = 1\n\n[z]\ny = 1\n\n# of c\n[a.b.c]\n# in\nw = 1\n\n[[a.b.t]]\n\n[end]\n",
                     {Edit::remove({"a", "b"})}) == "[z]\ny = 1\n\n# of c\n\n[end]\n");
        CHECK(edited("a.b.c = 1\na.d = 2\na.b.e.f = 3\n", {Edit::remove({"a", "b"})}) == "a.d = 2\n");
        CHECK(edited("[[s]]\nx = 1\n[s.t]\n[q]\n[[s]]\n", {Edit::remove({"s"})}) == "[q]\n");
    }

    TEST_CASE("prune takes an empty table and the blank line that set it off") {
        CHECK(edited("[a]\nx = 1\n\n[b]\ny = 1\n\n[c]\n", {Edit::remove({"b", "y"}), Edit::prune({"b"})}) ==
              "[a]\nx = 1\n\n[c]\n");
        CHECK(edited("[a]\nx = 1\n\n[b]\ny = 1\n", {Edit::prune({"b"}), Edit::remove({"b", "y"})}) ==
              "[a]\nx = 1\n");
        CHECK(edited("[a]\n[a.b]\n", {Edit::prune({"a"}), Edit::prune({"a", "b"})}).empty());
        CHECK(edited("p = { q = {}, r = [] }\n",
                     {Edit::prune({"p"}), Edit::prune({"p", "q"}), Edit::prune({"p", "r"})})
                  .empty());
    }

    TEST_CASE("prune leaves what is not empty") {
        const std::string text = "a = 1\nd = [ # c\n]\n[b]\n# a comment\n\n[c] # d\n[e.f]\n[g]\nh.i = 1\n";
        CHECK(edited(text, {Edit::prune({"a"}), Edit::prune({"b"}), Edit::prune({"c"}), Edit::prune({"d"}),
                            Edit::prune({"e"}), Edit::prune({"g"}), Edit::prune({"g", "h"}),
                            Edit::prune({"h"})}) == text);
        CHECK(edited("[a]\nx = 1\n", {Edit::remove({"a", "x"}), set({"a", "y"}, 1), Edit::prune({"a"})}) ==
              "[a]\ny = 1\n");
    }

    TEST_CASE("what setup adds, remove and prune take back byte for byte") {
        for (const std::string original :
             {"", "# c\n", "a = 1", "a = 1\n", "[a]\nx = 1\n", "# c\n\n[a]\nx = 1",
              "# of a\n[a]\r\nx = 1\r\n", "\xEF\xBB\xBF[model_providers.x]\nname = 'x'\n\n# z\n[z]\n",
              "[model_providers.x]\n[z]\n[q]\n", "model_providers = { x = { name = 1 } }\n",
              "model_providers.x.name = 1\n\n\n[t]\n", "[model_providers]\n\n[z]\n",
              "model_providers = {\n  x.y = 1, # c\n}\n"}) {
            CAPTURE(original);
            const auto changed = edited(original, codex_edits());
            std::vector<Edit> back;
            for (const auto& edit : codex_edits()) back.push_back(Edit::remove(edit.path));
            back.push_back(Edit::prune({"model_providers", "databricks"}));
            if (original.find("model_providers") == std::string::npos)
                back.push_back(Edit::prune({"model_providers"}));
            CHECK(edited(changed, back) == original);
        }
    }
}
