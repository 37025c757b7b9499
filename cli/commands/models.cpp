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
        if (agent_) {
            if (auto wrong = refuse_agent(*agent_)) return fail(*wrong);
        }
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
            if (!agent_ || model.serves(*agent_)) models.push_back(model);
        auto& out = session.output();
        if (out.json()) {
            out.document(document_of(*list, models));
            return 0;
        }
        for (const auto& note : list->notes) out.note(note);
        if (models.empty()) {
            const auto count = list->models.size();
            out.note(!agent_ || count == 0 ? std::string("the workspace lists no model")
                     : count == 1          ? "the only model does not serve " + *agent_
                                  : "none of the " + std::to_string(count) + " models serves " + *agent_);
            return 0;
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& model : models) {
            const auto agents = databricks::agents_for(model.api_types);
            rows.push_back({printable(model.name), printable(databricks::other_spelling(model.name)),
                            model.api_types.empty() ? "(its APIs are not told)" : join(agents, ", ")});
        }
        out.result(columns(rows, 0));
        if (out.verbose()) out.note("told by: " + list->source);
        return 0;
    }

  private:
    static std::optional<Error> refuse_agent(const std::string& agent) {
        if (!databricks::api_types_of(agent).empty()) return std::nullopt;
        const std::vector<std::string> known = {"claude", "codex", "copilot", "cursor", "gemini", "opencode"};
        const auto near = nearest(agent, known);
        return Error{ErrorKind::usage,
                     "it is not known which models the agent '" + agent + "' can use",
                     "known agents: " + join(known, ", "),
                     near.empty() ? "use one of them, or leave --agent out" : "did you mean '" + near + "'?",
                     {}};
    }

    static ordered_json document_of(const databricks::ModelList& list,
                                    const std::vector<databricks::Model>& models) {
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
                 {"agents", databricks::agents_for(model.api_types)}});
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
