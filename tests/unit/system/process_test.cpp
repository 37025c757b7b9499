#include "core/system/process.hpp"
#include "tests/unit/system/sandbox.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

using namespace dbx;
using namespace dbx::system;
using namespace std::chrono_literals;

namespace {

ProcessRequest shell(std::string script, std::chrono::milliseconds timeout = 20s) {
    ProcessRequest request;
    request.program = "/bin/sh";
    request.arguments = {"-c", std::move(script)};
    request.environment = {{"PATH", "/usr/bin:/bin"}};
    request.timeout = timeout;
    return request;
}

Result<ProcessResult> run(const ProcessRequest& request) {
    return RealProcess().run(request);
}

// True when no child of ours is left, alive or dead.
bool no_children() {
    return ::waitpid(-1, nullptr, WNOHANG) == -1;
}

} // namespace

TEST_CASE("a child's output, errors and exit code come back") {
    const auto result = run(shell("echo out; echo err >&2; exit 3"));
    REQUIRE(result);
    CHECK(result->out == "out\n");
    CHECK(result->err == "err\n");
    CHECK(result->exit_code == 3);
    CHECK_FALSE(result->truncated);
    CHECK(no_children());
}

TEST_CASE("arguments reach the child as they are, without a shell") {
    ProcessRequest request;
    request.program = "/usr/bin/printf";
    request.arguments = {"[%s]", "a b", "$(id)", "", "'\"\\;*"};
    const auto result = run(request);
    REQUIRE(result);
    CHECK(result->out == "[a b][$(id)][]['\"\\;*]");
}

TEST_CASE("the child sees the given environment only, and no standard input") {
    auto request = shell("/usr/bin/env; cat");
    request.environment = {{"ONLY", "this one"}, {"PATH", "/usr/bin:/bin"}};
    const auto result = run(request);
    REQUIRE(result);
    CHECK(result->out.find("ONLY=this one\n") != std::string::npos);
    CHECK(result->out.find("HOME=") == std::string::npos);
}

TEST_CASE("a child that hangs is killed together with its own children") {
    const auto start = std::chrono::steady_clock::now();
    const auto result = run(shell("trap '' TERM; sleep 60 & echo $!; while :; do sleep 60; done", 150ms));
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::timeout);
    CHECK(result.error().what == "sh did not answer");
    CHECK(result.error().why == "it was ended after 0.2 seconds");
    CHECK(std::chrono::steady_clock::now() - start < 10s);
    CHECK(no_children());
}

TEST_CASE("a background process of the child does not keep us waiting") {
    const auto start = std::chrono::steady_clock::now();
    const auto result = run(shell("sleep 5 & echo done"));
    REQUIRE(result);
    CHECK(result->out == "done\n");
    CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("endless output is cut at the limit and ends with the timeout") {
    auto request = shell("head -c 300000 /dev/zero; echo e >&2");
    request.output_limit_bytes = 1000;
    const auto result = run(request);
    REQUIRE(result);
    CHECK(result->out.size() == 1000);
    CHECK(result->err == "e\n");
    CHECK(result->truncated);
    const auto endless = run(shell("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", 200ms));
    REQUIRE_FALSE(endless);
    CHECK(endless.error().kind == ErrorKind::timeout);
}

TEST_CASE("a program that cannot be started is an error with the reason") {
    ProcessRequest request;
    for (const auto* program : {"/nowhere/databricks", "/etc/passwd", "/", "relative", ""}) {
        CAPTURE(program);
        request.program = program;
        const auto result = run(request);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::failed);
        CHECK_FALSE(result.error().why.empty());
    }
    CHECK(no_children());
}

TEST_CASE("a child ended by a signal has 128 + signal, and closed streams do not confuse the wait") {
    CHECK(run(shell("kill -9 $$"))->exit_code == 137);
    CHECK(run(shell("exec >&- 2>&-; sleep 0.1; exit 7"))->exit_code == 7);
}

TEST_CASE("an interrupt ends the child") {
    const tests::SignalHandler handler(SIGINT, SIG_DFL);
    // The child sends the signal to us, its parent.
    const auto result = run(shell("kill -INT $PPID; sleep 60"));
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::interrupted);
    CHECK(no_children());
}

TEST_CASE("an inherited ignored SIGCHLD does not lose the exit code") {
    ::signal(SIGCHLD, SIG_IGN);
    const auto result = run(shell("exit 5"));
    ::signal(SIGCHLD, SIG_DFL);
    REQUIRE(result);
    CHECK(result->exit_code == 5);
}
