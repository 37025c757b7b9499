#include "core/usage/config_entries.hpp"
#include "core/usage/limiter.hpp"

#include <cmath>

namespace dbx::usage {

namespace {

constexpr double least = 1e-9;

std::string text_of(const ConfigEntry& entry, std::string_view key) {
    const auto* const text = entry.find(key);
    return text != nullptr ? *text : std::string();
}

} // namespace

Result<Rules> load_rules(const state::Settings& settings) {
    Rules rules;
    for (const auto& entry : ConfigEntry::all(
             settings, "proxy.limit",
             {"name", "agent", "model", "requests_per_minute", "tokens_per_minute", "concurrent"})) {
        LimitRule rule;
        rule.where = entry.where();
        rule.name = text_of(entry, "name");
        if (rule.name.empty()) rule.name = "limit " + std::to_string(entry.index());
        rule.agent = text_of(entry, "agent");
        rule.model = text_of(entry, "model");
        const auto requests = entry.number("requests_per_minute", least);
        if (!requests) return fail(requests.error());
        const auto tokens = entry.number("tokens_per_minute", least);
        if (!tokens) return fail(tokens.error());
        const auto concurrent = entry.number("concurrent", 1);
        if (!concurrent) return fail(concurrent.error());
        rule.requests_per_minute = *requests;
        rule.tokens_per_minute = *tokens;
        if (*concurrent) rule.concurrent = static_cast<std::uint32_t>(std::min(**concurrent, 1e9));
        if (!*requests && !*tokens && !*concurrent)
            return fail(entry.error("[[proxy.limit]] has no number",
                                    "give it requests_per_minute, tokens_per_minute or concurrent"));
        rules.limits.push_back(std::move(rule));
    }

    struct Number {
        const char* key;
        Period period;
        bool usd;
    };
    static constexpr Number numbers[] = {
        {"tokens_per_day", Period::day, false},     {"tokens_per_week", Period::week, false},
        {"tokens_per_month", Period::month, false}, {"usd_per_day", Period::day, true},
        {"usd_per_week", Period::week, true},       {"usd_per_month", Period::month, true},
    };
    std::vector<std::string> keys = {"name", "agent", "model"};
    for (const auto& number : numbers) keys.emplace_back(number.key);
    for (const auto& entry : ConfigEntry::all(settings, "proxy.budget", keys)) {
        bool any = false;
        for (const auto& number : numbers) {
            const auto value = entry.number(number.key, least);
            if (!value) return fail(value.error());
            if (!*value) continue;
            any = true;
            BudgetRule rule;
            rule.where = entry.where();
            rule.name = text_of(entry, "name");
            if (rule.name.empty()) rule.name = "budget " + std::to_string(entry.index());
            rule.agent = text_of(entry, "agent");
            rule.model = text_of(entry, "model");
            rule.period = number.period;
            (number.usd ? rule.usd : rule.tokens) = **value;
            rules.budgets.push_back(std::move(rule));
        }
        if (!any)
            return fail(entry.error("[[proxy.budget]] has no number",
                                    "give it tokens_per_day, usd_per_day, or the same per week or month"));
    }
    return rules;
}

} // namespace dbx::usage
