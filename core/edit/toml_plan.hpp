#pragma once

#include "core/edit/document.hpp"
#include "core/edit/toml_inline.hpp"
#include "core/edit/toml_judge.hpp"
#include "core/edit/toml_layout.hpp"
#include "core/edit/toml_source.hpp"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace dbx::edit {

// All that is wished for one path, after contradictions and repetitions have been sorted out.
struct TomlWish {
    enum class Base {
        none,  // only elements
        value, // a scalar, an array, or {} for an empty table
        raw,
        absent,
        content, // a table that holds nothing but `inside`
    };
    struct Element {
        bool add = true;
        Value value;
    };
    KeyPath path;
    Base base = Base::none;
    Value value = nullptr;
    std::string raw = {};
    std::vector<Element> elements = {}; // in the order of the edits
    std::vector<TomlWish> inside = {};  // of base value or raw, with whole paths
    std::size_t order = 0;
};

struct TomlWishes {
    std::vector<TomlWish> wishes; // no path begins with another one's; in the order of the edits
    std::vector<KeyPath> prunes;  // the longest first
};

Result<TomlWishes> toml_wishes(std::span<const Edit> edits);

// Turns wishes into splices, all against the text as it was.
class TomlPlan {
  public:
    explicit TomlPlan(const TomlSource& source);

    // The new text, not yet judged; `expectations` is what it must mean. nullopt: nothing is to change.
    Result<std::optional<std::string>> make(const TomlWishes& wishes,
                                            std::vector<TomlExpectation>& expectations);

  private:
    struct Spot {
        enum class Kind { missing, node, inside, misfit };
        Kind kind = Kind::missing;
        TomlNodeId node = TomlModel::root; // missing: the last table that is there
        std::size_t used = 0;              // components that lead to `node`
    };

    Spot locate(const KeyPath& path) const;
    tl::unexpected<Error> misfit(const KeyPath& path, const Spot& spot, std::string_view wanted) const;
    tl::unexpected<Error> misfit_inside(const KeyPath& path, const Spot& spot, const TomlInline::Place& place,
                                        std::string_view wanted) const;

    bool is_done(const TomlWish& wish) const;
    void clear(const TomlWish& wish);
    bool keeps_any(TomlNodeId table, const TomlWish& wish) const;
    void clear_around(TomlNodeId table, const TomlWish& wish);
    Result<void> fulfil(const TomlWish& wish, std::vector<TomlExpectation>& expectations);
    Result<void> set(const TomlWish& wish);
    Result<void> edit_elements(const TomlWish& wish, TomlExpectation& expectation);
    Result<void> add_sections(const TomlWish& wish, const std::vector<Value>& elements, TomlNodeId array);
    Result<TomlNewNode> new_node(const TomlWish& wish, std::string_view old_spelling) const;
    Result<std::string> spelled(const TomlWish& wish, std::string_view old_spelling) const;
    void add(TomlNodeId table, std::span<const std::string> path, const TomlNewNode& node);
    void prune(const KeyPath& path);

    TomlInline& inline_of(std::uint32_t pair);
    void remove_node(TomlNodeId node);
    bool is_vanished(TomlNodeId node) const;
    bool is_empty_section(std::uint32_t header) const;
    std::string_view value_text(TomlNodeId node) const;

    void write_changes();
    void write_additions(TomlNodeId table, const TomlNewNode& added);
    void write_dotted(TomlNodeId table, const TomlNewNode& added);

    const TomlSource& source_;
    TomlLayout layout_;
    std::vector<bool> node_gone_;
    std::vector<bool> statement_gone_; // headers: with all of their section
    std::map<std::uint32_t, std::string> new_values_;
    std::map<std::uint32_t, std::unique_ptr<TomlInline>> inlines_;
    std::map<TomlNodeId, TomlNewNode> additions_;
    std::vector<TomlNodeId> addition_order_;
    std::vector<TomlSplice> splices_;
    bool changed_ = false;
};

} // namespace dbx::edit
