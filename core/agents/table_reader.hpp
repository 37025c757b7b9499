#pragma once

#include "core/agents/agent.hpp"
#include "core/base/strings.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace dbx::agents {

// Reads a table of agent.toml and remembers the first thing that is wrong with it.
class TableReader {
  public:
    TableReader(const edit::Document& document, std::string place)
        : document_(document)
        , place_(std::move(place)) {}

    void complain(const edit::KeyPath& path, const std::string& why) {
        if (error_) return;
        const auto at = document_.position(path);
        error_ = Error{ErrorKind::usage,
                       "cannot use the template " + place_ + ":" + std::to_string(at ? at->line : 1),
                       why,
                       "correct it, or move the folder away to get the built-in template back",
                       {}};
    }

    void known_keys(const edit::Value& table, const edit::KeyPath& path,
                    const std::vector<std::string>& known) {
        for (const auto& item : table.items()) {
            if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
            const std::string near = nearest(item.key(), known);
            complain(child(path, item.key()), "there is no key '" + item.key() + "'" +
                                                  (near.empty() ? "" : "; did you mean '" + near + "'?"));
        }
    }

    std::string text(const edit::Value& table, const edit::KeyPath& path, const std::string& key,
                     bool required = false) {
        if (!table.contains(key)) {
            if (required) complain(path, "the key '" + key + "' is missing");
            return {};
        }
        if (!table[key].is_string()) {
            complain(child(path, key), "'" + key + "' must be a string");
            return {};
        }
        return table[key].get<std::string>();
    }

    bool flag(const edit::Value& table, const edit::KeyPath& path, const std::string& key, bool otherwise) {
        if (!table.contains(key)) return otherwise;
        if (!table[key].is_boolean()) complain(child(path, key), "'" + key + "' must be true or false");
        return table[key].is_boolean() ? table[key].get<bool>() : otherwise;
    }

    // A string or an array of strings.
    std::vector<std::string> texts(const edit::Value& table, const edit::KeyPath& path,
                                   const std::string& key) {
        std::vector<std::string> result;
        if (!table.contains(key)) return result;
        const edit::Value& value = table[key];
        if (value.is_string()) return {value.get<std::string>()};
        if (value.is_array()) {
            for (const auto& element : value) {
                if (element.is_string()) {
                    result.push_back(element.get<std::string>());
                } else {
                    complain(child(path, key), "'" + key + "' must hold strings");
                }
            }
            return result;
        }
        complain(child(path, key), "'" + key + "' must be a string or an array of strings");
        return result;
    }

    std::vector<edit::KeyPath> key_paths(const edit::Value& table, const edit::KeyPath& path,
                                         const std::string& key) {
        std::vector<edit::KeyPath> result;
        for (const auto& item : texts(table, path, key)) {
            result.push_back(edit::parse_key_path(item));
            if (result.back().empty()) complain(child(path, key), "'" + item + "' is not a key");
        }
        return result;
    }

    Condition condition(const edit::Value& table, const edit::KeyPath& path) {
        Condition result;
        if (!table.contains("when")) return result;
        const edit::KeyPath here = child(path, "when");
        if (!table["when"].is_object()) {
            complain(here, "'when' must be a table");
            return result;
        }
        known_keys(table["when"], here, {"auth", "gateway", "claude_betas", "otel", "otel_traces", "scope"});
        for (const auto& item : table["when"].items())
            result[item.key()] = texts(table["when"], here, item.key());
        return result;
    }

    // Runs `use(table, path)` for each table of an array of tables.
    template <class Use>
    void each(const edit::Value& table, const std::string& key, Use use) {
        if (!table.contains(key)) return;
        if (!table[key].is_array()) {
            complain({key}, "'" + key + "' must be an array of tables: [[" + key + "]]");
            return;
        }
        std::size_t index = 0;
        for (const auto& item : table[key]) {
            const edit::KeyPath path = {key, std::to_string(index++)};
            if (!item.is_object()) {
                complain({key}, "'" + key + "' must be an array of tables: [[" + key + "]]");
                return;
            }
            use(item, path);
        }
    }

    static edit::KeyPath child(edit::KeyPath path, const std::string& key) {
        path.push_back(key);
        return path;
    }

    const std::optional<Error>& error() const { return error_; }

  private:
    const edit::Document& document_;
    std::string place_;
    std::optional<Error> error_;
};

} // namespace dbx::agents
