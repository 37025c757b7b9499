#include "core/proxy/admit.hpp"

#include "core/base/strings.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

namespace dbx::proxy {

namespace {

// Where agents put their key: Claude Code ANTHROPIC_AUTH_TOKEN -> Authorization, ANTHROPIC_API_KEY ->
// x-api-key; Gemini CLI x-goog-api-key (0.61 also Authorization); Codex whatever http_headers says.
constexpr std::array<std::string_view, 3> key_fields = {"x-api-key", "x-goog-api-key", "x-dbx-agents-key"};

std::string_view bearer(std::string_view value) {
    constexpr std::string_view scheme = "bearer ";
    if (value.size() < scheme.size() || !iequals(value.substr(0, scheme.size()), scheme)) return {};
    return trim(value.substr(scheme.size()));
}

// Every key is compared with every text, so that time tells nothing.
std::string_view owner_of(const Gate& gate, std::string_view text) {
    std::string_view owner;
    for (const auto& [agent, key] : gate.keys)
        if (same_secret(key.reveal(), text)) owner = agent;
    return owner;
}

} // namespace

bool same_secret(std::string_view a, std::string_view b) {
    // The length of a key is no secret.
    return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_credential(const Field& field) {
    if (field.id == Name::authorization || field.id == Name::proxy_authorization) return true;
    if (field.id != Name::other || field.name.size() < 9) return false;
    return std::any_of(key_fields.begin(), key_fields.end(),
                       [&](std::string_view name) { return iequals(field.name, name); });
}

std::variant<Admission, Refusal> admit(const Head& head, const Gate& gate) {
    // 1. Host: a name that a web page can make point to us is not one of ours
    const auto* host = head.find(Name::host);
    const std::string name = host != nullptr ? to_lower(host->value) : std::string();
    if (std::find(gate.hosts.begin(), gate.hosts.end(), name) == gate.hosts.end())
        return Refusal{403, "wrong-host",
                       "This is the local proxy of dbx-agents; it answers only under its own address, not "
                       "under the name "
                       "in the Host header."};
    // 2. no browser: none of the agents sends Origin
    if (head.find(Name::origin) != nullptr)
        return Refusal{403, "browser",
                       "The local proxy of dbx-agents does not answer web pages (Origin header)."};
    // 3. the target
    if (head.method == "CONNECT" || !head.target.starts_with('/'))
        return Refusal{
            head.method == "CONNECT" ? 405 : 400, "not-a-forward-proxy",
            "The local proxy of dbx-agents is a gateway, not an HTTP proxy: use it as the base URL, and keep "
            "127.0.0.1 in NO_PROXY."};
    // TRACE would show the client the token that is put in.
    constexpr std::array<std::string_view, 6> methods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    if (std::find(methods.begin(), methods.end(), head.method) == methods.end())
        return Refusal{405, "wrong-method", "The local proxy of dbx-agents does not pass this method on."};
    const auto target = read_target(head.target);
    if (!target) return Refusal{400, "bad-path", "The path of the request is not one that can be forwarded."};
    auto route = find_route(head.method, *target);
    // 4. the key
    if (route && route->destination == Destination::local && route->page == Page::health)
        return Admission{std::move(*route), {}, true};
    std::string_view agent = target->key.empty() ? std::string_view() : owner_of(gate, target->key);
    bool given = !target->key.empty();
    for (const auto& field : head.fields) {
        if (!is_credential(field) || field.id == Name::proxy_authorization) continue;
        given = true;
        const auto text = field.id == Name::authorization ? bearer(field.value) : field.value;
        if (const auto owner = owner_of(gate, text); !owner.empty()) agent = owner;
    }
    if (agent.empty()) {
        // Claude Code and `codex doctor` look with HEAD whether somebody is there, without a credential.
        if (head.method == "HEAD" && !given && route) return Admission{std::move(*route), {}, true};
        return Refusal{401, given ? "wrong-key" : "no-key",
                       given ? "The local proxy of dbx-agents does not know this key. Run: dbx-agents setup "
                               "AGENT --auth proxy"
                             : "The local proxy of dbx-agents wants its local key. Run: dbx-agents setup "
                               "AGENT --auth proxy"};
    }
    if (!route)
        return Refusal{
            404, "no-route",
            "The local proxy of dbx-agents has no such path. It serves /anthropic, /openai/v1, /codex/v1, "
            "/gemini, /cursor/v1 and /mlflow/v1 of the gateway, and /api/2.0/otel/v1."};
    // 5. no other protocol: Codex falls back to plain requests on exactly this status
    if (head.upgrade && head.find(Name::upgrade) != nullptr &&
        iequals(head.find(Name::upgrade)->value, "websocket")) {
        Refusal refusal{426, "no-websocket",
                        "The local proxy of dbx-agents speaks HTTP/1.1 only; ask without Upgrade."};
        refusal.close = true;
        return refusal;
    }
    return Admission{std::move(*route), std::string(agent), false};
}

} // namespace dbx::proxy
