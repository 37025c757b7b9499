#include "core/system/environment.hpp"

#include "core/base/strings.hpp"
#include "core/system/posix.hpp"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <set>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

extern char** environ; // NOLINT: POSIX declares it nowhere

namespace dbx::system {

namespace {

// The running program's file, links resolved. After an upgrade underway Linux appends " (deleted)".
Path real_program() {
#ifdef __APPLE__
    std::array<char, PATH_MAX + 1> buffer{};
    std::uint32_t size = PATH_MAX;
    if (_NSGetExecutablePath(buffer.data(), &size) != 0) return {};
    std::error_code error;
    return std::filesystem::canonical(buffer.data(), error);
#else
    std::array<char, PATH_MAX + 1> buffer{};
    const auto size = ::readlink("/proc/self/exe", buffer.data(), buffer.size());
    if (size <= 0) return {};
    std::string path(buffer.data(), static_cast<std::size_t>(size));
    constexpr std::string_view deleted = " (deleted)";
    struct stat status = {};
    if (path.ends_with(deleted) && ::stat(path.c_str(), &status) != 0)
        path.resize(path.size() - deleted.size());
    return path;
#endif
}

std::string invoked_name() {
#ifdef __APPLE__
    return ::getprogname();
#else
    return program_invocation_short_name;
#endif
}

// An XDG variable counts only when it is absolute (XDG Base Directory Specification); else `fallback` below
// HOME.
Result<Path> xdg(const Environment& environment, std::string_view variable, const Path& fallback) {
    if (const auto value = environment.get(variable); value && Path(*value).is_absolute())
        return Path(*value).lexically_normal() / "dbx-agents";
    return home_directory(environment).map([&](const Path& home) { return home / fallback / "dbx-agents"; });
}

} // namespace

std::optional<std::string> RealEnvironment::get(std::string_view name) const {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
}

std::map<std::string, std::string> RealEnvironment::all() const {
    std::map<std::string, std::string> result;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        if (const auto equals = text.find('='); equals != std::string_view::npos && equals > 0)
            result.emplace(text.substr(0, equals), text.substr(equals + 1)); // the first wins, as with getenv
    }
    return result;
}

Path RealEnvironment::working_directory() const {
    // Empty when it was removed: relative paths then fail where they are used, with that reason.
    std::error_code error;
    Path path = std::filesystem::current_path(error);
    return error ? Path() : path;
}

Path RealEnvironment::program() const {
    const Path real = real_program();
    struct stat own = {};
#ifdef __APPLE__
    const bool known = ::stat(real.c_str(), &own) == 0;
#else
    const bool known = ::stat("/proc/self/exe", &own) == 0;
#endif
    if (!known) return real;
    for (const std::string& name : std::set<std::string>{invoked_name(), real.filename().native()}) {
        for (const auto& folder : split(get("PATH").value_or(""), ':')) {
            if (folder.empty() || folder.front() != '/') continue;
            const Path candidate = (Path(folder) / name).lexically_normal();
            struct stat status = {};
            if (!name.empty() && ::stat(candidate.c_str(), &status) == 0 && status.st_dev == own.st_dev &&
                status.st_ino == own.st_ino)
                return candidate;
        }
    }
    return real;
}

uid_t RealEnvironment::user_id() const {
    return ::geteuid();
}

Result<Path> home_directory(const Environment& environment) {
    const auto home = environment.get("HOME");
    if (!home || home->empty())
        return fail(ErrorKind::file, "cannot find your home folder", "HOME is not set",
                    "export HOME=/home/you");
    if (!Path(*home).is_absolute())
        return fail(ErrorKind::file, "cannot find your home folder",
                    "HOME is not an absolute path: " + posix::shown(*home), "export HOME=/home/you");
    Path path = Path(*home).lexically_normal();
    return path.has_filename() || path == path.root_path() ? path : path.parent_path();
}

Result<Path> config_directory(const Environment& environment) {
    return xdg(environment, "XDG_CONFIG_HOME", ".config");
}

Result<Path> state_directory(const Environment& environment) {
    return xdg(environment, "XDG_STATE_HOME", ".local/state");
}

std::string display_path(const Environment& environment, const Path& path) {
    const auto home = home_directory(environment);
    const std::string text = posix::shown(path);
    if (!home || *home == home->root_path()) return text;
    const std::string prefix = posix::shown(*home);
    if (text == prefix) return "~";
    if (text.starts_with(prefix + "/")) return "~" + text.substr(prefix.size());
    return text;
}

std::optional<Path> find_program(const Environment& environment, FileSystem& files, std::string_view name) {
    const auto path = environment.get("PATH");
    if (!path || name.empty() || name.find('/') != std::string_view::npos) return std::nullopt;
    for (const auto& folder : split(*path, ':')) {
        // An empty or relative entry means the working directory (POSIX).
        const Path candidate = environment.working_directory() / folder / name;
        const auto status = files.status(candidate);
        if (status && status->kind == FileKind::regular && (status->mode & 0111) != 0) return candidate;
    }
    return std::nullopt;
}

std::string format_utc(WallTime time) {
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    struct tm parts = {};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    return text.data();
}

} // namespace dbx::system
