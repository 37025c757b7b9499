#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <cstddef>
#include <optional>
#include <span>

namespace dbx::system {

// A small file that lives in memory: stores to bytes() survive whatever becomes of the process (the kernel
// has them), and cost no system call. Its process holds a lock (flock) on it, so that others can tell
// whether it is alive. Nobody else may shorten the file meanwhile.
class SharedFile {
  public:
    // A new file of zeros, 0600, all its room taken on the disk. Errors: it exists, no room, ….
    static Result<SharedFile> create(const Path& path, std::size_t bytes);

    // The file that a dead process left, locked for us. Nothing when it is missing, longer than `limit`,
    // not ours to write, or held by a process that is alive.
    static std::optional<SharedFile> adopt(const Path& path, std::size_t limit);

    SharedFile(SharedFile&& other) noexcept;
    SharedFile& operator=(SharedFile&& other) noexcept;
    ~SharedFile(); // the file stays

    std::span<std::byte> bytes() const { return {bytes_, size_}; }

  private:
    SharedFile(int descriptor, std::byte* bytes, std::size_t size)
        : descriptor_(descriptor)
        , bytes_(bytes)
        , size_(size) {}
    int descriptor_ = -1;
    std::byte* bytes_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace dbx::system
