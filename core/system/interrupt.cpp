#include "core/system/environment.hpp"

#include <signal.h>

#include <array>
#include <atomic>
#include <mutex>

namespace dbx::system {

namespace {

constexpr std::array signals = {SIGINT, SIGTERM, SIGHUP};

std::atomic<bool> flag = false; // lock-free, so a handler may set it
static_assert(std::atomic<bool>::is_always_lock_free);

std::mutex guard; // of the two below
int guards = 0;
std::array<struct sigaction, signals.size()> before;

extern "C" void dbx_note_signal(int) {
    flag.store(true);
}

} // namespace

InterruptGuard::InterruptGuard() {
    const std::lock_guard lock(guard);
    if (guards++ > 0) return;
    flag.store(false);
    struct sigaction action = {};
    action.sa_handler = dbx_note_signal;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = 0; // no SA_RESTART: a wait for input or a lock ends
    for (std::size_t i = 0; i < signals.size(); ++i) {
        ::sigaction(signals[i], nullptr, &before[i]);
        // nohup and background jobs ignore some of them; that stays. So does a handler of somebody who
        // waits for signals himself (the proxy's event loop).
        if (before[i].sa_handler == SIG_DFL) ::sigaction(signals[i], &action, nullptr);
    }
}

InterruptGuard::~InterruptGuard() {
    const std::lock_guard lock(guard);
    if (--guards > 0) return;
    for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before[i], nullptr);
}

void InterruptGuard::interrupt() {
    flag.store(true);
}

bool InterruptGuard::interrupted() {
    return flag.load();
}

} // namespace dbx::system
