#pragma once

#include "core/base/error.hpp"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::system {

using Path = std::filesystem::path;

enum class FileKind { missing, regular, directory, other };

// What stands at a path, symbolic links followed.
struct FileStatus {
    FileKind kind = FileKind::missing;
    mode_t mode = 0; // permission bits
    uid_t owner = 0;
    gid_t group = 0;
    std::uint64_t size = 0;
};

// The file system as the program sees it. Errors are of kind `file` and name the path; `why` is the system's
// reason in words, `fix` what a person does about it.
class FileSystem {
  public:
    virtual ~FileSystem() = default;

    virtual Result<FileStatus> status(const Path& path) = 0;

    // The path with every symbolic link followed, also when the last component does not exist (a link to a
    // file not yet there leads to that file). A loop is an error.
    virtual Result<Path> resolve(const Path& path) = 0;

    // The whole file. Refuses directories, FIFOs, devices (without opening them) and files over
    // `limit_bytes`.
    virtual Result<std::string> read(const Path& path, std::uint64_t limit_bytes) = 0;

    // Replaces or creates the file at `path` (resolved first) in one step: a temporary file beside the target
    // gets owner, ACL, extended attributes and mode of the old file, the bytes, an fsync; then rename and an
    // fsync of the folder. `mode` overrides the permission bits; a new file gets `mode` (default 0600). A
    // crash at any moment leaves the old or the new file; a temporary file that it leaves goes with the next
    // write to the same file. Written in place instead (room checked first, old bytes and mode put back on
    // failure, a copy of the old bytes beside it meanwhile): a bind-mounted file, one with further hard
    // links, one whose folder takes no new files, somebody else's whose owner or ACL we could not give to a
    // new file. A file that is read-only for us by its mode is an error, although a rename could replace it.
    virtual Result<void> write(const Path& path, std::string_view bytes, std::optional<mode_t> mode) = 0;

    // Changes permission bits only.
    virtual Result<void> set_mode(const Path& path, mode_t mode) = 0;

    // Removes a file (a symbolic link: its target stays, the link goes); a missing one is fine.
    virtual Result<void> remove(const Path& path) = 0;

    // Removes a folder if it is empty; otherwise, or when missing, does nothing and says false.
    virtual Result<bool> remove_empty_directory(const Path& path) = 0;

    // Creates the folder and its parents; new ones get `mode`. Existing ones stay as they are.
    virtual Result<void> make_directories(const Path& path, mode_t mode) = 0;

    // Names in a folder, sorted; a missing folder has none.
    virtual Result<std::vector<std::string>> list(const Path& path) = 0;

    // Whether a write to `path` would be allowed, found out without changing anything (read-only file
    // system, missing rights on file or folder, a link into a read-only store such as /nix/store).
    virtual Result<void> check_writable(const Path& path) = 0;
};

// The real one.
class RealFileSystem : public FileSystem {
  public:
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
};

// One lock for all processes of this user: an flock on `path` (created, 0600). Waits up to `timeout_ms`; then
// an error naming the process that holds it. Released by the destructor, and by the system when the process
// dies.
class Lock {
  public:
    static Result<Lock> acquire(const Path& path, int timeout_ms);
    Lock(Lock&& other) noexcept;
    Lock& operator=(Lock&& other) noexcept;
    ~Lock();

  private:
    explicit Lock(int descriptor)
        : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

} // namespace dbx::system
