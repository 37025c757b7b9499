#include "cli/completion.hpp"

#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class Completion : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("shell", shell_, "The shell")->type_name("bash|zsh|fish")->required();
    }

    Result<int> run(Session& session) override {
        std::string (*const make)(const std::vector<CommandInfo>&) = shell_ == "bash"   ? bash_completion
                                                                     : shell_ == "zsh"  ? zsh_completion
                                                                     : shell_ == "fish" ? fish_completion
                                                                                        : nullptr;
        if (make == nullptr) {
            const auto near = nearest(shell_, {"bash", "zsh", "fish"});
            return fail(ErrorKind::usage, "there is no completion for '" + shell_ + "'",
                        "known shells: bash, zsh, fish",
                        near.empty() ? "use one of them" : "did you mean '" + near + "'?");
        }
        const auto script = make(describe_all());
        auto& out = session.output();
        if (out.json()) {
            out.document({{"shell", shell_}, {"script", script}});
        } else {
            out.result(script);
        }
        return 0;
    }

  private:
    std::string shell_;
};

} // namespace

std::unique_ptr<Command> make_completion() {
    return std::make_unique<Completion>();
}

} // namespace dbx::cli
