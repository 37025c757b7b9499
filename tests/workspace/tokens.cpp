#include "tests/workspace/tokens.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <random>

namespace dbx::standin {

namespace {

bool has(const std::vector<std::string>& items, std::string_view item) {
    return std::find(items.begin(), items.end(), item) != items.end();
}

// Only `Authorization: Bearer` counts: neither x-api-key nor x-goog-api-key is a Databricks credential. In
// the relayed form an agent keeps its own Authorization and adds X-Databricks-AI-Gateway-Token.
std::string bearer_of(const Request& request) {
    if (const std::string relayed = request.header("x-databricks-ai-gateway-token"); !relayed.empty())
        return relayed;
    const std::string value = request.header("authorization");
    if (value.size() < 7 || !iequals(std::string_view(value).substr(0, 7), "bearer ")) return {};
    return std::string(trim(std::string_view(value).substr(7)));
}

Token* find_token(World& world, std::string_view value) {
    for (Token& token : world.tokens)
        if (token.value == value) return &token;
    return nullptr;
}

bool dead(const Token& token, const World& world) {
    return token.revoked || (token.expires_at != 0 && token.expires_at <= now_seconds(world));
}

Response not_sent() {
    // "401 {"error_code":401,"message":"Credential was not sent or was of an unsupported type for this
    // API."}": the code is a number here, a word elsewhere.
    return json_response(401,
                         {{"error_code", 401},
                          {"message", "Credential was not sent or was of an unsupported type for this API."}})
        .with("www-authenticate", "Bearer realm=\"DatabricksRealm\"");
}

// A bad token gets HTTP 400 with the bare text "Invalid Token" from the gateway and SCIM
// (databricks/ucode#84, databricks-sdk-go#1709); a personal access token that the REST API does not know gets
// 403 "Invalid access token." with a numeric error_code (databricks-sdk-go#873).
Response invalid_token(const World& world, const Request& request, std::string_view token) {
    std::string form = world.settings.invalid_token;
    if (form == "auto") {
        const bool rest =
            request.path.starts_with("/api/") && request.path.find("/scim/") == std::string::npos;
        form = rest && token.starts_with("dapi") ? "403" : "400";
    }
    if (form == "403")
        return json_response(403, {{"error_code", 403}, {"message", "Invalid access token."}})
            .with("x-databricks-reason-phrase", "Invalid access token.");
    if (form == "401") return not_sent();
    Response response;
    response.status = 400;
    response.with("content-type", "text/plain; charset=utf-8");
    response.body = "Invalid Token";
    return response;
}

std::string base64_decode(std::string_view text) {
    std::string out;
    unsigned bits = 0;
    int count = 0;
    for (const char c : text) {
        unsigned value = 0;
        if (c >= 'A' && c <= 'Z')
            value = static_cast<unsigned>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            value = static_cast<unsigned>(c - 'a' + 26);
        else if (c >= '0' && c <= '9')
            value = static_cast<unsigned>(c - '0' + 52);
        else if (c == '+' || c == '-')
            value = 62;
        else if (c == '/' || c == '_')
            value = 63;
        else
            break;
        bits = (bits << 6 | value) & 0xffffffu;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out.push_back(static_cast<char>(bits >> count & 0xffu));
        }
    }
    return out;
}

std::string random_text(std::size_t size) {
    static constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::random_device device;
    std::string out;
    while (out.size() < size) out.push_back(alphabet[device() % alphabet.size()]);
    return out;
}

Response oauth_error(int status, std::string_view error, std::string_view description) {
    return json_response(status, {{"error", error}, {"error_description", description}})
        .with("cache-control", "no-store");
}

} // namespace

std::optional<Response> authenticate(Context& context, std::string_view scope) {
    World& world = context.world();
    const std::string value = bearer_of(context.request);
    if (value.empty()) return not_sent();
    const Token* token = find_token(world, value);
    if (!token || dead(*token, world)) return invalid_token(world, context.request, value);
    context.caller = {token->owner, token->scopes};
    if (!has(token->scopes, "all-apis") && !has(token->scopes, scope))
        return api_error(403, "PERMISSION_DENIED",
                         "Provided OAuth token does not have required scopes: " + std::string(scope));
    return std::nullopt;
}

std::string owner_of(const Request& request, World& world) {
    const Token* token = find_token(world, bearer_of(request));
    return token ? token->owner : std::string();
}

Response oidc_token(Context& context) {
    const Request& request = context.request;
    World& world = context.world();
    if (request.method != "POST") return wrong_method();
    if (!icontains(request.header("content-type"), "application/x-www-form-urlencoded"))
        return oauth_error(400, "invalid_request",
                           "The request body must be application/x-www-form-urlencoded");
    const Headers form = parse_form(request.body);
    const auto field = [&](std::string_view name) {
        for (const auto& [key, value] : form)
            if (key == name) return value;
        return std::string();
    };

    std::string id = field("client_id");
    std::string secret = field("client_secret");
    const std::string authorization = request.header("authorization");
    if (authorization.size() > 6 && iequals(std::string_view(authorization).substr(0, 6), "basic ")) {
        const std::string pair = base64_decode(trim(std::string_view(authorization).substr(6)));
        const auto colon = pair.find(':');
        if (colon == std::string::npos)
            return oauth_error(401, "invalid_client", "Client authentication failed");
        // RFC 6749 2.3.1: both parts are form-encoded before they are joined.
        id = percent_decode(pair.substr(0, colon), Plus::literal);
        secret = percent_decode(pair.substr(colon + 1), Plus::literal);
    }
    const auto client = std::find_if(world.clients.begin(), world.clients.end(),
                                     [&](const OauthClient& c) { return c.client_id == id; });
    if (client == world.clients.end() || client->client_secret != secret || secret.empty())
        return oauth_error(401, "invalid_client", "Client authentication failed")
            .with("www-authenticate", "Basic realm=\"Databricks\"");
    if (field("grant_type") != "client_credentials")
        return oauth_error(400, field("grant_type").empty() ? "invalid_request" : "unsupported_grant_type",
                           "grant_type must be client_credentials");

    std::vector<std::string> scopes;
    for (const std::string& scope : split(field("scope"), ' '))
        if (!scope.empty()) scopes.push_back(scope);
    if (scopes.empty()) return oauth_error(400, "invalid_scope", "The scope parameter is required");
    for (const std::string& scope : scopes)
        // A secret narrowed to some scopes refuses the usual all-apis (databricks-sql-go#476).
        if (!has(client->scopes, "all-apis") && !has(client->scopes, scope))
            return oauth_error(400, "access_denied", "Scopes '" + scope + "' are not assigned to the client");

    Token token;
    token.value = "eyJraWQiOiJzdGFuZC1pbiIsImFsZyI6IlJTMjU2In0." + random_text(80) + "." + random_text(86);
    token.owner = id;
    token.scopes = scopes;
    token.expires_at = now_seconds(world) + client->token_seconds;
    world.tokens.push_back(token);
    context.store.touch();
    return json_response(200, {{"access_token", token.value},
                               {"token_type", "Bearer"},
                               {"expires_in", client->token_seconds},
                               {"scope", join(scopes, " ")}})
        .with("cache-control", "no-store");
}

Response discovery(Context& context) {
    if (context.request.method != "GET" && context.request.method != "HEAD") return wrong_method();
    const std::string base = "http://" + context.request.header("host");
    if (context.request.path == "/.well-known/databricks-config")
        return json_response(200, {{"oidc_endpoint", base + "/oidc"},
                                   {"account_id", "00000000-aaaa-bbbb-cccc-000000000000"},
                                   {"workspace_id", context.world().settings.workspace_id},
                                   {"cloud", "AWS"},
                                   {"host_type", "workspace"}});
    return json_response(
        200,
        {{"issuer", base + "/oidc"},
         {"authorization_endpoint", base + "/oidc/v1/authorize"},
         {"token_endpoint", base + "/oidc/v1/token"},
         {"response_types_supported", Json::array({"code"})},
         {"grant_types_supported", {"authorization_code", "refresh_token", "client_credentials"}},
         {"token_endpoint_auth_methods_supported", {"client_secret_basic", "client_secret_post", "none"}}});
}

Response scim_me(Context& context) {
    if (context.request.method != "GET" && context.request.method != "HEAD") return wrong_method();
    // "With a scope-restricted token this may be 403 although inference works", in SCIM's own shape.
    if (auto refusal = authenticate(context, "scim")) {
        if (refusal->status != 403 || context.caller.name.empty()) return *refusal;
        Response response =
            json_response(403, {{"schemas", Json::array({"urn:ietf:params:scim:api:messages:2.0:Error"})},
                                {"detail", "Provided OAuth token does not have required scopes: scim"},
                                {"status", "403"}});
        return response;
    }
    Principal unknown;
    unknown.name = unknown.display_name = context.caller.name;
    unknown.id = "9999";
    const Principal* found = find_principal(context.world(), context.caller.name);
    const Principal& me = found ? *found : unknown;
    Json groups = Json::array();
    for (const std::string& group : me.groups) groups.push_back({{"display", group}, {"type", "direct"}});
    return json_response(
        200, {{"schemas", Json::array({"urn:ietf:params:scim:schemas:core:2.0:User"})},
              {"userName", me.name},
              {"displayName", me.display_name},
              {"emails", Json::array({Json{{"type", "work"}, {"value", me.name}, {"primary", true}}})},
              {"groups", groups},
              {"active", true},
              {"id", me.id}});
}

} // namespace dbx::standin
