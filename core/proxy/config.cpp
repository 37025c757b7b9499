#include "core/proxy/config.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <charconv>
#include <optional>

namespace dbx::proxy {

namespace {

Error wrong(const state::Setting& setting, std::string_view key, const std::string& why) {
    return {ErrorKind::usage,
            std::string(key) + " = '" + setting.value + "' cannot be used (from " + setting.origin + ")",
            why,
            "correct it",
            {}};
}

Result<std::optional<int>> find_number(const state::Settings& settings, std::string_view key, int least,
                                       int most) {
    const auto setting = settings.find(key);
    if (!setting) return std::nullopt;
    int value = 0;
    const auto& text = setting->value;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
        return fail(
            wrong(*setting, key,
                  "it must be a number from " + std::to_string(least) + " to " + std::to_string(most)));
    return value;
}

} // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        double milliseconds;
    };
    constexpr Unit units[] = {{"ms", 1},        {"s", 1000},       {"m", 60'000},
                              {"h", 3'600'000}, {"d", 86'400'000}, {"", 1000}};
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    constexpr double most = 1e12;
    for (const auto& unit : units) {
        if (error == std::errc() && rest == unit.name && number >= 0 && number * unit.milliseconds < most)
            return std::chrono::milliseconds(static_cast<long long>(number * unit.milliseconds));
    }
    return fail(ErrorKind::usage, "'" + std::string(text) + "' is not a time",
                "a time is a number with ms, s, m, h or d: 30s");
}

Result<ServerOptions> server_options(const state::Settings& settings, bool allow_remote) {
    ServerOptions options;
    const auto port = find_number(settings, "proxy.port", 0, 65'535);
    if (!port) return fail(port.error());
    options.port = port->value_or(options.port);
    const auto threads = find_number(settings, "proxy.threads", 1, 64);
    if (!threads) return fail(threads.error());
    options.threads = threads->value_or(1);
    const auto connections = find_number(settings, "proxy.max_connections", 1, 50'000);
    if (!connections) return fail(connections.error());
    options.most_connections =
        static_cast<std::size_t>(connections->value_or(static_cast<int>(options.most_connections)));
    if (const auto drain = settings.find("proxy.drain")) {
        const auto time = parse_duration(drain->value);
        if (!time) return fail(wrong(*drain, "proxy.drain", time.error().why));
        options.drain = std::chrono::duration_cast<std::chrono::seconds>(*time);
    }
    if (const auto bind = settings.find("proxy.bind")) {
        options.bind = bind->value;
        if (!http::is_loopback_host(options.bind) && !http::is_loopback_host("[" + options.bind + "]") &&
            !allow_remote)
            return fail(
                ErrorKind::usage, "will not listen on " + options.bind + " (from " + bind->origin + ")",
                "other machines could reach the proxy there, and with it your Databricks token's rights",
                "leave --bind out, or add --allow-remote if that is what you want");
    }
    if (const auto level = settings.find("proxy.log_level")) {
        const std::vector<std::string> known = {"warn", "info", "debug"};
        if (std::find(known.begin(), known.end(), level->value) == known.end())
            return fail(wrong(*level, "proxy.log_level", "known levels: warn, info, debug"));
        options.log_requests = level->value == "debug";
    }
    return options;
}

Result<std::shared_ptr<const Policy>>
make_policy(const state::Settings& settings, const databricks::Target& target, const state::LocalKeys& keys,
            const http::ClientOptions& client, const std::string& bind, int port) {
    auto policy = std::make_shared<Policy>();
    if (!target.gateway) return fail(databricks::no_workspace("cannot start the proxy"));
    auto gateway = endpoint_of(target.gateway->value);
    if (!gateway) return fail(gateway.error());
    policy->gateway = std::make_shared<const Endpoint>(std::move(*gateway));
    if (target.workspace) {
        auto workspace = endpoint_of(target.workspace->value);
        if (!workspace) return fail(workspace.error());
        policy->workspace = std::make_shared<const Endpoint>(std::move(*workspace));
    }

    for (const auto& [agent, key] : keys) policy->gate.keys.emplace(agent, key);
    std::vector<std::string> names = {"127.0.0.1", "localhost", "[::1]"};
    if (bind != "127.0.0.1" && bind != "::1")
        names.push_back(bind.find(':') != std::string::npos ? "[" + bind + "]" : bind);
    for (int i = 0;; ++i) {
        const auto name = settings.find("proxy.names." + std::to_string(i));
        if (!name) break;
        names.push_back(to_lower(name->value));
    }
    for (const auto& name : names) {
        policy->gate.hosts.push_back(name + ":" + std::to_string(port));
        if (port == 80) policy->gate.hosts.push_back(name);
    }

    for (int i = 0;; ++i) {
        const std::string key = "proxy.model." + std::to_string(i);
        const auto asked = settings.find(key + ".asked");
        const auto sent = settings.find(key + ".sent");
        if (!asked && !sent) break;
        if (!asked || !sent || asked->value.empty() || sent->value.empty())
            return fail(ErrorKind::usage,
                        "a [[proxy.model]] of the configuration is not whole (" +
                            (asked ? asked : sent)->origin + ")",
                        "it needs both 'asked' and 'sent'", "add the other one");
        policy->models.push_back({asked->value, sent->value});
    }

    TlsContext::Trust trust{client.ca_file, client.ca_folder, {}};
    if (const auto extra = settings.find("network.ca_file")) trust.extra_ca_file = extra->value;
    policy->tls = std::make_shared<LazyTls>(std::move(trust));

    auto limits = limiter_options(settings);
    if (!limits) return fail(limits.error());
    policy->limits = std::make_shared<Limits>(std::move(*limits), std::chrono::system_clock::now());
    auto prices = usage::PriceBook::load(settings);
    if (!prices) return fail(prices.error());
    policy->prices = std::make_shared<const usage::PriceBook>(std::move(*prices));
    return policy;
}

Result<usage::Limiter::Options> limiter_options(const state::Settings& settings) {
    auto rules = usage::load_rules(settings);
    if (!rules) return fail(rules.error());
    usage::Limiter::Options options;
    options.limits = std::move(rules->limits);
    options.budgets = std::move(rules->budgets);
    // The flags are limits of the whole proxy.
    constexpr int most = 1'000'000'000;
    const auto rpm = find_number(settings, "proxy.rpm", 1, most);
    if (!rpm) return fail(rpm.error());
    const auto tpm = find_number(settings, "proxy.tpm", 1, most);
    if (!tpm) return fail(tpm.error());
    const auto concurrent = find_number(settings, "proxy.max_concurrent", 1, most);
    if (!concurrent) return fail(concurrent.error());
    const auto add = [&](const char* key, auto set) {
        const auto setting = settings.find(key);
        if (!setting) return;
        usage::LimitRule rule;
        rule.name = setting->origin;
        rule.where = "the command line";
        set(rule);
        options.limits.push_back(std::move(rule));
    };
    add("proxy.rpm", [&](usage::LimitRule& rule) { rule.requests_per_minute = **rpm; });
    add("proxy.tpm", [&](usage::LimitRule& rule) { rule.tokens_per_minute = **tpm; });
    add("proxy.max_concurrent",
        [&](usage::LimitRule& rule) { rule.concurrent = static_cast<std::uint32_t>(**concurrent); });
    if (const auto hold = settings.find("proxy.hold")) {
        const auto time = parse_duration(hold->value);
        if (!time) return fail(wrong(*hold, "proxy.hold", time.error().why));
        options.hold = *time;
    }
    return options;
}

Result<std::optional<usage::Ledger::Options>> ledger_options(const state::Settings& settings,
                                                             const system::Environment& environment) {
    if (const auto none = settings.find("ledger.off"); none && none->value == "true") return std::nullopt;
    usage::Ledger::Options options;
    if (const auto file = settings.find("ledger.file")) {
        options.file = file->value;
        if (options.file.is_relative()) options.file = environment.working_directory() / options.file;
    } else {
        const auto standard = usage::default_ledger(environment);
        if (!standard) return fail(standard.error());
        options.file = *standard;
    }
    if (const auto keep = settings.find("ledger.keep")) {
        const auto time = usage::parse_keep(keep->value);
        if (!time) return fail(wrong(*keep, "ledger.keep", time.error().why));
        options.keep = *time;
    }
    return options;
}

} // namespace dbx::proxy
