#pragma once

#include "core/base/error.hpp"

#include <memory>
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace dbx::cli {

class Session;

// One command, parsed: its options are its members.
class Command {
  public:
    virtual ~Command() = default;
    // Declares options and arguments on `app`, with this object's members as their storage.
    virtual void declare(CLI::App& app) = 0;
    // Does it. The value is the exit code (0, or one of the contract's special ones such as 10).
    virtual Result<int> run(Session& session) = 0;
    // The sentence that an error is followed by; commands that change nothing have none.
    virtual std::string_view state_after_error() const { return {}; }
};

// Who calls a command: one for scripts and shells is in no help, completion or manual.
enum class Audience { people, programs };

// A line of the command table: dispatch, help, completions and manual read it.
struct CommandEntry {
    std::string_view name;              // "tables create"
    std::string_view about;             // one line; for a group without its own action as well
    std::unique_ptr<Command> (*make)(); // null for a group
    Audience audience = Audience::people;
};

std::span<const CommandEntry> command_table();

} // namespace dbx::cli
