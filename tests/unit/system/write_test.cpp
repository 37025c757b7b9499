#include "tests/unit/system/sandbox.hpp"

#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include <cstdint>

using namespace dbx::system;
using namespace dbx::system::tests;

namespace {

RealFileSystem files;

ino_t inode(const Path& path) {
    struct stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_ino;
}

struct Umask {
    explicit Umask(mode_t mask)
        : before(::umask(mask)) {}
    ~Umask() { ::umask(before); }
    mode_t before;
};

std::vector<std::string> names(const Path& folder) {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        result.push_back(entry.path().filename().native());
    std::sort(result.begin(), result.end());
    return result;
}

#ifdef __linux__
struct AclEntry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
};
// user::rw- user:<user>:rw- group::r-- mask::rw- other::---, as the kernel takes it.
std::string acl_for(std::uint32_t user) {
    constexpr std::uint32_t none = 0xffffffff;
    const std::vector<AclEntry> entries = {
        {0x01, 6, none}, {0x02, 6, user}, {0x04, 4, none}, {0x10, 6, none}, {0x20, 0, none}};
    const std::uint32_t version = 2;
    std::string bytes(reinterpret_cast<const char*>(&version), sizeof version);
    for (const auto& entry : entries) bytes.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    return bytes;
}
std::string attribute(const Path& path, const char* name) {
    std::string value(4096, '\0');
    const auto size = ::getxattr(path.c_str(), name, value.data(), value.size());
    if (size < 0) return "(none)";
    value.resize(static_cast<std::size_t>(size));
    return value;
}
bool set_attribute(const Path& path, const char* name, const std::string& value) {
    if (::setxattr(path.c_str(), name, value.data(), value.size(), 0) == 0) return true;
    MESSAGE("skipped: the file system has no ", name);
    return false;
}
#endif

} // namespace

TEST_CASE("a new file is for its owner alone, whatever the umask") {
    const Sandbox box;
    for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
        const Umask umask(mask);
        const Path path = box / ("new" + std::to_string(mask));
        REQUIRE(in_words(files.write(path, "x", std::nullopt)) == ok);
        CHECK(box.mode(path) == 0600);
    }
}

TEST_CASE("a new file gets the mode that is asked for, whatever the umask") {
    const Sandbox box;
    const Umask umask(0077);
    REQUIRE(in_words(files.write(box / "a", "x", 0644)) == ok);
    CHECK(box.mode("a") == 0644);
}

TEST_CASE("a replaced file keeps its mode, whatever the umask") {
    const Sandbox box;
    const Umask umask(0077);
    for (const mode_t mode : {0600U, 0644U, 0664U, 0755U, 0666U}) {
        box.put("a", "old", mode);
        REQUIRE(in_words(files.write(box / "a", "new", std::nullopt)) == ok);
        CHECK(box.mode("a") == mode);
        CHECK(box.get("a") == "new");
    }
}

TEST_CASE("a mode that is given wins over the old one") {
    const Sandbox box;
    box.put("a", "old", 0664);
    REQUIRE(in_words(files.write(box / "a", "secret", 0600)) == ok);
    CHECK(box.mode("a") == 0600);
}

TEST_CASE("a write replaces the file instead of overwriting it") {
    const Sandbox box;
    const Path path = box.put("a", "old content");
    const ino_t before = inode(path);
    REQUIRE(in_words(files.write(path, "new", std::nullopt)) == ok);
    CHECK(inode(path) != before);
    CHECK(names(box.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("bytes are written as they are") {
    const Sandbox box;
    std::string bytes = "\xEF\xBB\xBFline\r\n";
    bytes += '\0';
    bytes += "\xff\xfe no newline";
    for (const std::string& text : {bytes, std::string(), std::string(5'000'000, 'x')}) {
        REQUIRE(in_words(files.write(box / "a", text, std::nullopt)) == ok);
        CHECK(box.get("a") == text);
    }
}

TEST_CASE("names with blanks, control characters, non-UTF-8 bytes and the longest allowed length work") {
    const Sandbox box;
    for (const std::string& name :
         {std::string(" a b "), std::string("a\nb"), std::string("caf\xE9"), std::string("-rf"),
          std::string(".hidden"), std::string(255, 'n'), std::string("'\"$(x)`")}) {
        CAPTURE(name);
        REQUIRE(in_words(files.write(box / name, "1", std::nullopt)) == ok);
        REQUIRE(in_words(files.write(box / name, "2", std::nullopt)) == ok);
        CHECK(box.get(name) == "2");
    }
    CHECK(names(box.path()).size() == 7);
}

TEST_CASE("a write goes through symbolic links to the real file") {
    const Sandbox box;
    std::filesystem::create_directories(box / "dotfiles/codex");
    std::filesystem::create_directories(box / "home");
    box.put("dotfiles/codex/config.toml", "old", 0640);
    std::filesystem::create_symlink("../dotfiles/codex", box / "home/.codex"); // stow links folders
    std::filesystem::create_symlink(box / "home/.codex/config.toml",
                                    box / "home/config"); // and somebody a file
    REQUIRE(in_words(files.write(box / "home/config", "new", std::nullopt)) == ok);
    CHECK(box.get("dotfiles/codex/config.toml") == "new");
    CHECK(box.mode("dotfiles/codex/config.toml") == 0640);
    CHECK(std::filesystem::is_symlink(box / "home/config"));
    CHECK(std::filesystem::is_symlink(box / "home/.codex"));
    CHECK(names(box / "home") == std::vector<std::string>{".codex", "config"});
}

TEST_CASE("a link to a file that does not exist yet creates that file") {
    const Sandbox box;
    std::filesystem::create_directories(box / "dotfiles");
    std::filesystem::create_symlink("dotfiles/config.toml", box / "link");
    REQUIRE(in_words(files.write(box / "link", "new", std::nullopt)) == ok);
    CHECK(std::filesystem::is_symlink(box / "link"));
    CHECK(box.get("dotfiles/config.toml") == "new");
}

TEST_CASE("a file with a second hard link stays one file") {
    const Sandbox box;
    const Path path = box.put("a", "something long that was here before", 0644);
    REQUIRE(::link(path.c_str(), (box / "b").c_str()) == 0);
    REQUIRE(in_words(files.write(path, "short", std::nullopt)) == ok);
    CHECK(box.get("b") == "short");
    CHECK(inode(box / "a") == inode(box / "b"));
    REQUIRE(in_words(files.write(path, std::string(100000, 'l'), 0600)) == ok);
    CHECK(box.get("b") == std::string(100000, 'l'));
    CHECK(box.mode("b") == 0600);
    CHECK(names(box.path()) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a hidden file with a similar name is not taken for one of ours") {
    const Sandbox box;
    box.put(".a.dbx-agents-old-0123456789abcdef", "kept for a person");
    box.put(".a.dbx-agents-0123456789abcdeX", "x");
    box.put(".ab.dbx-agents-0123456789abcdef", "of another file");
    std::filesystem::create_directories(box / ".a.dbx-agents-0000000000000000");
    REQUIRE(::mkfifo((box / ".a.dbx-agents-1111111111111111").c_str(), 0600) == 0);
    box.put(".a.dbx-agents-0123456789abcdef", "left by a crash");
    REQUIRE(in_words(files.write(box / "a", "new", std::nullopt)) == ok);
    CHECK(names(box.path()).size() == 6);
    CHECK(!std::filesystem::exists(box / ".a.dbx-agents-0123456789abcdef"));
}

TEST_CASE("in a setgid folder a new file gets the folder's group and an old one keeps its own") {
    if (!is_root()) return;
    const Sandbox box;
    REQUIRE(::chown(box.path().c_str(), 0, 4321) == 0);
    REQUIRE(::chmod(box.path().c_str(), 02755) == 0);
    REQUIRE(in_words(files.write(box / "new", "x", std::nullopt)) == ok);
    CHECK(files.status(box / "new")->group == 4321);
    box.put("old", "x", 0640);
    REQUIRE(::chown((box / "old").c_str(), 77, 88) == 0);
    REQUIRE(in_words(files.write(box / "old", "y", std::nullopt)) == ok);
    CHECK(files.status(box / "old")->owner == 77);
    CHECK(files.status(box / "old")->group == 88);
    CHECK(box.mode("old") == 0640);
}

TEST_CASE("root writes a new file in somebody's folder for that person") {
    if (!is_root()) return;
    const Sandbox box;
    box.give_to(ordinary_user, 4321);
    REQUIRE(in_words(files.write(box / "new", "x", std::nullopt)) == ok);
    CHECK(files.status(box / "new")->owner == ordinary_user);
    CHECK(files.status(box / "new")->group == 4321);
    REQUIRE(in_words(files.make_directories(box / "d/e", 0700)) == ok);
    CHECK(files.status(box / "d/e")->owner == ordinary_user);
    CHECK(box.mode("d/e") == 0700);
}

#ifdef __linux__
TEST_CASE("extended attributes and the ACL survive a write") {
    const Sandbox box;
    const Path path = box.put("a", "old", 0640);
    if (!set_attribute(path, "user.note", "mine") ||
        !set_attribute(path, "system.posix_acl_access", acl_for(1234)))
        return;
    const mode_t mode = box.mode("a");
    const ino_t before = inode(path);
    REQUIRE(in_words(files.write(path, "new", std::nullopt)) == ok);
    CHECK(inode(path) != before);
    CHECK(attribute(path, "user.note") == "mine");
    CHECK(attribute(path, "system.posix_acl_access") == acl_for(1234));
    CHECK(box.mode("a") == mode);
}

TEST_CASE("a secret takes the rights of the ACL away as well") {
    const Sandbox box;
    const Path path = box.put("a", "old", 0640);
    if (!set_attribute(path, "system.posix_acl_access", acl_for(1234))) return;
    REQUIRE(in_words(files.write(path, "secret", 0600)) == ok);
    CHECK(box.mode("a") == 0600); // the group bits are the ACL's mask: nobody named in it has rights now
}

TEST_CASE("a folder's default ACL does not open an old file to more people") {
    const Sandbox box;
    const Path path = box.put("a", "old", 0660);
    if (!set_attribute(box.path(), "system.posix_acl_default", acl_for(1234))) return;
    REQUIRE(in_words(files.write(path, "new", std::nullopt)) == ok);
    CHECK(attribute(path, "system.posix_acl_access") == "(none)");
    CHECK(box.mode("a") == 0660);
    REQUIRE(in_words(files.write(box / "new", "secret", std::nullopt)) == ok);
    CHECK(box.mode("new") == 0600);
}
#endif
