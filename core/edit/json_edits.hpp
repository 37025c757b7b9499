#pragma once

#include "core/edit/document.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace dbx::edit {

// All edits of one call as a tree of keys, so that the document's tree is walked once for all of them.
struct JsonEdits {
    std::optional<Value> set;
    std::optional<std::string> set_raw;
    bool remove = false;
    bool prune = false;
    std::vector<Value> append;
    std::vector<Value> remove_element;
    std::string key;                                  // of this node in its parent
    std::vector<std::unique_ptr<JsonEdits>> children; // in the order in which the edits name them
    std::unordered_map<std::string, JsonEdits*> by_key;

    const JsonEdits* child(const std::string& name) const {
        const auto found = by_key.find(name);
        return found == by_key.end() ? nullptr : found->second;
    }

    // True when something comes into being here although nothing stands there.
    bool creates() const;
};

// Fails when edits contradict each other (a set below a removed key, two values for one key), when a
// value cannot be written as JSON (not UTF-8, infinite, too deep), or when a path is empty.
Result<std::unique_ptr<JsonEdits>> gather_json_edits(std::span<const Edit> edits);

// Equal as JSON: the order of members does not count.
bool json_equal(const Value& a, const Value& b);

} // namespace dbx::edit
