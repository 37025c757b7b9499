#pragma once

#include "core/base/error.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::otlp {

enum class Signal { metrics, logs, traces };
inline constexpr std::array all_signals = {Signal::metrics, Signal::logs, Signal::traces};

// The longest name of a Unity Catalog object.
inline constexpr std::size_t longest_name_bytes = 255;

// "metrics", "logs", "traces": also the last segment of the routes below /api/2.0/otel/v1/.
std::string_view name_of(Signal signal);

// "metrics,traces" in any order and case, each once; empty: all three. Errors: kind usage.
Result<std::vector<Signal>> parse_signals(std::string_view text);

// Where the tables stand. Every part is an identifier that may go into SQL and into a header: see
// check_identifier().
struct Place {
    std::string catalog;
    std::string schema;
    std::string prefix;

    std::string schema_name() const; // catalog.schema
    // catalog.schema.prefix_otel_metrics: the plain form of APIs and of X-Databricks-UC-Table-Name.
    std::string table_name(Signal signal) const;
    // The same for SQL, each part in backquotes.
    std::string quoted_catalog() const;
    std::string quoted_schema() const;
    std::string quoted_table(Signal signal) const;
};

// Letters, digits, `_` and `-` of ASCII, 1 to 255 bytes. `what` names it in the error (kind usage):
// "--schema".
Result<void> check_identifier(std::string_view what, std::string_view text);

// Checks the three parts, and that the tables' names stay within 255 bytes.
Result<void> check_place(const Place& place);

// "catalog.schema.prefix"; errors (kind usage) name `origin`.
Result<Place> parse_place(std::string_view text, std::string_view origin);

// In backquotes, inner ones doubled. For any text.
std::string quote_identifier(std::string_view text);

} // namespace dbx::otlp
