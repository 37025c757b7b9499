#pragma once

#include <span>
#include <string_view>

namespace dbx::cli {

// A thing to know that belongs to no single command. `help TOPIC` and the manual print the same words.
struct TopicEntry {
    std::string_view term; // empty: a paragraph of its own
    std::string_view text;
};
enum class Term { variable, path, code, plain }; // how the manual sets the terms
struct Topic {
    std::string_view name;    // "exit-codes"
    std::string_view section; // its heading in the manual: "EXIT STATUS"
    std::string_view intro;   // sentences
    Term term = Term::plain;
    std::span<const TopicEntry> entries;
};

std::span<const Topic> topics();
const Topic* find_topic(std::string_view name);

// What somebody would type, for the manual.
struct Example {
    std::string_view what;
    std::string_view command;
};
std::span<const Example> examples();

} // namespace dbx::cli
