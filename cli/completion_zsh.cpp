#include "cli/completion.hpp"
#include "core/base/strings.hpp"

namespace dbx::cli {

namespace {

constexpr std::string_view head = R"zsh(#compdef dbx-agents
# zsh completion for dbx-agents. Made by: dbx-agents completion zsh

# The lines that the program knows for "agents", "profiles" or "models": a word, a tab, what it is.
_dbx_agents_ask() {
  local -a found
  local tab=$'\t'
  found=(${(f)"$(_call_program $1 ${(q)_dbx_agents_program} complete $1 2>/dev/null)"})
  found=("${(@)found//:/\\:}")
  found=("${(@)found/$tab/:}")
  _describe -t $1 ${1%s} found
}

)zsh";

// Inside single quotes, within a part of a spec that ends at `end`.
std::string escaped(std::string text, std::string_view special) {
    std::string result;
    for (const char c : text) {
        if (special.find(c) != std::string_view::npos || c == '\\') result += '\\';
        result += c;
    }
    return replace_all(std::move(result), "'", R"('\'')");
}

std::string action(const ValueInfo& value) {
    const auto label = ":" + escaped(value.label, ":") + ":";
    switch (value.takes) {
    case Takes::agent:
        return label + " _dbx_agents_ask agents";
    case Takes::model:
        return label + " _dbx_agents_ask models";
    case Takes::profile:
        return label + " _dbx_agents_ask profiles";
    case Takes::file:
        return label + "_files";
    case Takes::directory:
        return label + "_files -/";
    case Takes::word:
        return label + "(" + join(value.words, " ") + ")";
    case Takes::words:
        return label + "_values -s , " + escaped(value.label, " ,:") + " " + join(value.words, " ");
    case Takes::anything:
        return label + " ";
    case Takes::nothing:
        break;
    }
    return {};
}

// One spec of _arguments for each name of a flag.
std::vector<std::string> specs(const OptionInfo& flag) {
    std::vector<std::string> result;
    const auto excluded =
        join(flag.names, " ") + (flag.excludes.empty() ? "" : " " + join(flag.excludes, " "));
    for (const auto& name : flag.names) {
        std::string mark;
        if (flag.value.takes != Takes::nothing)
            mark = flag.value.optional ? "=-" : name.starts_with("--") ? "=" : "+";
        auto act = action(flag.value);
        if (flag.value.optional && !act.empty()) act = ":" + act;
        result.push_back("'(" + excluded + ")" + name + mark + "[" + escaped(brief(flag.about), "[]:") + "]" +
                         act + "'");
    }
    return result;
}

std::string function_of(const std::string& command) {
    return "_dbx-agents" + (command.empty() ? "" : "_" + replace_all(command, " ", "_"));
}

std::string_view about_of(const std::vector<CommandInfo>& commands, const std::string& name) {
    for (const auto& command : commands)
        if (command.name == name) return command.about;
    return {};
}

} // namespace

std::string zsh_completion(const std::vector<CommandInfo>& commands) {
    std::string global = "  '(- *)'{-h,--help}'[Print this help]'\n";
    for (const auto& flag : commands.front().flags)
        for (const auto& spec : specs(flag)) global += "  " + spec + "\n";
    std::string text = std::string(head) + "_dbx_agents_global=(\n" + global + ")\n";
    for (const auto& command : commands) {
        text += "\n" + function_of(command.name) + "() {\n";
        if (command.name.empty()) text += "  local _dbx_agents_program=$words[1]\n";
        const bool group = !command.below.empty();
        if (group) {
            text += "  local curcontext=$curcontext context state state_descr line ret=1\n  typeset -A "
                    "opt_args\n  local -a commands\n  commands=(\n";
            for (const auto& name : command.below) {
                const auto full = command.name.empty() ? name : command.name + " " + name;
                text += "    '" + name + ":" + escaped(std::string(about_of(commands, full)), ":") + "'\n";
            }
            text += "  )\n";
        }
        text += std::string("  _arguments ") + (group ? "-C " : "") + "-s -S $_dbx_agents_global";
        if (!command.name.empty())
            for (const auto& flag : command.flags)
                for (const auto& spec : specs(flag)) text += " \\\n    " + spec;
        if (group) {
            text += " \\\n    '1:command:->command' \\\n    '*:: :->rest' && ret=0\n";
            text += "  case $state in\n  command) _describe -t commands command commands && ret=0 ;;\n  "
                    "rest)\n    case $words[1] in\n";
            for (const auto& name : command.below)
                text += "    " + name + ") " +
                        function_of(command.name.empty() ? name : command.name + " " + name) +
                        " && ret=0 ;;\n";
            text += "    esac\n    ;;\n  esac\n  return ret\n}\n";
            continue;
        }
        for (const auto& argument : command.arguments) {
            auto act = action(argument.value);
            if (act.empty()) act = ": : ";
            text += " \\\n    '" +
                    std::string(argument.repeated   ? "*"
                                : argument.required ? ""
                                                    : ":") +
                    act + "'";
        }
        text += "\n}\n";
    }
    return text + "\nif [[ $funcstack[1] == _dbx-agents ]]; then\n  _dbx-agents \"$@\"\nelse\n  compdef "
                  "_dbx-agents dbx-agents\nfi\n";
}

} // namespace dbx::cli
