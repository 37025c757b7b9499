// What the relay says of itself.
#include "core/proxy/relay.hpp"

#include <nlohmann/json.hpp>

namespace dbx::proxy {

using otlp::Signal;

namespace {

std::int64_t age_seconds(const Spool::Waiting& waiting, system::WallTime now) {
    if (!waiting.oldest) return 0;
    return std::max<std::int64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now - *waiting.oldest).count(), 0);
}

} // namespace

std::string Relay::status_json() const {
    nlohmann::ordered_json root;
    const auto time = services_.clock.now();
    std::shared_ptr<const RelayPolicy> policy;
    std::shared_ptr<Spool> spool;
    std::array<Lane, otlp::all_signals.size()> lanes;
    // Before the reasons: each batch that is counted here has its reason below.
    std::array<std::uint64_t, otlp::all_signals.size()> rejected_batches, dropped_batches;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        rejected_batches[i] = counts_[i].rejected.load();
        dropped_batches[i] = counts_[i].dropped.load();
    }
    {
        const std::lock_guard lock(guard_);
        policy = policy_;
        spool = spool_;
        lanes = lanes_;
        root["tables"] =
            policy->tables
                ? nlohmann::ordered_json(policy->tables->schema_name() + "." + policy->tables->prefix)
                : nlohmann::ordered_json();
        root["sends"] = sends_;
        root["dropped_why"] = last_drop_;
    }
    root["traces"] = policy->traces;
    root["export_usage"] = policy->export_usage;
    root["spool"] = spool ? spool->path().string() : std::string();
    root["spool_size"] = policy->bounds.size;
    root["spool_age_seconds"] = policy->bounds.age.count();
    std::string why, fix;
    for (const auto& lane : lanes) {
        if (lane.trouble.why.empty()) continue;
        why = lane.trouble.why;
        fix = lane.trouble.fix;
        break;
    }
    root["trouble"] = why;
    root["trouble_fix"] = fix;
    for (const Signal signal : otlp::all_signals) {
        const auto& counted = counts_[static_cast<std::size_t>(signal)];
        Spool::Waiting waiting;
        if (spool) waiting = spool->waiting(signal);
        root["signals"][std::string(otlp::name_of(signal))] = {
            {"accepted", counted.accepted.load()},
            {"delivered", counted.delivered.load()},
            {"waiting", waiting.batches},
            {"waiting_bytes", waiting.bytes},
            {"oldest_seconds", age_seconds(waiting, time)},
            {"rejected", rejected_batches[static_cast<std::size_t>(signal)]},
            {"dropped", dropped_batches[static_cast<std::size_t>(signal)]},
            {"refused", counted.refused.load()},
            {"unwanted", counted.unwanted.load()},
            {"not_taken", counted.not_taken.load()},
        };
    }
    for (const Signal signal : otlp::all_signals) {
        const auto& last = lanes[static_cast<std::size_t>(signal)].rejection;
        if (last.status == 0) continue;
        root["signals"][std::string(otlp::name_of(signal))]["last_rejection"] = {
            {"status", last.status}, {"why", last.why}, {"fix", last.fix}};
    }
    const auto rejected = spool ? spool->rejected() : Spool::Rejected();
    root["rejected"] = {{"batches", rejected.batches},    {"bytes", rejected.bytes},
                        {"status", rejected.last.status}, {"table", rejected.last.table},
                        {"why", rejected.last.why},       {"fix", rejected.last.fix}};
    return root.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Relay::metrics_text() const {
    struct Outcome {
        const char* name;
        std::atomic<std::uint64_t> Count::*count;
    };
    constexpr std::array outcomes = {
        Outcome{"accepted", &Count::accepted}, Outcome{"delivered", &Count::delivered},
        Outcome{"rejected", &Count::rejected}, Outcome{"dropped", &Count::dropped},
        Outcome{"refused", &Count::refused},   Outcome{"unwanted", &Count::unwanted},
    };
    const auto spool = now().second;
    const auto time = services_.clock.now();
    std::string text =
        "# HELP dbx_agents_proxy_otlp_batches_total Batches of telemetry by what became of them\n"
        "# TYPE dbx_agents_proxy_otlp_batches_total counter\n";
    std::string batches, bytes, age;
    for (const Signal signal : otlp::all_signals) {
        const std::string label = "signal=\"" + std::string(otlp::name_of(signal)) + "\"";
        for (const auto& outcome : outcomes)
            text += "dbx_agents_proxy_otlp_batches_total{" + label + ",outcome=\"" + outcome.name + "\"} " +
                    std::to_string((counts_[static_cast<std::size_t>(signal)].*outcome.count).load()) + "\n";
        Spool::Waiting waiting;
        if (spool) waiting = spool->waiting(signal);
        const auto line = [&](std::string& to, const char* name, auto value) {
            to += "dbx_agents_proxy_spool_" + std::string(name) + "{" + label + "} " + std::to_string(value) +
                  "\n";
        };
        line(batches, "batches", waiting.batches);
        line(bytes, "bytes", waiting.bytes);
        line(age, "oldest_seconds", age_seconds(waiting, time));
    }
    const auto gauge = [&](const char* name, const char* help, const std::string& lines) {
        text += "# HELP dbx_agents_proxy_spool_" + std::string(name) + " " + help +
                "\n# TYPE dbx_agents_proxy_spool_" + name + " gauge\n" + lines;
    };
    gauge("batches", "Batches of telemetry that wait", batches);
    gauge("bytes", "Their bytes", bytes);
    gauge("oldest_seconds", "The age of the oldest", age);
    return text;
}

} // namespace dbx::proxy
