#pragma once

#include "core/usage/ledger.hpp"
#include "core/usage/sqlite.hpp"

#include <span>
#include <string>

namespace dbx::usage {

// What is wrong with the file, with a sentence.
struct FileTrouble {
    enum class Kind { locked, full, unavailable, newer, corrupt, foreign };
    Kind kind = Kind::unavailable;
    std::string why;
};
template <class T>
using FileResult = tl::expected<T, FileTrouble>;

// The ledger's database, open for writing by one thread at a time.
class LedgerFile {
  public:
    static constexpr int version = 2;              // user_version
    static constexpr int application = 0x64627861; // application_id: "dbxa"

    // Opens or creates it and brings its schema up to `version`. `lock_wait` is SQLite's busy timeout.
    static FileResult<LedgerFile> open(const system::Path& path, system::FileSystem& files,
                                       std::chrono::milliseconds lock_wait);

    // A number for a process that writes: unique in this file.
    FileResult<std::uint32_t> new_instance(system::WallTime now);
    std::uint64_t identity() const { return identity_; } // of this file; a new one has another

    // A group of rows in one transaction; a row whose id is there already is left alone (it was committed).
    struct Numbered {
        std::int64_t id = 0;
        const Row* row = nullptr;
    };
    FileResult<void> write(std::span<const Numbered> rows);

    // The file at the path is no longer the one that is open.
    bool moved() const;
    void set_lock_wait(std::chrono::milliseconds wait);
    // The write-ahead log's pages that no checkpoint has moved yet, after the last write. What readers kept
    // from being cut off is not counted: it would ask for another checkpoint with every row.
    int log_pages() const { return *log_pages_ - moved_pages_; }
    // Moves the log's pages into the file, as far as readers allow it.
    void checkpoint();
    // Deletes up to `limit` rows older than that; how many went.
    FileResult<int> forget_before(system::WallTime time, int limit);
    // Closes without touching the file any more.
    void abandon();

  private:
    FileTrouble trouble(int code) const;
    FileResult<void> migrate();
    FileResult<void> run(const char* sql);
    int try_write(std::span<const Numbered> rows); // SQLITE_DONE, or what is wrong
    void let_go();

    Connection database_;
    Statement begin_, insert_, commit_;
    // A read that stays open between writes. While it is, a commit takes and gives back SQLite's write lock
    // and nothing else; without it each would also take a place among the log's readers, move its mark and
    // leave: four more system calls. Readers hinder no writer; but the log can start anew only without them,
    // so checkpoint() lets go. After another process's commit SQLite refuses to write from it.
    Statement hold_; // empty where the file system has no such log
    bool held_ = false;
    std::uint64_t identity_ = 0;
    std::unique_ptr<int> log_pages_ = std::make_unique<int>(0); // SQLite's count, in the whole log
    int moved_pages_ = 0;                                       // of them, at the last checkpoint
};

// Renames a corrupt ledger with its log files to NAME.corrupt-TIME; the new name.
Result<system::Path> set_aside(const system::Path& path, system::WallTime now);

// Where rows since then begin in the table. What an older version of this program wrote is not in the order
// of time: there all rows are read.
std::int64_t first_id_since(sqlite3* database, system::WallTime time);

// Opens it for reading only. Errors: missing, not a ledger, newer (kind file).
Result<Connection> open_for_reading(const system::Path& path, system::FileSystem& files);

} // namespace dbx::usage
