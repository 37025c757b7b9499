#include "cli/progress.hpp"

#include <fmt/format.h>

#include <array>

namespace dbx::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto first_after = 300ms; // what is done by then needs no line
constexpr auto turn_every = 100ms;
constexpr std::array<std::string_view, 8> marks = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"};
constexpr std::size_t bar_width = 12;

std::string bar(std::size_t done, std::size_t total) {
    const auto full = bar_width * std::min(done, total) / total;
    return "[" + std::string(full, '#') + std::string(bar_width - full, '-') + "]";
}

} // namespace

Progress::Progress(Output& output, std::string what)
    : output_(output)
    , what_(std::move(what)) {
    if (!output_.shows_progress()) return;
    ticker_ = std::thread([this] {
        std::unique_lock lock(guard_);
        wake_.wait_for(lock, first_after, [this] { return over_; });
        for (std::size_t turn = 0; !over_; ++turn) {
            show(turn);
            wake_.wait_for(lock, turn_every, [this] { return over_; });
        }
    });
}

Progress::~Progress() {
    {
        const std::lock_guard lock(guard_);
        over_ = true;
    }
    wake_.notify_all();
    if (ticker_.joinable()) ticker_.join();
    output_.progress("");
}

void Progress::state(std::string words) {
    const std::lock_guard lock(guard_);
    state_ = std::move(words);
}

void Progress::count(std::size_t done, std::size_t total) {
    const std::lock_guard lock(guard_);
    done_ = done;
    total_ = total;
}

void Progress::show(std::size_t turn) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_).count();
    const auto count = total_ > 1 ? fmt::format(" {} {} of {} done", bar(done_, total_), done_, total_) : "";
    output_.progress(fmt::format("{} {}{}{}{}, {} s", marks[turn % marks.size()], what_, count,
                                 state_.empty() ? "" : ": ", state_, seconds));
}

} // namespace dbx::cli
