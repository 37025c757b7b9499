#include "tests/unit/system/sandbox.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/ioctl.h>
#endif

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

RealFileSystem files;

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::size_t count(const Path& folder) {
    std::size_t result = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++result;
    return result;
}

// Both ways to learn it: asked before and tried.
std::string refusal(const Path& path) {
    const std::string asked = in_words(files.check_writable(path));
    const std::string tried = in_words(files.write(path, "new", std::nullopt));
    return asked == tried ? tried : "asked: " + asked + "\ntried: " + tried;
}

} // namespace

TEST_CASE("folders, pipes, sockets and devices are refused without being opened") {
    const Sandbox box;
    std::filesystem::create_directories(box / "folder");
    REQUIRE(::mkfifo((box / "pipe").c_str(), 0600) == 0);
    std::filesystem::create_symlink("/dev/null", box / "null");
    std::filesystem::create_symlink("pipe", box / "link");
    CHECK(has(refusal(box / "folder"), "it is a folder, not a file"));
    CHECK(has(refusal(box / "folder/"), "it is a folder, not a file"));
    CHECK(has(refusal(box / "pipe"), "it is a named pipe, not a file"));
    CHECK(has(refusal(box / "link"), "it is a named pipe, not a file"));
    CHECK(has(refusal(box / "null"), "it is a device, not a file"));
    CHECK(has(refusal("/"), "it is a folder"));
    CHECK(std::filesystem::is_symlink(box / "null"));
}

TEST_CASE("the working directory's own names are refused") {
    CHECK(has(refusal(""), "the path is empty"));
    CHECK(has(refusal("."), "it is a folder"));
    CHECK(has(refusal(Path(std::string("/tmp/a\0b", 8))), "NUL"));
}

TEST_CASE("a loop of links is named as one") {
    const Sandbox box;
    std::filesystem::create_symlink("b", box / "a");
    std::filesystem::create_symlink("a", box / "b");
    CHECK(has(refusal(box / "a"), "its symbolic links lead in a circle"));
    CHECK(has(refusal(box / "a/config.toml"), "its symbolic links lead in a circle"));
}

TEST_CASE("a file where a folder should be is named") {
    const Sandbox box;
    box.put("codex", "x");
    CHECK(has(refusal(box / "codex/config.toml"), (box / "codex").native() + " is a file, not a folder"));
    CHECK(has(refusal(box / "codex/deeper/config.toml"),
              (box / "codex").native() + " is a file, not a folder"));
}

TEST_CASE("a missing folder is named, also behind a link") {
    const Sandbox box;
    std::filesystem::create_symlink("nowhere/config.toml", box / "link");
    const std::string text = in_words(files.write(box / "link", "x", std::nullopt));
    CHECK(has(text, "the folder " + (box / "nowhere").native() + " does not exist"));
    CHECK(count(box.path()) == 1);
}

TEST_CASE("a link into a read-only store is refused, with the place that generates it") {
    const Sandbox box;
    box.put("nix/store/abc-home-manager-files/.codex/config.toml", "generated", 0644);
    std::filesystem::create_symlink(box / "nix/store/abc-home-manager-files/.codex/config.toml",
                                    box / "config.toml");
    const std::string text = refusal(box / "config.toml");
    CHECK(has(text,
              "it is a link into a read-only store (" + (box / "nix/store/abc-home-manager-files").native()));
    CHECK(has(text, "home-manager"));
    CHECK(box.get("config.toml") == "generated");
}

TEST_CASE("a store link that leads out of the store again is followed") {
    const Sandbox box; // home-manager's mkOutOfStoreSymlink
    box.put("dotfiles/config.toml", "mine");
    std::filesystem::create_directories(box / "nix/store/abc");
    std::filesystem::create_symlink(box / "dotfiles/config.toml", box / "nix/store/abc/config.toml");
    std::filesystem::create_symlink(box / "nix/store/abc/config.toml", box / "config.toml");
    CHECK(refusal(box / "config.toml") == ok);
    CHECK(box.get("dotfiles/config.toml") == "new");
}

TEST_CASE("a file that its owner made read-only is not written") {
    const Sandbox box;
    const Path path = box.put("a", "old", 0444);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text = as_ordinary_user([&] { return refusal(path); });
    CHECK(has(text, "it is not writable for you (mode 0444)"));
    CHECK(has(text, "chmod u+w"));
    CHECK(box.get("a") == "old");
}

TEST_CASE("a folder without rights is named with its mode") {
    const Sandbox box;
    std::filesystem::create_directories(box / "codex");
    REQUIRE(::chmod((box / "codex").c_str(), 0555) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text = as_ordinary_user([&] { return refusal(box / "codex/config.toml"); });
    CHECK(has(text, "the folder " + (box / "codex").native() + " is not writable for you (mode 0555)"));
    CHECK(has(text, "chmod u+w " + (box / "codex").native()));
}

TEST_CASE("a folder that can not be entered is named") {
    const Sandbox box;
    box.put("home/codex/config.toml", "old");
    REQUIRE(::chmod((box / "home").c_str(), 0600) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const Path path = box / "home/codex/config.toml";
    const std::string text = as_ordinary_user([&] { return refusal(path); });
    CHECK(has(text, "the folder " + (box / "home").native() + " can not be entered by you (mode 0600)"));
    CHECK(has(as_ordinary_user([&] { return files.status(path) ? "found" : files.status(path).error().why; }),
              "can not be entered"));
}

TEST_CASE("a writable file in a folder that takes no new files is written in place") {
    const Sandbox box;
    const Path path = box.put("codex/config.toml", "the old content", 0644);
    REQUIRE(::chmod((box / "codex").c_str(), 0555) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const auto write = [&](std::string_view bytes) {
        return as_ordinary_user([&] {
            const std::string asked = in_words(files.check_writable(path));
            return asked == ok ? in_words(files.write(path, bytes, 0600)) : asked;
        });
    };
    CHECK(write("new") == ok);
    CHECK(box.get("codex/config.toml") == "new");
    CHECK(box.mode("codex/config.toml") == 0600);
    CHECK(write(std::string(70000, 'x')) == ok);
    CHECK(box.get("codex/config.toml") == std::string(70000, 'x'));
}

TEST_CASE("a folder that may be entered and written but not listed is enough") {
    const Sandbox box;
    const Path path = box.put("codex/config.toml", "old", 0640);
    REQUIRE(::chmod((box / "codex").c_str(), 0300) == 0);
    box.give_to(ordinary_user, ordinary_user);
    CHECK(as_ordinary_user([&] { return refusal(path) + "," + refusal(box / "codex/new"); }) == "ok,ok");
    REQUIRE(::chmod((box / "codex").c_str(), 0700) == 0);
    CHECK(box.get("codex/config.toml") == "new");
    CHECK(box.mode("codex/config.toml") == 0640);
    CHECK(count(box / "codex") == 2);
}

TEST_CASE("somebody else's file that we may write keeps its owner") {
    if (!is_root()) return;
    const Sandbox box;
    const Path path = box.put("a", "old", 0666);
    box.give_to(ordinary_user, ordinary_user);
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
    CHECK(as_ordinary_user([&] { return in_words(files.write(path, "new", std::nullopt)); }) == ok);
    CHECK(box.get("a") == "new");
    CHECK(files.status(path)->owner == 0);
    CHECK(count(box.path()) == 1);

    SUBCASE("but a secret does not go into it when its mode can not be narrowed") {
        const std::string text =
            as_ordinary_user([&] { return in_words(files.write(path, "secret", 0600)); });
        CHECK(has(text, "it belongs to root"));
        CHECK(box.get("a") == "new");
        CHECK(count(box.path()) == 1);
    }
}

TEST_CASE("a file of ours with a group that is not ours keeps the group") {
    if (!is_root()) return;
    const Sandbox box;
    const Path path = box.put("a", "old", 0640);
    box.give_to(ordinary_user, 4321);
    CHECK(as_ordinary_user([&] { return in_words(files.write(path, "new", std::nullopt)); }) == ok);
    CHECK(box.get("a") == "new");
    CHECK(files.status(path)->group == 4321);
}

TEST_CASE("a limit on the size of files leaves the old file as it was") {
    const Sandbox box;
    box.put("a", "old", 0644);
    box.put("linked", "old too", 0644);
    REQUIRE(::link((box / "linked").c_str(), (box / "other").c_str()) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text = as_ordinary_user([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const struct rlimit limit = {8192, 8192};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        std::string all;
        for (const char* name : {"a", "linked", "new"})
            all += in_words(files.write(box / name, std::string(100000, 'x'), 0600)) + "\n";
        return all;
    });
    CHECK(has(text, "a | the limit on the size of files is reached"));
    CHECK(has(text, "linked | the limit on the size of files is reached"));
    CHECK(has(text, "new | the limit on the size of files is reached"));
    CHECK(box.get("a") == "old");
    CHECK(box.get("linked") == "old too");
    CHECK(box.mode("a") == 0644);
    CHECK(box.mode("linked") == 0644);
    CHECK(count(box.path()) == 3);
}

TEST_CASE("a full disk leaves the old file as it was and no junk") {
    const Sandbox box;
    std::filesystem::create_directories(box / "disk");
    const auto text = with_own_mounts([&]() -> std::string {
        if (::mount("none", (box / "disk").c_str(), "tmpfs", 0, "size=64k") != 0) return "no tmpfs";
        if (!files.write(box / "disk/a", "old", 0644)) return "not even a small file";
        if (!files.write(box / "disk/linked", "old too", 0644)) return "not even a second one";
        if (::link((box / "disk/linked").c_str(), (box / "disk/other").c_str()) != 0) return "no link";
        const std::string big(200000, 'x');
        std::string all;
        for (const char* name : {"a", "linked", "new"})
            all += in_words(files.write(box / "disk" / name, big, 0600)) + "\n";
        all += files.read(box / "disk/a", 1000).value_or("?") + "\n";
        all += files.read(box / "disk/linked", 1000).value_or("?") + "\n";
        all += std::to_string(files.status(box / "disk/linked")->mode) + "\n";
        all += std::to_string(count(box / "disk")) + " files";
        return all;
    });
    if (!text) return;
    CHECK(has(*text, "disk/a | the disk is full"));
    CHECK(has(*text, "disk/linked | the disk is full"));
    CHECK(has(*text, "disk/new | the disk is full"));
    CHECK(has(*text, "\nold\nold too\n" + std::to_string(0644) + "\n3 files"));
}

TEST_CASE("a bind-mounted file is written in place") {
    const Sandbox box;
    box.put("outside/config.toml", "old", 0644);
    box.put("home/config.toml", "", 0644);
    const auto text = with_own_mounts([&]() -> std::string {
        if (::mount((box / "outside/config.toml").c_str(), (box / "home/config.toml").c_str(), nullptr,
                    MS_BIND, nullptr) != 0)
            return "no bind mount";
        if (const auto asked = in_words(files.check_writable(box / "home/config.toml")); asked != ok)
            return asked;
        return in_words(files.write(box / "home/config.toml", "new content", 0600)) + ", " +
               std::to_string(count(box / "home")) + " file";
    });
    if (!text) return;
    CHECK(*text == "ok, 1 file");
    CHECK(box.get("outside/config.toml") == "new content");
    CHECK(box.mode("outside/config.toml") == 0600);
}

TEST_CASE("a writable file mounted into a read-only file system is written in place") {
    const Sandbox box; // docker run --read-only -v config.toml:…
    box.put("outside", "old", 0644);
    box.put("home/config.toml", "", 0644);
    const auto text = with_own_mounts([&]() -> std::string {
        const Path home = box / "home";
        if (::mount(home.c_str(), home.c_str(), nullptr, MS_BIND, nullptr) != 0) return "no bind mount";
        if (::mount((box / "outside").c_str(), (home / "config.toml").c_str(), nullptr, MS_BIND, nullptr) !=
            0)
            return "no second one";
        if (::mount(nullptr, home.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
            return "not read-only";
        return refusal(home / "config.toml") + "\n" + refusal(home / "new");
    });
    if (!text) return;
    CHECK(text->starts_with("ok\n"));
    CHECK(has(*text, "its file system is read-only"));
    CHECK(box.get("outside") == "new");
}

#ifdef __linux__
TEST_CASE("an immutable file or folder is named as such") {
    const Sandbox box;
    box.put("codex/config.toml", "old");
    const auto mark = [&](const Path& path, bool on) {
        const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        int flags = 0;
        bool done = ::ioctl(file, FS_IOC_GETFLAGS, &flags) == 0;
        flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        done = done && ::ioctl(file, FS_IOC_SETFLAGS, &flags) == 0;
        ::close(file);
        return done;
    };
    if (!mark(box / "codex/config.toml", true)) {
        MESSAGE("skipped: chattr is not for us here");
        return;
    }
    const std::string file = refusal(box / "codex/config.toml");
    REQUIRE(mark(box / "codex/config.toml", false));
    CHECK(has(file, "it is marked immutable | sudo chattr -i"));
    REQUIRE(mark(box / "codex", true));
    const std::string folder = refusal(box / "codex/new");
    const std::string inside = refusal(box / "codex/config.toml");
    REQUIRE(mark(box / "codex", false));
    CHECK(has(folder, "the folder " + (box / "codex").native() + " is marked immutable"));
    CHECK(inside == ok); // in place
    CHECK(box.get("codex/config.toml") == "new");
}
#endif

TEST_CASE("an error shows a strange name without its control characters") {
    const Sandbox box;
    std::filesystem::create_directories(box / "a\033[31m\xff");
    const std::string text = refusal(box / "a\033[31m\xff");
    CHECK(has(text, "a\\x1b[31m\\xff"));
    CHECK(!has(text, "\033"));
}
