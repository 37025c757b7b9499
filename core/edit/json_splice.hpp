#pragma once

#include "core/edit/json_print.hpp"
#include "core/edit/json_scan.hpp"
#include "core/edit/splice.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Prints one new item (a member or an element) for a place.
using ItemPrinter =
    std::function<std::string(const JsonStyle& style, JsonLayout layout, const std::string& indent)>;

// Turns changes of a container's items into splices: whose comma goes, which line goes, where a new item goes
// and what it looks like.
class JsonSplicer {
  public:
    JsonSplicer(std::string_view text, const std::vector<JsonNode>& nodes)
        : text_(text)
        , nodes_(nodes) {}

    // `ancestors`: the containers around `container`, outermost first. `removed` in text order.
    std::vector<Splice> change_items(std::uint32_t container, const std::vector<std::uint32_t>& ancestors,
                                     const std::vector<std::uint32_t>& removed,
                                     const std::vector<ItemPrinter>& added);

    // The spelling of `value` in the place of `nodes[index]`.
    std::string replacement(std::uint32_t index, const std::vector<std::uint32_t>& ancestors,
                            const Value& value);

  private:
    struct Item {
        std::uint32_t node = 0;
        std::size_t begin = 0, end = 0;
        std::size_t comma = 0; // after the item; 0: none
        bool removed = false;
    };
    struct Work; // one call of change_items

    std::optional<std::string_view> line_indent(std::size_t at) const;
    std::string enclosing_indent(std::uint32_t index, const std::vector<std::uint32_t>& ancestors) const;
    const std::string& unit();
    std::string eol_at(std::size_t at) const;
    std::optional<std::string> colon_of(std::uint32_t member) const;
    std::optional<std::string> pad_of(std::uint32_t object) const;
    JsonStyle style_at(std::uint32_t container, const std::vector<std::uint32_t>& ancestors,
                       std::uint32_t sibling);
    bool blank(std::size_t begin, std::size_t end) const;
    bool white(std::size_t begin, std::size_t end) const;
    bool has_newline(std::size_t begin, std::size_t end) const;
    std::size_t same_line_trivia(std::size_t at) const;
    std::size_t line_end_after(std::size_t at) const;

    void remove_item(Work& work, std::size_t index);
    void fill(Work& work);
    void add_before_close(Work& work);
    void add_after_last(Work& work);

    std::string_view text_;
    const std::vector<JsonNode>& nodes_;
    std::optional<std::string> unit_;
};

} // namespace dbx::edit
