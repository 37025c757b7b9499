#pragma once

#include "core/databricks/catalog.hpp"
#include "core/databricks/statements.hpp"
#include "core/tables/schema.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::tables {

// One way in which a table is not what is documented.
struct Difference {
    enum class Kind { missing_column, extra_column, type, order, not_null, table_type, format, property };
    Kind kind = Kind::type;
    std::string column; // "sum", nested: "sum.exemplars[].value"; of kind property its name; otherwise empty
    std::string expected; // canonical; empty where nothing is expected
    std::string found;    // empty where nothing is found
};

// "missing_column", "type", …
std::string_view name_of(Difference::Kind kind);

// One line for people: "column sum.value: is string, must be double".
std::string describe(const Difference& difference);

// Column by column: names in any case, nested types, order; MANAGED, DELTA, otel.schemaVersion. Further
// properties (Delta adds its own) and comments are fine.
std::vector<Difference> compare(const TableSchema& expected, const databricks::TableInfo& found);

// The table that a DESCRIBE TABLE EXTENDED told of. Nothing when the rows are not of that form.
std::optional<databricks::TableInfo> read_description(const databricks::StatementResult& result);

} // namespace dbx::tables
