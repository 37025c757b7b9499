#pragma once

#include "core/otlp/names.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// OTLP 1.9's messages as data: the one description that the JSON conversion, the check and the counting
// follow. Source: the .proto files of github.com/open-telemetry/opentelemetry-proto (collector, common,
// resource, metrics, logs, trace; all v1), without what they reserve for profiles.
namespace dbx::otlp {

enum class Type : std::uint8_t {
    metrics_request,
    resource_metrics,
    scope_metrics,
    metric,
    gauge,
    sum,
    histogram,
    exponential_histogram,
    summary,
    number_point,
    histogram_point,
    exponential_histogram_point,
    buckets,
    summary_point,
    value_at_quantile,
    exemplar,
    logs_request,
    resource_logs,
    scope_logs,
    log_record,
    trace_request,
    resource_spans,
    scope_spans,
    span,
    span_event,
    span_link,
    span_status,
    resource,
    entity_ref,
    scope,
    key_value,
    any_value,
    array_value,
    key_value_list,
};
inline constexpr std::size_t type_count = static_cast<std::size_t>(Type::key_value_list) + 1;

enum class Kind : std::uint8_t {
    message,
    string,
    bytes,
    trace_id, // bytes: 16, hex in JSON
    span_id,  // bytes: 8, hex in JSON
    boolean,
    enumeration,
    int64,
    uint32,
    uint64,
    sint32,
    fixed32,
    fixed64,
    sfixed64,
    float64,
};

enum class Presence : std::uint8_t {
    implicit, // the default value is as good as absent
    tracked,  // `optional` and messages: a default value that is there means something
    oneof,    // a member of the message's one oneof
    repeated, // numbers are packed
};

struct Field {
    std::uint8_t number;
    std::string_view name; // in JSON
    Kind kind;
    Presence presence = Presence::implicit;
    Type type = Type::any_value; // of a message
};

// The highest number of any field.
inline constexpr std::uint32_t last_field_number = 16;

// The message that a signal's route takes.
Type request_of(Signal signal);
std::span<const Field> fields_of(Type type);
// Null: this version of OTLP does not have it.
const Field* find_field(Type type, std::uint32_t number);
const Field* find_field(Type type, std::string_view json_name);

// Messages inside messages that decoders are sure to follow: the bound of the C++ and Java protobuf
// libraries.
inline constexpr int deepest_message = 100;

} // namespace dbx::otlp
