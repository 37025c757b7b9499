#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

class TemplatesShow : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("name", name_, "The agent")->required()->type_name("AGENT");
    }

    Result<int> run(Session& session) override {
        const auto found = session.agents_named({name_});
        if (!found) return fail(found.error());
        const auto& agent = *found->front();
        auto& out = session.output();
        if (out.json()) {
            nlohmann::ordered_json root;
            root["agent"] = agent.name;
            root["origin"] = agent.origin;
            root["documents"] = nlohmann::ordered_json::object();
            for (const auto& [name, text] : agent.documents) root["documents"][name] = text;
            out.document(root);
            return 0;
        }
        bool first = true;
        for (const auto& [name, text] : agent.documents) {
            out.result(fmt::format("{}==> {}/{} <==\n{}", first ? "" : "\n", agent.name, name, text));
            first = false;
        }
        return 0;
    }

  private:
    std::string name_;
};

} // namespace

std::unique_ptr<Command> make_templates_show() {
    return std::make_unique<TemplatesShow>();
}

} // namespace dbx::cli
