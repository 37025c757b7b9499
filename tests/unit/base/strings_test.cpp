#include "core/base/strings.hpp"

#include <doctest/doctest.h>

using namespace dbx;

TEST_CASE("trim takes ASCII white space from both ends") {
    CHECK(trim(" \t\r\n a b \n") == "a b");
    CHECK(trim("   ") == "");
}

TEST_CASE("split keeps empty parts") {
    CHECK(split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
    CHECK(split("", ',') == std::vector<std::string>{""});
    CHECK(join({"a", "b"}, ", ") == "a, b");
}

TEST_CASE("UTF-8 is checked strictly") {
    CHECK(is_utf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"));
    CHECK_FALSE(is_utf8("\xc0\xaf"));         // overlong
    CHECK_FALSE(is_utf8("\xed\xa0\x80"));     // a surrogate
    CHECK_FALSE(is_utf8("\xf4\x90\x80\x80")); // above U+10FFFF
    CHECK_FALSE(is_utf8("a\xc3"));            // cut
}

TEST_CASE("a glob matches over the whole text") {
    CHECK(glob_match("databricks-claude-*", "databricks-claude-opus-4-6"));
    CHECK(glob_match("*", ""));
    CHECK(glob_match("a*b*c", "a-b-b-c"));
    CHECK_FALSE(glob_match("a?c", "ac"));
    CHECK_FALSE(glob_match("databricks", "databricks-gpt"));
}

TEST_CASE("nearest suggests a close word and nothing far away") {
    CHECK(nearest("claud", {"codex", "claude"}) == "claude");
    CHECK(nearest("cdoex", {"codex", "claude"}) == "codex");
    CHECK(nearest("zzz", {"codex", "claude"}) == "");
}

TEST_CASE("shell_quote leaves plain words alone") {
    CHECK(shell_quote("/usr/bin/dbx-agents") == "/usr/bin/dbx-agents");
    CHECK(shell_quote("a b") == "'a b'");
    CHECK(shell_quote("it's") == "'it'\\''s'");
    CHECK(shell_quote("") == "''");
}
