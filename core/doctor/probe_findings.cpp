#include "core/base/strings.hpp"
#include "core/databricks/hosts.hpp"
#include "core/doctor/probe.hpp"
#include "core/edit/mask.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::doctor {

namespace {

using databricks::ApiProblem;
using http::NetworkProblem;

std::string host_of(const std::string& url) {
    const auto parsed = http::parse_url(url);
    return parsed ? parsed->origin() : "the gateway";
}

// The model nearest to `name` that the agent can use, in the spelling of `name`; empty: none is near.
std::string similar_model(const std::string& name, const agents::Agent& agent,
                          const databricks::ModelList& models) {
    std::vector<std::string> candidates;
    const bool endpoint_spelling = name.starts_with("databricks-");
    for (const auto& model : models.models) {
        if (!model.serves(agent.api_types)) continue;
        const bool endpoint = model.name.starts_with("databricks-");
        const auto other = databricks::other_spelling(model.name);
        candidates.push_back(endpoint == endpoint_spelling || other.empty() ? model.name : other);
    }
    return nearest(name, candidates);
}

std::string model_fix(const Scene& scene, const Patient& patient, const ModelUse& use,
                      const databricks::ModelList& models) {
    const auto better = similar_model(use.name, *patient.agent, models);
    const std::string name = better.empty() ? "NAME" : better;
    if (patient.agent->name == "cursor") {
        return better.empty()
                   ? "add a model to Cursor that the gateway serves: dbx-agents models --agent cursor"
                   : "add " + better + " in Cursor Settings > Models";
    }
    std::string hint =
        better.empty() ? " (names: dbx-agents models --agent " + patient.agent->name + ")" : "";
    if (use.setting == "model") return scene.setup_command(patient) + " --model " + shell_quote(name) + hint;
    return scene.setting_fix(patient, use.setting, name, hint);
}

ModelUse main_model(const Patient& patient, const std::string& model) {
    for (const auto& use : patient.connection.models) {
        if (use.name == model) return use;
    }
    return {model, {}, 0, "model"};
}

// What to do about a token that the workspace does not take.
std::string token_fix(const Scene& scene, const Patient& patient) {
    const auto& connection = patient.connection;
    if (connection.source != Connection::Source::literal)
        return "dbx-agents auth status shows which credential is used: renew it";
    if (icontains(connection.token_origin, "in the environment"))
        return "export a valid token in " +
               connection.token_origin.substr(0, connection.token_origin.find(' '));
    return "export DATABRICKS_TOKEN with a valid token, then " + scene.setup_command(patient);
}

std::string answer_in_words(const Patient& patient, const ProbeResult& result) {
    const auto& error = *result.answer;
    std::string words =
        "POST " + http::shown_url(result.url) + " answered HTTP " + std::to_string(error.status);
    if (!result.body_kind.empty()) words += " to a " + result.body_kind;
    if (!error.message.empty() && error.problem != ApiProblem::login_page)
        words += ": \"" + edit::mask_text(error.message) + "\"";
    const bool about_token = error.problem == ApiProblem::invalid_token ||
                             error.problem == ApiProblem::not_authenticated ||
                             error.problem == ApiProblem::missing_scope;
    if (about_token && !patient.connection.token_origin.empty())
        words += "; the token is " + patient.connection.token_origin;
    if (!error.request_id.empty() && error.status >= 500) words += "; request id " + error.request_id;
    return words;
}

struct Words {
    std::string id, what, fix;
    Severity severity = Severity::broken;
};

Words words_for(const Scene& scene, const Patient& patient, const ProbeResult& result,
                const databricks::ModelList& models) {
    const auto& error = *result.answer;
    const auto& name = patient.agent->display_name;
    const auto host = host_of(result.url);
    const std::string again = "dbx-agents doctor " + patient.agent->name;
    switch (error.problem) {
    case ApiProblem::invalid_token:
        return {"token-refused",
                "the workspace refuses " + name +
                    "'s token: it is wrong, revoked or expired, or another workspace's",
                token_fix(scene, patient)};
    case ApiProblem::not_authenticated:
        return {"token-not-taken",
                name + "'s token did not arrive, or is of a kind that the gateway does not take",
                token_fix(scene, patient)};
    case ApiProblem::missing_scope:
        if (databricks::is_deprecated_gateway(result.url))
            return {"token-scope", "this deprecated gateway host wants a token with the scope all-apis",
                    "dbx-agents setup " + patient.agent->name + " --workspace https://YOUR-WORKSPACE"};
        return {"token-scope", name + "'s token lacks the scope for the gateway",
                "make a token with the scope that the answer names"};
    case ApiProblem::ip_blocked:
        return {"ip-blocked", "an IP access list of the workspace does not let this machine in",
                "connect through your company's network or VPN"};
    case ApiProblem::no_permission:
        return {"no-permission", "the user of " + name + "'s token may not query this model",
                "ask an administrator for the right to query " + result.model};
    case ApiProblem::not_found:
        return {"model-missing", "the gateway has no model " + result.model,
                model_fix(scene, patient, main_model(patient, result.model), models)};
    case ApiProblem::route_missing:
        if (!result.better_url.empty()) {
            const bool other = result.better_url.ends_with(codex_other_route);
            return {"codex-route",
                    "this workspace has no " +
                        (other ? patient.agent->route : std::string(codex_other_route)) + " route; " +
                        result.better_url + " answers",
                    scene.setting_fix(patient, "route", other ? codex_other_route : patient.agent->route)};
        }
        return {"route-missing", host + " has no gateway route for " + name,
                (databricks::is_databricks_host(result.url)
                     ? ""
                     : "correct the address (dbx-agents setup " + patient.agent->name +
                           " --workspace https://YOUR-WORKSPACE), or ") +
                    std::string("ask an administrator to enable the AI Gateway for this workspace")};
    case ApiProblem::rate_limited:
        return {"rate-limited", "the route works, and the workspace limits the rate of requests right now",
                "try again in a minute: " + again, Severity::warning};
    case ApiProblem::unavailable:
        return {"unavailable", host + " is not available at the moment", "try again in a minute: " + again};
    case ApiProblem::server_error:
        return {"server-error", "the gateway failed",
                "try again (" + again + "); if it stays, give the request id to your administrator"};
    case ApiProblem::login_page:
        return {"login-page",
                host +
                    " answered with a log-in page: it is not the workspace, or something stands in between",
                "correct the address: dbx-agents setup " + patient.agent->name +
                    " --workspace https://YOUR-WORKSPACE"};
    case ApiProblem::private_link:
        return {"private-link", "the workspace accepts connections over Private Link only",
                "connect from its private network"};
    case ApiProblem::redirected:
        return {"redirected", host + " redirects to another address; a token is never sent after it",
                "correct the address: dbx-agents setup " + patient.agent->name +
                    " --workspace https://YOUR-WORKSPACE"};
    case ApiProblem::bad_request:
    case ApiProblem::conflict:
        return {"request-refused", "the gateway refuses the smallest request that " + name + " can make",
                "check that " + result.model + " is a model for " + name + ": dbx-agents models --agent " +
                    patient.agent->name};
    default:
        return {"not-databricks", host + " answered with something that no Databricks gateway answers",
                "correct the address: dbx-agents setup " + patient.agent->name +
                    " --workspace https://YOUR-WORKSPACE"};
    }
}

// Of an http:// URL.
std::string port_of(const std::string& url) {
    const auto parsed = http::parse_url(url);
    return std::to_string(parsed && parsed->port != 0 ? parsed->port : 80);
}

Words words_for(const Patient& patient, const ProbeResult& result) {
    const auto& failure = *result.failure;
    const auto host = host_of(result.url);
    const std::string correct =
        "dbx-agents setup " + patient.agent->name + " --workspace https://YOUR-WORKSPACE";
    switch (failure.problem) {
    case NetworkProblem::name:
        return {"host-unknown", "the host of " + host + " is not known here",
                "correct the address (" + correct + "), or connect to the VPN"};
    case NetworkProblem::connect:
        if (databricks::is_loopback(result.url))
            return {"proxy-not-running",
                    "nothing listens at " + host + ": " + patient.agent->display_name +
                        " waits or retries for minutes",
                    patient.auth == "proxy"
                        ? "start it: dbx-agents proxy --port " + port_of(result.url)
                        : "start what should listen there, or point the agent elsewhere: " + correct};
        return {"connection-refused", "nobody answers at " + host,
                "check the address, your VPN and the firewall"};
    case NetworkProblem::tls:
        return {"tls", "the certificate of " + host + " is not trusted here",
                failure.fix.empty() ? "export SSL_CERT_FILE with your company's certificates" : failure.fix};
    case NetworkProblem::proxy:
        return {"http-proxy", "the HTTP proxy does not let the call to " + host + " through",
                failure.fix.empty() ? "correct HTTPS_PROXY, or add the host to NO_PROXY" : failure.fix};
    case NetworkProblem::timeout:
        return {"timeout", host + " did not answer in time",
                "check your VPN and firewall, then try again: dbx-agents doctor " + patient.agent->name};
    case NetworkProblem::dropped:
        return {"connection-dropped", host + " broke the connection",
                "try again; if it stays, look at the firewall or proxy in between"};
    default:
        // Something answers there, and it is no web server that this program understands.
        return {"network", "no usable answer from " + host,
                failure.fix.empty() || failure.fix == "try again" ? "correct the address: " + correct
                                                                  : failure.fix};
    }
}

} // namespace

Finding explain(const Scene& scene, const Patient& patient, const ProbeResult& result,
                const databricks::ModelList& models) {
    Finding finding;
    if (result.finding) {
        finding = *result.finding;
    } else {
        auto words = result.answer ? words_for(scene, patient, result, models) : words_for(patient, result);
        finding.id = std::move(words.id);
        finding.what = std::move(words.what);
        finding.fix = std::move(words.fix);
        finding.severity = words.severity;
        finding.evidence = result.answer ? answer_in_words(patient, result)
                                         : "POST " + http::shown_url(result.url) + ": " +
                                               edit::mask_text(result.failure->why);
        const bool about_model =
            finding.id == "model-missing" && !main_model(patient, result.model).file.empty();
        finding.file = about_model ? main_model(patient, result.model).file : patient.connection.file;
        finding.line = about_model ? main_model(patient, result.model).line : patient.connection.line;
    }
    finding.agent = patient.agent->name;
    return finding;
}

Findings missing_models(const Scene& scene, const Patient& patient, const databricks::ModelList& models,
                        const std::vector<std::string>& proven) {
    Findings findings;
    // A list that knows nothing for this agent (only one vendor's models, say) is no judge.
    const bool judge =
        std::any_of(models.models.begin(), models.models.end(), [&](const databricks::Model& model) {
            return !model.api_types.empty() && model.serves(patient.agent->api_types);
        });
    if (!judge) return findings;
    std::vector<std::string> seen = proven;
    for (const auto& use : patient.connection.models) {
        // Only built-in models are on the list; others are somebody's own.
        const auto other = databricks::other_spelling(use.name);
        if (other.empty() || std::find(seen.begin(), seen.end(), use.name) != seen.end()) continue;
        seen.push_back(use.name);
        const auto found =
            std::find_if(models.models.begin(), models.models.end(), [&](const databricks::Model& model) {
                return model.name == use.name || model.name == other;
            });
        if (found != models.models.end() && found->serves(patient.agent->api_types)) continue;
        const bool there = found != models.models.end();
        findings.push_back(
            {there ? "model-unsuitable" : "model-missing", patient.agent->name, Severity::broken,
             there ? patient.agent->display_name + " cannot use the model " + use.name +
                         ": it speaks another dialect"
                   : "the gateway has no model " + use.name,
             use.file, use.line, "according to " + models.source, model_fix(scene, patient, use, models)});
    }
    return findings;
}

} // namespace dbx::doctor
