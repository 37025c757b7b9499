#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::tables {

struct TypeField;

// A column's type, as data. Names of types are canonical: lower case, bigint for LONG, int for INTEGER.
struct ColumnType {
    std::string name; // "string", "struct", "array", "map", "decimal(10,2)"
    // struct: its fields; array: one field without a name; map: key and value without names.
    std::vector<TypeField> fields;
};

struct TypeField {
    std::string name;
    ColumnType type;
    bool nullable = true;
};

// Reads a type in any of the forms in which people and Databricks write it: "STRUCT<a: LONG, b: MAP<STRING,
// STRING>>", "struct<a:bigint,b:map<string,string>>", "STRUCT<a LONG NOT NULL COMMENT 'x'>". Nothing when it
// is not a type, or nested deeper than 64 levels. For foreign bytes.
std::optional<ColumnType> parse_type(std::string_view text);

// Canonical: "struct<a:bigint,b:map<string,string>>". Equal types have equal texts, but for the case of field
// names, which is kept.
std::string to_text(const ColumnType& type);

// A place at which two types differ.
struct TypeDifference {
    enum class Kind { type, missing, extra, order, not_null };
    Kind kind = Kind::type;
    std::string path;     // ".exemplars[].value", "{key}", empty: the type itself
    std::string expected; // canonical types, or the position of a field, from 1
    std::string found;
};

// Every difference, outermost only; names are compared in any case of letters, as Delta does.
std::vector<TypeDifference> compare_types(const ColumnType& expected, const ColumnType& found);

// For things that stand in some order, the position that each should have: the indexes of those that have to
// move, as few as possible.
std::vector<std::size_t> out_of_order(const std::vector<std::size_t>& wanted_positions);

} // namespace dbx::tables
