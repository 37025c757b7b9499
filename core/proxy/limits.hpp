#pragma once

#include "core/usage/limiter.hpp"

#include <functional>
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

    explicit Limits(Limiter::Options options, system::WallTime now);

    bool empty() const { return empty_; }

    // `told` is called once if the verdict is to wait, unless it is cancelled first.
    Limiter::Verdict admit(const Limiter::Ask& ask, Told told);
    void cancel(Limiter::TicketId ticket);
    void settle(Limiter::TicketId ticket, const Limiter::Spent& spent);

    // Lets those go whose time has come. Called at the time that `wake` asked for, and by settle and cancel.
    void run();
    // Called, on any thread, with the time at which run() is wanted.
    std::function<void(std::chrono::steady_clock::time_point)> wake;

    std::vector<Limiter::Level> levels() const;
    system::WallTime budget_begin(std::size_t budget) const;
    void restore(std::size_t budget, const usage::Totals& used);

  private:
    static usage::Moment now();

    mutable std::mutex guard_;
    Limiter limiter_;
    const bool empty_;
    std::unordered_map<Limiter::TicketId, Told> waiting_;
};

} // namespace dbx::proxy
