#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace dbx::cli {

// What a flag or an argument takes. The type name that its declaration gives decides:
//   FILE, DIR, AGENT, MODEL, PROFILE   looked up when the user asks for a completion
//   COMMAND|TOPIC                      the commands and the topics of help
//   on|off, ID|NAME|auto               one of the words; those in capitals stand for anything
//   metrics,logs,traces                some of the words, with commas between
//   any other (URL, N, NAME)           not completed
enum class Takes { nothing, anything, word, words, file, directory, agent, model, profile };

struct ValueInfo {
    Takes takes = Takes::nothing;
    std::string label;              // the type name
    std::vector<std::string> words; // for word and words
    bool optional = false;          // stands behind '=' or not at all
};

struct OptionInfo {
    std::vector<std::string> names; // "--yes", "-y"; none for an argument
    std::string about;
    ValueInfo value;
    bool required = false;
    bool repeated = false;
    std::vector<std::string> excludes; // names of flags that it cannot stand beside
};

struct CommandInfo {
    std::string name; // "tables create"; "" for the program itself
    std::string about;
    std::vector<OptionInfo> flags; // as declared, without --help
    std::vector<OptionInfo> arguments;
    std::vector<std::string> below; // "create" for "tables"; nothing hidden
    bool acts = false;              // false for a group that only holds others
};

// What is declared on `app`; `name` is its full name.
CommandInfo describe(const CLI::App& app, std::string_view name);

// The whole program: the global flags first (name ""), then every command of the table that is not hidden.
std::vector<CommandInfo> describe_all();

// The first words of a description, for a list of completions.
std::string brief(std::string_view about);

} // namespace dbx::cli
