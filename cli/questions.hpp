#pragma once

#include "cli/output.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbx::cli {

// One answer that a question offers. It is taken by its number, or by its value as typed.
struct Choice {
    std::string value;
    std::string label;  // what is shown; empty: the value
    std::string remark; // beside it, dimmed
};

// Why an answer cannot be taken; empty: it can.
using Judge = std::function<std::string(const std::string& answer)>;

struct Question {
    std::string title; // a sentence, over the choices; may be empty
    std::vector<Choice> choices;
    std::string prompt;     // "Workspace"
    std::string otherwise;  // the value that Enter takes; empty: an answer must be typed
    bool free_text = false; // also what is no choice
    Judge judge;            // may be empty
};

// Questions on the terminal, one line for each answer: no cursor keys, no raw mode, so that any terminal will
// do and none is left in a strange state. Everything goes to stderr. A wrong answer is asked again, with the
// reason. nullopt: the input ended, or an interrupt came while an InterruptGuard lived.
class Questions {
  public:
    Questions(system::Console& console, Output& output)
        : console_(console)
        , output_(output) {}

    void say(std::string_view text);

    std::optional<std::string> ask(const Question& question);
    // Several of the choices, in their order; `otherwise` holds values with blanks between. "all" is every
    // choice.
    std::optional<std::vector<std::string>> ask_several(const Question& question);
    enum class Preset { yes, no };
    std::optional<bool> yes_no(std::string_view prompt, Preset preset);

  private:
    std::optional<std::string> line(std::string_view prompt);
    void show(const Question& question);
    void refuse(std::string_view reason);

    system::Console& console_;
    Output& output_;
};

} // namespace dbx::cli
