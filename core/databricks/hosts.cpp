#include "core/databricks/hosts.hpp"

#include "core/base/strings.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>

namespace dbx::databricks {

namespace {

constexpr std::array<std::string_view, 6> routes = {"cursor", "openai",    "codex",
                                                    "gemini", "anthropic", "mlflow"};
constexpr std::array<std::string_view, 3> azure_domains = {".azuredatabricks.net", ".databricks.azure.us",
                                                           ".databricks.azure.cn"};
constexpr std::array<std::string_view, 4> other_domains = {".cloud.databricks.com", ".cloud.databricks.us",
                                                           ".cloud.databricks.mil", ".gcp.databricks.com"};

template <std::size_t N>
bool ends_with_any(std::string_view host, const std::array<std::string_view, N>& endings) {
    return std::any_of(endings.begin(), endings.end(), [&](std::string_view e) { return host.ends_with(e); });
}

bool databricks_domain(std::string_view host) {
    return ends_with_any(host, azure_domains) || ends_with_any(host, other_domains);
}

bool deprecated_gateway_host(std::string_view host) {
    return databricks_domain(host) && host.find(".ai-gateway.") != std::string_view::npos;
}

// Parses and applies what holds for every address that may receive a token.
Result<http::Url> parse_address(std::string_view text, std::string_view name, std::string_view example) {
    auto url = http::parse_url(text);
    if (!url) {
        url.error().what = "cannot use the " + std::string(name) + " '" + http::shown_url(text) + "'";
        if (url.error().fix.starts_with("give an address such as"))
            url.error().fix = "give it as " + std::string(example);
        return url;
    }
    const auto refuse = [&](std::string why, std::string fix) {
        return fail(ErrorKind::usage,
                    "cannot use the " + std::string(name) + " '" + http::shown_url(text) + "'",
                    std::move(why), std::move(fix));
    };
    if (url->scheme == "http" && !http::is_loopback_host(url->host))
        return refuse("http:// would send the token unencrypted; it is allowed to loopback addresses only",
                      "use https://" + url->host + (url->port == 0 ? "" : ":" + std::to_string(url->port)));
    // "myworkspace" is far more often a forgotten domain than a host of the local network.
    const bool has_scheme = text.find("://") != std::string_view::npos;
    if (!has_scheme && url->host.find_first_of(".[") == std::string::npos && url->host != "localhost")
        return refuse("it has no domain", "give it as " + std::string(example));
    return url;
}

Result<std::string> normalise_path(const http::Url& url, std::string_view text, std::string_view name,
                                   bool cut) {
    std::string result = url.origin();
    for (const auto& segment : split(url.path, '/')) {
        if (segment.empty()) continue;
        if (segment == "." || segment == "..")
            return fail(ErrorKind::usage,
                        "cannot use the " + std::string(name) + " '" + http::shown_url(text) + "'",
                        "its path holds '" + segment + "'", "give the plain path");
        for (const char c : segment) {
            constexpr std::string_view allowed =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%+,:@=";
            if (allowed.find(c) == std::string_view::npos)
                return fail(ErrorKind::usage,
                            "cannot use the " + std::string(name) + " '" + http::shown_url(text) + "'",
                            std::string("its path holds '") + c + "'",
                            "give the plain path, percent-encoded if need be");
        }
        if (cut && std::find(routes.begin(), routes.end(), segment) != routes.end()) break;
        result += "/" + segment;
        if (cut && segment == "ai-gateway") break;
    }
    return result;
}

} // namespace

Result<std::string> normalise_workspace(std::string_view text) {
    constexpr std::string_view example = "https://adb-1234567890123456.7.azuredatabricks.net";
    const auto url = parse_address(text, "workspace", example);
    if (!url) return fail(url.error());
    const auto refuse = [&](std::string why, std::string fix) {
        return fail(ErrorKind::usage, "cannot use the workspace '" + http::shown_url(text) + "'",
                    std::move(why), std::move(fix));
    };
    if (deprecated_gateway_host(url->host))
        return refuse("it is a gateway host, not a workspace",
                      "give it with --gateway, and the workspace as the address in your browser");
    if (url->host.starts_with("accounts.") && databricks_domain(url->host))
        return refuse("it is the account console, not a workspace", "give the address of one workspace");
    return url->origin();
}

std::string gateway_of_workspace(std::string_view workspace) {
    return std::string(workspace) + "/ai-gateway";
}

Result<std::string> normalise_gateway(std::string_view text) {
    const auto url = parse_address(text, "gateway", "https://HOST/ai-gateway");
    if (!url) return fail(url.error());
    return normalise_path(*url, text, "gateway", true);
}

Result<std::string> normalise_upstream(std::string_view text) {
    const auto url = parse_address(text, "upstream", "https://HOST/ai-gateway");
    if (!url) return fail(url.error());
    return normalise_path(*url, text, "upstream", false);
}

std::optional<std::string> workspace_of_gateway(std::string_view gateway) {
    const auto url = http::parse_url(gateway);
    if (!url || url->path != "/ai-gateway") return std::nullopt;
    return url->origin();
}

bool is_loopback(std::string_view url) {
    const auto parsed = http::parse_url(url);
    return parsed && http::is_loopback_host(parsed->host);
}

bool is_deprecated_gateway(std::string_view url) {
    const auto parsed = http::parse_url(url);
    return parsed && deprecated_gateway_host(parsed->host);
}

bool is_databricks_host(std::string_view url) {
    const auto parsed = http::parse_url(url);
    return parsed && databricks_domain(parsed->host);
}

bool is_azure_host(std::string_view url) {
    const auto parsed = http::parse_url(url);
    return parsed && ends_with_any(parsed->host, azure_domains);
}

bool same_origin(std::string_view a, std::string_view b) {
    const auto first = http::parse_url(a);
    const auto second = http::parse_url(b);
    return first && second && first->origin() == second->origin();
}

} // namespace dbx::databricks
