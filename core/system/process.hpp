#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace dbx::system {

// A child process to run, without a shell. Its standard input is empty.
struct ProcessRequest {
    Path program;                                   // absolute; see find_program
    std::vector<std::string> arguments;             // without the program's own name
    std::map<std::string, std::string> environment; // all of it
    std::chrono::milliseconds timeout{30'000};
    std::size_t output_limit_bytes = 1U << 20U; // of each stream; what comes after it is thrown away
};

struct ProcessResult {
    int exit_code = 0; // 128 + signal for a child that a signal ended, as shells say it
    std::string out;
    std::string err;
    bool truncated = false; // one of the two was longer than the limit
};

// Runs child processes. Tests hand in their own.
class Process {
  public:
    virtual ~Process() = default;
    // Waits for the child. Errors: it cannot be started (kind failed), it took longer than the timeout (kind
    // timeout), we were interrupted (kind interrupted); in the last two the child's whole process group is
    // killed.
    virtual Result<ProcessResult> run(const ProcessRequest& request) = 0;
};

// The child gets a process group of its own, default signals and no open files of ours. Never leaves a
// zombie.
class RealProcess : public Process {
  public:
    Result<ProcessResult> run(const ProcessRequest& request) override;
};

} // namespace dbx::system
