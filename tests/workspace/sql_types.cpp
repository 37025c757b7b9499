#include "tests/workspace/sql_types.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>

namespace dbx::standin {

using nlohmann::json;

namespace {

struct TypeWord {
    const char* text;    // canonical
    const char* uc_name; // Unity Catalog's type_name
    const char* spark;   // in Spark's JSON
};

constexpr std::array words = {
    TypeWord{"boolean", "BOOLEAN", "boolean"},
    TypeWord{"tinyint", "BYTE", "byte"},
    TypeWord{"smallint", "SHORT", "short"},
    TypeWord{"int", "INT", "integer"},
    TypeWord{"bigint", "LONG", "long"},
    TypeWord{"float", "FLOAT", "float"},
    TypeWord{"double", "DOUBLE", "double"},
    TypeWord{"date", "DATE", "date"},
    TypeWord{"timestamp", "TIMESTAMP", "timestamp"},
    TypeWord{"timestamp_ntz", "TIMESTAMP_NTZ", "timestamp_ntz"},
    TypeWord{"string", "STRING", "string"},
    TypeWord{"binary", "BINARY", "binary"},
    TypeWord{"decimal", "DECIMAL", "decimal"},
    TypeWord{"char", "CHAR", "char"},
    TypeWord{"varchar", "STRING", "varchar"},
    TypeWord{"variant", "VARIANT", "variant"},
    TypeWord{"array", "ARRAY", "array"},
    TypeWord{"map", "MAP", "map"},
    TypeWord{"struct", "STRUCT", "struct"},
};

constexpr std::array<std::pair<const char*, const char*>, 7> aliases = {{
    {"byte", "tinyint"},
    {"short", "smallint"},
    {"integer", "int"},
    {"long", "bigint"},
    {"real", "float"},
    {"dec", "decimal"},
    {"numeric", "decimal"},
}};

const TypeWord* find_word(std::string_view text) {
    for (const TypeWord& word : words)
        if (text == word.text) return &word;
    return nullptr;
}

std::string with_size(const SqlType& type, const char* word) {
    if (type.name == "decimal")
        return std::string(word) + "(" + std::to_string(type.precision) + "," + std::to_string(type.scale) +
               ")";
    if (type.name == "char" || type.name == "varchar")
        return std::string(word) + "(" + std::to_string(type.precision) + ")";
    return word;
}

std::string quoted(const std::string& name) {
    return is_plain_identifier(name) ? name : "`" + replace_all(name, "`", "``") + "`";
}

json type_json(const SqlType& type) {
    if (type.name == "array")
        return {{"type", "array"}, {"elementType", type_json(type.children[0].type)}, {"containsNull", true}};
    if (type.name == "map")
        return {{"type", "map"},
                {"keyType", type_json(type.children[0].type)},
                {"valueType", type_json(type.children[1].type)},
                {"valueContainsNull", true}};
    if (type.name == "struct") {
        json fields = json::array();
        for (const SqlField& field : type.children)
            fields.push_back(column_json(field.name, field.type, field.nullable, field.comment));
        return {{"type", "struct"}, {"fields", fields}};
    }
    const TypeWord* word = find_word(type.name);
    return with_size(type, word ? word->spark : type.name.c_str());
}

} // namespace

std::string canonical_type(std::string_view word) {
    std::string lower = to_lower(word);
    for (const auto& [alias, canonical] : aliases)
        if (lower == alias) return canonical;
    return find_word(lower) ? lower : std::string();
}

bool is_plain_identifier(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

std::string type_text(const SqlType& type) {
    if (type.name != "array" && type.name != "map" && type.name != "struct")
        return with_size(type, type.name.c_str());
    std::string out = type.name + "<";
    for (std::size_t i = 0; i < type.children.size(); ++i) {
        if (i > 0) out += ",";
        if (type.name == "struct") out += quoted(type.children[i].name) + ":";
        out += type_text(type.children[i].type);
    }
    return out + ">";
}

std::string type_name(const SqlType& type) {
    const TypeWord* word = find_word(type.name);
    return word ? word->uc_name : "USER_DEFINED_TYPE";
}

json column_json(const std::string& name, const SqlType& type, bool nullable, const std::string& comment) {
    json metadata = json::object();
    if (!comment.empty()) metadata["comment"] = comment;
    return {{"name", name}, {"type", type_json(type)}, {"nullable", nullable}, {"metadata", metadata}};
}

} // namespace dbx::standin
