#pragma once

#include "core/system/files.hpp"

#include <map>

namespace dbx::system {

// Reads from another file system and keeps every change in memory: what --dry-run and --check run on. Later
// reads see the changes. Errors that the real one would give (missing rights, read-only) are given as well.
class DryFileSystem : public FileSystem {
  public:
    explicit DryFileSystem(FileSystem& below)
        : below_(below) {}

    Result<FileStatus> status(const Path& path) override;
    Result<Path> resolve(const Path& path) override;
    Result<std::string> read(const Path& path, std::uint64_t limit_bytes) override;
    Result<void> write(const Path& path, std::string_view bytes, std::optional<mode_t> mode) override;
    Result<void> set_mode(const Path& path, mode_t mode) override;
    Result<void> remove(const Path& path) override;
    Result<bool> remove_empty_directory(const Path& path) override;
    Result<void> make_directories(const Path& path, mode_t mode) override;
    Result<std::vector<std::string>> list(const Path& path) override;
    Result<void> check_writable(const Path& path) override;

  private:
    struct Entry {
        bool exists = false;
        FileStatus status;
        bool has_bytes = false; // false: only the mode changed, the bytes are those below
        std::string bytes;
    };
    FileSystem& below_;
    std::map<Path, Entry> changed_; // by resolved path
};

} // namespace dbx::system
