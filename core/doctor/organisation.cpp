#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/scene.hpp"
#include "core/edit/mask.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::doctor {

namespace {

using state::Rank;

// The locked value of a key, when it is locked.
std::optional<state::Setting> lock_on(const Scene& scene, std::string_view key) {
    auto setting = scene.around.settings.find(key);
    if (!setting || setting->rank != Rank::locked) return std::nullopt;
    return setting;
}

} // namespace

Findings examine_locks(const Scene& scene) {
    Findings findings;
    for (const auto& item : scene.around.settings.overruled()) {
        const auto& setting = item.setting;
        const std::string name = setting.origin.substr(0, setting.origin.find(' '));
        findings.push_back({"locked-key", "", Severity::warning,
                            (setting.file.empty() ? name : item.key + " in " + scene.shown(setting.file)) +
                                " counts for nothing: the organisation locks " + item.lock,
                            setting.file, setting.line,
                            "it says " + edit::mask_value(item.key, setting.value) + "; " + item.lock +
                                " is locked by " + item.by,
                            setting.file.empty()
                                ? "unset " + name + ", also in your shell's start-up files"
                                : "remove " + item.key + " from " + scene.shown(setting.file)});
    }
    return findings;
}

void check_locks(const Scene& scene, Patient& patient) {
    const auto& connection = patient.connection;
    if (!connection.ours) return;
    const auto report = [&](const std::string& what, const system::Path& file, std::size_t line,
                            const std::string& key, const state::Setting& locked) {
        patient.add({"lock-not-followed", "", Severity::warning, what, file, line,
                     key + " is locked by " + locked.origin + ": " + locked.value,
                     scene.setup_command(patient)});
    };
    const auto& gateway = scene.around.target.gateway;
    if (databricks::is_loopback(connection.base_url)) {
        const auto url = http::parse_url(connection.base_url);
        const auto port = lock_on(scene, "proxy.port");
        if (port && url && std::to_string(url->port) != port->value)
            report(patient.agent->display_name + " goes to port " + std::to_string(url->port) +
                       ", where the organisation's proxy is not",
                   connection.file, connection.line, "proxy.port", *port);
    } else if (gateway && !databricks::same_origin(connection.base_url, gateway->value)) {
        for (const auto* key : {"gateway", "workspace"}) {
            const auto locked = lock_on(scene, key);
            if (!locked) continue;
            report(patient.agent->display_name + " goes to " + http::shown_url(connection.base_url) +
                       ", which is not the organisation's",
                   connection.file, connection.line, key, *locked);
            break;
        }
    }
    for (const auto& use : connection.models) {
        const std::string key = "agents." + patient.agent->name + "." + use.setting;
        const auto locked = lock_on(scene, key);
        if (!locked || locked->value == use.name) continue;
        report(patient.agent->display_name + " uses " + use.name + " instead of the organisation's model",
               use.file, use.line, key, *locked);
    }
}

void report_managed(const Scene& scene, Patient& patient, std::string id, const Managed& managed) {
    if (managed.keys.empty()) return;
    const auto& own = patient.connection.base_url;
    const std::string ask = "ask the administrator of this machine to change " + managed.file.string();
    const std::string keys = join(managed.keys, ", ");
    const bool elsewhere = !managed.base_url.empty() && managed.base_url != own;
    if (!elsewhere) {
        patient.add({std::move(id), "", Severity::warning, "the managed settings win over yours: " + keys,
                     managed.file, managed.line, "", ask});
        return;
    }
    const std::string addresses =
        "theirs " + http::shown_url(managed.base_url) + ", yours " + http::shown_url(own);
    if (scene.is_gateway(managed.base_url) || databricks::is_loopback(managed.base_url)) {
        patient.add({std::move(id), "", Severity::info,
                     "the managed settings lead to a gateway, and yours count for nothing: " + keys,
                     managed.file, managed.line, addresses, "dbx-agents revert " + patient.agent->name});
        return;
    }
    patient.add({std::move(id), "", Severity::broken,
                 "the managed settings win: " + patient.agent->display_name +
                     " does not call the gateway, and may send its token elsewhere",
                 managed.file, managed.line, addresses + "; " + keys, ask});
}

} // namespace dbx::doctor
