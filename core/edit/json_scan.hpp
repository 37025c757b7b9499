#pragma once

#include "core/edit/formats.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

enum class JsonKind : std::uint8_t { object, array, string, number, boolean, null };

// A value in the text. Offsets are 32 bits because max_file_bytes is far below 4 GiB.
struct JsonNode {
    std::uint32_t begin = 0, end = 0;         // of the value
    std::uint32_t key_begin = 0, key_end = 0; // of the member's name with its quotes; 0, 0: no member
    std::uint32_t next = 0;                   // sibling; 0: none
    std::uint32_t children = 0;               // the first child of a container is the node after it
    JsonKind kind = JsonKind::null;

    bool is_member() const { return key_end != 0; }
    bool is_container() const { return kind == JsonKind::object || kind == JsonKind::array; }
    // Where the member begins (its key), or the element.
    std::uint32_t item_begin() const { return is_member() ? key_begin : begin; }
};

// The nodes of a text in text order; the first is the root. Fails as Document::parse says.
Result<std::vector<JsonNode>> scan_json(std::string_view text, Comments comments);

// The content of a string as it is spelled with its quotes; the scanner has accepted it.
std::string decode_json_string(std::string_view spelling);

// The value of the subtree at `nodes[index]`.
Value json_value(std::string_view text, const std::vector<JsonNode>& nodes, std::uint32_t index);

// "an object", "a string"...
std::string_view json_kind_name(JsonKind kind);

// The first offset at or after `at` that is neither white space nor comment.
std::size_t skip_json_trivia(std::string_view text, std::size_t at);

// Deeper nesting is refused.
inline constexpr std::size_t max_json_depth = 500;

} // namespace dbx::edit
