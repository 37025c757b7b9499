#pragma once

#include "core/edit/value.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// How a text is laid out at one place; what is printed there follows it.
struct JsonStyle {
    std::string eol = "\n";
    std::string unit = "  ";  // one step of indentation
    std::string colon = ": "; // between a key and its value
    std::string gap = " ";    // after a comma within a line
    std::string pad = "";     // inside the braces of a one-line object
};

enum class JsonLayout { lines, one_line };

// A member that the text does not have yet: a value, a spelling, or an object of further new members.
struct NewMember {
    std::string key;
    std::optional<Value> value = {};
    std::optional<std::string> raw = {};
    std::vector<NewMember> members = {};
};

std::string json_quoted(std::string_view text);

// `indent` is that of the line on which the value begins. Arrays of scalars stay on one line while they are
// short, unless `array_layout` says otherwise.
std::string print_json(const Value& value, const JsonStyle& style, JsonLayout layout,
                       const std::string& indent, std::optional<JsonLayout> array_layout = {});

// key, colon and value.
std::string print_member(const NewMember& member, const JsonStyle& style, JsonLayout layout,
                         const std::string& indent);

} // namespace dbx::edit
