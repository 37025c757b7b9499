#include "core/otlp/probe.hpp"

#include "core/otlp/write.hpp"

namespace dbx::otlp {

namespace {

using nlohmann::json;

json resource_of(const Probe& probe) {
    return {{"attributes",
             {text_attribute("service.name", probe_service_name),
              text_attribute("service.version", probe.service_version)}}};
}

json scope() {
    return {{"name", probe_name}};
}

json attributes_of(const Probe& probe) {
    return json::array({text_attribute(probe_marker_attribute, probe.marker)});
}

// FNV-1a: an id has to differ from other probes', no more.
std::string hex_id(std::string_view seed, std::string_view marker) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const auto text : {seed, marker})
        for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    std::string digits(16, '0');
    constexpr std::string_view alphabet = "0123456789abcdef";
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, hash >>= 4)
        *digit = alphabet[static_cast<std::size_t>(hash & 15)];
    return digits;
}

} // namespace

std::string probe_metric(const Probe& probe) {
    const json point = {{"startTimeUnixNano", probe.time_unix_nano},
                        {"timeUnixNano", probe.time_unix_nano},
                        {"asInt", 1},
                        {"attributes", attributes_of(probe)}};
    const json metric = {{"name", probe_name},
                         {"unit", "1"},
                         {"sum",
                          {{"dataPoints", json::array({point})},
                           {"aggregationTemporality", delta_temporality},
                           {"isMonotonic", true}}}};
    return written(Signal::metrics, resource_of(probe), scope(), json::array({metric}));
}

std::string probe_log(const Probe& probe) {
    const json record = {{"timeUnixNano", probe.time_unix_nano},
                         {"observedTimeUnixNano", probe.time_unix_nano},
                         {"severityNumber", 9},
                         {"severityText", "INFO"},
                         {"eventName", probe_name},
                         {"body", {{"stringValue", probe_name}}},
                         {"attributes", attributes_of(probe)}};
    return written(Signal::logs, resource_of(probe), scope(), json::array({record}));
}

std::string probe_span(const Probe& probe) {
    const json span = {
        {"traceId", hex_id("trace-high", probe.marker) + hex_id("trace-low", probe.marker)},
        {"spanId", hex_id("span", probe.marker)},
        {"name", probe_name},
        {"kind", 1},
        {"startTimeUnixNano", probe.time_unix_nano},
        {"endTimeUnixNano", probe.time_unix_nano},
        {"attributes", attributes_of(probe)},
    };
    return written(Signal::traces, resource_of(probe), scope(), json::array({span}));
}

} // namespace dbx::otlp
