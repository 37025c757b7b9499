#pragma once

#include "cli/output.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

namespace dbx::cli {

// One line on the terminal while something long runs: a turning mark, what is done, a bar when the total is
// known, its state, the seconds. Nothing in the first third of a second, and nothing at all where Output
// shows no progress. Gone at the end of its life. state() and count() may be called by any thread.
class Progress {
  public:
    Progress(Output& output, std::string what);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void state(std::string words);
    void count(std::size_t done, std::size_t total);

  private:
    void show(std::size_t turn);

    Output& output_;
    std::string what_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::mutex guard_;
    std::condition_variable wake_;
    std::string state_;
    std::size_t done_ = 0;
    std::size_t total_ = 0;
    bool over_ = false;
    std::thread ticker_;
};

} // namespace dbx::cli
