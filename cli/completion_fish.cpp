#include "cli/completion.hpp"
#include "core/base/strings.hpp"

namespace dbx::cli {

namespace {

constexpr std::string_view head = R"fish(# fish completion for dbx-agents. Made by: dbx-agents completion fish

# The lines that the program knows for "agents", "profiles" or "models": a word, a tab, what it is.
function __dbx_agents_ask
    set -l words (commandline -opc)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    command $program complete $argv[1] 2>/dev/null
end

# The command that the line has before the cursor ("tables create"), and how many arguments follow it.
function __dbx_agents_line
    set -l words (commandline -opc)
    set -e words[1]
    set -l now ""
    set -l given 0
    set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case '-*'
                if contains -- ":$word" $__dbx_agents_takes_value; or contains -- "$now:$word" $__dbx_agents_takes_value
                    set skip yes
                end
            case '*'
                set -l next (string trim -- "$now $word")
                if contains -- $next $__dbx_agents_commands
                    set now $next
                else
                    set given (math $given + 1)
                end
        end
    end
    echo $now
    echo $given
end

# Whether the line is at that command, and, with a second argument, at that argument of it.
function __dbx_agents_at
    set -l line (__dbx_agents_line)
    test "$line[1]" = "$argv[1]"; and begin
        not set -q argv[2]; or test $line[2] = $argv[2]
    end
end

)fish";

std::string quoted(const std::string& text) {
    return "'" + replace_all(replace_all(text, "\\", "\\\\"), "'", "\\'") + "'";
}

// The options of `complete` for a value; for a flag -r says that it needs one.
std::string action(const ValueInfo& value, const std::string& needs) {
    switch (value.takes) {
    case Takes::agent:
        return " -f" + needs + " -a '(__dbx_agents_ask agents)'";
    case Takes::model:
        return " -f" + needs + " -a '(__dbx_agents_ask models)'";
    case Takes::profile:
        return " -f" + needs + " -a '(__dbx_agents_ask profiles)'";
    case Takes::file:
        return " -F" + needs;
    case Takes::directory:
        return " -f" + needs + " -a '(__fish_complete_directories)'";
    case Takes::word:
        return " -f" + needs + " -a " + quoted(join(value.words, " "));
    case Takes::words:
        return " -f" + needs + " -a '(__fish_append , " + join(value.words, " ") + ")'";
    case Takes::anything:
        return " -f" + needs;
    case Takes::nothing:
        break;
    }
    return {};
}

} // namespace

std::string fish_completion(const std::vector<CommandInfo>& commands) {
    std::string names, takes, lines;
    for (const auto& command : commands) {
        const std::string start = "complete -c dbx-agents";
        const auto at = command.name.empty() ? "" : " -n \"__dbx_agents_at " + quoted(command.name) + "\"";
        if (!command.name.empty()) names += " " + quoted(command.name);
        lines += "\n";
        if (command.name.empty()) lines += start + " -f\n" + start + " -s h -l help -d 'Print this help'\n";
        for (const auto& flag : command.flags) {
            lines += start + at;
            for (const auto& name : flag.names) {
                if (flag.value.takes != Takes::nothing && !flag.value.optional)
                    takes += " " + quoted(command.name + ":" + name);
                lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            }
            if (!flag.value.optional) lines += action(flag.value, " -r");
            lines += " -d " + quoted(brief(flag.about)) + "\n";
        }
        for (const auto& name : command.below) {
            const auto full = command.name.empty() ? name : command.name + " " + name;
            for (const auto& other : commands)
                if (other.name == full)
                    lines += start + " -n \"__dbx_agents_at " + quoted(command.name) + " 0\" -a " + name +
                             " -d " + quoted(other.about) + "\n";
        }
        for (std::size_t i = 0; i < command.arguments.size(); ++i) {
            const auto& argument = command.arguments[i];
            if (argument.value.takes == Takes::anything) continue;
            lines += start + " -n \"__dbx_agents_at " + quoted(command.name) +
                     (argument.repeated ? "" : " " + std::to_string(i)) + "\"" + action(argument.value, "") +
                     "\n";
        }
    }
    return std::string(head) + "set -g __dbx_agents_commands" + names + "\nset -g __dbx_agents_takes_value" +
           takes + "\n" + lines;
}

} // namespace dbx::cli
