#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dbx::otlp {

// One marked point, record or span, to be found again in the tables.
struct Probe {
    std::string marker; // unique to this probe
    std::uint64_t time_unix_nano = 0;
    std::string service_version;
};

// The metric's, the log event's and the span's name.
inline constexpr std::string_view probe_name = "dbx_agents.probe";
// The attribute of the point, record or span that holds the marker.
inline constexpr std::string_view probe_marker_attribute = "dbx_agents.probe.marker";
// `service.name` of the resource.
inline constexpr std::string_view probe_service_name = "dbx-agents";

// Export requests in protobuf. The metric is a DELTA sum of one point of value 1, as the agents send.
std::string probe_metric(const Probe& probe);
std::string probe_log(const Probe& probe);
// Its trace and span ids are made of the marker.
std::string probe_span(const Probe& probe);

} // namespace dbx::otlp
