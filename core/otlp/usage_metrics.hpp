#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace dbx::otlp {

// One finished request as the ledger booked it, in the convention's terms. Empty texts and absent numbers are
// not exported.
struct UsageRow {
    std::string agent;          // attribute dbx_agents.agent: "claude"
    std::string provider;       // gen_ai.provider.name: "anthropic", "openai", "gcp.gemini"
    std::string operation;      // gen_ai.operation.name: "chat", "generate_content"
    std::string request_model;  // gen_ai.request.model
    std::string response_model; // gen_ai.response.model
    std::string server_address; // server.address: the workspace's host
    std::uint16_t server_port = 0;
    std::string error_type;                      // error.type; empty: it succeeded
    std::optional<std::uint64_t> input_tokens;   // cached ones included
    std::optional<std::uint64_t> output_tokens;  // reasoning included
    std::optional<double> duration_s;            // of the whole request
    std::optional<double> time_to_first_chunk_s; // streamed answers only
};

// OpenTelemetry's GenAI client metrics (semantic conventions for generative AI, status Development) of what
// the proxy booked in an interval: histograms gen_ai.client.token.usage ({token}; gen_ai.token.type input and
// output), gen_ai.client.operation.duration and gen_ai.client.operation.time_to_first_chunk (s), with the
// convention's buckets, DELTA: sums over the table's rows are right. Not for several threads at once.
class UsageMetrics {
  public:
    // Sets of attributes that are kept apart; further ones share one point that has only the attribute
    // otel.metric.overflow, as OpenTelemetry's SDKs do, so that invented model names cost no memory.
    static constexpr std::size_t most_series = 500;
    static constexpr std::size_t longest_text = 256; // longer ones are cut, in bytes

    UsageMetrics();
    ~UsageMetrics();
    UsageMetrics(UsageMetrics&&) noexcept;
    UsageMetrics& operator=(UsageMetrics&&) noexcept;

    void add(const UsageRow& row);
    bool empty() const;
    // An ExportMetricsServiceRequest in protobuf of the rows since the last clear(), all of them over
    // (start, end]; "" when there is none. `resource` are its resource's attributes (service.name …).
    std::string encode(std::uint64_t start_unix_nano, std::uint64_t end_unix_nano,
                       const std::map<std::string, std::string>& resource) const;
    void clear();

  private:
    struct Series;
    std::unique_ptr<Series> series_;
};

} // namespace dbx::otlp
