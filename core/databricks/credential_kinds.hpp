#pragma once

// What the files of this room share about the kinds of credentials.

#include "core/databricks/credentials.hpp"

namespace dbx::databricks {

// auth_type as users write it; nothing for an unknown one.
std::optional<CredentialKind> kind_of(std::string_view auth_type);

// Every auth_type that is known here.
std::vector<std::string> auth_types();

// Three parts, the first of which is a JSON object: an OAuth access token, not a personal one.
bool is_jwt(std::string_view token);

} // namespace dbx::databricks
