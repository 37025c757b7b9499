#include "core/proxy/limits.hpp"

#include <utility>

namespace dbx::proxy {

Limits::Limits()
    : limiter_({}, now()) {}

void Limits::use(Limiter::Options options, const UsedSince& used_since) {
    struct Budget {
        std::size_t index;
        usage::BudgetRule rule;
        system::WallTime begin;
    };
    std::vector<Budget> fresh;
    {
        const std::lock_guard lock(guard_);
        const auto moment = now();
        for (const auto index : limiter_.change_rules(std::move(options), moment))
            fresh.push_back({index, limiter_.budget(index), limiter_.budget_begin(index, moment)});
        empty_ = limiter_.empty();
    }
    // Reading a ledger of a million rows takes most of a second: nobody waits for it.
    for (const auto& budget : fresh) {
        const auto used = used_since(budget.rule, budget.begin);
        if (!used) continue;
        const std::lock_guard lock(guard_);
        limiter_.restore(budget.index, *used);
    }
    run();
}

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
    if (ticket == 0) return;
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

} // namespace dbx::proxy
