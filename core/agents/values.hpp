#pragma once

#include "core/edit/value.hpp"

#include <string>

namespace dbx::agents {

// Equal in meaning: the order of members does not count.
inline bool same(const edit::Value& a, const edit::Value& b) {
    return nlohmann::json(a) == nlohmann::json(b);
}

// A string as it is, anything else as JSON.
inline std::string text_of(const edit::Value& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

} // namespace dbx::agents
