#include "core/system/console.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>

using namespace dbx::system;

namespace {

// Runs `work` in a child process whose standard streams it may bend; its exit code comes back.
int in_child(const std::function<int()>& work) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::signal(SIGPIPE, SIG_IGN);
        ::_exit(work());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

bool redirect(int descriptor, const char* path) {
    const int file = ::open(path, O_RDWR);
    return file >= 0 && ::dup2(file, descriptor) == descriptor;
}

// Standard input is a pipe with these bytes.
bool feed(std::string_view bytes) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return false;
    const bool fed = ::write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    ::close(ends[1]);
    return fed && ::dup2(ends[0], 0) == 0;
}

} // namespace

TEST_CASE("a full disk behind stdout is noticed") {
    CHECK(in_child([] {
              RealConsole console;
              const bool before = console.ok();
              if (!redirect(1, "/dev/full")) return 2;
              console.out("result\n");
              return before && !console.ok() ? 0 : 1;
          }) == 0);
}

TEST_CASE("trouble on stderr does not spoil the result") {
    CHECK(in_child([] {
              RealConsole console;
              if (!redirect(2, "/dev/full")) return 2;
              console.err("progress\n");
              return console.ok() ? 0 : 1;
          }) == 0);
}

TEST_CASE("a closed pipe is no error") {
    CHECK(in_child([] {
              std::array<int, 2> ends{};
              if (::pipe(ends.data()) != 0) return 2;
              ::close(ends[0]);
              ::dup2(ends[1], 1);
              RealConsole console;
              console.out(std::string(1000000, 'x'));
              return console.ok() ? 0 : 1;
          }) == 0);
}

TEST_CASE("more than a pipe holds is written whole") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        ::dup2(ends[1], 1);
        ::fcntl(1, F_SETFL, O_NONBLOCK); // as another program may have left a terminal
        RealConsole console;
        console.out(std::string(1000000, 'x'));
        ::_exit(console.ok() ? 0 : 1);
    }
    ::close(ends[1]);
    std::size_t total = 0;
    std::array<char, 65536> buffer{};
    for (ssize_t count; (count = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
        total += static_cast<std::size_t>(count);
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(total == 1000000);
}

TEST_CASE("a closed stdout gets no other file's number and counts as not written") {
    CHECK(in_child([] {
              ::close(0);
              ::close(1);
              ::close(2);
              open_standard_streams();
              const int next = ::open("/dev/null", O_RDONLY);
              if (next <= 2) return 2;
              RealConsole console;
              console.err("warning\n");
              if (!console.ok()) return 3;
              console.out("result\n");
              return console.ok() ? 1 : 0;
          }) == 0);
}

TEST_CASE("lines are read one by one, with any line end, up to the last one without") {
    CHECK(in_child([] {
              if (!feed("one\ntwo\r\n\nlast")) return 2;
              RealConsole console;
              if (console.read_line() != "one") return 3;
              if (console.read_line() != "two") return 4;
              if (console.read_line() != "") return 5;
              if (console.read_line() != "last") return 6;
              if (console.read_line()) return 7;
              return 0;
          }) == 0);
    CHECK(in_child([] {
              if (!feed("")) return 2;
              RealConsole console;
              return console.read_line() ? 1 : 0;
          }) == 0);
}

TEST_CASE("an endless line ends somewhere") {
    CHECK(in_child([] {
              if (!redirect(0, "/dev/zero")) return 2;
              RealConsole console;
              const auto line = console.read_line();
              return line && line->size() < (1U << 21U) ? 0 : 1;
          }) == 0);
}

TEST_CASE("a pipe is no terminal and 80 columns wide") {
    CHECK(in_child([] {
              if (!feed("") || !redirect(1, "/dev/null") || !redirect(2, "/dev/null")) return 2;
              const RealConsole console;
              return !console.in_is_terminal() && !console.out_is_terminal() && !console.err_is_terminal() &&
                             console.width() == 80
                         ? 0
                         : 1;
          }) == 0);
}
