#include "cli/first_run.hpp"

#include "cli/questions.hpp"
#include "core/base/strings.hpp"
#include "core/databricks/config_file.hpp"
#include "core/databricks/hosts.hpp"
#include "core/databricks/model_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace dbx::cli {

namespace {

using agents::Agent;

std::string sentence(const Error& error) {
    return error.what + (error.why.empty() ? "" : ": " + error.why) +
           (error.fix.empty() ? "" : " (" + error.fix + ")");
}

// The questions in their order; each puts its answer into the wish or the options. false: ended.
class FirstRun {
  public:
    FirstRun(Session& session, SetupWish& wish)
        : session_(session)
        , wish_(wish)
        , questions_(session.console(), session.output()) {}

    Result<bool> run() {
        questions_.say("A few questions, then the changes as a diff. Nothing is written before you agree to "
                       "it. Enter takes what stands in brackets; Ctrl-C ends this.");
        for (const auto step : {&FirstRun::workspace, &FirstRun::agents, &FirstRun::models, &FirstRun::token,
                                &FirstRun::port, &FirstRun::telemetry}) {
            const auto answered = (this->*step)();
            if (!answered || !*answered) return answered;
        }
        return true;
    }

  private:
    // 1. The workspace: what the settings know, the profiles, or a typed address.
    Result<bool> workspace() {
        auto& options = session_.options();
        if (!options.workspace.empty() || !options.profile.empty() || !wish_.gateway.empty()) return true;
        const auto known = session_.read_again();
        if (!known) return fail(known.error());
        const auto& target = known->second;
        if (target.workspace && target.workspace->rank == state::Rank::locked) {
            questions_.say("\nThe workspace is " + target.workspace->value + ", locked by " +
                           target.workspace->origin + ".");
            return true;
        }

        Question question;
        question.title = "Which workspace?";
        question.prompt = "Number, or a URL";
        question.free_text = true;
        const auto home = system::home_directory(session_.environment());
        if (!home) return fail(home.error());
        // A file that cannot be read leaves the typed address; the plan says what is wrong with it.
        const auto file = databricks::read_config_file(session_.environment(), session_.files(), *home)
                              .value_or(databricks::ConfigFile());
        if (target.gateway && target.gateway->rank != state::Rank::built_in) {
            const auto& named = target.gateway_is_derived ? *target.workspace : *target.gateway;
            question.choices.push_back({named.value, named.value, named.origin});
        }
        for (const auto& profile : file.profiles) {
            const auto* host = profile.find("host");
            const auto url =
                host ? databricks::normalise_workspace(*host) : Result<std::string>(std::string());
            if (!url || url->empty() || !profile.problem.empty()) continue;
            question.choices.push_back({"profile " + profile.name, *url, "profile " + profile.name});
        }
        const bool is_known = target.gateway && target.gateway->rank != state::Rank::built_in;
        const std::string preferred =
            "profile " + (file.default_profile.empty() ? "DEFAULT" : file.default_profile);
        for (const auto& choice : question.choices)
            if (!is_known && choice.value == preferred) question.otherwise = preferred;
        if (question.otherwise.empty() && !question.choices.empty())
            question.otherwise = question.choices.front().value;
        if (question.choices.empty()) {
            question.title = "Which workspace? Its address, as the browser shows it.";
            question.prompt = "Address";
        }
        const auto use = [&](std::string answer) {
            options.workspace.clear();
            options.profile.clear();
            wish_.gateway.clear();
            for (const auto& profile : file.profiles) {
                if (answer == "profile " + profile.name || answer == profile.name) {
                    options.profile = profile.name;
                    return;
                }
            }
            if (is_known && !target.gateway_is_derived && answer == target.gateway->value) {
                wish_.gateway = answer;
                if (target.workspace) options.workspace = target.workspace->value;
                return;
            }
            options.workspace = answer;
        };
        question.judge = [&](const std::string& answer) {
            use(answer);
            options.gateway = wish_.gateway;
            const auto tried = session_.read_again();
            if (!tried) return sentence(tried.error());
            return tried->second.gateway ? std::string() : std::string("it has no address");
        };
        const auto answer = questions_.ask(question);
        if (!answer) return false;
        use(*answer);
        options.gateway = wish_.gateway;
        return true;
    }

    // 2. The agents: those that are found are taken with Enter.
    Result<bool> agents() {
        const auto catalogue = session_.catalogue();
        if (!catalogue) return fail(catalogue.error());
        Question question;
        question.title = "Which agents?";
        question.prompt = "Numbers or names, or all";
        std::vector<std::string> found;
        for (const auto& agent : (*catalogue)->agents) {
            const auto installed = agents::find_installed(agent, session_.environment(), session_.files());
            if (!installed.found && !agent.always) continue;
            question.choices.push_back(
                {agent.name, agent.display_name,
                 installed.found ? "found" + (installed.version ? ", " + *installed.version : std::string())
                                 : "not found here"});
            if (installed.found) found.push_back(agent.name);
        }
        question.otherwise = found.empty() ? "all" : join(found, " ");
        const auto answer = questions_.ask_several(question);
        if (!answer) return false;
        wish_.names = *answer;
        const auto chosen = session_.agents_named(wish_.names);
        if (!chosen) return fail(chosen.error());
        chosen_ = *chosen;
        return true;
    }

    // 3. The models: the settings' or the template's, unless somebody wants others.
    Result<bool> models() {
        if (!wish_.model.empty() || !wish_.models.empty()) return true;
        const auto settings = session_.settings();
        if (!settings) return fail(settings.error());
        std::vector<std::vector<std::string>> rows;
        std::vector<std::string> defaults;
        for (const auto* agent : chosen_) {
            const auto setting = (*settings)->find("agents." + agent->name + ".model");
            defaults.push_back(setting ? setting->value : agent->models.at("main"));
            rows.push_back({agent->display_name, printable(defaults.back())});
        }
        session_.console().err("\n" + session_.output().styled_err("Which models?", Style::bold) + "\n" +
                               columns(rows, 2));
        // What the workspace listed last, if it ever did: `dbx-agents models` keeps it.
        const auto cached = databricks::read_model_cache(session_.environment(), session_.files());
        const auto keep = questions_.yes_no("Keep these models?", Questions::Preset::yes);
        if (!keep) return false;
        for (std::size_t i = 0; i < chosen_.size(); ++i) {
            std::string model = defaults[i];
            if (!*keep) {
                Question question;
                question.prompt = "Model for " + chosen_[i]->display_name;
                question.otherwise = model;
                question.free_text = true;
                for (const auto& known : cached)
                    if (known.serves(chosen_[i]->api_types)) question.choices.push_back({known.name, {}, {}});
                question.judge = [](const std::string& answer) {
                    const auto wrong = refuse_model(answer, "the answer");
                    return wrong ? wrong->why : std::string();
                };
                const auto answer = questions_.ask(question);
                if (!answer) return false;
                model = *answer;
            }
            if (model != chosen_[i]->models.at("main")) wish_.models[chosen_[i]->name] = model;
        }
        return true;
    }

    // 4. How the token reaches the agents. A form that cannot be planned is asked again, with the reason.
    Result<bool> token() {
        if (!wish_.auth.empty() || wish_.via_proxy) return true;
        std::vector<const Agent*> with_token;
        for (const auto* agent : chosen_)
            if (!agent->token_variable.empty()) with_token.push_back(agent);
        if (with_token.empty()) return true;
        const auto offered = [&](const std::string& form) {
            return std::all_of(with_token.begin(), with_token.end(), [&](const Agent* agent) {
                return std::find(agent->auth.begin(), agent->auth.end(), form) != agent->auth.end();
            });
        };
        Question question;
        question.title = "How do the agents get their token?";
        question.prompt = "Number or name";
        question.judge = [this](const std::string& form) { return problem_of(form); };
        if (problem_of("auto").empty()) {
            question.choices.push_back({"auto", {}, "recommended: " + automatic_in_words()});
            question.otherwise = "auto";
        }
        const std::pair<std::string, std::string> forms[] = {
            {"helper", "each runs dbx-agents for a fresh token; none in a file"},
            {"proxy", "through the local proxy: limits and a usage report; it must run"},
            {"pat", "your personal access token, in the agents' files"},
            {"env", "nothing written; you export the token yourself"},
        };
        for (const auto& [form, remark] : forms)
            if (offered(form)) question.choices.push_back({form, {}, remark});
        const auto answer = questions_.ask(question);
        if (!answer) return false;
        wish_.auth = *answer == "auto" ? "" : *answer;
        return true;
    }

    // 5. The proxy's port, where the proxy was asked for.
    Result<bool> port() {
        if (wish_.auth != "proxy") return true;
        const auto settings = session_.settings();
        if (!settings) return fail(settings.error());
        const auto setting = (*settings)->find("proxy.port");
        if (setting && setting->rank == state::Rank::locked) return true;
        Question question;
        question.prompt = "Port of the local proxy";
        question.otherwise =
            setting && proxy_port_of(setting->value) ? setting->value : std::to_string(default_proxy_port);
        question.free_text = true;
        question.judge = [](const std::string& answer) {
            return proxy_port_of(answer) ? std::string() : std::string("it is a number from 1 to 65535");
        };
        const auto answer = questions_.ask(question);
        if (!answer) return false;
        wish_.auth.clear();
        wish_.via_proxy = true;
        wish_.via_proxy_port = *answer;
        return true;
    }

    // 6. The telemetry's tables, for agents that can export.
    Result<bool> telemetry() {
        if (wish_.otel || wish_.no_otel) return true;
        if (std::all_of(chosen_.begin(), chosen_.end(),
                        [](const Agent* agent) { return agent->token_variable.empty(); }))
            return true;
        const auto settings = session_.settings();
        if (!settings) return fail(settings.error());
        const auto known = (*settings)->find("otel.tables");
        if (known && known->rank == state::Rank::locked) return true;
        Question question;
        question.title = "Send the agents' telemetry to tables in Unity Catalog? (tables create makes them)";
        question.prompt = "catalog.schema.prefix, or no";
        question.otherwise = known ? known->value : "no";
        question.free_text = true;
        question.judge = [&](const std::string& answer) {
            SetupWish wish = wish_;
            if (answer != "no" && !(known && answer == known->value)) wish.otel = answer;
            const auto plan = make_setup_plan(session_, wish);
            return plan || plan.error().kind != ErrorKind::usage ? std::string() : sentence(plan.error());
        };
        const auto answer = questions_.ask(question);
        if (!answer) return false;
        if (*answer == "no") {
            wish_.no_otel = known.has_value();
        } else if (!known || *answer != known->value) {
            wish_.otel = *answer;
        }
        return true;
    }

    std::string problem_of(const std::string& form) {
        SetupWish wish = wish_;
        wish.auth = form == "auto" ? "" : form;
        const auto plan = make_setup_plan(session_, wish);
        // A file that cannot be parsed is not the answer's fault; the plan at the end says so.
        if (plan || (plan.error().kind != ErrorKind::usage && plan.error().kind != ErrorKind::credential))
            return {};
        return sentence(plan.error());
    }

    // "Claude Code runs a command for it; Gemini CLI through the local proxy".
    std::string automatic_in_words() {
        SetupWish wish = wish_;
        const auto plan = make_setup_plan(session_, wish);
        if (!plan) return "what fits each agent best";
        constexpr std::pair<agents::Auth, std::string_view> words[] = {
            {agents::Auth::helper, "helper"},
            {agents::Auth::pat, "pat"},
            {agents::Auth::proxy, "proxy"},
            {agents::Auth::env, "env"},
        };
        std::vector<std::string> parts;
        for (const auto& [form, word] : words) {
            std::vector<std::string> names;
            for (const auto& agent : plan->agents)
                if (agent.auth == form && !agent.agent->token_variable.empty())
                    names.push_back(agent.agent->name);
            if (!names.empty()) parts.push_back(std::string(word) + " for " + join(names, ", "));
        }
        return join(parts, "; ");
    }

    Session& session_;
    SetupWish& wish_;
    Questions questions_;
    std::vector<const Agent*> chosen_;
};

} // namespace

bool may_ask(Session& session) {
    const auto ci = session.environment().get("CI");
    return session.output().can_ask() && !session.output().json() && !session.output().quiet() &&
           (!ci || ci->empty() || *ci == "false" || *ci == "0");
}

Result<bool> first_run(Session& session, SetupWish& wish) {
    return FirstRun(session, wish).run();
}

std::string equivalent_command(const databricks::Target& target, const SetupWish& wish,
                               const SetupPlan& plan) {
    std::vector<std::string> words = {"dbx-agents", "setup"};
    if (wish.all) words.emplace_back("--all");
    words.insert(words.end(), wish.names.begin(), wish.names.end());
    if (target.workspace) words.insert(words.end(), {"--workspace", target.workspace->value});
    if (target.gateway && !target.gateway_is_derived)
        words.insert(words.end(), {"--gateway", target.gateway->value});
    if (target.profile) words.insert(words.end(), {"--profile", target.profile->value});
    if (!wish.model.empty()) words.insert(words.end(), {"--model", wish.model});
    for (const auto& [agent, model] : wish.models)
        words.insert(words.end(), {"--model", agent + "=" + model});
    if (plan.proxy_port && wish.form() == agents::Auth::proxy) {
        words.push_back("--via-proxy=" + std::to_string(*plan.proxy_port));
    } else if (!wish.auth.empty()) {
        words.insert(words.end(), {"--auth", wish.auth});
    }
    if (wish.no_otel) words.emplace_back("--no-otel");
    const auto exporting =
        std::find_if(plan.agents.begin(), plan.agents.end(),
                     [](const agents::AgentPlan& agent) { return agent.otel.has_value(); });
    if (wish.otel) {
        words.insert(words.end(), {"--otel", *wish.otel});
    } else if (exporting != plan.agents.end()) {
        const auto& place = exporting->otel->place;
        words.insert(words.end(), {"--otel", place.catalog + "." + place.schema + "." + place.prefix});
    }
    if (wish.otel_traces || (exporting != plan.agents.end() && exporting->otel->traces))
        words.emplace_back("--otel-traces");
    if (wish.claude_betas != "off") words.insert(words.end(), {"--claude-betas", wish.claude_betas});
    words.emplace_back("--yes");
    for (auto& word : words) word = shell_quote(word);
    return join(words, " ");
}

Error missing_flags(Session& session) {
    std::string why = "neither an agent nor --all was given";
    const auto known = session.read_again();
    const bool no_workspace = known && !known->second.gateway;
    if (no_workspace) why += ", and no workspace is known";
    if (!session.output().can_ask()) {
        why += "; there is no terminal to ask on";
    } else if (!may_ask(session) && !session.output().json() && !session.output().quiet()) {
        why += "; CI is set, so nothing is asked";
    }
    return {ErrorKind::usage,
            "which agents?",
            why,
            "dbx-agents setup codex claude --workspace URL, or dbx-agents setup --all --workspace URL",
            {}};
}

} // namespace dbx::cli
