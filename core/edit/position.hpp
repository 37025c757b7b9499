#pragma once

#include "core/edit/document.hpp"

#include <string>
#include <string_view>

namespace dbx::edit {

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// Line and column of a byte offset. Lines end with LF; a byte-order mark is not a column.
Position position_at(std::string_view text, std::size_t offset);

// "line L, column C: reason", the form of every `why` about a text.
std::string at_position(Position position, std::string_view reason);

} // namespace dbx::edit
