// FileSystem::write: replaces a file by rename, or in place where a rename can't do it.
//
// In place, with a copy of the old bytes beside the file until the new ones are safe:
//   1. the file has further names (hard links): a rename would part them
//   2. owner, group or ACL can not be given to a new file (somebody else's file that we may write)
//   3. the folder takes no new file, or the rename is refused: a bind-mounted file, a sticky folder

#include "core/system/files.hpp"
#include "core/system/hash.hpp"
#include "core/system/posix.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/xattr.h>
#endif

#include <cstdio>
#include <memory>
#include <vector>

namespace dbx::system {

using posix::Descriptor;
using posix::explain;
using posix::Outcome;
using posix::Purpose;
using posix::Target;
using posix::Trouble;
using posix::trouble;

namespace {

tl::unexpected<Trouble> because(int error_number, const Path& path) {
    return tl::unexpected<Trouble>(explain(error_number, path, Purpose::write));
}

// Our temporary files: ".config.toml.dbx-agents-" and 16 hex digits. Their writer holds an flock on them, so
// an unlocked one was left by a crash, whatever its process was called.
constexpr std::size_t random_digits = 16;

std::string temporary_prefix(const std::string& name) {
    std::size_t length = std::min<std::size_t>(name.size(), 96); // eCryptfs allows 143 bytes
    while (length < name.size() && length > 0 && (static_cast<unsigned char>(name[length]) & 0xC0) == 0x80)
        --length;
    return "." + name.substr(0, length) + ".dbx-agents-";
}

class Temporary {
  public:
    Temporary(int folder, std::string name, Descriptor file)
        : folder_(folder)
        , name_(std::move(name))
        , file_(std::move(file)) {}
    Temporary(Temporary&& other) noexcept
        : folder_(other.folder_)
        , name_(std::exchange(other.name_, {}))
        , file_(std::move(other.file_)) {}
    Temporary& operator=(Temporary&&) = delete;
    ~Temporary() {
        if (!name_.empty()) ::unlinkat(folder_, name_.c_str(), 0);
    }

    // 0600, empty, new; nullopt with errno.
    static std::optional<Temporary> create(int folder, const std::string& prefix) {
        for (int attempt = 0; attempt < 8; ++attempt) {
            std::string name = prefix + random_hex(random_digits / 2);
            Descriptor file(posix::retry([&] {
                return ::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                0600);
            }));
            if (!file.valid()) {
                if (errno == EEXIST) continue;
                return std::nullopt;
            }
            Temporary result(folder, std::move(name), std::move(file));
            // Another process that tidies up may have seen the file before it was locked.
            struct stat status = {};
            if (::flock(result.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;
            if (::fstat(result.get(), &status) != 0 || status.st_nlink == 0) continue;
            return result;
        }
        errno = EEXIST;
        return std::nullopt;
    }

    int get() const { return file_.get(); }
    const std::string& name() const { return name_; }
    void keep() { name_.clear(); }

  private:
    int folder_;
    std::string name_;
    Descriptor file_;
};

// Removes what a crashed write to the same file has left.
void remove_leftovers(int folder, const std::string& prefix) {
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return;
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(copy), &::closedir);
    if (!listing) {
        ::close(copy);
        return;
    }
    while (const dirent* entry = ::readdir(listing.get())) {
        const std::string_view name = entry->d_name;
        if (name.size() != prefix.size() + random_digits || !name.starts_with(prefix) ||
            name.find_first_not_of("0123456789abcdef", prefix.size()) != std::string_view::npos)
            continue;
        constexpr int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        Descriptor file(
            ::openat(folder, entry->d_name, O_RDWR | flags)); // NFS locks only what is open for writing
        if (!file.valid()) file = Descriptor(::openat(folder, entry->d_name, O_RDONLY | flags));
        struct stat status = {};
        if (!file.valid() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) ::unlinkat(folder, entry->d_name, 0);
    }
}

#ifdef __linux__
constexpr const char* acl_name = "system.posix_acl_access";

bool copied(const std::string& name) {
    // Hashes over the content, and what belongs to the system.
    if (name.starts_with("trusted.")) return false;
    return !name.starts_with("security.") || name == "security.selinux" || name == "security.SMACK64";
}

// Gives `file` the extended attributes of `old`, as far as the system lets us. False when the ACL can not be
// had: then the permission bits alone would give rights to others.
bool copy_attributes(const Path& old, int file) {
    std::vector<char> names(65536);
    const auto size = ::llistxattr(old.c_str(), names.data(), names.size());
    bool has_acl = false;
    for (std::size_t at = 0; size > 0 && at < static_cast<std::size_t>(size);) {
        const std::string name(names.data() + at);
        at += name.size() + 1;
        if (!copied(name)) continue;
        std::vector<char> value(65536);
        const auto length = ::lgetxattr(old.c_str(), name.c_str(), value.data(), value.size());
        const bool set = length >= 0 && ::fsetxattr(file, name.c_str(), value.data(),
                                                    static_cast<std::size_t>(length), 0) == 0;
        if (name == acl_name) {
            if (!set) return false;
            has_acl = true;
        }
    }
    // The folder's default ACL went to the new file; the old one has none.
    if (!has_acl && ::fremovexattr(file, acl_name) != 0 && errno != ENODATA && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        return false;
    return true;
}

bool reserve(int file, off_t size) {
    if (posix::retry([&] { return ::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size); }) == 0) return true;
    return errno != ENOSPC && errno != EDQUOT && errno != EFBIG;
}
#else
bool copy_attributes(const Path&, int) {
    return true;
}
bool reserve(int, off_t) {
    return true;
}
#endif

// Sets the permission bits. File systems without modes refuse: fine unless the file would be open to more
// people.
bool set_bits(int file, mode_t mode) {
    if (::fchmod(file, mode & 07777) == 0) return true;
    const int error_number = errno;
    struct stat status = {};
    if (::fstat(file, &status) == 0 && (status.st_mode & ~mode & 0777) == 0) return true;
    errno = error_number;
    return false;
}

enum class Replaced { done, only_in_place };

// Whether an errno of making or renaming the temporary file leaves hope for the way in place.
bool in_place_may_work(const Target& target, int error_number) {
    if (!target.exists) return false;
    switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
    case EBUSY:
    case EXDEV:
    case ETXTBSY:
        return true;
    default:
        return false;
    }
}

Outcome<Replaced> replace_by_rename(int folder, const Target& target, std::string_view bytes,
                                    std::optional<mode_t> mode) {
    const std::string prefix = temporary_prefix(target.name);
    remove_leftovers(folder, prefix);
    auto temporary = Temporary::create(folder, prefix);
    if (!temporary) {
        if (in_place_may_work(target, errno)) return Replaced::only_in_place;
        return because(errno, target.path);
    }

    struct stat fresh = {};
    struct stat around = {};
    if (::fstat(temporary->get(), &fresh) != 0 || ::fstat(folder, &around) != 0)
        return because(errno, target.path);
    if (target.exists) {
        if ((fresh.st_uid != target.old.st_uid || fresh.st_gid != target.old.st_gid) &&
            ::fchown(temporary->get(),
                     fresh.st_uid == target.old.st_uid ? static_cast<uid_t>(-1) : target.old.st_uid,
                     target.old.st_gid) != 0)
            return Replaced::only_in_place;
        if (!copy_attributes(target.path, temporary->get())) return Replaced::only_in_place;
    } else {
        posix::give_to_owner(temporary->get(), fresh, around);
    }
    if (!set_bits(temporary->get(), mode.value_or(target.exists ? target.old.st_mode : 0600)))
        return because(errno, target.path);

    if (posix::write_all(temporary->get(), bytes, 0) != 0 || posix::sync(temporary->get()) != 0)
        return because(errno, target.path);
    if (::renameat(folder, temporary->name().c_str(), folder, target.name.c_str()) != 0) {
        if (in_place_may_work(target, errno)) return Replaced::only_in_place;
        return because(errno, target.path);
    }
    temporary->keep();
    if (posix::sync(folder) != 0) {
        auto result = because(errno, target.path);
        result.value().state = "The new content is in place, but the disk did not confirm it.";
        return result;
    }
    return Replaced::done;
}

Outcome<void> replace_in_place(int folder, const Target& target, std::string_view bytes,
                               std::optional<mode_t> mode) {
    const Descriptor file(posix::retry([&] {
        return ::openat(folder, target.name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    }));
    if (!file.valid()) return because(errno, target.path);
    struct stat now = {};
    std::string old;
    if (::fstat(file.get(), &now) != 0) return because(errno, target.path);
    if (now.st_dev != target.old.st_dev || now.st_ino != target.old.st_ino)
        return trouble("another program has just replaced it", "try again");
    if (posix::read_all(file.get(), old, UINT64_MAX) != 0) return because(errno, target.path);

    // The copy is what is left to a person if the machine stops in the middle. Its name is not one that
    // remove_leftovers takes away.
    std::optional<Temporary> copy = Temporary::create(folder, temporary_prefix(target.name) + "old-");
    if (copy) {
        if (posix::write_all(copy->get(), old, 0) != 0 || posix::sync(copy->get()) != 0)
            return because(errno, target.path);
        posix::sync(folder);
    } else if (errno == ENOSPC || errno == EDQUOT) {
        return because(errno, target.path);
    }

    const bool change_mode = mode && (now.st_mode & 07777) != (*mode & 07777);
    if (change_mode && !set_bits(file.get(), *mode)) return because(errno, target.path);
    const auto size = static_cast<off_t>(bytes.size());
    const bool has_room = bytes.size() <= old.size() || reserve(file.get(), size);
    if (has_room && posix::write_all(file.get(), bytes, 0) == 0 && ::ftruncate(file.get(), size) == 0 &&
        posix::sync(file.get()) == 0)
        return {};

    auto result = because(errno, target.path);
    bool restored = has_room || ::ftruncate(file.get(), static_cast<off_t>(old.size())) == 0;
    if (has_room)
        restored = posix::write_all(file.get(), old, 0) == 0 &&
                   ::ftruncate(file.get(), static_cast<off_t>(old.size())) == 0;
    if (change_mode) ::fchmod(file.get(), now.st_mode & 07777);
    posix::sync(file.get());
    if (!restored) {
        result.value().state = "The file may be damaged: its old content could not be put back.";
        if (copy) {
            result.value().state = "The file may be damaged; its old content is in " +
                                   posix::shown(target.folder / copy->name()) + ".";
            copy->keep();
        }
    }
    return result;
}

} // namespace

Result<void> RealFileSystem::write(const Path& path, std::string_view bytes, std::optional<mode_t> mode) {
    auto target = posix::find_target(path);
    if (!target) return posix::cannot("write", path, posix::name_where_it_leads(path, target.error()));
    const Path& folder_path = target->folder;
    Descriptor folder(
        posix::retry([&] { return ::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
#ifdef O_PATH
    if (!folder.valid() && errno == EACCES) // a folder that may be entered but not listed
        folder = Descriptor(::open(folder_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
#endif
    if (!folder.valid()) {
        if (errno == ENOENT)
            return posix::cannot("write", path,
                                 {"the folder " + posix::shown(folder_path) + " does not exist"});
        return posix::cannot("write", path,
                             posix::name_where_it_leads(path, explain(errno, target->path, Purpose::write)));
    }

    const bool has_further_names = target->exists && target->old.st_nlink > 1;
    if (!has_further_names) {
        const auto replaced = replace_by_rename(folder.get(), *target, bytes, mode);
        if (!replaced)
            return posix::cannot("write", path, posix::name_where_it_leads(path, replaced.error()));
        if (*replaced == Replaced::done) return {};
    }
    if (auto done = replace_in_place(folder.get(), *target, bytes, mode); !done)
        return posix::cannot("write", path, posix::name_where_it_leads(path, done.error()));
    return {};
}

} // namespace dbx::system
