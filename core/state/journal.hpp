#pragma once

#include "core/base/error.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace dbx::state {

// One run of pieces of a file (lines, or parts of lines) before our edit that became another run after it. Of
// the new pieces only hashes are kept: they may hold a secret.
struct WrittenPieces {
    std::size_t before_begin = 0, before_end = 0; // numbers of pieces, 0-based, half open
    std::vector<std::string> after;               // piece_hash of each new piece
};

// One key that setup changed.
struct WrittenKey {
    enum class Kind {
        set,     // a value; `before` is what it replaced
        remove,  // the key went; `before` is what it was
        append,  // `value` was added to an array
        lines,   // `entries` were merged into a value of "Name: value" lines
        entries, // `entries` were merged into a comma-separated value
    };
    std::vector<std::string> path;
    Kind kind = Kind::set;
    bool existed = false;
    std::string before_raw;              // its spelling in the file
    nlohmann::ordered_json before_value; // and its meaning
    std::string after_hash;              // value_hash of what we wrote; empty for remove
    nlohmann::ordered_json element;      // append only; never a secret
    std::vector<std::string> entries;    // lines, entries; never secrets
};

// What setup did to one file, complete enough to take it back exactly.
struct WrittenFile {
    system::Path path;   // the real file, links followed
    system::Path named;  // as the agent knows it
    std::string agent;   // an opaque name to this room
    std::string file_id; // the file's name in its template
    std::string format;  // "toml", "json", "jsonc", "dotenv", "text"
    std::string auth;    // the form that setup took; opaque as well
    std::string scope;   // "managed" for a file of everybody's; empty: the user's
    std::string written_at;
    bool existed = false;
    std::string before_blob; // hash of the bytes before, see Journal::blob
    mode_t before_mode = 0;
    std::string after_hash; // SHA-256 of the bytes after
    mode_t after_mode = 0;
    std::vector<WrittenPieces> pieces;
    std::vector<WrittenKey> keys;
    std::vector<system::Path> created_directories; // outermost first
};

// The bytes that a file had before one of our writes.
struct Backup {
    system::Path path;
    bool existed = true;
    std::string blob;
    mode_t mode = 0;
    std::string taken_at;
};

inline constexpr std::size_t backups_per_file = 10;

// What this program has written and not yet taken back: journal.json in the state directory, with the bytes
// of earlier versions in blobs/ by their hash. All files 0600 in a folder 0700.
//
// A change is prepared (journal.next.json), then the users' files are written, then it is committed: a
// program that was killed in between leaves a prepared journal, and load() keeps of it what really reached
// the files.
class Journal {
  public:
    // Needs the state lock for anything but reading. A missing journal is empty; a damaged one is an error of
    // kind file that names it (nothing could be reverted safely from it).
    static Result<Journal> load(const system::Environment& environment, system::FileSystem& files);

    const std::vector<WrittenFile>& written() const { return written_; }
    const WrittenFile* find(const system::Path& real_path) const;
    const std::vector<Backup>& backups() const { return backups_; }

    // In memory only, until prepare().
    void put(WrittenFile entry);
    void erase(const system::Path& real_path);
    // Adds a backup, unless the newest one of that file is the same; the oldest beyond backups_per_file go.
    void add_backup(Backup backup);

    // Stores bytes, returns their name. Reading back checks the hash; a missing or damaged blob is nullopt.
    Result<std::string> store_blob(std::string_view bytes, system::FileSystem& files);
    std::optional<std::string> blob(const std::string& name, system::FileSystem& files) const;

    Result<void> prepare(system::FileSystem& files);
    Result<void> commit(system::FileSystem& files);
    // After a failed write, when the users' files are as before.
    void abandon(system::FileSystem& files);

  private:
    system::Path directory_;
    std::vector<WrittenFile> written_;
    std::vector<Backup> backups_;
};

// The hash of a piece without its line end.
std::string piece_hash(std::string_view piece);
// The hash of a value's meaning: member order does not count.
std::string value_hash(const nlohmann::ordered_json& value);

} // namespace dbx::state
