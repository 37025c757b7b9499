#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/cursor_database.hpp"
#include "core/doctor/scene.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::doctor {

namespace {

// Where Cursor keeps its settings: Linux, then macOS.
system::Path database_path(const Scene& scene) {
    const auto home = system::home_directory(scene.around.environment).value_or(system::Path());
    const auto variable = scene.env("XDG_CONFIG_HOME");
    const system::Path config =
        variable && system::Path(*variable).is_absolute() ? system::Path(*variable) : home / ".config";
    const system::Path below = system::Path("Cursor") / "User" / "globalStorage" / "state.vscdb";
    const auto mac = home / "Library" / "Application Support" / below;
    return !scene.is_file(config / below) && scene.is_file(mac) ? mac : config / below;
}

bool holds(const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

// The models that the guide names.
std::vector<std::string> wanted_models(const Patient& patient) {
    std::vector<std::string> result;
    for (const auto& model : patient.connection.models) result.push_back(model.name);
    return result;
}

std::string expected_url(const Scene& scene, const Patient& patient) {
    const auto& gateway = scene.around.target.gateway;
    return gateway ? gateway->value + patient.agent->route : std::string();
}

std::string without_slash(std::string url) {
    while (url.ends_with('/')) url.pop_back();
    return url;
}

// The models that setup's guide tells the user to add: its indented lines that are one word and no address.
std::vector<ModelUse> models_of_guide(const Scene& scene, const Patient& patient) {
    std::vector<ModelUse> result;
    constexpr std::uint64_t small = 1U << 20U;
    for (const auto& file : patient.report.files) {
        const auto text =
            file.exists ? scene.around.files.read(file.named, small) : Result<std::string>(std::string());
        if (!text) continue;
        std::size_t number = 0;
        for (const auto& line : split(*text, '\n')) {
            ++number;
            const auto word = trim(line);
            if (!line.starts_with("       ") || word.empty() || word.find(' ') != std::string_view::npos ||
                word.find("://") != std::string_view::npos)
                continue;
            result.push_back({std::string(word), file.named, number, result.empty() ? "model" : "second"});
        }
    }
    return result;
}

constexpr const char* where = "Cursor Settings > Models > API Keys";

void check_settings(const Scene& scene, Patient& patient) {
    if (!patient.report.configured && !patient.connection.ours) return;
    const auto path = database_path(scene);
    const auto status = scene.around.files.status(path);
    if (!status || status->kind == system::FileKind::missing) {
        patient.add({"cursor-not-here", "", Severity::info,
                     "Cursor has not run for this user: its settings cannot be checked", path, 0, "",
                     "start Cursor, then follow the guide: dbx-agents setup cursor"});
        return;
    }
    const auto state = read_cursor_state(path, scene.around.files);
    if (!state || !state->known) {
        patient.add({"cursor-database", "", Severity::warning,
                     "Cursor's settings cannot be read: look at them yourself", path, 0,
                     state ? "this version keeps them in a form that is not known" : state.error().why,
                     std::string("compare ") + where + " with ~/.config/dbx-agents/cursor.md"});
        return;
    }
    const std::string doubt = state->stale ? "as of Cursor's last checkpoint" : "";
    const auto expected = expected_url(scene, patient);
    const auto url = without_slash(state->base_url);
    if (!url.empty() && databricks::is_loopback(url)) {
        patient.add({"cursor-loopback", "", Severity::broken,
                     "Cursor's base URL is this machine's own address, which Cursor's servers cannot reach",
                     path, 0, url,
                     "paste " + (expected.empty() ? "the gateway's address" : expected) + " into " + where});
    } else if (url.empty() || (!expected.empty() && url != expected)) {
        patient.add({"cursor-base-url", "", Severity::broken,
                     url.empty() ? "Cursor's \"Override OpenAI Base URL\" is off"
                                 : "Cursor's base URL is another one: " + http::shown_url(url),
                     path, 0, doubt,
                     "turn on \"Override OpenAI Base URL\" in " + std::string(where) + " and paste " +
                         (expected.empty() ? "the gateway's address" : expected)});
    }
    if (!state->key_present) {
        patient.add({"cursor-key-missing", "", Severity::broken, "Cursor has no key for the gateway", path, 0,
                     doubt,
                     "paste a personal access token into \"OpenAI API Key\" in " + std::string(where)});
    } else if (!state->key_in_use) {
        patient.add({"cursor-switch-off", "", Severity::broken,
                     "Cursor has a key, and the switch to use it is off", path, 0, doubt,
                     "turn on \"OpenAI API Key\" in " + std::string(where)});
    }
    const auto models = wanted_models(patient);
    const bool any_added = std::any_of(models.begin(), models.end(),
                                       [&](const auto& name) { return holds(state->added, name); });
    const bool other_databricks = std::any_of(state->added.begin(), state->added.end(), [](const auto& name) {
        return name.starts_with("databricks-") || name.starts_with("system.ai.");
    });
    if (!any_added && !other_databricks) {
        patient.add({"cursor-model-missing", "", Severity::broken,
                     "none of the gateway's models is added to Cursor", path, 0, doubt,
                     "press \"+ Add Custom Model\" in Cursor Settings > Models and type " +
                         (models.empty() ? std::string("the model's name") : models.front())});
        return;
    }
    for (const auto& name : state->added) {
        const bool gateway_model =
            name.starts_with("databricks-") || name.starts_with("system.ai.") || holds(models, name);
        if (!gateway_model || (holds(state->enabled, name) && !holds(state->disabled, name))) continue;
        patient.add({"cursor-model-disabled", "", Severity::warning,
                     "the model " + name + " is added to Cursor, and switched off", path, 0, doubt,
                     "switch " + name + " on in Cursor Settings > Models"});
    }
}

// The Cursor CLI has neither a base URL nor a key of one's own.
void check_cli(const Scene& scene, Patient& patient) {
    const auto program = system::find_program(scene.around.environment, scene.around.files, "cursor-agent");
    if (!program) return;
    patient.add({"cursor-cli", "", Severity::info,
                 "the Cursor CLI cannot use the gateway: it has no setting for it", *program, 0, "",
                 "use the editor, or another agent in the terminal"});
}

} // namespace

Connection cursor_connection(const Scene& scene, const Patient& patient) {
    Connection connection;
    connection.variables = scene.around.environment.all();
    const auto path = database_path(scene);
    if (scene.is_file(path)) {
        if (const auto state = read_cursor_state(path, scene.around.files);
            state && !state->base_url.empty()) {
            connection.base_url = without_slash(state->base_url);
            connection.file = path;
        }
    }
    connection.ours =
        patient.report.configured || (!connection.base_url.empty() && scene.is_gateway(connection.base_url));
    if (connection.ours && connection.base_url.empty()) connection.base_url = expected_url(scene, patient);
    connection.source = Connection::Source::own; // its own key is encrypted, and stays so
    connection.models = models_of_guide(scene, patient);
    if (!connection.models.empty()) return connection;
    const auto models = agents::models_for(*patient.agent, {});
    for (const auto* family : {"main", "second"}) {
        if (const auto model = models.find(family); model != models.end())
            connection.models.push_back(
                {model->second, {}, 0, std::string(family) == "main" ? "model" : family});
    }
    return connection;
}

const std::vector<Check>& cursor_checks() {
    static const std::vector<Check> checks{check_settings, check_cli};
    return checks;
}

} // namespace dbx::doctor
