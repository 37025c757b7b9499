#include "cli/questions.hpp"

#include <doctest/doctest.h>

#include <deque>

using namespace dbx;
using namespace dbx::cli;

namespace {

// A terminal that types what a test says, and then nothing more.
class FakeConsole : public system::Console {
  public:
    FakeConsole(std::deque<std::string> lines, int width)
        : lines_(std::move(lines))
        , width_(width) {}
    void out(std::string_view) override {}
    void err(std::string_view text) override { shown += text; }
    bool out_is_terminal() const override { return true; }
    bool err_is_terminal() const override { return true; }
    bool in_is_terminal() const override { return true; }
    int width() const override { return width_; }
    std::optional<std::string> read_line() override {
        if (lines_.empty()) return std::nullopt;
        std::string line = lines_.front();
        lines_.pop_front();
        shown += line + "\n";
        return line;
    }
    bool ok() const override { return true; }

    std::string shown;

  private:
    std::deque<std::string> lines_;
    int width_;
};

Output::Options plain() {
    Output::Options options;
    options.color = false;
    return options;
}

struct Scene {
    explicit Scene(std::deque<std::string> lines, int width = 80)
        : console(std::move(lines), width)
        , output(console, plain())
        , questions(console, output) {}
    FakeConsole console;
    Output output;
    Questions questions;
};

Question fruit() {
    Question question;
    question.title = "Which fruit?";
    question.choices = {{"apple", "An apple", "red"}, {"pear", "A pear", ""}, {"fig", "", ""}};
    question.prompt = "Fruit";
    question.otherwise = "pear";
    return question;
}

} // namespace

TEST_CASE("a choice is taken by number, by value or by label, and Enter takes the one in brackets") {
    for (const auto& [typed, value] :
         {std::pair{"", "pear"}, {"1", "apple"}, {" FIG ", "fig"}, {"a pear", "pear"}}) {
        Scene scene({typed});
        CHECK(scene.questions.ask(fruit()) == value);
        CHECK(scene.console.shown == std::string("\nWhich fruit?\n  1  An apple  red\n  2  A pear\n  3  fig\n"
                                                 "Fruit [2]: ") +
                                         typed + "\n");
    }
}

TEST_CASE("a wrong answer is asked again with the reason") {
    Scene scene({"4", "0", "figs", "x", "fig", "apple"});
    auto question = fruit();
    question.judge = [](const std::string& answer) {
        return answer == "fig" ? std::string("figs are over") : std::string();
    };
    CHECK(scene.questions.ask(question) == "apple");
    const auto at = [&](std::string_view words) { return scene.console.shown.find(words); };
    CHECK(at("there is no '4'; it is a number from 1 to 3, or a name") < at("there is no '0'"));
    CHECK(at("there is no '0'") < at("there is no 'figs'; did you mean 'fig'?"));
    CHECK(at("there is no 'x'") < at("  figs are over\nFruit [2]: "));
    CHECK(at("  figs are over\nFruit [2]: ") != std::string::npos);
}

TEST_CASE("the end of the input is no answer") {
    CHECK(Scene({}).questions.ask(fruit()) == std::nullopt);
    CHECK(Scene({"7"}).questions.ask(fruit()) == std::nullopt);
    CHECK(Scene({}).questions.ask_several(fruit()) == std::nullopt);
    CHECK(Scene({"?"}).questions.yes_no("Sure?", Questions::Preset::no) == std::nullopt);
}

TEST_CASE("free text is what no choice is, but a number is meant as one") {
    auto question = fruit();
    question.free_text = true;
    CHECK(Scene({"a plum"}).questions.ask(question) == "a plum");
    CHECK(Scene({"9", "3"}).questions.ask(question) == "fig");
    question.choices.clear();
    CHECK(Scene({"8123"}).questions.ask(question) == "8123");
    question.otherwise.clear();
    CHECK(Scene({"", "plum"}).questions.ask(question) == "plum");
}

TEST_CASE("several are taken in the order of the list, each once") {
    auto question = fruit();
    question.otherwise = "pear fig";
    using List = std::vector<std::string>;
    CHECK(Scene({""}).questions.ask_several(question) == List{"pear", "fig"});
    CHECK(Scene({"fig, 1 fig"}).questions.ask_several(question) == List{"apple", "fig"});
    CHECK(Scene({"All"}).questions.ask_several(question) == List{"apple", "pear", "fig"});
    Scene scene({"1 plum", " , ", "2"});
    CHECK(scene.questions.ask_several(question) == List{"pear"});
    CHECK(scene.console.shown.find("there is no 'plum'") != std::string::npos);
    CHECK(scene.console.shown.find("at least one is needed") != std::string::npos);
}

TEST_CASE("yes and no have a preset") {
    CHECK(Scene({""}).questions.yes_no("Sure?", Questions::Preset::yes) == true);
    CHECK(Scene({""}).questions.yes_no("Sure?", Questions::Preset::no) == false);
    CHECK(Scene({"perhaps", "YES"}).questions.yes_no("Sure?", Questions::Preset::no) == true);
}

TEST_CASE("a narrow terminal has remarks below their choices, and control characters do nothing") {
    Scene scene({"\x1b[2J", "1"}, 24);
    auto question = fruit();
    question.choices.front().remark = "the red one of the three";
    CHECK(scene.questions.ask(question) == "apple");
    CHECK(scene.console.shown.find("  1  An apple\n       the red one of\n       the three\n") !=
          std::string::npos);
    CHECK(scene.console.shown.find("'\\x1b[2J'") != std::string::npos);
}
