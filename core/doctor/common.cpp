#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/scene.hpp"
#include "core/http/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace dbx::doctor {

namespace {

// What an agent makes of a settings file of its own that it cannot read, as observed with Codex 0.169, Claude
// Code 2.1.330 and Gemini CLI 0.61.
std::string consequence(const agents::Agent& agent) {
    if (agent.name == "codex") return "Codex does not start";
    if (agent.name == "claude") return "Claude Code ignores the whole file, without a word";
    if (agent.name == "gemini") return "Gemini CLI does not start (exit 52)";
    return agent.display_name + " cannot use it";
}

void check_files(const Scene& scene, Patient& patient) {
    for (const auto& file : patient.report.files) {
        if (file.problem == "changed since setup") { // a text file, such as Cursor's guide
            patient.add({"drift", "", Severity::warning,
                         scene.shown(file.named) + " was changed since setup wrote it", file.named, 0, "",
                         scene.setup_command(patient)});
            continue;
        }
        if (!file.problem.empty()) {
            // Claude Code itself takes the last of two equal keys; only this program refuses to edit such a
            // file.
            const bool twice = icontains(file.problem, "duplicate") || icontains(file.problem, "twice");
            const bool claude = patient.agent->name == "claude";
            std::string what = scene.shown(file.named) + " cannot be used: ";
            what += claude && twice ? "a key stands there twice, and Claude Code takes only the last one"
                                    : consequence(*patient.agent);
            patient.add({claude ? "claude-settings-invalid" : "file-invalid", "", Severity::broken, what,
                         file.named, 0, file.problem, "correct that place in " + scene.shown(file.named)});
            continue;
        }
        if (!file.exists && file.written_at) {
            patient.add({"file-gone", "", Severity::broken,
                         scene.shown(file.named) + " is gone since setup wrote it", file.named, 0, "",
                         scene.setup_command(patient)});
            continue;
        }
        std::vector<std::string> drifted;
        std::size_t first_line = 0;
        for (const auto& key : file.keys) {
            if (key.drift.empty() || key.drift == "extended since setup") continue;
            // Somebody's own remedy against a missing route: setup would undo it.
            if (patient.agent->name == "codex" && key.path.back() == "base_url" &&
                patient.connection.base_url.ends_with(codex_other_route))
                continue;
            drifted.push_back(edit::to_string(key.path) + " (" + key.drift + ")");
            if (first_line == 0) first_line = key.line;
        }
        if (drifted.empty()) continue;
        patient.add({"drift", "", Severity::warning,
                     fmt::format("{} of setup's keys in {} {} not as setup left {}", drifted.size(),
                                 scene.shown(file.named), drifted.size() == 1 ? "is" : "are",
                                 drifted.size() == 1 ? "it" : "them"),
                     file.named, first_line, join(drifted, ", "), scene.setup_command(patient)});
    }
}

void check_version(const Scene&, Patient& patient) {
    const auto& installed = patient.report.installed;
    if (!installed.found || !installed.version) return;
    for (const auto& bad : patient.agent->bad_versions) {
        if (agents::is_below(installed, bad.from) || !agents::is_below(installed, bad.below)) continue;
        patient.add({patient.agent->name == "gemini" ? "gemini-version" : "bad-version", "", Severity::broken,
                     patient.agent->display_name + " " + *installed.version + ": " + bad.text,
                     installed.program, 0, "", "npm install -g " + patient.agent->npm_package + "@latest"});
    }
}

void check_set_up(const Scene& scene, Patient& patient) {
    if (patient.connection.ours || patient.report.configured) return;
    if (scene.is_gateway(patient.connection.managed_base_url)) return;
    // Agents of users' own templates: only the journal tells.
    std::string what = patient.agent->display_name + " does not use the gateway";
    if (!patient.connection.base_url.empty())
        what += ": its base URL is " + http::shown_url(patient.connection.base_url);
    patient.add({"not-set-up", "", Severity::info, what, patient.connection.file, patient.connection.line, "",
                 scene.setup_command(patient)});
}

void check_address(const Scene& scene, Patient& patient) {
    const auto& url = patient.connection.base_url;
    if (url.empty() || !patient.connection.ours) return;
    const auto& connection = patient.connection;
    const auto parsed = http::parse_url(url);
    if (!parsed) {
        patient.add({"address-invalid", "", Severity::broken,
                     patient.agent->display_name + "'s base URL is not an address", connection.file,
                     connection.line, parsed.error().why, scene.setup_command(patient)});
        return;
    }
    if (parsed->scheme == "http" && !databricks::is_loopback(url)) {
        patient.add({"address-plain-http", "", Severity::broken,
                     "the token goes to " + http::shown_url(url) + " unencrypted", connection.file,
                     connection.line, "", scene.setup_command(patient)});
    }
    if (databricks::is_deprecated_gateway(url)) {
        std::string command = "dbx-agents setup " + patient.agent->name + " --workspace ";
        const auto& workspace = scene.around.target.workspace;
        command += workspace && !databricks::is_deprecated_gateway(workspace->value)
                       ? workspace->value
                       : "https://YOUR-WORKSPACE";
        patient.add(
            {"deprecated-gateway", "", Severity::warning,
             "the gateway host " + parsed->host + " is deprecated: the workspace has its own gateway now",
             connection.file, connection.line, "", command});
    }
}

// Gemini CLI 0.43 sends every request to the first of these, whatever NO_PROXY says; 0.44 and later look at
// it.
bool check_proxy_of_old_gemini(Patient& patient) {
    const auto& connection = patient.connection;
    if (patient.agent->name != "gemini" || !agents::is_below(patient.report.installed, "0.44.0"))
        return false;
    for (const auto* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}) {
        if (connection.variable(name).empty()) continue;
        patient.add({"gemini-no-proxy-ignored", "", Severity::broken,
                     "Gemini CLI " + patient.report.installed.version.value_or("") + " sends its calls to " +
                         http::shown_url(connection.base_url) + " to the proxy of " + name +
                         ", whatever NO_PROXY says",
                     connection.file, connection.line, "0.44 and later look at NO_PROXY",
                     "npm install -g " + patient.agent->npm_package + "@latest"});
        break;
    }
    return true;
}

// Codex 0.169, Claude Code 2.1.330 and Gemini CLI 0.61 send even requests to 127.0.0.1 to a proxy from the
// environment.
void check_proxy_variables(const Scene& scene, Patient& patient) {
    const auto& connection = patient.connection;
    if (!connection.ours || !databricks::is_loopback(connection.base_url)) return;
    if (check_proxy_of_old_gemini(patient)) return;
    std::vector<std::string> found;
    for (const auto* name :
         {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}) {
        // Codex takes the proxy of the URL's scheme; the two others take any for everything.
        const bool counts = patient.agent->name != "codex" || !icontains(name, "https_") ||
                            to_lower(connection.base_url).starts_with("https");
        if (counts && !connection.variable(name).empty()) found.emplace_back(name);
    }
    if (found.empty()) return;
    // Codex asks for NO_PROXY first, the two others for no_proxy.
    std::string name = patient.agent->name == "codex" ? "NO_PROXY" : "no_proxy";
    if (connection.variable(name).empty()) name = name == "NO_PROXY" ? "no_proxy" : "NO_PROXY";
    const std::string exempt = connection.variable(name);
    if (covered_by_no_proxy(exempt, connection.base_url)) return;
    const bool from_file = !exempt.empty() && scene.env(name).value_or("") != exempt;
    std::string fix = "export NO_PROXY=127.0.0.1,localhost";
    if (from_file) {
        fix = patient.agent->name == "claude" ? scene.setup_command(patient)
                                              : "add 127.0.0.1,localhost to " + name +
                                                    " in the .env file of " + patient.agent->display_name;
    } else if (!exempt.empty()) {
        fix = "export " + name + "=\"$" + name + ",127.0.0.1,localhost\"";
    }
    patient.add({"proxy-variables", "", Severity::broken,
                 join(found, ", ") + " sends " + patient.agent->display_name + "'s calls to " +
                     http::shown_url(connection.base_url) + " to that proxy as well",
                 connection.file, connection.line,
                 exempt.empty() ? "NO_PROXY is not set" : name + " does not name the address", fix});
}

// The first word of a shell command line, when it is a plain one.
std::string first_word(std::string_view line) {
    line = trim(line);
    if (line.empty()) return {};
    const char quote = line.front();
    if (quote == '\'' || quote == '"') {
        const auto end = line.find(quote, 1);
        if (end == std::string_view::npos) return {};
        const auto after = line.substr(end + 1);
        const auto word = line.substr(1, end - 1);
        if (!after.empty() && after.front() != ' ' && after.front() != '\t') return {};
        if (quote == '"' && word.find_first_of("$`\\") != std::string_view::npos) return {};
        return std::string(word);
    }
    const auto word = line.substr(0, line.find_first_of(" \t"));
    if (word.find_first_of("'\"$`\\|&;<>()=~*?[") != std::string_view::npos) return {};
    return std::string(word);
}

void check_helper(const Scene& scene, Patient& patient) {
    auto& connection = patient.connection;
    std::string program;
    if (connection.source == Connection::Source::command && !connection.command.empty())
        program = connection.command.front();
    if (connection.source == Connection::Source::shell) program = first_word(connection.shell);
    if (program.empty()) return;
    std::string trouble;
    if (program.find('/') == std::string::npos) {
        static constexpr std::array built_in{"echo",    "cat", "printf", "test", "exec",
                                             "command", "cd",  "export", ".",    "set"};
        if (connection.source == Connection::Source::shell &&
            std::find(built_in.begin(), built_in.end(), program) != built_in.end())
            return;
        if (!system::find_program(scene.around.environment, scene.around.files, program))
            trouble = "is not on PATH";
    } else if (program.front() == '~' && connection.source == Connection::Source::command) {
        trouble = "begins with ~, which is not expanded"; // Codex 0.169
    } else {
        system::Path path = program;
        if (path.is_relative()) path = scene.working_directory() / path;
        const auto status = scene.around.files.status(path);
        if (!status || status->kind == system::FileKind::missing) {
            trouble = "is not there any more";
        } else if (status->kind != system::FileKind::regular) {
            trouble = "is not a program";
        } else if ((status->mode & 0111) == 0) {
            trouble = "is not executable";
        }
    }
    if (trouble.empty()) return;
    connection.helper_missing = true;
    patient.add(
        {"helper-missing", "", Severity::broken,
         "the program that gives " + patient.agent->display_name + " its token " + trouble + ": " + program,
         connection.helper_file, connection.helper_line, "",
         trouble == "is not executable" ? "chmod +x " + shell_quote(program) : scene.setup_command(patient)});
}

bool holds_token(const edit::Leaf& leaf) {
    if (!leaf.is_string || trim(leaf.text).empty() || leaf.path.empty()) return false;
    if (looks_like_token(leaf.text)) return true;
    static constexpr std::array names{"DATABRICKS_TOKEN", "ANTHROPIC_AUTH_TOKEN",      "ANTHROPIC_API_KEY",
                                      "GEMINI_API_KEY",   "experimental_bearer_token", "authorization"};
    for (const auto* name : names) {
        if (iequals(leaf.path.back(), name)) return true;
    }
    return false;
}

void check_token_files(const Scene& scene, Patient& patient) {
    for (const auto& file : patient.report.files) {
        const auto* known = patient.agent->file(file.name);
        const auto format = known ? agents::edit_format(known->format) : std::nullopt;
        if (!file.exists || !format) continue;
        const auto opened = scene.open(file.named, *format);
        if (!opened.document) continue;
        const auto leaves = opened.document->leaves();
        const auto leaf = std::find_if(leaves.begin(), leaves.end(), holds_token);
        if (leaf == leaves.end()) continue;
        const auto line = opened.line(leaf->path);
        const std::string place = scene.shown(file.named);
        if ((opened.mode & 044) != 0) {
            patient.add({"token-readable", "", Severity::warning,
                         place + " holds a token, and other users can read it", file.named, line,
                         fmt::format("mode {:04o}", opened.mode),
                         "chmod 600 " + shell_quote(file.named.string())});
        }
        if (const auto tree = scene.publishing_work_tree(file.named)) {
            const auto& forms = patient.agent->auth;
            const bool helper = std::find(forms.begin(), forms.end(), "helper") != forms.end();
            std::string command =
                "dbx-agents setup " + patient.agent->name + (helper ? " --auth helper" : " --auth env");
            if (!scene.around.target.gateway) command += " --workspace https://YOUR-WORKSPACE";
            patient.add({"token-in-git", "", Severity::warning,
                         place + " holds a token and stands in a git work tree: one commit publishes it",
                         file.named, line, "the work tree is " + scene.shown(*tree), command});
        }
    }
}

// Agents of users' own templates say in the template what to warn of; the four have checks of their own.
void check_template_warnings(const Scene& scene, Patient& patient) {
    for (const auto* own : {"codex", "claude", "gemini", "cursor"}) {
        if (patient.agent->name == own) return;
    }
    if (!patient.report.configured) return;
    for (const auto& warning : patient.agent->warnings) {
        if (!agents::holds(warning.when, {{"auth", patient.auth}})) continue;
        std::optional<std::string> value;
        TextFile file;
        if (!warning.environment.empty()) {
            value = scene.env(warning.environment);
            if (value && value->empty()) value.reset();
        } else if (const auto* known = patient.agent->file(warning.file)) {
            const auto format = agents::edit_format(known->format);
            const auto path = agents::path_of(*patient.agent, *known, scene.around.environment);
            if (!format || !path) continue;
            file = scene.open(*path, *format);
            value = file.scalar(warning.key);
        }
        if (!value) continue;
        if (warning.has_unless &&
            std::find(warning.unless.begin(), warning.unless.end(), *value) != warning.unless.end())
            continue;
        const std::string name =
            warning.environment.empty() ? edit::to_string(warning.key) : warning.environment;
        patient.add({"template-warning", "", Severity::warning, name + ": " + warning.text, file.path,
                     file.line(warning.key), "",
                     warning.environment.empty() ? "take " + name + " out of " + scene.shown(file.path)
                                                 : "unset " + name});
    }
}

} // namespace

const std::vector<Check>& common_checks() {
    static const std::vector<Check> checks{check_files,       check_set_up,           check_version,
                                           check_address,     check_helper,           check_proxy_variables,
                                           check_token_files, check_template_warnings};
    return checks;
}

} // namespace dbx::doctor
