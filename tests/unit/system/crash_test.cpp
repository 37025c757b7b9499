#include "tests/unit/system/sandbox.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

RealFileSystem files;

// Writes `first` and `second` in turn to `path` in a child, and kills it with SIGKILL after `writes` writes,
// wherever it then is.
void write_until_killed(const Path& path, std::string_view first, std::string_view second, int writes) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (bool turn = false;; turn = !turn) {
            if (!files.write(path, turn ? first : second, std::nullopt)) ::_exit(1);
            if (::write(ends[1], ".", 1) != 1) ::_exit(2);
        }
    }
    char dot = 0;
    for (int i = 0; i < writes; ++i) REQUIRE(::read(ends[0], &dot, 1) == 1);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    ::close(ends[0]);
    ::close(ends[1]);
}

} // namespace

TEST_CASE("a writer that is killed leaves the old or the new file and at most one temporary one") {
    const Sandbox box;
    const std::string first(300000, 'a');
    const std::string second(100, 'b');
    box.put("config.toml", first, 0640);
    bool seen_junk = false;
    for (int round = 0; round < 60; ++round) {
        write_until_killed(box / "config.toml", first, second, 1 + round % 3);
        const std::string content = box.get("config.toml");
        REQUIRE((content == first || content == second));
        REQUIRE(box.mode("config.toml") == 0640);
        const auto names = files.list(box.path());
        REQUIRE(names);
        REQUIRE(names->size() <= 2);
        seen_junk = seen_junk || names->size() == 2;
    }
    INFO("a temporary file was seen: ", seen_junk);
    REQUIRE(in_words(files.write(box / "config.toml", "end", std::nullopt)) == ok);
    CHECK(*files.list(box.path()) == std::vector<std::string>{"config.toml"});
}

TEST_CASE("writers at the same time leave one of their files and no junk") {
    const Sandbox box;
    std::array<pid_t, 4> children{};
    for (std::size_t i = 0; i < children.size(); ++i) {
        children[i] = ::fork();
        REQUIRE(children[i] >= 0);
        if (children[i] != 0) continue;
        const std::string content(50000, static_cast<char>('a' + i));
        for (int k = 0; k < 30; ++k)
            if (!files.write(box / "shared", content, std::nullopt)) ::_exit(1);
        ::_exit(0);
    }
    for (const pid_t child : children) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    const std::string content = box.get("shared");
    CHECK(content.size() == 50000);
    CHECK(content.find_first_not_of(content.front()) == std::string::npos);
    CHECK(*files.list(box.path()) == std::vector<std::string>{"shared"});
}
