#include "cli/questions.hpp"

#include "core/base/strings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace dbx::cli {

namespace {

// The choice that a word names: its number, its value, or its label, in any case.
const Choice* named(const std::vector<Choice>& choices, const std::string& word) {
    std::size_t number = 0;
    const auto [end, wrong] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (wrong == std::errc() && end == word.data() + word.size())
        return number >= 1 && number <= choices.size() ? &choices[number - 1] : nullptr;
    for (const auto& choice : choices)
        if (choice.value == word) return &choice;
    for (const auto& choice : choices)
        if (to_lower(choice.value) == to_lower(word) || to_lower(choice.label) == to_lower(word))
            return &choice;
    return nullptr;
}

std::string no_such_choice(const std::vector<Choice>& choices, const std::string& word) {
    std::vector<std::string> values;
    for (const auto& choice : choices) values.push_back(choice.value);
    const std::string near = nearest(word, values);
    if (!near.empty()) return fmt::format("there is no '{}'; did you mean '{}'?", word, near);
    return choices.size() == 1 ? fmt::format("there is no '{}'; the only choice is 1", word)
                               : fmt::format("there is no '{}'; it is a number from 1 to {}, or a name", word,
                                             choices.size());
}

} // namespace

void Questions::say(std::string_view text) {
    console_.err(wrap(printable(text), output_.width(), 0) + "\n");
}

std::optional<std::string> Questions::line(std::string_view prompt) {
    console_.err(std::string(prompt) + " ");
    std::optional<std::string> answer;
    if (!system::InterruptGuard::interrupted()) answer = console_.read_line();
    if (!answer || system::InterruptGuard::interrupted()) {
        console_.err("\n");
        return std::nullopt;
    }
    return std::string(trim(*answer));
}

void Questions::show(const Question& question) {
    std::string text;
    if (!question.title.empty())
        text += "\n" + output_.styled_err(wrap(question.title, output_.width(), 0), Style::bold) + "\n";
    std::size_t widest = 0;
    for (const auto& choice : question.choices)
        widest = std::max(widest, (choice.label.empty() ? choice.value : choice.label).size());
    constexpr std::size_t head_width = 5;
    const auto room = static_cast<std::size_t>(std::max(output_.width(), 20));
    // Remarks stand beside their labels when all of them fit there, otherwise all below.
    const bool beside =
        std::all_of(question.choices.begin(), question.choices.end(), [&](const Choice& choice) {
            return head_width + widest + 2 + printable(choice.remark).size() <= room;
        });
    std::size_t number = 0;
    for (const auto& choice : question.choices) {
        const std::string label = printable(choice.label.empty() ? choice.value : choice.label);
        const std::string head = fmt::format("{:>3}  ", ++number);
        const std::string remark = printable(choice.remark);
        const std::string gap(widest - std::min(widest, label.size()) + 2, ' ');
        if (remark.empty() || beside) {
            text += head + label;
            if (!remark.empty()) text += gap + output_.styled_err(remark, Style::dim);
            text += "\n";
        } else {
            text += head + label + "\n" + std::string(head.size() + 2, ' ') +
                    output_.styled_err(wrap(remark, output_.width() - 2, static_cast<int>(head.size()) + 2),
                                       Style::dim) +
                    "\n";
        }
    }
    console_.err(text);
}

void Questions::refuse(std::string_view reason) {
    console_.err(output_.styled_err(wrap("  " + printable(reason), output_.width(), 2), Style::yellow) +
                 "\n");
}

std::optional<std::string> Questions::ask(const Question& question) {
    show(question);
    // Enter takes a choice's number where it has one: that is what stands in the list.
    std::string shown = question.otherwise;
    for (std::size_t i = 0; i < question.choices.size(); ++i)
        if (question.choices[i].value == question.otherwise) shown = std::to_string(i + 1);
    const std::string prompt =
        printable(question.prompt + (shown.empty() ? std::string() : " [" + shown + "]") + ":");
    while (true) {
        auto word = line(prompt);
        if (!word) return std::nullopt;
        std::string value;
        if (word->empty()) {
            if (question.otherwise.empty()) {
                refuse("an answer is needed here; Ctrl-C ends this, and nothing is changed");
                continue;
            }
            value = question.otherwise;
        } else if (const auto* choice = named(question.choices, *word)) {
            value = choice->value;
        } else if (question.free_text &&
                   (question.choices.empty() || word->find_first_not_of("0123456789") != std::string::npos)) {
            value = *word;
        } else {
            refuse(no_such_choice(question.choices, *word));
            continue;
        }
        const std::string reason = question.judge ? question.judge(value) : std::string();
        if (reason.empty()) return value;
        refuse(reason);
    }
}

std::optional<std::vector<std::string>> Questions::ask_several(const Question& question) {
    show(question);
    const std::string prompt =
        printable(question.prompt +
                  (question.otherwise.empty() ? std::string() : " [" + question.otherwise + "]") + ":");
    while (true) {
        auto answer = line(prompt);
        if (!answer) return std::nullopt;
        if (answer->empty()) answer = question.otherwise;
        std::vector<bool> taken(question.choices.size(), false);
        std::string wrong;
        for (const auto& word : split(replace_all(*answer, ",", " "), ' ')) {
            if (trim(word).empty()) continue;
            if (to_lower(word) == "all") {
                taken.assign(taken.size(), true);
            } else if (const auto* choice = named(question.choices, word)) {
                taken[static_cast<std::size_t>(choice - question.choices.data())] = true;
            } else if (wrong.empty()) {
                wrong = no_such_choice(question.choices, word);
            }
        }
        std::vector<std::string> values;
        for (std::size_t i = 0; i < taken.size(); ++i)
            if (taken[i]) values.push_back(question.choices[i].value);
        if (wrong.empty() && values.empty()) wrong = "at least one is needed: numbers or names, or all";
        if (wrong.empty() && question.judge) wrong = question.judge(join(values, " "));
        if (wrong.empty()) return values;
        refuse(wrong);
    }
}

std::optional<bool> Questions::yes_no(std::string_view prompt, Preset preset) {
    const std::string text = fmt::format("{} [{}]", prompt, preset == Preset::yes ? "Y/n" : "y/N");
    while (true) {
        const auto answer = line(text);
        if (!answer) return std::nullopt;
        const std::string word = to_lower(*answer);
        if (word.empty()) return preset == Preset::yes;
        if (word == "y" || word == "yes") return true;
        if (word == "n" || word == "no") return false;
        refuse("it is y or n");
    }
}

} // namespace dbx::cli
