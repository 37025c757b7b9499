#include "core/proxy/limits.hpp"

#include <utility>

namespace dbx::proxy {

Limits::Limits(Limiter::Options options, system::WallTime wall)
    : limiter_(std::move(options), {std::chrono::steady_clock::now(), wall})
    , empty_(limiter_.empty()) {}

usage::Moment Limits::now() {
    return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

Limits::Limiter::Verdict Limits::admit(const Limiter::Ask& ask, Told told) {
    if (empty_) return {};
    Limiter::Verdict verdict;
    std::optional<std::chrono::steady_clock::time_point> next;
    {
        const std::lock_guard lock(guard_);
        verdict = limiter_.admit(ask, now());
        if (verdict.decision == Limiter::Decision::wait) {
            waiting_.emplace(verdict.ticket, Waiting{std::move(told), std::string(ask.agent)});
            next = limiter_.next_wakeup();
        } else if (verdict.decision == Limiter::Decision::go && !refused_.empty()) {
            if (const auto found = refused_.find(ask.agent); found != refused_.end()) refused_.erase(found);
        }
    }
    if (next && wake) wake(*next);
    return verdict;
}

void Limits::cancel(Limiter::TicketId ticket) {
    {
        const std::lock_guard lock(guard_);
        waiting_.erase(ticket);
        limiter_.cancel(ticket, now());
    }
    run();
}

void Limits::settle(Limiter::TicketId ticket, const Limiter::Spent& spent) {
    if (empty_ || ticket == 0) return;
    {
        const std::lock_guard lock(guard_);
        limiter_.settle(ticket, spent, now());
        if (waiting_.empty()) return;
    }
    run();
}

unsigned Limits::refused_in_a_row(const std::string& agent) {
    const std::lock_guard lock(guard_);
    return ++refused_[agent];
}

void Limits::run() {
    std::vector<std::pair<Told, Limiter::Released>> told;
    std::optional<std::chrono::steady_clock::time_point> next;
    {
        const std::lock_guard lock(guard_);
        for (auto& released : limiter_.run(now())) {
            const auto found = waiting_.find(released.ticket);
            if (found == waiting_.end()) continue;
            if (released.decision == Limiter::Decision::go) refused_.erase(found->second.agent);
            told.emplace_back(std::move(found->second.told), std::move(released));
            waiting_.erase(found);
        }
        next = limiter_.next_wakeup();
    }
    for (auto& [tell, released] : told) tell(released);
    if (next && wake) wake(*next);
}

std::vector<Limits::Limiter::Level> Limits::levels() const {
    const std::lock_guard lock(guard_);
    return limiter_.levels(now());
}

system::WallTime Limits::budget_begin(std::size_t budget) const {
    const std::lock_guard lock(guard_);
    return limiter_.budget_begin(budget, now());
}

void Limits::restore(std::size_t budget, const usage::Totals& used) {
    const std::lock_guard lock(guard_);
    limiter_.restore(budget, used);
}

} // namespace dbx::proxy
