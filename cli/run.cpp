#include "cli/run.hpp"

#include "cli/command_line.hpp"
#include "cli/help_text.hpp"
#include "cli/reflection.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <optional>

namespace dbx::cli {

namespace {

// `chosen`: the command or group that the parser reached, `name`: its full name.
Error usage_error(const CLI::ParseError& error, const CLI::App& program, const CLI::App& chosen,
                  const std::string& name) {
    std::string why = error.what();
    std::string fix = "see dbx-agents " + (name.empty() ? "" : name + " ") + "--help";
    // "The following argument was not expected: X": a word that is no command, or a flag that is none.
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        const auto at = why.rfind(": ");
        const auto extras = split(at == std::string::npos ? why : why.substr(at + 2), ' ');
        why = "unexpected: " + join(extras, " ");
        const auto flag = std::find_if(extras.begin(), extras.end(),
                                       [](const std::string& extra) { return extra.starts_with("--"); });
        std::string near;
        if (flag != extras.end()) {
            std::vector<std::string> flags;
            for (const auto& known : {describe(chosen, name), describe(program, "")})
                for (const auto& option : known.flags)
                    flags.insert(flags.end(), option.names.begin(), option.names.end());
            near = nearest(flag->substr(0, flag->find('=')), flags);
        } else if (!extras.empty()) {
            near = nearest(extras.back(), names_below(name));
        }
        if (!near.empty()) fix = "did you mean '" + near + "'?";
    }
    while (!why.empty() && (why.back() == '\n' || why.back() == '.')) why.pop_back();
    return {ErrorKind::usage, "the command line cannot be understood", why, fix, {}};
}

Error no_command(const std::string& group) {
    return {ErrorKind::usage,
            "which command?",
            (group.empty() ? "dbx-agents" : "dbx-agents " + group) + " alone does nothing",
            "one of: " + join(names_below(group), ", "),
            {}};
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

int run(const std::vector<std::string>& all_arguments, Context& context) {
    GlobalOptions options;
    // What stands behind "run AGENT --" is the agent's, untouched.
    auto arguments = all_arguments;
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    if (dashes != arguments.end() && std::find(arguments.begin(), dashes, "run") != dashes) {
        options.rest.assign(dashes + 1, arguments.end());
        arguments.erase(dashes, arguments.end());
    }
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
        result.animate = term != "dumb";
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

    CommandLine line(options, arguments, CommandLine::Declare::asked);
    const auto name_of_chosen = [&] {
        std::string name;
        for (const CLI::App* app = line.chosen(); app->get_parent() != nullptr; app = app->get_parent())
            name = app->get_name() + (name.empty() ? "" : " " + name);
        return name;
    };
    try {
        auto reversed = arguments;
        std::reverse(reversed.begin(), reversed.end());
        line.app().parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
        const auto text = help_text(describe(*line.chosen(), name_of_chosen()));
        if (output_options().json) {
            Output(context.console, output_options()).document({{"help", text}});
        } else {
            context.console.out(text);
        }
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
        output.error(usage_error(error, line.app(), *line.chosen(), name_of_chosen()),
                     "Nothing was changed.");
        return exit_code(ErrorKind::usage);
    }

    const CLI::App* chosen = line.chosen();
    Output output(context.console, output_options());
    if (const auto home = system::home_directory(context.environment); home && home->string() != "/")
        output.set_home(home->string());
    auto* const command = line.command(chosen);
    if (command == nullptr) { // the program alone, or a group
        if (output.json()) {
            output.error(no_command(name_of_chosen()), "Nothing was changed.");
        } else {
            context.console.err(help_text(describe(*chosen, name_of_chosen())));
        }
        return exit_code(ErrorKind::usage);
    }
    if (options.quiet && options.verbose) {
        output.error(
            {ErrorKind::usage, "--quiet and --verbose contradict each other", {}, "use one of them", {}}, "");
        return exit_code(ErrorKind::usage);
    }
    if (const auto empty = empty_flag(chosen)) {
        output.error(is_empty(*empty), command->state_after_error());
        return exit_code(ErrorKind::usage);
    }

    Session session(context, output, options);
    const auto outcome = command->run(session);
    if (!outcome) {
        output.error(outcome.error(), command->state_after_error());
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
