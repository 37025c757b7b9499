#include "core/usage/ledger_file.hpp"

#include "core/system/hash.hpp"
#include "core/system/shared_file.hpp"
#include "core/usage/log_vfs.hpp"
#include "core/usage/row_id.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>

namespace dbx::usage {

namespace {

// One step per schema version; step i leads from version i to i + 1. Only ever add to its end.
constexpr const char* migrations[] = {
    R"sql(
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        started_at INTEGER NOT NULL,        -- milliseconds since 1970, UTC
        agent TEXT NOT NULL,
        dialect TEXT NOT NULL,
        route TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model_answered TEXT,
        status INTEGER NOT NULL,            -- 0: the client got none
        error_class TEXT,
        streamed INTEGER NOT NULL,
        input_tokens INTEGER,               -- without cached ones
        output_tokens INTEGER,              -- with reasoning
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,         -- with the two below
        cache_write_5m_tokens INTEGER,
        cache_write_1h_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost_usd REAL,                      -- NULL: unpriced
        price TEXT,
        partial INTEGER NOT NULL,
        queued_ms REAL NOT NULL,
        first_byte_ms REAL,
        total_ms REAL NOT NULL,
        limit_hit TEXT,
        bytes_in INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL,
        upstream_id TEXT,
        upstream_request_id TEXT,
        started TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch')) VIRTUAL
    );
    CREATE INDEX requests_started_at ON requests (started_at);
    CREATE TABLE proxies (instance INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL);
    CREATE TABLE ledger (identity TEXT NOT NULL);
    )sql",
    // Rows in the order of time (row_id.hpp) instead of an index; and no column that is computed for each
    // row.
    R"sql(
    DROP INDEX requests_started_at;
    ALTER TABLE requests DROP COLUMN started;
    ALTER TABLE requests RENAME TO requests_1;
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,             -- milliseconds << 21, and what makes it unique
        started_at INTEGER NOT NULL,        -- milliseconds since 1970, UTC
        agent TEXT NOT NULL,
        dialect TEXT NOT NULL,
        route TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model_answered TEXT,
        status INTEGER NOT NULL,            -- 0: the client got none
        error_class TEXT,
        streamed INTEGER NOT NULL,
        input_tokens INTEGER,               -- without cached ones
        output_tokens INTEGER,              -- with reasoning
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,         -- with the two below
        cache_write_5m_tokens INTEGER,
        cache_write_1h_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost_usd REAL,                      -- NULL: unpriced
        price TEXT,
        partial INTEGER NOT NULL,
        queued_ms REAL NOT NULL,
        first_byte_ms REAL,
        total_ms REAL NOT NULL,
        limit_hit TEXT,
        bytes_in INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL,
        upstream_id TEXT,
        upstream_request_id TEXT
    );
    INSERT INTO requests
        SELECT (max(a.started_at, 0) << 21) + row_number() OVER (PARTITION BY a.started_at ORDER BY a.id) - 1, a.started_at,
            agent, dialect, route, model_asked, model_answered, status, error_class, streamed, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, cache_write_5m_tokens, cache_write_1h_tokens, reasoning_tokens, cost_usd,
            price, partial, queued_ms, first_byte_ms, total_ms, limit_hit, bytes_in, bytes_out, upstream_id, upstream_request_id
        FROM requests_1 AS a;
    DROP TABLE requests_1;
    )sql",
};
static_assert(std::size(migrations) == LedgerFile::version);

constexpr std::string_view insert_sql =
    "INSERT OR IGNORE INTO requests (id, started_at, agent, dialect, route, model_asked, model_answered, "
    "status, "
    "error_class, streamed, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
    "cache_write_5m_tokens, cache_write_1h_tokens, reasoning_tokens, cost_usd, price, partial, queued_ms, "
    "first_byte_ms, total_ms, limit_hit, bytes_in, bytes_out, upstream_id, upstream_request_id) VALUES "
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

std::int64_t milliseconds(system::WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
double milliseconds(std::chrono::microseconds time) {
    return static_cast<double>(time.count()) / 1000.0;
}
std::int64_t signed_count(std::uint64_t value) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

// One number of a PRAGMA or SELECT; -1 when there is none.
std::int64_t ask(sqlite3* database, std::string_view sql, int& code) {
    Statement statement(database, sql);
    const int step = statement.step();
    code = step == SQLITE_ROW || step == SQLITE_DONE ? SQLITE_OK : step;
    return step == SQLITE_ROW ? statement.number(0) : -1;
}

// A file that is no database at all, and not by accident of ours: somebody's own.
bool is_somebodys(const system::Path& path) {
    static constexpr std::string_view magic = "SQLite format 3";
    std::string begin(magic.size(), '\0');
    std::ifstream in(path, std::ios::binary);
    in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
    return begin != magic && path.extension() != ".db";
}

// Steps a statement that answers no rows, to its end.
int once(Statement& statement) {
    const int code = statement.step();
    statement.reset();
    return code;
}

FileTrouble trouble_of(sqlite3* database, int code) {
    using Kind = FileTrouble::Kind;
    const int number = database != nullptr ? sqlite3_system_errno(database) : 0;
    std::string why = database != nullptr && sqlite3_errcode(database) == (code & 0xff)
                          ? sqlite3_errmsg(database)
                          : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return {Kind::locked, "another process holds its lock"};
    case SQLITE_FULL:
        return {Kind::full, "there is no space left on its disk"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return {Kind::corrupt, why};
    default:
        break;
    }
    if (number == ENOSPC || number == EDQUOT) return {Kind::full, "there is no space left on its disk"};
    if (number != 0) why += " (" + std::generic_category().message(number) + ")";
    return {Kind::unavailable, why};
}

} // namespace

FileTrouble LedgerFile::trouble(int code) const {
    return trouble_of(database_.get(), code);
}

FileResult<void> LedgerFile::run(const char* sql) {
    if (const int code = execute(database_.get(), sql); code != SQLITE_OK)
        return tl::unexpected(trouble(code));
    return {};
}

FileResult<LedgerFile> LedgerFile::open(const system::Path& path, system::FileSystem& files,
                                        std::chrono::milliseconds lock_wait) {
    using Kind = FileTrouble::Kind;
    if (auto made = files.make_directories(path.parent_path(), 0700); !made)
        return tl::unexpected(FileTrouble{Kind::unavailable, made.error().what + ": " + made.error().why});
    const auto status = files.status(path);
    if (status && status->kind != system::FileKind::missing && status->kind != system::FileKind::regular)
        return tl::unexpected(FileTrouble{Kind::foreign, "it is not a file"});

    // SQLite would create it readable for everybody. Where somebody was faster there is nothing to do.
    if (status && status->kind == system::FileKind::missing) (void)system::SharedFile::create(path, 0);

    // Counting its memory would take SQLite a process-wide lock for each allocation.
    static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)uncounted;

    LedgerFile file;
    sqlite3* raw = nullptr;
    int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, log_vfs());
    file.database_.reset(raw);
    if (code != SQLITE_OK) return tl::unexpected(file.trouble(code));
    sqlite3_extended_result_codes(raw, 1);
    file.set_lock_wait(lock_wait);

    const auto found = ask(raw, "PRAGMA user_version", code);
    if (code != SQLITE_OK) {
        auto why = file.trouble(code);
        if (why.kind == Kind::corrupt && is_somebodys(path))
            why = {Kind::foreign, "it is a file of something else, not a database"};
        file.abandon();
        return tl::unexpected(why);
    }
    const auto program = ask(raw, "PRAGMA application_id", code);
    const auto tables = ask(raw, "SELECT count(*) FROM sqlite_master", code);
    if (code != SQLITE_OK) return tl::unexpected(file.trouble(code));
    if (program != application && (program != 0 || found != 0 || tables != 0)) {
        file.abandon();
        return tl::unexpected(FileTrouble{Kind::foreign, "it is the database of another program"});
    }
    if (found > version) {
        file.abandon();
        return tl::unexpected(FileTrouble{Kind::newer, "a newer dbx-agents wrote it (schema " +
                                                           std::to_string(found) + ", this one knows " +
                                                           std::to_string(version) + ")"});
    }
    // Where the file system has no shared memory for a log (some network disks) SQLite keeps its old journal:
    // slower, with the same promise.
    // Small pages: a commit writes whole ones. They count for a new file only. A log that a migration or a
    // long report made large is cut to 32 MB again.
    for (const char* sql : {"PRAGMA page_size = 2048", "PRAGMA journal_mode = WAL",
                            "PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 0",
                            "PRAGMA journal_size_limit = 33554432", "PRAGMA cache_size = -1024"}) {
        if (auto done = file.run(sql); !done) return tl::unexpected(done.error());
    }
    if (auto done = file.migrate(); !done) return tl::unexpected(done.error());

    Statement identity(raw, "SELECT identity FROM ledger");
    if (identity.step() == SQLITE_ROW) {
        const auto text = identity.text(0);
        std::from_chars(text.data(), text.data() + text.size(), file.identity_, 16);
    }
    if (file.identity_ == 0) return tl::unexpected(FileTrouble{Kind::corrupt, "its identity is missing"});
    file.begin_ = Statement(raw, "BEGIN IMMEDIATE");
    file.insert_ = Statement(raw, insert_sql);
    file.commit_ = Statement(raw, "COMMIT");
    // The old journal's readers would keep every other writer out.
    if (Statement mode(raw, "PRAGMA journal_mode"); mode.step() == SQLITE_ROW && mode.text(0) == "wal")
        file.hold_ = Statement(raw, "SELECT identity FROM ledger");
    if (!file.insert_) return tl::unexpected(file.trouble(file.insert_.code()));
    sqlite3_wal_hook(
        raw,
        [](void* pages, sqlite3*, const char*, int count) {
            *static_cast<int*>(pages) = count;
            return SQLITE_OK;
        },
        file.log_pages_.get());
    return file;
}

FileResult<void> LedgerFile::migrate() {
    int code = SQLITE_OK;
    if (ask(database_.get(), "PRAGMA user_version", code) == version && code == SQLITE_OK) return {};
    if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
    // Again under the lock: another process may have done it.
    const auto found = ask(database_.get(), "PRAGMA user_version", code);
    std::string sql;
    for (auto step = found; step >= 0 && step < version; ++step) sql += migrations[step];
    if (found == 0)
        sql += "INSERT INTO ledger VALUES ('" + system::random_hex(8) +
               "');PRAGMA application_id = " + std::to_string(application) + ";";
    sql += "PRAGMA user_version = " + std::to_string(version) + ";COMMIT";
    if (auto done = run(sql.c_str()); !done) {
        execute(database_.get(), "ROLLBACK");
        return done;
    }
    return {};
}

FileResult<std::uint32_t> LedgerFile::new_instance(system::WallTime now) {
    Statement statement(database_.get(), "INSERT INTO proxies (started_at) VALUES (?)");
    if (statement) statement.bind(1, milliseconds(now));
    if (const int code = statement.step(); code != SQLITE_DONE) return tl::unexpected(trouble(code));
    return static_cast<std::uint32_t>(sqlite3_last_insert_rowid(database_.get()));
}

FileResult<void> LedgerFile::write(std::span<const Numbered> rows) {
    if (!held_) held_ = hold_.step() == SQLITE_ROW; // what is wrong, the insert says
    int code = try_write(rows);
    if (held_ && (code & 0xff) == SQLITE_BUSY) {
        // Another process wrote meanwhile, or writes: SQLite waits for its lock only from outside of a read.
        let_go();
        code = try_write(rows);
    }
    if (code == SQLITE_DONE) {
        if (*log_pages_ < moved_pages_) moved_pages_ = 0; // the log has begun anew
        return {};
    }
    const auto why = trouble(code);
    execute(database_.get(), "ROLLBACK"); // does nothing where nothing is begun
    let_go();
    return tl::unexpected(why);
}

int LedgerFile::try_write(std::span<const Numbered> rows) {
    // One row is a transaction by itself.
    if (rows.size() > 1) {
        if (const int code = once(begin_); code != SQLITE_DONE) return code;
    }
    for (const auto& [id, pointer] : rows) {
        const auto& row = *pointer;
        const auto& usage = row.usage;
        int at = 0;
        insert_.bind(++at, id);
        insert_.bind(++at, milliseconds(row.started_at));
        insert_.bind(++at, std::string_view(row.agent));
        insert_.bind(++at, std::string_view(row.dialect));
        insert_.bind(++at, std::string_view(row.route));
        insert_.bind(++at, std::string_view(row.model_asked));
        insert_.bind_word(++at, usage.model_answered);
        insert_.bind(++at, std::int64_t{row.status});
        insert_.bind_word(++at, row.error_class);
        insert_.bind(++at, std::int64_t{row.streamed});
        for (const auto* count : {&usage.input, &usage.output, &usage.cache_read, &usage.cache_write,
                                  &usage.cache_write_5m, &usage.cache_write_1h, &usage.reasoning})
            insert_.bind(++at, *count);
        ++at;
        if (row.cost_usd)
            insert_.bind(at, *row.cost_usd);
        else
            insert_.null(at);
        insert_.bind_word(++at, row.price);
        insert_.bind(++at, std::int64_t{usage.partial});
        insert_.bind(++at, milliseconds(row.queued));
        ++at;
        if (row.first_byte)
            insert_.bind(at, milliseconds(*row.first_byte));
        else
            insert_.null(at);
        insert_.bind(++at, milliseconds(row.total));
        insert_.bind_word(++at, row.limit_hit);
        insert_.bind(++at, signed_count(row.bytes_in));
        insert_.bind(++at, signed_count(row.bytes_out));
        insert_.bind_word(++at, usage.upstream_id);
        insert_.bind_word(++at, row.upstream_request_id);
        if (const int code = once(insert_); code != SQLITE_DONE) return code;
    }
    return rows.size() > 1 ? once(commit_) : SQLITE_DONE;
}

void LedgerFile::let_go() {
    if (held_) hold_.reset();
    held_ = false;
}

bool LedgerFile::moved() const {
    int result = 0;
    return sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &result) == SQLITE_OK &&
           result != 0;
}

void LedgerFile::set_lock_wait(std::chrono::milliseconds wait) {
    sqlite3_busy_timeout(database_.get(), static_cast<int>(wait.count()));
}

void LedgerFile::checkpoint() {
    let_go();
    // Passive: waits for nobody. What readers still need comes with the next one.
    int pages = 0;
    if (sqlite3_wal_checkpoint_v2(database_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, nullptr) ==
        SQLITE_OK)
        *log_pages_ = moved_pages_ = std::max(pages, 0);
}

FileResult<int> LedgerFile::forget_before(system::WallTime time, int limit) {
    let_go();
    Statement statement(database_.get(), "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE "
                                         "id < ? ORDER BY id LIMIT ?)");
    if (statement) {
        statement.bind(1, first_row_id(time));
        statement.bind(2, std::int64_t{limit});
    }
    if (const int code = statement.step(); code != SQLITE_DONE) return tl::unexpected(trouble(code));
    return sqlite3_changes(database_.get());
}

void LedgerFile::abandon() {
    if (database_) sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    for (auto* statement : {&begin_, &insert_, &commit_, &hold_}) *statement = {};
    held_ = false;
    database_.reset();
}

Result<system::Path> set_aside(const system::Path& path, system::WallTime now) {
    std::string time = system::format_utc(now);
    std::erase(time, ':');
    std::erase(time, '-');
    system::Path target = path.string() + ".corrupt-" + time;
    std::error_code error;
    for (int i = 2; std::filesystem::exists(target, error); ++i)
        target = path.string() + ".corrupt-" + time + "-" + std::to_string(i);
    // The log first: a new database must never meet the old one's.
    for (const char* tail : {"-wal", "-shm", ""}) {
        std::filesystem::rename(path.string() + tail, target.string() + tail, error);
        if (error && error != std::errc::no_such_file_or_directory)
            return fail(ErrorKind::file, "cannot set the corrupt ledger aside", error.message());
    }
    return target;
}

std::int64_t first_id_since(sqlite3* database, system::WallTime time) {
    int code = SQLITE_OK;
    return ask(database, "PRAGMA user_version", code) < 2 ? INT64_MIN : first_row_id(time);
}

Result<Connection> open_for_reading(const system::Path& path, system::FileSystem& files) {
    const auto cannot = [&](const std::string& why, const std::string& fix) {
        return fail(ErrorKind::file, "cannot read the ledger " + path.string(), why, fix);
    };
    const auto status = files.status(path);
    if (!status) return fail(status.error());
    if (status->kind == system::FileKind::missing)
        return cannot("there is no such file", "the proxy makes it: dbx-agents proxy");
    if (status->kind != system::FileKind::regular) return cannot("it is not a file", "");
    // A reader needs the log's shared memory, which a read-only connection may not be able to make.
    Connection result;
    int code = SQLITE_OK;
    std::int64_t program = 0, found = 0;
    for (const int mode : {SQLITE_OPEN_READWRITE, SQLITE_OPEN_READONLY}) {
        sqlite3* raw = nullptr;
        code = sqlite3_open_v2(path.c_str(), &raw, mode | SQLITE_OPEN_NOMUTEX, nullptr);
        result.reset(raw);
        if (code != SQLITE_OK) continue;
        sqlite3_extended_result_codes(raw, 1);
        sqlite3_busy_timeout(raw, 5'000);
        // Reports never write, and a checkpoint is the writer's business.
        sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        program = ask(raw, "PRAGMA application_id", code);
        if (code != SQLITE_OK) continue;
        found = ask(raw, "PRAGMA user_version", code);
        if (code == SQLITE_OK) break;
    }
    if (code != SQLITE_OK) {
        const auto why = trouble_of(result.get(), code);
        return cannot(why.why, why.kind == FileTrouble::Kind::corrupt
                                   ? "the next start of the proxy sets it aside and begins a new one"
                                   : "");
    }
    if (program != LedgerFile::application) return cannot("it is not a ledger of dbx-agents", "");
    if (found > LedgerFile::version)
        return cannot("a newer dbx-agents wrote it", "use that version for its reports");
    execute(result.get(), "PRAGMA query_only = 1");
    // A report reads everything once: from the page cache, without a copy of each page.
    execute(result.get(), "PRAGMA mmap_size = 4294967296");
    return result;
}

} // namespace dbx::usage
