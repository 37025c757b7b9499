#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/scene.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>

namespace dbx::doctor {

namespace {

TextFile open_user_settings(const Scene& scene, const Patient& patient) {
    const auto home = agents::home_of(*patient.agent, scene.around.environment).value_or(system::Path());
    return scene.open(home / "settings.json", edit::Format::json);
}

// The project's settings in the working directory, the stronger first; never the user's own file.
std::vector<TextFile> open_project_settings(const Scene& scene, const TextFile& user) {
    std::vector<TextFile> result;
    for (const auto* name : {".claude/settings.local.json", ".claude/settings.json"}) {
        const auto path = scene.working_directory() / name;
        if (scene.working_directory().empty() || path == user.path || !scene.is_file(path)) continue;
        result.push_back(scene.open(path, edit::Format::json));
    }
    return result;
}

// The managed settings, strongest first.
std::vector<TextFile> open_managed_settings(const Scene& scene) {
    std::vector<TextFile> result;
    const system::Path folder = "/etc/claude-code/managed-settings.d";
    if (const auto names = scene.around.files.list(folder)) {
        for (auto name = names->rbegin(); name != names->rend(); ++name) {
            if (name->ends_with(".json")) result.push_back(scene.open(folder / *name, edit::Format::json));
        }
    }
    if (auto base = scene.open("/etc/claude-code/managed-settings.json", edit::Format::json); base.exists)
        result.push_back(std::move(base));
    return result;
}

edit::KeyPath env_key(const std::string& name) {
    return {"env", name};
}

std::string remove_key(const Scene& scene, const TextFile& file, const edit::KeyPath& key) {
    return "remove " + edit::to_string(key) + " from " + scene.shown(file.path);
}

// Claude Code ignores the whole file when a key that it knows has a wrong type.
void check_types(const Scene& scene, Patient& patient) {
    const auto file = open_user_settings(scene, patient);
    if (!file.document) return;
    struct Wanted {
        const char* key;
        bool object;
    };
    static constexpr std::array wanted{Wanted{"env", true},           Wanted{"permissions", true},
                                       Wanted{"hooks", true},         Wanted{"statusLine", true},
                                       Wanted{"apiKeyHelper", false}, Wanted{"otelHeadersHelper", false},
                                       Wanted{"model", false}};
    for (const auto& [key, object] : wanted) {
        const auto value = file.value({key});
        if (!value || (object ? value->is_object() : value->is_string())) continue;
        patient.add({"claude-settings-invalid", "", Severity::broken,
                     "Claude Code ignores the whole file " + scene.shown(file.path) + ": " + key +
                         " is not " + (object ? "an object" : "a string"),
                     file.path, file.line({key}), "",
                     "correct " + std::string(key) + " in " + scene.shown(file.path)});
    }
}

void check_shell(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto file = open_user_settings(scene, patient);
    // A value in the file, even an empty one, wins over the shell's.
    const auto leaks = [&](const std::string& name) {
        return scene.env_is_set(name) && !file.has(env_key(name));
    };
    if (leaks("ANTHROPIC_API_KEY")) {
        patient.add({"claude-shell-api-key",
                     "",
                     Severity::warning,
                     "the ANTHROPIC_API_KEY of your shell is sent to the gateway as x-api-key",
                     {},
                     0,
                     "ANTHROPIC_API_KEY in the environment",
                     "unset ANTHROPIC_API_KEY, also in your shell's start-up files"});
    }
    if (leaks("ANTHROPIC_AUTH_TOKEN") && file.has({"apiKeyHelper"})) {
        patient.add({"claude-shell-auth-token",
                     "",
                     Severity::warning,
                     "the ANTHROPIC_AUTH_TOKEN of your shell wins over the helper's token",
                     {},
                     0,
                     "ANTHROPIC_AUTH_TOKEN in the environment",
                     "unset ANTHROPIC_AUTH_TOKEN, also in your shell's start-up files"});
    }
    for (const auto* name :
         {"CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"}) {
        const auto written = file.scalar(env_key(name));
        const auto value = written ? *written : scene.env(name).value_or("");
        if (value.empty() || value == "0" || value == "false") continue;
        patient.add({"claude-other-cloud", "", Severity::broken,
                     std::string("with ") + name + " Claude Code does not talk to the gateway at all",
                     written ? file.path : system::Path(), written ? file.line(env_key(name)) : 0,
                     written ? "" : std::string(name) + " in the environment",
                     written ? remove_key(scene, file, env_key(name))
                             : std::string("unset ") + name + ", also in your shell's start-up files"});
    }
}

void check_file_key(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto file = open_user_settings(scene, patient);
    if (file.scalar(env_key("ANTHROPIC_API_KEY")).value_or("").empty()) return;
    patient.add({"claude-file-api-key", "", Severity::warning,
                 "the ANTHROPIC_API_KEY of your settings is sent to the gateway as x-api-key", file.path,
                 file.line(env_key("ANTHROPIC_API_KEY")), "",
                 remove_key(scene, file, env_key("ANTHROPIC_API_KEY"))});
}

// Claude Code 2.1.330 replaces a model that is not in the list by a built-in one, which the gateway does not
// have.
void check_available_models(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours || patient.connection.models.empty()) return;
    const auto user = open_user_settings(scene, patient);
    std::vector<TextFile> files = open_managed_settings(scene);
    for (auto& file : open_project_settings(scene, user)) files.push_back(std::move(file));
    files.push_back(user);
    const auto& model = patient.connection.models.front().name;
    for (const auto& file : files) {
        const auto list = file.value({"availableModels"});
        if (!list || !list->is_array()) continue;
        if (std::find(list->begin(), list->end(), edit::Value(model)) != list->end()) continue;
        patient.add({"claude-available-models", "", Severity::broken,
                     "availableModels lacks " + model +
                         ": Claude Code takes a model instead that the gateway does not have",
                     file.path, file.line({"availableModels"}), "",
                     "add \"" + model + "\" to availableModels in " + scene.shown(file.path)});
    }
}

// With a stored claude.ai login, Claude Code 2.1.330 sends that login's token to the base URL.
void check_credential(const Scene& scene, Patient& patient) {
    const auto& connection = patient.connection;
    if (connection.base_url.empty() || connection.source != Connection::Source::none) return;
    if (!connection.ours && !databricks::is_loopback(connection.base_url)) return;
    if (!connection.variable("ANTHROPIC_API_KEY").empty() && !connection.ours) return;
    patient.add(
        {"claude-no-credential", "", Severity::broken,
         "Claude Code has a base URL without a token: a stored claude.ai login's token would go to it",
         connection.file, connection.line, "", scene.setup_command(patient)});
}

void check_base_url(const Scene& scene, Patient& patient) {
    const auto& connection = patient.connection;
    if (!connection.ours) return;
    std::string url = connection.base_url;
    while (url.ends_with('/')) url.pop_back();
    std::string why;
    if (url.find('?') != std::string::npos) {
        why = "a query in it breaks the paths";
    } else if (url.ends_with("/v1")) {
        why = "Claude Code adds /v1/messages itself, so that the path has /v1 twice";
    }
    if (why.empty()) return;
    patient.add({"claude-base-url", "", Severity::broken, "Claude Code's base URL does not work",
                 connection.file, connection.line, why, scene.setup_command(patient)});
}

void check_project(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto user = open_user_settings(scene, patient);
    for (const auto& file : open_project_settings(scene, user)) {
        const std::string place = scene.shown(file.path);
        if (!file.problem.empty()) {
            patient.add({"claude-project-invalid", "", Severity::warning,
                         "Claude Code ignores the whole project file " + place, file.path, 0, file.problem,
                         "correct that place in " + place});
            continue;
        }
        const auto environment = file.value({"env"}).value_or(nullptr);
        if (const auto url = file.scalar(env_key("ANTHROPIC_BASE_URL"));
            url && *url != patient.connection.base_url) {
            patient.add(
                {"claude-project-base-url", "", Severity::broken,
                 "in this project your token goes to " + http::shown_url(*url) + " instead of the gateway",
                 file.path, file.line(env_key("ANTHROPIC_BASE_URL")), "",
                 remove_key(scene, file, env_key("ANTHROPIC_BASE_URL"))});
        }
        std::vector<std::string> winners;
        std::vector<std::string> ignored;
        std::size_t first = 0;
        std::size_t first_ignored = 0;
        const auto wins = [&](const edit::KeyPath& key) {
            winners.push_back(edit::to_string(key));
            if (first == 0) first = file.line(key);
        };
        if (environment.is_object()) {
            for (const auto& item : environment.items()) {
                const auto key = env_key(item.key());
                if (item.key().starts_with("OTEL_")) {
                    ignored.push_back(item.key());
                    if (first_ignored == 0) first_ignored = file.line(key);
                } else if (item.key().starts_with("ANTHROPIC_") && item.key() != "ANTHROPIC_BASE_URL" &&
                           user.has(key) && user.value(key) != file.value(key)) {
                    wins(key);
                }
            }
        }
        for (const auto* name : {"ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"}) {
            if (file.has(env_key(name)) && !user.has(env_key(name))) wins(env_key(name));
        }
        if (file.has({"apiKeyHelper"}) && file.value({"apiKeyHelper"}) != user.value({"apiKeyHelper"}))
            wins({"apiKeyHelper"});
        if (!winners.empty()) {
            patient.add({"claude-project-overrides", "", Severity::warning,
                         "the project's settings win over yours: " + join(winners, ", "), file.path, first,
                         "", "remove " + join(winners, ", ") + " from " + place});
        }
        if (!ignored.empty()) {
            patient.add(
                {"claude-project-otel", "", Severity::warning,
                 "Claude Code ignores telemetry variables in a project's settings: " + join(ignored, ", "),
                 file.path, first_ignored, "", "move them to " + scene.shown(user.path)});
        }
    }
}

void check_managed(const Scene& scene, Patient& patient) {
    const auto user = open_user_settings(scene, patient);
    for (const auto& file : open_managed_settings(scene)) {
        const std::string fix = "ask the administrator of this machine to change " + file.path.string();
        if (!file.problem.empty()) {
            patient.add({"claude-managed-invalid", "", Severity::broken,
                         "Claude Code does not start: the managed settings are not valid", file.path, 0,
                         file.problem, fix});
            continue;
        }
        if (!patient.connection.ours) continue;
        Managed managed{file.path, {}, 0, file.scalar(env_key("ANTHROPIC_BASE_URL")).value_or("")};
        const auto look = [&](const edit::KeyPath& key) {
            if (!file.has(key) || file.value(key) == user.value(key)) return;
            managed.keys.push_back(edit::to_string(key));
            if (managed.line == 0) managed.line = file.line(key);
        };
        const auto environment = file.value({"env"}).value_or(nullptr);
        if (environment.is_object()) {
            for (const auto& item : environment.items()) {
                if (item.key().starts_with("ANTHROPIC_") || item.key().starts_with("CLAUDE_CODE_USE_") ||
                    user.has(env_key(item.key())))
                    look(env_key(item.key()));
            }
        }
        look({"apiKeyHelper"});
        look({"model"});
        report_managed(scene, patient, "claude-managed-settings", managed);
    }
}

// Gateways answer 400 "context_management: Extra inputs are not permitted" to the newest beta features.
void check_betas(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto file = open_user_settings(scene, patient);
    const auto key = env_key("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS");
    const auto value = patient.connection.variable(key.back());
    const bool off = !value.empty() && value != "0" && value != "false";
    std::string command = "dbx-agents setup claude";
    if (!patient.auth.empty()) command += " --auth " + patient.auth;
    if (!scene.around.target.gateway) command += " --workspace https://YOUR-WORKSPACE";
    if (off) {
        patient.add({"claude-betas-off", "", Severity::info,
                     "experimental betas are off: safe with every gateway, without context editing, "
                     "token-efficient tool use and "
                     "the cheaper caching that they bring",
                     file.path, file.line(key), "", "to try them: " + command + " --claude-betas on"});
    } else {
        patient.add({"claude-betas-on", "", Severity::info,
                     "experimental betas are on: some gateways answer 400 (\"context_management: Extra "
                     "inputs are not "
                     "permitted\") to them",
                     file.path, file.line(key), "", "if that happens: " + command + " --claude-betas off"});
    }
}

} // namespace

Connection claude_connection(const Scene& scene, const Patient& patient) {
    Connection connection;
    connection.variables = scene.around.environment.all();
    const auto file = open_user_settings(scene, patient);
    // Settings win over the process environment, key by key; an empty string there neutralises the shell's.
    const auto environment = file.value({"env"}).value_or(nullptr);
    if (environment.is_object()) {
        for (const auto& item : environment.items()) {
            if (const auto value = file.scalar(env_key(item.key())))
                connection.variables[item.key()] = *value;
        }
    }
    connection.base_url = connection.variable("ANTHROPIC_BASE_URL");
    if (file.has(env_key("ANTHROPIC_BASE_URL"))) {
        connection.file = file.path;
        connection.line = file.line(env_key("ANTHROPIC_BASE_URL"));
    }
    for (const auto& managed : open_managed_settings(scene)) {
        if (const auto url = managed.scalar(env_key("ANTHROPIC_BASE_URL"));
            url && connection.managed_base_url.empty())
            connection.managed_base_url = *url;
    }
    connection.ours =
        !connection.base_url.empty() && (patient.report.configured || scene.is_gateway(connection.base_url));
    static constexpr std::array<std::pair<const char*, const char*>, 5> models{
        {{"ANTHROPIC_MODEL", "model"},
         {"ANTHROPIC_DEFAULT_OPUS_MODEL", "opus"},
         {"ANTHROPIC_DEFAULT_SONNET_MODEL", "sonnet"},
         {"ANTHROPIC_DEFAULT_HAIKU_MODEL", "haiku"},
         {"ANTHROPIC_DEFAULT_FABLE_MODEL", "fable"}}};
    for (const auto& [name, setting] : models) {
        auto model = connection.variable(name);
        if (model.ends_with("[1m]")) model.resize(model.size() - 4); // Claude Code cuts it off
        if (model.empty()) continue;
        const auto line = file.line(env_key(name));
        connection.models.push_back({model, line ? file.path : system::Path(), line, setting});
    }
    // Authorization: ANTHROPIC_AUTH_TOKEN wins over the helper.
    if (const auto token = connection.variable("ANTHROPIC_AUTH_TOKEN"); !token.empty()) {
        connection.source = Connection::Source::literal;
        connection.token = Secret(token);
        connection.token_origin = "ANTHROPIC_AUTH_TOKEN in " + (file.has(env_key("ANTHROPIC_AUTH_TOKEN"))
                                                                    ? scene.shown(file.path)
                                                                    : std::string("the environment"));
    } else if (const auto helper = file.scalar({"apiKeyHelper"}); helper && !helper->empty()) {
        connection.source = Connection::Source::shell;
        connection.shell = *helper;
        connection.helper_file = file.path;
        connection.helper_line = file.line({"apiKeyHelper"});
    }
    for (const auto& line : split(connection.variable("ANTHROPIC_CUSTOM_HEADERS"), '\n')) {
        const auto colon = line.find(':');
        const auto name = std::string(trim(line.substr(0, colon)));
        if (colon == std::string::npos || name.empty() || iequals(name, "Authorization") ||
            iequals(name, "anthropic-beta"))
            continue;
        connection.headers.emplace_back(name, std::string(trim(line.substr(colon + 1))));
    }
    return connection;
}

const std::vector<Check>& claude_checks() {
    static const std::vector<Check> checks{
        check_types,    check_managed, check_base_url,         check_credential, check_shell,
        check_file_key, check_project, check_available_models, check_betas};
    return checks;
}

} // namespace dbx::doctor
