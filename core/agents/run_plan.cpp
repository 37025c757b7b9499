#include "core/agents/run_plan.hpp"

#include "core/agents/values.hpp"
#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

using edit::Value;

// Agents send even loopback requests to a company's proxy unless NO_PROXY names the address.
std::string no_proxy(const system::Environment& environment) {
    std::string there = environment.get("NO_PROXY").value_or("");
    if (there.empty()) there = environment.get("no_proxy").value_or("");
    return merge_entries(there, {"127.0.0.1", "localhost"});
}

Variables variables_for(const Agent& agent, const RunRequest& request,
                        const system::Environment& environment) {
    const SetupRequest& setup = request.setup;
    Variables variables;
    variables.values["gateway"] = setup.proxy; // the local proxy has the gateway's own routes
    variables.values["route"] = setup.route.empty() ? agent.route : setup.route;
    variables.values["workspace"] = setup.workspace;
    const auto models = models_for(agent, setup.models);
    variables.values["model"] = models.at("main");
    for (const auto& [family, model] : models) variables.values["model." + family] = model;
    variables.values["local_key"] = setup.local_key.reveal();
    variables.secrets.push_back("local_key");
    variables.values["no_proxy"] = no_proxy(environment);
    for (const auto& [name, document] : agent.run->files)
        variables.values["run." + name] = (request.folder / document).string();
    return variables;
}

// The document filled in: JSON leaf by leaf, so that a value's quotes stay inside it; other text as it is.
Result<std::string> filled(const Agent& agent, const std::string& document, const Variables& variables) {
    if (document_format(document) != edit::Format::json) return render_text(agent, document, variables);
    const auto leaves = render(agent, document, edit::Format::json, variables);
    if (!leaves) return fail(leaves.error());
    Value root = Value::object();
    for (const auto& leaf : *leaves) {
        Value* at = &root;
        for (const auto& name : leaf.path) at = &(*at)[name];
        *at = leaf.value;
    }
    return root.dump();
}

// One line of text with its placeholders.
Result<std::string> filled_line(const Agent& agent, const std::string& text, const Variables& variables) {
    Agent line;
    line.name = agent.name;
    line.documents["agent.toml"] = text;
    return render_text(line, "agent.toml", variables);
}

} // namespace

std::string toml_argument(const edit::Value& value) {
    // JSON's spelling of strings, numbers, booleans and arrays of them is TOML's as well.
    return value.dump(-1, ' ', true);
}

std::string reserved_flag(const RunForm& run, const std::vector<std::string>& arguments) {
    for (const auto& argument : arguments) {
        if (argument == "--") break;
        for (const auto& flag : run.reserved)
            if (argument == flag || argument.starts_with(flag + "=")) return flag;
    }
    return {};
}

Result<RunPlan> plan_run(const Agent& agent, const RunRequest& request, const state::Journal& journal,
                         const system::Environment& environment, system::FileSystem& files,
                         system::WallTime now) {
    if (!agent.run)
        return fail(ErrorKind::usage, "cannot run " + agent.display_name,
                    agent.loopback ? "its template has no [run] table: it does not say how the agent is "
                                     "started without files of its own"
                                   : "its servers make the calls, not this machine: no local start can "
                                     "change where they go",
                    "dbx-agents setup " + agent.name);
    const RunForm& run = *agent.run;
    const Variables variables = variables_for(agent, request, environment);
    RunPlan plan;
    plan.secrets.push_back(request.setup.local_key.reveal());
    plan.unset = run.unset;
    for (const auto& [name, document] : run.files) {
        auto text = filled(agent, document, variables);
        if (!text) return fail(text.error());
        plan.files[request.folder / document] = std::move(*text);
    }
    for (const auto& argument : run.arguments) {
        auto text = filled_line(agent, argument, variables);
        if (!text) return fail(text.error());
        plan.arguments.push_back(std::move(*text));
    }
    for (const auto& option : run.options) {
        const auto format = document_format(option.document).value_or(edit::Format::toml);
        const auto leaves = render(agent, option.document, format, variables);
        if (!leaves) return fail(leaves.error());
        for (const auto& leaf : *leaves) {
            plan.arguments.push_back(option.flag);
            plan.arguments.push_back(edit::to_string(leaf.path) + "=" + toml_argument(leaf.value));
        }
    }
    for (const auto& [name, variable] : run.environment) {
        auto text = variable.document.empty() ? filled_line(agent, variable.value, variables)
                                              : filled(agent, variable.document, variables);
        if (!text) return fail(text.error());
        plan.environment[name] = std::move(*text);
    }

    if (run.home.empty()) return plan;
    auto real_home = home_of(agent, environment);
    if (!real_home) return fail(real_home.error());
    plan.real_home = std::move(*real_home);
    plan.home =
        agent.home_below.empty() ? request.folder / "home" : request.folder / "home" / agent.home_below;
    plan.environment[agent.home_variable] = (request.folder / "home").string();
    SetupRequest setup = request.setup;
    setup.auth = Auth::proxy;
    const auto written = plan_setup(agent, setup, journal, environment, files, now);
    if (!written) return fail(written.error());
    for (const auto& change : written->files) {
        const bool ours = std::find(run.home.begin(), run.home.end(), change.file_name) != run.home.end();
        if (ours && change.after) plan.files[plan.home / agent.file(change.file_name)->path] = *change.after;
    }
    return plan;
}

} // namespace dbx::agents
