#include "core/databricks/credential_kinds.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>

namespace dbx::databricks {

namespace {

constexpr std::array<CredentialKind, 6> all_kinds = {CredentialKind::pat,
                                                     CredentialKind::access_token,
                                                     CredentialKind::oauth_m2m,
                                                     CredentialKind::databricks_cli,
                                                     CredentialKind::azure_client_secret,
                                                     CredentialKind::azure_cli};

} // namespace

std::optional<CredentialKind> kind_of(std::string_view auth_type) {
    for (const auto kind : all_kinds) {
        if (kind != CredentialKind::access_token && iequals(auth_type, name_of(kind))) return kind;
    }
    return std::nullopt;
}

std::vector<std::string> auth_types() {
    std::vector<std::string> result;
    for (const auto kind : all_kinds) {
        if (kind != CredentialKind::access_token) result.emplace_back(name_of(kind));
    }
    return result;
}

bool is_jwt(std::string_view token) {
    return token.starts_with("eyJ") && std::count(token.begin(), token.end(), '.') >= 2;
}

std::string_view name_of(CredentialKind kind) {
    switch (kind) {
    case CredentialKind::pat:
        return "pat";
    case CredentialKind::access_token:
        return "access-token";
    case CredentialKind::oauth_m2m:
        return "oauth-m2m";
    case CredentialKind::databricks_cli:
        return "databricks-cli";
    case CredentialKind::azure_client_secret:
        return "azure-client-secret";
    case CredentialKind::azure_cli:
        return "azure-cli";
    }
    return "unknown";
}

std::optional<std::string> Credential::static_token_kind() const {
    if (kind == CredentialKind::pat) return "pat";
    if (kind == CredentialKind::access_token) return "oauth";
    return std::nullopt;
}

std::string token_problem(std::string_view token) {
    if (token.empty()) return "it is empty";
    if (token.size() > 16384) return "it is longer than 16384 bytes";
    if (iequals(token.substr(0, 7), "bearer ")) return "it begins with 'Bearer '";
    for (const char c : token) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n' || c == '\r') return "it holds a line end";
        if (c == ' ' || c == '\t') return "it holds a blank";
        if (byte < 0x20 || byte == 0x7f) return "it holds a control character";
        if (byte > 0x7f) return "it holds a character outside of ASCII";
        if (c == '"' || c == '\'') return "it holds a quote";
        if (c == '<' || c == '>' || c == '{' || c == '$') return "it looks like a placeholder";
    }
    return {};
}

} // namespace dbx::databricks
