#pragma once

#include "core/base/error.hpp"
#include "core/state/settings.hpp"
#include "core/usage/meter.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::usage {

// USD per million tokens.
struct Price {
    std::string model; // a glob
    double input = 0;
    double output = 0;
    std::optional<double> cache_read;     // absent: as input
    std::optional<double> cache_write;    // absent: as input; for 5 minutes
    std::optional<double> cache_write_1h; // absent: as cache_write
    // Where it comes from: "~/.config/dbx-agents/config.toml:12", or "list price of Anthropic, 2026-02-05".
    std::string source;
    bool built_in = false;
};

struct Cost {
    double usd = 0;
    // For Row::price: "in 5 out 25 cache 0.5/6.25 (config.toml:12)". The book's own.
    std::string_view price;
};

// The prices in use: [[price]] of the configuration before the built-in list.
class PriceBook {
  public:
    // Error: an entry without a model, or with something else than a number (kind usage, with file and line).
    static Result<PriceBook> load(const state::Settings& settings);
    explicit PriceBook(std::vector<Price> prices);

    // The price of a model. An exact name wins over a glob, a longer
    // glob over a shorter one, the configuration over the list. `databricks-x`, `system.ai.x` and `x` are one
    // model for the built-in list.
    const Price* find(std::string_view model) const;

    // What an answer cost, by the name that was asked for, else by the one that answered; nothing when
    // neither has a price or the answer told no counts.
    std::optional<Cost> cost(std::string_view model_asked, const Usage& usage) const;

    const std::vector<Price>& all() const { return prices_; }

  private:
    std::vector<Price> prices_;
    std::vector<std::string> words_; // of each price, for Cost
};

double usd_of(const Price& price, const Usage& usage);

} // namespace dbx::usage
