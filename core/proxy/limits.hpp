#pragma once

#include "core/usage/limiter.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace dbx::proxy {

// The limiter with its lock, the real clocks, and those who wait in its lines. Any thread.
class Limits {
  public:
    using Limiter = usage::Limiter;
    // What became of one that waited. Called on any thread.
    using Told = std::function<void(const Limiter::Released&)>;

    Limits(); // without a rule

    // Other rules from now on; who waits and what is under way goes on by them. Each budget that is new
    // starts from what `used_since` tells (nothing: from zero).
    using UsedSince =
        std::function<std::optional<usage::Totals>(const usage::BudgetRule&, system::WallTime begin)>;
    void use(Limiter::Options options, const UsedSince& used_since);

    bool empty() const { return empty_; }

    // `told` is called once if the verdict is to wait, unless it is cancelled first.
    Limiter::Verdict admit(const Limiter::Ask& ask, Told told);
    void cancel(Limiter::TicketId ticket);
    void settle(Limiter::TicketId ticket, const Limiter::Spent& spent);
    // Counts a refusal: how many there were of this agent's requests since the last one that went.
    unsigned refused_in_a_row(const std::string& agent);

    // Lets those go whose time has come. Called at the time that `wake` asked for, and by settle and cancel.
    void run();
    // Called, on any thread, with the time at which run() is wanted.
    std::function<void(std::chrono::steady_clock::time_point)> wake;

    std::vector<Limiter::Level> levels() const;

  private:
    static usage::Moment now();

    mutable std::mutex guard_;
    Limiter limiter_;
    std::atomic<bool> empty_{true};
    struct Waiting {
        Told told;
        std::string agent;
    };
    std::unordered_map<Limiter::TicketId, Waiting> waiting_;
    std::map<std::string, unsigned, std::less<>> refused_; // by agent, since its last go
};

} // namespace dbx::proxy
