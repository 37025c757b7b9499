#pragma once

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/state/settings.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::databricks {

// A value, who gave it and how strong that source is: the settings' own type.
using Named = state::Setting;
using Rank = state::Rank;

// What the caller knows. Addresses are normalised (hosts.hpp). Each given address is one that the token would
// be sent to: with `upstream` only that one, otherwise gateway and workspace. Leave out what the command does
// not call.
struct CredentialRequest {
    std::optional<Named> workspace;
    std::optional<Named> gateway;
    std::optional<Named> upstream;
    std::optional<Named> profile;
    const system::Environment* environment = nullptr;
    system::FileSystem* files = nullptr;
    system::Path home;
};

enum class CredentialKind {
    pat,                 // a personal access token, or any static token that is not a JWT
    access_token,        // a static OAuth access token: it expires, and nobody refreshes it
    oauth_m2m,           // client credentials at the workspace's /oidc/v1/token
    databricks_cli,      // databricks auth token
    azure_client_secret, // a service principal at login.microsoftonline.com
    azure_cli,           // az account get-access-token
};

// "pat", "access-token", "oauth-m2m", "databricks-cli", "azure-client-secret", "azure-cli".
std::string_view name_of(CredentialKind kind);

// The credential that won, with what is needed to make a token out of it (tokens.hpp for the kinds that are
// not static).
struct Credential {
    CredentialKind kind = CredentialKind::pat;
    std::string host = {}; // "https://HOST"; empty: DATABRICKS_TOKEN with a gateway only
    std::string origin =
        {}; // "DATABRICKS_TOKEN in the environment", "profile DEFAULT in ~/.databrickscfg, line 3"
    std::string profile = {}; // the profile's name; empty when it came from the environment

    Secret token = {};                  // pat, access_token
    std::string client_id = {};         // oauth_m2m, azure_client_secret
    Secret client_secret = {};          // the same
    std::string scopes = {};            // oauth_m2m; empty: all-apis
    std::string tenant_id = {};         // azure_client_secret; azure_cli (may be empty)
    std::string azure_resource_id = {}; // azure_workspace_resource_id (may be empty)
    std::string azure_environment = {}; // PUBLIC (default), USGOVERNMENT, CHINA
    std::string azure_authority = {};   // AZURE_AUTHORITY_HOST; empty: the environment's own
    std::string cli_path = {}; // databricks_cli: DATABRICKS_CLI_PATH or databricks_cli_path; empty: from PATH
    system::Path config_file = {}; // the file that the profile stands in

    bool is_static() const { return kind == CredentialKind::pat || kind == CredentialKind::access_token; }
    // "pat" or "oauth" when the token is at hand without asking anybody; nothing for the other kinds.
    std::optional<std::string> static_token_kind() const;
};

// One place that was looked at, in order; `reason` says why it won or why not, as a clause.
struct Candidate {
    std::string name;
    bool won = false;
    std::string reason;
};

struct Resolution {
    Result<Credential> credential = fail(ErrorKind::credential, "no credential was found");
    // The workspace to work with: the requested one, DATABRICKS_HOST, or the profile's. Also set without a
    // credential.
    std::optional<Named> workspace;
    std::vector<Candidate> considered;
};

// Finds the one credential to use. No network, no child process, no output. Errors are of kind credential (a
// profile with an unusable host as well); a token is only ever matched with an address it belongs to.
Resolution resolve_credential(const CredentialRequest& request);

// Why a static token cannot be used ("it holds a line end"), never showing it; empty when it can.
std::string token_problem(std::string_view token);

} // namespace dbx::databricks
