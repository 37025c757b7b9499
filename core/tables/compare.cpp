#include "core/tables/compare.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::tables {

namespace {

// A table's columns as the fields of one struct, so that columns and nested fields are compared by one rule.
ColumnType row_type(const TableSchema& schema) {
    ColumnType row{"struct", {}};
    for (const auto& column : schema.columns) row.fields.push_back({column.name, column.type, true});
    return row;
}

ColumnType row_type(const databricks::TableInfo& table) {
    ColumnType row{"struct", {}};
    for (const auto& column : table.columns) {
        auto type = parse_type(column.type_text);
        // A type that cannot be read is none of the documented ones; its own words are shown.
        if (!type) type = ColumnType{column.type_text.empty() ? "(no type)" : column.type_text, {}};
        row.fields.push_back({column.name, std::move(*type), column.nullable});
    }
    return row;
}

Difference::Kind kind_of(TypeDifference::Kind kind) {
    switch (kind) {
    case TypeDifference::Kind::missing:
        return Difference::Kind::missing_column;
    case TypeDifference::Kind::extra:
        return Difference::Kind::extra_column;
    case TypeDifference::Kind::order:
        return Difference::Kind::order;
    case TypeDifference::Kind::not_null:
        return Difference::Kind::not_null;
    case TypeDifference::Kind::type:
        break;
    }
    return Difference::Kind::type;
}

std::string cell(const std::vector<std::optional<std::string>>& row, std::size_t index) {
    return index < row.size() && row[index] ? *row[index] : std::string();
}

} // namespace

std::string_view name_of(Difference::Kind kind) {
    switch (kind) {
    case Difference::Kind::missing_column:
        return "missing_column";
    case Difference::Kind::extra_column:
        return "extra_column";
    case Difference::Kind::type:
        return "type";
    case Difference::Kind::order:
        return "order";
    case Difference::Kind::not_null:
        return "not_null";
    case Difference::Kind::table_type:
        return "table_type";
    case Difference::Kind::format:
        return "format";
    case Difference::Kind::property:
        return "property";
    }
    return "type";
}

std::string describe(const Difference& difference) {
    const auto& d = difference;
    const std::string found = d.found.empty() ? "not set" : d.found;
    switch (d.kind) {
    case Difference::Kind::missing_column:
        return "column " + d.column + ": missing, must be " + d.expected;
    case Difference::Kind::extra_column:
        return "column " + d.column + ": is " + d.found + ", must not be there";
    case Difference::Kind::type:
        return "column " + d.column + ": is " + d.found + ", must be " + d.expected;
    case Difference::Kind::order:
        return "column " + d.column + ": is in place " + d.found + ", must be in place " + d.expected;
    case Difference::Kind::not_null:
        return "column " + d.column + ": is NOT NULL, must accept NULL";
    case Difference::Kind::table_type:
        return "table type: is " + found + ", must be " + d.expected;
    case Difference::Kind::format:
        return "format: is " + found + ", must be " + d.expected;
    case Difference::Kind::property:
        return "property " + d.column + ": is " + found + ", must be " + d.expected;
    }
    return {};
}

std::vector<Difference> compare(const TableSchema& expected, const databricks::TableInfo& found) {
    std::vector<Difference> result;
    for (auto& difference : compare_types(row_type(expected), row_type(found))) {
        // Paths begin with the dot of the row's struct.
        result.push_back({kind_of(difference.kind),
                          difference.path.substr(std::min<std::size_t>(1, difference.path.size())),
                          std::move(difference.expected), std::move(difference.found)});
    }
    if (!iequals(found.table_type, "MANAGED"))
        result.push_back({Difference::Kind::table_type, "", "MANAGED", found.table_type});
    if (!iequals(found.data_source_format, "DELTA"))
        result.push_back({Difference::Kind::format, "", "DELTA", found.data_source_format});
    for (const auto& [name, value] : expected.properties) {
        const auto property = found.properties.find(name);
        const std::string is = property == found.properties.end() ? std::string() : property->second;
        if (is != value) result.push_back({Difference::Kind::property, name, value, is});
    }
    return result;
}

std::optional<databricks::TableInfo> read_description(const databricks::StatementResult& result) {
    if (result.columns.size() < 2 || result.truncated) return std::nullopt;
    databricks::TableInfo table;
    bool columns = true, details = false;
    for (const auto& row : result.rows) {
        const std::string key = cell(row, 0), value = cell(row, 1);
        if (key.empty() || key.starts_with("# ")) { // the end of a section, or the head of the next
            columns = false;
            details = key == "# Detailed Table Information";
            continue;
        }
        if (columns) {
            table.columns.push_back(
                {key, value, static_cast<std::int64_t>(table.columns.size()), true, cell(row, 2)});
        } else if (details) {
            if (key == "Type") table.table_type = value;
            if (key == "Provider") table.data_source_format = value;
            if (key == "Owner") table.owner = value;
            if (key == "Table Properties" && value.size() >= 2) { // "[a=b,c=d]"
                for (const auto& pair : split(std::string_view(value).substr(1, value.size() - 2), ',')) {
                    const auto equals = pair.find('=');
                    if (equals != std::string::npos)
                        table.properties[std::string(trim(std::string_view(pair).substr(0, equals)))] =
                            pair.substr(equals + 1);
                }
            }
        }
    }
    if (table.table_type.empty()) return std::nullopt;
    return table;
}

} // namespace dbx::tables
