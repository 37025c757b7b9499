#include "core/proxy/service_unit.hpp"

#include <doctest/doctest.h>

using namespace dbx::proxy;

namespace {

ServiceUnit small() {
    ServiceUnit unit;
    unit.command = {"/opt/50%/dbx-agents", "proxy", "--config", "/a b/$x"};
    unit.environment = {{"PATH", "/bin:/a b"}};
    unit.environment_file = "/home/a b/proxy.env";
    unit.writable = {"/state"};
    unit.writable_if_there = {"/home/a b/.azure"};
    return unit;
}

bool has(const std::string& text, const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
}

} // namespace

TEST_CASE("words of a unit are quoted where systemd would split or expand them") {
    CHECK(unit_quoted("plain", UnitWord::command) == "plain");
    CHECK(unit_quoted("", UnitWord::command) == "\"\"");
    CHECK(unit_quoted("a b", UnitWord::path) == "\"a b\"");
    CHECK(unit_quoted("100%", UnitWord::path) == "100%%");
    CHECK(unit_quoted("$HOME", UnitWord::command) == "$$HOME");
    CHECK(unit_quoted("$HOME", UnitWord::assignment) == "$HOME");
    CHECK(unit_quoted("a\"b\\c", UnitWord::assignment) == "\"a\\\"b\\\\c\"");

    const auto text = unit_text(small());
    REQUIRE(text);
    CHECK(has(*text, "ExecStart=/opt/50%%/dbx-agents proxy --config \"/a b/$$x\""));
    CHECK(has(*text, "Environment=\"PATH=/bin:/a b\""));
    CHECK(has(*text, "EnvironmentFile=-/home/a b/proxy.env"));
    CHECK(has(*text, "ReadWritePaths=/state"));
    CHECK(has(*text, "ReadWritePaths=\"-/home/a b/.azure\""));
    CHECK(has(*text, "TimeoutStopSec=40"));
}

TEST_CASE("without user namespaces what needs them is left out, and the rest stays") {
    auto unit = small();
    unit.own_view = false;
    const auto text = unit_text(unit);
    REQUIRE(text);
    CHECK(text->find("ProtectSystem") == std::string::npos);
    CHECK(text->find("PrivateTmp") == std::string::npos);
    CHECK(text->find("ReadWritePaths") == std::string::npos);
    CHECK(has(*text, "NoNewPrivileges=yes"));
}

TEST_CASE("what lies in the temporary folders is seen by the service") {
    CHECK(has(*unit_text(small()), "PrivateTmp=yes"));
    for (const char* path : {"/tmp/clone/dbx-agents", "/var/tmp/dbx-agents"}) {
        auto unit = small();
        unit.command.front() = path;
        const auto text = unit_text(unit);
        REQUIRE(text);
        CHECK(text->find("PrivateTmp") == std::string::npos);
        CHECK(has(*text, "ReadWritePaths=-/tmp -/var/tmp"));
    }
}

TEST_CASE("what no unit can hold is refused") {
    for (const char* bad : {"/a\nExecStartPre=/bin/evil", "/a\x01", "/\xff"}) {
        auto unit = small();
        unit.writable = {bad};
        CHECK_FALSE(unit_text(unit));
        unit = small();
        unit.command.push_back(bad);
        CHECK_FALSE(unit_text(unit));
        unit = small();
        unit.environment["X"] = bad;
        CHECK_FALSE(unit_text(unit));
    }
    auto unit = small();
    unit.command.front() = "/a\"b/dbx-agents";
    CHECK_FALSE(unit_text(unit));
}
