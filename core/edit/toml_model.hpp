#pragma once

#include "core/edit/toml_scan.hpp"
#include "core/edit/value.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

using TomlNodeId = std::uint32_t;

// A table, a value or an array of tables, with the statements that make it. What stands inside a value is not
// taken apart here (scan_toml_container does that when an edit leads into it).
struct TomlNode {
    enum class Kind : std::uint8_t { table, value, array_of_tables, element };

    Kind kind = Kind::table;
    std::string_view name;   // elements have none
    std::uint32_t index = 0; // of an element
    std::uint32_t depth = 0; // components from the root, elements not counted
    std::uint32_t children = 0;
    TomlNodeId parent = toml_none;
    TomlNodeId first_child = toml_none; // in text order
    TomlNodeId last_child = toml_none;
    TomlNodeId next = toml_none;
    std::uint32_t header = toml_none;        // statement `[table]`, `[[element]]`
    std::uint32_t pair = toml_none;          // statement `key = value`
    std::uint32_t last_dotted = toml_none;   // tables: last pair whose dotted key leads through it
    std::uint32_t mention = toml_none;       // first statement that names it …
    std::uint32_t mention_part = 0;          // … and the component which does
    std::uint32_t first_section = toml_none; // header statements of it and below it, in text order
    std::uint32_t last_section = toml_none;
};

// The tables of a text that toml++ has accepted.
class TomlModel {
  public:
    static constexpr TomlNodeId root = 0;

    // False when the statements contradict each other: then the scanner has read the text otherwise than
    // toml++.
    bool build(std::string_view text, const TomlScan& scan);

    const TomlNode& operator[](TomlNodeId id) const { return nodes_[id]; }
    std::size_t size() const { return nodes_.size(); }
    TomlNodeId child(TomlNodeId parent, std::string_view name) const;

    // Of a header: its table or element. Of a pair: its value.
    TomlNodeId node_of(std::uint32_t statement) const { return node_of_[statement]; }
    // The header that a pair stands under; toml_none before the first one.
    std::uint32_t section_of(std::uint32_t pair) const { return section_of_[pair]; }
    // The statement behind the last one of a section (toml_none: the part before the first header).
    std::uint32_t section_end(std::uint32_t header) const;

    KeyPath path(TomlNodeId id) const; // elements appear with their index

  private:
    TomlNodeId add(TomlNodeId parent, std::string_view name, TomlNode::Kind kind, std::uint32_t statement,
                   std::uint32_t part);
    bool add_header(std::string_view text, const TomlScan& scan, std::uint32_t statement,
                    TomlNodeId& section);
    bool add_pair(std::string_view text, const TomlScan& scan, std::uint32_t statement, TomlNodeId section);
    std::string_view name_of(std::string_view text, TomlRange part);
    std::size_t slot_of(TomlNodeId parent, std::string_view name) const;

    std::vector<TomlNode> nodes_;
    std::vector<TomlNodeId> slots_;   // a hash table of nodes by parent and name, probed linearly
    std::deque<std::string> decoded_; // names whose spelling has escapes
    std::vector<TomlNodeId> node_of_;
    std::vector<std::uint32_t> section_of_;
    std::vector<std::uint32_t> section_end_; // by header
    std::uint32_t top_end_ = 0;
};

} // namespace dbx::edit
