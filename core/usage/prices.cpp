#include "core/usage/prices.hpp"

#include "core/base/strings.hpp"
#include "core/usage/config_entries.hpp"

#include <array>
#include <cstdio>

namespace dbx::usage {

namespace {

constexpr double million = 1e6;

// The vendors' own list prices; what a workspace pays for the same model may differ ([[price]] says it).
// Models whose price depends on the length of the prompt are left out: one number would be wrong.
struct ListPrice {
    const char* model;
    double input;
    double output;
    double cache_read;
    double cache_write; // 0: not charged apart
    double cache_write_1h;
    const char* source;
};
// https://platform.claude.com/docs/en/about-claude/pricing, table "Model pricing"
constexpr const char* anthropic = "list price of Anthropic, 2026-10-24";
constexpr ListPrice list_prices[] = {
    {"claude-fable-5", 10, 50, 1, 12.5, 20, anthropic},
    {"claude-opus-5", 5, 25, 0.5, 6.25, 10, anthropic},
    {"claude-opus-4-8", 5, 25, 0.5, 6.25, 10, anthropic},
    {"claude-opus-4-7", 5, 25, 0.5, 6.25, 10, anthropic},
    {"claude-opus-4-6", 5, 25, 0.5, 6.25, 10, anthropic},
    {"claude-opus-4-5", 5, 25, 0.5, 6.25, 10, anthropic},
    {"claude-opus-4-1", 15, 75, 1.5, 18.75, 30, anthropic},
    {"claude-opus-4", 15, 75, 1.5, 18.75, 30, anthropic},
    {"claude-sonnet-4-6", 3, 15, 0.3, 3.75, 6, anthropic},
    {"claude-sonnet-4-5", 3, 15, 0.3, 3.75, 6, anthropic},
    {"claude-sonnet-4", 3, 15, 0.3, 3.75, 6, anthropic},
    {"claude-haiku-4-5", 1, 5, 0.1, 1.25, 2, anthropic},
};

// "databricks-x" and "system.ai.databricks-x" are x; versions may be written with dots.
std::string plain_model(std::string_view model) {
    for (const std::string_view prefix : {"system.ai.", "databricks-", "models/"}) {
        if (model.substr(0, prefix.size()) == prefix) model.remove_prefix(prefix.size());
    }
    std::string result = to_lower(model);
    for (auto& c : result) {
        if (c == '.') c = '-';
    }
    // A dated snapshot: claude-sonnet-4-5-20250929.
    if (result.size() > 9 && result[result.size() - 9] == '-' &&
        result.find_first_not_of("0123456789", result.size() - 8) == std::string::npos)
        result.resize(result.size() - 9);
    return result;
}

// Without the zeros that printf leaves.
std::string number(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.6g", value);
    return text.data();
}

std::string words_of(const Price& price) {
    std::string words = "in " + number(price.input) + " out " + number(price.output);
    if (price.cache_read || price.cache_write)
        words += " cache " + number(price.cache_read.value_or(price.input)) + "/" +
                 number(price.cache_write.value_or(price.input));
    if (price.cache_write_1h) words += "/" + number(*price.cache_write_1h);
    return words + " (" + price.source + ")";
}

double amount(const std::optional<std::uint64_t>& count) {
    return static_cast<double>(count.value_or(0));
}

} // namespace

Result<PriceBook> PriceBook::load(const state::Settings& settings) {
    std::vector<Price> prices;
    for (const auto& entry :
         ConfigEntry::all(settings, "price",
                          {"model", "input", "output", "cache_read", "cache_write", "cache_write_1h"})) {
        Price price;
        price.source = entry.where();
        const auto* const model = entry.find("model");
        if (model == nullptr || model->empty())
            return fail(entry.error("[[price]] has no model", "give it the model's name, or a glob"));
        price.model = *model;
        std::array<std::optional<double>, 5> values;
        static constexpr std::array<const char*, 5> keys = {"input", "output", "cache_read", "cache_write",
                                                            "cache_write_1h"};
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const auto value = entry.number(keys[i], 0);
            if (!value) return fail(value.error());
            values[i] = *value;
        }
        if (!values[0] || !values[1])
            return fail(entry.error("[[price]] of " + price.model + " lacks input or output",
                                    "give both, in USD per million tokens"));
        price.input = *values[0];
        price.output = *values[1];
        price.cache_read = values[2];
        price.cache_write = values[3];
        price.cache_write_1h = values[4];
        prices.push_back(std::move(price));
    }
    for (const auto& entry : list_prices) {
        Price price;
        price.model = entry.model;
        price.input = entry.input;
        price.output = entry.output;
        price.cache_read = entry.cache_read;
        if (entry.cache_write > 0) price.cache_write = entry.cache_write;
        if (entry.cache_write_1h > 0) price.cache_write_1h = entry.cache_write_1h;
        price.source = entry.source;
        price.built_in = true;
        prices.push_back(std::move(price));
    }
    return PriceBook(std::move(prices));
}

PriceBook::PriceBook(std::vector<Price> prices)
    : prices_(std::move(prices)) {
    words_.reserve(prices_.size());
    for (const auto& price : prices_) words_.push_back(words_of(price));
}

const Price* PriceBook::find(std::string_view model) const {
    if (model.empty()) return nullptr;
    const Price* best = nullptr;
    for (const auto& price : prices_) {
        if (price.built_in || !glob_match(price.model, model)) continue;
        // Exact before globs, the longer glob before the shorter, the first of equals.
        const auto rank = [&](const Price& one) { return one.model == model ? SIZE_MAX : one.model.size(); };
        if (best == nullptr || rank(price) > rank(*best)) best = &price;
    }
    if (best != nullptr) return best;
    const auto plain = plain_model(model);
    for (const auto& price : prices_) {
        if (price.built_in && price.model == plain) return &price;
    }
    return nullptr;
}

double usd_of(const Price& price, const Usage& usage) {
    const double write = price.cache_write.value_or(price.input);
    const double write_1h = price.cache_write_1h.value_or(write);
    const double hour = amount(usage.cache_write_1h);
    const double rest = std::max(0.0, amount(usage.cache_write) - hour);
    return (amount(usage.input) * price.input + amount(usage.output) * price.output +
            amount(usage.cache_read) * price.cache_read.value_or(price.input) + rest * write +
            hour * write_1h) /
           million;
}

std::optional<Cost> PriceBook::cost(std::string_view model_asked, const Usage& usage) const {
    if (!usage.known()) return std::nullopt;
    const auto* price = find(model_asked);
    if (price == nullptr) price = find(usage.model_answered);
    if (price == nullptr) return std::nullopt;
    return Cost{usd_of(*price, usage), words_[static_cast<std::size_t>(price - prices_.data())]};
}

} // namespace dbx::usage
