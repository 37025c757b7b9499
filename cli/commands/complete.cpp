#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/config_file.hpp"
#include "core/databricks/model_cache.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace dbx::cli {

namespace {

// A word and, after a tab, what it is.
using Candidates = std::vector<std::pair<std::string, std::string>>;

// Called by the completion scripts on each press of Tab: no network, no writing, and nothing said when
// something is wrong.
class Complete : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("kind", kind_, "What to look up")->type_name("agents|profiles|models")->required();
    }

    Result<int> run(Session& session) override {
        const auto found = kind_ == "agents"     ? agents(session)
                           : kind_ == "profiles" ? profiles(session)
                           : kind_ == "models"   ? models(session)
                                                 : Candidates();
        auto& out = session.output();
        if (out.json()) {
            nlohmann::ordered_json list = nlohmann::ordered_json::array();
            for (const auto& [word, about] : found) list.push_back({{"word", word}, {"about", about}});
            out.document({{kind_, list}});
            return 0;
        }
        std::string text;
        for (const auto& [word, about] : found) {
            if (has_controls(word)) continue;
            text += word + (about.empty() || has_controls(about) ? "" : "\t" + about) + "\n";
        }
        out.result(text);
        return 0;
    }

  private:
    static bool has_controls(const std::string& text) {
        return std::any_of(text.begin(), text.end(),
                           [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    }

    static Candidates agents(Session& session) {
        Candidates found;
        if (const auto catalogue = session.catalogue())
            for (const auto& agent : (*catalogue)->agents) found.emplace_back(agent.name, agent.display_name);
        return found;
    }

    static Candidates profiles(Session& session) {
        Candidates found;
        const auto home = system::home_directory(session.environment());
        if (!home) return found;
        const auto file = databricks::read_config_file(session.environment(), session.files(), *home);
        if (!file) return found;
        for (const auto& profile : file->profiles) {
            const auto* host = profile.find("host");
            found.emplace_back(profile.name, host != nullptr ? *host : "");
        }
        return found;
    }

    // 1. what `models` listed last, 2. the defaults of the templates.
    static Candidates models(Session& session) {
        Candidates found;
        const auto catalogue = session.catalogue();
        for (const auto& model : databricks::read_model_cache(session.environment(), session.files()))
            found.emplace_back(model.name,
                               catalogue ? join((*catalogue)->names_for(model.api_types), ", ") : "");
        if (!found.empty()) return found;
        if (catalogue) {
            for (const auto& agent : (*catalogue)->agents)
                for (const auto& [family, model] : agent.models)
                    if (std::none_of(found.begin(), found.end(),
                                     [&, &model = model](const auto& known) { return known.first == model; }))
                        found.emplace_back(model, "default of " + agent.display_name);
        }
        return found;
    }

    std::string kind_;
};

} // namespace

std::unique_ptr<Command> make_complete() {
    return std::make_unique<Complete>();
}

} // namespace dbx::cli
