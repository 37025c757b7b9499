#include "core/otlp/amend.hpp"
#include "core/otlp/probe.hpp"
#include "core/otlp/usage_metrics.hpp"
#include "wire.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

using namespace dbx;
using namespace dbx::otlp;

namespace {

// Attributes as text; `path` is where the pairs stand.
std::map<std::string, std::string> attributes(const std::string& message, std::uint32_t number) {
    std::map<std::string, std::string> found;
    for (const auto& pair : wire::all(message, {number})) {
        const auto value = wire::one(pair.bytes, {2}).bytes;
        std::string text;
        for (const auto& part : wire::decode(value))
            text = part.type == 2 ? part.bytes : std::to_string(part.bits);
        found[wire::one(pair.bytes, {1}).bytes] = text;
    }
    return found;
}

const Probe probe{"m-1", 1'700'000'000'000'000'000, "1.2.3"};

UsageRow row(const std::string& agent, const std::string& model) {
    UsageRow row;
    row.agent = agent;
    row.provider = "anthropic";
    row.operation = "chat";
    row.request_model = model;
    row.response_model = model + "-20260101";
    row.server_address = "dbc.example.com";
    row.server_port = 443;
    return row;
}

std::map<std::string, std::string> by_name(const std::string& request) {
    std::map<std::string, std::string> metrics;
    for (const auto& metric : wire::all(request, {1, 2, 2}))
        metrics[wire::one(metric.bytes, {1}).bytes] = metric.bytes;
    return metrics;
}

} // namespace

TEST_CASE("a probe is one marked item of its signal") {
    const auto metric = probe_metric(probe);
    CHECK(*count(Signal::metrics, metric) == Counts{1, 1, 1, 0, 0});
    CHECK(wire::one(metric, {1, 2, 2, 1}).bytes == "dbx_agents.probe");
    CHECK(wire::one(metric, {1, 2, 2, 7, 2}).bits == 1);
    const auto point = wire::one(metric, {1, 2, 2, 7, 1}).bytes;
    CHECK(wire::one(point, {3}).bits == probe.time_unix_nano);
    CHECK(wire::one(point, {6}).bits == 1);
    CHECK(attributes(point, 7).at("dbx_agents.probe.marker") == "m-1");

    const auto log = probe_log(probe);
    CHECK(*count(Signal::logs, log) == Counts{1, 0, 0, 1, 0});
    const auto record = wire::one(log, {1, 2, 2}).bytes;
    CHECK(wire::one(record, {1}).bits == probe.time_unix_nano);
    CHECK(wire::one(record, {12}).bytes == "dbx_agents.probe");
    CHECK(attributes(record, 6).at("dbx_agents.probe.marker") == "m-1");

    const auto trace = probe_span(probe);
    CHECK(*count(Signal::traces, trace) == Counts{1, 0, 0, 0, 1});
    const auto span = wire::one(trace, {1, 2, 2}).bytes;
    CHECK(wire::one(span, {5}).bytes == "dbx_agents.probe");
    CHECK(wire::one(span, {1}).bytes.size() == 16);
    CHECK(wire::one(span, {2}).bytes.size() == 8);
    CHECK(attributes(span, 9).at("dbx_agents.probe.marker") == "m-1");
    const auto other = wire::one(probe_span({"m-2", 1, "1"}), {1, 2, 2}).bytes;
    CHECK(wire::one(other, {1}).bytes != wire::one(span, {1}).bytes);
    CHECK(wire::one(other, {2}).bytes != wire::one(span, {2}).bytes);

    for (const auto& request : {metric, log, trace}) {
        const auto resource = attributes(wire::one(request, {1, 1}).bytes, 1);
        CHECK(resource.at("service.name") == "dbx-agents");
        CHECK(resource.at("service.version") == "1.2.3");
    }
    CHECK(*amend(Signal::logs, log, {}) == log);
}

TEST_CASE("no rows, no metrics") {
    UsageMetrics metrics;
    CHECK(metrics.empty());
    CHECK(metrics.encode(1, 2, {}).empty());
    metrics.add({});
    CHECK(metrics.empty());
}

TEST_CASE("tokens and times become delta histograms per agent and model") {
    UsageMetrics metrics;
    auto one = row("claude", "sonnet");
    one.input_tokens = 4;
    one.output_tokens = 5;
    one.duration_s = 0.5;
    one.time_to_first_chunk_s = 0.01;
    metrics.add(one);
    one.input_tokens = 100'000'000;
    one.output_tokens = 0;
    one.time_to_first_chunk_s.reset();
    metrics.add(one);
    auto failed = row("codex", "gpt");
    failed.error_type = "429";
    failed.duration_s = 100;
    metrics.add(failed);
    CHECK_FALSE(metrics.empty());

    const auto request = metrics.encode(1000, 2000, {{"service.name", "dbx-agents"}});
    CHECK(*count(Signal::metrics, request) == Counts{1, 3, 5, 0, 0});
    CHECK(attributes(wire::one(request, {1, 1}).bytes, 1).at("service.name") == "dbx-agents");
    const auto found = by_name(request);
    const auto& tokens = found.at("gen_ai.client.token.usage");
    CHECK(wire::one(tokens, {3}).bytes == "{token}");
    CHECK(wire::one(tokens, {9, 2}).bits == 1);
    const auto points = wire::all(tokens, {9, 1});
    REQUIRE(points.size() == 2);
    for (const auto& point : points) {
        auto set = attributes(point.bytes, 9);
        const auto type = set.at("gen_ai.token.type");
        set.erase("gen_ai.token.type");
        CHECK(set == std::map<std::string, std::string>{{"dbx_agents.agent", "claude"},
                                                        {"gen_ai.operation.name", "chat"},
                                                        {"gen_ai.provider.name", "anthropic"},
                                                        {"gen_ai.request.model", "sonnet"},
                                                        {"gen_ai.response.model", "sonnet-20260101"},
                                                        {"server.address", "dbc.example.com"},
                                                        {"server.port", "443"}});
        CHECK(wire::one(point.bytes, {2}).bits == 1000);
        CHECK(wire::one(point.bytes, {3}).bits == 2000);
        CHECK(wire::one(point.bytes, {4}).bits == 2);
        const bool input = type == "input";
        CHECK(wire::one(point.bytes, {5}).as_double() == (input ? 100'000'004 : 5));
        CHECK(wire::one(point.bytes, {11}).as_double() == (input ? 4 : 0));
        CHECK(wire::one(point.bytes, {12}).as_double() == (input ? 100'000'000 : 5));
        const auto bounds = wire::doubles(wire::one(point.bytes, {7}).bytes);
        REQUIRE(bounds.size() == 14);
        CHECK(bounds[2] == 16);
        CHECK(bounds[13] == 67108864);
        const auto buckets = wire::eights(wire::one(point.bytes, {6}).bytes);
        REQUIRE(buckets.size() == 15);
        // 4 belongs to (1, 4], 5 to (4, 16], 0 to (-inf, 1], and 100 million is above all.
        CHECK(buckets[1] == (input ? 1 : 0));
        CHECK(buckets[2] == (input ? 0 : 1));
        CHECK(buckets[0] == (input ? 0 : 1));
        CHECK(buckets[14] == (input ? 1 : 0));
    }
    const auto& duration = found.at("gen_ai.client.operation.duration");
    CHECK(wire::one(duration, {3}).bytes == "s");
    const auto durations = wire::all(duration, {9, 1});
    REQUIRE(durations.size() == 2);
    for (const auto& point : durations) {
        const auto set = attributes(point.bytes, 9);
        const bool error = set.contains("error.type");
        CHECK(set.at("gen_ai.request.model") == (error ? "gpt" : "sonnet"));
        CHECK(wire::one(point.bytes, {4}).bits == (error ? 1 : 2));
        CHECK(wire::one(point.bytes, {5}).as_double() == (error ? 100 : 1));
    }
    const auto& first = found.at("gen_ai.client.operation.time_to_first_chunk");
    CHECK(wire::one(first, {9, 1, 4}).bits == 1);
    CHECK(wire::eights(wire::one(first, {9, 1, 6}).bytes).front() == 1);

    metrics.clear();
    CHECK(metrics.empty());
    metrics.add(one);
    CHECK(count(Signal::metrics, metrics.encode(2000, 3000, {}))->points == 3);
}

TEST_CASE("invented models cost no memory, and their tokens are still counted") {
    UsageMetrics metrics;
    const std::size_t invented = 3 * UsageMetrics::most_series;
    for (std::size_t i = 0; i < invented; ++i) {
        auto one = row("claude", "model-" + std::to_string(i) + "\xff" + std::string(100'000, 'x'));
        one.output_tokens = 2;
        metrics.add(one);
    }
    const auto request = metrics.encode(1, 2, {});
    CHECK(request.size() < (UsageMetrics::most_series + 1) * 1500);
    const auto points = wire::all(request, {1, 2, 2, 9, 1});
    CHECK(points.size() == UsageMetrics::most_series + 1);
    double sum = 0;
    int overflows = 0;
    for (const auto& point : points) {
        sum += wire::one(point.bytes, {5}).as_double();
        const auto set = attributes(point.bytes, 9);
        if (!set.contains("otel.metric.overflow")) continue;
        ++overflows;
        CHECK(set.size() == 1);
    }
    CHECK(overflows == 1);
    CHECK(sum == static_cast<double>(2 * invented));
}

TEST_CASE("a time that is none is left out") {
    UsageMetrics metrics;
    auto one = row("a", "m");
    one.duration_s = std::nan("");
    one.time_to_first_chunk_s = -1;
    metrics.add(one);
    CHECK(metrics.empty());
}
