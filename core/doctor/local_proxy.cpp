#include "core/doctor/local_proxy.hpp"

#include "core/edit/mask.hpp"
#include "core/proxy/spool.hpp"
#include "core/proxy/status.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/running_proxies.hpp"
#include "core/system/self.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::doctor {

namespace {

using nlohmann::ordered_json;

// Another version's proxy may lack a member, or have one of another type.
std::string text_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

std::uint64_t count_of(const ordered_json& object, const char* name) {
    const auto member = object.find(name);
    return member != object.end() && member->is_number_unsigned() ? member->get<std::uint64_t>() : 0;
}

std::string rows(std::uint64_t count) {
    return fmt::format("{} row{}", count, count == 1 ? "" : "s");
}

std::string fix_for(const std::string& health, const std::string& file, int port) {
    if (health == "locked")
        return "close the program that has " + file +
               " open; the proxy writes the rows as soon as it lets go";
    if (health == "disk full")
        return "make room on the disk of " + file + "; the proxy writes the rows as soon as there is some";
    if (health == "from a newer version")
        return fmt::format("update dbx-agents, or start the proxy with a ledger of its own: dbx-agents proxy "
                           "--port {} --ledger FILE",
                           port);
    return "make " + file +
           " and its folder writable for you, or move away what stands there; the proxy tries again by "
           "itself";
}

std::string batches(std::uint64_t count) {
    return fmt::format("{} batch{}", count, count == 1 ? "" : "es");
}

// What makes the workspace take what it has rejected.
std::string fix_for_rejected(int status, const std::string& table, const std::string& own_fix) {
    if (status == 403)
        return "have USE CATALOG, USE SCHEMA, MODIFY and SELECT granted by these names (ALL PRIVILEGES is "
               "not enough): dbx-agents tables grant --to PRINCIPAL" +
               (table.empty() ? std::string() : ", for " + table);
    if (status == 404)
        return "dbx-agents tables create makes the tables" +
               (table.empty() ? std::string() : " (" + table + ")") +
               "; when they are there, the preview 'OpenTelemetry on Databricks' may be off";
    if (status == 400) return "compare the tables with what they should be: dbx-agents tables check";
    return own_fix.empty() ? "see the reason beside each batch" : own_fix;
}

Finding rejected_finding(const system::Path& spool, std::uint64_t count, int status, const std::string& why,
                         const std::string& table, const std::string& own_fix, const std::string& again) {
    Finding finding;
    finding.id = "telemetry-rejected";
    finding.severity = Severity::warning;
    finding.what = "the workspace rejected " + batches(count) + " of telemetry; they are set aside";
    finding.file = spool / "rejected";
    finding.evidence = edit::mask_text(why) + (table.empty() ? "" : ", table " + table);
    finding.fix = fix_for_rejected(status, table, own_fix) + "; then send them again: " + again;
    return finding;
}

} // namespace

Findings examine_relay(int port, long process, const ordered_json& relay) {
    Findings findings;
    const auto add = [&](const char* id, std::string what, std::string evidence, std::string fix) {
        findings.push_back({id, "", Severity::warning, std::move(what), text_of(relay, "spool"), 0,
                            edit::mask_text(evidence), std::move(fix)});
    };
    std::uint64_t waiting = 0, bytes = 0, dropped = 0, refused = 0, oldest = 0;
    if (const auto signals = relay.find("signals"); signals != relay.end() && signals->is_object()) {
        for (const auto& [name, signal] : signals->items()) {
            if (!signal.is_object()) continue;
            waiting += count_of(signal, "waiting");
            bytes += count_of(signal, "waiting_bytes");
            dropped += count_of(signal, "dropped");
            refused += count_of(signal, "refused");
            oldest = std::max(oldest, count_of(signal, "oldest_seconds"));
        }
    }
    const auto why = text_of(relay, "trouble");
    const auto own_fix = text_of(relay, "trouble_fix");
    if (text_of(relay, "tables").empty()) {
        if (dropped > 0)
            add("telemetry-no-tables",
                fmt::format("an agent sends telemetry to the proxy on port {}, which knows no tables for it: "
                            "{} dropped",
                            port, batches(dropped)),
                "otel.tables is not set",
                "dbx-agents setup --all --otel CATALOG.SCHEMA.PREFIX, then kill -HUP " +
                    std::to_string(process));
        return findings;
    }
    const auto room = count_of(relay, "spool_size");
    if (room > 0 && bytes >= room / 10 * 8)
        add("telemetry-spool-full",
            fmt::format(
                "the spool of the proxy on port {} is nearly full: the oldest telemetry is dropped soon",
                port),
            fmt::format("{} wait, {} of {} bytes{}", batches(waiting), bytes, room,
                        why.empty() ? "" : "; " + why),
            own_fix.empty() ? "give it more room: proxy.spool_size" : own_fix);
    else if (waiting > 0 && !why.empty())
        add("telemetry-waits",
            fmt::format("telemetry waits in the proxy on port {}: {}, the oldest for {} s", port,
                        batches(waiting), oldest),
            why, own_fix.empty() ? "the proxy tries again by itself; see dbx-agents proxy status" : own_fix);
    if (dropped > 0)
        add("telemetry-dropped",
            fmt::format("the proxy on port {} has dropped {} of telemetry", port, batches(dropped)),
            text_of(relay, "dropped_why"), "see dbx-agents proxy status; what is dropped is lost");
    if (refused > 0)
        findings.push_back({"telemetry-unreadable",
                            "",
                            Severity::info,
                            fmt::format("the proxy on port {} could not read {} of an agent's telemetry",
                                        port, batches(refused)),
                            {},
                            0,
                            "the proxy's log says why",
                            "set the agent's exporter to OTLP over HTTP, protobuf or JSON"});
    if (const auto aside = relay.find("rejected"); aside != relay.end() && aside->is_object()) {
        if (const auto count = count_of(*aside, "batches"); count > 0)
            findings.push_back(
                rejected_finding(text_of(relay, "spool"), count, static_cast<int>(count_of(*aside, "status")),
                                 text_of(*aside, "why"), text_of(*aside, "table"), text_of(*aside, "fix"),
                                 "kill -HUP " + std::to_string(process)));
    }
    return findings;
}

Findings examine_spools(const Scene& scene) {
    Findings findings;
    const auto root = proxy::spool_root(scene.around.environment);
    if (!root) return findings;
    for (const auto& spool : proxy::Spool::look_at_all(*root)) {
        // A running one is asked itself.
        if (system::lock_holder(spool.path / proxy::Spool::lock_name)) continue;
        std::uint64_t waiting = 0;
        for (const auto& one : spool.waiting) waiting += one.batches;
        if (waiting > 0)
            findings.push_back({"telemetry-waits", "", Severity::info,
                                batches(waiting) + " of telemetry wait for a proxy of " + spool.workspace,
                                spool.path, 0, "no proxy of that workspace is running", "dbx-agents proxy"});
        if (spool.rejected.batches > 0) {
            const auto& last = spool.rejected.last;
            findings.push_back(rejected_finding(spool.path, spool.rejected.batches, last.status, last.why,
                                                last.table, last.fix, "start dbx-agents proxy"));
        }
    }
    return findings;
}

std::optional<Finding> examine_ledger(int port, const system::Path& file, const std::string& health,
                                      const std::string& why, std::uint64_t waiting, std::uint64_t lost) {
    if (health.empty() || health == "good") return std::nullopt;
    Finding finding;
    finding.id = "proxy-ledger";
    finding.severity = Severity::warning;
    finding.what = fmt::format("the proxy on port {} cannot write its ledger: requests go on, {}", port,
                               lost > 0 ? rows(lost) + " of usage are lost" : "their rows wait in memory");
    finding.file = file;
    finding.evidence = edit::mask_text(why.empty() ? health : why);
    if (waiting > 0) finding.evidence += "; " + rows(waiting) + " waiting";
    finding.fix = fix_for(health, file.empty() ? "the ledger" : file.string(), port);
    return finding;
}

Findings examine_running_proxies(const Scene& scene, http::HttpClient& http) {
    Findings findings;
    const auto& around = scene.around;
    const auto running = state::running_proxies(around.environment, around.files);
    if (!running || running->empty()) return findings;
    const auto keys = state::read_local_keys(around.environment, around.files);
    if (!keys || keys->empty()) return findings;
    for (const auto& proxy : *running) {
        const auto status = proxy::ask_status(http, proxy.port, keys->begin()->second);
        if (!status) continue;
        if (const auto relay = status->find("telemetry"); relay != status->end() && relay->is_object())
            for (auto& finding : examine_relay(proxy.port, proxy.process_id, *relay))
                findings.push_back(std::move(finding));
        const auto ledger = status->find("ledger");
        if (ledger == status->end() || !ledger->is_object()) continue;
        if (auto finding = examine_ledger(proxy.port, text_of(*status, "ledger_file"),
                                          text_of(*ledger, "health"), text_of(*ledger, "why"),
                                          count_of(*ledger, "waiting"), count_of(*ledger, "lost")))
            findings.push_back(std::move(*finding));
    }
    return findings;
}

} // namespace dbx::doctor
