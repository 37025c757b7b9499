#include "core/doctor/doctor.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/models.hpp"
#include "core/doctor/bounded.hpp"
#include "core/doctor/local_proxy.hpp"
#include "core/doctor/probe.hpp"
#include "core/doctor/scene.hpp"
#include "core/edit/mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>

namespace dbx::doctor {

namespace {

using ConnectionOf = Connection (*)(const Scene&, const Patient&);

// What is known about an agent beyond its template.
struct Practice {
    std::string_view agent;
    ConnectionOf connection;
    const std::vector<Check>& (*checks)();
};
constexpr std::array practices{
    Practice{"codex", codex_connection, codex_checks},
    Practice{"claude", claude_connection, claude_checks},
    Practice{"gemini", gemini_connection, gemini_checks},
    Practice{"cursor", cursor_connection, cursor_checks},
};

const Practice* practice_for(const std::string& agent) {
    const auto found =
        std::find_if(practices.begin(), practices.end(), [&](const Practice& p) { return p.agent == agent; });
    return found == practices.end() ? nullptr : &*found;
}

Result<Patient> admit(const Scene& scene, const agents::Agent& agent) {
    Patient patient;
    patient.agent = &agent;
    auto report = agents::inspect(agent, scene.around.journal, scene.around.environment, scene.around.files);
    if (!report) return fail(report.error());
    patient.report = std::move(*report);
    for (const auto& entry : scene.around.journal.written()) {
        if (entry.agent == agent.name && !entry.auth.empty()) patient.auth = entry.auth;
    }
    if (const auto* practice = practice_for(agent.name))
        patient.connection = practice->connection(scene, patient);
    return patient;
}

bool is_here(const Patient& patient) {
    const auto& report = patient.report;
    return report.installed.found || report.configured || patient.connection.ours ||
           std::any_of(report.files.begin(), report.files.end(),
                       [](const auto& file) { return file.exists || !file.problem.empty(); });
}

// ~/.databrickscfg holds tokens in clear text.
void check_databrickscfg(const Scene& scene, Findings& findings) {
    system::Path path = scene.env("DATABRICKS_CONFIG_FILE").value_or("");
    const auto home = system::home_directory(scene.around.environment);
    if (path.empty() && home) path = *home / ".databrickscfg";
    if (path.string().starts_with("~/") && home) path = *home / path.string().substr(2);
    const auto status = scene.around.files.status(path);
    if (!status || status->kind != system::FileKind::regular) return;
    const auto text = scene.around.files.read(path, edit::max_file_bytes);
    if (!text) return;
    std::size_t number = 0;
    std::size_t line_of_token = 0;
    for (const auto& line : split(*text, '\n')) {
        ++number;
        const auto equals = line.find('=');
        if (equals == std::string::npos || trim(line.substr(equals + 1)).empty()) continue;
        const auto key = to_lower(trim(std::string_view(line).substr(0, equals)));
        if (key == "token" || key == "client_secret" || key == "azure_client_secret" || key == "password") {
            line_of_token = number;
            break;
        }
    }
    if (line_of_token == 0) return;
    if ((status->mode & 044) != 0) {
        findings.push_back({"token-readable", "", Severity::warning,
                            scene.shown(path) + " holds a token, and other users can read it", path,
                            line_of_token, fmt::format("mode {:04o}", status->mode),
                            "chmod 600 " + shell_quote(path.string())});
    }
    if (const auto tree = scene.publishing_work_tree(path)) {
        findings.push_back(
            {"token-in-git", "", Severity::warning,
             scene.shown(path) + " holds a token and stands in a git work tree: one commit publishes it",
             path, line_of_token, "the work tree is " + scene.shown(*tree),
             "move it out of the work tree and export DATABRICKS_CONFIG_FILE with its new path"});
    }
}

// Agents whose token comes from a command need our credential (unless the command is somebody else's).
bool needs_credential(const Patient& patient) {
    const auto& connection = patient.connection;
    if (!connection.ours) return false;
    const bool command =
        connection.source == Connection::Source::command || connection.source == Connection::Source::shell;
    const auto words = connection.shell + " " + join(connection.command, " ");
    return command && words.find("auth token") != std::string::npos;
}

void check_credential(const Scene& scene, const std::vector<Patient>& patients, Findings& findings) {
    const auto& credential = scene.around.target.resolution.credential;
    if (credential) return;
    const bool needed = std::any_of(patients.begin(), patients.end(), needs_credential);
    const bool any = std::any_of(patients.begin(), patients.end(),
                                 [](const Patient& patient) { return patient.connection.ours; });
    if (!any) return;
    const auto& error = credential.error();
    findings.push_back({"credential-missing",
                        "",
                        needed ? Severity::broken : Severity::info,
                        needed ? "there is no credential to make tokens with"
                               : "there is no credential of your own: the list of models is not looked at",
                        {},
                        0,
                        edit::mask_text(error.what + (error.why.empty() ? "" : ": " + error.why)),
                        error.fix.empty() ? "dbx-agents auth status" : error.fix});
}

// Everything that needs the network: each agent's probe in a thread, our own token and the list of models in
// another.
void examine_network(const Scene& scene, std::vector<Patient>& patients, Report& report) {
    const auto& around = scene.around;
    const bool any = std::any_of(patients.begin(), patients.end(),
                                 [](const Patient& patient) { return patient.connection.ours; });
    if (!any) return;
    const Deadline deadline(around.pacer, network_limit);
    BoundedClient client(around.http, deadline, request_limit);
    BoundedProcess process(around.process, deadline, request_limit);
    ImpatientPacer pacer(around.pacer, deadline);
    const auto state = system::state_directory(around.environment);
    std::optional<databricks::TokenSource> tokens;
    if (around.target.resolution.credential && state)
        tokens.emplace(*around.target.resolution.credential,
                       databricks::TokenServices{client, pacer, process, around.files, around.environment,
                                                 around.clock, *state, lock_limit});

    ProbeTools tools{client, process, tokens ? &*tokens : nullptr};
    std::vector<std::vector<ProbeResult>> results(patients.size());
    std::optional<Error> token_error;
    std::optional<databricks::ApiResult<databricks::ModelList>> listed;
    std::mutex guard;
    std::size_t ended = 0;
    const auto tell = [&] {
        if (!around.told) return;
        const std::lock_guard lock(guard);
        around.told(++ended, patients.size());
    };
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < patients.size(); ++i)
            threads.emplace_back([&, i] {
                results[i] = probe(scene, patients[i], tools);
                tell();
            });
        if (tokens) {
            threads.emplace_back([&] {
                if (const auto token = tokens->get(); !token) {
                    token_error = token.error();
                    return;
                }
                std::optional<databricks::Workspace> workspace;
                std::optional<databricks::Workspace> gateway;
                if (around.target.workspace)
                    workspace.emplace(around.target.workspace->value, *tokens, client, pacer);
                if (around.target.gateway)
                    gateway.emplace(around.target.gateway->value, *tokens, client, pacer);
                listed =
                    databricks::list_models(workspace ? &*workspace : nullptr, gateway ? &*gateway : nullptr);
            });
        }
    }
    const databricks::ModelList models = listed && *listed ? **listed : databricks::ModelList();
    bool probed = false;
    for (std::size_t i = 0; i < patients.size(); ++i) {
        auto& patient = patients[i];
        std::vector<std::string> settled;
        for (const auto& result : results[i]) {
            probed = true;
            std::string outcome = "ok";
            if (!result.good) {
                auto finding = explain(scene, patient, result, models);
                outcome = finding.id;
                patient.findings.push_back(std::move(finding));
            }
            // A model that answers exists, whatever a list says; one that does not has its finding.
            if (result.good || outcome == "model-missing") settled.push_back(result.model);
            report.probes.push_back({patient.agent->name, result.url, result.model, outcome});
        }
        if (!patient.connection.ours || models.models.empty()) continue;
        for (auto& finding : missing_models(scene, patient, models, settled))
            patient.findings.push_back(std::move(finding));
    }
    if (token_error) {
        const bool needed = std::any_of(patients.begin(), patients.end(), needs_credential);
        report.findings.push_back(
            {"credential-unusable",
             "",
             needed ? Severity::broken : Severity::warning,
             "the credential gives no token: " + around.target.resolution.credential->origin,
             {},
             0,
             edit::mask_text(token_error->what + (token_error->why.empty() ? "" : ": " + token_error->why)),
             token_error->fix.empty() ? "dbx-agents auth status" : token_error->fix});
    } else if (listed && !*listed) {
        // The agents' own probes say it better; without any, this is all there is.
        const auto& error = listed->error();
        const bool restricted = error.problem == databricks::ApiProblem::missing_scope ||
                                error.problem == databricks::ApiProblem::no_permission;
        report.findings.push_back(
            {"models-unknown",
             "",
             probed || restricted ? Severity::info : Severity::warning,
             "the list of models could not be had: the names of the models are not checked",
             {},
             0,
             edit::mask_text(error.error.why),
             error.error.fix.empty() ? "try again" : error.error.fix});
    }
}

} // namespace

Result<Report> diagnose(const std::vector<const agents::Agent*>& agents, Asked asked, Network network,
                        const Surroundings& surroundings) {
    const Scene scene{surroundings};
    Report report;
    std::vector<Patient> patients;
    for (const auto* agent : agents) {
        auto patient = admit(scene, *agent);
        if (!patient) return fail(patient.error());
        if (asked == Asked::all && !is_here(*patient)) {
            report.skipped.push_back(agent->name);
            continue;
        }
        report.looked_at.push_back(agent->name);
        patients.push_back(std::move(*patient));
    }
    for (auto& patient : patients) {
        for (const auto check : common_checks()) check(scene, patient);
        check_locks(scene, patient);
        if (const auto* practice = practice_for(patient.agent->name)) {
            for (const auto check : practice->checks()) check(scene, patient);
            for (const auto check : telemetry_checks()) check(scene, patient);
        }
    }
    for (auto& finding : examine_locks(scene)) report.findings.push_back(std::move(finding));
    check_databrickscfg(scene, report.findings);
    check_credential(scene, patients, report.findings);
    for (auto& finding : examine_spools(scene)) report.findings.push_back(std::move(finding));
    if (network == Network::use) {
        examine_network(scene, patients, report);
        const Deadline deadline(surroundings.pacer, request_limit);
        BoundedClient client(surroundings.http, deadline, request_limit);
        for (auto& finding : examine_running_proxies(scene, client))
            report.findings.push_back(std::move(finding));
    }
    for (auto& patient : patients) {
        const auto is = [](std::string_view id) {
            return [id](const Finding& finding) { return finding.id == id; };
        };
        auto& findings = patient.findings;
        if (std::any_of(findings.begin(), findings.end(), is("proxy-not-running")))
            std::erase_if(findings, is(telemetry_without_proxy));
    }
    for (auto& patient : patients)
        for (auto& finding : patient.findings) report.findings.push_back(std::move(finding));
    return report;
}

} // namespace dbx::doctor
