#include "core/system/overlay.hpp"

#include "core/system/posix.hpp"

namespace dbx::system {

namespace fs = std::filesystem;

Result<void> link_entries(const Path& real, const Path& folder, const std::set<std::string>& except) {
    std::error_code error;
    if (!fs::is_directory(real, error)) return {};
    for (fs::directory_iterator entry(real, error), end; !error && entry != end; entry.increment(error)) {
        const auto name = entry->path().filename();
        if (except.contains(name.string())) continue;
        std::error_code linked;
        fs::create_symlink(entry->path(), folder / name, linked);
        if (linked)
            return posix::cannot("make the link", folder / name,
                                 posix::explain(linked.value(), folder, posix::Purpose::write));
    }
    if (error) return posix::cannot("read", real, posix::explain(error.value(), real, posix::Purpose::read));
    return {};
}

void carry_back(const Path& folder, const Path& real, const std::set<std::string>& except) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const auto name = entry->path().filename();
        std::error_code here;
        if (except.contains(name.string()) || entry->is_symlink(here)) continue;
        fs::create_directories(real, here);
        Path target = fs::weakly_canonical(real / name, here);
        if (here) target = real / name;
        const auto there = fs::symlink_status(target, here);
        if (fs::is_regular_file(entry->symlink_status(here)) ? !fs::is_directory(there) : !fs::exists(there))
            fs::rename(entry->path(), target, here);
    }
}

void remove_tree(const Path& folder) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
}

} // namespace dbx::system
