#include "tests/workspace/otlp_decode.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace dbx::standin {

namespace {

constexpr int deepest_value = 32;

enum class Kind {
    text,
    hex,    // bytes: a trace or span id
    number, // varint
    zigzag,
    flag,
    fixed32,
    fixed64,
    sfixed64,
    real,
    word, // an enum, by its name
    message,
    map, // KeyValue, collected in one object of texts
    any, // AnyValue, as text
};

struct Message;

struct Field {
    std::uint32_t number;
    Kind kind;
    const char* name;
    bool repeated = false;
    const Message* type = nullptr;
    const char* const* words = nullptr; // of an enum, ended by nullptr
};

struct Message {
    const char* name;
    std::vector<Field> fields;
};

constexpr const char* temporality_words[] = {"AGGREGATION_TEMPORALITY_UNSPECIFIED",
                                             "AGGREGATION_TEMPORALITY_DELTA",
                                             "AGGREGATION_TEMPORALITY_CUMULATIVE", nullptr};
constexpr const char* kind_words[] = {"SPAN_KIND_UNSPECIFIED",
                                      "SPAN_KIND_INTERNAL",
                                      "SPAN_KIND_SERVER",
                                      "SPAN_KIND_CLIENT",
                                      "SPAN_KIND_PRODUCER",
                                      "SPAN_KIND_CONSUMER",
                                      nullptr};
constexpr const char* status_words[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR", nullptr};
constexpr const char* severity_words[] = {"SEVERITY_NUMBER_UNSPECIFIED", "SEVERITY_NUMBER_TRACE",
                                          "SEVERITY_NUMBER_TRACE2",      "SEVERITY_NUMBER_TRACE3",
                                          "SEVERITY_NUMBER_TRACE4",      "SEVERITY_NUMBER_DEBUG",
                                          "SEVERITY_NUMBER_DEBUG2",      "SEVERITY_NUMBER_DEBUG3",
                                          "SEVERITY_NUMBER_DEBUG4",      "SEVERITY_NUMBER_INFO",
                                          "SEVERITY_NUMBER_INFO2",       "SEVERITY_NUMBER_INFO3",
                                          "SEVERITY_NUMBER_INFO4",       "SEVERITY_NUMBER_WARN",
                                          "SEVERITY_NUMBER_WARN2",       "SEVERITY_NUMBER_WARN3",
                                          "SEVERITY_NUMBER_WARN4",       "SEVERITY_NUMBER_ERROR",
                                          "SEVERITY_NUMBER_ERROR2",      "SEVERITY_NUMBER_ERROR3",
                                          "SEVERITY_NUMBER_ERROR4",      "SEVERITY_NUMBER_FATAL",
                                          "SEVERITY_NUMBER_FATAL2",      "SEVERITY_NUMBER_FATAL3",
                                          "SEVERITY_NUMBER_FATAL4",      nullptr};

// Field numbers: opentelemetry-proto, opentelemetry/proto/{common,resource,metrics,logs,trace}/v1.
const Message resource{"Resource",
                       {{1, Kind::map, "attributes"}, {2, Kind::number, "dropped_attributes_count"}}};
const Message scope{"InstrumentationScope",
                    {{1, Kind::text, "name"},
                     {2, Kind::text, "version"},
                     {3, Kind::map, "attributes"},
                     {4, Kind::number, "dropped_attributes_count"}}};
const Message exemplar{"Exemplar",
                       {{2, Kind::fixed64, "time_unix_nano"},
                        {3, Kind::real, "as_double"},
                        {4, Kind::hex, "span_id"},
                        {5, Kind::hex, "trace_id"},
                        {6, Kind::sfixed64, "as_int"},
                        {7, Kind::map, "filtered_attributes"}}};
const Message number_point{"NumberDataPoint",
                           {{2, Kind::fixed64, "start_time_unix_nano"},
                            {3, Kind::fixed64, "time_unix_nano"},
                            {4, Kind::real, "as_double"},
                            {5, Kind::message, "exemplars", true, &exemplar},
                            {6, Kind::sfixed64, "as_int"},
                            {7, Kind::map, "attributes"},
                            {8, Kind::number, "flags"}}};
const Message histogram_point{"HistogramDataPoint",
                              {{2, Kind::fixed64, "start_time_unix_nano"},
                               {3, Kind::fixed64, "time_unix_nano"},
                               {4, Kind::fixed64, "count"},
                               {5, Kind::real, "sum"},
                               {6, Kind::fixed64, "bucket_counts", true},
                               {7, Kind::real, "explicit_bounds", true},
                               {8, Kind::message, "exemplars", true, &exemplar},
                               {9, Kind::map, "attributes"},
                               {10, Kind::number, "flags"},
                               {11, Kind::real, "min"},
                               {12, Kind::real, "max"}}};
const Message buckets{"Buckets", {{1, Kind::zigzag, "offset"}, {2, Kind::number, "bucket_counts", true}}};
const Message exponential_point{"ExponentialHistogramDataPoint",
                                {{1, Kind::map, "attributes"},
                                 {2, Kind::fixed64, "start_time_unix_nano"},
                                 {3, Kind::fixed64, "time_unix_nano"},
                                 {4, Kind::fixed64, "count"},
                                 {5, Kind::real, "sum"},
                                 {6, Kind::zigzag, "scale"},
                                 {7, Kind::fixed64, "zero_count"},
                                 {8, Kind::message, "positive_bucket", false, &buckets},
                                 {9, Kind::message, "negative_bucket", false, &buckets},
                                 {10, Kind::number, "flags"},
                                 {11, Kind::message, "exemplars", true, &exemplar},
                                 {12, Kind::real, "min"},
                                 {13, Kind::real, "max"},
                                 {14, Kind::real, "zero_threshold"}}};
const Message quantile{"ValueAtQuantile", {{1, Kind::real, "quantile"}, {2, Kind::real, "value"}}};
const Message summary_point{"SummaryDataPoint",
                            {{2, Kind::fixed64, "start_time_unix_nano"},
                             {3, Kind::fixed64, "time_unix_nano"},
                             {4, Kind::fixed64, "count"},
                             {5, Kind::real, "sum"},
                             {6, Kind::message, "quantile_values", true, &quantile},
                             {7, Kind::map, "attributes"},
                             {8, Kind::number, "flags"}}};
const Message gauge{"Gauge", {{1, Kind::message, "points", true, &number_point}}};
const Message sum{"Sum",
                  {{1, Kind::message, "points", true, &number_point},
                   {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words},
                   {3, Kind::flag, "is_monotonic"}}};
const Message histogram{"Histogram",
                        {{1, Kind::message, "points", true, &histogram_point},
                         {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words}}};
const Message exponential{"ExponentialHistogram",
                          {{1, Kind::message, "points", true, &exponential_point},
                           {2, Kind::word, "aggregation_temporality", false, nullptr, temporality_words}}};
const Message summary{"Summary", {{1, Kind::message, "points", true, &summary_point}}};
const Message metric{"Metric",
                     {{1, Kind::text, "name"},
                      {2, Kind::text, "description"},
                      {3, Kind::text, "unit"},
                      {5, Kind::message, "gauge", false, &gauge},
                      {7, Kind::message, "sum", false, &sum},
                      {9, Kind::message, "histogram", false, &histogram},
                      {10, Kind::message, "exponential_histogram", false, &exponential},
                      {11, Kind::message, "summary", false, &summary},
                      {12, Kind::map, "metadata"}}};
const Message log_record{"LogRecord",
                         {{1, Kind::fixed64, "time_unix_nano"},
                          {2, Kind::word, "severity_number", false, nullptr, severity_words},
                          {3, Kind::text, "severity_text"},
                          {5, Kind::any, "body"},
                          {6, Kind::map, "attributes"},
                          {7, Kind::number, "dropped_attributes_count"},
                          {8, Kind::fixed32, "flags"},
                          {9, Kind::hex, "trace_id"},
                          {10, Kind::hex, "span_id"},
                          {11, Kind::fixed64, "observed_time_unix_nano"},
                          {12, Kind::text, "event_name"}}};
const Message event{"Span.Event",
                    {{1, Kind::fixed64, "time_unix_nano"},
                     {2, Kind::text, "name"},
                     {3, Kind::map, "attributes"},
                     {4, Kind::number, "dropped_attributes_count"}}};
const Message link{"Span.Link",
                   {{1, Kind::hex, "trace_id"},
                    {2, Kind::hex, "span_id"},
                    {3, Kind::text, "trace_state"},
                    {4, Kind::map, "attributes"},
                    {5, Kind::number, "dropped_attributes_count"},
                    {6, Kind::fixed32, "flags"}}};
const Message status{"Status",
                     {{2, Kind::text, "message"}, {3, Kind::word, "code", false, nullptr, status_words}}};
const Message span{"Span",
                   {{1, Kind::hex, "trace_id"},
                    {2, Kind::hex, "span_id"},
                    {3, Kind::text, "trace_state"},
                    {4, Kind::hex, "parent_span_id"},
                    {5, Kind::text, "name"},
                    {6, Kind::word, "kind", false, nullptr, kind_words},
                    {7, Kind::fixed64, "start_time_unix_nano"},
                    {8, Kind::fixed64, "end_time_unix_nano"},
                    {9, Kind::map, "attributes"},
                    {10, Kind::number, "dropped_attributes_count"},
                    {11, Kind::message, "events", true, &event},
                    {12, Kind::number, "dropped_events_count"},
                    {13, Kind::message, "links", true, &link},
                    {14, Kind::number, "dropped_links_count"},
                    {15, Kind::message, "status", false, &status},
                    {16, Kind::fixed32, "flags"}}};

// Request, Resource…, Scope…: the same numbers for every signal.
struct Tree {
    explicit Tree(const Message* leaf)
        : in_scope{"Scope of a resource",
                   {{1, Kind::message, "scope", false, &scope},
                    {2, Kind::message, "items", true, leaf},
                    {3, Kind::text, "schema_url"}}}
        , in_resource{"Resource of a request",
                      {{1, Kind::message, "resource", false, &resource},
                       {2, Kind::message, "scopes", true, &in_scope},
                       {3, Kind::text, "schema_url"}}}
        , request{"Export request", {{1, Kind::message, "resources", true, &in_resource}}} {}
    Message in_scope;
    Message in_resource;
    Message request;
};
const Tree metrics_tree(&metric);
const Tree logs_tree(&log_record);
const Tree traces_tree(&span);

// --- wire format ----------------------------------------------------------------------------------------

struct Wire {
    std::uint32_t number = 0;
    unsigned type = 0;        // 0 varint, 1 eight bytes, 2 length, 5 four bytes
    std::uint64_t value = 0;  // of 0, 1 and 5
    std::string_view bytes{}; // of 2
};

class Reader {
  public:
    explicit Reader(std::string_view bytes)
        : bytes_(bytes) {}
    bool done() const { return bytes_.empty(); }

    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (bytes_.empty()) throw OtlpError("Protocol message ended unexpectedly in a varint");
            const auto byte = static_cast<unsigned char>(bytes_.front());
            bytes_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        throw OtlpError("Protocol message has a varint of more than ten bytes");
    }

    std::uint64_t little_endian(std::size_t size) {
        if (bytes_.size() < size) throw OtlpError("Protocol message ended unexpectedly in a fixed number");
        std::uint64_t value = 0;
        for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes_[i]);
        bytes_.remove_prefix(size);
        return value;
    }

    Wire next() {
        const std::uint64_t tag = varint();
        Wire out;
        if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) throw OtlpError("Protocol message has an invalid tag");
        out.number = static_cast<std::uint32_t>(tag >> 3);
        out.type = static_cast<unsigned>(tag & 7);
        if (out.type == 0)
            out.value = varint();
        else if (out.type == 1)
            out.value = little_endian(8);
        else if (out.type == 5)
            out.value = little_endian(4);
        else if (out.type == 2) {
            const std::uint64_t length = varint();
            if (length > bytes_.size()) throw OtlpError("Protocol message ended unexpectedly in a field");
            out.bytes = bytes_.substr(0, static_cast<std::size_t>(length));
            bytes_.remove_prefix(static_cast<std::size_t>(length));
        } else
            throw OtlpError("Protocol message has an invalid wire type");
        return out;
    }

  private:
    std::string_view bytes_;
};

std::string place(const Message& message, const Field& field) {
    return std::string(message.name) + "." + field.name;
}

bool is_utf8(std::string_view text) {
    // nlohmann/json's strict writer is a judge of UTF-8.
    try {
        (void)Json(text).dump();
        return true;
    } catch (const Json::exception&) {
        return false;
    }
}

std::string checked_text(std::string_view bytes, const std::string& where) {
    if (!is_utf8(bytes)) throw OtlpError(where + " is not UTF-8");
    return std::string(bytes);
}

std::string hex_id(std::string_view bytes, const std::string& where, std::size_t size) {
    if (!bytes.empty() && bytes.size() != size)
        throw OtlpError(where + " has " + std::to_string(bytes.size()) + " bytes, must have " +
                        std::to_string(size));
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
        out.push_back(digits[static_cast<unsigned char>(c) & 15]);
    }
    return out;
}

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k)
            out.push_back(k <= have ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
    return out;
}

Json decode_any(std::string_view bytes, int depth);

// The key and the value of one KeyValue.
std::pair<std::string, Json> decode_pair(std::string_view bytes, int depth) {
    std::pair<std::string, Json> out;
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        if (wire.number != 1 && wire.number != 2) continue;
        if (wire.type != 2) throw OtlpError("KeyValue has a field of the wrong wire type");
        if (wire.number == 1)
            out.first = checked_text(wire.bytes, "KeyValue.key");
        else
            out.second = decode_any(wire.bytes, depth + 1);
    }
    return out;
}

// An AnyValue as JSON; bytes as base64.
Json decode_any(std::string_view bytes, int depth) {
    if (depth > deepest_value) throw OtlpError("AnyValue is nested too deeply");
    Json out;
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        static constexpr unsigned types[] = {9, 2, 0, 0, 1, 2, 2, 2};
        if (wire.number > 7) continue;
        if (wire.type != types[wire.number]) throw OtlpError("AnyValue has a field of the wrong wire type");
        if (wire.number == 1) out = checked_text(wire.bytes, "AnyValue.string_value");
        if (wire.number == 2) out = wire.value != 0;
        if (wire.number == 3) out = static_cast<std::int64_t>(wire.value);
        if (wire.number == 4) out = std::bit_cast<double>(wire.value);
        if (wire.number == 5) {
            out = Json::array();
            for (Reader list(wire.bytes); !list.done();) {
                const Wire item = list.next();
                if (item.number == 1 && item.type == 2) out.push_back(decode_any(item.bytes, depth + 1));
            }
        }
        if (wire.number == 6) {
            out = Json::object();
            for (Reader list(wire.bytes); !list.done();) {
                const Wire item = list.next();
                if (item.number != 1 || item.type != 2) continue;
                auto [key, value] = decode_pair(item.bytes, depth);
                out[key] = value;
            }
        }
        if (wire.number == 7) out = base64(wire.bytes);
    }
    return out;
}

// The tables hold texts: a text as it is, everything else as JSON writes it; an empty value is NULL.
Json as_text(const Json& value) {
    if (value.is_null() || value.is_string()) return value;
    if (value.is_number_float() && !std::isfinite(value.get<double>()))
        return std::isnan(value.get<double>()) ? "NaN" : value.get<double>() > 0 ? "Infinity" : "-Infinity";
    return value.dump();
}

std::int64_t as_long(std::uint64_t value, const std::string& where) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw OtlpError(where + " does not fit into a LONG");
    return static_cast<std::int64_t>(value);
}

unsigned wire_type(Kind kind) {
    switch (kind) {
    case Kind::number:
    case Kind::zigzag:
    case Kind::flag:
    case Kind::word:
        return 0;
    case Kind::fixed64:
    case Kind::sfixed64:
    case Kind::real:
        return 1;
    case Kind::fixed32:
        return 5;
    default:
        return 2;
    }
}

Json scalar(const Message& message, const Field& field, std::uint64_t value) {
    switch (field.kind) {
    case Kind::zigzag:
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    case Kind::flag:
        return value != 0;
    case Kind::sfixed64:
        return static_cast<std::int64_t>(value);
    case Kind::real:
        return std::bit_cast<double>(value);
    case Kind::word: {
        std::uint64_t known = 0;
        while (field.words[known]) ++known;
        return value < known ? Json(field.words[value]) : Json(std::to_string(value));
    }
    default:
        return as_long(value, place(message, field));
    }
}

Json decode(const Message& message, std::string_view bytes) {
    Json out = Json::object();
    for (const Field& field : message.fields) {
        if (field.repeated) out[field.name] = Json::array();
        if (field.kind == Kind::map) out[field.name] = Json::object();
    }
    for (Reader reader(bytes); !reader.done();) {
        const Wire wire = reader.next();
        const Field* field = nullptr;
        for (const Field& candidate : message.fields)
            if (candidate.number == wire.number) field = &candidate;
        if (!field) continue; // an unknown field of a newer definition
        const std::string where = place(message, *field);
        const unsigned wanted = wire_type(field->kind);
        if (field->repeated && wanted != 2 && wire.type == 2) { // packed
            for (Reader list(wire.bytes); !list.done();)
                out[field->name].push_back(
                    scalar(message, *field, wanted == 0 ? list.varint() : list.little_endian(8)));
            continue;
        }
        if (wire.type != wanted) throw OtlpError(where + " has the wrong wire type");
        Json value;
        if (field->kind == Kind::map) {
            auto [key, text] = decode_pair(wire.bytes, 0);
            out[field->name][key] = as_text(text);
            continue;
        }
        if (field->kind == Kind::message)
            value = decode(*field->type, wire.bytes);
        else if (field->kind == Kind::text)
            value = checked_text(wire.bytes, where);
        else if (field->kind == Kind::hex)
            value = hex_id(wire.bytes, where, std::string_view(field->name).starts_with("trace") ? 16 : 8);
        else if (field->kind == Kind::any)
            value = as_text(decode_any(wire.bytes, 0));
        else
            value = scalar(message, *field, wire.value);
        if (field->repeated)
            out[field->name].push_back(std::move(value));
        else
            out[field->name] = std::move(value);
    }
    return out;
}

// --- rows -----------------------------------------------------------------------------------------------

Json text_or_empty(const Json& object, const char* name) {
    return object.value(name, std::string());
}

// What proto3 leaves out on the wire is 0.
Json or_zero(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? Json(0) : *found;
}

Json or_null(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? Json() : *found;
}

// DOUBLE columns hold doubles, also where the data point has an integer.
Json real_or_null(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() ? Json() : Json(found->get<double>());
}

Json value_of(const Json& point) {
    return point.contains("as_int") ? real_or_null(point, "as_int") : real_or_null(point, "as_double");
}

Json exemplars_of(const Json& point) {
    Json out = Json::array();
    for (const Json& one : point["exemplars"])
        out.push_back({{"time_unix_nano", or_zero(one, "time_unix_nano")},
                       {"value", value_of(one)},
                       {"span_id", text_or_empty(one, "span_id")},
                       {"trace_id", text_or_empty(one, "trace_id")},
                       {"filtered_attributes", one["filtered_attributes"]}});
    return out;
}

Json times_and_attributes(const Json& point) {
    return {{"start_time_unix_nano", or_zero(point, "start_time_unix_nano")},
            {"time_unix_nano", or_zero(point, "time_unix_nano")},
            {"attributes", point["attributes"]},
            {"flags", or_zero(point, "flags")}};
}

Json word_or(const Json& object, const char* name, const char* fallback) {
    return object.value(name, std::string(fallback));
}

Json number_struct(const Json& point) {
    Json out = times_and_attributes(point);
    out["value"] = value_of(point);
    out["exemplars"] = exemplars_of(point);
    return out;
}

Json buckets_of(const Json& point, const char* name) {
    const auto found = point.find(name);
    if (found == point.end()) return nullptr;
    return {{"offset", or_zero(*found, "offset")}, {"bucket_counts", (*found)["bucket_counts"]}};
}

void add_metric_rows(const Json& item, const Json& base, Json& rows) {
    Json row = base;
    row["name"] = text_or_empty(item, "name");
    row["description"] = text_or_empty(item, "description");
    row["unit"] = text_or_empty(item, "unit");
    row["metadata"] = item["metadata"];
    for (const char* kind : {"gauge", "sum", "histogram", "exponential_histogram", "summary"})
        row[kind] = nullptr;
    const auto temporality = [](const Json& data) {
        return word_or(data, "aggregation_temporality", temporality_words[0]);
    };
    const auto add = [&](const char* kind, Json point) {
        Json one = row;
        one["metric_type"] = kind;
        one[kind] = std::move(point);
        rows.push_back(std::move(one));
    };
    if (item.contains("gauge"))
        for (const Json& point : item["gauge"]["points"]) add("gauge", number_struct(point));
    if (item.contains("sum"))
        for (const Json& point : item["sum"]["points"]) {
            Json out = number_struct(point);
            out["aggregation_temporality"] = temporality(item["sum"]);
            out["is_monotonic"] = item["sum"].value("is_monotonic", false);
            add("sum", std::move(out));
        }
    if (item.contains("histogram"))
        for (const Json& point : item["histogram"]["points"]) {
            Json out = times_and_attributes(point);
            out["count"] = or_zero(point, "count");
            for (const char* name : {"sum", "min", "max"}) out[name] = or_null(point, name);
            for (const char* name : {"bucket_counts", "explicit_bounds"}) out[name] = point[name];
            out["exemplars"] = exemplars_of(point);
            out["aggregation_temporality"] = temporality(item["histogram"]);
            add("histogram", std::move(out));
        }
    if (item.contains("exponential_histogram"))
        for (const Json& point : item["exponential_histogram"]["points"]) {
            Json out = times_and_attributes(point);
            for (const char* name : {"count", "scale", "zero_count"}) out[name] = or_zero(point, name);
            for (const char* name : {"sum", "min", "max"}) out[name] = or_null(point, name);
            out["zero_threshold"] = point.value("zero_threshold", 0.0);
            for (const char* name : {"positive_bucket", "negative_bucket"})
                out[name] = buckets_of(point, name);
            out["exemplars"] = exemplars_of(point);
            out["aggregation_temporality"] = temporality(item["exponential_histogram"]);
            add("exponential_histogram", std::move(out));
        }
    if (item.contains("summary"))
        for (const Json& point : item["summary"]["points"]) {
            Json out = times_and_attributes(point);
            out["count"] = or_zero(point, "count");
            out["sum"] = point.value("sum", 0.0);
            out["quantile_values"] = Json::array();
            for (const Json& one : point["quantile_values"])
                out["quantile_values"].push_back(
                    {{"quantile", one.value("quantile", 0.0)}, {"value", one.value("value", 0.0)}});
            add("summary", std::move(out));
        }
}

void add_log_row(const Json& item, const Json& base, Json& rows) {
    Json row = base;
    for (const char* name : {"event_name", "trace_id", "span_id", "severity_text"})
        row[name] = text_or_empty(item, name);
    for (const char* name :
         {"time_unix_nano", "observed_time_unix_nano", "dropped_attributes_count", "flags"})
        row[name] = or_zero(item, name);
    row["severity_number"] = word_or(item, "severity_number", severity_words[0]);
    row["body"] = or_null(item, "body");
    row["attributes"] = item["attributes"];
    rows.push_back(std::move(row));
}

void add_span_row(const Json& item, const Json& base, Json& rows) {
    Json row = base;
    for (const char* name : {"trace_id", "span_id", "trace_state", "parent_span_id", "name"})
        row[name] = text_or_empty(item, name);
    for (const char* name : {"flags", "start_time_unix_nano", "end_time_unix_nano",
                             "dropped_attributes_count", "dropped_events_count", "dropped_links_count"})
        row[name] = or_zero(item, name);
    row["kind"] = word_or(item, "kind", kind_words[0]);
    row["attributes"] = item["attributes"];
    row["events"] = Json::array();
    for (const Json& one : item["events"])
        row["events"].push_back({{"time_unix_nano", or_zero(one, "time_unix_nano")},
                                 {"name", text_or_empty(one, "name")},
                                 {"attributes", one["attributes"]},
                                 {"dropped_attributes_count", or_zero(one, "dropped_attributes_count")}});
    row["links"] = Json::array();
    for (const Json& one : item["links"])
        row["links"].push_back({{"trace_id", text_or_empty(one, "trace_id")},
                                {"span_id", text_or_empty(one, "span_id")},
                                {"trace_state", text_or_empty(one, "trace_state")},
                                {"attributes", one["attributes"]},
                                {"dropped_attributes_count", or_zero(one, "dropped_attributes_count")},
                                {"flags", or_zero(one, "flags")}});
    row["status"] = nullptr;
    if (item.contains("status"))
        row["status"] = {{"message", text_or_empty(item["status"], "message")},
                         {"code", word_or(item["status"], "code", status_words[0])}};
    rows.push_back(std::move(row));
}

} // namespace

Json decode_otlp(OtlpSignal signal, std::string_view bytes) {
    const Tree& tree = signal == OtlpSignal::metrics ? metrics_tree
                       : signal == OtlpSignal::logs  ? logs_tree
                                                     : traces_tree;
    const char* schema_column = signal == OtlpSignal::metrics ? "metric_schema_url"
                                : signal == OtlpSignal::logs  ? "log_schema_url"
                                                              : "span_schema_url";
    Json rows = Json::array();
    const Json request = decode(tree.request, bytes);
    for (const Json& of_resource : request["resources"]) {
        Json base = Json::object();
        base["resource_schema_url"] = text_or_empty(of_resource, "schema_url");
        base["resource"] = nullptr;
        if (of_resource.contains("resource")) {
            base["resource"] = of_resource["resource"];
            base["resource"]["dropped_attributes_count"] =
                or_zero(of_resource["resource"], "dropped_attributes_count");
        }
        for (const Json& of_scope : of_resource["scopes"]) {
            base[schema_column] = text_or_empty(of_scope, "schema_url");
            base["instrumentation_scope"] = nullptr;
            if (of_scope.contains("scope")) {
                const Json& from = of_scope["scope"];
                base["instrumentation_scope"] = {
                    {"name", text_or_empty(from, "name")},
                    {"version", text_or_empty(from, "version")},
                    {"attributes", from["attributes"]},
                    {"dropped_attributes_count", or_zero(from, "dropped_attributes_count")}};
            }
            for (const Json& item : of_scope["items"]) {
                if (signal == OtlpSignal::metrics)
                    add_metric_rows(item, base, rows);
                else if (signal == OtlpSignal::logs)
                    add_log_row(item, base, rows);
                else
                    add_span_row(item, base, rows);
            }
        }
    }
    return rows;
}

const std::vector<std::pair<std::string, std::string>>& documented_columns(OtlpSignal signal) {
    using Columns = std::vector<std::pair<std::string, std::string>>;
    const std::string map = "map<string,string>";
    const std::string of_resource = "struct<attributes:" + map + ",dropped_attributes_count:int>";
    const std::string of_scope =
        "struct<name:string,version:string,attributes:" + map + ",dropped_attributes_count:int>";
    const std::string exemplars =
        "array<struct<time_unix_nano:bigint,value:double,span_id:string,trace_id:string,"
        "filtered_attributes:" +
        map + ">>";
    const std::string times = "start_time_unix_nano:bigint,time_unix_nano:bigint";
    const std::string bucket = "struct<offset:int,bucket_counts:array<bigint>>";
    static const Columns metrics = {
        {"name", "string"},
        {"description", "string"},
        {"unit", "string"},
        {"metric_type", "string"},
        {"gauge",
         "struct<" + times + ",value:double,exemplars:" + exemplars + ",attributes:" + map + ",flags:int>"},
        {"sum", "struct<" + times + ",value:double,exemplars:" + exemplars + ",attributes:" + map +
                    ",flags:int,aggregation_temporality:string,is_monotonic:boolean>"},
        {"histogram",
         "struct<" + times +
             ",count:bigint,sum:double,bucket_counts:array<bigint>,explicit_bounds:array<double>,"
             "exemplars:" +
             exemplars + ",attributes:" + map +
             ",flags:int,min:double,max:double,aggregation_temporality:string>"},
        {"exponential_histogram",
         "struct<attributes:" + map + "," + times +
             ",count:bigint,sum:double,scale:int,zero_count:bigint,positive_bucket:" + bucket +
             ",negative_bucket:" + bucket + ",flags:int,exemplars:" + exemplars +
             ",min:double,max:double,zero_threshold:double,aggregation_temporality:string>"},
        {"summary",
         "struct<" + times +
             ",count:bigint,sum:double,quantile_values:array<struct<quantile:double,value:double>>,"
             "attributes:" +
             map + ",flags:int>"},
        {"metadata", map},
        {"resource", of_resource},
        {"resource_schema_url", "string"},
        {"instrumentation_scope", of_scope},
        {"metric_schema_url", "string"}};
    static const Columns logs = {{"event_name", "string"},
                                 {"trace_id", "string"},
                                 {"span_id", "string"},
                                 {"time_unix_nano", "bigint"},
                                 {"observed_time_unix_nano", "bigint"},
                                 {"severity_number", "string"},
                                 {"severity_text", "string"},
                                 {"body", "string"},
                                 {"attributes", map},
                                 {"dropped_attributes_count", "int"},
                                 {"flags", "int"},
                                 {"resource", of_resource},
                                 {"resource_schema_url", "string"},
                                 {"instrumentation_scope", of_scope},
                                 {"log_schema_url", "string"}};
    static const Columns traces = {
        {"trace_id", "string"},
        {"span_id", "string"},
        {"trace_state", "string"},
        {"parent_span_id", "string"},
        {"flags", "int"},
        {"name", "string"},
        {"kind", "string"},
        {"start_time_unix_nano", "bigint"},
        {"end_time_unix_nano", "bigint"},
        {"attributes", map},
        {"dropped_attributes_count", "int"},
        {"events", "array<struct<time_unix_nano:bigint,name:string,attributes:" + map +
                       ",dropped_attributes_count:int>>"},
        {"dropped_events_count", "int"},
        {"links", "array<struct<trace_id:string,span_id:string,trace_state:string,attributes:" + map +
                      ",dropped_attributes_count:int,flags:int>>"},
        {"dropped_links_count", "int"},
        {"status", "struct<message:string,code:string>"},
        {"resource", of_resource},
        {"resource_schema_url", "string"},
        {"instrumentation_scope", of_scope},
        {"span_schema_url", "string"}};
    return signal == OtlpSignal::metrics ? metrics : signal == OtlpSignal::logs ? logs : traces;
}

} // namespace dbx::standin
