#pragma once

#include "core/otlp/names.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

// Our own messages: put together in OTLP/JSON, sent as protobuf.
namespace dbx::otlp {

inline constexpr int delta_temporality = 1; // AggregationTemporality

// A KeyValue.
nlohmann::json text_attribute(std::string_view key, std::string_view value);

// An export request in protobuf of one resource and one scope with these metrics, log records or spans. Texts
// that are not UTF-8 get U+FFFD.
std::string written(Signal signal, nlohmann::json resource, nlohmann::json scope, nlohmann::json items);

} // namespace dbx::otlp
