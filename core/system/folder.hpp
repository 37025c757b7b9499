#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::system {

// A private folder of small files, each written once and whole, for this process or a later one: they survive
// a kill -9 (the kernel has them), not a power cut (nothing is synced). Names are single components of a
// path. Any number of threads and processes.
class Folder {
  public:
    // Opens it, or makes it and its parents (0700). One of ours that others may enter becomes 0700. Errors
    // (kind file): also a symbolic link, or somebody else's folder.
    static Result<Folder> open(const Path& path);

    // Opens one that exists and changes nothing; nothing when there is none or it is not ours.
    static std::optional<Folder> look(const Path& path);

    // The file under its name, 0600: first beside it under a name with a leading dot, then renamed. After
    // an error nothing of it is there.
    Result<void> put(const std::string& name, std::string_view bytes) const;

    struct Found {
        bool regular = false; // not a folder, link, pipe, …
        std::uint64_t size = 0;
        std::chrono::system_clock::time_point modified;
    };
    std::optional<Found> find(const std::string& name) const;

    // The whole file; nothing when it is gone. Errors: not a regular file, over the limit.
    Result<std::optional<std::string>> read(const std::string& name, std::uint64_t limit_bytes) const;

    // False: it was gone already.
    Result<bool> remove(const std::string& name) const;
    // To another folder of the same file system, under the same name.
    Result<bool> move(const std::string& name, const Folder& to) const;

    // All names, sorted, without those of files on their way.
    Result<std::vector<std::string>> list() const;
    // Removes what writers that died have left on its way.
    void clean(std::chrono::system_clock::time_point older_than) const;

    const Path& path() const { return path_; }

    Folder(Folder&& other) noexcept;
    Folder& operator=(Folder&& other) noexcept;
    ~Folder();

  private:
    Folder(Path path, int descriptor)
        : path_(std::move(path))
        , descriptor_(descriptor) {}
    Result<std::vector<std::string>> names() const;
    Path path_;
    int descriptor_ = -1;
};

} // namespace dbx::system
