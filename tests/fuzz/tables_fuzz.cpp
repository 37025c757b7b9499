// Types and tables as a workspace tells them: whatever it says, it is read or refused, and compared.
#include "core/base/strings.hpp"
#include "core/tables/compare.hpp"
#include "core/tables/types.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

namespace {

using namespace dbx;

void require(bool condition) {
    if (!condition) std::abort();
}

// Two fields of one name: no table has that, and of two such types each has a field too many.
bool has_twins(const tables::ColumnType& type) {
    std::set<std::string> names;
    return std::any_of(type.fields.begin(), type.fields.end(), [&](const auto& field) {
        return (type.name == "struct" && !names.insert(to_lower(field.name)).second) || has_twins(field.type);
    });
}

void judge_type(std::string_view text) {
    const auto type = tables::parse_type(text);
    if (!type) return;
    // What is printed is a type again, the same one, printed the same.
    const auto canonical = tables::to_text(*type);
    const auto again = tables::parse_type(canonical);
    require(again.has_value() && tables::to_text(*again) == canonical);
    require(tables::compare_types(*again, *again).empty() != has_twins(*again));
    // Both ways round, against every type of the documents.
    for (const auto signal : tables::all_signals) {
        for (const auto& column : tables::documented_schema(signal).columns) {
            (void)tables::compare_types(column.type, *type);
            (void)tables::compare_types(*type, column.type);
        }
    }
}

// Rows are lines, cells are parted by tabs; "\0" alone is a null.
databricks::StatementResult rows_of(std::string_view text) {
    databricks::StatementResult result;
    result.columns = {{"col_name", "STRING"}, {"data_type", "STRING"}, {"comment", "STRING"}};
    for (const auto& line : split(text, '\n')) {
        auto& row = result.rows.emplace_back();
        for (const auto& cell : split(line, '\t')) {
            if (cell == std::string(1, '\0'))
                row.emplace_back(std::nullopt);
            else
                row.emplace_back(cell);
        }
    }
    return result;
}

void judge_description(std::string_view text) {
    const auto table = tables::read_description(rows_of(text));
    if (!table) return;
    for (const auto signal : tables::all_signals) {
        const auto& schema = tables::documented_schema(signal);
        bool differs_in_columns = false;
        for (const auto& difference : tables::compare(schema, *table)) {
            require(!tables::describe(difference).empty());
            differs_in_columns = differs_in_columns || !difference.column.empty();
        }
        require(differs_in_columns || table->columns.size() == schema.columns.size());
    }
}

} // namespace

// The first byte tells which of the two.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0)
        judge_description(text);
    else
        judge_type(text);
    return 0;
}
