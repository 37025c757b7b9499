#pragma once

#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <map>
#include <string>

namespace dbx::test {

// A file system in memory, as far as the databricks room uses one.
class MemoryFiles : public system::FileSystem {
  public:
    std::map<std::string, std::string> texts;
    std::map<std::string, mode_t> modes;
    std::map<std::string, std::string> unreadable; // path -> reason
    int writes = 0;

    Result<system::FileStatus> status(const system::Path& path) override {
        system::FileStatus result;
        if (const auto found = texts.find(path.string()); found != texts.end()) {
            result.kind = system::FileKind::regular;
            result.size = found->second.size();
            result.mode = modes.contains(path.string()) ? modes[path.string()] : 0644;
        } else if (unreadable.contains(path.string())) {
            result.kind = system::FileKind::regular;
        }
        return result;
    }
    Result<system::Path> resolve(const system::Path& path) override { return path; }
    Result<std::string> read(const system::Path& path, std::uint64_t) override {
        if (const auto found = unreadable.find(path.string()); found != unreadable.end())
            return fail(ErrorKind::file, "cannot read " + path.string(), found->second, "change its mode");
        if (const auto found = texts.find(path.string()); found != texts.end()) return found->second;
        return fail(ErrorKind::file, "cannot read " + path.string(), "no such file", "");
    }
    Result<void> write(const system::Path& path, std::string_view bytes,
                       std::optional<mode_t> mode) override {
        texts[path.string()] = std::string(bytes);
        modes[path.string()] = mode.value_or(0600);
        ++writes;
        return {};
    }
    Result<void> set_mode(const system::Path& path, mode_t mode) override {
        modes[path.string()] = mode;
        return {};
    }
    Result<void> remove(const system::Path& path) override {
        texts.erase(path.string());
        return {};
    }
    Result<bool> remove_empty_directory(const system::Path&) override { return false; }
    Result<void> make_directories(const system::Path&, mode_t) override { return {}; }
    Result<std::vector<std::string>> list(const system::Path&) override { return std::vector<std::string>{}; }
    Result<void> check_writable(const system::Path&) override { return {}; }
};

class MapEnvironment : public system::Environment {
  public:
    std::map<std::string, std::string> variables;

    std::optional<std::string> get(std::string_view name) const override {
        const auto found = variables.find(std::string(name));
        if (found == variables.end()) return std::nullopt;
        return found->second;
    }
    std::map<std::string, std::string> all() const override { return variables; }
    system::Path working_directory() const override { return "/work-folder"; }
    system::Path program() const override { return "/usr/bin/dbx-agents"; }
    uid_t user_id() const override { return 1000; }
};

// A clock that stands still until it is told otherwise.
class ManualClock : public system::Clock {
  public:
    system::WallTime time = system::WallTime(std::chrono::seconds(1'790'000'000));
    system::WallTime now() const override { return time; }
};

} // namespace dbx::test
