#include "core/edit/diff.hpp"
#include "core/edit/mask.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace dbx::edit;

namespace {

std::string mask(Format format, std::string_view text, std::vector<std::string> secrets = {}) {
    return mask_file(format, text, secrets);
}

std::string json(std::string_view text, std::vector<std::string> secrets = {}) {
    return mask(Format::jsonc, text, std::move(secrets));
}

std::string dotenv(std::string_view text, std::vector<std::string> secrets = {}) {
    return mask(Format::dotenv, text, std::move(secrets));
}

} // namespace

TEST_CASE("mask: secret names hold one of five words in any case") {
    for (const auto* name :
         {"DATABRICKS_TOKEN", "x-api-key", "clientSecret", "Password", "proxy-authorization", "KEY"})
        CHECK(is_secret_name(name));
    for (const auto* name : {"ANTHROPIC_MODEL", "baseUrl", "", "auth", "pass"})
        CHECK_FALSE(is_secret_name(name));
}

TEST_CASE("mask: known token shapes keep their prefix and nothing else") {
    CHECK(mask_text("got dapi0123456789abcdef0123456789abcdef-2, ok") == "got dapi****, ok");
    CHECK(mask_text("dapi-fake-token") == "dapi****");
    CHECK(mask_text("xdapi0123456789abcdef0123456789abcdef") == "xdapi****");
    CHECK(mask_text("(dapi1234)") == "(dapi****)");
    CHECK(mask_text("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_x.") == "eyJ****.");
    CHECK(mask_text("sk-ant-api03-abc sk-1234567890") == "sk-ant-**** sk-****");
    CHECK(mask_text("ghp_abcdefgh1234 gho_abcdefgh1234 github_pat_11ABCDEFG") ==
          "ghp_**** gho_**** github_pat_****");
    CHECK(mask_text("AIzaSyA1234567890") == "AIza****");
    CHECK(mask_text("xoxb-123456-abc AKIAIOSFODNN7EXAMPLE") == "xoxb-**** AKIA****");
    CHECK(mask_text("dose0123456789abcdef0123456789abcdef dkea0123456789abcdef01") == "dose**** dkea****");
}

TEST_CASE("mask: ordinary words stay") {
    for (const std::string text :
         {"the key is on the table", "dapibus dolor", "a dose of task-sk- risk-free",
          "a bearer token is missing", "monkey business", "the password", "sk-learn", "keyboard shortcuts",
          "Bearer realm=\"x\"", "std::key::value", "the secret://store", "eyJ", "akia AKIA", "",
          "--token to use", "use --api-key to set it"})
        CHECK(mask_text(text) == text);
}

TEST_CASE("mask: a bearer's value") {
    CHECK(mask_text("sent Bearer abc.def to it") == "sent Bearer **** to it");
    CHECK(mask_text("bearer x") == "bearer ****");
    CHECK(mask_text("Bearer%20dapi0123456789") == "Bearer%20dapi****");
    CHECK(mask_text("Authorization: Bearer dapi0123456789\r\nHost: h") ==
          "Authorization: Bearer dapi****\r\nHost: h");
    CHECK(mask_text("\"Bearer abc\", x") == "\"Bearer ****\", x");
}

TEST_CASE("mask: NAME=value and NAME: value in free text") {
    CHECK(mask_text("API_KEY=abc") == "API_KEY=****");
    CHECK(mask_text("set API_KEY=abc and go") == "set API_KEY=**** and go");
    CHECK(mask_text("with api_key = abc, then") == "with api_key = ****, then");
    CHECK(mask_text("# GEMINI_API_KEY=AIzaSyA12345678 # mine") == "# GEMINI_API_KEY=AIza**** # mine");
    CHECK(mask_text("PASSWORD=correct horse battery") == "PASSWORD=****");
    CHECK(mask_text("password: a,b") == "password: ****");
    CHECK(mask_text("export TOKEN='a b' OTHER=c") == "export TOKEN='****' OTHER=c");
    CHECK(mask_text("token==abc") == "token==****");
    CHECK(mask_text("GET /x?access_token=abc&model=m HTTP/1.1") ==
          "GET /x?access_token=****&model=m HTTP/1.1");
    CHECK(mask_text("{\"token\": \"a\\\"b\", \"x\": 1}") == "{\"token\": \"****\", \"x\": 1}");
    CHECK(mask_text("{\"token\":\"abc\"}") == "{\"token\":\"****\"}");
    CHECK(mask_text("body {\\\"client_secret\\\":\\\"abc\\\",\\\"a\\\":1}") ==
          "body {\\\"client_secret\\\":\\\"****\\\",\\\"a\\\":1}");
    CHECK(mask_text("curl -H 'x-api-key: a b' -H \"Authorization: Basic Zm9v\" u") ==
          "curl -H 'x-api-key: ****' -H \"Authorization: Basic ****\" u");
    CHECK(mask_text("tokens: [\"a\", \"b\"], x") == "tokens: [\"****\", \"****\"], x");
    CHECK(mask_text("key = \"\"\"abc\"\"\"") == "key = \"\"\"****\"\"\"");
}

TEST_CASE("mask: booleans, null and nothing stay") {
    for (const std::string text : {"useToken: true", "token=", "token: null", "KEY=\"\"", "a token=false, x"})
        CHECK(mask_text(text) == text);
}

TEST_CASE("mask: in a header list only the secret entry") {
    CHECK(mask_text("content-type=x,Authorization=Bearer y,X-Databricks-UC-Table-Name=a.b.c") ==
          "content-type=x,Authorization=Bearer ****,X-Databricks-UC-Table-Name=a.b.c");
    CHECK(mask_text("x-api-key: abc\nfoo: bar") == "x-api-key: ****\nfoo: bar");
    CHECK(mask_text("a: b, x-api-key: abc, c: d") == "a: b, x-api-key: ****, c: d");
}

TEST_CASE("mask: passwords in URLs, source positions") {
    CHECK(mask_text("https://me:pa55@proxy:3128/x") == "https://me:****@proxy:3128/x");
    CHECK(mask_text("https://host:3128/a@b") == "https://host:3128/a@b");
    CHECK(mask_text("monkey.cpp:12: error") == "monkey.cpp:12: error");
}

TEST_CASE("mask: flags and their values") {
    CHECK(mask_text("[\"--api-key\", \"abc\", \"x\"]") == "[\"--api-key\", \"****\", \"x\"]");
    CHECK(mask_text("run --api-key=abc x") == "run --api-key=**** x");
    CHECK(mask_text("run --token a1b2 x") == "run --token **** x");
}

TEST_CASE("mask: masking twice changes nothing more") {
    for (const std::string text : {"API_KEY=abc", "Bearer dapi0123456789", "password: \"x y\"",
                                   "sk-1234567890", "https://a:b@h", "a=1,token=Bearer x,b=2"}) {
        const auto once = mask_text(text);
        CHECK(mask_text(once) == once);
    }
}

TEST_CASE("mask: a single value under its key") {
    CHECK(mask_value("api_key", "abc") == "****");
    CHECK(mask_value("api_key", "dapi0123456789") == "dapi****");
    CHECK(mask_value("Authorization", "Bearer abc def") == "Bearer ****");
    CHECK(mask_value("model", "databricks-claude") == "databricks-claude");
    CHECK(mask_value("url", "https://h/?token=abc") == "https://h/?token=****");
    CHECK(mask_value("useToken", "true") == "true");
    CHECK(mask_value("token", "") == "");
}

TEST_CASE("mask: JSON values under secret names, in any component, but not the names") {
    CHECK(json("{\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"x\", \"M\": \"y\"}}") ==
          "{\"env\": {\"ANTHROPIC_AUTH_TOKEN\": \"****\", \"M\": \"y\"}}");
    CHECK(json("{\"tokens\": {\"a\": \"x\", \"b\": [1, \"y\", true, null]}}") ==
          "{\"tokens\": {\"a\": \"****\", \"b\": [****, \"****\", true, null]}}");
    CHECK(json("{\"apiKey\":\"dapi0123456789\"}") == "{\"apiKey\":\"dapi****\"}");
    CHECK(json("{\"useOpenAIKey\": true, \"key\": \"\", \"k\": \"token\"}") ==
          "{\"useOpenAIKey\": true, \"key\": \"\", \"k\": \"token\"}");
}

TEST_CASE("mask: JSON argument arrays hide what follows a secret flag") {
    CHECK(json("{\"args\": [\"--api-key\", \"abc\", \"--model\", \"m\"]}") ==
          "{\"args\": [\"--api-key\", \"****\", \"--model\", \"m\"]}");
    CHECK(json("{\"args\": [\"--api-key=abc\", \"m\"], \"b\": [\"x\"]}") ==
          "{\"args\": [\"--api-key=****\", \"m\"], \"b\": [\"x\"]}");
    CHECK(json("{\"args\": [\n  \"--token\",\n  \"abc\"\n]}") ==
          "{\"args\": [\n  \"--token\",\n  \"****\"\n]}");
    CHECK(json("{\"a\": [\"--token\"], \"b\": [\"x\", \"y\"]}") ==
          "{\"a\": [\"--token\"], \"b\": [\"x\", \"y\"]}");
}

TEST_CASE("mask: JSON strings with lists inside") {
    CHECK(json("{\"H\": \"x-api-key: abc\\nfoo: caf\\u00e9\"}") ==
          "{\"H\": \"x-api-key: ****\\nfoo: caf\\u00e9\"}");
    CHECK(json("{\"OTEL_HEADERS\": \"a=b,Authorization=Bearer y,X-Databricks-UC-Table-Name=a.b.c\"}") ==
          "{\"OTEL_HEADERS\": \"a=b,Authorization=Bearer ****,X-Databricks-UC-Table-Name=a.b.c\"}");
}

TEST_CASE("mask: comments are masked as text") {
    CHECK(json("{\n  // \"ANTHROPIC_AUTH_TOKEN\": \"abc\",\n  /* api_key: abc */ \"a\": 1 // "
               "dapi0123456789\n}") ==
          "{\n  // \"ANTHROPIC_AUTH_TOKEN\": \"****\",\n  /* api_key: **** */ \"a\": 1 // dapi****\n}");
    CHECK(dotenv("# GEMINI_API_KEY=AIzaSyA12345678\nA=1\n#TOKEN=x y # z\n") ==
          "# GEMINI_API_KEY=AIza****\nA=1\n#TOKEN=**** # z\n");
}

TEST_CASE("mask: given secrets are hidden wherever and however they stand") {
    const std::vector<std::string> secrets = {"s3cr\"et/é\n!"};
    CHECK(json("{\"a\": \"x s3cr\\\"et\\/\\u00e9\\n! y\"}", secrets) == "{\"a\": \"x **** y\"}");
    CHECK(json("{\"s3cr\\\"et/é\\n!\": 1}", secrets) == "{\"****\": 1}");
    CHECK(json("{\"a\": \"s3cr\\\"et\\/\\u00e9\\n! y\" broken", secrets) == "{\"a\": \"**** y\" broken");
    CHECK(dotenv("A=\"x plain y\"\nB=plain # plain\nplain\n", {"plain"}) ==
          "A=\"x **** y\"\nB=**** # ****\n****\n");
    CHECK(json("{\"a\": 12345}", {"12345"}) == "{\"a\": ****}");
    CHECK(json("{\"a\": 1}", {""}) == "{\"a\": 1}");
}

TEST_CASE("mask: TOML values under secret names, in every kind of string") {
    const auto toml = [](std::string_view text, std::vector<std::string> secrets = {}) {
        return mask(Format::toml, text, std::move(secrets));
    };
    CHECK(toml("[model_providers.databricks]\nenv_key = \"DATABRICKS_TOKEN\" # the name\nname = \"x\"\n") ==
          "[model_providers.databricks]\nenv_key = \"****\" # the name\nname = \"x\"\n");
    CHECK(toml("http_headers = { \"x-api-key\" = 'abc', Authorization = \"Bearer y\", a = \"b\" }\r\n") ==
          "http_headers = { \"x-api-key\" = '****', Authorization = \"Bearer ****\", a = \"b\" }\r\n");
    CHECK(toml("cert_key = \"\"\"\nl1\nl2\"\"\"\nb = 1\n") == "cert_key = \"\"\"\n****\n\"\"\"\nb = 1\n");
    CHECK(toml("[tokens]\na = \"x\"\nn = 12\non = true\n") ==
          "[tokens]\na = \"****\"\nn = ****\non = true\n");
    CHECK(toml("args = [\"--api-key\", \"abc\", # c\n  \"--x\"]\n") ==
          "args = [\"--api-key\", \"****\", # c\n  \"--x\"]\n");
    CHECK(toml("#api_key = \"abc\"\na = \"caf\\u00e9 s3c\\\"r\"\n", {"s3c\"r"}) ==
          "#api_key = \"****\"\na = \"caf\\u00e9 ****\"\n");
    CHECK(toml("a = \"\"\"\nx s3cret \\\n   more\"\"\"\n", {"s3cret more"}) ==
          "a = \"\"\"\nx ****\n\"\"\"\n");
}

TEST_CASE("mask: dotenv values keep quotes, comments and lines") {
    CHECK(dotenv("export API_KEY = 'x y' # c\r\nM=m\r\n") == "export API_KEY = '****' # c\r\nM=m\r\n");
    CHECK(dotenv("MY_KEY=\"-----\r\nabc\r\n-----\" # c\r\nM=m") == "MY_KEY=\"****\r\n\r\n\" # c\r\nM=m");
    CHECK(dotenv("TOKEN: abc\nTOKEN=\nUSE_KEY=true\nPASSWORD=a,b c\n") ==
          "TOKEN: ****\nTOKEN=\nUSE_KEY=true\nPASSWORD=****\n");
    CHECK(dotenv("A=1\nMY KEY=abc\n") == "A=1\nMY KEY=****\n");
    CHECK(dotenv("H=\"x-api-key: abc\\nfoo: bar\"\n") == "H=\"x-api-key: ****\\nfoo: bar\"\n");
    CHECK(dotenv("KEY='open\nB=1\n") == "KEY=****\nB=1\n");
}

TEST_CASE("mask: a file that does not parse is masked by line") {
    CHECK(json("{\n  \"api_key\": \"abc\",\n  \"a\": 1,,\n}\n") ==
          "{\n  \"api_key\": \"****\",\n  \"a\": 1,,\n}\n");
    CHECK(json("api_key: 'abc\nnext") == "api_key: '****\nnext");
    CHECK(mask(Format::json, "// TOKEN=abc\n{}") == "// TOKEN=****\n{}");
    CHECK(mask(Format::toml, "= broken\napi_key = \"abc\"\n") == "= broken\napi_key = \"****\"\n");
}

TEST_CASE("mask: a masked file diffs line by line") {
    const std::string before = "A=1\nAPI_KEY=old\n", after = "A=1\nAPI_KEY=new\n";
    CHECK(unified_diff(before, after, dotenv(before), dotenv(after), "a", "b") ==
          "--- a\n+++ b\n@@ -1,2 +1,2 @@\n A=1\n-API_KEY=****\n+API_KEY=****\n");
}

TEST_CASE("mask: other bytes of a file stay") {
    const std::string text =
        "\xEF\xBB\xBF{\r\n\t\"a\" : \"caf\\u00e9\\/\",\r\n\t\"n\": 1.0, // note\r\n\t\"l\": [1,2]}";
    CHECK(json(text) == text);
}

TEST_CASE("mask: random files: line count, no given secret, and idempotence") {
    std::mt19937 random(3);
    const std::vector<std::string> tokens = {"{",           "}",       "[",       "]",
                                             ",",           ":",       "=",       "\"",
                                             "'",           "\\\"",    "\\",      "\n",
                                             "\n",          "\r\n",    " ",       "#",
                                             "//",          "/*",      "*/",      "token",
                                             "KEY",         "api_key", "abc",     "1",
                                             "true",        "Bearer",  "--key",   "dapi0123456789",
                                             "eyJabcdefgh", "S3CRET",  "://",     "@",
                                             "é",           "\t",      "`",       "\"token\": \"x\"",
                                             "KEY=abc",     "\"a\": ", "\\u0053", "\\n"};
    const std::vector<std::string> secrets = {"S3CRET"};
    for (int round = 0; round < 6000; ++round) {
        std::string text;
        for (std::size_t i = random() % 25; i > 0; --i) text += tokens[random() % tokens.size()];
        const auto format = round % 3 == 0 ? Format::jsonc : Format::dotenv;
        const auto shown = mask_file(format, text, secrets);
        CAPTURE(text);
        CAPTURE(shown);
        REQUIRE(std::count(shown.begin(), shown.end(), '\n') == std::count(text.begin(), text.end(), '\n'));
        REQUIRE(shown.find("S3CRET") == std::string::npos);
        const auto plain = mask_text(text);
        REQUIRE(std::count(plain.begin(), plain.end(), '\n') == std::count(text.begin(), text.end(), '\n'));
    }
}

TEST_CASE("mask: cost grows with the length") {
    for (const std::string part : {"token=[", "token='", "key:", "eyJ.", "Bearer ", "a,b=", "\\\\\"",
                                   "://a:b@", "AKIA-", "key= ", "--key ", "-key,\"", "dapi-", "\"key\":{"}) {
        std::string text;
        while (text.size() < 100000) text += part;
        CHECK(mask_text(text).size() <= 2 * text.size() + 10);
        CHECK(mask_text("key=" + std::string(100000, ' ') + "x " + text).size() > 4);
    }
}
