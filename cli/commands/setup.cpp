#include "cli/command.hpp"
#include "cli/file_diff.hpp"
#include "cli/first_run.hpp"
#include "cli/questions.hpp"
#include "cli/setup_show.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

using agents::FileChange;

class Setup : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", wish_.names, "cursor, codex, gemini, claude, or another one with a template")
            ->type_name("AGENT");
        app.add_flag("--all", wish_.all, "Cursor, Codex CLI, Gemini CLI and Claude Code, found or not");
        app.add_option("--gateway", wish_.gateway, "The gateway's root, used as it is")->type_name("URL");
        app.add_option("--model", models_,
                       "The model, for the agents named; AGENT=NAME is for one of them, and may be repeated")
            ->type_name("MODEL")
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        app.add_option("--auth", wish_.auth, "How the agent gets its token (default: auto)")
            ->type_name("auto|helper|pat|env|proxy");
        via_proxy_flag_ = app.add_flag("--via-proxy", wish_.via_proxy_port,
                                       "Through the local proxy: --auth proxy; --via-proxy=PORT names its "
                                       "port (default: setting proxy.port, else 8790)")
                              ->type_name("PORT");
        app.add_option("--claude-betas", wish_.claude_betas,
                       "on: let Claude Code send its beta headers (cheaper caching; some gateways "
                       "refuse them); off (default): do not")
            ->type_name("on|off");
        auto* otel = app.add_option("--otel", wish_.otel,
                                    "Export metrics and logs to the tables of 'tables create' (default: "
                                    "setting otel.tables)")
                         ->type_name("CATALOG.SCHEMA.PREFIX");
        auto* no_otel =
            app.add_flag("--no-otel", wish_.no_otel, "Take the telemetry keys out again; remembered");
        auto* traces = app.add_flag("--otel-traces", wish_.otel_traces, "Export traces as well");
        no_otel->excludes(otel)->excludes(traces);
        app.add_option("--scope", wish_.scope,
                       "user (default); managed: the files of everybody on this machine, for administrators "
                       "(Claude Code, Codex CLI; needs root)")
            ->type_name("user|managed");
        auto* dry_run =
            app.add_flag("--dry-run", dry_run_, "Show what would change, as a diff; write nothing");
        auto* check = app.add_flag("--check", check_, "Write nothing; exit 10 when something would change");
        auto* print = app.add_flag("--print", print_, "Print the resulting files; write nothing");
        app.add_flag("--yes,-y", yes_, "Do not ask");
        dry_run->excludes(check)->excludes(print);
        check->excludes(print);
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        auto& out = session.output();
        wish_.via_proxy = via_proxy_flag_->count() > 0;
        if (auto wrong = read_models(); wrong) return fail(*wrong);
        if (auto wrong = refuse(wish_); wrong) return fail(*wrong);
        session.options().gateway = wish_.gateway;

        // Nobody waits for a lock that a question holds: with a question it is taken after the answer.
        const bool writes = !dry_run_ && !check_ && !print_;
        const bool asks = writes && !yes_ && !out.json() && out.can_ask();
        const system::InterruptGuard guard;
        const bool first = !wish_.all && wish_.names.empty();
        if (first && wish_.managed()) return fail(missing_flags(session));
        if (first) {
            if (check_ || print_ || yes_ || !may_ask(session)) return fail(missing_flags(session));
            const auto answered = first_run(session, wish_);
            if (!answered) return fail(answered.error());
            if (!*answered) return ended(session);
        }
        if (wish_.managed()) {
            if (writes && session.environment().user_id() != 0)
                return fail(ErrorKind::file, "cannot write managed files",
                            "they belong to root, and this is user " +
                                std::to_string(session.environment().user_id()),
                            "run it with sudo; --dry-run shows what it would do, without root");
            if (auto unfit = unfit_for_everybody(session, session.environment().program())) {
                if (writes) return fail(*unfit);
                out.warning(unfit->what + ": " + unfit->why);
            }
        }
        std::optional<system::Lock> lock;
        if (writes && !asks) {
            auto locked = session.lock();
            if (!locked) return fail(locked.error());
            lock = std::move(*locked);
        }
        auto plan = make_setup_plan(session, wish_);
        if (!plan) return fail(plan.error());
        for (const auto& warning : plan->warnings) out.warning(warning);
        if (check_) return show_check(session, *plan);
        if (dry_run_) return show_dry_run(session, *plan);
        if (print_) return show_files(session, *plan);
        const bool asked = asks && plan->changes();
        if (asked) {
            if (first) session.console().err("\n");
            show_diffs(session, *plan);
            show_remarks(session, *plan);
            session.console().err("\n");
            Questions questions(session.console(), out);
            const auto agreed = questions.yes_no("Write these changes?", Questions::Preset::yes);
            if (!agreed) return ended(session);
            if (!*agreed) {
                out.summary("Nothing was changed.\n");
                return 1;
            }
        } else if (!out.json()) {
            show_remarks(session, *plan);
        }
        if (asks) {
            auto locked = session.lock();
            if (!locked) return fail(locked.error());
            lock = std::move(*locked);
            auto again = make_setup_plan(session, wish_, plan->keys);
            if (!again) return fail(again.error());
            if (const auto* other = first_difference(*plan, *again))
                return fail(ErrorKind::file, "cannot update " + session.shown(other->named),
                            "somebody changed it while the question was open", "run the command again");
            plan = std::move(again);
        }
        const auto written = write(session, *plan, asked ? Keys::left_out : Keys::shown);
        if (written && first) {
            const auto target = session.target();
            if (!target) return fail(target.error());
            out.summary("\nThe same without questions, for a script:\n  " +
                        equivalent_command(**target, wish_, *plan) + "\n");
        }
        return written;
    }

  private:
    // --model NAME, or AGENT=NAME.
    std::optional<Error> read_models() {
        for (const auto& word : models_) {
            const auto equals = word.find('=');
            if (equals == 0 || equals + 1 == word.size())
                return Error{ErrorKind::usage,
                             "--model " + word + " cannot be used",
                             "the agent before, or the model behind '=' is empty",
                             "--model AGENT=NAME, or --model NAME for every agent",
                             {}};
            if (equals != std::string::npos) {
                wish_.models[word.substr(0, equals)] = word.substr(equals + 1);
            } else if (wish_.model.empty()) {
                wish_.model = word;
            } else {
                return Error{ErrorKind::usage,
                             "--model " + wish_.model + " and --model " + word + " contradict each other",
                             "each is for every agent",
                             "--model AGENT=NAME for each agent",
                             {}};
            }
        }
        return std::nullopt;
    }

    static int ended(Session& session) {
        session.console().err("Nothing was changed.\n");
        return exit_code(ErrorKind::interrupted);
    }

    // The first file that is to become something else than what was shown; nullptr: there is none.
    static const FileChange* first_difference(const SetupPlan& shown, const SetupPlan& now) {
        for (std::size_t i = 0; i < now.agents.size(); ++i) {
            if (const auto* other = agents::first_difference(shown.agents[i].files, now.agents[i].files))
                return other;
        }
        return nullptr;
    }

    // Under the lock.
    Result<int> write(Session& session, SetupPlan& plan, Keys shown) {
        auto& out = session.output();
        auto keys = agents::plan_local_keys(plan.keys, session.environment(), session.files());
        if (!keys) return fail(keys.error());
        std::vector<const FileChange*> list;
        if (plan.proxy_port && keys->changes()) list.push_back(&*keys); // before the files that hold them
        for (const auto& agent : plan.agents)
            for (const auto& change : agent.files)
                if (change.changes()) list.push_back(&change);
        if (!list.empty()) {
            const system::InterruptGuard guard;
            if (auto applied =
                    agents::apply(list, plan.journal, session.environment(), session.files(), session.now());
                !applied)
                return fail(applied.error());
        }
        if (auto remembered = remember(session, plan); !remembered) {
            Error error = remembered.error();
            error.state = "The agents' files were written; only the settings were not remembered.";
            return fail(error);
        }
        if (out.json()) {
            out.document(document_of(session, plan, plan.changes()));
            return 0;
        }
        show_summary(session, plan, shown);
        for (const auto& agent : plan.agents) {
            for (const auto& change : agent.files)
                if (change.print && change.after) out.summary("\n" + masked_text(change, *change.after));
        }
        if (plan.changes()) {
            out.summary("\nTo take it back: dbx-agents revert " +
                        (wish_.all ? std::string("--all") : join(wish_.names, " ")) + "\n");
        } else {
            out.summary("\nEverything was already as it should be; nothing was changed.\n");
        }
        if (plan.proxy_port)
            out.summary(
                "Next: start the local proxy and keep it running: " + proxy_command(*plan.proxy_port) + "\n");
        return 0;
    }

    // What administrators write for others is no setting of their own.
    Result<void> remember(Session& session, const SetupPlan& plan) const {
        if (wish_.managed()) return {};
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());
        std::map<std::string, std::string> values;
        if ((*target)->workspace) values["workspace"] = (*target)->workspace->value;
        if ((*target)->gateway && !(*target)->gateway_is_derived)
            values["gateway"] = (*target)->gateway->value;
        if ((*target)->profile) values["profile"] = (*target)->profile->value;
        // Other agents may go through the proxy although these do not.
        values["proxy.port"] =
            plan.proxy_port ? std::to_string(*plan.proxy_port) : remembered(**settings, "proxy.port");
        values.insert(plan.telemetry_settings.begin(), plan.telemetry_settings.end());
        return state::remember(values, session.environment(), session.files());
    }

    SetupWish wish_;
    std::vector<std::string> models_;
    CLI::Option* via_proxy_flag_ = nullptr;
    bool dry_run_ = false;
    bool check_ = false;
    bool print_ = false;
    bool yes_ = false;
};

} // namespace

std::unique_ptr<Command> make_setup() {
    return std::make_unique<Setup>();
}

} // namespace dbx::cli
