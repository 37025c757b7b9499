#include "core/system/environment.hpp"
#include "tests/unit/system/sandbox.hpp"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dbx::system;
using namespace dbx::system::tests;

TEST_CASE("an empty variable is not an unset one") {
    ::setenv("DBX_TEST_EMPTY", "", 1);
    ::unsetenv("DBX_TEST_UNSET");
    const RealEnvironment environment;
    CHECK(environment.get("DBX_TEST_EMPTY") == "");
    CHECK(!environment.get("DBX_TEST_UNSET"));
    CHECK(environment.all().at("DBX_TEST_EMPTY").empty());
    ::setenv("DBX_TEST_EMPTY", "a=b=c", 1);
    CHECK(environment.all().at("DBX_TEST_EMPTY") == "a=b=c");
    ::unsetenv("DBX_TEST_EMPTY");
}

TEST_CASE("home needs HOME, and HOME needs to be absolute") {
    FakeEnvironment environment;
    REQUIRE(!home_directory(environment));
    CHECK(home_directory(environment).error().why == "HOME is not set");
    CHECK(home_directory(environment).error().kind == dbx::ErrorKind::file);
    environment.variables["HOME"] = "";
    CHECK(!home_directory(environment));
    environment.variables["HOME"] = "me";
    CHECK(home_directory(environment).error().why == "HOME is not an absolute path: me");
    environment.variables["HOME"] = "/home/me//";
    CHECK(*home_directory(environment) == "/home/me");
    environment.variables["HOME"] = "/";
    CHECK(*home_directory(environment) == "/");
}

TEST_CASE("the XDG variables count when they are absolute") {
    FakeEnvironment environment;
    environment.variables["HOME"] = "/home/me";
    CHECK(*config_directory(environment) == "/home/me/.config/dbx-agents");
    CHECK(*state_directory(environment) == "/home/me/.local/state/dbx-agents");
    environment.variables["XDG_CONFIG_HOME"] = "/c";
    environment.variables["XDG_STATE_HOME"] = "relative";
    CHECK(*config_directory(environment) == "/c/dbx-agents");
    CHECK(*state_directory(environment) == "/home/me/.local/state/dbx-agents");
    environment.variables["XDG_STATE_HOME"] = "";
    CHECK(*state_directory(environment) == "/home/me/.local/state/dbx-agents");
    environment.variables.erase("HOME");
    CHECK(*config_directory(environment) == "/c/dbx-agents");
    CHECK(!state_directory(environment));
}

TEST_CASE("a path below home is shown with a tilde") {
    FakeEnvironment environment;
    environment.variables["HOME"] = "/home/me/";
    CHECK(display_path(environment, "/home/me/.codex/config.toml") == "~/.codex/config.toml");
    CHECK(display_path(environment, "/home/me") == "~");
    CHECK(display_path(environment, "/home/meow/x") == "/home/meow/x");
    CHECK(display_path(environment, "/etc/x\n\033[2J") == "/etc/x\\x0a\\x1b[2J");
    CHECK(display_path(environment, "/home/me/caf\xC3\xA9") == "~/caf\xC3\xA9");
    environment.variables["HOME"] = "/";
    CHECK(display_path(environment, "/etc") == "/etc");
    environment.variables.clear();
    CHECK(display_path(environment, "/etc") == "/etc");
}

TEST_CASE("a program is found where PATH says first") {
    const Sandbox box;
    RealFileSystem files;
    FakeEnvironment environment;
    environment.directory = box.path();
    box.put("one/codex", "", 0644); // not executable
    box.put("two/codex", "", 0755);
    box.put("three/codex", "", 0755);
    std::filesystem::create_directories(box / "zero/codex");
    box.put("a-file", "");
    const auto folder = [&](const char* name) { return (box / name).native(); };
    environment.variables["PATH"] = folder("a-file") + ":" + folder("missing") + ":" + folder("zero") + ":" +
                                    folder("one") + ":" + folder("two") + ":" + folder("three");
    CHECK(find_program(environment, files, "codex") == box / "two/codex");
    CHECK(!find_program(environment, files, "claude"));
    CHECK(!find_program(environment, files, ""));
    CHECK(!find_program(environment, files, "two/codex"));
    environment.variables["PATH"] = "three";
    CHECK(find_program(environment, files, "codex") == box / "three/codex");
    environment.variables.erase("PATH");
    CHECK(!find_program(environment, files, "codex"));
}

TEST_CASE("times are printed in UTC") {
    CHECK(format_utc(WallTime()) == "1970-01-01T00:00:00Z");
    CHECK(format_utc(WallTime(std::chrono::seconds(1795285800))) == "2026-11-21T18:30:00Z");
    CHECK(format_utc(WallTime(std::chrono::milliseconds(-1))) == "1969-12-31T23:59:59Z");
}

TEST_CASE("the program is named as PATH names it when that is this very file") {
    const Sandbox box;
    const Path real = std::filesystem::read_symlink("/proc/self/exe");
    const RealEnvironment environment;
    const std::string before = environment.get("PATH").value_or("");
    std::filesystem::create_directories(box / "bin");
    std::filesystem::create_directories(box / "other");
    std::filesystem::create_symlink(real, box / "bin" / real.filename());
    box.put("other" / real.filename(), "another program", 0755);
    ::setenv("PATH", ("relative:" + (box / "other").native() + ":" + (box / "bin").native()).c_str(), 1);
    CHECK(environment.program() == box / "bin" / real.filename());
    ::setenv("PATH", (box / "other").c_str(), 1);
    CHECK(environment.program() == real);
    ::unsetenv("PATH");
    CHECK(environment.program() == real);
    ::setenv("PATH", before.c_str(), 1);
}

namespace {

volatile sig_atomic_t heard = 0;
void hear(int) {
    heard = 1;
}

} // namespace

TEST_CASE("signals only set a flag while a guard lives, also with guards inside guards") {
    const SignalHandler term(SIGTERM, SIG_DFL);
    const SignalHandler interrupt(SIGINT, SIG_DFL);
    const SignalHandler hangup(SIGHUP, SIG_DFL);
    {
        const InterruptGuard outer;
        CHECK(!InterruptGuard::interrupted());
        {
            const InterruptGuard inner;
            REQUIRE(::raise(SIGTERM) == 0);
            CHECK(InterruptGuard::interrupted());
        }
        CHECK(InterruptGuard::interrupted());
        REQUIRE(::raise(SIGHUP) == 0);
        REQUIRE(::raise(SIGINT) == 0);
    }
    CHECK((SignalHandler::of(SIGTERM) == SIG_DFL));
    const InterruptGuard later;
    CHECK(!InterruptGuard::interrupted());
}

TEST_CASE("a signal that somebody waits for himself stays his") {
    const SignalHandler term(SIGTERM, hear);
    {
        const InterruptGuard guard;
        REQUIRE(::raise(SIGTERM) == 0);
        CHECK(heard == 1);
        CHECK(!InterruptGuard::interrupted());
    }
    CHECK((SignalHandler::of(SIGTERM) == hear));
}

TEST_CASE("a signal that nohup ignores stays ignored") {
    const auto before = ::signal(SIGHUP, SIG_IGN);
    {
        const InterruptGuard guard;
        REQUIRE(::raise(SIGHUP) == 0);
        CHECK(!InterruptGuard::interrupted());
    }
    ::signal(SIGHUP, before);
}
