#include "cli/command_line.hpp"
#include "cli/help_text.hpp"
#include "core/base/strings.hpp"

namespace dbx::cli {

namespace {

class Help : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("words", words_, "A command (tables create), or a topic")->type_name("COMMAND|TOPIC");
    }

    Result<int> run(Session& session) override {
        const auto text = text_of(join(words_, " "));
        if (!text) return fail(text.error());
        auto& out = session.output();
        if (out.json()) {
            out.document({{"help", *text}});
        } else {
            out.result(*text);
        }
        return 0;
    }

  private:
    Result<std::string> text_of(const std::string& name) const {
        if (const auto* topic = find_topic(name)) return help_text(*topic);
        GlobalOptions options;
        CommandLine line(options, words_, CommandLine::Declare::asked);
        if (const auto* app = line.find(name)) return help_text(describe(*app, name));
        std::vector<std::string> known;
        for (const auto& entry : command_table())
            if (entry.audience == Audience::people) known.emplace_back(entry.name);
        for (const auto& topic : topics()) known.emplace_back(topic.name);
        const auto near = nearest(name, known);
        return fail(ErrorKind::usage, "there is no help on '" + name + "'",
                    "it is neither a command nor a topic",
                    near.empty() ? "dbx-agents --help lists them" : "did you mean '" + near + "'?");
    }

    std::vector<std::string> words_;
};

} // namespace

std::unique_ptr<Command> make_help() {
    return std::make_unique<Help>();
}

} // namespace dbx::cli
