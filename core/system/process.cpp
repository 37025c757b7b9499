#include "core/system/process.hpp"

#include "core/system/environment.hpp"
#include "core/system/posix.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

namespace dbx::system {

using posix::Descriptor;

namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// "30 seconds", "1 second", "0.3 seconds".
std::string in_words(milliseconds time) {
    const auto tenths = (time.count() + 50) / 100;
    std::string text = std::to_string(tenths / 10);
    if (tenths % 10 != 0) text += "." + std::to_string(tenths % 10);
    return text + (text == "1" ? " second" : " seconds");
}

struct Pipe {
    Descriptor read;
    Descriptor write;
};

std::optional<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return std::nullopt;
    Pipe result{Descriptor(ends[0]), Descriptor(ends[1])};
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return result;
}

// While SIGCHLD is ignored (some parents pass that on) the kernel reaps our child and its status is lost.
class ChildStatusKept {
  public:
    ChildStatusKept() {
        ::sigaction(SIGCHLD, nullptr, &before_);
        if (before_.sa_handler != SIG_IGN) return;
        struct sigaction action = {};
        action.sa_handler = SIG_DFL;
        ::sigaction(SIGCHLD, &action, nullptr);
        changed_ = true;
    }
    ~ChildStatusKept() {
        if (changed_) ::sigaction(SIGCHLD, &before_, nullptr);
    }
    ChildStatusKept(const ChildStatusKept&) = delete;
    ChildStatusKept& operator=(const ChildStatusKept&) = delete;

  private:
    struct sigaction before_ = {};
    bool changed_ = false;
};

// posix_spawn's two attribute objects, destroyed in any case.
struct SpawnPlan {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    SpawnPlan() {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
    }
    ~SpawnPlan() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

// 0 and the child's id, or an errno.
int start(const ProcessRequest& request, int out, int err, pid_t& child) {
    SpawnPlan plan;
    ::posix_spawn_file_actions_addopen(&plan.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&plan.actions, out, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&plan.actions, err, STDERR_FILENO);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    ::posix_spawn_file_actions_addclosefrom_np(&plan.actions, STDERR_FILENO + 1);
#endif
    sigset_t none, defaults;
    ::sigemptyset(&none);
    ::sigfillset(&defaults);
    ::sigdelset(&defaults, SIGKILL);
    ::sigdelset(&defaults, SIGSTOP);
    ::posix_spawnattr_setsigmask(&plan.attributes, &none);
    ::posix_spawnattr_setsigdefault(&plan.attributes, &defaults);
    ::posix_spawnattr_setpgroup(&plan.attributes, 0);
    ::posix_spawnattr_setflags(
        &plan.attributes,
        static_cast<short>(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));

    std::vector<std::string> words = {request.program.string()};
    words.insert(words.end(), request.arguments.begin(), request.arguments.end());
    std::vector<std::string> variables;
    for (const auto& [name, value] : request.environment) variables.push_back(name + "=" + value);
    const auto pointers = [](std::vector<std::string>& texts) {
        std::vector<char*> result;
        for (auto& text : texts) result.push_back(text.data());
        result.push_back(nullptr);
        return result;
    };
    auto argv = pointers(words);
    auto envp = pointers(variables);
    return ::posix_spawn(&child, request.program.c_str(), &plan.actions, &plan.attributes, argv.data(),
                         envp.data());
}

// Reads what is there. False once the stream has ended.
bool drain(Descriptor& from, std::string& to, std::size_t limit, bool& truncated) {
    std::array<char, 16384> buffer{};
    while (true) {
        const auto size = posix::retry([&] { return ::read(from.get(), buffer.data(), buffer.size()); });
        if (size > 0) {
            const auto room = std::min(limit - to.size(), static_cast<std::size_t>(size));
            to.append(buffer.data(), room);
            truncated = truncated || room < static_cast<std::size_t>(size);
            // One buffer at a time: an endless writer must not keep us from looking at the clock.
            return true;
        }
        return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
}

int exit_code_of(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : 255;
}

// Ends the child and everything it started: politely, then for good.
void end_group(pid_t child) {
    ::kill(-child, SIGTERM);
    const auto patience = SteadyClock::now() + milliseconds(300);
    int status = 0;
    bool reaped = false;
    while (SteadyClock::now() < patience && !reaped) {
        reaped = ::waitpid(child, &status, WNOHANG) == child;
        if (!reaped) ::poll(nullptr, 0, 10);
    }
    ::kill(-child, SIGKILL); // what is left of the group, also without its leader
    if (!reaped) posix::retry([&] { return ::waitpid(child, &status, 0); });
}

} // namespace

Result<ProcessResult> RealProcess::run(const ProcessRequest& request) {
    const std::string name = request.program.filename().string();
    const auto refuse = [&](int number) {
        return fail(ErrorKind::failed, "cannot start " + posix::shown(request.program), std::strerror(number),
                    number == ENOEXEC ? "it is not a program for this machine"
                                      : "check that it is installed and executable");
    };
    const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (!request.program.is_absolute() || has_nul(request.program.native()) ||
        std::any_of(request.arguments.begin(), request.arguments.end(), has_nul))
        return refuse(EINVAL);

    const InterruptGuard interrupts;
    const ChildStatusKept status_kept;
    auto out = make_pipe();
    auto err = make_pipe();
    if (!out || !err) return refuse(errno);
    pid_t child = -1;
    if (const int error = start(request, out->write.get(), err->write.get(), child); error != 0)
        return refuse(error);
    out->write = Descriptor();
    err->write = Descriptor();

    ProcessResult result;
    bool out_open = true, err_open = true;
    int pause_ms = 1;
    const auto deadline = SteadyClock::now() + request.timeout;
    while (true) {
        int status = 0;
        const pid_t reaped = ::waitpid(child, &status, WNOHANG);
        const bool ended = reaped == child || (reaped < 0 && errno != EINTR);
        // Before a look at the streams: what the child wrote before its end is in the pipe by now.
        for (std::size_t rounds = 0; rounds < 256; ++rounds) {
            const auto before = result.out.size() + result.err.size();
            if (out_open)
                out_open = drain(out->read, result.out, request.output_limit_bytes, result.truncated);
            if (err_open)
                err_open = drain(err->read, result.err, request.output_limit_bytes, result.truncated);
            if (result.out.size() + result.err.size() == before) break;
        }
        if (ended) {
            // A grandchild may keep the pipes open (a key ring service): not ours to wait for.
            result.exit_code = reaped == child ? exit_code_of(status) : 255;
            return result;
        }
        const auto left = std::chrono::ceil<milliseconds>(deadline - SteadyClock::now());
        if (InterruptGuard::interrupted()) {
            end_group(child);
            return fail(ErrorKind::interrupted, name + " was interrupted");
        }
        if (left.count() <= 0) {
            end_group(child);
            return fail(ErrorKind::timeout, name + " did not answer",
                        "it was ended after " + in_words(request.timeout),
                        "run it by hand to see what it waits for: " + posix::shown(request.program));
        }
        std::array<struct pollfd, 2> wait = {
            {{out_open ? out->read.get() : -1, POLLIN, 0}, {err_open ? err->read.get() : -1, POLLIN, 0}}};
        // Short waits once the streams have ended: only the child's exit is left, and nothing wakes us for
        // it.
        const bool streams = out_open || err_open;
        const long long pause = streams ? 50 : pause_ms;
        if (!streams) pause_ms = std::min(pause_ms * 2, 20);
        ::poll(wait.data(), wait.size(), static_cast<int>(std::min<long long>(left.count(), pause)));
    }
}

} // namespace dbx::system
