#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::system {

// The process's surroundings. Tests hand in their own.
class Environment {
  public:
    virtual ~Environment() = default;
    // An environment variable; unset and empty are told apart.
    virtual std::optional<std::string> get(std::string_view name) const = 0;
    // Every variable, sorted by name.
    virtual std::map<std::string, std::string> all() const = 0;
    virtual Path working_directory() const = 0;
    // The absolute path of this program: as found on PATH when that is this very file (symbolic links not
    // resolved, so that it survives an upgrade), else the program's real path.
    virtual Path program() const = 0;
    virtual uid_t user_id() const = 0;
};

class RealEnvironment : public Environment {
  public:
    std::optional<std::string> get(std::string_view name) const override;
    std::map<std::string, std::string> all() const override;
    Path working_directory() const override;
    Path program() const override;
    uid_t user_id() const override;
};

// HOME; without it (or when it is not absolute) an error of kind `file` that says so.
Result<Path> home_directory(const Environment& environment);

// $XDG_CONFIG_HOME (absolute, else ~/.config)/dbx-agents and $XDG_STATE_HOME (else
// ~/.local/state)/dbx-agents.
Result<Path> config_directory(const Environment& environment);
Result<Path> state_directory(const Environment& environment);

// "~/x" for a path below home, otherwise the path: for messages.
std::string display_path(const Environment& environment, const Path& path);

// The first executable file of that name on PATH.
std::optional<Path> find_program(const Environment& environment, FileSystem& files, std::string_view name);

using WallTime = std::chrono::system_clock::time_point;

class Clock {
  public:
    virtual ~Clock() = default;
    virtual WallTime now() const = 0;
};
class RealClock : public Clock {
  public:
    WallTime now() const override { return std::chrono::system_clock::now(); }
};

// 2026-11-21T18:30:00Z
std::string format_utc(WallTime time);

// SIGINT, SIGTERM and SIGHUP end long work at its next safe point instead of in the middle: while one of
// these objects lives, the signals only set a flag.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    static bool interrupted();
    // As if a signal had come: ends what other threads wait for.
    static void interrupt();
};

} // namespace dbx::system
