#include "core/agents/agent.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

constexpr std::pair<FileFormat, std::string_view> format_names[] = {{FileFormat::toml, "toml"},
                                                                    {FileFormat::json, "json"},
                                                                    {FileFormat::jsonc, "jsonc"},
                                                                    {FileFormat::dotenv, "dotenv"},
                                                                    {FileFormat::text, "text"}};

} // namespace

bool holds(const Condition& condition, const Facts& facts) {
    return std::all_of(condition.begin(), condition.end(), [&](const auto& item) {
        const auto fact = facts.find(item.first);
        return fact != facts.end() &&
               std::find(item.second.begin(), item.second.end(), fact->second) != item.second.end();
    });
}

std::string to_string(FileFormat format) {
    for (const auto& [value, name] : format_names)
        if (value == format) return std::string(name);
    return {};
}

std::optional<FileFormat> file_format(std::string_view name) {
    for (const auto& [value, known] : format_names)
        if (known == name) return value;
    return std::nullopt;
}

std::optional<edit::Format> edit_format(FileFormat format) {
    switch (format) {
    case FileFormat::toml:
        return edit::Format::toml;
    case FileFormat::json:
        return edit::Format::json;
    case FileFormat::jsonc:
        return edit::Format::jsonc;
    case FileFormat::dotenv:
        return edit::Format::dotenv;
    case FileFormat::text:
        break;
    }
    return std::nullopt;
}

std::optional<edit::Format> document_format(std::string_view name) {
    if (name.ends_with(".toml")) return edit::Format::toml;
    if (name.ends_with(".json")) return edit::Format::json;
    return std::nullopt;
}

const AgentFile* Agent::file(std::string_view file_name) const {
    const auto found =
        std::find_if(files.begin(), files.end(), [&](const AgentFile& f) { return f.name == file_name; });
    return found == files.end() ? nullptr : &*found;
}

bool Agent::has_files_for(Scope scope) const {
    return std::any_of(files.begin(), files.end(), [&](const AgentFile& f) { return f.scope == scope; });
}

Result<system::Path> home_of(const Agent& agent, const system::Environment& environment) {
    if (!agent.home_variable.empty()) {
        if (const auto value = environment.get(agent.home_variable); value && !value->empty()) {
            system::Path path = *value;
            if (path.is_relative()) path = environment.working_directory() / path;
            return agent.home_below.empty() ? path : path / agent.home_below;
        }
    }
    if (agent.home == "{{config}}") return system::config_directory(environment);
    if (agent.home.rfind("~/", 0) == 0) {
        auto home = system::home_directory(environment);
        if (!home) return home;
        return *home / agent.home.substr(2);
    }
    return system::Path(agent.home);
}

Result<system::Path> path_of(const Agent& agent, const AgentFile& file,
                             const system::Environment& environment) {
    auto home = home_of(agent, environment);
    if (!home) return home;
    return *home / file.path;
}

} // namespace dbx::agents
