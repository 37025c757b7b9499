#include "core/system/programs.hpp"

#include "core/system/environment.hpp"
#include "core/system/posix.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

namespace dbx::system {

using posix::Descriptor;

namespace {

// The program in the foreground, for the handler below.
std::atomic<pid_t> foreground = 0;
static_assert(std::atomic<pid_t>::is_always_lock_free);

// The terminal's keys send to the whole foreground group, so the program has it already; what a process sends
// to us alone is passed on.
extern "C" void dbx_pass_signal_on(int number, siginfo_t* info, void*) {
    const int saved = errno;
    const pid_t child = foreground.load();
    if (child > 0 && info->si_code <= 0 && info->si_pid != child) ::kill(child, number);
    errno = saved;
}

// While it lives, the signals that end or stop a program are the child's.
class SignalsPassedOn {
  public:
    SignalsPassedOn() {
        struct sigaction action = {};
        action.sa_sigaction = dbx_pass_signal_on;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        ::sigemptyset(&action.sa_mask);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            ::sigaction(numbers[i], nullptr, &before_[i]);
            if (before_[i].sa_handler != SIG_IGN) ::sigaction(numbers[i], &action, nullptr); // nohup stays
        }
    }
    ~SignalsPassedOn() {
        foreground.store(0);
        for (std::size_t i = 0; i < numbers.size(); ++i) ::sigaction(numbers[i], &before_[i], nullptr);
    }
    SignalsPassedOn(const SignalsPassedOn&) = delete;
    SignalsPassedOn& operator=(const SignalsPassedOn&) = delete;

  private:
    static constexpr std::array numbers = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP};
    std::array<struct sigaction, numbers.size()> before_{};
};

// argv and envp of a Launch, as the system calls want them.
struct Words {
    std::vector<std::string> words, variables;
    std::vector<char*> argv, envp;

    explicit Words(const Launch& launch) {
        words.push_back(launch.program.string());
        words.insert(words.end(), launch.arguments.begin(), launch.arguments.end());
        for (const auto& [name, value] : launch.environment) variables.push_back(name + "=" + value);
        for (auto& word : words) argv.push_back(word.data());
        for (auto& variable : variables) envp.push_back(variable.data());
        argv.push_back(nullptr);
        envp.push_back(nullptr);
    }
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;
};

tl::unexpected<Error> cannot_start(const Path& program, int number) {
    return fail(ErrorKind::failed, "cannot start " + posix::shown(program), std::strerror(number),
                number == ENOEXEC ? "it is not a program for this machine"
                                  : "check that it is installed and executable");
}

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<Descriptor> open_shared(const Path& path) {
    Descriptor file(posix::retry([&] {
        return ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    }));
    if (!file.valid()) return posix::cannot("lock", path, posix::explain(errno, path, posix::Purpose::write));
    return file;
}

} // namespace

Result<int> run_in_foreground(const Launch& launch) {
    Words words(launch);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    // The program's own start: what we ignore for ourselves is not passed on, and nothing is blocked.
    sigset_t defaults, none;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::sigaddset(&defaults, SIGXFSZ);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes,
                               static_cast<short>(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    const SignalsPassedOn passed_on;
    // A signal that comes before the child's number is known waits until it is.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = 0;
    const int error = ::posix_spawn(&child, launch.program.c_str(), nullptr, &attributes, words.argv.data(),
                                    words.envp.data());
    if (error == 0) foreground.store(child);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) return cannot_start(launch.program, error);

    while (true) {
        int status = 0;
        const pid_t seen = posix::retry([&] { return ::waitpid(child, &status, WUNTRACED); });
        if (seen < 0)
            return fail(ErrorKind::failed, "cannot wait for " + posix::shown(launch.program),
                        std::strerror(errno));
        if (!WIFSTOPPED(status)) return exit_code_of(status);
        // Its job control is ours: the shell gets the terminal back, and wakes the group with `fg`.
        ::raise(SIGSTOP);
        ::kill(child, SIGCONT);
    }
}

Result<Started> start_in_background(const Launch& launch, const Path& log, std::string_view ready,
                                    std::chrono::milliseconds patience) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return cannot_start(launch.program, errno);
    const Descriptor output(ends[0]);
    Descriptor input(ends[1]);
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);

    Words words(launch);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
    sigset_t defaults, none;
    ::sigfillset(&defaults);
    ::sigdelset(&defaults, SIGKILL);
    ::sigdelset(&defaults, SIGSTOP);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    // A session of its own: no key of this terminal ends it.
    ::posix_spawnattr_setflags(
        &attributes, static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    pid_t child = 0;
    const int error = ::posix_spawn(&child, launch.program.c_str(), &actions, &attributes, words.argv.data(),
                                    words.envp.data());
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) return cannot_start(launch.program, error);
    input = Descriptor();

    Started started;
    started.process_id = child;
    constexpr std::size_t enough = 1U << 16U;
    const InterruptGuard interrupts;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto has_said_it = [&] {
        const auto at = started.output.find(ready);
        return at != std::string::npos && started.output.find('\n', at) != std::string::npos;
    };
    while (!has_said_it()) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
                .count();
        if (left <= 0 || InterruptGuard::interrupted() || started.output.size() > enough) {
            ::kill(child, SIGKILL);
            posix::retry([&] { return ::waitpid(child, nullptr, 0); });
            if (InterruptGuard::interrupted())
                return fail(ErrorKind::interrupted,
                            "interrupted while " + posix::shown(launch.program.filename()) + " started");
            return fail(ErrorKind::timeout, posix::shown(launch.program.filename()) + " did not start",
                        "it was not ready in time, and was ended",
                        "what it said stands in " + posix::shown(log));
        }
        struct pollfd wait = {output.get(), POLLIN, 0};
        constexpr long long look_every_ms = 200;
        if (::poll(&wait, 1, static_cast<int>(std::min<long long>(left, look_every_ms))) <= 0) continue;
        std::array<char, 4096> buffer{};
        const auto size = posix::retry([&] { return ::read(output.get(), buffer.data(), buffer.size()); });
        if (size <= 0) { // its end, or near it
            posix::retry([&] { return ::waitpid(child, nullptr, 0); });
            return started;
        }
        started.output.append(buffer.data(), static_cast<std::size_t>(size));
    }
    started.running = true;
    return started;
}

Result<Share> Share::take(const Path& path) {
    auto file = open_shared(path);
    if (!file) return fail(file.error());
    if (posix::retry([&] { return ::flock(file->get(), LOCK_SH); }) != 0)
        return posix::cannot("lock", path, posix::explain(errno, path, posix::Purpose::write));
    return Share(file->release());
}

Share::Share(Share&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

Share& Share::operator=(Share&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

Share::~Share() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

void Share::note(std::string_view text) const {
    if (::ftruncate(descriptor_, 0) == 0) posix::write_all(descriptor_, text, 0);
}

bool is_shared(const Path& path) {
    const Descriptor file(posix::retry(
        [&] { return ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }));
    return file.valid() && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0; // given back on close
}

} // namespace dbx::system
