#include "core/system/console.hpp"

#include "core/system/environment.hpp"
#include "core/system/posix.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace dbx::system {

void open_standard_streams() {
    // The wrong direction on purpose: a write to a closed stdout still fails, as it should.
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
        [[maybe_unused]] const int opened =
            ::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

void RealConsole::write(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const auto written = posix::retry([&] { return ::write(descriptor, text.data(), text.size()); });
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) { // a terminal that another program made non-blocking
            struct pollfd wait = {descriptor, POLLOUT, 0};
            posix::retry([&] { return ::poll(&wait, 1, -1); });
            continue;
        }
        // Nobody may be listening on stderr (a cron job); the result on stdout is what counts.
        if (errno != EPIPE && descriptor == STDOUT_FILENO) ok_ = false;
        return;
    }
}

void RealConsole::out(std::string_view text) {
    write(STDOUT_FILENO, text);
}
void RealConsole::err(std::string_view text) {
    write(STDERR_FILENO, text);
}

bool RealConsole::out_is_terminal() const {
    return ::isatty(STDOUT_FILENO) == 1;
}
bool RealConsole::err_is_terminal() const {
    return ::isatty(STDERR_FILENO) == 1;
}
bool RealConsole::in_is_terminal() const {
    return ::isatty(STDIN_FILENO) == 1;
}

int RealConsole::width() const {
    for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
        struct winsize size = {};
        if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    }
    return 80;
}

std::optional<std::string> RealConsole::read_line() {
    constexpr std::size_t longest = 1U << 20U;
    const auto take = [this](std::size_t length, std::size_t skip) {
        std::string line = pending_.substr(0, length);
        pending_.erase(0, length + skip);
        if (line.ends_with('\r')) line.pop_back();
        return line;
    };
    std::size_t searched = 0;
    while (true) {
        if (const auto end = pending_.find('\n', searched); end != std::string::npos) return take(end, 1);
        searched = pending_.size();
        if (searched > longest) return take(searched, 0);
        std::array<char, 4096> buffer; // NOLINT: filled by read
        const auto count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count > 0) {
            pending_.append(buffer.data(), static_cast<std::size_t>(count));
            continue;
        }
        if (count < 0 && errno == EINTR && !InterruptGuard::interrupted()) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd wait = {STDIN_FILENO, POLLIN, 0};
            if (::poll(&wait, 1, -1) >= 0 || (errno == EINTR && !InterruptGuard::interrupted())) continue;
            return std::nullopt;
        }
        if (count < 0 || pending_.empty()) return std::nullopt;
        return take(pending_.size(), 0);
    }
}

} // namespace dbx::system
