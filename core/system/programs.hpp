#pragma once

#include "core/base/error.hpp"
#include "core/system/files.hpp"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::system {

// Programs that are more than a question and an answer (for those see process.hpp): one that has our
// terminal, and one that outlives us.

struct Launch {
    Path program;                                   // absolute
    std::vector<std::string> arguments;             // without the program's own name
    std::map<std::string, std::string> environment; // all of it
};

// Runs a program on our own standard streams, in our process group, and waits for its end; its exit code, or
// 128 + signal. What the terminal's keys send reaches it once and us not at all; a signal that somebody sends
// to us alone goes on to it; when it stops, we stop (the shell's job control), and go on with it. Errors: it
// cannot be started.
Result<int> run_in_foreground(const Launch& launch);

// Starts a program in a session of its own, with no input and its errors in the file `log` (0600, emptied
// first), and waits until it has printed a line that holds `ready`. Errors: it cannot be started, or has not
// said it within `patience` and was killed (kind timeout).
struct Started {
    long process_id = 0;
    bool running = false; // it has printed that line and goes on
    std::string output;   // up to that line, or all it has printed before its end
};
Result<Started> start_in_background(const Launch& launch, const Path& log, std::string_view ready,
                                    std::chrono::milliseconds patience);

// One of several processes that use the same thing: a shared flock on `path` (created, 0600), given back by
// the destructor, and by the system when the process dies.
class Share {
  public:
    static Result<Share> take(const Path& path);
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;
    ~Share();

    // The file's text from now on, for the others; best effort.
    void note(std::string_view text) const;

  private:
    explicit Share(int descriptor)
        : descriptor_(descriptor) {}
    int descriptor_ = -1;
};

// Whether any process holds a Share of it.
bool is_shared(const Path& path);

} // namespace dbx::system
