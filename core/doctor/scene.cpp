#include "core/doctor/scene.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dbx::doctor {

std::string_view to_string(Severity severity) {
    switch (severity) {
    case Severity::broken:
        return "broken";
    case Severity::warning:
        return "warning";
    case Severity::info:
        break;
    }
    return "info";
}

std::optional<edit::Value> TextFile::value(const edit::KeyPath& key) const {
    if (!document) return std::nullopt;
    auto found = document->get(key);
    if (!found) return std::nullopt;
    return std::move(found->value);
}

std::optional<std::string> TextFile::scalar(const edit::KeyPath& key) const {
    const auto found = value(key);
    if (!found || found->is_null() || found->is_structured()) return std::nullopt;
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::size_t TextFile::line(const edit::KeyPath& key) const {
    if (!document) return 0;
    const auto at = document->position(key);
    return at ? at->line : 0;
}

TextFile open_file(const system::Path& path, edit::Format format, system::FileSystem& files) {
    TextFile file;
    file.path = path;
    const auto status = files.status(path);
    if (!status) {
        file.exists = true;
        file.problem = status.error().what + (status.error().why.empty() ? "" : ": " + status.error().why);
        return file;
    }
    if (status->kind == system::FileKind::missing) return file;
    file.exists = true;
    file.mode = status->mode;
    auto text = files.read(path, edit::max_file_bytes);
    if (!text) {
        file.problem = text.error().why.empty() ? text.error().what : text.error().why;
        return file;
    }
    file.text = *text;
    auto document = edit::Document::parse(format, std::move(*text));
    if (document) {
        file.document = std::move(*document);
    } else {
        file.problem = document.error().what + ": " + document.error().why;
    }
    return file;
}

std::string Connection::variable(const std::string& name) const {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
}

void Patient::add(Finding finding) {
    finding.agent = agent->name;
    findings.push_back(std::move(finding));
}

bool Scene::env_is_set(std::string_view name) const {
    const auto value = env(name);
    return value && !value->empty();
}

bool Scene::is_file(const system::Path& path) const {
    const auto status = around.files.status(path);
    return status && status->kind == system::FileKind::regular;
}

std::vector<system::Path> Scene::folders_upwards() const {
    std::vector<system::Path> result;
    system::Path folder = working_directory();
    if (folder.empty()) return result;
    while (true) {
        result.push_back(folder);
        if (!folder.has_relative_path()) break;
        folder = folder.parent_path();
    }
    return result;
}

std::string Scene::setup_command(const Patient& patient) const {
    std::string command = "dbx-agents setup " + patient.agent->name;
    if (!patient.auth.empty() && patient.agent->auth.size() > 1) command += " --auth " + patient.auth;
    if (!around.target.gateway) command += " --workspace https://YOUR-WORKSPACE";
    return command;
}

std::string Scene::setting_fix(const Patient& patient, std::string_view setting, std::string_view value,
                               std::string_view hint) const {
    const auto folder = system::config_directory(around.environment);
    const auto file = folder ? shown(*folder / "config.toml") : "~/.config/dbx-agents/config.toml";
    return fmt::format("set {} = \"{}\" under [agents.{}] in {}{}, then {}", setting, value,
                       patient.agent->name, file, hint, setup_command(patient));
}

std::optional<system::Path> Scene::publishing_work_tree(const system::Path& file) const {
    const auto resolved = around.files.resolve(file);
    const auto real = resolved ? *resolved : file;
    system::Path tree = real.parent_path();
    while (true) {
        const auto status = around.files.status(tree / ".git");
        if (status && status->kind != system::FileKind::missing) break;
        if (!tree.has_relative_path()) return std::nullopt;
        tree = tree.parent_path();
    }
    const auto git = system::find_program(around.environment, around.files, "git");
    if (!git) return tree;
    system::ProcessRequest request;
    request.program = *git;
    // A repository's configuration may name programs to run: none of them here.
    request.arguments = {"-c", "core.fsmonitor=false", "-C", tree.string(), "check-ignore", "-q",
                         "--", real.string()};
    request.environment = around.environment.all();
    for (const auto* name : {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR"})
        request.environment.erase(name); // of whatever repository the user's shell is about
    request.environment["GIT_OPTIONAL_LOCKS"] = "0";
    request.timeout = std::chrono::seconds(3);
    const auto done = around.process.run(request);
    // 0: ignored. A file that is tracked already counts as not ignored, whatever the patterns say.
    if (done && done->exit_code == 0) return std::nullopt;
    return tree;
}

bool Scene::is_gateway(std::string_view url) const {
    const auto root = databricks::normalise_gateway(url);
    if (!root) return false;
    if (around.target.gateway && databricks::same_origin(*root, around.target.gateway->value)) return true;
    return databricks::is_databricks_host(*root) || root->ends_with("/ai-gateway");
}

bool looks_like_token(std::string_view text) {
    text = trim(text);
    if (text.starts_with("Bearer ")) text = trim(text.substr(7));
    if (text.size() < 16) return false;
    const auto begins = [&](std::string_view shape) { return text.starts_with(shape); };
    if (!begins("dapi") && !begins("eyJ") && !begins("sk-") && !begins("ghp_") && !begins("AIza") &&
        !begins("dose"))
        return false;
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
               c == '-' || c == '.';
    });
}

bool covered_by_no_proxy(std::string_view no_proxy, std::string_view url) {
    const auto parsed = http::parse_url(url);
    if (!parsed) return false;
    std::string host = parsed->host;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    // Commas or blanks; a port, a leading dot and a CIDR range of the loopback addresses are understood by
    // the agents.
    for (const auto& part : split(replace_all(std::string(no_proxy), " ", ","), ',')) {
        std::string entry = to_lower(trim(part));
        if (entry.empty()) continue;
        if (entry == "*" || entry == host || entry == "[" + host + "]") return true;
        if (entry == host + ":" + std::to_string(parsed->port)) return true;
        if (entry == "127.0.0.0/8" && host.starts_with("127.")) return true;
        if (entry.front() == '.') entry.erase(0, 1);
        if (!entry.empty() && (host == entry || host.ends_with("." + entry))) return true;
    }
    return false;
}

} // namespace dbx::doctor
