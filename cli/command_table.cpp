#include "cli/command.hpp"

namespace dbx::cli {

// One maker per file in commands/.
std::unique_ptr<Command> make_setup();
std::unique_ptr<Command> make_status();
std::unique_ptr<Command> make_revert();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_auth_token();
std::unique_ptr<Command> make_auth_status();
std::unique_ptr<Command> make_models();
std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_tables_create();
std::unique_ptr<Command> make_tables_check();
std::unique_ptr<Command> make_tables_ddl();
std::unique_ptr<Command> make_tables_grant();
std::unique_ptr<Command> make_proxy_rotate_keys();
std::unique_ptr<Command> make_proxy();
std::unique_ptr<Command> make_proxy_status();
std::unique_ptr<Command> make_proxy_stop();
std::unique_ptr<Command> make_proxy_install();
std::unique_ptr<Command> make_proxy_uninstall();
std::unique_ptr<Command> make_usage();
std::unique_ptr<Command> make_templates_list();
std::unique_ptr<Command> make_templates_show();
std::unique_ptr<Command> make_templates_export();
std::unique_ptr<Command> make_completion();
std::unique_ptr<Command> make_help();
std::unique_ptr<Command> make_complete();
std::unique_ptr<Command> make_manual();

std::span<const CommandEntry> command_table() {
    static constexpr CommandEntry table[] = {
        {"setup", "Configure agents: write their files so that they use the AI Gateway", make_setup},
        {"status", "Show what is configured now, where, by whom, and what wins over it", make_status},
        {"revert", "Take back exactly what setup wrote", make_revert},
        {"doctor", "Find what is wrong with the agents, with one fix for each finding", make_doctor},
        {"run", "Start an agent through the gateway for this one run, and write nothing", make_run},
        {"auth", "The credential: which one is used, and its token", nullptr},
        {"auth token", "Print a valid bearer token, one bare line (what helpers call)", make_auth_token},
        {"auth status", "Show which credential won, and why the others did not", make_auth_status},
        {"models", "List the gateway's models, and which agents can use them", make_models},
        {"tables", "The OpenTelemetry tables in Unity Catalog", nullptr},
        {"tables create", "Create the tables that are missing, then check them all", make_tables_create},
        {"tables check", "Compare the tables with the documented schema, column by column",
         make_tables_check},
        {"tables ddl", "Print the SQL that creates the tables, ready to paste", make_tables_ddl},
        {"tables grant", "Give a principal exactly the rights that a telemetry writer needs",
         make_tables_grant},
        {"proxy", "Run the local proxy that agents can go through, in the foreground", make_proxy},
        {"proxy status", "Show the proxies that run, and how they do", make_proxy_status},
        {"proxy stop", "End the running proxies, after the requests under way", make_proxy_stop},
        {"proxy rotate-keys", "Give the agents behind the local proxy new keys", make_proxy_rotate_keys},
        {"proxy install", "Make the local proxy a service of your systemd", make_proxy_install},
        {"proxy uninstall", "Take back exactly what proxy install did", make_proxy_uninstall},
        {"usage", "Report what was used through the proxy: tokens, cost, time, errors", make_usage},
        {"templates", "The templates in use, and where each comes from", nullptr},
        {"templates list", "List the agents that have a template", make_templates_list},
        {"templates show", "Print an agent's template", make_templates_show},
        {"templates export", "Copy a built-in template into your configuration, to change it",
         make_templates_export},
        {"completion", "Print the script that lets a shell complete dbx-agents", make_completion},
        {"help", "Explain a command, or a topic: environment, exit-codes, files, security", make_help},
        {"complete", "Print what completions look up, a line each", make_complete, Audience::programs},
        {"manual", "Print the manual page's source", make_manual, Audience::programs},
    };
    return table;
}

} // namespace dbx::cli
