#include "core/state/journal.hpp"
#include "core/system/dry_files.hpp"
#include "core/system/hash.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::state;
using dbx::tests::FakeEnvironment;

namespace {

const FakeEnvironment environment(std::map<std::string, std::string>{{"HOME", "/nowhere/home"}});
const system::Path journal_path = "/nowhere/home/.local/state/dbx-agents/journal.json";

struct Scene {
    system::RealFileSystem real;
    system::DryFileSystem files{real};
    Scene() { REQUIRE(files.make_directories("/nowhere/home/.codex", 0700)); }
    Journal load() {
        auto journal = Journal::load(environment, files);
        REQUIRE(journal);
        return std::move(*journal);
    }
};

WrittenFile entry_for(const system::Path& path, const std::string& after) {
    WrittenFile entry;
    entry.path = path;
    entry.named = path;
    entry.agent = "codex";
    entry.file_id = "config";
    entry.format = "toml";
    entry.written_at = "2026-11-21T18:30:00Z";
    entry.after_hash = system::sha256(after);
    entry.after_mode = 0600;
    WrittenKey key;
    key.path = {"model", "a.b"};
    key.existed = true;
    key.before_raw = "\"old\" ";
    key.before_value = "old";
    key.after_hash = value_hash("new");
    entry.keys.push_back(key);
    entry.pieces.push_back({1, 2, {piece_hash("x\n"), piece_hash("y")}});
    return entry;
}

} // namespace

TEST_CASE("what was committed is read back as it was") {
    Scene scene;
    Journal journal = scene.load();
    WrittenFile entry = entry_for("/nowhere/home/.codex/config.toml", "text");
    entry.created_directories = {"/nowhere/home/.codex"};
    entry.path = "/nowhere/home/.codex/na\xefve.toml"; // a name that is not UTF-8
    journal.put(entry);
    REQUIRE(journal.prepare(scene.files));
    REQUIRE(journal.commit(scene.files));
    const Journal again = scene.load();
    REQUIRE(again.written().size() == 1);
    const WrittenFile& read = again.written()[0];
    CHECK(read.path == entry.path);
    CHECK(read.keys[0].path == entry.keys[0].path);
    CHECK(read.keys[0].before_raw == "\"old\" ");
    CHECK(read.keys[0].before_value == "old");
    CHECK(read.pieces[0].after == entry.pieces[0].after);
    CHECK(read.created_directories == entry.created_directories);
}

TEST_CASE("of a prepared journal only those entries count whose file was really written") {
    Scene scene;
    Journal journal = scene.load();
    journal.put(entry_for("/nowhere/home/.codex/a.toml", "new a"));
    journal.put(entry_for("/nowhere/home/.codex/b.toml", "new b"));
    REQUIRE(journal.prepare(scene.files));
    REQUIRE(scene.files.write("/nowhere/home/.codex/a.toml", "new a", 0600));
    REQUIRE(scene.files.write("/nowhere/home/.codex/b.toml", "old b", 0600));
    const Journal after_crash = scene.load();
    CHECK(after_crash.find("/nowhere/home/.codex/a.toml"));
    CHECK_FALSE(after_crash.find("/nowhere/home/.codex/b.toml"));
}

TEST_CASE("a revert that was killed half way is half done") {
    Scene scene;
    Journal journal = scene.load();
    const std::string old = "old bytes";
    for (const auto* name : {"a.toml", "b.toml"}) {
        WrittenFile entry = entry_for(system::Path("/nowhere/home/.codex") / name, "new");
        entry.existed = true;
        entry.before_blob = *journal.store_blob(old, scene.files);
        journal.put(entry);
        REQUIRE(scene.files.write(entry.path, "new", 0600));
    }
    REQUIRE(journal.prepare(scene.files));
    REQUIRE(journal.commit(scene.files));
    journal.erase("/nowhere/home/.codex/a.toml");
    journal.erase("/nowhere/home/.codex/b.toml");
    REQUIRE(journal.prepare(scene.files));
    REQUIRE(scene.files.write("/nowhere/home/.codex/a.toml", old, 0600));
    const Journal after_crash = scene.load();
    CHECK_FALSE(after_crash.find("/nowhere/home/.codex/a.toml"));
    CHECK(after_crash.find("/nowhere/home/.codex/b.toml"));
}

TEST_CASE("a damaged journal is an error that names it") {
    Scene scene;
    REQUIRE(scene.files.make_directories(journal_path.parent_path(), 0700));
    for (const auto* text : {"", "{}", "[1]", R"({"format":2,"files":[],"backups":[]})",
                             R"({"format":1,"files":[{}],"backups":[]})"}) {
        REQUIRE(scene.files.write(journal_path, text, 0600));
        const auto journal = Journal::load(environment, scene.files);
        REQUIRE_FALSE(journal);
        CHECK(journal.error().kind == ErrorKind::file);
        CHECK(journal.error().what.find("journal.json") != std::string::npos);
    }
}

TEST_CASE("the last ten backups of a file are kept, and equal ones count once") {
    Scene scene;
    Journal journal = scene.load();
    for (int i = 0; i < 15; ++i) {
        journal.add_backup({"/a", true, "blob" + std::to_string(i), 0644, "now"});
        journal.add_backup({"/a", true, "blob" + std::to_string(i), 0644, "later"});
    }
    journal.add_backup({"/b", true, "other", 0644, "now"});
    CHECK(journal.backups().size() == backups_per_file + 1);
    CHECK(journal.backups().front().blob == "blob5");
}

TEST_CASE("a blob that was damaged is not given back") {
    Scene scene;
    Journal journal = scene.load();
    const auto name = journal.store_blob("bytes", scene.files);
    REQUIRE(name);
    CHECK(journal.blob(*name, scene.files) == "bytes");
    REQUIRE(scene.files.write(journal_path.parent_path() / "blobs" / *name, "bytez", 0600));
    CHECK_FALSE(journal.blob(*name, scene.files));
}

TEST_CASE("blobs that nothing names any more go with the commit") {
    Scene scene;
    Journal journal = scene.load();
    const auto name = journal.store_blob("bytes", scene.files);
    REQUIRE(journal.prepare(scene.files));
    REQUIRE(journal.commit(scene.files));
    CHECK_FALSE(journal.blob(*name, scene.files));
}

TEST_CASE("a value's hash does not depend on the order of its members") {
    CHECK(value_hash(nlohmann::ordered_json::parse(R"({"a":1,"b":2})")) ==
          value_hash(nlohmann::ordered_json::parse(R"({"b":2,"a":1})")));
    CHECK(value_hash("1") != value_hash(1));
}
