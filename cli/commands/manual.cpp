#include "cli/manual.hpp"

#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class Manual : public Command {
  public:
    void declare(CLI::App&) override {}

    Result<int> run(Session& session) override {
        const auto page = manual_page(describe_all());
        auto& out = session.output();
        if (out.json()) {
            out.document({{"manual", page}});
        } else {
            out.result(page);
        }
        return 0;
    }
};

} // namespace

std::unique_ptr<Command> make_manual() {
    return std::make_unique<Manual>();
}

} // namespace dbx::cli
