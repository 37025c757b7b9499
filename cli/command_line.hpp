#pragma once

#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dbx::cli {

// The command table as CLI11 sees it.
class CommandLine {
  public:
    enum class Declare {
        asked, // only the command whose words stand in the arguments gets its options: a normal start
        all,   // every command: completions, manual
    };
    // The global flags are stored in `options`, which has to outlive this object.
    CommandLine(GlobalOptions& options, const std::vector<std::string>& arguments, Declare which);

    CLI::App& app() { return app_; }
    // The command or group of that full name ("tables create"; "" is the program); nullptr when there is
    // none.
    CLI::App* find(std::string_view name);
    // Where the parser stands: the deepest command that it has seen.
    CLI::App* chosen();
    // Null for a group, and for a command that is not declared.
    Command* command(const CLI::App* app);

  private:
    CLI::App app_;
    std::map<std::string, CLI::App*, std::less<>> apps_; // by full name
    std::map<const CLI::App*, std::unique_ptr<Command>> commands_;
};

// The names directly below a group ("" for the top), without those that are hidden.
std::vector<std::string> names_below(std::string_view group);

} // namespace dbx::cli
