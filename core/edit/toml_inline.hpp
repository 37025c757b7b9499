#pragma once

#include "core/edit/toml_scan.hpp"
#include "core/edit/toml_write.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// A change of the text. Lines are whole ones.
struct TomlSplice {
    enum class Kind {
        replace,
        insert_lines,  // `text` stands on lines of its own
        insert_top,    // the same before the first header; set off by blank lines as far as `blank_…` say
        insert_tables, // the same for tables, which come behind keys
        remove_lines,
        remove_block, // and the blank line that set it off
    };
    Kind kind = Kind::replace;
    TomlOffset begin = 0;
    TomlOffset end = 0;
    std::string text = {};
    bool blank_before = false;
    bool blank_behind = false;
};

// A new key, or a new table and what goes into it, in the order of the wishes.
struct TomlNewNode {
    std::string name;
    std::string spelling; // of the value
    bool table = false;
    std::vector<TomlNewNode> children;
    std::string spelled_key = {}; // instead of `name`, where dotted

    // False when a value stands where a table is needed, or the other way round.
    bool add(std::span<const std::string> path, std::string value_spelling, bool empty_table);
};

// `{ a = 1, b = { c = 2 } }` from the children of `table`.
std::string write_toml_inline(const TomlNewNode& table, const TomlSpelling& spelling);

// Edits inside one inline table or array, collected and then turned into splices.
class TomlInline {
  public:
    // `begin` is the opening bracket.
    TomlInline(std::string_view text, TomlOffset begin);

    struct Place {
        enum class Kind {
            missing,
            value,  // at `value`
            dotted, // a table that exists in dotted keys only
            misfit, // something that is not a table stands at component `depth`
        };
        Kind kind = Kind::missing;
        std::size_t depth = 0;
        TomlOffset key = 0;
        TomlRange value;
    };
    // `path` is not empty.
    Place locate(std::span<const std::string> path) const;

    // `path` must not be a misfit. Content that stood there in dotted keys goes.
    void set(std::span<const std::string> path, const TomlNewNode& value);
    void remove(std::span<const std::string> path);
    // An empty path: this array itself.
    void edit_array(std::span<const std::string> path, const std::vector<bool>& kept,
                    const std::vector<std::string>& added);
    void prune(std::span<const std::string> path);

    bool empty() const; // after the edits, and no comment in it
    void write(std::vector<TomlSplice>& splices, const TomlSpelling& file_spelling) const;

  private:
    struct State {
        bool gone = false;
        std::optional<TomlNewNode> replacement;
        std::unique_ptr<TomlInline> inner;
    };
    struct Step {
        std::size_t entry = 0;
        std::size_t used = 0; // components of the path
    };

    std::optional<Step> step(std::span<const std::string> path) const;
    std::size_t shared_components(std::span<const std::string> path) const;
    bool is_container(const TomlEntry& entry, char bracket) const {
        return text_[entry.value.begin] == bracket;
    }
    TomlInline& inner(std::size_t entry);
    TomlSpelling spelling(const TomlSpelling& file_spelling) const;
    std::vector<std::string> spelled_additions(const TomlSpelling& spelling) const;

    bool stands_on_own_lines(const TomlEntry& entry) const;
    TomlOffset line_begin(TomlOffset at) const;
    TomlOffset skip_blanks(TomlOffset at) const;
    TomlOffset line_end_behind(TomlOffset at) const; // toml_none: more follows on the line than a comment
    std::string line_break_and_indent(TomlOffset at) const;

    void write_into_empty(std::vector<TomlSplice>& splices, const std::vector<std::string>& added) const;
    void write_behind_last(std::vector<TomlSplice>& splices, const std::vector<std::string>& added) const;
    void write_removals(std::vector<TomlSplice>& splices, std::size_t count) const;

    std::string_view text_;
    TomlContainer container_;
    std::vector<State> states_;
    TomlNewNode added_;                 // to a table
    std::vector<std::string> elements_; // added to an array
};

} // namespace dbx::edit
