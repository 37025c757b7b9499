#include "core/databricks/models.hpp"

#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/model_cache.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

class Models : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--agent", agent_, "Only the models that this agent can use")->type_name("AGENT");
        app.add_option("--gateway", gateway_, "The gateway's root, used as it is")->type_name("URL");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_.value_or("");
        const auto named = session.agents_named(agent_ ? std::vector{*agent_} : std::vector<std::string>());
        if (!named) return fail(named.error());
        const auto* agent = named->empty() ? nullptr : named->front();
        const auto catalogue = session.catalogue();
        if (!catalogue) return fail(catalogue.error());
        const auto target = session.target();
        if (!target) return fail(target.error());
        if (!(*target)->workspace && !(*target)->gateway)
            return fail(databricks::no_workspace("cannot list the models"));
        const auto tokens = session.tokens();
        if (!tokens) return fail(tokens.error());
        const system::InterruptGuard guard;
        std::optional<databricks::Workspace> workspace, gateway;
        if ((*target)->workspace)
            workspace.emplace((*target)->workspace->value, **tokens, session.http(), session.pacer());
        if ((*target)->gateway)
            gateway.emplace((*target)->gateway->value, **tokens, session.http(), session.pacer());
        const auto list = [&] {
            const Progress progress(session.output(), "asking for the models");
            return databricks::list_models(workspace ? &*workspace : nullptr, gateway ? &*gateway : nullptr);
        }();
        if (!list) return fail(list.error());
        // For completions; a list that cannot be kept is still a list.
        if (auto kept = databricks::write_model_cache(list->models, session.environment(), session.files());
            !kept && session.output().verbose())
            session.output().note("the names are not kept for completions: " + kept.error().what);

        std::vector<databricks::Model> models;
        for (const auto& model : list->models)
            if (!agent || model.serves(agent->api_types)) models.push_back(model);
        auto& out = session.output();
        if (out.json()) {
            out.document(document_of(*list, models, **catalogue));
            return 0;
        }
        for (const auto& note : list->notes) out.note(note);
        if (agent && agent->api_types.empty())
            out.note("the template of " + agent->display_name +
                     " has no api_types, so nobody knows which models it can use: all are listed");
        if (models.empty()) {
            const auto count = list->models.size();
            out.note(!agent || count == 0 ? std::string("the workspace lists no model")
                     : count == 1         ? "the only model does not serve " + agent->name
                                  : "none of the " + std::to_string(count) + " models serves " + agent->name);
            return 0;
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& model : models) {
            rows.push_back({printable(model.name), printable(databricks::other_spelling(model.name)),
                            model.api_types.empty() ? "(its APIs are not told)"
                                                    : join((*catalogue)->names_for(model.api_types), ", ")});
        }
        out.result(columns(rows, 0));
        if (out.verbose()) out.note("told by: " + list->source);
        return 0;
    }

  private:
    static ordered_json document_of(const databricks::ModelList& list,
                                    const std::vector<databricks::Model>& models,
                                    const agents::Catalogue& catalogue) {
        ordered_json root;
        root["source"] = list.source;
        root["notes"] = list.notes;
        root["models"] = ordered_json::array();
        for (const auto& model : models) {
            const auto other = databricks::other_spelling(model.name);
            root["models"].push_back(
                {{"name", model.name},
                 {"other_spelling", other.empty() ? ordered_json(nullptr) : ordered_json(other)},
                 {"api_types", model.api_types},
                 {"agents", catalogue.names_for(model.api_types)}});
        }
        return root;
    }

    std::optional<std::string> agent_;
    std::optional<std::string> gateway_;
};

} // namespace

std::unique_ptr<Command> make_models() {
    return std::make_unique<Models>();
}

} // namespace dbx::cli
