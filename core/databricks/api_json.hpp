#pragma once

// What the .cpp files of this room share to read answers. Not for other rooms: it includes nlohmann/json.

#include "core/databricks/api.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <set>

namespace dbx::databricks {

using nlohmann::json;

// The call's answer as a JSON object.
ApiResult<json> call_json(Workspace& workspace, const ApiCall& call);

// A member as text (numbers too), as a number or as a truth value; the default when missing or of another
// type.
std::string text_at(const json& object, const char* key);
std::int64_t number_at(const json& object, const char* key, std::int64_t otherwise = 0);
bool flag_at(const json& object, const char* key, bool otherwise = false);
// A member that is an array; an empty one otherwise.
const json& array_at(const json& object, const char* key);
// A member that is an object; an empty one otherwise.
const json& object_at(const json& object, const char* key);

// Asks for page after page: `path` without page_token; `each` is called with every page. A server that
// repeats a page token, or has more than a thousand pages, is an error.
ApiResult<void> for_each_page(Workspace& workspace, ApiCall call,
                              const std::function<void(const json&)>& each);

} // namespace dbx::databricks
