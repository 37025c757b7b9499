#include "cli/completion.hpp"
#include "core/base/strings.hpp"

namespace dbx::cli {

namespace {

// Reads the line up to the cursor: the command, what stands before the cursor, and whether "--" is behind us.
// Without the bash-completion package nobody puts "--auth=he" together again, which readline splits at '='.
constexpr std::string_view head = R"bash(# bash completion for dbx-agents. Made by: dbx-agents completion bash

# The lines that the program knows for "agents", "profiles" or "models".
_dbx_agents_ask() {
    local program=${COMP_WORDS[0]/#\~/$HOME}
    type -P -- "$program" >/dev/null || program=dbx-agents
    command "$program" complete "$1" 2>/dev/null | cut -f 1
}

# Candidates from words in $1 that begin with $cur, each with $prefix before it.
_dbx_agents_offer() {
    local IFS=$'\n'
    COMPREPLY=($(compgen -P "$prefix" -W "$1" -- "$cur"))
}

# Some of the words in $1, with commas between; one that is there already is not offered again.
_dbx_agents_list() {
    local done= word words=
    if [[ $cur == *,* ]]; then
        done=${cur%,*},
        cur=${cur##*,}
    fi
    for word in $1; do
        [[ ,$done == *",$word,"* ]] || words+=$word$'\n'
    done
    prefix+=$done
    _dbx_agents_offer "$words"
}

_dbx_agents_files() {
    if type compopt >/dev/null 2>&1 && [[ -z $prefix ]]; then
        compopt -o "$1" # readline's own: it knows about quotes and blanks
    else
        local IFS=$'\n' action=-f
        [[ $1 == dirnames ]] && action=-d
        COMPREPLY=($(compgen -P "$prefix" "$action" -- "$cur"))
    fi
}

_dbx_agents() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= flag= prefix= last= end= given=0 i word
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; ++i)); do
        word=${COMP_WORDS[i]}
        if [[ -n $end ]]; then
            given=$((given + 1))
        elif [[ $word == = ]]; then
            flag=$last
        elif [[ -n $flag ]]; then
            flag=
        elif [[ $word == -- ]]; then
            end=yes
        elif [[ $word == -* ]]; then
            last=$word
            _dbx_agents_takes_value "$word" && flag=$word
        elif _dbx_agents_is_command "${command:+$command }$word"; then
            command=${command:+$command }$word
        else
            given=$((given + 1))
        fi
    done
    if [[ $cur == = && -n $last && -z $end ]]; then
        cur= flag=$last
    elif [[ $cur == --*=* && -z $end ]]; then # '=' is not among COMP_WORDBREAKS
        flag=${cur%%=*} prefix=${cur%%=*}= cur=${cur#*=}
    fi
    [[ $cur == [\"\']* ]] && cur=${cur:1}
    if [[ -n $flag ]]; then
        _dbx_agents_value
    elif [[ $cur == -* && -z $end ]]; then
        _dbx_agents_flags
    else
        _dbx_agents_argument
    fi
}

)bash";

std::string quoted(const std::string& text) {
    return "'" + replace_all(text, "'", R"('\'')") + "'";
}

std::string lines(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : "\\n") + word;
    return "$'" + text + "'";
}

std::string action(const ValueInfo& value) {
    switch (value.takes) {
    case Takes::agent:
        return "_dbx_agents_offer \"$(_dbx_agents_ask agents)\"";
    case Takes::model:
        return "_dbx_agents_offer \"$(_dbx_agents_ask models)\"";
    case Takes::profile:
        return "_dbx_agents_offer \"$(_dbx_agents_ask profiles)\"";
    case Takes::file:
        return "_dbx_agents_files default";
    case Takes::directory:
        return "_dbx_agents_files dirnames";
    case Takes::word:
        return "_dbx_agents_offer " + lines(value.words);
    case Takes::words:
        return "_dbx_agents_list " + quoted(join(value.words, " "));
    case Takes::nothing:
    case Takes::anything:
        break;
    }
    return {};
}

// A flag within its command: the pattern of a case. A global one stands anywhere.
std::string pattern(const CommandInfo& command, const OptionInfo& flag) {
    std::string text;
    for (const auto& name : flag.names)
        text += (text.empty() ? "" : "|") +
                (command.name.empty() ? "*" + quoted(":" + name) : quoted(command.name + ":" + name));
    return text;
}

} // namespace

std::string bash_completion(const std::vector<CommandInfo>& commands) {
    std::string takes, is, value, flags, argument;
    for (const auto& command : commands) {
        if (!command.name.empty()) is += (is.empty() ? "" : " | ") + quoted(command.name);
        std::vector<std::string> names =
            command.name.empty() ? std::vector<std::string>{"--help"} : std::vector<std::string>{};
        for (const auto& flag : command.flags) {
            names.push_back(flag.names.front());
            if (flag.value.takes == Takes::nothing) continue;
            if (!flag.value.optional) takes += (takes.empty() ? "" : " | ") + pattern(command, flag);
            if (const auto act = action(flag.value); !act.empty())
                value += "    " + pattern(command, flag) + ") " + act + " ;;\n";
        }
        if (command.name.empty()) {
            flags = "    local flags=" + lines(names) + "\n    case $command in\n";
        } else if (!names.empty()) {
            flags += "    " + quoted(command.name) + ") flags+=$'\\n'" + lines(names) + " ;;\n";
        }
        std::string acts;
        if (!command.below.empty()) acts += "[[ $given == 0 ]] && _dbx_agents_offer " + lines(command.below);
        for (std::size_t i = 0; i < command.arguments.size(); ++i) {
            const auto act = action(command.arguments[i].value);
            if (act.empty()) continue;
            if (!acts.empty()) acts += "\n        ";
            acts +=
                command.arguments[i].repeated ? act : "[[ $given == " + std::to_string(i) + " ]] && " + act;
        }
        if (!acts.empty()) argument += "    " + quoted(command.name) + ") " + acts + " ;;\n";
    }
    return std::string(head) + "_dbx_agents_is_command() {\n    case $1 in\n    " + is +
           ") return 0 ;;\n    esac\n    return 1\n}\n\n"
           "_dbx_agents_takes_value() {\n    case $command:$1 in\n    " +
           takes +
           ") return 0 ;;\n    esac\n    return 1\n}\n\n"
           "_dbx_agents_value() {\n    case $command:$flag in\n" +
           value + "    esac\n}\n\n_dbx_agents_flags() {\n" + flags +
           "    esac\n    _dbx_agents_offer \"$flags\"\n}\n\n_dbx_agents_argument() {\n    case $command "
           "in\n" +
           argument + "    esac\n}\n\ncomplete -F _dbx_agents dbx-agents\n";
}

} // namespace dbx::cli
