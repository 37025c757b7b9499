#include "cli/topics.hpp"

#include <algorithm>

namespace dbx::cli {

namespace {

constexpr TopicEntry environment[] = {
    {"DBX_AGENTS_WORKSPACE, DATABRICKS_HOST", "The workspace, as with --workspace; ours wins."},
    {"DBX_AGENTS_GATEWAY", "The gateway's root, as with --gateway."},
    {"DBX_AGENTS_PROFILE, DATABRICKS_CONFIG_PROFILE", "The profile of ~/.databrickscfg, as with --profile."},
    {"DBX_AGENTS_WAREHOUSE, DATABRICKS_WAREHOUSE_ID", "The SQL warehouse of the tables commands."},
    {"DBX_AGENTS_PROXY_PORT", "The port of the local proxy."},
    {"DBX_AGENTS_OTEL_TABLES", "Where the telemetry goes, as with --otel."},
    {"DBX_AGENTS_CONFIG", "The configuration file, as with --config."},
    {"DATABRICKS_TOKEN", "A token. It wins over every other credential."},
    {"DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET", "A service principal of Databricks."},
    {"ARM_TENANT_ID, ARM_CLIENT_ID, ARM_CLIENT_SECRET", "A service principal of Azure."},
    {"DATABRICKS_CONFIG_FILE", "Another file instead of ~/.databrickscfg."},
    {"DATABRICKS_CLI_PATH", "The Databricks CLI, when it is not found on PATH."},
    {"CODEX_HOME, CLAUDE_CONFIG_DIR, GEMINI_CLI_HOME", "The agents' own folders; setup follows them."},
    {"XDG_CONFIG_HOME, XDG_STATE_HOME", "Where configuration and state are, instead of ~/.config and "
                                        "~/.local/state."},
    {"HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
     "A company's proxy, and what is reached without it. Either "
     "case is read."},
    {"SSL_CERT_FILE, SSL_CERT_DIR, CURL_CA_BUNDLE", "Certificates to trust instead of the system's."},
    {"NO_COLOR, TERM", "NO_COLOR: no colour. TERM=dumb: no colour, and no line of progress that moves."},
};

constexpr TopicEntry exit_codes[] = {
    {"0", "Done."},
    {"1", "Failed. Also: doctor found something broken, proxy status found no proxy."},
    {"2", "Wrong usage: flags, a missing workspace, a mistake in a configuration file."},
    {"3", "A file cannot be parsed or written. Nothing was changed."},
    {"4", "There is no valid credential."},
    {"5", "The workspace refused or failed."},
    {"6", "Timed out."},
    {"10", "setup --check: something would change."},
    {"11", "tables check: a table differs from its documented schema."},
    {"12", "tables check: a table is missing."},
    {"130", "Interrupted."},
};

constexpr TopicEntry files[] = {
    {"~/.config/dbx-agents/config.toml", "Your configuration."},
    {"/etc/dbx-agents/config.toml", "An organisation's defaults, below yours, and the keys that it locks."},
    {"~/.config/dbx-agents/templates/AGENT/",
     "Your own templates. One with a built-in agent's name replaces it."},
    {"~/.config/dbx-agents/cursor.md", "The guide that setup cursor writes."},
    {"~/.local/state/dbx-agents/",
     "Journal, backups, local keys, tokens, what the last setup used. The folder "
     "is 0700, its files 0600."},
    {"~/.local/state/dbx-agents/usage.db", "The proxy's ledger, an SQLite database."},
    {"~/.local/state/dbx-agents/models.json", "What models last listed, for completions."},
    {"~/.local/state/dbx-agents/spool/", "Telemetry that waits for the workspace."},
    {"~/.config/dbx-agents/proxy.env", "Variables of the proxy as a service, such as its credential."},
    {"~/.config/systemd/user/dbx-agents-proxy.service", "What proxy install writes."},
    {"~/.databrickscfg", "Databricks' profiles; only read."},
    {"~/.codex/config.toml", "Codex CLI; with --auth pat also ~/.codex/.env."},
    {"~/.claude/settings.json", "Claude Code."},
    {"~/.gemini/.env", "Gemini CLI; also ~/.gemini/settings.json."},
    {"~/.config/opencode/opencode.json", "OpenCode; or opencode.jsonc, where that is there."},
    {"~/.config/dbx-agents/copilot.env", "GitHub Copilot CLI: variables for your shell."},
    {"/etc/claude-code/managed-settings.json, /etc/codex/managed_config.toml",
     "For everybody on the machine: setup --scope managed."},
};

constexpr TopicEntry security[] = {
    {"", "No secret is printed. Diffs, --print, status, errors and JSON mask tokens, and every value under a "
         "name "
         "with TOKEN, KEY, SECRET, PASSWORD or AUTHORIZATION in it. Only auth token prints a token, because "
         "that is "
         "its job."},
    {"", "With --auth helper no token stands in any file of an agent: it asks dbx-agents auth token for one. "
         "With "
         "--auth pat the token stands in the agent's file, which becomes readable by you only."},
    {"", "The journal keeps earlier values of your own files, and of what setup wrote only hashes."},
    {"", "http:// to anything but a loopback address is refused. A token goes only to the host that it "
         "belongs to, "
         "and never along with a redirect."},
    {"", "The proxy listens on 127.0.0.1 only; more takes --bind together with --allow-remote. It wants a "
         "local key "
         "of 256 random bits, checks Host, turns web pages away and verifies TLS always."},
    {"", "The ledger holds no bodies, no prompts and no header values."},
};

constexpr Topic all_topics[] = {
    {"environment", "ENVIRONMENT",
     "A flag wins over the environment, which wins over your configuration, the organisation's, what the "
     "last setup "
     "used, and the built-in defaults. dbx-agents status shows which one won.",
     Term::variable, environment},
    {"exit-codes", "EXIT STATUS",
     "With --json an error is also one document on standard output, and its exit code stands in it.",
     Term::code, exit_codes},
    {"files", "FILES",
     "A file that does not parse is never written. dbx-agents revert gives back every file that setup wrote.",
     Term::path, files},
    {"security", "SECURITY", "", Term::plain, security},
};

constexpr Example all_examples[] = {
    {"See what would be written, as a diff; then write it.",
     "dbx-agents setup --all --workspace https://YOUR-WORKSPACE --dry-run\n"
     "dbx-agents setup --all --workspace https://YOUR-WORKSPACE"},
    {"In a login script: exit 10 tells that something would change.",
     "dbx-agents setup codex claude --check --quiet"},
    {"Which credential is used, and what is wrong with the agents.",
     "dbx-agents auth status\ndbx-agents doctor"},
    {"Send three agents through the local proxy, and see what they used.",
     "dbx-agents setup claude codex gemini --auth proxy\ndbx-agents proxy\ndbx-agents usage --since 7d --by "
     "agent,model"},
    {"The OpenTelemetry tables, and the rights to write to them.",
     "dbx-agents tables create --catalog main --schema telemetry --prefix dev\n"
     "dbx-agents tables grant --catalog main --schema telemetry --prefix dev --to ada@example.com"},
    {"Take everything back.", "dbx-agents revert --all"},
};

} // namespace

std::span<const Topic> topics() {
    return all_topics;
}

const Topic* find_topic(std::string_view name) {
    const auto all = topics();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Topic& topic) { return topic.name == name; });
    return found == all.end() ? nullptr : &*found;
}

std::span<const Example> examples() {
    return all_examples;
}

} // namespace dbx::cli
