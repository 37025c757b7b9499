#include "tests/unit/system/sandbox.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string words(const dbx::Result<Lock>& lock) {
    return lock ? "ok" : lock.error().what + " | " + lock.error().why + " | " + lock.error().fix;
}

// A process that holds the lock until it is killed.
class Holder {
  public:
    explicit Holder(const Path& path) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            const auto lock = Lock::acquire(path, 0);
            [[maybe_unused]] const auto said = ::write(ends[1], lock ? "y" : "n", 1);
            while (true) ::pause();
        }
        char answer = 0;
        REQUIRE(::read(ends[0], &answer, 1) == 1);
        REQUIRE(answer == 'y');
        ::close(ends[0]);
        ::close(ends[1]);
    }
    ~Holder() { stop(); }
    void stop() {
        if (pid <= 0) return;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = 0;
    }
    pid_t pid = 0;
};

} // namespace

TEST_CASE("a lock is taken, kept and given back") {
    const Sandbox box;
    {
        auto lock = Lock::acquire(box / "lock", 0);
        REQUIRE(words(lock) == "ok");
        CHECK(box.get("lock") == std::to_string(::getpid()) + "\n");
        CHECK(box.mode("lock") == 0600);
        CHECK(!Lock::acquire(box / "lock", 0));
        Lock moved = std::move(*lock);
        CHECK(!Lock::acquire(box / "lock", 0));
    }
    CHECK(words(Lock::acquire(box / "lock", 0)) == "ok");
    CHECK(box.get("lock").empty());
}

TEST_CASE("the error about a held lock names the process") {
    const Sandbox box;
    const Holder holder(box / "lock");
    const auto lock = Lock::acquire(box / "lock", 30);
    REQUIRE(!lock);
    CHECK(lock.error().kind == dbx::ErrorKind::timeout);
    CHECK(has(words(lock), "process " + std::to_string(holder.pid) + " holds it"));
}

TEST_CASE("the lock of a process that was killed is free") {
    const Sandbox box;
    Holder holder(box / "lock");
    holder.stop();
    CHECK(words(Lock::acquire(box / "lock", 0)) == "ok");
}

TEST_CASE("nonsense in the lock file does no harm") {
    const Sandbox box;
    for (const char* text : {"", "abc", "-5", "99999999999999999999999999", "\n\n"}) {
        box.put("lock", text, 0600);
        CHECK(words(Lock::acquire(box / "lock", 0)) == "ok");
    }
}

TEST_CASE("a lock whose file was removed is not mistaken for the new one") {
    const Sandbox box;
    const auto first = Lock::acquire(box / "lock", 0);
    REQUIRE(first);
    std::filesystem::remove(box / "lock");
    const auto second = Lock::acquire(box / "lock", 0);
    CHECK(words(second) == "ok");
    CHECK(!Lock::acquire(box / "lock", 0));
}

TEST_CASE("who waits for a lock whose file is removed meanwhile waits for the new file") {
    const Sandbox box;
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        char go = 0;
        if (::read(ends[0], &go, 1) != 1) ::_exit(2);
        ::_exit(Lock::acquire(box / "lock", 300) ? 1 : 0);
    }
    auto first = Lock::acquire(box / "lock", 0);
    REQUIRE(first);
    REQUIRE(::write(ends[1], "g", 1) == 1);
    const auto waits = [&] {
        std::error_code error;
        for (const auto& entry :
             std::filesystem::directory_iterator("/proc/" + std::to_string(child) + "/fd", error))
            if (std::filesystem::read_symlink(entry, error) == box / "lock") return true;
        return false;
    };
    for (int i = 0; i < 100000 && !waits(); ++i) ::sched_yield();
    std::filesystem::remove(box / "lock");
    const auto second = Lock::acquire(box / "lock", 0);
    REQUIRE(second);
    { const Lock released = std::move(*first); }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    ::close(ends[0]);
    ::close(ends[1]);
    CHECK(status == 0);
}

TEST_CASE("a link, a pipe or a folder in the lock's place is refused") {
    const Sandbox box;
    box.put("victim", "precious");
    std::filesystem::create_symlink("victim", box / "link");
    REQUIRE(::mkfifo((box / "pipe").c_str(), 0600) == 0);
    std::filesystem::create_directories(box / "folder");
    CHECK(has(words(Lock::acquire(box / "link", 0)), "it is a symbolic link"));
    CHECK(has(words(Lock::acquire(box / "pipe", 0)), "it is a named pipe, not a file"));
    CHECK(has(words(Lock::acquire(box / "folder", 0)), "it is a folder"));
    CHECK(has(words(Lock::acquire(box / "no/lock", 0)),
              "the folder " + (box / "no").native() + " does not exist"));
    CHECK(box.get("victim") == "precious");
}

TEST_CASE("an interrupt ends the wait for a lock") {
    const Sandbox box;
    const Holder holder(box / "lock");
    const SignalHandler term(SIGTERM, SIG_DFL);
    const InterruptGuard guard;
    REQUIRE(::raise(SIGTERM) == 0);
    const auto lock = Lock::acquire(box / "lock", 60000);
    REQUIRE(!lock);
    CHECK(lock.error().kind == dbx::ErrorKind::interrupted);
}

TEST_CASE("a lock is not passed on to programs that we start") {
    const Sandbox box;
    const auto lock = Lock::acquire(box / "lock", 0);
    REQUIRE(lock);
    const std::string command =
        "for f in /proc/self/fd/*; do readlink $f; done | grep -q '" + box.path().native() + "'";
    CHECK(std::system(command.c_str()) != 0); // NOLINT: a shell is what it is about
}
