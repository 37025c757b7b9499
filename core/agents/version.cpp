#include "core/agents/version.hpp"

#include "core/base/strings.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::agents {

namespace {

constexpr std::uint64_t package_limit_bytes = 1U << 20;
constexpr int levels_above_program = 8;

// The package itself, or the one of it for this platform ("@anthropic-ai/claude-code-linux-x64").
bool is_package(const nlohmann::json& name, const std::string& package) {
    if (!name.is_string()) return false;
    const auto& text = name.get_ref<const std::string&>();
    return text == package || text.rfind(package + "-", 0) == 0;
}

} // namespace

std::optional<Version> parse_version(std::string_view text) {
    if (!text.empty() && text.front() == 'v') text.remove_prefix(1);
    Version version;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t begin = at;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
        if (at == begin || at - begin > 8) return std::nullopt;
        version.numbers.push_back(std::stoi(std::string(text.substr(begin, at - begin))));
        if (at == text.size()) break;
        if (text[at] == '-' || text[at] == '+') {
            if (text[at] == '-') version.tail = std::string(text.substr(at + 1));
            break;
        }
        if (text[at] != '.') return std::nullopt;
        ++at;
        if (at == text.size()) return std::nullopt;
    }
    if (version.numbers.size() < 2) return std::nullopt;
    return version;
}

std::strong_ordering compare(const Version& a, const Version& b) {
    for (std::size_t i = 0; i < std::max(a.numbers.size(), b.numbers.size()); ++i) {
        const int x = i < a.numbers.size() ? a.numbers[i] : 0;
        const int y = i < b.numbers.size() ? b.numbers[i] : 0;
        if (x != y) return x <=> y;
    }
    if (a.tail.empty() != b.tail.empty())
        return a.tail.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
    return a.tail <=> b.tail;
}

Installed find_installed(const Agent& agent, const system::Environment& environment,
                         system::FileSystem& files) {
    Installed result;
    if (agent.program.empty()) return result;
    const auto program = system::find_program(environment, files, agent.program);
    if (!program) return result;
    result.found = true;
    result.program = *program;
    const auto real = files.resolve(*program);
    if (!real) return result;

    // 1. An npm package: the package.json above the program that bears the package's name. A launcher in a
    // bin folder
    //    (not a link) has its package in ../lib/node_modules.
    std::vector<system::Path> folders;
    system::Path folder = real->parent_path();
    for (int i = 0; i < levels_above_program && folder.has_relative_path();
         ++i, folder = folder.parent_path())
        folders.push_back(folder);
    if (!agent.npm_package.empty()) {
        folders.push_back(real->parent_path().parent_path() / "lib" / "node_modules" / agent.npm_package);
        folders.push_back(real->parent_path().parent_path() / agent.npm_package); // node_modules/.bin
        for (const auto& candidate : folders) {
            const auto path = candidate / "package.json";
            const auto status = files.status(path);
            if (!status || status->kind != system::FileKind::regular) continue;
            const auto text = files.read(path, package_limit_bytes);
            if (!text) continue;
            const auto package = nlohmann::json::parse(*text, nullptr, false);
            if (!package.is_object() ||
                !is_package(package.value("name", nlohmann::json()), agent.npm_package))
                continue;
            if (package.contains("version") && package["version"].is_string()) {
                result.version = package["version"].get<std::string>();
                return result;
            }
        }
    }

    // 2. Installers that put each version in a folder (or file) named after it:
    // ~/.local/share/claude/versions/2.1.330,
    //    …/Caskroom/codex/0.169.0/codex.
    for (system::Path part = *real; part.has_relative_path(); part = part.parent_path()) {
        const auto name = part.filename().string();
        if (const auto version = parse_version(name); version && version->numbers.size() >= 3) {
            result.version = name;
            return result;
        }
    }
    return result;
}

bool is_below(const Installed& installed, std::string_view version) {
    if (!installed.found || !installed.version) return false;
    const auto have = parse_version(*installed.version);
    const auto want = parse_version(version);
    return have && want && compare(*have, *want) < 0;
}

} // namespace dbx::agents
