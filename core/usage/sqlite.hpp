#pragma once

// Internal to core/usage: SQLite's handles with a lifetime.

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace dbx::usage {

struct SqliteClose {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Connection = std::unique_ptr<sqlite3, SqliteClose>;

// A prepared statement; empty when SQLite refused it.
class Statement {
  public:
    Statement() = default;
    Statement(sqlite3* database, std::string_view sql) {
        sqlite3_stmt* raw = nullptr;
        code_ = sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                   SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
        statement_.reset(raw);
    }
    int code() const { return code_; }
    explicit operator bool() const { return statement_ != nullptr; }

    int step() { return statement_ ? sqlite3_step(statement_.get()) : code_; }
    void reset() { sqlite3_reset(statement_.get()); }

    // Parameters count from 1. Texts must live until the next reset.
    void bind(int at, std::string_view text) {
        mark(at);
        sqlite3_bind_text(statement_.get(), at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    }
    // An empty text becomes NULL.
    void bind_word(int at, std::string_view text) {
        if (text.empty())
            null(at);
        else
            bind(at, text);
    }
    void bind(int at, std::int64_t value) {
        mark(at);
        sqlite3_bind_int64(statement_.get(), at, value);
    }
    void bind(int at, double value) {
        mark(at);
        sqlite3_bind_double(statement_.get(), at, value);
    }
    void bind(int at, const std::optional<std::uint64_t>& value) {
        if (value)
            bind(at, static_cast<std::int64_t>(*value));
        else
            null(at);
    }
    // What was never bound is NULL already.
    void null(int at) {
        const auto bit = std::uint64_t{1} << (at % 64);
        if ((bound_ & bit) == 0) return;
        bound_ &= ~bit;
        sqlite3_bind_null(statement_.get(), at);
    }

    // Columns count from 0.
    bool is_null(int at) { return sqlite3_column_type(statement_.get(), at) == SQLITE_NULL; }
    std::int64_t number(int at) { return sqlite3_column_int64(statement_.get(), at); }
    std::uint64_t count(int at) {
        const auto value = number(at);
        return value < 0 ? 0 : static_cast<std::uint64_t>(value);
    }
    double real(int at) { return sqlite3_column_double(statement_.get(), at); }
    std::string_view text(int at) {
        const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), at));
        if (bytes == nullptr) return {};
        return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), at))};
    }

  private:
    void mark(int at) { bound_ |= std::uint64_t{1} << (at % 64); }

    std::unique_ptr<sqlite3_stmt, SqliteClose> statement_;
    std::uint64_t bound_ = 0; // parameters (up to 63) that are not NULL
    int code_ = SQLITE_OK;
};

// One statement without a result. SQLite's (extended) code.
inline int execute(sqlite3* database, const char* sql) {
    return sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
}

} // namespace dbx::usage
