#pragma once

#include "core/databricks/tokens.hpp"

namespace dbx::databricks {

// Asks for a new token: the workspace, Microsoft, or a command line tool. No cache. `freshness` forced makes
// the Databricks CLI leave out its own cache as well. Not for static credentials.
Result<Token> fetch_token(const Credential& credential, TokenServices& services, Freshness freshness);

} // namespace dbx::databricks
