#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/scene.hpp"
#include "core/http/url.hpp"
#include "core/state/running_proxies.hpp"

#include <algorithm>
#include <array>

namespace dbx::doctor {

namespace {

constexpr std::string_view otlp_route = "/api/2.0/otel";

// An agent's telemetry, when it leads to a workspace's tables or to the local proxy.
struct Export {
    std::string endpoint; // empty: none of ours
    system::Path file;    // where it stands
    std::size_t line = 0;

    bool ours() const { return !endpoint.empty(); }
    bool relayed() const { return ours() && databricks::is_loopback(endpoint); }
};

// The agent's own files: of its settings (Claude Code, Gemini CLI, Codex), and its .env.
struct Files {
    TextFile settings;
    TextFile env;
};

Files open_files(const Scene& scene, const Patient& patient) {
    const auto home = agents::home_of(*patient.agent, scene.around.environment).value_or(system::Path());
    Files files;
    if (patient.agent->name == "codex") {
        files.settings = scene.open(home / "config.toml", edit::Format::toml);
    } else {
        files.settings =
            scene.open(home / "settings.json",
                       patient.agent->name == "gemini" ? edit::Format::jsonc : edit::Format::json);
    }
    if (patient.agent->name != "claude") files.env = scene.open(home / ".env", edit::Format::dotenv);
    return files;
}

Export export_of(const Patient& patient, const Files& files) {
    std::vector<edit::KeyPath> keys;
    if (patient.agent->name == "claude") {
        for (const auto* signal : {"METRICS", "LOGS", "TRACES"})
            keys.push_back({"env", std::string("OTEL_EXPORTER_OTLP_") + signal + "_ENDPOINT"});
    } else if (patient.agent->name == "codex") {
        for (const auto* name : {"exporter", "metrics_exporter", "trace_exporter"})
            keys.push_back({"otel", name, "otlp-http", "endpoint"});
    } else if (patient.agent->name == "gemini") {
        keys.push_back({"telemetry", "otlpEndpoint"});
    }
    for (const auto& key : keys) {
        const auto value = files.settings.scalar(key);
        if (value && value->find(otlp_route) != std::string::npos)
            return {*value, files.settings.path, files.settings.line(key)};
    }
    return {};
}

// Whether a list of headers (name=value,name=value) has one that decides about the tables.
bool decides(std::string_view headers) {
    const auto entries = split(headers, ',');
    return std::any_of(entries.begin(), entries.end(), [](const std::string& entry) {
        const auto name = trim(std::string_view(entry).substr(0, entry.find('=')));
        return iequals(name, "Authorization") || iequals(name, "X-Databricks-UC-Table-Name");
    });
}

bool has_authorization(std::string_view headers) {
    const auto entries = split(headers, ',');
    return std::any_of(entries.begin(), entries.end(), [](const std::string& entry) {
        return iequals(trim(std::string_view(entry).substr(0, entry.find('='))), "Authorization");
    });
}

// A variable that is wrong, in a file of the agent's or in the shell: with the way to be rid of it.
Finding variable_finding(const Scene& scene, std::string id, const std::string& what,
                         const std::string& variable, const TextFile& file, const edit::KeyPath& key) {
    const bool in_file = file.has(key);
    return {std::move(id),
            "",
            Severity::warning,
            what,
            in_file ? file.path : system::Path(),
            in_file ? file.line(key) : 0,
            in_file ? "" : variable + " in the environment",
            in_file ? "remove " + edit::to_string(key) + " from " + scene.shown(file.path)
                    : "unset " + variable + ", also in your shell's start-up files"};
}

// --- Claude Code: its settings win over the shell

void check_claude(const Scene& scene, Patient& patient, const Files& files) {
    const auto& connection = patient.connection;
    const auto per_signal = connection.variable("OTEL_EXPORTER_OTLP_METRICS_HEADERS") + "," +
                            connection.variable("OTEL_EXPORTER_OTLP_LOGS_HEADERS");
    const std::string generic = "OTEL_EXPORTER_OTLP_HEADERS";
    const auto helper = files.settings.scalar({"otelHeadersHelper"}).value_or("");
    const auto headers = connection.variable(generic);
    // Measured: helper over generic over the signal's own.
    const bool token_elsewhere = !helper.empty() || !has_authorization(per_signal);
    const bool wins = token_elsewhere ? icontains(headers, "x-databricks-uc-table-name") : decides(headers);
    if (wins) {
        patient.add(variable_finding(scene, "claude-otel-headers",
                                     "the headers in " + generic + " win over those for the telemetry tables",
                                     generic, files.settings, {"env", generic}));
    }
    if (helper.empty() && !has_authorization(per_signal) && !has_authorization(headers)) {
        patient.add(
            {"claude-otel-no-token", "", Severity::warning,
             "Claude Code's telemetry carries no token, so the workspace refuses it, and nobody says so",
             files.settings.path, files.settings.line({"env", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"}), "",
             "export " + generic +
                 ", its value being the word Authorization, an equals sign, and Bearer with the token"});
    }
    const std::string temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    if (iequals(connection.variable(temporality), "cumulative")) {
        patient.add(
            variable_finding(scene, "claude-otel-temporality",
                             "Claude Code's counters are cumulative: a SUM over the table counts them "
                             "again with each export",
                             temporality, files.settings, {"env", temporality}));
    }
}

// --- Codex: its .env wins over the shell, and both over the headers in config.toml

void check_codex(const Scene& scene, Patient& patient, const Files& files) {
    const auto& connection = patient.connection;
    const auto add = [&](const char* id, const std::string& what, const std::string& variable) {
        patient.add(variable_finding(scene, id, what, variable, files.env, {variable}));
    };
    for (const std::string signal : {"", "METRICS_", "LOGS_", "TRACES_"}) {
        const std::string begin = "OTEL_EXPORTER_OTLP_" + signal;
        const auto compression = connection.variable(begin + "COMPRESSION");
        if (!compression.empty() && !iequals(compression, "none"))
            add("codex-otel-compression",
                "with " + begin + "COMPRESSION Codex makes no exporter at all, and exports nothing",
                begin + "COMPRESSION");
        if (iequals(connection.variable(begin + "PROTOCOL"), "grpc"))
            add("codex-otel-protocol", "with " + begin + "PROTOCOL=grpc Codex does not reach the tables",
                begin + "PROTOCOL");
        if (decides(connection.variable(begin + "HEADERS")))
            add("codex-otel-headers", begin + "HEADERS wins over the telemetry's headers in config.toml",
                begin + "HEADERS");
    }
}

// --- Gemini CLI: the shell wins over its .env, and both over settings.json

void check_gemini(const Scene& scene, Patient& patient, const Files& files) {
    const auto& connection = patient.connection;
    static constexpr std::array<std::pair<const char*, const char*>, 8> settings{
        {{"GEMINI_TELEMETRY_ENABLED", "enabled"},
         {"GEMINI_TELEMETRY_TARGET", "target"},
         {"GEMINI_TELEMETRY_OTLP_ENDPOINT", "otlpEndpoint"},
         {"GEMINI_TELEMETRY_OTLP_PROTOCOL", "otlpProtocol"},
         {"GEMINI_TELEMETRY_LOG_PROMPTS", "logPrompts"},
         {"GEMINI_TELEMETRY_OUTFILE", "outfile"},
         {"GEMINI_TELEMETRY_USE_COLLECTOR", "useCollector"},
         {"GEMINI_TELEMETRY_TRACES_ENABLED", "traces"}}};
    std::vector<std::string> in_shell;
    std::vector<std::string> in_file;
    for (const auto& [variable, key] : settings) {
        const auto value = connection.variable(variable);
        if (value.empty() || value == files.settings.scalar({"telemetry", key}).value_or("")) continue;
        (scene.env(variable) ? in_shell : in_file).emplace_back(variable);
    }
    const auto says = [](const std::vector<std::string>& names) {
        return join(names, ", ") + (names.size() == 1 ? " wins" : " win") +
               " over Gemini CLI's telemetry settings";
    };
    if (!in_shell.empty()) {
        patient.add({"gemini-telemetry-variables",
                     "",
                     Severity::warning,
                     says(in_shell),
                     {},
                     0,
                     join(in_shell, ", ") + " in the environment",
                     "unset " + join(in_shell, " ") + ", also in your shell's start-up files"});
    }
    if (!in_file.empty()) {
        patient.add({"gemini-telemetry-variables", "", Severity::warning, says(in_file), files.env.path,
                     files.env.line({in_file.front()}), "",
                     "remove " + join(in_file, ", ") + " from " + scene.shown(files.env.path)});
    }

    const std::string generic = "OTEL_EXPORTER_OTLP_HEADERS";
    const auto written = files.env.scalar({generic}).value_or("");
    for (const std::string variable :
         {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
          "OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}) {
        const auto value = connection.variable(variable);
        if (value.empty() || value == written || (variable != generic && !has_authorization(value))) continue;
        const bool exported = scene.env(variable).has_value();
        patient.add(variable_finding(scene, "gemini-otel-headers",
                                     variable +
                                         " takes the place of the local proxy's key, which then refuses "
                                         "the telemetry",
                                     variable, exported ? TextFile() : files.env, {variable}));
        break;
    }

    const std::string temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    if (const auto value = connection.variable(temporality); !iequals(value, "delta")) {
        const std::string what =
            "Gemini CLI's counters are cumulative: a SUM over the table counts them again "
            "with each export";
        if (scene.env(temporality)) {
            patient.add(
                variable_finding(scene, "gemini-otel-temporality", what, temporality, TextFile(), {}));
        } else {
            patient.add({"gemini-otel-temporality", "", Severity::warning, what, files.env.path,
                         files.env.line({temporality}), "", scene.setup_command(patient)});
        }
    }
}

// --- the local proxy, whoever sends to it

void check_relay(const Scene& scene, Patient& patient, const Export& data) {
    if (!data.relayed()) return;
    const auto url = http::parse_url(data.endpoint);
    if (!url) return;
    const auto running =
        state::running_proxies(scene.around.environment, scene.around.files, static_cast<int>(url->port));
    if (running && running->empty()) {
        patient.add({std::string(telemetry_without_proxy), "", Severity::warning,
                     "the telemetry goes to the local proxy, and none is running on port " +
                         std::to_string(url->port),
                     data.file, data.line, "",
                     "start it and keep it running: dbx-agents proxy --port " + std::to_string(url->port)});
    }
    if (!scene.around.settings.find("otel.tables")) {
        patient.add({"otel-tables-unknown", "", Severity::warning,
                     "the local proxy does not know the tables that the telemetry is for", data.file,
                     data.line, "there is no setting otel.tables",
                     scene.setup_command(patient) + " --otel CATALOG.SCHEMA.PREFIX"});
    }
}

void check_telemetry(const Scene& scene, Patient& patient) {
    const auto files = open_files(scene, patient);
    const auto data = export_of(patient, files);
    if (!data.ours()) return;
    if (patient.agent->name == "claude") check_claude(scene, patient, files);
    if (patient.agent->name == "codex") check_codex(scene, patient, files);
    if (patient.agent->name == "gemini") check_gemini(scene, patient, files);
    check_relay(scene, patient, data);
}

} // namespace

const std::vector<Check>& telemetry_checks() {
    static const std::vector<Check> checks{check_telemetry};
    return checks;
}

} // namespace dbx::doctor
