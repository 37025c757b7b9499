#include "core/base/strings.hpp"
#include "core/doctor/scene.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::doctor {

namespace {

struct Gemini {
    system::Path home; // ~/.gemini
    TextFile env;
    TextFile settings;
};

Gemini open_gemini(const Scene& scene, const Patient& patient) {
    Gemini gemini;
    gemini.home = agents::home_of(*patient.agent, scene.around.environment).value_or(system::Path());
    gemini.env = scene.open(gemini.home / ".env", edit::Format::dotenv);
    gemini.settings = scene.open(gemini.home / "settings.json", edit::Format::jsonc);
    return gemini;
}

TextFile open_system_settings(const Scene& scene) {
    return scene.open("/etc/gemini-cli/settings.json", edit::Format::jsonc);
}

const edit::KeyPath selected{"security", "auth", "selectedType"};
const edit::KeyPath enforced{"security", "auth", "enforcedType"};

// With a base URL and no type 0.44 and later take it for "gateway", which they then refuse with exit 41;
// there is no variable for it.
void check_selected_type(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto gemini = open_gemini(scene, patient);
    if (!gemini.settings.problem.empty()) return;
    const auto system = open_system_settings(scene);
    const auto& decides = system.has(selected) ? system : gemini.settings;
    const auto value = decides.scalar(selected);
    if (value == "gemini-api-key") return;
    patient.add({"gemini-selected-type", "", Severity::broken,
                 value ? "Gemini CLI signs in as \"" + *value + "\", not with the gateway's token"
                       : "Gemini CLI does not know how to sign in: security.auth.selectedType is missing",
                 decides.path, decides.line(selected), "",
                 &decides == &system
                     ? "ask the administrator of this machine to change " + system.path.string()
                     : scene.setup_command(patient)});
}

void check_enforced_type(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto gemini = open_gemini(scene, patient);
    std::vector<TextFile> files{open_system_settings(scene), gemini.settings};
    const auto project = scene.working_directory() / ".gemini" / "settings.json";
    if (project != gemini.settings.path && scene.is_file(project))
        files.push_back(scene.open(project, edit::Format::jsonc));
    for (const auto& file : files) {
        const auto value = file.scalar(enforced);
        if (!value || *value == "gemini-api-key") continue;
        const bool system = file.path.string().starts_with("/etc/");
        patient.add({"gemini-enforced-type", "", Severity::broken,
                     "Gemini CLI refuses to start (exit 41): enforcedType \"" + *value +
                         "\" forbids the gateway's token",
                     file.path, file.line(enforced), "",
                     system ? "ask the administrator of this machine to change " + file.path.string()
                            : "remove security.auth.enforcedType from " + scene.shown(file.path)});
    }
}

bool is_within(const system::Path& path, const system::Path& folder) {
    const auto mismatch = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    return mismatch.first == folder.end();
}

system::Path tidy(const system::Path& path) {
    auto result = path.lexically_normal();
    return result.has_filename() || !result.has_relative_path() ? result : result.parent_path();
}

// In a folder that is not trusted ~/.gemini/.env is not read at all; trust is on by default in 0.43 to 0.61.
void check_trust(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours || patient.connection.file.empty()) return;
    const auto gemini = open_gemini(scene, patient);
    const edit::KeyPath switch_key{"security", "folderTrust", "enabled"};
    const auto system = open_system_settings(scene);
    if ((system.has(switch_key) ? system : gemini.settings).scalar(switch_key) == "false") return;
    if (to_lower(scene.env("GEMINI_CLI_TRUST_WORKSPACE").value_or("")) == "true") return;
    const auto folder = tidy(scene.working_directory());
    if (folder.empty()) return;
    const auto list = scene.open(gemini.home / "trustedFolders.json", edit::Format::jsonc);
    const auto entries = list.document ? list.document->value() : edit::Value();
    std::string verdict;
    std::size_t longest = 0;
    std::string key;
    if (entries.is_object()) {
        for (const auto& item : entries.items()) {
            if (!item.value().is_string()) continue;
            const auto value = item.value().get<std::string>();
            auto root = tidy(item.key());
            if (value == "TRUST_PARENT") root = root.parent_path();
            if (!is_within(folder, root)) continue;
            const auto length = root.string().size();
            if (!verdict.empty() && length < longest) continue;
            verdict = value;
            longest = length;
            key = item.key();
        }
    }
    if (verdict == "TRUST_FOLDER" || verdict == "TRUST_PARENT") return;
    const bool refused = verdict == "DO_NOT_TRUST";
    patient.add({"gemini-untrusted-folder", "", Severity::warning,
                 "Gemini CLI does not trust this folder and so does not read " +
                     scene.shown(gemini.env.path) + " in it",
                 refused ? list.path : folder, refused ? list.line({key}) : 0,
                 refused ? "you chose not to trust it" : "no entry in trustedFolders.json covers it",
                 refused ? "remove that line, start gemini here and trust the folder"
                         : "start gemini here and trust the folder when it asks"});
}

// Only the first .env file found upwards from the working directory is loaded.
void check_hidden(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto gemini = open_gemini(scene, patient);
    if (!gemini.env.exists) return;
    const auto home = system::home_directory(scene.around.environment).value_or(system::Path());
    const bool ignores = gemini.settings.scalar({"advanced", "ignoreLocalEnv"}) == "true";
    for (const auto& folder : scene.folders_upwards()) {
        const auto project = folder / ".gemini" / ".env";
        if (project == gemini.env.path) return; // ours is the first
        if (scene.is_file(project)) {
            patient.add({"gemini-env-hidden", "", Severity::broken,
                         scene.shown(project) + " hides " + scene.shown(gemini.env.path) + " as a whole",
                         project, 0, "Gemini CLI loads only the first .env file it finds",
                         "remove " + scene.shown(project)});
            return;
        }
        const auto plain = folder / ".env";
        if (ignores && folder != home) continue;
        if (scene.is_file(plain)) {
            patient.add({"gemini-env-hidden", "", Severity::broken,
                         scene.shown(plain) + " hides " + scene.shown(gemini.env.path) + " as a whole", plain,
                         0, "Gemini CLI loads only the first .env file it finds",
                         folder == home
                             ? "move its lines to " + scene.shown(gemini.env.path) + " and remove it"
                             : scene.setup_command(patient)});
            return;
        }
    }
}

void check_variables(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto gemini = open_gemini(scene, patient);
    // Exported but empty counts as set: the model is then "auto", which asks for Google's models.
    for (const auto* name :
         {"GEMINI_MODEL", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", "GEMINI_API_KEY_AUTH_MECHANISM"}) {
        const auto exported = scene.env(name);
        if (!exported) continue;
        const auto written = gemini.env.scalar({name});
        if (written && *written == *exported) continue;
        const std::string variable = name;
        if (exported->empty()) {
            patient.add({variable == "GEMINI_MODEL" ? "gemini-model-empty" : "gemini-variable-empty",
                         "",
                         Severity::broken,
                         variable + " is exported with an empty value, which hides the one in " +
                             scene.shown(gemini.env.path),
                         {},
                         0,
                         variable + "=\"\" in the environment",
                         "unset " + variable + ", also in your shell's start-up files"});
        } else if (written) {
            patient.add({"gemini-shell-wins", "", Severity::warning,
                         "the exported " + variable + " wins over the one in " + scene.shown(gemini.env.path),
                         gemini.env.path, gemini.env.line({variable}), variable + " in the environment",
                         "unset " + variable + ", also in your shell's start-up files"});
        }
    }
    const auto mechanism = patient.connection.variable("GEMINI_API_KEY_AUTH_MECHANISM");
    if (mechanism != "bearer") {
        patient.add(
            {"gemini-auth-mechanism", "", Severity::broken,
             "Gemini CLI sends no Authorization header: GEMINI_API_KEY_AUTH_MECHANISM is not \"bearer\"",
             gemini.env.path, gemini.env.line({"GEMINI_API_KEY_AUTH_MECHANISM"}), "",
             scene.setup_command(patient)});
    }
    if (patient.connection.source == Connection::Source::none && scene.env("GEMINI_API_KEY") != "") {
        patient.add({"gemini-no-credential", "", Severity::broken,
                     "Gemini CLI has no token: GEMINI_API_KEY is not set", gemini.env.path, 0, "",
                     patient.auth == "env" ? "export GEMINI_API_KEY=\"$(dbx-agents auth token)\""
                                           : scene.setup_command(patient)});
    }
}

// The system's and, in a trusted folder, the project's settings win over the user's.
void check_shadows(const Scene& scene, Patient& patient) {
    if (!patient.connection.ours) return;
    const auto gemini = open_gemini(scene, patient);
    std::vector<TextFile> files{open_system_settings(scene)};
    const auto path = scene.working_directory() / ".gemini" / "settings.json";
    if (path != gemini.settings.path && scene.is_file(path))
        files.push_back(scene.open(path, edit::Format::jsonc));
    for (const auto& file : files) {
        const bool system = file.path.string().starts_with("/etc/");
        if (!file.problem.empty()) {
            patient.add({"gemini-settings-above", "", Severity::broken,
                         "Gemini CLI does not start with " + scene.shown(file.path), file.path, 0,
                         file.problem,
                         system ? "ask the administrator of this machine to correct it"
                                : "correct that place in " + scene.shown(file.path)});
            continue;
        }
        for (const edit::KeyPath& key :
             {edit::KeyPath{"model", "name"}, edit::KeyPath{"advanced", "ignoreLocalEnv"}, selected}) {
            const auto value = file.value(key);
            if (!value || value == gemini.settings.value(key)) continue;
            if (system && key == selected) continue; // gemini-selected-type
            if (key.front() == "model" && !patient.connection.models.empty())
                continue; // GEMINI_MODEL is stronger
            patient.add({"gemini-settings-above", "", Severity::warning,
                         edit::to_string(key) + " in " + scene.shown(file.path) + " wins over yours",
                         file.path, file.line(key), "",
                         system ? "ask the administrator of this machine to change " + file.path.string()
                                : "remove " + edit::to_string(key) + " from " + scene.shown(file.path)});
        }
    }
}

} // namespace

Connection gemini_connection(const Scene& scene, const Patient& patient) {
    Connection connection;
    connection.variables = scene.around.environment.all();
    const auto gemini = open_gemini(scene, patient);
    // A variable of the shell wins over the file, also an empty one.
    if (gemini.env.document) {
        const auto values = gemini.env.document->value();
        for (const auto& item : values.items()) {
            if (item.value().is_string())
                connection.variables.emplace(item.key(), item.value().get<std::string>());
        }
    }
    connection.base_url = connection.variable("GOOGLE_GEMINI_BASE_URL");
    if (!scene.env("GOOGLE_GEMINI_BASE_URL")) {
        connection.file = gemini.env.path;
        connection.line = gemini.env.line({"GOOGLE_GEMINI_BASE_URL"});
    }
    connection.ours =
        !connection.base_url.empty() && (patient.report.configured || scene.is_gateway(connection.base_url));
    std::string model = connection.variable("GEMINI_MODEL");
    if (!model.empty()) {
        const bool exported = scene.env("GEMINI_MODEL").has_value();
        connection.models.push_back({model, exported ? system::Path() : gemini.env.path,
                                     exported ? 0 : gemini.env.line({"GEMINI_MODEL"}), "model"});
    }
    if (const auto key = connection.variable("GEMINI_API_KEY"); !key.empty()) {
        connection.source = Connection::Source::literal;
        connection.token = Secret(key);
        connection.token_origin =
            "GEMINI_API_KEY in " +
            (scene.env("GEMINI_API_KEY") ? std::string("the environment") : scene.shown(gemini.env.path));
    }
    return connection;
}

const std::vector<Check>& gemini_checks() {
    static const std::vector<Check> checks{check_selected_type, check_enforced_type, check_shadows,
                                           check_trust,         check_hidden,        check_variables};
    return checks;
}

} // namespace dbx::doctor
