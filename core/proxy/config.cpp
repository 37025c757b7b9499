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

Result<std::shared_ptr<Policy>> make_policy(const state::Settings& settings, const databricks::Target& target,
                                            const state::LocalKeys& keys, const http::ClientOptions& client,
                                            const std::string& bind, int port) {
    auto policy = std::make_shared<Policy>();
    if (!target.gateway) return fail(databricks::no_workspace("cannot start the proxy"));
    auto gateway = endpoint_of(target.gateway->value);
    if (!gateway) return fail(gateway.error());
    policy->gateway = std::make_shared<const Endpoint>(std::move(*gateway));

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
    policy->rules = std::move(*limits);
    auto prices = usage::PriceBook::load(settings);
    if (!prices) return fail(prices.error());
    policy->prices = std::make_shared<const usage::PriceBook>(std::move(*prices));
    auto relay = relay_policy(settings, target);
    if (!relay) return fail(relay.error());
    policy->relay = std::make_shared<const RelayPolicy>(std::move(*relay));
    return policy;
}

Result<std::uint64_t> parse_size(std::string_view text) {
    struct Unit {
        std::string_view name;
        unsigned bits;
    };
    constexpr Unit units[] = {{"", 0},    {"b", 0},    {"k", 10}, {"kb", 10}, {"kib", 10}, {"m", 20},
                              {"mb", 20}, {"mib", 20}, {"g", 30}, {"gb", 30}, {"gib", 30}};
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto rest = to_lower(trim({end, static_cast<std::size_t>(text.data() + text.size() - end)}));
    constexpr std::uint64_t most = 1ULL << 20U;
    for (const auto& unit : units)
        if (error == std::errc() && rest == unit.name && (unit.bits == 0 || number <= most))
            return number << unit.bits;
    return fail(ErrorKind::usage, "'" + std::string(text) + "' is not a size",
                "a size is a number with KB, MB or GB: 64MB");
}

Result<RelayPolicy> relay_policy(const state::Settings& settings, const databricks::Target& target) {
    RelayPolicy policy;
    if (target.workspace) policy.workspace = target.workspace->value;
    if (const auto extra = settings.find("network.ca_file")) policy.extra_ca_file = extra->value;
    if (const auto tables = settings.find("otel.tables"); tables && !tables->value.empty()) {
        auto place = otlp::parse_place(tables->value, tables->origin);
        if (!place) return fail(place.error());
        policy.tables = std::move(*place);
    }
    const auto flag = [&](std::string_view key, bool& value) -> Result<void> {
        const auto setting = settings.find(key);
        if (!setting) return {};
        if (setting->value != "true" && setting->value != "false")
            return fail(wrong(*setting, key, "it is true or false"));
        value = setting->value == "true";
        return {};
    };
    if (auto read = flag("otel.traces", policy.traces); !read) return fail(read.error());
    // What setup --otel-traces remembers of an agent.
    for (const auto& key : settings.keys_below("agents.")) {
        const auto setting = key.ends_with(".otel") ? settings.find(key) : std::nullopt;
        if (setting && setting->value == "traces" && !settings.find("otel.traces")) policy.traces = true;
    }
    if (auto read = flag("proxy.export_usage", policy.export_usage); !read) return fail(read.error());

    constexpr std::string_view attributes = "otel.resource_attributes.";
    for (const auto& key : settings.keys_below(attributes)) {
        const auto setting = settings.find(key);
        if (setting) policy.amendments.resource_attributes[key.substr(attributes.size())] = setting->value;
    }
    // Of both configurations: what the organisation drops, nobody sends.
    for (int i = 0;; ++i) {
        const auto names = settings.all("otel.drop_attributes." + std::to_string(i));
        if (names.empty()) break;
        for (const auto& name : names) policy.amendments.drop_attributes.push_back(name.value);
    }

    if (const auto setting = settings.find("proxy.spool_size")) {
        const auto size = parse_size(setting->value);
        if (!size) return fail(wrong(*setting, "proxy.spool_size", size.error().why));
        policy.bounds.size = *size;
    }
    const auto time = [&](std::string_view key, auto& value) -> Result<void> {
        const auto setting = settings.find(key);
        if (!setting) return {};
        const auto duration = parse_duration(setting->value);
        if (!duration) return fail(wrong(*setting, key, duration.error().why));
        if (*duration < std::chrono::seconds(1))
            return fail(wrong(*setting, key, "it is less than a second"));
        value = std::chrono::duration_cast<std::remove_reference_t<decltype(value)>>(*duration);
        return {};
    };
    if (auto read = time("proxy.spool_age", policy.bounds.age); !read) return fail(read.error());
    if (auto read = time("proxy.export_every", policy.export_every); !read) return fail(read.error());
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
