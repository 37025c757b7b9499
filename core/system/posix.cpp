#include "core/system/posix.hpp"

#include "core/base/strings.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/ioctl.h>
#endif

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstring>
#include <deque>
#include <system_error>

namespace dbx::system::posix {

namespace {

bool may(const Path& path, int access) {
    return ::faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) == 0;
}

std::string mode_and_owner(const struct stat& status) {
    std::string text = "mode " + octal(status.st_mode);
    if (status.st_uid != ::geteuid()) text += ", owner " + user_name(status.st_uid);
    return text;
}

// What gives us a right on `path`: chmod by the owner; otherwise the owner has to.
std::string fix_of_rights(const Path& path, const struct stat& status, std::string_view right) {
    const std::string quoted = shell_quote(shown(path));
    if (status.st_uid == ::geteuid()) return "chmod u+" + std::string(right) + " " + quoted;
    return "it belongs to " + user_name(status.st_uid) + ": sudo chown " + user_name(::geteuid()) + " " +
           quoted;
}

Trouble explain_denied(const Path& path, Purpose purpose) {
    Path folder;
    for (const auto& part : path.parent_path()) {
        folder /= part;
        struct stat status = {};
        if (::stat(folder.c_str(), &status) != 0) break;
        if (!may(folder, X_OK))
            return {"the folder " + shown(folder) + " can not be entered by you (" + mode_and_owner(status) +
                        ")",
                    fix_of_rights(folder, status, "x")};
    }
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) {
        if (purpose == Purpose::read && !may(path, R_OK))
            return {"it is not readable for you (" + mode_and_owner(status) + ")",
                    fix_of_rights(path, status, "r")};
        if (purpose == Purpose::write && !may(path, W_OK))
            return {"it is not writable for you (" + mode_and_owner(status) + ")",
                    fix_of_rights(path, status, "w")};
    }
    if (purpose == Purpose::write && ::stat(folder.c_str(), &status) == 0 && !may(folder, W_OK))
        return {"the folder " + shown(folder) + " is not writable for you (" + mode_and_owner(status) + ")",
                fix_of_rights(folder, status, "w")};
    return {"permission denied"};
}

#ifdef __linux__
// The attributes that chattr(1) sets; 0 when the file system has none.
int attributes(const Path& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) return 0;
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    int flags = 0;
    if (!file.valid() || ::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) != 0) return 0;
    return flags;
}
#endif

Trouble explain_not_permitted(const Path& path) {
#ifdef __linux__
    for (const Path& place : {path, path.parent_path()}) {
        const int flags = attributes(place);
        const std::string name = place == path ? "it" : "the folder " + shown(place);
        const std::string quoted = shell_quote(shown(place));
        if ((flags & FS_IMMUTABLE_FL) != 0)
            return {name + " is marked immutable", "sudo chattr -i " + quoted};
        if ((flags & FS_APPEND_FL) != 0) return {name + " is marked append-only", "sudo chattr -a " + quoted};
    }
#endif
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0 && status.st_uid != ::geteuid())
        return {"it belongs to " + user_name(status.st_uid), fix_of_rights(path, status, "w")};
    return {"the system does not permit it"};
}

// The deepest existing part of `path`, when that is no folder.
Trouble explain_not_a_folder(const Path& path) {
    Path part;
    for (const auto& name : path) {
        part /= name;
        struct stat status = {};
        if (::stat(part.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
            return {shown(part) + " is " + kind_in_words(status.st_mode) + ", not a folder",
                    "move it out of the way"};
    }
    return {"a part of the path is not a folder"};
}

bool in_read_only_store(const Path& path) {
    std::string before;
    for (auto part = path.begin(); part != path.end(); ++part) {
        if (*part == "store" && (before == "nix" || before == "gnu") && std::next(part) != path.end())
            return true;
        before = part->native();
    }
    return false;
}

} // namespace

Descriptor::~Descriptor() {
    if (value_ >= 0) ::close(value_);
}

tl::unexpected<Error> cannot(std::string_view verb, const Path& path, Trouble trouble) {
    return fail(Error{ErrorKind::file, "cannot " + std::string(verb) + " " + shown(path),
                      std::move(trouble.why), std::move(trouble.fix), std::move(trouble.state)});
}

Trouble name_where_it_leads(const Path& path, Trouble trouble) {
    const auto target = follow(path);
    std::error_code error;
    const Path absolute = std::filesystem::absolute(path, error).lexically_normal();
    if (!target || error || *target == absolute) return trouble;
    if (const std::string name = shown(*target); trouble.why.find(name) == std::string::npos)
        trouble.why += " (it leads to " + name + ")";
    return trouble;
}

Trouble explain(int error_number, const Path& path, Purpose purpose) {
    switch (error_number) {
    case EACCES:
        return explain_denied(path, purpose);
    case EPERM:
        return explain_not_permitted(path);
    case ENOTDIR:
        return explain_not_a_folder(path);
    case ENOENT:
        return {"it does not exist"};
    case EISDIR:
        return {"it is a folder"};
    case EROFS:
        return {"its file system is read-only"};
    case ENOSPC:
        return {"the disk is full", "make room (df " + shell_quote(shown(path.parent_path())) + ")"};
    case EDQUOT:
        return {"your disk quota is used up", "make room (quota -s)"};
    case EFBIG:
        return {"the limit on the size of files is reached", "ulimit -f unlimited"};
    case ELOOP:
        return {"its symbolic links lead in a circle", "readlink shows where each link leads"};
    case ENAMETOOLONG:
        return {"the name is too long for the file system"};
    case EIO:
        return {"the disk reports an input/output error"};
    case ESTALE:
        return {"the network file system has lost it", "try again"};
    case ETXTBSY:
        return {"it is a program that is running"};
    case EBUSY:
        return {"the system is using it"};
    case ENOLCK:
        return {"its file system knows no locks", "set XDG_STATE_HOME to a folder on a local disk"};
    case EMFILE:
    case ENFILE:
        return {"too many files are open"};
    default:
        return {std::generic_category().message(error_number)};
    }
}

std::string shown(const Path& path) {
    const std::string& bytes = path.native();
    const bool utf8 = is_utf8(bytes);
    std::string result;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !utf8)) {
            std::array<char, 8> hex{};
            std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(byte));
            result += hex.data();
        } else {
            result += c;
        }
    }
    return result;
}

std::string octal(mode_t mode) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777));
    return text.data();
}

std::string user_name(uid_t user) {
    std::array<char, 4096> buffer{};
    struct passwd entry = {};
    struct passwd* found = nullptr;
    if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return found->pw_name;
    return std::to_string(user);
}

std::string kind_in_words(mode_t mode) {
    if (S_ISREG(mode)) return "a file";
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a named pipe";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISLNK(mode)) return "a symbolic link";
    return "a device";
}

Outcome<Path> follow(const Path& path) {
    if (path.empty()) return trouble("the path is empty");
    if (path.native().find('\0') != std::string::npos) return trouble("the path has a NUL byte in it");
    Path done = "/";
    if (path.is_relative()) {
        std::error_code error;
        done = std::filesystem::current_path(error);
        if (error) return trouble("the working directory does not exist any more", "cd to another folder");
    }
    std::deque<Path> rest(path.begin(), path.end());
    constexpr int most_links = 40; // as in Linux
    for (int links = 0; !rest.empty();) {
        const Path name = rest.front();
        rest.pop_front();
        if (name.empty() || name == "." || name == "/") continue;
        if (name == "..") {
            done = done.parent_path();
            continue;
        }
        const Path next = done / name;
        struct stat status = {};
        if (::lstat(next.c_str(), &status) != 0) {
            if (errno != ENOENT) return tl::unexpected<Trouble>(explain(errno, next, Purpose::read));
            done = next;
            continue;
        }
        if (!S_ISLNK(status.st_mode)) {
            done = next;
            continue;
        }
        if (++links > most_links) return tl::unexpected<Trouble>(explain(ELOOP, path, Purpose::read));
        std::array<char, PATH_MAX + 1> buffer{};
        const auto size = ::readlink(next.c_str(), buffer.data(), buffer.size());
        if (size < 0) return tl::unexpected<Trouble>(explain(errno, next, Purpose::read));
        const Path link(std::string(buffer.data(), static_cast<std::size_t>(size)));
        if (link.is_absolute()) done = "/";
        rest.insert(rest.begin(), link.begin(), link.end());
    }
    return done;
}

Outcome<Target> find_target(const Path& path) {
    auto followed = follow(path);
    if (!followed) return tl::unexpected<Trouble>(std::move(followed.error()));
    Target target;
    target.path = std::move(*followed);
    target.folder = target.path.parent_path();
    target.name = target.path.filename().native();
    if (target.name.empty()) return trouble("it is a folder");

    if (in_read_only_store(target.path))
        return trouble(
            path.lexically_normal() == target.path
                ? "it lies in a read-only store"
                : "it is a link into a read-only store (" + shown(target.path) + ")",
            "change it where it is generated (home-manager, NixOS, Guix), or put a file of your own in "
            "the link's place");

    // A link of /proc or /dev such as /dev/stdout leads to things that have no path: ask the kernel as well.
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return trouble("it is " + kind_in_words(status.st_mode) + ", not a file");
    if (::lstat(target.path.c_str(), &target.old) != 0) {
        if (errno != ENOENT) return tl::unexpected<Trouble>(explain(errno, target.path, Purpose::write));
        return target;
    }
    target.exists = true;
    if (!S_ISREG(target.old.st_mode))
        return trouble("it is " + kind_in_words(target.old.st_mode) + ", not a file");
    // A rename needs no right on the old file; its mode says all the same what its owner wants.
    if (!may(target.path, W_OK)) return tl::unexpected<Trouble>(explain(errno, target.path, Purpose::write));
    return target;
}

Outcome<void> check_folder(const Path& folder) {
    for (Path place = folder;; place = place.parent_path()) {
        struct stat status = {};
        if (::stat(place.c_str(), &status) != 0) {
            if (errno == ENOENT && place != place.parent_path()) continue;
            return tl::unexpected<Trouble>(explain(errno, place, Purpose::write));
        }
        if (!S_ISDIR(status.st_mode))
            return trouble(shown(place) + " is " + kind_in_words(status.st_mode) + ", not a folder",
                           "move it out of the way");
        if (!may(place, W_OK | X_OK)) {
            const int error_number = errno;
            return tl::unexpected<Trouble>(explain(error_number, place / "file", Purpose::write));
        }
        return {};
    }
}

Owner owner_of_new(const struct stat& folder) {
    if (::geteuid() == 0 && folder.st_uid != 0) return {folder.st_uid, folder.st_gid};
    return {::geteuid(), (folder.st_mode & S_ISGID) != 0 ? folder.st_gid : ::getegid()};
}

void give_to_owner(int descriptor, const struct stat& fresh, const struct stat& folder) {
    const Owner owner = owner_of_new(folder);
    if (owner.user == fresh.st_uid) return;
    [[maybe_unused]] const int ignored = ::fchown(descriptor, owner.user, owner.group);
}

int write_all(int descriptor, std::string_view bytes, off_t offset) {
    while (!bytes.empty()) {
        const auto written = retry([&] { return ::pwrite(descriptor, bytes.data(), bytes.size(), offset); });
        if (written < 0) return -1;
        if (written == 0) {
            errno = ENOSPC;
            return -1;
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += written;
    }
    return 0;
}

int read_all(int descriptor, std::string& bytes, std::uint64_t limit) {
    std::array<char, 65536> buffer; // NOLINT: filled by read
    while (bytes.size() <= limit) {
        const auto count = retry([&] { return ::read(descriptor, buffer.data(), buffer.size()); });
        if (count < 0) return -1;
        if (count == 0) return 0;
        bytes.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return 0;
}

int sync(int descriptor) {
    if (retry([&] { return ::fsync(descriptor); }) == 0) return 0;
    return errno == EIO || errno == ENOSPC || errno == EDQUOT ? -1 : 0;
}

void sync_folder(const Path& folder) {
    const Descriptor descriptor(
        retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK); }));
    if (descriptor.valid()) sync(descriptor.get());
}

} // namespace dbx::system::posix
