#pragma once

#include "core/base/error.hpp"
#include "core/edit/document.hpp"
#include "core/edit/toml_model.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// toml++ behind a wall: it says what is valid TOML, what it means, and whether two texts mean the same. It
// never writes (its printer drops comments and sorts keys). Included nowhere else: it costs seconds to
// compile.
namespace dbx::edit {

class TomlTree {
  public:
    // An error of kind `file` whose `why` is "line L, column C: reason" (columns count characters).
    static Result<TomlTree> parse(std::string_view text);

    TomlTree(TomlTree&&) noexcept;
    TomlTree& operator=(TomlTree&&) noexcept;
    ~TomlTree();

    // Keys in text order; dates as strings.
    Value value() const;
    std::optional<Value> value_at(const KeyPath& path) const;

    // Exactly equal: an integer is not a float, a date is not a string, NaN is NaN.
    bool equals(const KeyPath& path, const Value& value) const;

    // Means the same as the value that is spelled so.
    bool means(const KeyPath& path, const std::string& spelling) const;

    // "a string", "a table", "an array of tables", …; empty: nothing stands there.
    std::string kind_at(const KeyPath& path) const;

    // Of an array: which elements equal `value`; nullopt when no array stands there.
    std::optional<std::vector<bool>> equal_elements(const KeyPath& path, const Value& value) const;

    // Whether the scanner has seen the same tables and values.
    bool agrees(std::string_view text, const TomlScan& scan, const TomlModel& model) const;

    struct Impl;
    const Impl& impl() const { return *impl_; }

  private:
    explicit TomlTree(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// What one path must be after the edits.
struct TomlExpectation {
    enum class Kind {
        value, // equal to `value`
        raw,   // what `raw` means
        absent,
        array,   // of the old elements those marked in `kept`, then `added`; absent is as good as empty
        content, // a container made anew: holds nothing but what the other expectations name
        may_go,  // unchanged, or gone if nothing is left in it
    };
    Kind kind = Kind::value;
    KeyPath path;
    Value value = nullptr;
    std::string raw = {};
    std::vector<bool> kept = {};
    std::vector<Value> added = {};
};

// Nothing when `after` is `before` with the expectations met and everything else equal; otherwise the path
// that is not as it should be.
std::optional<KeyPath> first_difference(const TomlTree& before, const TomlTree& after,
                                        const std::vector<TomlExpectation>& expectations);

} // namespace dbx::edit
