#include "core/usage/ledger.hpp"
#include "core/usage/ledger_file.hpp"
#include "core/usage/row_id.hpp"
#include "tests/unit/system/sandbox.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>

using namespace dbx;
using namespace dbx::usage;
using dbx::system::Path;
using dbx::system::tests::Sandbox;
using namespace std::chrono_literals;

namespace {

system::RealFileSystem files;

Row row_of(const std::string& agent, std::uint64_t input, std::uint64_t output) {
    Row row;
    row.started_at = std::chrono::system_clock::now();
    row.agent = agent;
    row.dialect = "messages";
    row.route = "/anthropic/v1/messages";
    row.model_asked = "databricks-claude-opus-4-6";
    row.status = 200;
    row.usage.input = input;
    row.usage.output = output;
    row.total = 5ms;
    return row;
}

Begin begin_of(const Row& row) {
    return {row.started_at, row.agent, row.dialect, row.route, row.model_asked};
}

void add(Ledger& ledger, const Row& row, std::atomic<int>* committed = nullptr) {
    const auto ticket = ledger.begin(begin_of(row));
    ledger.add(ticket, row, [committed](bool good) {
        if (committed && good) ++*committed;
    });
}

// One number of a query, read by a connection of its own.
std::int64_t ask(const Path& path, const std::string& sql) {
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
    const Connection connection(raw);
    sqlite3_busy_timeout(raw, 2000);
    Statement statement(raw, sql);
    INFO(sqlite3_errmsg(raw));
    REQUIRE(statement.step() == SQLITE_ROW);
    return statement.number(0);
}

std::vector<std::string> names(const Path& folder) {
    return *files.list(folder);
}

Ledger::Options options(const Path& file) {
    Ledger::Options result;
    result.file = file;
    result.lock_wait = 50ms;
    return result;
}

} // namespace

TEST_CASE("a row is in the file when its Done is called") {
    const Sandbox box;
    const Path path = box / "state/usage.db";
    const auto ledger = Ledger::open(options(path), files);
    CHECK(ledger->status().health == Ledger::Health::good);
    std::int64_t seen = -1;
    auto row = row_of("claude", 100, 7);
    row.usage.cache_write_1h = 3;
    row.usage.cache_write = 9;
    row.cost_usd = 0.25;
    row.price = "p";
    row.queued = 1500us;
    row.first_byte = 2500us;
    row.limit_hit = "limit 1";
    row.upstream_request_id = "req";
    ledger->add(ledger->begin(begin_of(row)), row, [&](bool committed) {
        CHECK(committed);
        seen = ask(path, "SELECT count(*) FROM requests");
    });
    ledger->flush();
    CHECK(seen == 1);
    CHECK(
        ask(path,
            "SELECT count(*) FROM requests WHERE agent='claude' AND input_tokens=100 AND output_tokens=7 AND "
            "cache_write_1h_tokens=3 AND cache_write_5m_tokens IS NULL AND cost_usd=0.25 AND queued_ms=1.5 "
            "AND "
            "first_byte_ms=2.5 AND total_ms=5.0 AND partial=0 AND limit_hit='limit 1' AND price='p' AND "
            "error_class IS NULL AND upstream_request_id='req'") == 1);
    CHECK(box.mode("state/usage.db") == 0600);
    CHECK(box.mode("state/usage.db-wal") == 0600);
    CHECK(box.mode("state") == 0700);
    CHECK(ledger->status().committed == 1);
    CHECK(ledger->status().waiting == 0);
}

TEST_CASE("a group of rows is committed on the caller's own thread, and lies in the order of time") {
    const Sandbox box;
    const Path path = box / "usage.db";
    const auto ledger = Ledger::open(options(path), files);
    std::vector<Ledger::Record> group;
    for (int i = 0; i < 5; ++i) {
        const auto row = row_of("claude", 1, static_cast<std::uint64_t>(i));
        group.push_back({ledger->begin(begin_of(row)), row});
    }
    REQUIRE(ledger->commit(group));
    CHECK(ask(path, "SELECT sum(output_tokens) FROM requests") == 10);
    CHECK(ask(path, "SELECT count(*) FROM requests AS a JOIN requests AS b ON a.id < b.id WHERE "
                    "a.output_tokens > b.output_tokens") == 0);
    CHECK(ask(path, "SELECT count(*) FROM requests WHERE id >> 21 = started_at") == 5);
    CHECK(ledger->status().committed == 5);

    // Another process's lock is not waited for here.
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
    const Connection other(raw);
    REQUIRE(execute(raw, "BEGIN IMMEDIATE") == SQLITE_OK);
    const auto row = row_of("codex", 1, 1);
    const Ledger::Record late{ledger->begin(begin_of(row)), row};
    const auto began = std::chrono::steady_clock::now();
    CHECK_FALSE(ledger->commit({&late, 1}));
    CHECK(std::chrono::steady_clock::now() - began < 40ms);
    std::atomic<int> committed{0};
    ledger->add(late.ticket, late.row, [&](bool good) { committed += good ? 1 : 0; });
    REQUIRE(execute(raw, "COMMIT") == SQLITE_OK);
    for (int i = 0; i < 400 && ledger->status().waiting > 0; ++i) ::usleep(5'000);
    ledger->flush();
    CHECK(ask(path, "SELECT count(*) FROM requests") == 6);
    CHECK(ledger->commit({&late, 1})); // there already: no second row
    CHECK(ask(path, "SELECT count(*) FROM requests") == 6);
}

TEST_CASE("threads that commit at once, with checkpoints in between, lose nothing") {
    const Sandbox box;
    const Path path = box / "usage.db";
    constexpr int each = 2'500;
    {
        const auto ledger = Ledger::open(options(path), files);
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    const auto row = row_of("codex", 1, 2);
                    const Ledger::Record record{ledger->begin(begin_of(row)), row};
                    if (!ledger->commit({&record, 1})) ledger->add(record.ticket, record.row, {});
                }
            });
        }
        for (auto& thread : threads) thread.join();
        // The log is brought into the file meanwhile: it does not grow without end.
        std::error_code none;
        CHECK(std::filesystem::file_size(path.string() + "-wal", none) < (30U << 20U));
    }
    CHECK(ask(path, "SELECT count(DISTINCT id) FROM requests") == 3 * each);
}

TEST_CASE("a ledger of the first version is brought up to this one: rows in the order of time, none lost") {
    const Sandbox box;
    const Path path = box / "usage.db";
    {
        sqlite3* raw = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
        const Connection old(raw);
        REQUIRE(execute(raw, R"sql(
            CREATE TABLE requests (id INTEGER PRIMARY KEY, started_at INTEGER NOT NULL, agent TEXT NOT NULL, dialect TEXT NOT NULL,
                route TEXT NOT NULL, model_asked TEXT NOT NULL, model_answered TEXT, status INTEGER NOT NULL, error_class TEXT,
                streamed INTEGER NOT NULL, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER,
                cache_write_tokens INTEGER, cache_write_5m_tokens INTEGER, cache_write_1h_tokens INTEGER,
                reasoning_tokens INTEGER, cost_usd REAL, price TEXT, partial INTEGER NOT NULL, queued_ms REAL NOT NULL,
                first_byte_ms REAL, total_ms REAL NOT NULL, limit_hit TEXT, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
                upstream_id TEXT, upstream_request_id TEXT,
                started TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch')) VIRTUAL);
            CREATE INDEX requests_started_at ON requests (started_at);
            CREATE TABLE proxies (instance INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL);
            CREATE TABLE ledger (identity TEXT NOT NULL);
            INSERT INTO ledger VALUES ('00ddba11c0ffee00');
            INSERT INTO proxies (started_at) VALUES (1);
            PRAGMA application_id = 0x64627861;
            PRAGMA user_version = 1;
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)
            INSERT INTO requests SELECT 4294967296 * (1 + i % 2) + i, 1764000000000 + i / 3, 'claude', 'messages', 'r', 'm', 'a', 200,
                NULL, 1, i, 2, 3, 4, 5, 6, 7, 0.5, 'p', 0, 1.5, 2.5, 3.5, 'l', 8, 9, 'u', 'x' FROM n;
        )sql") == SQLITE_OK);
    }
    const auto ledger = Ledger::open(options(path), files);
    CHECK(ledger->status().health == Ledger::Health::good);
    CHECK(ask(path, "PRAGMA user_version") == LedgerFile::version);
    CHECK(ask(path, "SELECT count(*) FROM requests WHERE id >> 21 = started_at AND upstream_request_id = 'x' "
                    "AND bytes_out = 9 AND "
                    "cost_usd = 0.5 AND total_ms = 3.5") == 300);
    CHECK(ask(path, "SELECT sum(input_tokens) FROM requests") == 299 * 150);
    const auto since = [&](std::int64_t ms) {
        return ledger->since(system::WallTime(std::chrono::milliseconds(ms)), {})->requests;
    };
    CHECK(since(0) == 300);
    CHECK(since(1'764'000'000'050) == 150);
    add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    CHECK(since(1'764'000'000'099) == 4);
}

TEST_CASE("ids of rows: in the order of time, apart for proxies, never twice") {
    const system::WallTime now(std::chrono::milliseconds(1'764'000'000'000));
    const auto first = next_row_id(0, now, 3);
    CHECK(first >= first_row_id(now));
    CHECK(first < first_row_id(now + 1ms));
    CHECK(next_row_id(first, now, 3) == first + 1);
    CHECK(next_row_id(first, now - 1h, 3) == first + 1); // the clock was set back
    CHECK(next_row_id(first, now + 1ms, 3) >= first_row_id(now + 1ms));
    CHECK(next_row_id(0, now, 4) - first == 1 << row_id_count_bits);
    CHECK(first_row_id(system::WallTime(std::chrono::hours(-1))) == 0);
}

TEST_CASE("many threads' rows are each there once, and nothing is left beside the file at the end") {
    const Sandbox box;
    const Path path = box / "usage.db";
    std::atomic<int> committed{0};
    {
        const auto ledger = Ledger::open(options(path), files);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) add(*ledger, row_of("codex", 1, 2), &committed);
            });
        }
        for (auto& thread : threads) thread.join();
    }
    CHECK(committed == 2000);
    CHECK(ask(path, "SELECT count(DISTINCT id) FROM requests") == 2000);
    CHECK(ask(path, "SELECT sum(input_tokens + output_tokens) FROM requests") == 6000);
    for (const auto& name : names(box.path())) CHECK(name.find("flight") == std::string::npos);
}

TEST_CASE("two ledgers share one file") {
    const Sandbox box;
    const Path path = box / "usage.db";
    auto shared = options(path);
    shared.lock_wait = 2s;
    {
        const auto one = Ledger::open(shared, files);
        const auto two = Ledger::open(shared, files);
        for (int i = 0; i < 200; ++i) {
            add(*one, row_of("claude", 1, 0));
            add(*two, row_of("codex", 1, 0));
        }
        one->flush();
        two->flush();
        CHECK(one->status().committed == 200);
        CHECK(two->status().committed == 200);
    }
    CHECK(ask(path, "SELECT count(DISTINCT id) FROM requests") == 400);
}

TEST_CASE("two ledgers that commit in turns: each goes on from the other's rows, at once") {
    const Sandbox box;
    const Path path = box / "usage.db";
    const auto one = Ledger::open(options(path), files);
    const auto two = Ledger::open(options(path), files);
    const auto row = row_of("claude", 1, 0);
    for (int i = 0; i < 60; ++i) {
        auto& ledger = i % 3 == 1 ? *two : *one; // also twice in a row
        std::vector<Ledger::Record> group;
        for (int n = 0; n <= i % 2; ++n) group.push_back({ledger.begin(begin_of(row)), row});
        CHECK(ledger.commit(group));
    }
    CHECK(ask(path, "SELECT count(DISTINCT id) FROM requests") == 90);
    CHECK(ask(path, "SELECT quick_check = 'ok' FROM pragma_quick_check") == 1);
}

TEST_CASE("two ledgers in turns where the file system has no write-ahead log") {
    // SQLite's own way to lock on such disks, with a file.
    sqlite3_vfs* const usual = sqlite3_vfs_find(nullptr);
    sqlite3_vfs* const dotfile = sqlite3_vfs_find("unix-dotfile");
    REQUIRE(dotfile != nullptr);
    sqlite3_vfs_register(dotfile, 1);
    const Sandbox box;
    const Path path = box / "usage.db";
    {
        auto one = LedgerFile::open(path, files, 0ms);
        auto two = LedgerFile::open(path, files, 0ms);
        REQUIRE(one);
        REQUIRE(two);
        const auto row = row_of("claude", 1, 0);
        for (std::int64_t id = 1; id <= 20; ++id) {
            const LedgerFile::Numbered rows[] = {{2 * id, &row}, {2 * id + 1, &row}};
            CHECK((id % 2 == 0 ? *one : *two).write(rows));
        }
        CHECK_FALSE(std::filesystem::exists(path.string() + "-wal"));
        CHECK(ask(path, "SELECT count(*) FROM requests") == 40);
    }
    sqlite3_vfs_register(usual, 1);
}

TEST_CASE("a reader keeps the log from being cut off, and nobody tries again with every row") {
    const Sandbox box;
    const Path path = box / "usage.db";
    auto reader = LedgerFile::open(path, files, 50ms);
    auto writer = LedgerFile::open(path, files, 50ms);
    REQUIRE(reader);
    REQUIRE(writer);
    const auto row = row_of("claude", 1, 0);
    std::int64_t id = 0;
    const auto write = [&](LedgerFile& file, int count) {
        for (int i = 0; i < count; ++i) {
            const LedgerFile::Numbered numbered{++id, &row};
            REQUIRE(file.write({&numbered, 1}));
        }
    };
    write(*reader, 1); // from now on it holds its place
    write(*writer, 500);
    CHECK(writer->log_pages() > 500);
    writer->checkpoint();
    CHECK(writer->log_pages() == 0);
    write(*writer, 2);
    CHECK(writer->log_pages() < 10);
    const auto size = [&] { return std::filesystem::file_size(path.string() + "-wal"); };
    const auto grown = size();
    reader->checkpoint(); // it lets go
    writer->checkpoint();
    write(*writer, 100); // at the log's beginning again
    CHECK(size() == grown);
    CHECK(writer->log_pages() < 200);
    write(*writer, 900); // beyond where it was when the checkpoint came
    CHECK(writer->log_pages() > 1'000);
    CHECK(ask(path, "SELECT count(*) FROM requests") == 1'503);
}

TEST_CASE("sums since a time, by agent and model") {
    const Sandbox box;
    const auto ledger = Ledger::open(options(box / "usage.db"), files);
    const auto now = std::chrono::system_clock::now();
    for (int i = 0; i < 3; ++i) {
        auto row = row_of(i == 2 ? "codex" : "claude", 10, 1);
        row.started_at = now - std::chrono::hours(i);
        if (i == 0) row.cost_usd = 1.5;
        if (i == 1) row.status = 500;
        add(*ledger, row);
    }
    ledger->flush();
    auto totals = ledger->since(now - 90min, {});
    REQUIRE(totals);
    CHECK(totals->requests == 2);
    CHECK(totals->errors == 1);
    CHECK(totals->unpriced == 1);
    CHECK(totals->counted() == 22);
    CHECK(totals->cost_usd == 1.5);
    totals = ledger->since(now - 24h, {"co*", "databricks-claude-*"});
    REQUIRE(totals);
    CHECK(totals->requests == 1);
    CHECK(ledger->since(now - 24h, {"", "gemini*"})->requests == 0);
}

TEST_CASE("a locked file: the answers go on, the rows follow when the lock is gone") {
    const Sandbox box;
    const Path path = box / "usage.db";
    std::vector<std::string> log;
    std::mutex mutex;
    auto with_log = options(path);
    with_log.log = [&](const std::string& sentence) {
        const std::lock_guard guard(mutex);
        log.push_back(sentence);
    };
    const auto ledger = Ledger::open(with_log, files);
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &raw) == SQLITE_OK);
    const Connection other(raw);
    REQUIRE(execute(raw, "BEGIN IMMEDIATE") == SQLITE_OK);
    std::atomic<int> committed{0};
    add(*ledger, row_of("claude", 1, 1), &committed);
    add(*ledger, row_of("claude", 1, 1), &committed);
    ledger->flush();
    CHECK(ledger->status().health == Ledger::Health::locked);
    CHECK(ledger->status().waiting == 2);
    CHECK(committed == 0);
    CHECK(ledger->since(std::chrono::system_clock::now() - 1h, {})->requests == 2);
    REQUIRE(execute(raw, "ROLLBACK") == SQLITE_OK);
    for (int i = 0; i < 400 && ledger->status().health != Ledger::Health::good; ++i) {
        std::this_thread::yield();
        ::usleep(10'000);
    }
    CHECK(ledger->status().health == Ledger::Health::good);
    CHECK(ask(path, "SELECT count(*) FROM requests") == 2);
    const std::lock_guard guard(mutex);
    CHECK(log.size() == 2);
}

TEST_CASE("rows in memory are bounded, and what is lost is counted") {
    const Sandbox box;
    auto small = options(box / "usage.db");
    small.memory_rows = 10;
    box.put("usage.db", "");
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open((box / "usage.db").c_str(), &raw) == SQLITE_OK);
    const Connection other(raw);
    const std::string sql =
        "PRAGMA user_version = 99; PRAGMA application_id = " + std::to_string(LedgerFile::application);
    REQUIRE(execute(raw, sql.c_str()) == SQLITE_OK);
    const auto ledger = Ledger::open(small, files);
    CHECK(ledger->status().health == Ledger::Health::newer);
    for (int i = 0; i < 30; ++i) add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    CHECK(ledger->status().waiting == 10);
    CHECK(ledger->status().lost == 20);
    CHECK(ask(box / "usage.db", "PRAGMA user_version") == 99);
    CHECK(ask(box / "usage.db", "SELECT count(*) FROM sqlite_master") == 0);
}

TEST_CASE("a file of something else is left alone") {
    const Sandbox box;
    box.put("notes.txt", "my notes, longer than a header of a database would be, much longer than that\n");
    {
        const auto ledger = Ledger::open(options(box / "notes.txt"), files);
        CHECK(ledger->status().health == Ledger::Health::unavailable);
        add(*ledger, row_of("claude", 1, 1));
        ledger->flush();
    }
    CHECK(box.get("notes.txt").substr(0, 8) == "my notes");
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open((box / "theirs.db").c_str(), &raw) == SQLITE_OK);
    REQUIRE(execute(raw, "CREATE TABLE ItemTable (key, value)") == SQLITE_OK);
    sqlite3_close(raw);
    const auto before = box.get("theirs.db");
    CHECK(Ledger::open(options(box / "theirs.db"), files)->status().health == Ledger::Health::unavailable);
    CHECK(box.get("theirs.db") == before);
    CHECK(Ledger::open(options(box.path()), files)->status().health == Ledger::Health::unavailable);
}

TEST_CASE("a corrupt file is set aside with all its bytes, and a new one begun") {
    const Sandbox box;
    const std::string junk = "SQLite format 3" + std::string(8000, 'x');
    box.put("usage.db", junk, 0600);
    const auto ledger = Ledger::open(options(box / "usage.db"), files);
    CHECK(ledger->status().health == Ledger::Health::good);
    const auto aside = ledger->status().set_aside;
    REQUIRE_FALSE(aside.empty());
    CHECK(box.get(Path(aside).filename()) == junk);
    add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    CHECK(ask(box / "usage.db", "SELECT count(*) FROM requests") == 1);
}

TEST_CASE("a file that breaks under way is set aside, and no row is missing afterwards") {
    const Sandbox box;
    const Path path = box / "usage.db";
    {
        const auto ledger = Ledger::open(options(path), files);
        for (int i = 0; i < 2000; ++i) add(*ledger, row_of("claude", 1, 1));
    }
    auto bytes = box.get("usage.db");
    REQUIRE(bytes.size() > 100'000);
    std::fill(bytes.begin() + 4096, bytes.end(), '\x55'); // the header and the schema stay
    box.put("usage.db", bytes, 0600);
    const auto ledger = Ledger::open(options(path), files);
    for (int i = 0; i < 5; ++i) add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    ledger->flush();
    CHECK(ledger->status().health == Ledger::Health::good);
    CHECK_FALSE(ledger->status().set_aside.empty());
    CHECK(ask(path, "SELECT count(*) FROM requests") == 5);
}

TEST_CASE("a file that somebody removes is begun anew") {
    const Sandbox box;
    const Path path = box / "usage.db";
    const auto ledger = Ledger::open(options(path), files);
    add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    for (const char* name : {"usage.db", "usage.db-wal", "usage.db-shm"}) REQUIRE(files.remove(box / name));
    add(*ledger, row_of("claude", 1, 1));
    ledger->flush();
    ledger->flush();
    CHECK(ledger->status().health == Ledger::Health::good);
    CHECK(ask(path, "SELECT count(*) FROM requests") == 1);
}

TEST_CASE("what a killed process had in flight becomes rows at the next start, once") {
    const Sandbox box;
    const Path path = box / "usage.db";
    int told = 0;
    for (int round = 0; round < 12; ++round) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto patient = options(path);
            patient.lock_wait = 5s;
            const auto ledger = Ledger::open(patient, files);
            for (int i = 0;; ++i) {
                auto row = row_of("claude", 1, 1);
                row.model_asked = std::to_string(round * 1'000'000 + i);
                const auto ticket = ledger->begin(begin_of(row));
                if (i % 50 == 49) continue; // never ends
                const Ledger::Record record{ticket, row};
                if (i % 2 == 1 && ledger->commit({&record, 1})) {
                    if (::write(ends[1], ".", 1) != 1) ::_exit(2);
                    continue;
                }
                ledger->add(ticket, row, [&](bool committed) {
                    if (committed && ::write(ends[1], ".", 1) != 1) ::_exit(2);
                });
                if (i % 7 == 0) ::usleep(100);
            }
        }
        ::close(ends[1]);
        char dot = 0;
        for (int i = 0; i < 30 + 37 * round; ++i) REQUIRE(::read(ends[0], &dot, 1) == 1);
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        int more = 0;
        while (::read(ends[0], &dot, 1) == 1) ++more;
        ::close(ends[0]);
        told += 30 + 37 * round + more;
    }
    const auto ledger = Ledger::open(options(path), files);
    const auto status = ledger->status();
    CHECK(status.health == Ledger::Health::good);
    const auto committed = ask(path, "SELECT count(*) FROM requests WHERE error_class IS NULL");
    CHECK(committed >= told);
    const auto killed = ask(
        path, "SELECT count(*) FROM requests WHERE error_class = 'killed' AND status = 0 AND partial = 1");
    CHECK(killed > 0);
    CHECK(ask(path, "SELECT count(*) FROM requests") == committed + killed);
    CHECK(ask(path, "SELECT count(DISTINCT id) FROM requests") == committed + killed);
    // Every request of every process is a row, exactly once.
    CHECK(ask(path, "SELECT count(*) FROM (SELECT CAST(model_asked AS INT) / 1000000 AS r, "
                    "max(CAST(model_asked AS INT) % 1000000) AS n, count(*) AS c "
                    "FROM requests GROUP BY r) WHERE n + 1 != c") == 0);
    CHECK(ask(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1);
    const auto again = Ledger::open(options(path), files);
    CHECK(ask(path, "SELECT count(*) FROM requests") == committed + killed);
}

TEST_CASE("a full disk: the rows wait, and are there when there is room again") {
    const Sandbox box;
    const auto outcome = system::tests::with_own_mounts([&]() -> std::string {
        const Path folder = box / "small";
        if (!files.make_directories(folder, 0700)) return "folder";
        if (std::system(("mount -t tmpfs -o size=4m tmpfs " + folder.string()).c_str()) != 0)
            return "no mount";
        const auto ledger = Ledger::open(options(folder / "usage.db"), files);
        if (ledger->status().health != Ledger::Health::good) return "open: " + ledger->status().why;
        { std::ofstream(folder / "ballast") << std::string(4 << 20, 'x'); }
        std::atomic<int> committed{0};
        for (int i = 0; i < 3'000; ++i) add(*ledger, row_of("claude", 1, 1), &committed);
        ledger->flush();
        if (ledger->status().health != Ledger::Health::full) return "health: " + ledger->status().why;
        std::filesystem::remove(folder / "ballast");
        for (int i = 0; i < 800 && ledger->status().health != Ledger::Health::good; ++i) ::usleep(10'000);
        const auto totals = ledger->since(std::chrono::system_clock::now() - 1h, {});
        return totals ? std::to_string(totals->requests) : totals.error().why;
    });
    if (!outcome || *outcome == "no mount") {
        MESSAGE("no mounts here");
        return;
    }
    CHECK(*outcome == "3000");
}

TEST_CASE("old rows are forgotten, new ones stay") {
    const Sandbox box;
    const Path path = box / "usage.db";
    {
        const auto ledger = Ledger::open(options(path), files);
        for (int i = 0; i < 1'200; ++i) {
            auto row = row_of("claude", 1, 1);
            if (i < 1'190) row.started_at -= std::chrono::hours(24 * 401);
            add(*ledger, row);
        }
    }
    auto keeping = options(path);
    keeping.keep = *parse_keep("400d");
    const auto ledger = Ledger::open(keeping, files);
    for (int i = 0; i < 400 && ask(path, "SELECT count(*) FROM requests") != 10; ++i) {
        ledger->flush();
        ::usleep(1'000);
    }
    CHECK(ask(path, "SELECT count(*) FROM requests") == 10);
}

TEST_CASE("times to keep rows") {
    CHECK(*parse_keep("400d") == std::chrono::hours(9600));
    CHECK(*parse_keep(" 12h ") == std::chrono::hours(12));
    CHECK(*parse_keep("2w") == std::chrono::hours(336));
    for (const char* wrong : {"", "d", "0d", "-1d", "400", "4 d", "1m", "99999999999999999999d"})
        CHECK_FALSE(parse_keep(wrong));
}
