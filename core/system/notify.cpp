#include "core/system/notify.hpp"

#include "core/base/strings.hpp"
#include "core/system/posix.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace dbx::system {

void notify_service_manager(const Environment& environment, std::string_view assignments) {
    const auto name = environment.get("NOTIFY_SOCKET");
    struct sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (!name || name->size() < 2 || name->size() >= sizeof address.sun_path) return;
    if (name->front() != '/' && name->front() != '@') return;
    std::copy(name->begin(), name->end(), address.sun_path);
    if (name->front() == '@') address.sun_path[0] = '\0'; // Linux's abstract names
    const posix::Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return;
    const auto size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + name->size());
    posix::retry([&] {
        return ::sendto(socket.get(), assignments.data(), assignments.size(), MSG_NOSIGNAL,
                        reinterpret_cast<const struct sockaddr*>(&address), size);
    });
}

std::string no_user_namespaces(FileSystem& files) {
    // Debian's and Ubuntu's switches, and the kernel's own limit.
    constexpr std::pair<const char*, std::string_view> closed[] = {
        {"/proc/sys/kernel/unprivileged_userns_clone", "0"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
        {"/proc/sys/user/max_user_namespaces", "0"}};
    constexpr std::uint64_t limit = 64;
    for (const auto& [path, value] : closed) {
        if (const auto text = files.read(path, limit); text && trim(*text) == value)
            return std::string(path) + " is " + std::string(value);
    }
    return {};
}

} // namespace dbx::system
