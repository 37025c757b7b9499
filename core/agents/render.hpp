#pragma once

#include "core/agents/agent.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dbx::agents {

// The placeholders that every template may use.
const std::vector<std::string>& placeholder_names();

// Calls `use(name)` for every {{name}} in a text.
template <class Use>
void each_placeholder(std::string_view text, Use use) {
    for (std::size_t at = 0; (at = text.find("{{", at)) != std::string_view::npos;) {
        const auto end = text.find("}}", at);
        if (end == std::string_view::npos) return;
        use(std::string(text.substr(at + 2, end - at - 2)));
        at = end + 2;
    }
}

// Where a value's placeholders come from. A string that is nothing but one placeholder takes the variable's
// type.
struct Variables {
    std::map<std::string, edit::Value> values;
    std::vector<std::string> secrets; // names whose values are secret
};

// One leaf of a document, filled in; or a table that is one value.
struct Leaf {
    edit::KeyPath path;
    edit::Value value;
    bool secret = false; // a secret went into it
};

// The leaves of a document in order; tables at one of `whole` are one value each. An unknown placeholder is
// an error of kind failed.
Result<std::vector<Leaf>> render(const Agent& agent, const std::string& document, edit::Format format,
                                 const Variables& variables, const std::vector<edit::KeyPath>& whole = {});
Result<std::string> render_note(const Agent& agent, const Note& note, const Variables& variables);
Result<std::string> render_text(const Agent& agent, const std::string& document, const Variables& variables);

} // namespace dbx::agents
