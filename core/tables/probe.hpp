#pragma once

#include "core/tables/run.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::tables {

// How long ingestion is documented to take at most, from a batch to its rows.
inline constexpr std::chrono::minutes documented_delay{5};

// Why a probe did not reach its table.
enum class ProbeCause {
    missing_right,     // USE CATALOG, USE SCHEMA, MODIFY or SELECT, by name
    no_table,          // it is not there, or not visible
    schema,            // its columns are not the documented ones
    region,            // ingestion does not exist in the workspace's region
    preview,           // "OpenTelemetry on Databricks" is not switched on
    token,             // refused, or without the scope
    proxy_not_running, // the agents export through the local proxy, and nobody is there
    proxy_elsewhere,   // the local proxy writes to other tables, or to none
    rejected,          // the local proxy has set it aside, for none of the reasons above
    unavailable,       // throttled, or not there at the moment
    network,
    waiting, // taken, and not in the table yet
    refused, // anything else
};
std::string_view name_of(ProbeCause cause);

struct ProbeTrouble {
    ProbeCause cause = ProbeCause::refused;
    Error error; // for people
};

// What a refusal of the OTLP route, or of the SELECT, means for the table of that signal. The words for
// region and preview are no documented ones: they are looked for.
ProbeTrouble explain_probe(const databricks::ApiError& error, const Place& place, Signal signal);

// The same for what the local proxy was told when it handed the batch on, in the words that it keeps.
ProbeTrouble explain_rejection(int status, std::string_view why, std::string_view fix, const Place& place,
                               Signal signal);

// How a probe goes: the way that the agents' telemetry goes.
class ProbeRoute {
  public:
    virtual ~ProbeRoute() = default;
    // Hands over an export request in protobuf. Nothing: it was taken.
    virtual std::optional<ProbeTrouble> send(Signal signal, const std::string& bytes) = 0;
    // What became known since, of a way on which taking is not delivering.
    virtual std::optional<ProbeTrouble> news(Signal signal) = 0;
    // What is in the way of something that was taken: a clause; empty: nothing is known.
    virtual std::string hindrance(Signal signal) = 0;
};

// With the token, straight to the workspace.
class DirectRoute : public ProbeRoute {
  public:
    DirectRoute(databricks::Workspace& workspace, Place place)
        : workspace_(workspace)
        , place_(std::move(place)) {}
    std::optional<ProbeTrouble> send(Signal signal, const std::string& bytes) override;
    std::optional<ProbeTrouble> news(Signal) override { return std::nullopt; }
    std::string hindrance(Signal) override { return {}; }

  private:
    databricks::Workspace& workspace_;
    Place place_;
};

struct ProbeResult {
    enum class State { not_sent, waiting, arrived, refused };
    Signal signal = Signal::metrics;
    std::string table; // its plain name
    State state = State::not_sent;
    std::chrono::milliseconds elapsed{
        0}; // from its acceptance to the look that found it, or to the last look
    std::size_t looks = 0;
    std::optional<ProbeTrouble> trouble;
};
std::string_view name_of(ProbeResult::State state);

struct ProbeWish {
    Place place;
    std::vector<Signal> signals;
    std::string warehouse_id;
    std::string marker; // unique to this probe
    std::string version;
    std::chrono::steady_clock::time_point deadline;
};

// How many of its rows are in the table: one number. The marker is the parameter :marker.
Statement count_probes(const Place& place, Signal signal, std::uint64_t time_unix_nano);

// Sends one marked metric, log event or span per signal, then looks into the tables until they are there. A
// first look before sending starts the warehouse, so that its start is not taken for the delivery's time. An
// error only for an interrupt; everything else is in the results.
Result<std::vector<ProbeResult>> run_probe(databricks::Workspace& workspace, ProbeRoute& route,
                                           const ProbeWish& wish,
                                           const std::function<void(const RunProgress&)>& progress = {});

} // namespace dbx::tables
