#include "core/system/environment.hpp"
#include "core/system/files.hpp"
#include "core/system/posix.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace dbx::system {

using posix::Descriptor;
using posix::explain;
using posix::Purpose;

namespace {

// Who wrote its process id into the lock file; 0 when nothing sensible is there.
long holder(int descriptor) {
    std::array<char, 32> text{};
    const auto size = posix::retry([&] { return ::pread(descriptor, text.data(), text.size(), 0); });
    long pid = 0;
    if (size > 0) std::from_chars(text.data(), text.data() + size, pid);
    return std::max(pid, 0L);
}

tl::unexpected<Error> still_held(int descriptor, const Path& path) {
    const long pid = holder(descriptor);
    const std::string process = pid > 0 ? "process " + std::to_string(pid) : "another process";
    return fail(ErrorKind::timeout, "cannot get the lock " + posix::shown(path), process + " holds it",
                pid > 0 ? "wait until it is done, or look at it: ps -fp " + std::to_string(pid)
                        : "wait until it is done");
}

} // namespace

Result<Lock> Lock::acquire(const Path& path, int timeout_ms) {
    using SteadyClock = std::chrono::steady_clock;
    const auto deadline = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
    constexpr int pause_ms = 20;
    if (path.native().find('\0') != std::string::npos)
        return posix::cannot("lock", path, {"the path has a NUL byte in it"});
    while (true) {
        Descriptor file(posix::retry([&] {
            return ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                          0600);
        }));
        if (!file.valid()) {
            const int error_number = errno;
            if (error_number == ELOOP)
                return posix::cannot("lock", path, {"it is a symbolic link", "remove the link"});
            if (error_number == ENOENT)
                return posix::cannot("lock", path,
                                     {"the folder " + posix::shown(path.parent_path()) + " does not exist"});
            return posix::cannot("lock", path, explain(error_number, path, Purpose::write));
        }
        struct stat status = {};
        struct stat folder = {};
        if (::fstat(file.get(), &status) != 0)
            return posix::cannot("lock", path, explain(errno, path, Purpose::write));
        if (!S_ISREG(status.st_mode))
            return posix::cannot("lock", path,
                                 {"it is " + posix::kind_in_words(status.st_mode) + ", not a file"});
        if (::stat((path.parent_path().empty() ? Path(".") : path.parent_path()).c_str(), &folder) == 0 &&
            status.st_uid == ::geteuid())
            posix::give_to_owner(file.get(), status, folder);

        while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK && errno != EINTR)
                return posix::cannot("lock", path, explain(errno, path, Purpose::write));
            if (InterruptGuard::interrupted())
                return fail(ErrorKind::interrupted,
                            "interrupted while waiting for the lock " + posix::shown(path));
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
            if (left <= 0) return still_held(file.get(), path);
            ::poll(nullptr, 0, static_cast<int>(std::min<long long>(left, pause_ms)));
        }

        // The file may have been removed while we waited; then another process may hold the lock on a new
        // one.
        struct stat now = {};
        if (::lstat(path.c_str(), &now) != 0 || now.st_dev != status.st_dev || now.st_ino != status.st_ino)
            continue;
        // Only a help for people: without room for it the lock holds as well.
        const std::string pid = std::to_string(::getpid()) + "\n";
        if (::ftruncate(file.get(), 0) == 0) posix::write_all(file.get(), pid, 0);
        return Lock(file.release());
    }
}

Lock::Lock(Lock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

Lock& Lock::operator=(Lock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

Lock::~Lock() {
    if (descriptor_ < 0) return;
    [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, 0);
    ::close(descriptor_);
}

} // namespace dbx::system
