#pragma once

#include "tests/workspace/context.hpp"

namespace dbx::standin {

// Checks the credential of a request; fills in `context.caller` or returns the refusal. `scope` is what a
// narrowed token must have besides all-apis: ai-gateway, sql, unity-catalog, model-serving, scim; all-apis
// for the deprecated gateway host.
std::optional<Response> authenticate(Context& context, std::string_view scope);

// The name behind the credential, also of a bad one that is known (expired, revoked); for the record.
std::string owner_of(const Request& request, World& world);

// POST /oidc/v1/token (client credentials).
Response oidc_token(Context& context);
// GET /.well-known/databricks-config and /oidc/.well-known/oauth-authorization-server.
Response discovery(Context& context);
// GET /api/2.0/preview/scim/v2/Me
Response scim_me(Context& context);

} // namespace dbx::standin
