#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class TemplatesExport : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("name", name_, "The agent")->required()->type_name("AGENT");
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        const auto found = session.agents_named({name_});
        if (!found) return fail(found.error());
        const auto& agent = *found->front();
        const auto root = agents::user_templates(session.environment());
        if (!root) return fail(root.error());
        const auto folder = *root / agent.name;
        const auto status = session.files().status(folder);
        if (!status) return fail(status.error());
        if (status->kind != system::FileKind::missing)
            return fail(ErrorKind::file, "cannot export the template to " + session.shown(folder),
                        "it is there already", "edit it, or move it away first");
        if (auto made = session.files().make_directories(folder, 0755); !made) return fail(made.error());
        for (const auto& [name, text] : agent.documents) {
            if (auto written = session.files().write(folder / name, text, 0644); !written)
                return fail(written.error());
        }
        auto& out = session.output();
        if (out.json()) {
            out.document({{"agent", agent.name}, {"folder", folder.string()}});
        } else {
            out.summary("Written to " + session.shown(folder) +
                        "; it is used from now on. Remove the folder to get the built-in template back.\n");
        }
        return 0;
    }

  private:
    std::string name_;
};

} // namespace

std::unique_ptr<Command> make_templates_export() {
    return std::make_unique<TemplatesExport>();
}

} // namespace dbx::cli
