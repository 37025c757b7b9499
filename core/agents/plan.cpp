#include "core/agents/plan.hpp"

#include "core/agents/choose_auth.hpp"
#include "core/agents/plan_file.hpp"
#include "core/agents/values.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

constexpr std::pair<Auth, std::string_view> auth_names[] = {{Auth::automatic, "auto"},
                                                            {Auth::helper, "helper"},
                                                            {Auth::pat, "pat"},
                                                            {Auth::env, "env"},
                                                            {Auth::proxy, "proxy"}};

// In OTEL_EXPORTER_OTLP_…_HEADERS values are percent-encoded; a bare comma or semicolon ends one, and a stray
// percent sign drops it (measured on Claude Code 2.1.330).
std::string header_value(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7F && c != ',' && c != ';' && c != '%') {
            result += c;
        } else {
            result += '%';
            result += digits[byte >> 4];
            result += digits[byte & 15];
        }
    }
    return result;
}

std::string shell_words(const std::vector<std::string>& words) {
    std::vector<std::string> quoted;
    for (const auto& word : words) quoted.push_back(shell_quote(word));
    return join(quoted, " ");
}

bool is_about_telemetry(const Condition& condition) {
    const auto found = condition.find("otel");
    return found != condition.end() &&
           std::find(found->second.begin(), found->second.end(), "on") != found->second.end();
}

// What the telemetry's parts are filled with. Errors: usage, when a part that holds sends to the workspace
// and there is none.
Result<void> add_telemetry(const Agent& agent, const SetupRequest& request, const Facts& facts,
                           AgentPlan& plan, Variables& variables) {
    if (!request.otel) return {};
    const auto& place = request.otel->place;
    variables.values["otel.tables"] = place.catalog + "." + place.schema + "." + place.prefix;
    variables.values["otel.metrics"] = place.table_name(otlp::Signal::metrics);
    variables.values["otel.logs"] = place.table_name(otlp::Signal::logs);
    variables.values["otel.traces"] = place.table_name(otlp::Signal::traces);
    if (!request.otel_helper.empty()) variables.values["otel.helper"] = shell_words(request.otel_helper);

    const bool writes = std::any_of(agent.parts.begin(), agent.parts.end(), [&](const Part& part) {
        const auto* file = agent.file(part.file);
        return is_about_telemetry(part.when) && holds(part.when, facts) && !part.document.empty() &&
               file != nullptr && file->scope == request.scope;
    });
    if (writes) plan.otel = request.otel;
    const std::string& root = plan.auth == Auth::proxy ? request.proxy : request.workspace;
    if (!root.empty()) {
        variables.values["otel.endpoint"] = root + "/api/2.0/otel";
        return {};
    }
    if (!writes) return {};
    return fail(ErrorKind::usage, "cannot set up the telemetry of " + agent.display_name,
                "it goes to the workspace itself, not to its gateway, and only a gateway is known",
                request.scope == Scope::managed
                    ? "add --workspace URL, or leave it out (--no-otel)"
                    : "add --workspace URL, send it through the local proxy (--via-proxy), or leave it out "
                      "(--no-otel)");
}

} // namespace

bool same_work(const FileChange& a, const FileChange& b) {
    return a.real == b.real && a.existed == b.existed && a.before == b.before && a.after == b.after &&
           a.mode_before == b.mode_before && a.mode_after == b.mode_after;
}

const FileChange* first_difference(const std::vector<FileChange>& before,
                                   const std::vector<FileChange>& after) {
    const auto only_in = [](const std::vector<FileChange>& these, const std::vector<FileChange>& others) {
        const auto found = std::find_if(these.begin(), these.end(), [&](const FileChange& change) {
            return change.changes() &&
                   std::none_of(others.begin(), others.end(),
                                [&](const FileChange& other) { return same_work(change, other); });
        });
        return found == these.end() ? nullptr : &*found;
    };
    const auto* later = only_in(after, before);
    return later ? later : only_in(before, after);
}

std::string to_string(Auth auth) {
    for (const auto& [value, name] : auth_names)
        if (value == auth) return std::string(name);
    return {};
}

std::optional<Auth> parse_auth(std::string_view name) {
    for (const auto& [value, known] : auth_names)
        if (known == name) return value;
    return std::nullopt;
}

std::map<std::string, std::string> models_for(const Agent& agent,
                                              const std::map<std::string, std::string>& overrides) {
    auto models = agent.models;
    if (const auto main = overrides.find("main"); main != overrides.end()) {
        models["main"] = main->second;
        for (auto& [family, model] : models) {
            if (family != "main" && icontains(main->second, family)) model = main->second;
        }
    }
    for (const auto& [family, model] : overrides) {
        if (family != "main" && models.contains(family)) models[family] = model;
    }
    return models;
}

Result<AgentPlan> plan_setup(const Agent& agent, const SetupRequest& request, const state::Journal& journal,
                             const system::Environment& environment, system::FileSystem& files,
                             system::WallTime now) {
    AgentPlan plan;
    plan.agent = &agent;
    plan.installed = find_installed(agent, environment, files);
    const auto chosen = choose_auth(agent, request, plan.installed);
    if (!chosen) return fail(chosen.error());
    plan.auth = chosen->auth;
    plan.auth_reason = chosen->reason;

    Variables variables;
    // The local proxy has the gateway's own routes.
    const std::string& gateway = plan.auth == Auth::proxy ? request.proxy : request.gateway;
    variables.values["gateway"] = gateway;
    variables.values["route"] = request.route.empty() ? agent.route : request.route;
    variables.values["workspace"] = request.workspace;
    const auto models = models_for(agent, request.models);
    variables.values["model"] = models.at("main");
    for (const auto& [family, model] : models) variables.values["model." + family] = model;
    if (plan.auth == Auth::pat && request.token) {
        variables.values["token"] = request.token->reveal();
        variables.values["token.header"] = header_value(request.token->reveal());
        variables.secrets.insert(variables.secrets.end(), {"token", "token.header"});
    }
    if (plan.auth == Auth::proxy) {
        variables.values["local_key"] = request.local_key.reveal();
        variables.secrets.push_back("local_key");
    }
    if (!request.helper.empty()) {
        variables.values["helper.command"] = request.helper.front();
        variables.values["helper.args"] =
            std::vector<std::string>(request.helper.begin() + 1, request.helper.end());
        variables.values["helper.shell"] = shell_words(request.helper);
    }

    const bool loopback = databricks::is_loopback(gateway);
    const Facts facts = {{"auth", to_string(plan.auth)},
                         {"scope", request.scope == Scope::managed ? "managed" : "user"},
                         {"gateway", loopback ? "loopback" : "remote"},
                         {"claude_betas", request.claude_betas},
                         {"otel", request.otel ? "on" : "off"},
                         {"otel_traces", request.otel && request.otel->traces ? "on" : "off"}};
    if (auto ok = add_telemetry(agent, request, facts, plan, variables); !ok) return fail(ok.error());
    for (const auto& file : agent.files) {
        if (file.scope != request.scope) continue;
        auto wanted = collect(agent, file, facts, variables);
        if (!wanted) return fail(wanted.error());
        auto change = plan_file({agent, file, journal, environment, files, now, to_string(plan.auth)},
                                std::move(*wanted));
        if (!change) return fail(change.error());
        if (*change) plan.files.push_back(std::move(**change));
    }

    for (const auto& warning : agent.warnings) {
        if (!holds(warning.when, facts)) continue;
        std::optional<std::string> value;
        std::string place;
        // An administrator's shell is nobody else's.
        if (!warning.environment.empty() && request.scope == Scope::managed) continue;
        if (!warning.environment.empty()) {
            value = environment.get(warning.environment);
            if (value && value->empty()) value.reset();
            place = warning.environment + " in the environment";
        } else {
            for (const auto& change : plan.files) {
                if (change.file_name != warning.file || !change.after) continue;
                const auto document = edit::Document::parse(*edit_format(change.format), *change.after);
                if (!document) continue;
                const auto found = (*document)->get(warning.key);
                if (!found) continue;
                value = text_of(found->value);
                place = system::display_path(environment, change.named) + ":" +
                        std::to_string(found->position.line) + ": " + edit::to_string(warning.key);
            }
        }
        if (!value) continue;
        if (warning.has_unless &&
            std::find(warning.unless.begin(), warning.unless.end(), *value) != warning.unless.end())
            continue;
        plan.warnings.push_back(place + ": " + warning.text);
    }
    if (const auto value = environment.get(agent.home_variable);
        value && !value->empty() && request.scope == Scope::user) {
        const auto home = home_of(agent, environment);
        const auto status = home ? files.status(*home) : fail(home.error());
        if (status && status->kind == system::FileKind::missing)
            plan.warnings.push_back(agent.home_variable +
                                    " names a folder that is not there yet: " + home->string());
    }
    for (const auto& bad : agent.bad_versions) {
        const auto have = plan.installed.version ? parse_version(*plan.installed.version) : std::nullopt;
        const auto from = parse_version(bad.from), below = parse_version(bad.below);
        if (have && from && below && compare(*have, *from) >= 0 && compare(*have, *below) < 0)
            plan.warnings.push_back(agent.display_name + " " + *plan.installed.version + ": " + bad.text);
    }
    if (loopback && !agent.loopback)
        plan.warnings.push_back(agent.display_name + " cannot reach " + gateway +
                                ": its servers make the calls, not this machine");
    if (request.auth == Auth::proxy && plan.auth != Auth::proxy)
        plan.warnings.push_back(
            "the local proxy cannot serve " + agent.display_name +
            ": its servers make the calls, not this machine; it goes to the gateway itself");
    if (plan.auth == Auth::helper && request.credential.empty() && request.scope == Scope::user)
        plan.warnings.push_back("there is no credential yet (" + request.no_token_reason +
                                "); the command that was written fails until there is one");
    if (plan.auth == Auth::env && !agent.token_variable.empty())
        plan.notes.push_back("no token was written: export " + agent.token_variable +
                             " with a Databricks token before you start " + agent.display_name);
    bool telemetry_noted = plan.otel.has_value();
    for (const auto& note : agent.notes) {
        if (!holds(note.when, facts)) continue;
        if (!note.below.empty() && !is_below(plan.installed, note.below)) continue;
        auto text = render_note(agent, note, variables);
        if (!text) return fail(text.error());
        plan.notes.push_back(std::move(*text));
        telemetry_noted = telemetry_noted || is_about_telemetry(note.when);
    }
    if (request.otel && !telemetry_noted)
        plan.notes.push_back("no telemetry was set up: its template has no keys for it; the variables that "
                             "many programs read: dbx-agents templates show otel");
    return plan;
}

} // namespace dbx::agents
