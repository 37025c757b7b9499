#include "cli/setup_plan.hpp"

#include "cli/agent_settings.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/state/local_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace dbx::cli {

namespace {

// The local proxy's port: 1. --via-proxy=PORT, 2. the setting proxy.port (environment, configuration,
// remembered), 3. the default.
Result<int> proxy_port(const SetupWish& wish, const state::Settings& settings) {
    if (const auto port = proxy_port_of(wish.via_proxy_port)) return *port;
    const auto setting = settings.find("proxy.port");
    if (!setting) return default_proxy_port;
    if (const auto port = proxy_port_of(setting->value)) return *port;
    if (wish.form() != agents::Auth::proxy) return default_proxy_port; // nobody asks for it
    return fail(ErrorKind::usage, "the port from " + setting->origin + " cannot be used",
                "'" + setting->value + "' is not a number from 1 to 65535, and the agents need a fixed one",
                "correct it, or use --via-proxy=8790");
}

// One proxy listens on one port: agents that were set up for another one are left behind.
std::string warning_of_other_port(const SetupPlan& plan, const SetupWish& wish,
                                  const state::Settings& settings) {
    const std::string before = remembered(settings, "proxy.port");
    if (!plan.proxy_port || before.empty() || before == std::to_string(*plan.proxy_port)) return {};
    std::vector<std::string> others;
    for (const auto& entry : plan.journal.written()) {
        const bool named =
            wish.all || std::find(wish.names.begin(), wish.names.end(), entry.agent) != wish.names.end();
        if (entry.auth == "proxy" && !named &&
            std::find(others.begin(), others.end(), entry.agent) == others.end())
            others.push_back(entry.agent);
    }
    if (others.empty()) return {};
    return fmt::format("set up for port {}, not {}: {}; dbx-agents setup {} --via-proxy={} takes them along",
                       before, *plan.proxy_port, join(others, ", "), join(others, " "), *plan.proxy_port);
}

Result<std::vector<const agents::Agent*>> choose_agents(Session& session, const SetupWish& wish) {
    if (!wish.all) return session.agents_named(wish.names);
    const auto catalogue = session.catalogue();
    if (!catalogue) return fail(catalogue.error());
    if (!(*catalogue)->broken.empty()) return fail((*catalogue)->broken.begin()->second);
    std::vector<const agents::Agent*> result;
    for (const auto& agent : (*catalogue)->agents) {
        if (wish.managed() && !agent.has_files_for(agents::Scope::managed)) continue;
        if (agent.always || agents::find_installed(agent, session.environment(), session.files()).found)
            result.push_back(&agent);
    }
    return result;
}

// What root's own last setup used is nobody else's: it goes into no managed file.
std::optional<state::Setting> setting_for(const SetupWish& wish, const state::Settings& settings,
                                          std::string_view key) {
    auto setting = settings.find(key);
    if (setting && wish.managed() && setting->rank == state::Rank::remembered) setting.reset();
    return setting;
}

bool is_locked(const std::optional<state::Setting>& setting) {
    return setting && setting->rank == state::Rank::locked;
}

// The tables: 1. --otel, 2. the setting otel.tables (environment, configuration, remembered). Empty: none.
Result<std::optional<otlp::Place>> otlp_place(const SetupWish& wish, const state::Settings& settings) {
    const auto setting = setting_for(wish, settings, "otel.tables");
    if (wish.no_otel || (!wish.otel && !setting)) return std::optional<otlp::Place>();
    auto place = wish.otel ? otlp::parse_place(*wish.otel, "--otel")
                           : otlp::parse_place(setting->value, setting->origin);
    if (!place) return fail(place.error());
    return std::optional(std::move(*place));
}

std::string otel_setting(const agents::Agent& agent) {
    return "agents." + agent.name + ".otel";
}

// The locked key that an agent's own setting contradicts, when that one is not the organisation's as well.
std::optional<state::Setting> overruled_by(const state::Setting& own, const state::Settings& settings,
                                           std::string* key = nullptr) {
    if (own.rank == state::Rank::locked || own.rank == state::Rank::organisation_config) return std::nullopt;
    const auto locked = [&](const char* name) {
        auto setting = settings.find(name);
        if (!is_locked(setting)) setting.reset();
        if (setting && key != nullptr) *key = name;
        return setting;
    };
    if (own.value == "off") return locked("otel.tables");
    const auto traces = settings.find("otel.traces");
    if (!traces || (own.value == "traces") == (traces->value == "true")) return std::nullopt;
    return locked("otel.traces");
}

// Whether the agent exports, and what: 1. --no-otel, 2. --otel and --otel-traces, 3. the agent's own setting
// (off, on, traces), by which --no-otel and --otel-traces are remembered, 4. otel.tables and otel.traces.
Result<std::optional<agents::Telemetry>> telemetry_of(const SetupWish& wish, const agents::Agent& agent,
                                                      const state::Settings& settings) {
    const std::optional<agents::Telemetry> none;
    const auto place = otlp_place(wish, settings);
    if (!place) return fail(place.error());
    if (!*place) {
        if (!wish.otel_traces) return none;
        return fail(ErrorKind::usage, "--otel-traces alone says too little",
                    "it is not known which tables the telemetry goes to", "add --otel CATALOG.SCHEMA.PREFIX");
    }
    agents::Telemetry telemetry{**place, wish.otel_traces};
    auto own = setting_for(wish, settings, otel_setting(agent));
    const auto traces = settings.find("otel.traces");
    if (own && own->value != "off" && own->value != "on" && own->value != "traces")
        return fail(ErrorKind::usage, "the setting from " + own->origin + " cannot be used",
                    "otel = \"" + printable(own->value) + "\" is not one of off, on, traces",
                    "correct it, or take it out");
    if (own && overruled_by(*own, settings)) own.reset();
    if (own && !(wish.otel && own->rank == state::Rank::remembered)) { // --otel begins anew
        if (own->value == "off" && !wish.otel && !wish.otel_traces) return none;
        telemetry.traces = telemetry.traces || own->value == "traces";
    } else if (traces && traces->value == "true") {
        telemetry.traces = true;
    }
    return std::optional(std::move(telemetry));
}

Result<std::map<std::string, std::string>> telemetry_settings(Session& session, const SetupWish& wish,
                                                              const std::vector<const agents::Agent*>& chosen,
                                                              const state::Settings& settings) {
    std::map<std::string, std::string> result;
    const auto place = otlp_place(wish, settings);
    if (!place) return fail(place.error());
    // Other agents may export although these do not; --all speaks for every one.
    if (*place) {
        result["otel.tables"] = (*place)->schema_name() + "." + (*place)->prefix;
    } else if (!wish.no_otel || !wish.all) {
        result["otel.tables"] = remembered(settings, "otel.tables");
    }
    const auto catalogue = session.catalogue();
    if (!catalogue) return fail(catalogue.error());
    for (const auto& agent : (*catalogue)->agents)
        result[otel_setting(agent)] = remembered(settings, otel_setting(agent));
    if (!wish.otel && !wish.no_otel && !wish.otel_traces) return result;
    for (const auto* agent : chosen)
        result[otel_setting(*agent)] = wish.no_otel ? "off" : wish.otel_traces ? "traces" : "";
    return result;
}

Result<agents::SetupRequest> request_for(Session& session, const SetupWish& wish, const agents::Agent& agent,
                                         const databricks::Target& target, const state::Settings& settings) {
    agents::SetupRequest request;
    request.scope = wish.managed() ? agents::Scope::managed : agents::Scope::user;
    request.gateway = target.gateway->value;
    if (target.workspace) request.workspace = target.workspace->value;
    request.auth = wish.form();
    request.claude_betas = wish.claude_betas;

    const auto own = wish.models.find(agent.name);
    const std::string& model = own == wish.models.end() ? wish.model : own->second;
    if (auto read = read_agent_settings(agent, settings, model, request); !read) return fail(read.error());

    const auto& resolution = target.resolution;
    if (resolution.credential) {
        request.credential = resolution.credential->origin;
        const auto kind = resolution.credential->static_token_kind();
        if (kind) {
            request.token = resolution.credential->token;
            request.token_is_pat = *kind == "pat";
        } else {
            request.no_token_reason = request.credential + " (" +
                                      std::string(databricks::name_of(resolution.credential->kind)) +
                                      ") gives short-lived tokens only";
        }
    } else {
        const Error& error = resolution.credential.error();
        request.no_token_reason = error.what + (error.why.empty() ? "" : ": " + error.why);
    }

    auto telemetry = telemetry_of(wish, agent, settings);
    if (!telemetry) return fail(telemetry.error());
    request.otel = std::move(*telemetry);

    request.helper = {session.environment().program().string()};
    if (!session.options().config.empty()) {
        request.helper.push_back("--config");
        system::Path config = session.options().config;
        if (config.is_relative()) config = session.environment().working_directory() / config;
        request.helper.push_back(config.lexically_normal().string());
    }
    request.helper.insert(request.helper.end(), {"auth", "token"});
    // Root's own profile is nobody else's: only one that was asked for goes into everybody's file.
    const bool roots_own = target.profile && target.profile->rank != state::Rank::flag &&
                           target.profile->rank != state::Rank::locked &&
                           target.profile->rank != state::Rank::organisation_config;
    const bool names_profile = target.profile && !(wish.managed() && roots_own);
    request.otel_helper = request.helper;
    request.otel_helper.emplace_back("--otel-headers");
    for (auto* command : {&request.helper, &request.otel_helper}) {
        if (target.workspace) {
            command->insert(command->end(), {"--workspace", target.workspace->value});
        } else {
            command->insert(command->end(), {"--gateway", target.gateway->value});
        }
        if (names_profile) command->insert(command->end(), {"--profile", target.profile->value});
    }
    return request;
}

// Flags of setup that the organisation's file may have locked under another name.
std::optional<Error> refuse_locked(const state::Settings& settings, const SetupWish& wish,
                                   const std::vector<const agents::Agent*>& chosen) {
    if (proxy_port_of(wish.via_proxy_port)) {
        if (auto wrong =
                settings.refuse_flag("proxy.port", "--via-proxy=" + wish.via_proxy_port, wish.via_proxy_port))
            return wrong;
    }
    if (wish.otel) {
        if (auto wrong = settings.refuse_flag("otel.tables", "--otel " + *wish.otel, *wish.otel))
            return wrong;
    }
    for (const auto* agent : chosen) {
        const std::string key = otel_setting(*agent);
        const bool own_rule = is_locked(settings.find(key));
        if (wish.no_otel) {
            if (auto wrong = settings.refuse_flag(own_rule ? key : "otel.tables", "--no-otel", "off"))
                return wrong;
        }
        if (wish.otel_traces) {
            if (auto wrong = settings.refuse_flag(own_rule ? key : "otel.traces", "--otel-traces",
                                                  own_rule ? "traces" : "true"))
                return wrong;
        }
        if (wish.otel && own_rule && settings.find(key)->value == "off") {
            if (auto wrong = settings.refuse_flag(key, "--otel " + *wish.otel, "on")) return wrong;
        }
        const auto own = wish.models.find(agent->name);
        const std::string& model = own == wish.models.end() ? wish.model : own->second;
        if (model.empty()) continue;
        if (auto wrong = settings.refuse_flag("agents." + agent->name + ".model", "--model " + model, model))
            return wrong;
    }
    return std::nullopt;
}

} // namespace

agents::Auth SetupWish::form() const {
    if (via_proxy) return agents::Auth::proxy;
    if (auth.empty()) return agents::Auth::automatic;
    return agents::parse_auth(auth).value_or(agents::Auth::automatic);
}

bool SetupPlan::changes() const {
    for (const auto& agent : agents)
        for (const auto& change : agent.files)
            if (change.changes()) return true;
    return false;
}

std::optional<Error> refuse_model(const std::string& model, const std::string& origin) {
    for (const char c : model) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F)
            return Error{ErrorKind::usage,
                         "the model name from " + origin + " cannot be used",
                         "it holds a line end or another control character",
                         "correct the name",
                         {}};
    }
    if (model.empty() || model.find(' ') != std::string::npos || !is_utf8(model))
        return Error{ErrorKind::usage,
                     "the model name from " + origin + " cannot be used",
                     "it is empty, holds a blank, or is not UTF-8",
                     "correct the name",
                     {}};
    return std::nullopt;
}

std::optional<Error> refuse(const SetupWish& wish) {
    const auto wrong = [](std::string what, std::string why, std::string fix) {
        return Error{ErrorKind::usage, std::move(what), std::move(why), std::move(fix), {}};
    };
    if (wish.all && !wish.names.empty())
        return wrong("--all and the agent '" + wish.names.front() + "' contradict each other",
                     "--all already names every agent", "use one of them");
    if (wish.via_proxy && !wish.auth.empty() && wish.auth != "proxy")
        return wrong("--via-proxy and --auth " + wish.auth + " contradict each other",
                     "--via-proxy means --auth proxy", "use one of them");
    if (wish.via_proxy && wish.via_proxy_port != "true" && !proxy_port_of(wish.via_proxy_port))
        return wrong("--via-proxy=" + wish.via_proxy_port + " cannot be used",
                     "the port of the local proxy is a number from 1 to 65535",
                     "--via-proxy=8790, or --via-proxy alone");
    if (wish.via_proxy) {
        for (const auto& name : wish.names) {
            if (proxy_port_of(name))
                return wrong("there is no agent '" + name + "'", "the port stands behind an equals sign",
                             "--via-proxy=" + name);
        }
    }
    if (!wish.auth.empty() && !agents::parse_auth(wish.auth))
        return wrong("--auth '" + wish.auth + "' is not known", "known forms: auto, helper, pat, env, proxy",
                     "use one of them");
    if (wish.scope != "user" && wish.scope != "managed")
        return wrong("--scope '" + wish.scope + "' is not known", "it is user or managed", "use one of them");
    if (wish.claude_betas != "on" && wish.claude_betas != "off")
        return wrong("--claude-betas '" + wish.claude_betas + "' is not known", "it is on or off",
                     "use one of them");
    return std::nullopt;
}

std::optional<int> proxy_port_of(std::string_view text) {
    int port = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (wrong != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
        return std::nullopt;
    return port;
}

std::string remembered(const state::Settings& settings, const std::string& key) {
    for (const auto& setting : settings.all(key))
        if (setting.rank == state::Rank::remembered) return setting.value;
    return {};
}

std::optional<Error> unfit_for_everybody(Session& session, const system::Path& program) {
    const auto wrong = [&](std::string why) {
        return Error{ErrorKind::file,
                     "cannot write managed files that run " + program.string(),
                     std::move(why),
                     "install it for everybody: sudo scripts/install.sh --prefix /usr/local",
                     {}};
    };
    const auto real = session.files().resolve(program);
    if (!real) return real.error();
    for (const auto& path : {program, *real}) {
        system::Path here;
        for (const auto& part : path) {
            here /= part;
            const auto status = session.files().status(here);
            if (!status) return status.error();
            const bool folder = status->kind == system::FileKind::directory;
            if (status->owner != 0)
                return wrong(here.string() + " belongs to user " + std::to_string(status->owner) +
                             ", who could put another program there");
            if ((status->mode & 0022U) != 0 && (status->mode & 01000U) == 0)
                return wrong(here.string() + " may be written by others than root");
            if ((status->mode & 0001U) == 0 || (!folder && (status->mode & 0004U) == 0))
                return wrong(here.string() + " is not open to everybody");
        }
    }
    return std::nullopt;
}

Result<SetupPlan> make_setup_plan(Session& session, const SetupWish& wish, const state::LocalKeys& keys) {
    auto chosen = choose_agents(session, wish);
    if (!chosen) return fail(chosen.error());
    const auto target = session.target();
    if (!target) return fail(target.error());
    if (!(*target)->gateway) return fail(databricks::no_workspace("cannot set up the agents"));

    auto journal = state::Journal::load(session.environment(), session.files());
    if (!journal) return fail(journal.error());
    const auto settings = session.settings();
    if (!settings) return fail(settings.error());
    const auto port = proxy_port(wish, **settings);
    if (!port) return fail(port.error());
    auto known = state::read_local_keys(session.environment(), session.files());
    if (!known) return fail(known.error());

    if (auto wrong = refuse_locked(**settings, wish, *chosen)) return fail(*wrong);
    for (const auto& item : wish.models) {
        const auto& [name, model] = item;
        if (auto named = session.agents_named({name}); !named) {
            Error error = named.error();
            error.what = "--model " + name + "=" + model + ": " + error.what;
            return fail(error);
        }
        if (std::none_of(chosen->begin(), chosen->end(),
                         [&](const agents::Agent* agent) { return agent->name == item.first; }))
            return fail(ErrorKind::usage, "--model " + name + "=" + model + " cannot be used",
                        name + " is not among the agents of this setup", "name it, or leave --model out");
    }
    for (const auto* agent : *chosen) {
        if (wish.managed() && !agent->has_files_for(agents::Scope::managed))
            return fail(ErrorKind::usage, "cannot write managed files for " + agent->display_name,
                        "its template has no file for everybody on the machine",
                        "leave " + agent->name + " out");
    }
    SetupPlan plan;
    plan.journal = std::move(*journal);
    plan.keys = std::move(*known);
    if (!wish.model.empty() && chosen->size() > 1)
        plan.warnings.push_back("--model sets the same model for all " + std::to_string(chosen->size()) +
                                " agents, and each speaks to another family of models");
    auto memory = telemetry_settings(session, wish, *chosen, **settings);
    if (!memory) return fail(memory.error());
    plan.telemetry_settings = std::move(*memory);
    for (const auto* agent : *chosen) {
        auto request = request_for(session, wish, *agent, **target, **settings);
        if (!request) return fail(request.error());
        if (const auto own = (*settings)->find(otel_setting(*agent));
            own && own->rank != state::Rank::remembered) {
            std::string key;
            if (const auto lock = overruled_by(*own, **settings, &key))
                plan.warnings.push_back(own->origin + " is ignored: " + key + " is locked by " +
                                        lock->origin);
        }
        request->proxy = "http://127.0.0.1:" + std::to_string(*port);
        if (const auto key = plan.keys.find(agent->name); key != plan.keys.end()) {
            request->local_key = key->second;
        } else if (const auto made = keys.find(agent->name); made != keys.end()) {
            request->local_key = made->second;
        } else {
            request->local_key = state::new_local_key();
        }
        auto planned = agents::plan_setup(*agent, *request, plan.journal, session.environment(),
                                          session.files(), session.now());
        if (!planned) return fail(planned.error());
        plan.agents.push_back(std::move(*planned));
        if (plan.agents.back().auth == agents::Auth::proxy) {
            plan.keys.insert_or_assign(agent->name, request->local_key);
            plan.proxy_port = *port;
            if (request->credential.empty()) plan.no_credential = request->no_token_reason;
        }
    }
    if (auto other = warning_of_other_port(plan, wish, **settings); !other.empty())
        plan.warnings.push_back(std::move(other));
    return plan;
}

} // namespace dbx::cli
