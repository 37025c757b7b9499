#include "tests/workspace/otlp_decode.hpp"

#include "tests/workspace/otlp_wire.hpp"

namespace dbx::standin {

namespace {

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
        return word_or(data, "aggregation_temporality", proto::temporality_words[0]);
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
    row["severity_number"] = word_or(item, "severity_number", proto::severity_words[0]);
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
    row["kind"] = word_or(item, "kind", proto::kind_words[0]);
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
                         {"code", word_or(item["status"], "code", proto::status_words[0])}};
    rows.push_back(std::move(row));
}

} // namespace

Json decode_otlp(OtlpSignal signal, std::string_view bytes) {
    const char* schema_column = signal == OtlpSignal::metrics ? "metric_schema_url"
                                : signal == OtlpSignal::logs  ? "log_schema_url"
                                                              : "span_schema_url";
    Json rows = Json::array();
    const Json request = proto::decode(proto::export_request(signal), bytes);
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

} // namespace dbx::standin
