#include "core/otlp/usage_metrics.hpp"

#include "core/otlp/write.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

namespace dbx::otlp {

namespace {

using nlohmann::json;

// The boundaries that the convention advises.
constexpr std::array<double, 14> token_bounds = {1,     4,     16,     64,      256,     1024,     4096,
                                                 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
constexpr std::array<double, 14> second_bounds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                                  1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};

struct Point {
    json attributes;
    std::uint64_t count = 0;
    double sum = 0;
    double min = 0;
    double max = 0;
    std::vector<std::uint64_t> buckets;
};

struct Instrument {
    std::string_view name;
    std::string_view description;
    std::string_view unit;
    std::span<const double> bounds;
    std::map<std::string, Point> points = {}; // by their attributes as text
};

void record(Instrument& instrument, json attributes, double value) {
    if (!std::isfinite(value) || value < 0) return;
    auto name = attributes.dump(-1, ' ', false, json::error_handler_t::replace);
    if (!instrument.points.contains(name) && instrument.points.size() >= UsageMetrics::most_series) {
        attributes = json::array({{{"key", "otel.metric.overflow"}, {"value", {{"boolValue", true}}}}});
        name = "overflow";
    }
    auto& point = instrument.points[name];
    if (point.count == 0) {
        point.attributes = std::move(attributes);
        point.buckets.resize(instrument.bounds.size() + 1);
        point.min = point.max = value;
    }
    ++point.count;
    point.sum += value;
    point.min = std::min(point.min, value);
    point.max = std::max(point.max, value);
    // A boundary belongs to the bucket below it.
    const auto bucket = std::lower_bound(instrument.bounds.begin(), instrument.bounds.end(), value);
    ++point.buckets[static_cast<std::size_t>(bucket - instrument.bounds.begin())];
}

json attributes_of(const UsageRow& row) {
    json attributes = json::array();
    const auto add = [&](std::string_view key, const std::string& value) {
        if (!value.empty())
            attributes.push_back(text_attribute(key, value.substr(0, UsageMetrics::longest_text)));
    };
    add("dbx_agents.agent", row.agent);
    add("gen_ai.operation.name", row.operation);
    add("gen_ai.provider.name", row.provider);
    add("gen_ai.request.model", row.request_model);
    add("gen_ai.response.model", row.response_model);
    add("server.address", row.server_address);
    if (row.server_port != 0)
        attributes.push_back({{"key", "server.port"}, {"value", {{"intValue", row.server_port}}}});
    return attributes;
}

json with(json attributes, std::string_view key, std::string_view value) {
    attributes.push_back(text_attribute(key, value));
    return attributes;
}

} // namespace

struct UsageMetrics::Series {
    Instrument tokens{"gen_ai.client.token.usage", "Number of input and output tokens used.", "{token}",
                      token_bounds};
    Instrument duration{"gen_ai.client.operation.duration", "GenAI operation duration.", "s", second_bounds};
    Instrument first_chunk{"gen_ai.client.operation.time_to_first_chunk", "Time to receive the first chunk.",
                           "s", second_bounds};
};

UsageMetrics::UsageMetrics()
    : series_(std::make_unique<Series>()) {}
UsageMetrics::~UsageMetrics() = default;
UsageMetrics::UsageMetrics(UsageMetrics&&) noexcept = default;
UsageMetrics& UsageMetrics::operator=(UsageMetrics&&) noexcept = default;

void UsageMetrics::add(const UsageRow& row) {
    const auto attributes = attributes_of(row);
    const auto add_tokens = [&](std::string_view type, std::optional<std::uint64_t> tokens) {
        if (tokens)
            record(series_->tokens, with(attributes, "gen_ai.token.type", type),
                   static_cast<double>(*tokens));
    };
    add_tokens("input", row.input_tokens);
    add_tokens("output", row.output_tokens);
    const auto of_outcome =
        row.error_type.empty() ? attributes : with(attributes, "error.type", row.error_type);
    if (row.duration_s) record(series_->duration, of_outcome, *row.duration_s);
    if (row.time_to_first_chunk_s) record(series_->first_chunk, of_outcome, *row.time_to_first_chunk_s);
}

bool UsageMetrics::empty() const {
    return series_->tokens.points.empty() && series_->duration.points.empty() &&
           series_->first_chunk.points.empty();
}

std::string UsageMetrics::encode(std::uint64_t start_unix_nano, std::uint64_t end_unix_nano,
                                 const std::map<std::string, std::string>& resource) const {
    json metrics = json::array();
    for (const Instrument* instrument : {&series_->tokens, &series_->duration, &series_->first_chunk}) {
        if (instrument->points.empty()) continue;
        json points = json::array();
        for (const auto& [name, point] : instrument->points)
            points.push_back({{"startTimeUnixNano", start_unix_nano},
                              {"timeUnixNano", end_unix_nano},
                              {"count", point.count},
                              {"sum", point.sum},
                              {"min", point.min},
                              {"max", point.max},
                              {"bucketCounts", point.buckets},
                              {"explicitBounds", instrument->bounds},
                              {"attributes", point.attributes}});
        metrics.push_back(
            {{"name", instrument->name},
             {"description", instrument->description},
             {"unit", instrument->unit},
             {"histogram", {{"dataPoints", points}, {"aggregationTemporality", delta_temporality}}}});
    }
    if (metrics.empty()) return {};
    json attributes = json::array();
    for (const auto& [key, value] : resource) attributes.push_back(text_attribute(key, value));
    return written(Signal::metrics, {{"attributes", attributes}}, {{"name", "dbx-agents"}}, metrics);
}

void UsageMetrics::clear() {
    *series_ = Series{};
}

} // namespace dbx::otlp
