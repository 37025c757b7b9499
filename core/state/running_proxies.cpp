#include "core/state/running_proxies.hpp"

#include "core/system/self.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace dbx::state {

namespace {

constexpr std::string_view prefix = "proxy-";
constexpr std::string_view suffix = ".lock";

} // namespace

std::optional<int> to_port(std::string_view text) {
    int port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65'535)
        return std::nullopt;
    return port;
}

system::Path proxy_lock_path(const system::Path& state_directory, int port) {
    return state_directory / (std::string(prefix) + std::to_string(port) + std::string(suffix));
}

Result<std::vector<RunningProxy>> running_proxies(const system::Environment& environment,
                                                  system::FileSystem& files, int port) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    const auto names = files.list(*directory);
    if (!names) return fail(names.error());
    std::vector<RunningProxy> result;
    for (const auto& name : *names) {
        if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
            name.size() <= prefix.size() + suffix.size())
            continue;
        const auto number = to_port(
            std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
        if (!number || (port != 0 && *number != port)) continue;
        if (const auto holder = system::lock_holder(*directory / name)) result.push_back({*number, *holder});
    }
    std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.port < b.port; });
    return result;
}

} // namespace dbx::state
