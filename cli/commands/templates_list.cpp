#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class TemplatesList : public Command {
  public:
    void declare(CLI::App&) override {}

    Result<int> run(Session& session) override {
        const auto catalogue = session.catalogue();
        if (!catalogue) return fail(catalogue.error());
        auto& out = session.output();
        nlohmann::ordered_json root;
        root["templates"] = nlohmann::ordered_json::array();
        std::vector<std::vector<std::string>> rows;
        for (const auto& agent : (*catalogue)->agents) {
            root["templates"].push_back(
                {{"agent", agent.name}, {"display_name", agent.display_name}, {"origin", agent.origin}});
            rows.push_back({agent.name, agent.display_name, agent.origin});
        }
        for (const auto& [name, error] : (*catalogue)->broken) {
            root["templates"].push_back({{"agent", name}, {"error", error.what + ": " + error.why}});
            out.warning(error.what + ": " + error.why);
        }
        if (out.json()) {
            out.document(root);
        } else {
            out.result(columns(rows, 0));
        }
        return 0;
    }
};

} // namespace

std::unique_ptr<Command> make_templates_list() {
    return std::make_unique<TemplatesList>();
}

} // namespace dbx::cli
