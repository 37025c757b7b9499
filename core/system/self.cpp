#include "core/system/self.hpp"

#include "core/system/posix.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <array>
#include <charconv>
#include <cstring>

namespace dbx::system {

int duplicate_descriptor(int descriptor) {
    return posix::retry([&] { return ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0); });
}

void close_descriptor(int descriptor) {
    ::close(descriptor);
}

void keep_memory_private() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
// LeakSanitizer looks at its own process with ptrace, which this forbids.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

std::size_t raise_open_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    constexpr rlim_t wanted = 1U << 16U;
    rlimit more = limit;
    more.rlim_cur = std::min(limit.rlim_max, wanted);
    if (more.rlim_cur > limit.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &more) == 0) limit = more;
    return static_cast<std::size_t>(limit.rlim_cur);
}

std::optional<long> lock_holder(const Path& path) {
    const posix::Descriptor file(posix::retry(
        [&] { return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }));
    if (!file.valid()) return std::nullopt;
    if (::flock(file.get(), LOCK_SH | LOCK_NB) == 0) return std::nullopt; // given back on close
    std::array<char, 32> text{};
    const auto size = posix::retry([&] { return ::pread(file.get(), text.data(), text.size(), 0); });
    long pid = 0;
    if (size > 0) std::from_chars(text.data(), text.data() + size, pid);
    return pid > 0 ? std::optional(pid) : std::nullopt;
}

Result<void> ask_to_end(long process_id) {
    if (process_id > 1 && ::kill(static_cast<pid_t>(process_id), SIGTERM) == 0) return {};
    return fail(ErrorKind::failed, "cannot end process " + std::to_string(process_id), std::strerror(errno),
                "");
}

bool process_exists(long process_id) {
    if (process_id <= 0 || (::kill(static_cast<pid_t>(process_id), 0) != 0 && errno != EPERM)) return false;
#ifdef __linux__
    // One that has ended and whose parent has not looked yet is there only by number: "PID (name) Z …".
    std::string text;
    const posix::Descriptor file(
        ::open(("/proc/" + std::to_string(process_id) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    if (file.valid() && posix::read_all(file.get(), text, 4096) == 0) {
        const auto name_end = text.rfind(')');
        if (name_end != std::string::npos && name_end + 2 < text.size() && text[name_end + 2] == 'Z')
            return false;
    }
#endif
    return true;
}

long process_id() {
    return static_cast<long>(::getpid());
}

} // namespace dbx::system
