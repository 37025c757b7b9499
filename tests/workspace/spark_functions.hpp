#pragma once

#include <cstdint>
#include <string>

struct sqlite3;

namespace dbx::standin {

// Gives SQLite what Spark has and it has not: spark_cast_bigint(text, try), spark_date(microseconds), …
// Errors are Spark's in ANSI mode. Doing it twice is fine.
void add_spark_functions(sqlite3* db);

// "2026-11-28T15:39:06.123Z", as the statement API writes a TIMESTAMP.
std::string timestamp_text(std::int64_t microseconds);

} // namespace dbx::standin
