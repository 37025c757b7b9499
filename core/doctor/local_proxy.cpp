#include "core/doctor/local_proxy.hpp"

#include "core/edit/mask.hpp"
#include "core/proxy/status.hpp"
#include "core/state/local_keys.hpp"
#include "core/state/running_proxies.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

} // namespace

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
