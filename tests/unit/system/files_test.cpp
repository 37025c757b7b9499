#include "tests/unit/system/sandbox.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

RealFileSystem files;

template <class T>
std::string why(const dbx::Result<T>& result) {
    return result ? "ok" : result.error().what + " | " + result.error().why;
}
bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("status tells kinds apart and follows links") {
    const Sandbox box;
    box.put("file", "12345", 0640);
    std::filesystem::create_directories(box / "folder");
    REQUIRE(::mkfifo((box / "pipe").c_str(), 0600) == 0);
    std::filesystem::create_symlink("file", box / "link");
    std::filesystem::create_symlink("nowhere", box / "dangling");
    CHECK(files.status(box / "file")->kind == FileKind::regular);
    CHECK(files.status(box / "link")->size == 5);
    CHECK(files.status(box / "link")->mode == 0640);
    CHECK(files.status(box / "file")->owner == ::geteuid());
    CHECK(files.status(box / "folder")->kind == FileKind::directory);
    CHECK(files.status(box / "pipe")->kind == FileKind::other);
    CHECK(files.status(box / "dangling")->kind == FileKind::missing);
    CHECK(files.status(box / "no/such/folder")->kind == FileKind::missing);
    CHECK(has(why(files.status(box / "file/x")), "is a file, not a folder"));
}

TEST_CASE("resolve follows links in every part of the path") {
    const Sandbox box;
    box.put("real/a/file", "");
    std::filesystem::create_symlink("real", box / "one");
    std::filesystem::create_symlink(box / "one/a", box / "two");
    CHECK(*files.resolve(box / "two/file") == box / "real/a/file");
    CHECK(*files.resolve(box / "two/../a/./file") == box / "real/a/file");
    CHECK(*files.resolve(box / "two/") == box / "real/a");
    CHECK(*files.resolve("/") == "/");
    CHECK(*files.resolve("/../..") == "/");
}

TEST_CASE("resolve follows a link to what does not exist yet") {
    const Sandbox box;
    std::filesystem::create_symlink("later/deep", box / "link");
    CHECK(*files.resolve(box / "link/config.toml") == box / "later/deep/config.toml");
    CHECK(*files.resolve(box / "no/../x") == box / "x");
    std::filesystem::create_symlink("real", box / "dir");
    std::filesystem::create_directories(box / "real");
    CHECK(*files.resolve(box / "missing/../dir/x") == box / "real/x");
}

TEST_CASE("resolve makes a relative path absolute") {
    CHECK(*files.resolve("some/file") ==
          std::filesystem::canonical(std::filesystem::current_path()) / "some/file");
}

TEST_CASE("forty links are followed, an endless number is not") {
    const Sandbox box;
    box.put("link0", "end");
    for (int i = 1; i <= 41; ++i)
        std::filesystem::create_symlink("link" + std::to_string(i - 1), box / ("link" + std::to_string(i)));
    CHECK(*files.resolve(box / "link40") == box / "link0");
    CHECK(has(why(files.resolve(box / "link41")), "lead in a circle"));
    CHECK(has(why(files.status(box / "link41")), "lead in a circle"));
}

TEST_CASE("read gives the whole file and refuses what is none") {
    const Sandbox box;
    const std::string bytes("a\0b\r\n\xff", 6);
    box.put("file", bytes);
    std::filesystem::create_directories(box / "folder");
    REQUIRE(::mkfifo((box / "pipe").c_str(), 0600) == 0);
    std::filesystem::create_symlink("file", box / "link");
    CHECK(*files.read(box / "link", 6) == bytes);
    CHECK(has(why(files.read(box / "file", 5)), "larger than the limit of 5 bytes"));
    CHECK(has(why(files.read(box / "folder", 100)), "it is a folder, not a file"));
    CHECK(has(why(files.read(box / "pipe", 100)), "it is a named pipe, not a file"));
    CHECK(has(why(files.read("/dev/zero", 100)), "it is a device, not a file"));
    CHECK(has(why(files.read(box / "missing", 100)),
              "cannot read " + (box / "missing").native() + " | it does not exist"));
    CHECK(files.read(box / "missing", 100).error().kind == dbx::ErrorKind::file);
}

TEST_CASE("read keeps its limit for files that say they are empty") {
    CHECK(has(why(files.read("/proc/self/mountinfo", 3)), "larger than the limit of 3 bytes"));
}

TEST_CASE("a file without read right says so with its mode") {
    const Sandbox box;
    const Path path = box.put("a", "x", 0200);
    box.give_to(ordinary_user, ordinary_user);
    CHECK(has(as_ordinary_user([&] { return why(files.read(path, 10)); }),
              "it is not readable for you (mode 0200)"));
}

TEST_CASE("set_mode changes the bits of the file behind a link") {
    const Sandbox box;
    box.put("a", "x", 0644);
    std::filesystem::create_symlink("a", box / "link");
    REQUIRE(in_words(files.set_mode(box / "link", 0600)) == ok);
    CHECK(box.mode("a") == 0600);
    CHECK(has(in_words(files.set_mode(box / "missing", 0600)), "it does not exist"));
    std::filesystem::create_symlink("/dev/null", box / "null");
    CHECK(has(in_words(files.set_mode(box / "null", 0600)), "it is a device"));
}

TEST_CASE("set_mode on somebody else's file names the owner") {
    if (!is_root()) return;
    const Sandbox box;
    const Path path = box.put("a", "x", 0666);
    CHECK(has(as_ordinary_user([&] { return in_words(files.set_mode(path, 0600)); }), "it belongs to root"));
}

TEST_CASE("remove takes the link and leaves its target") {
    const Sandbox box;
    box.put("a", "x");
    std::filesystem::create_directories(box / "folder");
    std::filesystem::create_symlink("a", box / "link");
    std::filesystem::create_symlink("folder", box / "folder-link");
    REQUIRE(in_words(files.remove(box / "link")) == ok);
    REQUIRE(in_words(files.remove(box / "folder-link/")) == ok);
    CHECK(box.get("a") == "x");
    CHECK(!std::filesystem::is_symlink(box / "link"));
    CHECK(!std::filesystem::is_symlink(box / "folder-link"));
    CHECK(in_words(files.remove(box / "link")) == ok);
    CHECK(in_words(files.remove(box / "no/such/file")) == ok);
    CHECK(has(in_words(files.remove(box / "folder")), "it is a folder"));
}

TEST_CASE("a file that can not be removed names the folder in the way") {
    const Sandbox box;
    box.put("d/a", "x", 0666);
    REQUIRE(::chmod((box / "d").c_str(), 0555) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text = as_ordinary_user([&] { return in_words(files.remove(box / "d/a")); });
    CHECK(has(text, "the folder " + (box / "d").native() + " is not writable for you (mode 0555)"));
}

TEST_CASE("remove_empty_directory removes an empty folder and nothing else") {
    const Sandbox box;
    std::filesystem::create_directories(box / "empty");
    box.put("full/a", "x");
    box.put("file", "x");
    std::filesystem::create_symlink("empty", box / "link");
    CHECK(*files.remove_empty_directory(box / "full") == false);
    CHECK(*files.remove_empty_directory(box / "file") == false);
    CHECK(*files.remove_empty_directory(box / "link") == false);
    CHECK(*files.remove_empty_directory(box / "missing") == false);
    CHECK(*files.remove_empty_directory(box / "empty/") == true);
    CHECK(!std::filesystem::exists(box / "empty"));
    CHECK(box.get("full/a") == "x");
}

TEST_CASE("make_directories gives its mode to new folders only") {
    const Sandbox box;
    const mode_t before = ::umask(0077);
    REQUIRE(in_words(files.make_directories(box / "a", 0755)) == ok);
    REQUIRE(in_words(files.make_directories(box / "a/b/c", 0700)) == ok);
    REQUIRE(in_words(files.make_directories(box / "a/b/c", 0711)) == ok);
    ::umask(before);
    CHECK(box.mode("a") == 0755);
    CHECK(box.mode("a/b") == 0700);
    CHECK(box.mode("a/b/c") == 0700);
}

TEST_CASE("folders below a setgid folder hand its group on") {
    const Sandbox box;
    REQUIRE(::chmod(box.path().c_str(), 02755) == 0);
    REQUIRE(in_words(files.make_directories(box / "a/b", 0750)) == ok);
    CHECK(box.mode("a/b") == 02750);
}

TEST_CASE("make_directories goes through links and stops at files") {
    const Sandbox box;
    std::filesystem::create_symlink("dotfiles/codex", box / "codex");
    REQUIRE(in_words(files.make_directories(box / "codex/x", 0700)) == ok);
    CHECK(std::filesystem::is_directory(box / "dotfiles/codex/x"));
    CHECK(std::filesystem::is_symlink(box / "codex"));
    box.put("file", "x");
    CHECK(has(in_words(files.make_directories(box / "file", 0700)), "is a file, not a folder"));
    CHECK(has(in_words(files.make_directories(box / "file/x", 0700)), "is a file, not a folder"));
}

TEST_CASE("make_directories without rights names the folder") {
    const Sandbox box;
    std::filesystem::create_directories(box / "home");
    REQUIRE(::chmod((box / "home").c_str(), 0500) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text =
        as_ordinary_user([&] { return in_words(files.make_directories(box / "home/a/b", 0700)); });
    CHECK(has(text, "the folder " + (box / "home").native() + " is not writable for you (mode 0500)"));
}

TEST_CASE("list gives sorted names, hidden ones too") {
    const Sandbox box;
    box.put("b", "");
    box.put("a", "");
    box.put(".c", "");
    box.put("caf\xE9", "");
    std::filesystem::create_symlink("nowhere", box / "link");
    CHECK(*files.list(box.path()) == std::vector<std::string>{".c", "a", "b", "caf\xE9", "link"});
    CHECK(files.list(box / "missing")->empty());
    CHECK(has(why(files.list(box / "a")), "is a file, not a folder"));
}

TEST_CASE("check_writable looks at the nearest folder that exists") {
    const Sandbox box;
    CHECK(in_words(files.check_writable(box / "not/yet/there/config.toml")) == ok);
    REQUIRE(::chmod(box.path().c_str(), 0555) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text =
        as_ordinary_user([&] { return in_words(files.check_writable(box / "not/yet/there/config.toml")); });
    CHECK(has(text, "the folder " + box.path().native() + " is not writable for you (mode 0555)"));
    REQUIRE(::chmod(box.path().c_str(), 0755) == 0);
}

TEST_CASE("check_writable changes nothing") {
    const Sandbox box;
    box.put("a", "x", 0644);
    struct stat before = {};
    struct stat after = {};
    REQUIRE(::stat(box.path().c_str(), &before) == 0);
    CHECK(in_words(files.check_writable(box / "a")) == ok);
    CHECK(in_words(files.check_writable(box / "b")) == ok);
    REQUIRE(::stat(box.path().c_str(), &after) == 0);
    CHECK(before.st_mtim.tv_sec == after.st_mtim.tv_sec);
    CHECK(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    CHECK(files.list(box.path())->size() == 1);
}
