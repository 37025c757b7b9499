#include "core/agents/catalogue.hpp"

#include "core/agents/read_agent.hpp"
#include "templates/builtin.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

constexpr std::uint64_t template_limit_bytes = 1U << 20;

// Of two names that the agent reads, the one that counts here.
Result<void> choose_paths(Agent& agent, const system::Environment& environment, system::FileSystem& files) {
    for (auto& file : agent.files) {
        if (file.instead.empty()) continue;
        const auto home = home_of(agent, environment);
        if (!home) return fail(home.error());
        const auto status = files.status(*home / file.instead);
        if (status && status->kind != system::FileKind::missing) file.path = file.instead;
    }
    return {};
}

} // namespace

const Agent* Catalogue::find(std::string_view name) const {
    const auto found =
        std::find_if(agents.begin(), agents.end(), [&](const Agent& agent) { return agent.name == name; });
    return found == agents.end() ? nullptr : &*found;
}

std::vector<std::string> Catalogue::names() const {
    std::vector<std::string> result;
    for (const auto& agent : agents) result.push_back(agent.name);
    return result;
}

std::vector<std::string> Catalogue::names_for(const std::vector<std::string>& api_types) const {
    std::vector<std::string> result;
    for (const auto& agent : agents) {
        const auto& own = agent.api_types;
        if (std::find_first_of(own.begin(), own.end(), api_types.begin(), api_types.end()) != own.end())
            result.push_back(agent.name);
    }
    return result;
}

Result<system::Path> user_templates(const system::Environment& environment) {
    auto directory = system::config_directory(environment);
    if (!directory) return directory;
    return *directory / "templates";
}

Result<Catalogue> load_catalogue(const system::Environment& environment, system::FileSystem& files) {
    std::map<std::string, std::pair<std::string, std::map<std::string, std::string>>> folders;
    for (const auto& file : templates::builtin_files()) {
        auto& folder = folders[std::string(file.folder)];
        folder.first = "built-in";
        folder.second[std::string(file.name)] = std::string(file.text);
    }
    for (const auto* other : {"otel", "sql"}) folders.erase(other);

    const auto own = user_templates(environment);
    if (!own) return fail(own.error());
    const auto names = files.list(*own);
    if (!names) return fail(names.error());
    for (const auto& name : *names) {
        const auto path = *own / name;
        const auto status = files.status(path);
        if (!status) return fail(status.error());
        if (status->kind != system::FileKind::directory || name.empty() || name.front() == '.') continue;
        auto& folder = folders[name];
        folder.first = system::display_path(environment, path);
        folder.second.clear();
        const auto documents = files.list(path);
        if (!documents) return fail(documents.error());
        for (const auto& document : *documents) {
            const auto kind = files.status(path / document);
            if (!kind || kind->kind != system::FileKind::regular) continue;
            auto text = files.read(path / document, template_limit_bytes);
            if (!text) return fail(text.error());
            folder.second[document] = std::move(*text);
        }
    }

    Catalogue catalogue;
    for (auto& [name, folder] : folders) {
        auto agent = read_agent(name, folder.first, std::move(folder.second));
        if (agent) {
            if (auto chosen = choose_paths(*agent, environment, files); !chosen) return fail(chosen.error());
            catalogue.agents.push_back(std::move(*agent));
        } else {
            catalogue.broken.emplace(name, agent.error()); // its own agent's problem, nobody else's
        }
    }
    std::stable_sort(catalogue.agents.begin(), catalogue.agents.end(),
                     [](const Agent& a, const Agent& b) { return a.order < b.order; });
    return catalogue;
}

} // namespace dbx::agents
