#include "tests/workspace/row_store.hpp"

#include "core/base/strings.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include <memory>
#include <stdexcept>

namespace dbx::standin {

namespace {

struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

Prepared prepare(sqlite3* db, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK)
        throw std::runtime_error(std::string("rows.db: ") + sqlite3_errmsg(db));
    return Prepared(statement);
}

void bind_text(const Prepared& statement, int index, const std::string& text) {
    sqlite3_bind_text(statement.get(), index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

void done(sqlite3* db, const Prepared& statement) {
    if (sqlite3_step(statement.get()) != SQLITE_DONE)
        throw std::runtime_error(std::string("rows.db: ") + sqlite3_errmsg(db));
}

} // namespace

RowStore::RowStore(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) {
        const std::string why = db_ ? sqlite3_errmsg(db_) : "no memory";
        sqlite3_close(db_);
        throw std::runtime_error("cannot open " + path + ": " + why);
    }
    ::chmod(path.c_str(), 0600);
    // A kill of the program loses nothing in this mode, only one of the machine would.
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA case_sensitive_like=ON;"
        "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, tbl TEXT NOT NULL, hidden INTEGER NOT "
        "NULL, "
        "row TEXT NOT NULL); CREATE INDEX IF NOT EXISTS rows_tbl ON rows (tbl)");
}

RowStore::~RowStore() {
    sqlite3_close(db_);
}

void RowStore::run(const std::string& sql) const {
    char* error = nullptr;
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &error) == SQLITE_OK) return;
    const std::string why = error ? error : "unknown";
    sqlite3_free(error);
    throw std::runtime_error("rows.db: " + why);
}

void RowStore::add(std::string_view table, const Json& rows, std::int64_t hidden) {
    run("BEGIN IMMEDIATE");
    try {
        const Prepared insert = prepare(db_, "INSERT INTO rows (tbl, hidden, row) VALUES (?, ?, ?)");
        for (const Json& row : rows) {
            bind_text(insert, 1, to_lower(table));
            sqlite3_bind_int64(insert.get(), 2, hidden);
            bind_text(insert, 3, row.dump());
            done(db_, insert);
            sqlite3_reset(insert.get());
        }
        run("COMMIT");
    } catch (...) {
        sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
        throw;
    }
}

Json RowStore::rows(std::string_view table, Which which) const {
    const Prepared select =
        prepare(db_, which == Which::all ? "SELECT row FROM rows WHERE tbl = ? ORDER BY id"
                                         : "SELECT row FROM rows WHERE tbl = ? AND hidden = 0 ORDER BY id");
    bind_text(select, 1, to_lower(table));
    Json out = Json::array();
    int code = SQLITE_ROW;
    while ((code = sqlite3_step(select.get())) == SQLITE_ROW) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(select.get(), 0));
        out.push_back(Json::parse(
            std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(select.get(), 0)))));
    }
    if (code != SQLITE_DONE) throw std::runtime_error(std::string("rows.db: ") + sqlite3_errmsg(db_));
    return out;
}

void RowStore::look(std::string_view table) {
    const Prepared update = prepare(db_, "UPDATE rows SET hidden = hidden - 1 WHERE tbl = ? AND hidden > 0");
    bind_text(update, 1, to_lower(table));
    done(db_, update);
}

void RowStore::erase(std::string_view table) {
    const Prepared remove = prepare(db_, "DELETE FROM rows WHERE tbl = ?");
    bind_text(remove, 1, to_lower(table));
    done(db_, remove);
}

void RowStore::clear() {
    run("DELETE FROM rows");
}

} // namespace dbx::standin
