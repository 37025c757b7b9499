#pragma once

#include "core/databricks/api.hpp"

namespace dbx::databricks {

struct Model {
    std::string name; // as the server names it: "system.ai.claude-opus-4-8", "databricks-gpt-5-2"
    std::vector<std::string> api_types; // "anthropic/v1/messages"; empty: not told
    // Whether it speaks one of these; true when either side is not told.
    bool serves(const std::vector<std::string>& wanted) const;
};

struct ModelList {
    std::vector<Model> models;      // by name
    std::string source;             // which API told it, for people
    std::vector<std::string> notes; // why the better ones did not
};

// The other spelling of a built-in model: databricks-X for system.ai.X, and back; empty for others.
std::string other_spelling(std::string_view model);

// The gateway's models: 1. the model services of Unity Catalog (`schema`, and per user-made service its API
// types), 2. the foundation models of model serving, 3. the gateway's list of Anthropic models. An unusable
// token ends it at once. Either of the two addresses may be missing (nullptr): the gateway's root serves 3,
// the workspace 1 and 2.
ApiResult<ModelList> list_models(Workspace* workspace, Workspace* gateway,
                                 std::string_view schema = "system.ai");

} // namespace dbx::databricks
