#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace dbx::usage {

// How much of something there was in the last 60 seconds: exact, in bounded memory. Amounts less than a
// quarter of a second apart lie together and leave together, when the last of them is 60 seconds old; so the
// sum is never less than the true one, and about 240 entries are enough at any rate.
class RecentMinute {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds window{60};

    // Times that are handed in never go back.
    void add(Time now, double amount) {
        forget(now);
        sum_ += amount;
        if (!entries_.empty() && now - entries_.back().first < together) {
            entries_.back().last = now;
            entries_.back().amount += amount;
            return;
        }
        entries_.push_back({now, now, amount});
    }
    // Part of what was added then turned out not to be: nothing when it has left already.
    void take_back(Time then, double amount) {
        for (auto at = entries_.rbegin(); at != entries_.rend() && at->last >= then; ++at) {
            if (at->first > then) continue;
            at->amount -= amount;
            sum_ -= amount;
            return;
        }
    }
    void forget(Time now) {
        while (!entries_.empty() && now - entries_.front().last >= window) {
            sum_ -= entries_.front().amount;
            entries_.pop_front();
        }
        if (entries_.empty()) sum_ = 0; // of fractions something may be left
    }
    double sum() const { return sum_; } // as of the last forget()
    std::size_t entries() const { return entries_.size(); }

    // How long until no more than `rest` is left of it, when nothing is added. `rest` is not below 0.
    std::chrono::steady_clock::duration until(double rest, Time now) const {
        double left = sum_;
        for (const auto& entry : entries_) {
            if (left <= rest) break;
            left -= entry.amount;
            if (left <= rest || &entry == &entries_.back()) return entry.last + window - now;
        }
        return std::chrono::steady_clock::duration(0);
    }

  private:
    static constexpr std::chrono::milliseconds together{250};
    struct Entry {
        Time first, last;
        double amount;
    };
    std::deque<Entry> entries_;
    double sum_ = 0;
};

} // namespace dbx::usage
