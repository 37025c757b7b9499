#include "cli/agent_settings.hpp"

#include "cli/setup_plan.hpp"
#include "core/base/strings.hpp"

#include <optional>
#include <string_view>

namespace dbx::cli {

Result<void> read_agent_settings(const agents::Agent& agent, const state::Settings& settings,
                                 const std::string& model, agents::SetupRequest& request) {
    // Workspaces differ in the routes that they have; doctor finds out which one answers.
    if (const auto route = settings.find("agents." + agent.name + ".route")) {
        constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyz0123456789-._/";
        const auto& text = route->value;
        if (!text.starts_with('/') || text.ends_with('/') || text.find("//") != std::string::npos ||
            text.find("..") != std::string::npos || text.find_first_not_of(allowed) != std::string::npos)
            return fail(ErrorKind::usage, "the route from " + route->origin + " cannot be used",
                        "it is not a path such as /codex/v1", "correct it, or take it out");
        request.route = text;
    }

    for (const auto& [family, unused] : agent.models) {
        const std::string key = "agents." + agent.name + "." + (family == "main" ? "model" : family);
        const auto setting = settings.find(key);
        if (!setting) continue;
        if (const auto wrong = refuse_model(setting->value, setting->origin)) return fail(*wrong);
        request.models[family] = setting->value;
    }
    if (model.empty()) return {};
    if (const auto wrong = refuse_model(model, "--model")) return fail(*wrong);
    for (const auto& [family, unused] : agent.models) {
        if (family != "main" && icontains(model, family)) request.models[family] = model;
    }
    request.models["main"] = model;
    return {};
}

} // namespace dbx::cli
