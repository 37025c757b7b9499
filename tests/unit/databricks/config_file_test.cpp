#include "core/databricks/config_file.hpp"
#include "tests/unit/databricks/fakes.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;

namespace {

ConfigFile parse(std::string_view text) {
    auto file = parse_config_file(text, "~/.databrickscfg");
    REQUIRE(file);
    return *file;
}

std::string value(const ConfigFile& file, std::string_view profile, std::string_view key) {
    const auto* found = file.find(profile);
    REQUIRE(found != nullptr);
    const auto* text = found->find(key);
    return text == nullptr ? "(none)" : *text;
}

} // namespace

TEST_CASE("profiles, settings, comments and spacing of a profile file") {
    const auto file =
        parse("\xEF\xBB\xBF; a comment\r\n# another\r\n[__settings__]\r\ndefault_profile = dev # mine\r\n\r\n"
              "[DEFAULT] # the old one\r\nhost = https://a.com\r\n\r\n[ dev ]\r\n  HOST=https://b.com/#x\r\n"
              "token = abc#def   # inline\r\nempty =\r\nonly_comment = # nothing\r\n");
    CHECK(file.default_profile == "dev");
    CHECK(file.names() == std::vector<std::string>{"DEFAULT", "dev"});
    CHECK(file.find("DEFAULT")->line == 6);
    CHECK(value(file, "DEFAULT", "host") == "https://a.com");
    CHECK(value(file, "dev", "host") == "https://b.com/#x");
    CHECK(value(file, "dev", "token") == "abc#def");
    CHECK(value(file, "dev", "empty") == "(none)");
    CHECK(value(file, "dev", "only_comment") == "(none)");
    CHECK(file.find("dev")->entries[1].line == 11);
    CHECK(file.find("Dev") == nullptr);
}

TEST_CASE("values keep equals signs, semicolons and lone quotes; quotes around a whole value go") {
    const auto file = parse("[p]\na = x=y==\nb = 'quoted # text' # c\nc = \"two words\"\nd = it's\ne : "
                            "colon\nf = a;b ;c\ng = \"a\" b\n");
    CHECK(value(file, "p", "a") == "x=y==");
    CHECK(value(file, "p", "b") == "quoted # text");
    CHECK(value(file, "p", "c") == "two words");
    CHECK(value(file, "p", "d") == "it's");
    CHECK(value(file, "p", "e") == "colon");
    CHECK(value(file, "p", "f") == "a;b ;c");
    CHECK(value(file, "p", "g") == "\"a\" b");
}

TEST_CASE("keys before any section belong to DEFAULT, and repeated sections are one") {
    const auto file = parse("host = https://a.com\n[x]\na=1\n[DEFAULT]\ntoken = t\n[x]\nb=2\n");
    CHECK(value(file, "DEFAULT", "host") == "https://a.com");
    CHECK(value(file, "DEFAULT", "token") == "t");
    CHECK(value(file, "x", "a") == "1");
    CHECK(value(file, "x", "b") == "2");
    CHECK(file.find("x")->problem.empty());
    CHECK(file.find("DEFAULT")->line == 1);
}

TEST_CASE("one key twice with different values is a problem of that profile only") {
    const auto file = parse("[x]\nhost=a\nhost=b\n[y]\nhost=c\nhost=c\n");
    CHECK(file.find("x")->problem == "it has 'host' twice with different values, in line 2 and in line 3");
    CHECK(file.find("y")->problem.empty());
}

TEST_CASE("a file that does not parse is a credential error with file and line, without its text") {
    for (const auto* text : {"[a]\nhost = x\nsecretword\n", "[a]\n\n[b\n", "[a]\n\n= v\n", "[a]\n\n[]\n",
                             "[a]\n\n[b] secretword\n"}) {
        CAPTURE(text);
        const auto file = parse_config_file(text, "~/.databrickscfg");
        REQUIRE_FALSE(file);
        CHECK(file.error().kind == ErrorKind::credential);
        CHECK(file.error().what.find("~/.databrickscfg") != std::string::npos);
        CHECK(file.error().why.starts_with("line 3: "));
        CHECK((file.error().what + file.error().why + file.error().fix).find("secretword") ==
              std::string::npos);
    }
    const std::string_view utf16("\xFF\xFE[\0a\0]\0", 8);
    CHECK_FALSE(parse_config_file(utf16, "f"));
    CHECK(parse("").profiles.empty());
    CHECK(parse("\n\n# only a comment").profiles.empty());
}

TEST_CASE("the file is found through DATABRICKS_CONFIG_FILE, relative and ~ included") {
    test::MapEnvironment environment;
    CHECK(config_file_path(environment, "/home/me") == "/home/me/.databrickscfg");
    environment.variables["DATABRICKS_CONFIG_FILE"] = "~/x/cfg";
    CHECK(config_file_path(environment, "/home/me") == "/home/me/x/cfg");
    environment.variables["DATABRICKS_CONFIG_FILE"] = "cfg";
    CHECK(config_file_path(environment, "/home/me") == "/work-folder/cfg");
    environment.variables["DATABRICKS_CONFIG_FILE"] = "";
    CHECK(config_file_path(environment, "/home/me") == "/home/me/.databrickscfg");
}

TEST_CASE("a missing file is empty, an unreadable one is a credential error") {
    test::MapEnvironment environment;
    test::MemoryFiles files;
    CHECK(read_config_file(environment, files, "/home/me")->profiles.empty());
    const auto missing = read_config_file(environment, files, "/home/me", true);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().what == "cannot read ~/.databrickscfg");
    files.unreadable["/home/me/.databrickscfg"] = "permission denied";
    const auto denied = read_config_file(environment, files, "/home/me");
    REQUIRE_FALSE(denied);
    CHECK(denied.error().kind == ErrorKind::credential);
    CHECK(denied.error().why == "permission denied");
}
