#include "core/databricks/token_fetch.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::databricks {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Azure Databricks' application id, the same in every tenant (Microsoft's documentation).
constexpr std::string_view azure_databricks = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
constexpr milliseconds tool_timeout{30'000};

// Small steps: whoever waits is an agent's start.
const http::RetryPolicy token_policy{
    .first_wait = milliseconds(500), .longest_wait = seconds(4), .total = seconds(25), .attempts = 4};

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// One line of foreign words for a message: no control characters, nothing that looks like a token, at most
// 300 bytes.
std::string quote_words(std::string_view text) {
    std::string result;
    for (const auto& line : split(text, '\n')) {
        const auto content = trim(line);
        if (content.empty()) continue;
        for (const auto& word : split(content, ' ')) {
            if (!result.empty()) result += ' ';
            const bool secret = word.find("dapi") != std::string::npos ||
                                word.find("eyJ") != std::string::npos || word.size() > 200;
            result += secret ? "(masked)" : word;
        }
        if (result.size() > 300) break;
    }
    std::string clean;
    for (const char c : result.substr(0, 300)) {
        const auto byte = static_cast<unsigned char>(c);
        clean += byte < 0x20 || byte == 0x7f ? ' ' : c;
    }
    return is_utf8(clean) ? clean : "(it is not text)";
}

std::string base64(std::string_view text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        const auto byte = [&](std::size_t k) {
            return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
        };
        const unsigned block = byte(0) << 16U | byte(1) << 8U | byte(2);
        result += digits[block >> 18U];
        result += digits[(block >> 12U) & 63U];
        result += i + 1 < text.size() ? digits[(block >> 6U) & 63U] : '=';
        result += i + 2 < text.size() ? digits[block & 63U] : '=';
    }
    return result;
}

// A token as its source delivered it. One that is already over by our clock means that the clocks differ: it
// is fresh all the same, so it counts as good for a minute.
Result<Token> make_token(std::string text, std::optional<system::WallTime> expires_at,
                         const TokenServices& services, const std::string& source) {
    if (const auto why = token_problem(text); !why.empty())
        return fail(ErrorKind::credential, source + " gave no usable token", why,
                    "run it by hand and look at its output");
    const auto now = services.clock.now();
    if (expires_at) expires_at = std::max(*expires_at, now + seconds(60));
    return Token{Secret(std::move(text)), now, expires_at, {}};
}

std::string host_of_url(const std::string& url) {
    const auto parsed = http::parse_url(url);
    return parsed ? parsed->origin() : http::shown_url(url);
}

// POST of a form to an OAuth token endpoint.
Result<Token> ask_endpoint(http::Request request,
                           const std::vector<std::pair<std::string, std::string>>& form,
                           TokenServices& services, const std::string& what, const std::string& fix) {
    for (const auto& [key, value] : form)
        request.body += (request.body.empty() ? "" : "&") + key + "=" + http::percent_encode(value);
    request.method = "POST";
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    request.timeout = seconds(15);
    request.response_limit_bytes = 1U << 20U;
    const auto response =
        http::send_with_retries(services.http, request, http::Repeatable::yes, token_policy, services.pacer);
    if (!response) return fail(http::to_error(response.error(), request.url));
    const auto body = json::parse(response->body, nullptr, false);
    if (response->status == 200 && body.is_object() && body.contains("access_token")) {
        std::optional<system::WallTime> expires_at;
        // Azure's older endpoint writes the number as a string.
        if (const auto life = body.find("expires_in"); life != body.end()) {
            long long number = 0;
            if (life->is_number()) number = life->get<long long>();
            if (life->is_string()) number = std::atoll(life->get<std::string>().c_str());
            if (number > 0) expires_at = services.clock.now() + seconds(std::min(number, 31'536'000LL));
        }
        if (!expires_at) expires_at = jwt_expiry(text_of(body, "access_token"));
        return make_token(text_of(body, "access_token"), expires_at, services, host_of_url(request.url));
    }
    const std::string status = "HTTP " + std::to_string(response->status);
    if (body.is_object()) {
        auto words = text_of(body, "error_description");
        if (words.empty()) words = text_of(body, "message");
        const auto code = text_of(body, "error");
        const bool refused = response->status >= 400 && response->status < 500 && response->status != 429;
        return fail(refused ? ErrorKind::credential : ErrorKind::workspace, what,
                    status + (code.empty() ? "" : ", " + quote_words(code)) +
                        (words.empty() ? "" : ": " + quote_words(words)),
                    refused ? fix : "try again later");
    }
    return fail(ErrorKind::workspace, what, status + ", and the answer is not from a token endpoint",
                "check the host " + host_of_url(request.url));
}

Result<Token> fetch_m2m(const Credential& credential, TokenServices& services) {
    http::Request request;
    request.url = credential.host + "/oidc/v1/token";
    request.authorization =
        Secret("Basic " + base64(credential.client_id + ":" + credential.client_secret.reveal()));
    return ask_endpoint(request,
                        {{"grant_type", "client_credentials"},
                         {"scope", credential.scopes.empty() ? "all-apis" : credential.scopes}},
                        services, credential.host + " gave no token for the client " + credential.client_id,
                        "check client id and secret (" + credential.origin +
                            "), and that the service principal is in this workspace");
}

Result<std::string> authority_of(const Credential& credential) {
    if (!credential.azure_authority.empty()) {
        const auto url = normalise_upstream(credential.azure_authority);
        if (url) return url;
        return fail(ErrorKind::credential, "cannot use AZURE_AUTHORITY_HOST", url.error().why,
                    url.error().fix);
    }
    const auto name = to_lower(credential.azure_environment);
    if (name == "usgovernment" || name == "azureusgovernment")
        return std::string("https://login.microsoftonline.us");
    if (name == "china" || name == "azurechinacloud") return std::string("https://login.chinacloudapi.cn");
    return std::string("https://login.microsoftonline.com");
}

// The tenant of an Azure workspace: where it sends browsers to log in.
Result<std::string> find_tenant(const Credential& credential, TokenServices& services) {
    http::Request request;
    request.url = credential.host + "/aad/auth";
    request.timeout = seconds(15);
    const auto response =
        http::send_with_retries(services.http, request, http::Repeatable::yes, token_policy, services.pacer);
    if (!response) return fail(http::to_error(response.error(), request.url));
    const auto* location = response->header("Location");
    const auto url = http::parse_url(location == nullptr ? "" : *location);
    const auto parts = url ? split(url->path, '/') : std::vector<std::string>();
    if (parts.size() >= 2 && !parts[1].empty()) return parts[1];
    return fail(ErrorKind::credential, "the Azure tenant of " + credential.host + " is not known",
                "the workspace does not tell it", "add azure_tenant_id (ARM_TENANT_ID)");
}

// Azure's management API, of the cloud that the authority belongs to (Microsoft's documentation).
std::string_view management_of(std::string_view authority) {
    if (authority.ends_with(".us")) return "https://management.core.usgovcloudapi.net/";
    if (authority.ends_with(".cn")) return "https://management.core.chinacloudapi.cn/";
    return "https://management.core.windows.net/";
}

Result<Token> fetch_azure(const Credential& credential, TokenServices& services) {
    const auto authority = authority_of(credential);
    if (!authority) return fail(authority.error());
    auto tenant = credential.tenant_id;
    if (tenant.empty()) {
        auto found = find_tenant(credential, services);
        if (!found) return fail(found.error());
        tenant = *found;
    }
    const std::string realm = *authority + "/" + http::percent_encode(tenant);
    const std::string fix = "check tenant, client id and secret (" + credential.origin + ")";
    http::Request request;
    request.url = realm + "/oauth2/v2.0/token";
    auto token =
        ask_endpoint(request,
                     {{"grant_type", "client_credentials"},
                      {"client_id", credential.client_id},
                      {"client_secret", credential.client_secret.reveal()},
                      {"scope", std::string(azure_databricks) + "/.default"}},
                     services, "Azure gave no token for the service principal " + credential.client_id, fix);
    if (!token || credential.azure_resource_id.empty()) return token;
    // A service principal that is no user of the workspace yet shows with a second token that it may manage
    // the workspace's resource in Azure (X-Databricks-Azure-SP-Management-Token; databricks-sdk-go asks the
    // older endpoint for it, which takes a resource instead of a scope).
    request.url = realm + "/oauth2/token";
    auto management = ask_endpoint(
        request,
        {{"grant_type", "client_credentials"},
         {"client_id", credential.client_id},
         {"client_secret", credential.client_secret.reveal()},
         {"resource", std::string(management_of(*authority))}},
        services, "Azure gave no management token for the service principal " + credential.client_id,
        fix + ", or take azure_workspace_resource_id out");
    if (!management) return management;
    token->management = std::move(management->value);
    if (management->expires_at)
        token->expires_at = token->expires_at ? std::min(*token->expires_at, *management->expires_at)
                                              : *management->expires_at;
    return token;
}

Result<system::Path> find_tool(const std::string& configured, std::string_view name,
                               TokenServices& services) {
    if (!configured.empty()) {
        if (configured[0] == '/') return system::Path(configured);
        if (configured.find('/') != std::string::npos)
            return services.environment.working_directory() / configured;
        name = configured;
    }
    if (auto path = system::find_program(services.environment, services.files, name)) return *path;
    return fail(ErrorKind::credential, std::string(name) + " is not installed",
                "no executable file of that name is on PATH",
                name == "az" ? "install the Azure CLI, or use another credential"
                             : "install the Databricks CLI (0.205 or newer), or use another credential");
}

// What to do about the words of a tool that failed: logging in again helps against few things.
std::string advice_for(std::string_view words, const system::ProcessRequest& request,
                       const std::string& login) {
    const auto says = [&](std::initializer_list<std::string_view> parts) {
        return std::any_of(parts.begin(), parts.end(), [&](auto part) { return icontains(words, part); });
    };
    const std::string name = request.program.filename().string();
    if (says({"no such command", "unknown command"}))
        return "this " + name + " is too old: install version 0.205 or newer";
    // The Databricks CLI says that of a profile with client_id (databricks/cli#1939).
    if (says({"only supports u2m", "oauth-m2m"}))
        return "add client_id and client_secret to the profile, and auth_type = oauth-m2m";
    // Several processes at once (exit code 45 of newer versions).
    if (says({"cache update", "the lock"})) return "try again: another " + name + " is running";
    if (says({"connection refused", "no such host", "cannot reach", "timeout", "timed out", "network",
              "certificate", "proxyconnect"}))
        return "check the network, then try again";
    if (words.empty()) return "run it by hand and look at its output: " + request.program.string();
    return "run: " + login;
}

// Runs a command line tool; its standard output is a JSON object.
Result<json> run_tool(const system::ProcessRequest& request, TokenServices& services,
                      const std::string& login) {
    const std::string name = request.program.filename().string();
    const auto result = services.process.run(request);
    if (!result) {
        auto error = result.error();
        if (error.kind != ErrorKind::interrupted) error.kind = ErrorKind::credential;
        return fail(std::move(error));
    }
    if (result->exit_code != 0) {
        auto words = quote_words(result->err);
        if (words.empty()) words = quote_words(result->out);
        return fail(ErrorKind::credential, name + " gave no token",
                    "exit code " + std::to_string(result->exit_code) + (words.empty() ? "" : ": " + words),
                    advice_for(words, request, login));
    }
    auto body = json::parse(result->out, nullptr, false);
    if (!body.is_object())
        return fail(ErrorKind::credential, name + " gave no token",
                    result->out.empty() ? "it printed nothing"
                                        : "it printed something else than a JSON object",
                    "run it by hand and look at its output: " + request.program.string());
    return body;
}

Result<Token> fetch_databricks_cli(const Credential& credential, TokenServices& services,
                                   Freshness freshness) {
    const auto program = find_tool(credential.cli_path, "databricks", services);
    if (!program) return fail(program.error());
    system::ProcessRequest request;
    request.program = *program;
    request.timeout = tool_timeout;
    request.environment = services.environment.all();
    // DATABRICKS_CONFIG_PROFILE beats --host, and a token in the environment beats both.
    for (const auto* name : {"DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID",
                             "DATABRICKS_CLIENT_SECRET", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_AUTH_TYPE",
                             "DATABRICKS_USERNAME", "DATABRICKS_PASSWORD", "DATABRICKS_ACCOUNT_ID"})
        request.environment.erase(name);
    if (!credential.config_file.empty())
        request.environment["DATABRICKS_CONFIG_FILE"] = credential.config_file.string();
    request.arguments = {"auth", "token"};
    std::string login = "databricks auth login";
    if (!credential.profile.empty()) {
        request.arguments.insert(request.arguments.end(), {"--profile", credential.profile});
        login += " --profile " + shell_quote(credential.profile);
    } else {
        request.arguments.insert(request.arguments.end(), {"--host", credential.host});
        login += " --host " + shell_quote(credential.host);
    }
    request.arguments.insert(request.arguments.end(), {"-o", "json"});
    auto plain = request;
    if (freshness == Freshness::forced) request.arguments.emplace_back("--force-refresh");
    auto body = run_tool(request, services, login);
    // Before 0.296 the CLI has no such flag.
    if (!body && freshness == Freshness::forced && icontains(body.error().why, "unknown flag"))
        body = run_tool(plain, services, login);
    if (!body) return fail(body.error());
    const auto text = text_of(*body, "access_token");
    auto expires_at = parse_rfc3339(text_of(*body, "expiry"));
    if (!expires_at) expires_at = jwt_expiry(text);
    if (!expires_at) expires_at = services.clock.now() + seconds(300);
    return make_token(text, expires_at, services, program->filename().string());
}

Result<Token> fetch_azure_cli(const Credential& credential, TokenServices& services) {
    const auto program = find_tool("", "az", services);
    if (!program) return fail(program.error());
    system::ProcessRequest request;
    request.program = *program;
    request.timeout = tool_timeout;
    request.environment = services.environment.all();
    request.arguments = {"account", "get-access-token", "--resource", std::string(azure_databricks), "-o",
                         "json"};
    if (!credential.tenant_id.empty())
        request.arguments.insert(request.arguments.end(), {"--tenant", credential.tenant_id});
    const auto body = run_tool(request, services, "az login");
    if (!body) return fail(body.error());
    const auto text = text_of(*body, "accessToken");
    // expiresOn is local time without a zone; expires_on (newer) is seconds since 1970.
    std::optional<system::WallTime> expires_at;
    if (const auto number = body->find("expires_on"); number != body->end() && number->is_number_integer()) {
        const auto value = number->get<std::int64_t>();
        if (value > 0 && value < 7'258'118'400) expires_at = system::WallTime(seconds(value));
    }
    if (!expires_at) expires_at = jwt_expiry(text);
    if (!expires_at) expires_at = services.clock.now() + seconds(300);
    return make_token(text, expires_at, services, "az");
}

} // namespace

Result<Token> fetch_token(const Credential& credential, TokenServices& services, Freshness freshness) {
    switch (credential.kind) {
    case CredentialKind::oauth_m2m:
        return fetch_m2m(credential, services);
    case CredentialKind::databricks_cli:
        return fetch_databricks_cli(credential, services, freshness);
    case CredentialKind::azure_client_secret:
        return fetch_azure(credential, services);
    case CredentialKind::azure_cli:
        return fetch_azure_cli(credential, services);
    case CredentialKind::pat:
    case CredentialKind::access_token:
        break;
    }
    return fail(ErrorKind::credential, "the token of " + credential.origin + " cannot be renewed");
}

} // namespace dbx::databricks
