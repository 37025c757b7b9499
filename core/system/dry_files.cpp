#include "core/system/dry_files.hpp"

#include "core/system/posix.hpp"

#include <unistd.h>

#include <algorithm>

namespace dbx::system {

using posix::cannot;

namespace {

// A name that is hardly taken: asks the file system below whether a folder takes new names.
constexpr const char* new_name = ".dbx-agents-dry-run";

std::string in_words(FileKind kind) {
    switch (kind) {
    case FileKind::missing:
        return "missing";
    case FileKind::regular:
        return "a file";
    case FileKind::directory:
        return "a folder";
    case FileKind::other:
        break;
    }
    return "a device";
}

} // namespace

// A removed symbolic link stands in `changed_` under its own path, everything else under the path it leads
// to.
Result<Path> DryFileSystem::resolve(const Path& path) {
    Path name = path;
    if (!name.has_filename()) name = name.parent_path(); // "link/"
    if (name.has_filename() && name.filename() != "." && name.filename() != "..") {
        const Path parent = name.parent_path();
        if (auto folder = below_.resolve(parent.empty() ? Path(".") : parent)) {
            Path itself = *folder / name.filename();
            if (changed_.contains(itself)) return itself;
        }
    }
    return below_.resolve(path);
}

Result<FileStatus> DryFileSystem::status(const Path& path) {
    const auto place = resolve(path);
    if (!place) return below_.status(path); // with the error that belongs to it
    const auto entry = changed_.find(*place);
    if (entry == changed_.end()) return below_.status(path);
    return entry->second.exists ? entry->second.status : FileStatus{};
}

Result<std::string> DryFileSystem::read(const Path& path, std::uint64_t limit_bytes) {
    const auto place = resolve(path);
    const auto entry = place ? changed_.find(*place) : changed_.end();
    if (entry == changed_.end()) return below_.read(path, limit_bytes);
    if (!entry->second.exists) return cannot("read", path, {"it does not exist"});
    if (entry->second.status.kind != FileKind::regular)
        return cannot("read", path, {"it is " + in_words(entry->second.status.kind) + ", not a file"});
    if (!entry->second.has_bytes) return below_.read(path, limit_bytes);
    if (entry->second.bytes.size() > limit_bytes)
        return cannot("read", path, {"it is larger than " + std::to_string(limit_bytes) + " bytes"});
    return entry->second.bytes;
}

Result<void> DryFileSystem::write(const Path& path, std::string_view bytes, std::optional<mode_t> mode) {
    if (auto allowed = check_writable(path); !allowed) return allowed;
    const auto place = resolve(path);
    if (!place) return tl::unexpected<Error>(place.error());
    const auto before = status(path);
    if (!before) return tl::unexpected<Error>(before.error());
    const auto folder = status(place->parent_path());
    if (!folder) return tl::unexpected<Error>(folder.error());
    if (folder->kind == FileKind::missing)
        return cannot("write", path,
                      {"the folder " + posix::shown(place->parent_path()) + " does not exist"});
    if (mode && before->kind == FileKind::regular && (before->mode & 07777) != (*mode & 07777))
        if (auto allowed = set_mode(path, *mode); !allowed) return allowed;

    Entry& entry = changed_[*place];
    entry.exists = true;
    entry.has_bytes = true;
    entry.bytes = bytes;
    entry.status = *before;
    if (before->kind == FileKind::missing) {
        entry.status.kind = FileKind::regular;
        entry.status.mode = 0600;
        entry.status.owner = ::geteuid() == 0 ? folder->owner : ::geteuid();
        entry.status.group = ::geteuid() == 0 && folder->owner != 0 ? folder->group : ::getegid();
    }
    if (mode) entry.status.mode = *mode & 07777;
    entry.status.size = bytes.size();
    return {};
}

Result<void> DryFileSystem::set_mode(const Path& path, mode_t mode) {
    const auto place = resolve(path);
    if (!place) return tl::unexpected<Error>(place.error());
    const auto now = status(path);
    if (!now) return tl::unexpected<Error>(now.error());
    if (now->kind == FileKind::missing) return cannot("change the mode of", path, {"it does not exist"});
    if (now->kind == FileKind::other) return cannot("change the mode of", path, {"it is a device"});
    if (::geteuid() != 0 && now->owner != ::geteuid())
        return cannot("change the mode of", path, {"it belongs to " + posix::user_name(now->owner)});
    Entry& entry = changed_[*place];
    entry.exists = true;
    entry.status = *now;
    entry.status.mode = mode & 07777;
    return {};
}

Result<void> DryFileSystem::remove(const Path& path) {
    const Path name = path.has_filename() ? path : path.parent_path();
    const auto folder = resolve(name.parent_path().empty() ? Path(".") : name.parent_path());
    if (!folder) return tl::unexpected<Error>(folder.error());
    const auto now = status(path);
    const Path itself = *folder / name.filename();
    const auto place = resolve(path);
    const bool is_link = place && *place != itself;
    if (now && now->kind == FileKind::directory && !is_link)
        return cannot("remove", path, {"it is a folder"});
    if (now && now->kind == FileKind::missing && !is_link) return {};
    if (auto allowed = below_.check_writable(*folder / new_name); !allowed) {
        Error error = allowed.error();
        return cannot("remove", path, {error.why, error.fix});
    }
    changed_[itself] = Entry{};
    return {};
}

Result<bool> DryFileSystem::remove_empty_directory(const Path& path) {
    const auto place = resolve(path);
    const auto now = status(path);
    if (!place || !now) return false;
    const Path name = path.has_filename() ? path : path.parent_path();
    const auto folder = resolve(name.parent_path().empty() ? Path(".") : name.parent_path());
    if (!folder || *place != *folder / name.filename() || now->kind != FileKind::directory) return false;
    const auto names = list(path);
    if (!names) return tl::unexpected<Error>(names.error());
    if (!names->empty()) return false;
    if (auto allowed = below_.check_writable(*folder / new_name); !allowed) {
        Error error = allowed.error();
        return cannot("remove the folder", path, {error.why, error.fix});
    }
    changed_[*place] = Entry{};
    return true;
}

Result<void> DryFileSystem::make_directories(const Path& path, mode_t mode) {
    const auto place = resolve(path);
    if (!place) return tl::unexpected<Error>(place.error());
    Path folder;
    FileStatus around;
    for (const auto& part : *place) {
        folder /= part;
        const auto now = status(folder);
        if (!now) return tl::unexpected<Error>(now.error());
        if (now->kind == FileKind::directory) {
            around = *now;
            continue;
        }
        if (now->kind != FileKind::missing)
            return cannot("create the folder", path,
                          {posix::shown(folder) + " is " + in_words(now->kind) + ", not a folder",
                           "move it out of the way"});
        if (auto allowed = below_.check_writable(folder); !allowed) {
            Error error = allowed.error();
            return cannot("create the folder", path, {error.why, error.fix});
        }
        Entry& entry = changed_[folder];
        entry = Entry{};
        entry.exists = true;
        entry.status.kind = FileKind::directory;
        entry.status.mode = (mode & 07777) | (around.mode & S_ISGID);
        entry.status.owner = ::geteuid() == 0 ? around.owner : ::geteuid();
        entry.status.group = (around.mode & S_ISGID) != 0 || ::geteuid() == 0 ? around.group : ::getegid();
        around = entry.status;
    }
    return {};
}

Result<std::vector<std::string>> DryFileSystem::list(const Path& path) {
    const auto place = resolve(path);
    if (!place) return tl::unexpected<Error>(place.error());
    const auto now = status(path);
    if (now && now->kind == FileKind::missing) return std::vector<std::string>{};
    auto names = below_.list(path); // a folder that is only here is missing there: no names
    if (!names) return names;
    for (const auto& [changed, entry] : changed_) {
        if (changed.parent_path() != *place) continue;
        const std::string name = changed.filename().native();
        const auto at = std::lower_bound(names->begin(), names->end(), name);
        const bool listed = at != names->end() && *at == name;
        if (entry.exists && !listed) names->insert(at, name);
        if (!entry.exists && listed) names->erase(at);
    }
    return names;
}

Result<void> DryFileSystem::check_writable(const Path& path) {
    const auto place = resolve(path);
    if (!place) return below_.check_writable(path);
    const auto entry = changed_.find(*place);
    if (entry != changed_.end() && entry->second.exists && entry->second.status.kind != FileKind::regular)
        return cannot("write", path, {"it is " + in_words(entry->second.status.kind) + ", not a file"});
    if (entry != changed_.end() && !entry->second.exists) // a removed one: it is the folder that counts
        return below_.check_writable(place->parent_path() / new_name);
    return below_.check_writable(path);
}

} // namespace dbx::system
