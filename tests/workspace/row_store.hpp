#pragma once

#include "tests/workspace/state.hpp"

#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;

namespace dbx::standin {

// The rows of the tables, in DIR/rows.db: SQLite table `rows` (id, tbl: the full name in lower case, hidden:
// looks left until a SELECT sees it, row: one JSON object, a member per column). Throws std::runtime_error.
class RowStore {
  public:
    explicit RowStore(const std::string& path);
    ~RowStore();
    RowStore(const RowStore&) = delete;
    RowStore& operator=(const RowStore&) = delete;

    // All of them, or on an error none. `hidden`: that many looks do not see them yet.
    void add(std::string_view table, const Json& rows, std::int64_t hidden);
    // In the order in which they came. `all`: also those that no SELECT sees yet.
    enum class Which { all, visible };
    Json rows(std::string_view table, Which which) const;
    // One look at a table: what is on its way comes nearer.
    void look(std::string_view table);
    void erase(std::string_view table);
    void clear();

    sqlite3* handle() const { return db_; }

  private:
    void run(const std::string& sql) const;
    sqlite3* db_ = nullptr;
};

} // namespace dbx::standin
