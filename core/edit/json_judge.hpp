#pragma once

#include "core/edit/json_edits.hpp"
#include "core/edit/json_scan.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::edit {

// Whether `after` is `before` with the edits made and nothing else: nlohmann/json parses both and the trees
// are compared; and, because that library forgets spellings and order, every value outside the edited paths
// must have the same bytes. Empty when it is, else what is not.
std::string judge_json(std::string_view before, const std::vector<JsonNode>& before_nodes,
                       std::string_view after, Comments comments, std::span<const Edit> edits,
                       const JsonEdits& tree);

} // namespace dbx::edit
