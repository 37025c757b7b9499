#include "core/system/folder.hpp"

#include "core/system/posix.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace dbx::system {

using posix::Descriptor;
using posix::explain;
using posix::Purpose;

namespace {

constexpr std::string_view temporary_prefix = ".tmp-";
constexpr mode_t private_folder = 0700;

Descriptor open_folder(const Path& path) {
    return Descriptor(
        posix::retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
}

// Root may work in somebody else's home.
bool is_ours(const struct stat& status) {
    return status.st_uid == ::geteuid() || ::geteuid() == 0;
}

// Not of another process, not of another thread.
std::string temporary_name() {
    static std::atomic<std::uint64_t> number = 0;
    return std::string(temporary_prefix) + std::to_string(::getpid()) + "-" +
           std::to_string(number.fetch_add(1));
}

} // namespace

Result<Folder> Folder::open(const Path& path) {
    if (path.native().find('\0') != std::string::npos)
        return posix::cannot("use", path, {"the path has a NUL byte in it"});
    auto folder = open_folder(path);
    if (!folder.valid() && errno == ENOENT) {
        RealFileSystem files;
        if (auto made = files.make_directories(path, private_folder); !made) return fail(made.error());
        folder = open_folder(path);
    }
    if (!folder.valid()) {
        const int error_number = errno;
        if (error_number == ELOOP)
            return posix::cannot("use", path, {"it is a symbolic link", "remove the link"});
        return posix::cannot("use", path, explain(error_number, path, Purpose::read));
    }
    struct stat status = {};
    if (::fstat(folder.get(), &status) != 0)
        return posix::cannot("use", path, explain(errno, path, Purpose::read));
    if (!is_ours(status))
        return posix::cannot("use", path,
                             {"it belongs to " + posix::user_name(status.st_uid), "move it out of the way"});
    if ((status.st_mode & 077) != 0 && ::fchmod(folder.get(), private_folder) != 0)
        return posix::cannot("use", path, explain(errno, path, Purpose::write));
    return Folder(path, folder.release());
}

std::optional<Folder> Folder::look(const Path& path) {
    auto folder = open_folder(path);
    struct stat status = {};
    if (!folder.valid() || ::fstat(folder.get(), &status) != 0 || !is_ours(status)) return std::nullopt;
    return Folder(path, folder.release());
}

Folder::Folder(Folder&& other) noexcept
    : path_(std::move(other.path_))
    , descriptor_(std::exchange(other.descriptor_, -1)) {}

Folder& Folder::operator=(Folder&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

Folder::~Folder() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> Folder::put(const std::string& name, std::string_view bytes) const {
    const std::string temporary = temporary_name();
    const Path shown = path_ / name;
    Descriptor file(posix::retry([&] {
        return ::openat(descriptor_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        0600);
    }));
    if (!file.valid()) return posix::cannot("write", shown, explain(errno, shown, Purpose::write));
    int error_number = 0;
    if (posix::write_all(file.get(), bytes, 0) != 0) error_number = errno;
    // Some file systems say only here that there was no room.
    if (::close(file.release()) != 0 && error_number == 0 && errno != EINTR) error_number = errno;
    if (error_number == 0 && ::renameat(descriptor_, temporary.c_str(), descriptor_, name.c_str()) != 0)
        error_number = errno;
    if (error_number == 0) return {};
    ::unlinkat(descriptor_, temporary.c_str(), 0);
    return posix::cannot("write", shown, explain(error_number, shown, Purpose::write));
}

std::optional<Folder::Found> Folder::find(const std::string& name) const {
    struct stat status = {};
    if (::fstatat(descriptor_, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    return Found{S_ISREG(status.st_mode), static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0)),
                 std::chrono::system_clock::from_time_t(status.st_mtime)};
}

Result<std::optional<std::string>> Folder::read(const std::string& name, std::uint64_t limit_bytes) const {
    const Path shown = path_ / name;
    Descriptor file(posix::retry([&] {
        return ::openat(descriptor_, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    }));
    if (!file.valid()) {
        if (errno == ENOENT) return std::nullopt;
        if (errno == ELOOP) return posix::cannot("read", shown, {"it is a symbolic link"});
        return posix::cannot("read", shown, explain(errno, shown, Purpose::read));
    }
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0)
        return posix::cannot("read", shown, explain(errno, shown, Purpose::read));
    if (!S_ISREG(status.st_mode))
        return posix::cannot("read", shown, {"it is " + posix::kind_in_words(status.st_mode)});
    std::string bytes;
    if (posix::read_all(file.get(), bytes, limit_bytes) != 0)
        return posix::cannot("read", shown, explain(errno, shown, Purpose::read));
    if (bytes.size() > limit_bytes) return posix::cannot("read", shown, {"it is too large"});
    return bytes;
}

Result<bool> Folder::remove(const std::string& name) const {
    if (::unlinkat(descriptor_, name.c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    const Path shown = path_ / name;
    return posix::cannot("remove", shown, explain(errno, shown, Purpose::write));
}

Result<bool> Folder::move(const std::string& name, const Folder& to) const {
    if (::renameat(descriptor_, name.c_str(), to.descriptor_, name.c_str()) == 0) return true;
    if (errno == ENOENT) return false;
    const Path shown = path_ / name;
    return posix::cannot("move", shown, explain(errno, shown, Purpose::write));
}

Result<std::vector<std::string>> Folder::names() const {
    // A descriptor of its own: reading a folder has a place.
    Descriptor again(
        posix::retry([&] { return ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    DIR* const stream = again.valid() ? ::fdopendir(again.get()) : nullptr;
    if (stream == nullptr) return posix::cannot("read", path_, explain(errno, path_, Purpose::read));
    again.release();
    std::vector<std::string> result;
    while (const auto* entry = ::readdir(stream)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") result.emplace_back(name);
    }
    ::closedir(stream);
    std::sort(result.begin(), result.end());
    return result;
}

Result<std::vector<std::string>> Folder::list() const {
    auto all = names();
    if (all) std::erase_if(*all, [](const auto& name) { return name.starts_with(temporary_prefix); });
    return all;
}

void Folder::clean(std::chrono::system_clock::time_point older_than) const {
    const auto all = names();
    if (!all) return;
    for (const auto& name : *all) {
        if (!name.starts_with(temporary_prefix)) continue;
        const auto found = find(name);
        if (found && found->regular && found->modified < older_than) ::unlinkat(descriptor_, name.c_str(), 0);
    }
}

} // namespace dbx::system
