#include "core/doctor/probe.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/credentials.hpp"
#include "core/databricks/hosts.hpp"
#include "core/edit/mask.hpp"
#include "core/http/url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::doctor {

namespace {

using nlohmann::json;

// 16 is the least that the Responses API takes.
constexpr int few_tokens = 16;

std::string without_slash(std::string url) {
    while (url.ends_with('/')) url.pop_back();
    return url;
}

// One dialect's smallest request.
struct Question {
    std::string path; // below the base URL
    json body;
    json limit; // merged into the body; left out when the model does not take it
    std::string body_kind;
    http::Headers headers;
};

std::vector<Question> questions_for(const std::string& agent, const std::string& model) {
    const json message = {{"role", "user"}, {"content", "hi"}};
    const json chat = {{"model", model}, {"messages", json::array({message})}};
    const json responses = {{"model", model}, {"input", json::array({message})}};
    if (agent == "codex") return {{"/responses", responses, {{"max_output_tokens", few_tokens}}, "", {}}};
    if (agent == "claude")
        return {
            {"/v1/messages", chat, {{"max_tokens", few_tokens}}, "", {{"anthropic-version", "2023-06-01"}}}};
    if (agent == "gemini") {
        const json body = {
            {"contents", json::array({{{"role", "user"}, {"parts", json::array({{{"text", "hi"}}})}}})}};
        return {{"/v1beta/models/" + http::percent_encode(model) + ":generateContent",
                 body,
                 {{"generationConfig", {{"maxOutputTokens", few_tokens}}}},
                 "",
                 {}}};
    }
    // Ask mode sends Chat Completions, Agent mode a Responses body to the same path.
    if (agent == "cursor")
        return {{"/chat/completions", chat, {{"max_tokens", few_tokens}}, "Chat Completions body", {}},
                {"/chat/completions", responses, {{"max_output_tokens", few_tokens}}, "Responses body", {}}};
    return {};
}

ProbeResult ask(const Question& question, const std::string& base, const Connection& connection,
                const Secret& token, http::HttpClient& client) {
    ProbeResult result;
    result.url = base + question.path;
    result.body_kind = question.body_kind;
    http::Request request;
    request.method = "POST";
    request.url = result.url;
    request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
    request.headers.insert(request.headers.end(), question.headers.begin(), question.headers.end());
    request.headers.insert(request.headers.end(), connection.headers.begin(), connection.headers.end());
    if (!token.empty()) request.authorization = Secret("Bearer " + token.reveal());
    request.timeout = request_limit;
    auto body = question.body;
    body.update(question.limit);
    for (int attempt = 0; attempt < 2; ++attempt) {
        request.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
        const auto response = client.send(request);
        if (!response) {
            result.failure = response.error();
            return result;
        }
        // Any web server may answer 200 to a POST; a model's answer is a JSON object in every dialect.
        if (databricks::is_good(*response) && json::parse(response->body, nullptr, false).is_object()) {
            result.good = true;
            return result;
        }
        auto error = databricks::classify(*response, "the probe");
        // Some models want another name for the limit: then ask without one.
        const bool about_limit = error.problem == databricks::ApiProblem::bad_request &&
                                 icontains(error.message, "max") && icontains(error.message, "token");
        result.answer = std::move(error);
        if (!about_limit) return result;
        body = question.body;
        result.answer.reset();
    }
    return result;
}

std::string last_line(const std::string& text) {
    std::string result;
    for (const auto& line : split(text, '\n')) {
        if (!trim(line).empty()) result = trim(line);
    }
    if (result.size() > 300) result.resize(300);
    return is_utf8(result) ? edit::mask_text(result) : std::string();
}

// The token as the agent would get it.
tl::expected<Secret, Finding> token_for(const Scene& scene, const Patient& patient, const ProbeTools& tools) {
    const auto& connection = patient.connection;
    const auto& name = patient.agent->display_name;
    if (connection.source == Connection::Source::literal) {
        if (const auto problem = databricks::token_problem(connection.token.reveal());
            !connection.token.empty() && !problem.empty())
            return tl::unexpected(Finding{
                "token-unusable", "", Severity::broken, name + "'s token cannot be sent", connection.file, 0,
                connection.token_origin + ": " + problem, scene.setup_command(patient)});
        return connection.token;
    }
    if (connection.source == Connection::Source::own) {
        if (tools.tokens == nullptr)
            return tl::unexpected(
                Finding{"probe-impossible",
                        "",
                        Severity::info,
                        name + "'s route was not tried: there is no credential to try it with",
                        {},
                        0,
                        "",
                        "export DATABRICKS_TOKEN with the token that you pasted into Cursor"});
        auto token = tools.tokens->get();
        if (!token)
            return tl::unexpected(
                Finding{"credential-unusable",
                        "",
                        Severity::warning,
                        name + "'s route was not tried: no token could be had",
                        {},
                        0,
                        edit::mask_text(token.error().what + ": " + token.error().why),
                        token.error().fix.empty() ? "dbx-agents auth status" : token.error().fix});
        return token->value;
    }
    system::ProcessRequest request;
    request.environment = connection.variables;
    request.timeout = connection.helper_timeout;
    if (connection.source == Connection::Source::shell) {
        request.program = "/bin/sh";
        request.arguments = {"-c", connection.shell};
    } else {
        const auto& program = connection.command.front();
        request.program = program;
        if (program.find('/') == std::string::npos)
            request.program =
                system::find_program(scene.around.environment, scene.around.files, program).value_or(program);
        else if (request.program.is_relative())
            request.program = scene.working_directory() / request.program;
        request.arguments.assign(connection.command.begin() + 1, connection.command.end());
    }
    const auto trouble = [&](const std::string& id, const std::string& what, const std::string& evidence) {
        return tl::unexpected(Finding{id, "", Severity::broken, what, connection.helper_file,
                                      connection.helper_line, evidence, "dbx-agents auth status"});
    };
    const auto done = tools.process.run(request);
    if (!done) {
        if (done.error().kind == ErrorKind::timeout)
            return trouble("helper-slow",
                           "the command that gives " + name + " its token takes longer than " +
                               std::to_string(request.timeout.count()) + " ms",
                           "");
        return trouble("helper-failed", "the command that gives " + name + " its token cannot be started",
                       done.error().why);
    }
    if (done->exit_code != 0) {
        // The program's own errors have several lines: what failed is in the first.
        std::string words;
        for (const auto& line : split(done->err, '\n')) {
            if (line.starts_with("error: ")) words = edit::mask_text(line.substr(7));
            if (line.starts_with("  why: ")) words += ": " + edit::mask_text(line.substr(7));
        }
        if (words.empty() || !is_utf8(words)) words = last_line(done->err);
        return trouble("helper-failed",
                       "the command that gives " + name + " its token fails (exit " +
                           std::to_string(done->exit_code) + ")",
                       words);
    }
    const auto output = trim(done->out);
    if (output.empty())
        return trouble("helper-output", "the command that gives " + name + " its token prints nothing", "");
    if (output.find('\n') != std::string_view::npos)
        return trouble("helper-output",
                       "the command that gives " + name + " its token prints more than one line", "");
    if (!databricks::token_problem(output).empty())
        return trouble("helper-output",
                       "the command that gives " + name + " its token prints something that is no token",
                       databricks::token_problem(output));
    return Secret(std::string(output));
}

} // namespace

std::vector<ProbeResult> probe(const Scene& scene, const Patient& patient, const ProbeTools& tools) {
    const auto& connection = patient.connection;
    if (!connection.ours || connection.base_url.empty() || connection.helper_missing ||
        connection.source == Connection::Source::none)
        return {};
    // What a check has already called impossible is not tried; nor does a token go out unencrypted.
    const auto parsed = http::parse_url(connection.base_url);
    if (!parsed || (parsed->scheme == "http" && !databricks::is_loopback(connection.base_url))) return {};
    const auto base = without_slash(connection.base_url);
    if (connection.source == Connection::Source::own) {
        const auto& target = scene.around.target;
        const bool ours = (target.gateway && databricks::same_origin(base, target.gateway->value)) ||
                          (target.workspace && databricks::same_origin(base, target.workspace->value));
        if (!ours) return {};
    }
    std::string model = connection.models.empty() ? std::string() : connection.models.front().name;
    if (model.empty()) {
        const auto models = agents::models_for(*patient.agent, {});
        if (const auto main = models.find("main"); main != models.end()) model = main->second;
    }
    const auto questions = questions_for(patient.agent->name, model);
    if (questions.empty()) return {};

    const auto token = token_for(scene, patient, tools);
    if (!token) {
        ProbeResult result;
        result.url = base + questions.front().path;
        result.model = model;
        result.finding = token.error();
        return {result};
    }
    std::vector<ProbeResult> results;
    for (const auto& question : questions) {
        auto result = ask(question, base, connection, *token, tools.http);
        result.model = model;
        const bool route_missing =
            result.answer && result.answer->problem == databricks::ApiProblem::route_missing;
        if (patient.agent->name == "codex" && route_missing) {
            // Two routes are in use; a workspace may have either.
            static constexpr std::string_view routes[] = {"/openai/v1", codex_other_route};
            for (int i = 0; i < 2; ++i) {
                if (!base.ends_with(routes[i])) continue;
                const auto other =
                    base.substr(0, base.size() - routes[i].size()) + std::string(routes[1 - i]);
                const auto second = ask(question, other, connection, *token, tools.http);
                if (second.good) result.better_url = other;
                break;
            }
        }
        const bool same_for_all =
            result.failure ||
            (result.answer && result.answer->problem != databricks::ApiProblem::bad_request);
        results.push_back(std::move(result));
        if (same_for_all) break; // the second body would only say it again
    }
    return results;
}

} // namespace dbx::doctor
