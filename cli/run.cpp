#include "cli/run.hpp"

#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>

namespace dbx::cli {

namespace {

// Without the library's remarks on which options exclude which.
class HelpFormatter : public CLI::Formatter {
  public:
    std::string make_option_opts(const CLI::Option* option) const override {
        if (option->get_type_size() == 0) return {};
        return " " + option->get_type_name() + (option->get_expected_max() > 1 ? "..." : "");
    }
};

struct Tree {
    std::map<std::string, CLI::App*, std::less<>> apps; // by full name
    std::map<CLI::App*, std::unique_ptr<Command>> commands;
};

std::vector<std::string> names_below(std::string_view group) {
    std::vector<std::string> names;
    for (const auto& entry : command_table()) {
        const auto space = entry.name.rfind(' ');
        const auto parent =
            space == std::string_view::npos ? std::string_view() : entry.name.substr(0, space);
        if (parent == group)
            names.emplace_back(entry.name.substr(space == std::string_view::npos ? 0 : space + 1));
    }
    return names;
}

// Declares every command of the table below `app`; only the one that is asked for gets its options.
void declare(CLI::App& app, const std::vector<std::string>& arguments, Tree& tree) {
    for (const auto& entry : command_table()) {
        const auto space = entry.name.rfind(' ');
        CLI::App* parent =
            space == std::string_view::npos ? &app : tree.apps.at(std::string(entry.name.substr(0, space)));
        const std::string name(entry.name.substr(space == std::string_view::npos ? 0 : space + 1));
        CLI::App* sub = parent->add_subcommand(name, std::string(entry.about));
        sub->fallthrough();
        sub->footer("Every command has --json, --quiet, --verbose, --no-color, --config, --profile and\n"
                    "--workspace as well: see dbx-agents --help.");
        sub->set_help_flag("-h,--help", "Print this help");
        tree.apps[std::string(entry.name)] = sub;
        const auto words = split(entry.name, ' ');
        const bool asked = std::all_of(words.begin(), words.end(), [&](const std::string& word) {
            return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
        });
        if (!entry.make || !asked) continue;
        auto command = entry.make();
        command->declare(*sub);
        tree.commands[sub] = std::move(command);
    }
}

Error usage_error(const CLI::ParseError& error, const std::vector<std::string>& arguments) {
    std::string why = error.what();
    std::string fix = "see dbx-agents --help";
    // "The following argument was not expected: X": a word that is no command, or a flag that is none.
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        const auto at = why.rfind(": ");
        const auto extras = split(at == std::string::npos ? why : why.substr(at + 2), ' ');
        const std::string word = extras.empty() ? "" : extras.back();
        why = "unexpected: " + join(extras, " ");
        const auto group = std::find_if(arguments.begin(), arguments.end(), [](const std::string& argument) {
            return argument.rfind('-', 0) != 0;
        });
        const auto below = group == arguments.end() || *group == word ? names_below("") : names_below(*group);
        if (const std::string near = nearest(word, below); !near.empty() && word.rfind('-', 0) != 0)
            fix = "did you mean '" + near + "'?";
    }
    while (!why.empty() && (why.back() == '\n' || why.back() == '.')) why.pop_back();
    return {ErrorKind::usage, "the command line cannot be understood", why, fix, {}};
}

// A flag with an empty value is a script's unset variable, not a wish.
Error is_empty(const std::string& flag) {
    return {ErrorKind::usage,
            flag + " is empty",
            "its value is the empty string",
            "give it a value, or leave it out",
            {}};
}

// The first flag with an empty value, of the command or of those above it.
std::optional<std::string> empty_flag(const CLI::App* app) {
    for (; app != nullptr; app = app->get_parent()) {
        for (const auto* option : app->get_options()) {
            const auto& values = option->results();
            if (option->nonpositional() && option->count() > 0 &&
                std::find(values.begin(), values.end(), "") != values.end())
                return option->get_name();
        }
    }
    return std::nullopt;
}

} // namespace

int run(const std::vector<std::string>& arguments, Context& context) {
    GlobalOptions options;
    CLI::App app{
        "Puts coding agents (Cursor, Codex CLI, Gemini CLI, Claude Code) behind the Databricks AI Gateway.",
        "dbx-agents"};
    app.set_help_flag("-h,--help", "Print this help");
    app.set_version_flag("--version", "dbx-agents " DBX_VERSION, "Print the version");
    app.add_flag("--json", options.json, "One JSON document on stdout");
    app.add_flag("--quiet", options.quiet, "Errors only");
    app.add_flag("--verbose", options.verbose, "More about what was found and why");
    app.add_flag("--no-color", options.no_color, "No colour, even on a terminal");
    app.add_option("--config", options.config, "This configuration file instead of the user's")
        ->type_name("FILE");
    app.add_option("--profile", options.profile, "A profile of ~/.databrickscfg")->type_name("NAME");
    app.add_option("--workspace", options.workspace, "The Databricks workspace")->type_name("URL");
    app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a file cannot be parsed or written,\n"
               "4 no valid credential, 5 the workspace refused, 6 timed out, 10 setup --check: something\n"
               "would change, 11 tables check: different, 12 tables check: missing, 130 interrupted.\n"
               "Configuration: ~/.config/dbx-agents/config.toml.");

    // What an error before the end of parsing needs to know.
    const auto given = [&](std::string_view flag) {
        return std::find(arguments.begin(), arguments.end(), flag) != arguments.end();
    };
    const auto output_options = [&] {
        Output::Options result;
        result.json = options.json || given("--json");
        const auto no_color = context.environment.get("NO_COLOR");
        const auto term = context.environment.get("TERM");
        result.color = !options.no_color && !(no_color && !no_color->empty()) && term != "dumb";
        result.verbosity = options.quiet     ? Output::Verbosity::quiet
                           : options.verbose ? Output::Verbosity::verbose
                                             : Output::Verbosity::normal;
        return result;
    };

    // The library takes the next word for the value of "--model=", and "--via-proxy=" for a plain flag.
    for (const auto& argument : arguments) {
        if (argument == "--") break;
        if (argument.size() < 4 || !argument.starts_with("--") || argument.find('=') != argument.size() - 1)
            continue;
        Output(context.console, output_options())
            .error(is_empty(argument.substr(0, argument.size() - 1)), "Nothing was changed.");
        return exit_code(ErrorKind::usage);
    }

    app.formatter(std::make_shared<HelpFormatter>());
    Tree tree;
    declare(app, arguments, tree);
    try {
        auto reversed = arguments;
        std::reverse(reversed.begin(), reversed.end());
        app.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
        context.console.out(app.help());
        return context.console.ok() ? 0 : 1;
    } catch (const CLI::CallForVersion& version) {
        if (output_options().json) {
            Output(context.console, output_options())
                .document({{"name", "dbx-agents"}, {"version", DBX_VERSION}});
        } else {
            context.console.out(std::string(version.what()) + "\n");
        }
        return context.console.ok() ? 0 : 1;
    } catch (const CLI::ParseError& error) {
        Output output(context.console, output_options());
        output.error(usage_error(error, arguments), "Nothing was changed.");
        return exit_code(ErrorKind::usage);
    }

    CLI::App* chosen = &app;
    while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
    Output output(context.console, output_options());
    if (const auto home = system::home_directory(context.environment); home && home->string() != "/")
        output.set_home(home->string());
    const auto command = tree.commands.find(chosen);
    if (command == tree.commands.end()) {
        context.console.err(app.help());
        return exit_code(ErrorKind::usage);
    }
    if (options.quiet && options.verbose) {
        output.error(
            {ErrorKind::usage, "--quiet and --verbose contradict each other", {}, "use one of them", {}}, "");
        return exit_code(ErrorKind::usage);
    }
    if (const auto empty = empty_flag(chosen)) {
        output.error(is_empty(*empty), command->second->state_after_error());
        return exit_code(ErrorKind::usage);
    }

    Session session(context, output, options);
    const auto outcome = command->second->run(session);
    if (!outcome) {
        output.error(outcome.error(), command->second->state_after_error());
        return exit_code(outcome.error().kind);
    }
    if (!output.ok()) {
        output.error({ErrorKind::failed,
                      "cannot write to standard output",
                      "the disk is full, or the device failed",
                      {},
                      {}},
                     "");
        return exit_code(ErrorKind::failed);
    }
    return *outcome;
}

int main(int argc, char** argv) {
    system::open_standard_streams();
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN); // a file-size limit becomes an error with words
    system::RealFileSystem files;
    system::RealEnvironment environment;
    system::RealClock clock;
    system::RealConsole console;
    system::RealProcess process;
    auto client_options = http::ClientOptions::from(environment);
    client_options.user_agent = "dbx-agents/" DBX_VERSION;
    http::CurlClient http(std::move(client_options));
    http::RealPacer pacer;
    Context context{files, environment, clock, console, process, http, pacer};
    try {
        return run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), context);
    } catch (const std::bad_alloc&) {
        console.err("error: out of memory\n");
        return exit_code(ErrorKind::failed);
    }
}

} // namespace dbx::cli
