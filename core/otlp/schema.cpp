#include "core/otlp/schema.hpp"

#include <array>

namespace dbx::otlp {

namespace {

constexpr auto repeated = Presence::repeated;
constexpr auto tracked = Presence::tracked;
constexpr auto oneof = Presence::oneof;

constexpr Field one(std::uint8_t number, std::string_view name, Type type) {
    return {number, name, Kind::message, tracked, type};
}
constexpr Field many(std::uint8_t number, std::string_view name, Type type) {
    return {number, name, Kind::message, repeated, type};
}
constexpr Field choice(std::uint8_t number, std::string_view name, Type type) {
    return {number, name, Kind::message, oneof, type};
}

constexpr Field metrics_request[] = {many(1, "resourceMetrics", Type::resource_metrics)};
constexpr Field resource_metrics[] = {one(1, "resource", Type::resource),
                                      many(2, "scopeMetrics", Type::scope_metrics),
                                      {3, "schemaUrl", Kind::string}};
constexpr Field scope_metrics[] = {
    one(1, "scope", Type::scope), many(2, "metrics", Type::metric), {3, "schemaUrl", Kind::string}};
constexpr Field metric[] = {{1, "name", Kind::string},
                            {2, "description", Kind::string},
                            {3, "unit", Kind::string},
                            choice(5, "gauge", Type::gauge),
                            choice(7, "sum", Type::sum),
                            choice(9, "histogram", Type::histogram),
                            choice(10, "exponentialHistogram", Type::exponential_histogram),
                            choice(11, "summary", Type::summary),
                            many(12, "metadata", Type::key_value)};
constexpr Field gauge[] = {many(1, "dataPoints", Type::number_point)};
constexpr Field sum[] = {many(1, "dataPoints", Type::number_point),
                         {2, "aggregationTemporality", Kind::enumeration},
                         {3, "isMonotonic", Kind::boolean}};
constexpr Field histogram[] = {many(1, "dataPoints", Type::histogram_point),
                               {2, "aggregationTemporality", Kind::enumeration}};
constexpr Field exponential_histogram[] = {many(1, "dataPoints", Type::exponential_histogram_point),
                                           {2, "aggregationTemporality", Kind::enumeration}};
constexpr Field summary[] = {many(1, "dataPoints", Type::summary_point)};
constexpr Field number_point[] = {{2, "startTimeUnixNano", Kind::fixed64},
                                  {3, "timeUnixNano", Kind::fixed64},
                                  {4, "asDouble", Kind::float64, oneof},
                                  many(5, "exemplars", Type::exemplar),
                                  {6, "asInt", Kind::sfixed64, oneof},
                                  many(7, "attributes", Type::key_value),
                                  {8, "flags", Kind::uint32}};
constexpr Field histogram_point[] = {{2, "startTimeUnixNano", Kind::fixed64},
                                     {3, "timeUnixNano", Kind::fixed64},
                                     {4, "count", Kind::fixed64},
                                     {5, "sum", Kind::float64, tracked},
                                     {6, "bucketCounts", Kind::fixed64, repeated},
                                     {7, "explicitBounds", Kind::float64, repeated},
                                     many(8, "exemplars", Type::exemplar),
                                     many(9, "attributes", Type::key_value),
                                     {10, "flags", Kind::uint32},
                                     {11, "min", Kind::float64, tracked},
                                     {12, "max", Kind::float64, tracked}};
constexpr Field exponential_histogram_point[] = {
    many(1, "attributes", Type::key_value), {2, "startTimeUnixNano", Kind::fixed64},
    {3, "timeUnixNano", Kind::fixed64},     {4, "count", Kind::fixed64},
    {5, "sum", Kind::float64, tracked},     {6, "scale", Kind::sint32},
    {7, "zeroCount", Kind::fixed64},        one(8, "positive", Type::buckets),
    one(9, "negative", Type::buckets),      {10, "flags", Kind::uint32},
    many(11, "exemplars", Type::exemplar),  {12, "min", Kind::float64, tracked},
    {13, "max", Kind::float64, tracked},    {14, "zeroThreshold", Kind::float64}};
constexpr Field buckets[] = {{1, "offset", Kind::sint32}, {2, "bucketCounts", Kind::uint64, repeated}};
constexpr Field summary_point[] = {{2, "startTimeUnixNano", Kind::fixed64},
                                   {3, "timeUnixNano", Kind::fixed64},
                                   {4, "count", Kind::fixed64},
                                   {5, "sum", Kind::float64},
                                   many(6, "quantileValues", Type::value_at_quantile),
                                   many(7, "attributes", Type::key_value),
                                   {8, "flags", Kind::uint32}};
constexpr Field value_at_quantile[] = {{1, "quantile", Kind::float64}, {2, "value", Kind::float64}};
constexpr Field exemplar[] = {
    {2, "timeUnixNano", Kind::fixed64},  {3, "asDouble", Kind::float64, oneof},
    {4, "spanId", Kind::span_id},        {5, "traceId", Kind::trace_id},
    {6, "asInt", Kind::sfixed64, oneof}, many(7, "filteredAttributes", Type::key_value)};

constexpr Field logs_request[] = {many(1, "resourceLogs", Type::resource_logs)};
constexpr Field resource_logs[] = {one(1, "resource", Type::resource),
                                   many(2, "scopeLogs", Type::scope_logs),
                                   {3, "schemaUrl", Kind::string}};
constexpr Field scope_logs[] = {
    one(1, "scope", Type::scope), many(2, "logRecords", Type::log_record), {3, "schemaUrl", Kind::string}};
constexpr Field log_record[] = {{1, "timeUnixNano", Kind::fixed64},
                                {2, "severityNumber", Kind::enumeration},
                                {3, "severityText", Kind::string},
                                one(5, "body", Type::any_value),
                                many(6, "attributes", Type::key_value),
                                {7, "droppedAttributesCount", Kind::uint32},
                                {8, "flags", Kind::fixed32},
                                {9, "traceId", Kind::trace_id},
                                {10, "spanId", Kind::span_id},
                                {11, "observedTimeUnixNano", Kind::fixed64},
                                {12, "eventName", Kind::string}};

constexpr Field trace_request[] = {many(1, "resourceSpans", Type::resource_spans)};
constexpr Field resource_spans[] = {one(1, "resource", Type::resource),
                                    many(2, "scopeSpans", Type::scope_spans),
                                    {3, "schemaUrl", Kind::string}};
constexpr Field scope_spans[] = {
    one(1, "scope", Type::scope), many(2, "spans", Type::span), {3, "schemaUrl", Kind::string}};
constexpr Field span_fields[] = {{1, "traceId", Kind::trace_id},
                                 {2, "spanId", Kind::span_id},
                                 {3, "traceState", Kind::string},
                                 {4, "parentSpanId", Kind::span_id},
                                 {5, "name", Kind::string},
                                 {6, "kind", Kind::enumeration},
                                 {7, "startTimeUnixNano", Kind::fixed64},
                                 {8, "endTimeUnixNano", Kind::fixed64},
                                 many(9, "attributes", Type::key_value),
                                 {10, "droppedAttributesCount", Kind::uint32},
                                 many(11, "events", Type::span_event),
                                 {12, "droppedEventsCount", Kind::uint32},
                                 many(13, "links", Type::span_link),
                                 {14, "droppedLinksCount", Kind::uint32},
                                 one(15, "status", Type::span_status),
                                 {16, "flags", Kind::fixed32}};
constexpr Field span_event[] = {{1, "timeUnixNano", Kind::fixed64},
                                {2, "name", Kind::string},
                                many(3, "attributes", Type::key_value),
                                {4, "droppedAttributesCount", Kind::uint32}};
constexpr Field span_link[] = {{1, "traceId", Kind::trace_id},
                               {2, "spanId", Kind::span_id},
                               {3, "traceState", Kind::string},
                               many(4, "attributes", Type::key_value),
                               {5, "droppedAttributesCount", Kind::uint32},
                               {6, "flags", Kind::fixed32}};
constexpr Field span_status[] = {{2, "message", Kind::string}, {3, "code", Kind::enumeration}};

constexpr Field resource[] = {many(1, "attributes", Type::key_value),
                              {2, "droppedAttributesCount", Kind::uint32},
                              many(3, "entityRefs", Type::entity_ref)};
constexpr Field entity_ref[] = {{1, "schemaUrl", Kind::string},
                                {2, "type", Kind::string},
                                {3, "idKeys", Kind::string, repeated},
                                {4, "descriptionKeys", Kind::string, repeated}};
constexpr Field scope[] = {{1, "name", Kind::string},
                           {2, "version", Kind::string},
                           many(3, "attributes", Type::key_value),
                           {4, "droppedAttributesCount", Kind::uint32}};
constexpr Field key_value[] = {{1, "key", Kind::string}, one(2, "value", Type::any_value)};
constexpr Field any_value[] = {
    {1, "stringValue", Kind::string, oneof},    {2, "boolValue", Kind::boolean, oneof},
    {3, "intValue", Kind::int64, oneof},        {4, "doubleValue", Kind::float64, oneof},
    choice(5, "arrayValue", Type::array_value), choice(6, "kvlistValue", Type::key_value_list),
    {7, "bytesValue", Kind::bytes, oneof}};
constexpr Field array_value[] = {many(1, "values", Type::any_value)};
constexpr Field key_value_list[] = {many(1, "values", Type::key_value)};

// In the order of Type.
constexpr std::array<std::span<const Field>, type_count> all_fields = {metrics_request,
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
                                                                       span_fields,
                                                                       span_event,
                                                                       span_link,
                                                                       span_status,
                                                                       resource,
                                                                       entity_ref,
                                                                       scope,
                                                                       key_value,
                                                                       any_value,
                                                                       array_value,
                                                                       key_value_list};

using ByNumber = std::array<std::array<const Field*, last_field_number + 1>, type_count>;

constexpr ByNumber by_number = [] {
    ByNumber index{};
    for (std::size_t type = 0; type < type_count; ++type)
        for (const Field& field : all_fields[type]) index[type][field.number] = &field;
    return index;
}();

} // namespace

Type request_of(Signal signal) {
    switch (signal) {
    case Signal::metrics:
        return Type::metrics_request;
    case Signal::logs:
        return Type::logs_request;
    case Signal::traces:
        return Type::trace_request;
    }
    return Type::logs_request;
}

std::span<const Field> fields_of(Type type) {
    return all_fields[static_cast<std::size_t>(type)];
}

const Field* find_field(Type type, std::uint32_t number) {
    return number > last_field_number ? nullptr : by_number[static_cast<std::size_t>(type)][number];
}

const Field* find_field(Type type, std::string_view json_name) {
    for (const Field& field : fields_of(type))
        if (field.name == json_name) return &field;
    return nullptr;
}

} // namespace dbx::otlp
