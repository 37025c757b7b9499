#include "core/system/files.hpp"

#include "core/system/posix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace dbx::system {

using posix::cannot;
using posix::Descriptor;
using posix::explain;
using posix::name_where_it_leads;
using posix::Purpose;

namespace {

std::string size_in_words(std::uint64_t bytes) {
    constexpr std::uint64_t mebibyte = 1U << 20;
    if (bytes >= mebibyte && bytes % mebibyte == 0) return std::to_string(bytes / mebibyte) + " MB";
    return std::to_string(bytes) + " bytes";
}

FileStatus from_stat(const struct stat& status) {
    FileStatus result;
    result.kind = S_ISREG(status.st_mode)   ? FileKind::regular
                  : S_ISDIR(status.st_mode) ? FileKind::directory
                                            : FileKind::other;
    result.mode = status.st_mode & 07777;
    result.owner = status.st_uid;
    result.group = status.st_gid;
    result.size = status.st_size > 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
    return result;
}

bool has_nul(const Path& path) {
    return path.native().find('\0') != std::string::npos;
}

// The path without trailing slashes: "link/" would name what the link leads to.
Path without_trailing_slash(const Path& path) {
    std::string text = path.native();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
}

} // namespace

Result<FileStatus> RealFileSystem::status(const Path& path) {
    if (has_nul(path)) return cannot("look at", path, {"the path has a NUL byte in it"});
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) return from_stat(status);
    if (errno == ENOENT) return FileStatus{};
    return cannot("look at", path, explain(errno, path, Purpose::read));
}

Result<Path> RealFileSystem::resolve(const Path& path) {
    auto target = posix::follow(path);
    if (!target) return cannot("follow", path, std::move(target.error()));
    return std::move(*target);
}

Result<std::string> RealFileSystem::read(const Path& path, std::uint64_t limit_bytes) {
    const auto error = [&](int error_number) {
        return cannot("read", path, name_where_it_leads(path, explain(error_number, path, Purpose::read)));
    };
    const auto refuse = [&](const struct stat& status) {
        return cannot("read", path,
                      {"it is " + posix::kind_in_words(status.st_mode) + ", not a file",
                       "move it away, or put a file in its place"});
    };
    const auto too_big = [&] {
        return cannot("read", path,
                      {"it is larger than the limit of " + size_in_words(limit_bytes),
                       "make it smaller; a file of settings is not that large"});
    };
    if (has_nul(path)) return cannot("read", path, {"the path has a NUL byte in it"});
    // Looked at before it is opened: opening a FIFO would wait, opening a device may do things.
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return error(errno);
    if (!S_ISREG(status.st_mode)) return refuse(status);
    const Descriptor file(
        posix::retry([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }));
    if (!file.valid() || ::fstat(file.get(), &status) != 0) return error(errno);
    if (!S_ISREG(status.st_mode)) return refuse(status);
    const std::uint64_t size = from_stat(status).size;
    if (size > limit_bytes) return too_big();
    std::string bytes;
    bytes.reserve(size);
    if (posix::read_all(file.get(), bytes, limit_bytes) != 0) return error(errno);
    if (bytes.size() > limit_bytes) return too_big();
    return bytes;
}

Result<void> RealFileSystem::set_mode(const Path& path, mode_t mode) {
    auto target = posix::follow(path);
    if (!target) return cannot("change the mode of", path, std::move(target.error()));
    struct stat status = {};
    int error_number = ::lstat(target->c_str(), &status) == 0 ? 0 : errno;
    if (error_number == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return cannot("change the mode of", path, {"it is " + posix::kind_in_words(status.st_mode)});
    if (error_number == 0 && ::fchmodat(AT_FDCWD, target->c_str(), mode & 07777, 0) != 0)
        error_number = errno;
    if (error_number == 0) return {};
    return cannot("change the mode of", path,
                  name_where_it_leads(path, explain(error_number, *target, Purpose::write)));
}

Result<void> RealFileSystem::remove(const Path& path) {
    if (has_nul(path)) return cannot("remove", path, {"the path has a NUL byte in it"});
    const Path name = without_trailing_slash(path);
    struct stat status = {};
    if (::lstat(name.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return cannot("remove", path, explain(errno, name, Purpose::write));
    }
    if (S_ISDIR(status.st_mode)) return cannot("remove", path, {"it is a folder"});
    if (::unlink(name.c_str()) != 0) {
        if (errno == ENOENT) return {};
        // The rights that matter are those on the folder, not on the file.
        const int error_number = errno;
        const Path folder = name.parent_path().empty() ? Path(".") : name.parent_path();
        if (error_number == EACCES)
            return cannot("remove", path, explain(error_number, folder / "file", Purpose::write));
        return cannot("remove", path, explain(error_number, name, Purpose::write));
    }
    posix::sync_folder(name.parent_path().empty() ? Path(".") : name.parent_path());
    return {};
}

Result<bool> RealFileSystem::remove_empty_directory(const Path& path) {
    if (has_nul(path)) return cannot("remove the folder", path, {"the path has a NUL byte in it"});
    const Path name = without_trailing_slash(path);
    if (::rmdir(name.c_str()) == 0) {
        posix::sync_folder(name.parent_path().empty() ? Path(".") : name.parent_path());
        return true;
    }
    switch (errno) {
    case ENOENT:
    case ENOTDIR: // also a symbolic link to a folder
    case ENOTEMPTY:
    case EEXIST:
    case EBUSY:
    case EINVAL:
        return false;
    default:
        return cannot("remove the folder", path, explain(errno, name, Purpose::write));
    }
}

Result<void> RealFileSystem::make_directories(const Path& path, mode_t mode) {
    auto target = posix::follow(path);
    if (!target) return cannot("create the folder", path, std::move(target.error()));
    Path folder;
    for (const auto& part : *target) {
        const Path parent = folder;
        folder /= part;
        struct stat status = {};
        if (::stat(folder.c_str(), &status) == 0 || parent.empty()) {
            if (!parent.empty() && !S_ISDIR(status.st_mode))
                return cannot(
                    "create the folder", path,
                    {posix::shown(folder) + " is " + posix::kind_in_words(status.st_mode) + ", not a folder",
                     "move it out of the way"});
            continue;
        }
        if (errno != ENOENT || (::mkdir(folder.c_str(), mode & 0700) != 0 && errno != EEXIST))
            return cannot("create the folder", path, explain(errno, folder, Purpose::write));
        const Descriptor created(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        struct stat around = {};
        // Without a descriptor (mode 0300, or another process was quicker) it stays as mkdir made it.
        if (created.valid() && ::fstat(created.get(), &status) == 0 && ::stat(parent.c_str(), &around) == 0) {
            posix::give_to_owner(created.get(), status, around);
            const mode_t wanted = (mode & 07777) | (status.st_mode & S_ISGID); // as the parent hands it on
            if ((status.st_mode & 07777) != wanted) ::fchmod(created.get(), wanted);
        }
        posix::sync_folder(parent);
    }
    return {};
}

Result<std::vector<std::string>> RealFileSystem::list(const Path& path) {
    if (has_nul(path)) return cannot("list", path, {"the path has a NUL byte in it"});
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
        names.push_back(entry->path().filename().native());
    if (error) {
        if (error.value() == ENOENT) return std::vector<std::string>{};
        return cannot("list", path, explain(error.value(), path, Purpose::read));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> RealFileSystem::check_writable(const Path& path) {
    auto target = posix::find_target(path);
    if (!target) return cannot("write", path, name_where_it_leads(path, std::move(target.error())));
    if (target->exists) return {}; // by rename, or in place where the folder does not let us
    if (auto folder = posix::check_folder(target->folder); !folder)
        return cannot("write", path, name_where_it_leads(path, std::move(folder.error())));
    return {};
}

} // namespace dbx::system
