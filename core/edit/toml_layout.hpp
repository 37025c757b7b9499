#pragma once

#include "core/edit/toml_inline.hpp"
#include "core/edit/toml_source.hpp"
#include "core/edit/toml_write.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Where a person would put something new into this file, and how they would write it.
class TomlLayout {
  public:
    explicit TomlLayout(const TomlSource& source);

    const TomlSpelling& spelling() const { return spelling_; }
    bool separates_tables() const { return separates_tables_; }

    // The quotes of `old_spelling` if it is a string, or an array of them, else those of the file.
    TomlSpelling spelling_like(std::string_view old_spelling) const;

    // Behind the last pair of a section (toml_none: before the first header), in the form of its neighbours.
    // Fills `splice` but for the text.
    TomlSplice place_for_pairs(std::uint32_t header) const;
    std::string pair_line(std::uint32_t header, const std::string& key, const std::string& value) const;

    // Behind `pair`, which has the same parent.
    TomlSplice place_behind(std::uint32_t pair) const;
    std::string pair_line_like(std::uint32_t pair, const std::string& key, const std::string& value) const;

    // A table behind the section of `header` (toml_none: at the end of the text), or before it.
    TomlSplice place_behind_section(std::uint32_t header) const;
    TomlSplice place_before_section(std::uint32_t header) const;

    // The header line(s) and pairs of `table`, and the tables in it. `sibling`: a header to take the
    // indentation from.
    std::string sections(const KeyPath& path, const TomlNewNode& table, std::uint32_t sibling,
                         TomlOffset at) const;
    std::string array_section(const KeyPath& path, const TomlNewNode& element, std::uint32_t sibling,
                              TomlOffset at) const;

    // Comment lines directly below the statement that do not belong to the next header.
    bool has_comment_behind(std::uint32_t last) const;

    std::string line_break(TomlOffset at) const;

  private:
    TomlOffset content_end() const;
    TomlOffset gap_end(std::uint32_t next) const;
    TomlOffset comments_above(std::uint32_t header) const;
    std::string_view indent_of(std::uint32_t statement) const;
    std::string spaced(std::uint32_t neighbour, const std::string& indent, const std::string& key,
                       const std::string& value) const;
    void write_section(const std::string& open, const std::string& close, const KeyPath& path,
                       const TomlNewNode& table, const std::string& indent, const std::string& line_end,
                       std::string& out) const;

    const TomlSource& source_;
    TomlSpelling spelling_;
    bool separates_tables_ = true;
    std::string extra_indent_;    // of pairs, compared with their header
    std::string main_line_break_; // of the first line
};

// The text with the splices made.
std::string compose_toml(const TomlSource& source, std::vector<TomlSplice> splices, const TomlLayout& layout);

} // namespace dbx::edit
