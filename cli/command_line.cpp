#include "cli/command_line.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::cli {

namespace {

std::string_view parent_of(std::string_view name) {
    const auto space = name.rfind(' ');
    return space == std::string_view::npos ? std::string_view() : name.substr(0, space);
}

std::string_view last_word(std::string_view name) {
    const auto space = name.rfind(' ');
    return space == std::string_view::npos ? name : name.substr(space + 1);
}

} // namespace

std::vector<std::string> names_below(std::string_view group) {
    std::vector<std::string> names;
    for (const auto& entry : command_table())
        if (entry.audience == Audience::people && parent_of(entry.name) == group)
            names.emplace_back(last_word(entry.name));
    return names;
}

CommandLine::CommandLine(GlobalOptions& options, const std::vector<std::string>& arguments, Declare which)
    : app_("Puts coding agents (Cursor, Codex CLI, Gemini CLI, Claude Code) behind the Databricks AI Gateway",
           "dbx-agents") {
    app_.set_help_flag("-h,--help", "Print this help");
    app_.set_version_flag("--version", "dbx-agents " DBX_VERSION, "Print the version");
    app_.add_flag("--json", options.json, "One JSON document on stdout");
    app_.add_flag("--quiet", options.quiet, "Errors only");
    app_.add_flag("--verbose", options.verbose, "More about what was found and why");
    app_.add_flag("--no-color", options.no_color, "No colour, even on a terminal");
    app_.add_option("--config", options.config, "This configuration file instead of the user's")
        ->type_name("FILE");
    app_.add_option("--profile", options.profile, "A profile of ~/.databrickscfg")->type_name("PROFILE");
    app_.add_option("--workspace", options.workspace, "The Databricks workspace")->type_name("URL");
    // One command: after it, another one's name is an argument ("help setup").
    app_.require_subcommand(0, 1);
    apps_[""] = &app_;
    for (const auto& entry : command_table()) {
        CLI::App* parent = apps_.at(std::string(parent_of(entry.name)));
        CLI::App* sub = parent->add_subcommand(std::string(last_word(entry.name)), std::string(entry.about));
        sub->fallthrough();
        sub->require_subcommand(0, 1);
        sub->set_help_flag("-h,--help", "Print this help");
        apps_[std::string(entry.name)] = sub;
        const auto words = split(entry.name, ' ');
        const bool asked =
            which == Declare::all || std::all_of(words.begin(), words.end(), [&](const std::string& word) {
                return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
            });
        if (!entry.make || !asked) continue;
        auto command = entry.make();
        command->declare(*sub);
        commands_[sub] = std::move(command);
    }
}

CLI::App* CommandLine::find(std::string_view name) {
    const auto found = apps_.find(name);
    return found == apps_.end() ? nullptr : found->second;
}

CLI::App* CommandLine::chosen() {
    CLI::App* app = &app_;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    return app;
}

Command* CommandLine::command(const CLI::App* app) {
    const auto found = commands_.find(app);
    return found == commands_.end() ? nullptr : found->second.get();
}

} // namespace dbx::cli
