#include "cli/manual.hpp"

#include "cli/topics.hpp"
#include "core/base/strings.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace dbx::cli {

namespace {

constexpr std::string_view date = "November 28, 2026"; // of the last change of its words
constexpr std::size_t line_width = 78;                 // mandoc's own style check allows 80

// A code point's name in roff; UTF-8 is not certain to pass through every formatter.
std::string code_point(std::string_view text, std::size_t& at) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    std::uint32_t value = lead & (0x3FU >> more);
    for (std::size_t i = 0; i < more && at + 1 < text.size(); ++i)
        value = (value << 6U) | (static_cast<unsigned char>(text[++at]) & 0x3FU);
    return fmt::format("\\[u{:04X}]", value);
}

// Text that roff prints as it is.
std::string escaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\') {
            result += "\\e";
        } else if (c == '-') {
            result += "\\-";
        } else if (c == '\'') {
            result += "\\(aq";
        } else if (c == '~') {
            result += "\\(ti";
        } else if (static_cast<unsigned char>(c) >= 0x80) {
            result += code_point(text, i);
        } else {
            result += c;
        }
    }
    return result;
}

bool ends_sentence(std::string_view word) {
    return word.ends_with('.') || word.ends_with('?') || word.ends_with('!');
}

// Running text: short lines, and each sentence on a line of its own, as mdoc wants it.
std::string prose(std::string_view text) {
    std::string result, line;
    const auto flush = [&] {
        if (line.empty()) return;
        if (line.front() == '.') line.insert(0, "\\&");
        result += line + "\n";
        line.clear();
    };
    for (const auto& word : split(text, ' ')) {
        const auto safe = escaped(word);
        if (safe.empty()) continue;
        if (!line.empty() && line.size() + 1 + safe.size() > line_width) flush();
        line += (line.empty() ? "" : " ") + safe;
        if (ends_sentence(word)) flush();
    }
    flush();
    return result;
}

// One argument of a macro.
std::string argument(std::string_view text) {
    return "\"" + replace_all(escaped(text), "\"", "\\(dq") + "\"";
}

// "Fl Fl auth Ns = Ns Ar FORM", for a macro's line.
std::string flag_macros(const OptionInfo& flag) {
    std::string text;
    for (auto name = flag.names.rbegin(); name != flag.names.rend(); ++name)
        text += (text.empty() ? "" : " , ") + std::string(name->starts_with("--") ? "Fl Fl " : "Fl ") +
                argument(std::string_view(*name).substr(name->starts_with("--") ? 2 : 1));
    if (flag.value.takes == Takes::nothing) return text;
    const auto value = "Ar " + argument(flag.value.label);
    return text + (flag.value.optional ? " Ns Op = Ns " + value : " " + value);
}

std::string flag_list(const std::vector<OptionInfo>& flags) {
    if (flags.empty()) return {};
    std::string text = ".Bl -tag -width Ds\n";
    for (const auto& flag : flags)
        text +=
            ".It " + flag_macros(flag) + "\n" + prose(flag.about + (flag.required ? " (required)." : "."));
    return text + ".El\n";
}

std::string command_item(const CommandInfo& command) {
    std::string head = ".It Cm " + argument(command.name);
    for (const auto& each : command.arguments) {
        const auto name = "Ar " + argument(each.value.label + (each.repeated ? " ..." : ""));
        head += each.required ? " " + name : " Oo " + name + " Oc";
    }
    std::string text = head + "\n" + prose(command.about + ".");
    for (const auto& each : command.arguments)
        if (!each.about.empty())
            text += ".Pp\n.Ar " + argument(each.value.label) + " :\n" + prose(each.about + ".");
    const auto flags = flag_list(command.flags);
    return text + (flags.empty() ? "" : flags);
}

std::string topic_section(const Topic& topic) {
    std::string text = ".Sh " + std::string(topic.section) + "\n" + prose(topic.intro);
    if (topic.term == Term::plain) {
        bool first = topic.intro.empty();
        for (const auto& entry : topic.entries) {
            text += (first ? "" : ".Pp\n") + prose(entry.text);
            first = false;
        }
        return text;
    }
    text += ".Bl -tag -width Ds\n";
    for (const auto& entry : topic.entries) {
        text += ".It";
        bool first = true;
        const std::string_view macro = topic.term == Term::variable ? "Ev"
                                       : topic.term == Term::path   ? "Pa"
                                                                    : "Li";
        for (const auto& term : split(entry.term, ',')) {
            text +=
                (first ? " " : " , ") + (topic.term == Term::code ? "" : std::string(macro) + " ") +
                argument(term.starts_with(' ') ? std::string_view(term).substr(1) : std::string_view(term));
            first = false;
        }
        text += "\n" + prose(entry.text);
    }
    return text + ".El\n";
}

std::string section(std::string_view name) {
    for (const auto& topic : topics())
        if (topic.name == name) return topic_section(topic);
    return {};
}

} // namespace

std::string manual_page(const std::vector<CommandInfo>& commands) {
    std::string text = ".\\\" Made by: dbx-agents manual\n.Dd " + std::string(date) +
                       "\n.Dt DBX-AGENTS 1\n.Os\n"
                       ".Sh NAME\n.Nm dbx-agents\n.Nd coding agents behind the Databricks AI Gateway\n"
                       ".Sh SYNOPSIS\n.Nm\n.Op Ar option ...\n.Ar command\n.Op Ar argument ...\n"
                       ".Sh DESCRIPTION\n.Nm\n";
    text += prose("configures coding agents (Cursor, Codex CLI, Gemini CLI, Claude Code) so that they use "
                  "the Databricks "
                  "AI Gateway, and leaves every other byte of their files as it is. It creates the "
                  "OpenTelemetry tables "
                  "of Unity Catalog, and runs a local proxy that holds the token, keeps limits and books "
                  "what was used.");
    text +=
        ".Pp\n" +
        prose("Results go to standard output; progress, warnings and errors go to standard error. Colour, "
              "progress and questions appear only on a terminal.");
    text += ".Pp\nEvery command has these options:\n" + flag_list(commands.front().flags);
    text += ".Sh COMMANDS\n.Bl -tag -width Ds\n";
    for (const auto& command : commands)
        if (command.acts && !command.name.empty()) text += command_item(command);
    text += ".El\n";
    for (const auto* name : {"environment", "files", "exit-codes"}) text += section(name);
    text += ".Sh EXAMPLES\n";
    bool first = true;
    for (const auto& example : examples()) {
        text += (first ? "" : ".Pp\n") + prose(example.what) + ".Bd -literal -offset indent\n";
        for (const auto& line : split(example.command, '\n')) text += escaped(line) + "\n";
        text += ".Ed\n";
        first = false;
    }
    text += ".Sh SEE ALSO\n" + prose("The AI Gateway and its coding agents:") +
            ".Lk https://docs.databricks.com/aws/en/ai\\-gateway/\n";
    return text + section("security");
}

} // namespace dbx::cli
