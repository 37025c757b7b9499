#include "cli/help_text.hpp"

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::cli {

namespace {

constexpr int help_width = 80;
constexpr std::size_t column = 26; // where descriptions begin

// A term and its description beside it, or below when the term is long.
std::string line(const std::string& term, std::string_view about) {
    std::string text = "  " + term;
    if (about.empty()) return text + "\n";
    if (text.size() + 2 > column) {
        text += "\n" + std::string(column, ' ');
    } else {
        text.resize(column, ' ');
    }
    return text + wrap(about, help_width, static_cast<int>(column)) + "\n";
}

std::string_view about_of(const std::string& name) {
    for (const auto& entry : command_table())
        if (entry.name == name) return entry.about;
    return {};
}

std::string topic_names() {
    std::vector<std::string> names;
    for (const auto& topic : topics()) names.emplace_back(topic.name);
    return join(names, ", ");
}

} // namespace

std::string usage_of(const OptionInfo& argument) {
    const std::string name = argument.value.label + (argument.repeated ? "..." : "");
    return argument.required ? name : "[" + name + "]";
}

std::string spelling(const OptionInfo& flag) {
    auto names = flag.names;
    std::reverse(names.begin(), names.end()); // the short one first
    std::string text = join(names, ", ");
    if (flag.value.takes == Takes::nothing) return text;
    return text + (flag.value.optional ? "[=" + flag.value.label + "]" : " " + flag.value.label);
}

std::string help_text(const CommandInfo& command) {
    std::string text = wrap(command.about, help_width, 0) + "\n\n";
    std::string usage = "Usage: dbx-agents" + (command.name.empty() ? "" : " " + command.name) + " [OPTIONS]";
    for (const auto& argument : command.arguments) usage += " " + usage_of(argument);
    if (!command.below.empty()) usage += command.acts ? " [COMMAND]" : " COMMAND";
    text += usage + "\n";
    if (!command.arguments.empty()) {
        text += "\nArguments:\n";
        for (const auto& argument : command.arguments)
            text += line(argument.value.label + (argument.repeated ? "..." : ""), argument.about);
    }
    text += "\nOptions:\n" + line("-h, --help", "Print this help");
    for (const auto& flag : command.flags)
        text += line(spelling(flag), flag.about + (flag.required ? " (required)" : ""));
    if (!command.below.empty()) {
        text += "\nCommands:\n";
        for (const auto& name : command.below)
            text += line(name, about_of(command.name.empty() ? name : command.name + " " + name));
    }
    if (command.name.empty()) {
        text += "\nTopics (dbx-agents help TOPIC): " + topic_names() + "\n\n" +
                wrap("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a file cannot be parsed or written, 4 "
                     "no valid "
                     "credential, 5 the workspace refused, 6 timed out, 10 setup --check: something would "
                     "change, 11 "
                     "tables check: different, 12 tables check: missing, 130 interrupted.",
                     help_width, 0) +
                "\nConfiguration: ~/.config/dbx-agents/config.toml.\n";
    } else {
        text += "\n" +
                wrap("Every command has --json, --quiet, --verbose, --no-color, --config, --profile and "
                     "--workspace "
                     "as well: see dbx-agents --help.",
                     help_width, 0) +
                "\n";
    }
    return text;
}

std::string help_text(const Topic& topic) {
    std::string text;
    const auto add = [&](std::string_view paragraph) {
        if (!text.empty()) text += "\n";
        text += wrap(paragraph, help_width, 0) + "\n";
    };
    if (!topic.intro.empty()) add(topic.intro);
    if (topic.term == Term::plain) {
        for (const auto& entry : topic.entries) add(entry.text);
        return text;
    }
    text += "\n";
    const std::string margin(topic.term == Term::code ? 6 : 4, ' ');
    for (const auto& entry : topic.entries) {
        const auto words = wrap(entry.text, help_width, static_cast<int>(margin.size()));
        if (topic.term == Term::code) {
            std::string term = "  " + std::string(entry.term);
            term.resize(margin.size(), ' ');
            text += term + words + "\n";
        } else {
            text += std::string(entry.term) + "\n" + margin + words + "\n";
        }
    }
    return text;
}

} // namespace dbx::cli
