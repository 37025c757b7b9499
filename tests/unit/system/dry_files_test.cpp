#include "core/system/dry_files.hpp"
#include "tests/unit/system/sandbox.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

RealFileSystem real;

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a dry write is seen by later reads and not on the disk") {
    const Sandbox box;
    box.put("a", "old", 0640);
    DryFileSystem dry(real);
    REQUIRE(in_words(dry.write(box / "a", "newer", std::nullopt)) == ok);
    REQUIRE(in_words(dry.write(box / "b", "fresh", std::nullopt)) == ok);
    CHECK(*dry.read(box / "a", 100) == "newer");
    CHECK(dry.status(box / "a")->mode == 0640);
    CHECK(dry.status(box / "a")->size == 5);
    CHECK(dry.status(box / "b")->mode == 0600);
    CHECK(dry.status(box / "b")->kind == FileKind::regular);
    CHECK(*dry.list(box.path()) == std::vector<std::string>{"a", "b"});
    CHECK(!dry.read(box / "a", 4));
    CHECK(box.get("a") == "old");
    CHECK(*real.list(box.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("a dry write through a link is seen through every way to the file") {
    const Sandbox box;
    box.put("dotfiles/config", "old");
    std::filesystem::create_symlink("dotfiles", box / "folder");
    std::filesystem::create_symlink("dotfiles/config", box / "link");
    DryFileSystem dry(real);
    REQUIRE(in_words(dry.write(box / "link", "new", std::nullopt)) == ok);
    CHECK(*dry.read(box / "folder/config", 10) == "new");
    CHECK(*dry.read(box / "dotfiles/config", 10) == "new");
    CHECK(*dry.list(box / "folder") == std::vector<std::string>{"config"});
}

TEST_CASE("a dry mode change keeps the bytes below") {
    const Sandbox box;
    box.put("a", "bytes", 0644);
    DryFileSystem dry(real);
    REQUIRE(in_words(dry.set_mode(box / "a", 0600)) == ok);
    CHECK(dry.status(box / "a")->mode == 0600);
    CHECK(*dry.read(box / "a", 100) == "bytes");
    CHECK(box.mode("a") == 0644);
    REQUIRE(in_words(dry.write(box / "a", "next", std::nullopt)) == ok);
    CHECK(dry.status(box / "a")->mode == 0600);
}

TEST_CASE("a dry removal takes a file, and a link without its target") {
    const Sandbox box;
    box.put("a", "x");
    std::filesystem::create_symlink("a", box / "link");
    DryFileSystem dry(real);
    REQUIRE(in_words(dry.remove(box / "link")) == ok);
    CHECK(dry.status(box / "link")->kind == FileKind::missing);
    CHECK(*dry.read(box / "a", 10) == "x");
    CHECK(*dry.list(box.path()) == std::vector<std::string>{"a"});
    REQUIRE(in_words(dry.write(box / "link", "a file now", std::nullopt)) == ok);
    CHECK(*dry.read(box / "a", 10) == "x");
    REQUIRE(in_words(dry.remove(box / "a")) == ok);
    REQUIRE(in_words(dry.remove(box / "a")) == ok);
    CHECK(!dry.read(box / "a", 10));
    CHECK(box.get("link") == "x");
}

TEST_CASE("a dry removal takes links to folders and to nothing as well") {
    const Sandbox box;
    box.put("folder/a", "x");
    std::filesystem::create_symlink("folder", box / "link");
    std::filesystem::create_symlink("nowhere", box / "dangling");
    DryFileSystem dry(real);
    REQUIRE(in_words(dry.remove(box / "link/")) == ok);
    REQUIRE(in_words(dry.remove(box / "dangling")) == ok);
    CHECK(*dry.list(box.path()) == std::vector<std::string>{"folder"});
    CHECK(*dry.read(box / "folder/a", 10) == "x");
}

TEST_CASE("dry folders are made, filled, emptied and removed in memory") {
    const Sandbox box;
    DryFileSystem dry(real);
    CHECK(has(in_words(dry.write(box / "d/e/f", "x", std::nullopt)), "does not exist"));
    REQUIRE(in_words(dry.make_directories(box / "d/e", 0700)) == ok);
    CHECK(dry.status(box / "d/e")->kind == FileKind::directory);
    CHECK(dry.status(box / "d")->mode == 0700);
    REQUIRE(in_words(dry.write(box / "d/e/f", "x", std::nullopt)) == ok);
    CHECK(*dry.list(box / "d/e") == std::vector<std::string>{"f"});
    CHECK(*dry.remove_empty_directory(box / "d/e") == false);
    REQUIRE(in_words(dry.remove(box / "d/e/f")) == ok);
    CHECK(*dry.remove_empty_directory(box / "d/e") == true);
    CHECK(*dry.remove_empty_directory(box / "d/e") == false);
    CHECK(*dry.list(box / "d") == std::vector<std::string>{});
    CHECK(real.list(box.path())->empty());
}

TEST_CASE("a dry removal of the last file empties a real folder") {
    const Sandbox box;
    box.put("d/a", "x");
    DryFileSystem dry(real);
    CHECK(*dry.remove_empty_directory(box / "d") == false);
    REQUIRE(in_words(dry.remove(box / "d/a")) == ok);
    CHECK(*dry.remove_empty_directory(box / "d") == true);
    CHECK(dry.status(box / "d")->kind == FileKind::missing);
    CHECK(box.get("d/a") == "x");
}

TEST_CASE("the dry file system gives the errors of the real one") {
    const Sandbox box;
    box.put("codex/config.toml", "old", 0444);
    box.put("nix/store/x/config", "generated");
    std::filesystem::create_directories(box / "folder");
    std::filesystem::create_symlink(box / "nix/store/x/config", box / "store");
    std::filesystem::create_symlink("loop", box / "loop");
    REQUIRE(::chmod((box / "codex").c_str(), 0555) == 0);
    box.give_to(ordinary_user, ordinary_user);
    const std::string text = as_ordinary_user([&]() -> std::string {
        DryFileSystem dry(real);
        for (const char* name : {"codex/config.toml", "codex/new", "store", "loop", "folder", "no/folder"}) {
            const std::string wet = in_words(real.write(box / name, "x", std::nullopt));
            const std::string said = in_words(dry.write(box / name, "x", std::nullopt));
            if (wet == ok || wet != said) return "real: " + wet + "\ndry: " + said;
        }
        for (const char* name : {"codex/config.toml", "folder"}) {
            const std::string wet = in_words(real.remove(box / name));
            const std::string said = in_words(dry.remove(box / name));
            if (wet == ok || wet != said) return "real: " + wet + "\ndry: " + said;
        }
        const std::string wet = in_words(real.make_directories(box / "codex/d", 0700));
        const std::string said = in_words(dry.make_directories(box / "codex/d", 0700));
        if (wet == ok || wet != said) return "real: " + wet + "\ndry: " + said;
        return ok;
    });
    CHECK(text == ok);
}

TEST_CASE("a dry secret in somebody else's file is refused like a real one") {
    if (!is_root()) return;
    const Sandbox box;
    const Path path = box.put("a", "x", 0666);
    const std::string text = as_ordinary_user([&] {
        DryFileSystem dry(real);
        return in_words(dry.write(path, "secret", 0600)) + "\n" +
               in_words(dry.write(path, "plain", std::nullopt));
    });
    CHECK(has(text, "it belongs to root"));
    CHECK(text.ends_with("\nok"));
}
