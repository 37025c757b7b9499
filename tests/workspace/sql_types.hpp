#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::standin {

struct SqlField;

// A Spark SQL type. `name` is the canonical word in lower case (bigint, never long); an array has one child,
// a map two, a struct one per field.
struct SqlType {
    std::string name;
    int precision = 0; // decimal; length of char and varchar
    int scale = 0;
    std::vector<SqlField> children;
};

struct SqlField {
    std::string name; // of a struct's field; empty in arrays and maps
    SqlType type;
    bool nullable = true;
    std::string comment;
};

// The canonical word of a simple type or of one of its aliases (LONG, INTEGER, DEC, …); empty: no such type.
std::string canonical_type(std::string_view word);

// "struct<a:bigint,b:map<string,string>>", as DESCRIBE and Unity Catalog write it.
std::string type_text(const SqlType& type);
// "LONG", "INT", "STRUCT": Unity Catalog's type_name.
std::string type_name(const SqlType& type);
// Spark's JSON form of one column: {"name","type","nullable","metadata"}.
nlohmann::json column_json(const std::string& name, const SqlType& type, bool nullable,
                           const std::string& comment);

// Letters, digits and _ only: needs no back-quotes.
bool is_plain_identifier(std::string_view name);

} // namespace dbx::standin
