#include "core/base/strings.hpp"
#include "core/doctor/scene.hpp"

#include <algorithm>
#include <array>

namespace dbx::doctor {

namespace {

// The stronger of the two files of everybody's on the machine.
constexpr const char* managed_config = "/etc/codex/managed_config.toml";

struct Codex {
    system::Path home;
    TextFile config;
    TextFile env;
    std::string provider; // model_provider; empty: none

    edit::KeyPath key(const std::string& name) const { return {"model_providers", provider, name}; }
    std::string env_key() const { return config.scalar(key("env_key")).value_or(""); }
    bool has_command() const { return config.has(key("auth")); }
};

Codex open_codex(const Scene& scene, const Patient& patient) {
    Codex codex;
    codex.home = agents::home_of(*patient.agent, scene.around.environment).value_or(system::Path());
    codex.config = scene.open(codex.home / "config.toml", edit::Format::toml);
    codex.env = scene.open(codex.home / ".env", edit::Format::dotenv);
    codex.provider = codex.config.scalar({"model_provider"}).value_or("");
    return codex;
}

// Codex 0.134 and later do not start with a top-level `profile`; earlier ones use that profile's provider
// instead.
void check_profile(const Scene& scene, Patient& patient) {
    const auto codex = open_codex(scene, patient);
    if (!codex.config.has({"profile"})) return;
    const auto line = codex.config.line({"profile"});
    const bool old = agents::is_below(patient.report.installed, "0.134.0");
    patient.add(
        {"codex-profile", "", old ? Severity::warning : Severity::broken,
         old ? "this Codex uses the profile named at the top of its configuration instead of the gateway"
             : "Codex 0.134 and later do not start with a top-level `profile`",
         codex.config.path, line, "profile = …",
         patient.connection.ours
             ? scene.setup_command(patient)
             : "remove line " + std::to_string(line) + " of " + scene.shown(codex.config.path)});
}

void check_home(const Scene& scene, Patient& patient) {
    const auto variable = scene.env("CODEX_HOME");
    if (!variable || variable->empty()) return;
    const auto home = agents::home_of(*patient.agent, scene.around.environment);
    if (!home) return;
    const auto status = scene.around.files.status(*home);
    if (status && status->kind == system::FileKind::directory) return;
    patient.add({"codex-home-missing", "", Severity::broken,
                 "Codex does not start: CODEX_HOME names a folder that is not there", *home, 0, "",
                 "mkdir -p " + shell_quote(home->string())});
}

void check_provider(const Scene& scene, Patient& patient) {
    const auto codex = open_codex(scene, patient);
    if (!codex.config.document) return;
    // Fatal whichever provider is in use.
    for (const auto* reserved : {"openai", "ollama", "lmstudio"}) {
        if (!codex.config.has({"model_providers", reserved})) continue;
        patient.add(
            {"codex-provider-reserved", "", Severity::broken,
             std::string("Codex does not start: the provider name ") + reserved +
                 " is its own and cannot be defined",
             codex.config.path, codex.config.line({"model_providers", reserved}), "",
             std::string("rename [model_providers.") + reserved + "] in " + scene.shown(codex.config.path)});
    }
    if (codex.provider.empty()) return;
    const bool built_in = codex.provider == "openai" || codex.provider == "ollama" ||
                          codex.provider == "lmstudio" || codex.provider == "oss" ||
                          codex.provider.starts_with("amazon-bedrock");
    if (!codex.config.has({"model_providers", codex.provider})) {
        if (built_in) return;
        patient.add(
            {"codex-provider-unknown", "", Severity::broken,
             "Codex does not start: model_provider names \"" + codex.provider + "\", which is not defined",
             codex.config.path, codex.config.line({"model_provider"}), "", scene.setup_command(patient)});
        return;
    }
    if (!patient.connection.ours) return;
    const auto wire = codex.config.scalar(codex.key("wire_api"));
    if (wire && *wire != "responses") {
        patient.add({"codex-wire-api", "", Severity::broken,
                     "Codex 0.169 does not start with wire_api = \"" + *wire +
                         "\"; the gateway's route speaks \"responses\"",
                     codex.config.path, codex.config.line(codex.key("wire_api")), "",
                     scene.setup_command(patient)});
    } else if (!wire && agents::is_below(patient.report.installed, "0.100.0")) {
        patient.add({"codex-wire-api", "", Severity::broken,
                     "without wire_api this Codex calls /chat/completions, which the route does not have",
                     codex.config.path, codex.config.line({"model_providers", codex.provider}), "",
                     scene.setup_command(patient)});
    }
    if (trim(codex.config.scalar(codex.key("name")).value_or("")).empty()) {
        patient.add({"codex-provider-name", "", Severity::broken,
                     "Codex does not start: the provider \"" + codex.provider + "\" has no name",
                     codex.config.path, codex.config.line({"model_providers", codex.provider}), "",
                     scene.setup_command(patient)});
    }
    if (codex.has_command()) {
        for (const auto* other : {"env_key", "experimental_bearer_token", "requires_openai_auth"}) {
            const auto value = codex.config.scalar(codex.key(other));
            if (!value || *value == "false") continue;
            patient.add(
                {"codex-auth-conflict", "", Severity::broken,
                 std::string("Codex does not start: `auth` and `") + other + "` cannot stand together",
                 codex.config.path, codex.config.line(codex.key(other)), "",
                 "dbx-agents setup codex --auth helper"});
            break;
        }
    }
}

// Up to 0.100 `auth` is ignored without a word: no Authorization is sent at all.
void check_version(const Scene& scene, Patient& patient) {
    const auto codex = open_codex(scene, patient);
    if (!codex.has_command()) return;
    for (const auto& requirement : patient.agent->requirements) {
        if (requirement.auth != "helper" || !agents::is_below(patient.report.installed, requirement.version))
            continue;
        patient.add({"codex-too-old", "", Severity::broken,
                     "Codex " + patient.report.installed.version.value_or("") +
                         " ignores auth.command and sends no token; it needs " + requirement.version,
                     codex.config.path, codex.config.line(codex.key("auth")), "",
                     "npm install -g " + patient.agent->npm_package + "@latest"});
    }
}

// $CODEX_HOME/.env is loaded over the environment by every version from 0.80 to 0.169.
void check_env(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto codex = open_codex(scene, patient);
    const auto name = codex.env_key();
    if (name.empty() || codex.has_command()) return;
    const auto exported = scene.env(name);
    const auto written = codex.env.scalar({name});
    if (written && exported && !exported->empty() && *written != *exported) {
        patient.add(
            {"codex-env-overrides", "", Severity::warning,
             name + " in " + scene.shown(codex.env.path) + " wins over the one you exported", codex.env.path,
             codex.env.line({name}), "the two differ",
             "remove line " + std::to_string(codex.env.line({name})) + " of " + scene.shown(codex.env.path)});
    }
    if (trim(written.value_or(exported.value_or(""))).empty()) {
        patient.add({"codex-env-missing", "", Severity::broken,
                     "Codex wants its token in " + name + ", which is not set", codex.config.path,
                     codex.config.line(codex.key("env_key")), "",
                     "export " + name + "=\"$(dbx-agents auth token)\""});
    }
}

// A number, or JSON with a member "pid".
std::string pid_in(const std::string& text) {
    std::string_view rest = text;
    if (const auto at = rest.find("\"pid\""); at != std::string_view::npos) rest = rest.substr(at + 5);
    const auto begin = rest.find_first_of("0123456789");
    if (begin == std::string_view::npos) return {};
    const auto end = rest.find_first_not_of("0123456789", begin);
    const auto digits = rest.substr(begin, end == std::string_view::npos ? end : end - begin);
    return digits.size() > 10 ? std::string() : std::string(digits);
}

std::optional<std::string> variable_of(std::string_view environ, const std::string& name) {
    for (const auto& entry : split(environ, '\0')) {
        if (entry.starts_with(name + "=")) return entry.substr(name.size() + 1);
    }
    return std::nullopt;
}

// From 0.158 on the interactive Codex talks to a daemon that keeps the environment of its first start.
void check_daemon(const Scene& scene, Patient& patient) {
    const auto codex = open_codex(scene, patient);
    const auto name = codex.env_key();
    if (name.empty() || codex.has_command() || !patient.connection.ours) return;
    const auto pid_file = codex.home / "app-server-daemon" / "daemon.pid";
    if (!scene.is_file(pid_file)) return;
    constexpr std::uint64_t small = 64 * 1024;
    constexpr std::uint64_t environ_limit = 8 * 1024 * 1024;
    const auto text = scene.around.files.read(pid_file, small);
    const auto pid = text ? pid_in(*text) : std::string();
    if (pid.empty()) return;
    const auto process = system::Path("/proc") / pid;
    // The number may belong to another program by now.
    const auto command_line = scene.around.files.read(process / "cmdline", environ_limit);
    if (!command_line || !icontains(*command_line, "codex")) return;
    const auto environ = scene.around.files.read(process / "environ", environ_limit);
    if (!environ) return;
    const auto written = codex.env.scalar({name});
    const auto now = written ? written : scene.env(name);
    const auto its = variable_of(*environ, name);
    // The daemon reads .env itself when it starts: what is missing in its first environment may have come
    // from there.
    const bool differs = its ? now && *its != *now : !written && now && !now->empty();
    if (!differs) return;
    patient.add({"codex-daemon", "", Severity::broken,
                 "a Codex daemon runs with another " + name +
                     " than Codex would have now; interactive sessions use it",
                 pid_file, 0, "process " + pid, "codex app-server daemon restart"});
}

bool is_within(const system::Path& path, const system::Path& folder) {
    const auto mismatch = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    return mismatch.first == folder.end();
}

void check_project(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto codex = open_codex(scene, patient);
    const auto ours = codex.config.scalar({"model"}).value_or("");
    const auto projects = codex.config.value({"projects"}).value_or(nullptr);
    for (const auto& folder : scene.folders_upwards()) {
        const auto path = folder / ".codex" / "config.toml";
        if (path == codex.config.path || !scene.is_file(path)) continue;
        const auto file = scene.open(path, edit::Format::toml);
        const auto model = file.scalar({"model"});
        if (!model || *model == ours) continue;
        bool trusted = false;
        if (projects.is_object()) {
            for (const auto& item : projects.items()) {
                if (item.value().is_object() &&
                    item.value().value("trust_level", edit::Value()) == "trusted" &&
                    is_within(folder, system::Path(item.key()).lexically_normal()))
                    trusted = true;
            }
        }
        patient.add({"codex-project-model", "", trusted ? Severity::warning : Severity::info,
                     std::string("the project's configuration asks for another model") +
                         (trusted ? "" : ", once Codex trusts the project"),
                     path, file.line({"model"}), "model = \"" + *model + "\"",
                     "remove line " + std::to_string(file.line({"model"})) + " of " + scene.shown(path)});
        return; // the nearest one
    }
}

// Codex merges the two files' exporters, and one that is of two kinds then is none (measured on 0.169).
void check_managed_exporters(const TextFile& managed, const Codex& codex, Patient& patient) {
    for (const auto* name : {"exporter", "metrics_exporter", "trace_exporter"}) {
        const edit::KeyPath key{"otel", name};
        const auto theirs = managed.value(key), own = codex.config.value(key);
        if (!theirs || !own || !theirs->is_object() || !own->is_object()) continue;
        for (const auto& kind : own->items()) {
            if (theirs->contains(kind.key())) continue;
            auto inside = key;
            inside.push_back(kind.key());
            patient.add({"codex-managed-exporter", "", Severity::broken,
                         "Codex does not start: " + edit::to_string(key) + " is of another kind than in " +
                             managed.path.string(),
                         codex.config.path, codex.config.line(inside), "",
                         "remove " + edit::to_string(inside) + ": the managed one wins"});
            return;
        }
    }
}

void check_managed(const Scene& scene, Patient& patient) {
    const auto codex = open_codex(scene, patient);
    const auto file = scene.open(managed_config, edit::Format::toml);
    if (!file.exists) return;
    check_managed_exporters(file, codex, patient);
    if (!patient.connection.ours) return;
    const std::string fix = "ask the administrator of this machine to change " + file.path.string();
    if (!file.problem.empty()) {
        patient.add({"codex-managed-config", "", Severity::broken,
                     "the managed configuration of Codex cannot be read", file.path, 0, file.problem, fix});
        return;
    }
    std::vector<edit::KeyPath> keys{{"model"}, {"model_provider"}, {"profile"}};
    if (!codex.provider.empty()) keys.push_back(codex.key("base_url"));
    Managed managed{file.path, {}, 0, {}};
    for (const auto& key : keys) {
        const auto value = file.scalar(key);
        if (!value || codex.config.scalar(key) == value) continue;
        managed.keys.push_back(edit::to_string(key));
        if (managed.line == 0) managed.line = file.line(key);
    }
    managed.base_url = patient.connection.managed_base_url;
    report_managed(scene, patient, "codex-managed-config", managed);
}

void check_credential(const Scene& scene, Patient& patient) {
    const auto& connection = patient.connection;
    if (!connection.ours || connection.source != Connection::Source::none) return;
    const auto codex = open_codex(scene, patient);
    if (!codex.env_key().empty()) return; // codex-env-missing
    patient.add({"codex-no-credential", "", Severity::broken, "Codex has no token for the gateway",
                 connection.file, connection.line, "", scene.setup_command(patient)});
}

} // namespace

Connection codex_connection(const Scene& scene, const Patient& patient) {
    const auto codex = open_codex(scene, patient);
    Connection connection;
    connection.variables = scene.around.environment.all();
    if (codex.env.document) {
        const auto values = codex.env.document->value();
        for (const auto& item : values.items()) {
            if (item.value().is_string() && !item.key().starts_with("CODEX_"))
                connection.variables[item.key()] = item.value().get<std::string>();
        }
    }
    const auto managed = scene.open(managed_config, edit::Format::toml);
    const auto provider = managed.scalar({"model_provider"}).value_or(codex.provider);
    connection.managed_base_url = managed.scalar({"model_providers", provider, "base_url"}).value_or("");
    if (codex.provider.empty()) return connection;
    connection.base_url = codex.config.scalar(codex.key("base_url")).value_or("");
    connection.file = codex.config.path;
    connection.line = codex.config.line(codex.key("base_url"));
    connection.ours =
        !connection.base_url.empty() && (patient.report.configured || scene.is_gateway(connection.base_url));
    if (const auto model = codex.config.scalar({"model"}))
        connection.models.push_back({*model, codex.config.path, codex.config.line({"model"}), "model"});

    // The order in which Codex looks for a credential.
    if (codex.has_command()) {
        auto key = codex.key("auth");
        connection.source = Connection::Source::command;
        connection.helper_file = codex.config.path;
        key.emplace_back("command");
        connection.helper_line = codex.config.line(key);
        connection.command.push_back(codex.config.scalar(key).value_or(""));
        key.back() = "args";
        if (const auto arguments = codex.config.value(key); arguments && arguments->is_array()) {
            for (const auto& argument : *arguments)
                if (argument.is_string()) connection.command.push_back(argument.get<std::string>());
        }
        key.back() = "timeout_ms";
        const auto timeout = codex.config.value(key);
        connection.helper_timeout =
            std::chrono::milliseconds(timeout && timeout->is_number_integer()
                                          ? std::clamp<std::int64_t>(timeout->get<std::int64_t>(), 1, 10'000)
                                          : 5'000);
    } else if (const auto name = codex.env_key(); !name.empty()) {
        if (const auto value = connection.variable(name); !trim(value).empty()) {
            connection.source = Connection::Source::literal;
            connection.token = Secret(value);
            connection.token_origin =
                name + " in " +
                (codex.env.has({name}) ? scene.shown(codex.env.path) : std::string("the environment"));
        }
    } else if (const auto bearer = codex.config.scalar(codex.key("experimental_bearer_token"))) {
        connection.source = Connection::Source::literal;
        connection.token = Secret(*bearer);
        connection.token_origin = "experimental_bearer_token in " + scene.shown(codex.config.path);
    }
    if (const auto headers = codex.config.value(codex.key("http_headers")); headers && headers->is_object()) {
        for (const auto& item : headers->items()) {
            if (!item.value().is_string()) continue;
            const auto value = item.value().get<std::string>();
            if (!iequals(item.key(), "Authorization")) {
                connection.headers.emplace_back(item.key(), value);
                if (connection.source == Connection::Source::none && looks_like_token(value))
                    connection.source = Connection::Source::literal;
            } else if (connection.source == Connection::Source::none) {
                connection.source = Connection::Source::literal;
                connection.token = Secret(value.starts_with("Bearer ") ? value.substr(7) : value);
                connection.token_origin = "http_headers in " + scene.shown(codex.config.path);
            }
        }
        // A local proxy's key may travel in any header.
        if (connection.source == Connection::Source::none && !connection.headers.empty() &&
            patient.auth == "proxy")
            connection.source = Connection::Source::literal;
    }
    return connection;
}

const std::vector<Check>& codex_checks() {
    static const std::vector<Check> checks{check_home,    check_profile, check_provider,
                                           check_version, check_env,     check_daemon,
                                           check_project, check_managed, check_credential};
    return checks;
}

} // namespace dbx::doctor
