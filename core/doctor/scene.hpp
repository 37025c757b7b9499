#pragma once

#include "core/agents/inspect.hpp"
#include "core/base/secret.hpp"
#include "core/doctor/doctor.hpp"
#include "core/edit/document.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dbx::doctor {

// A settings file of somebody's, read once. A missing one has no values and no problem.
struct TextFile {
    system::Path path;
    bool exists = false;
    mode_t mode = 0;
    std::string text;
    std::string problem; // why it can't be read or parsed
    std::shared_ptr<const edit::Document> document;

    std::optional<edit::Value> value(const edit::KeyPath& key) const;
    // A string, number or boolean as text; nullopt for anything else.
    std::optional<std::string> scalar(const edit::KeyPath& key) const;
    bool has(const edit::KeyPath& key) const { return value(key).has_value(); }
    std::size_t line(const edit::KeyPath& key) const; // 0: unknown
};
TextFile open_file(const system::Path& path, edit::Format format, system::FileSystem& files);

// A model that an agent is told to use, and where.
struct ModelUse {
    std::string name;
    system::Path file; // empty: in the environment, or only a default
    std::size_t line = 0;
    std::string setting = "model"; // its name in [agents.NAME] of our configuration
};

// Where an agent's calls go, with what, as far as its user's files and the environment tell.
struct Connection {
    std::string base_url; // empty: the agent has none
    system::Path file;    // where the base URL stands; empty: in the environment
    std::size_t line = 0;
    std::string managed_base_url;                 // of a managed file, which wins; empty: none has one
    bool ours = false;                            // it leads to a Databricks gateway, or setup wrote it
    std::vector<ModelUse> models;                 // the main one first
    std::map<std::string, std::string> variables; // the environment as the agent has it, after its own files

    enum class Source { none, literal, command, shell, own };
    Source source = Source::none;
    Secret token;                     // literal
    std::string token_origin;         // "DATABRICKS_TOKEN in ~/.codex/.env"
    std::vector<std::string> command; // argv
    std::string shell;                // for /bin/sh -c
    std::chrono::milliseconds helper_timeout{10'000};
    system::Path helper_file; // where the helper is written down
    std::size_t helper_line = 0;
    bool helper_missing = false; // found by a check: there is nothing to run

    std::vector<std::pair<std::string, std::string>> headers; // sent along, may hold secrets
    std::string variable(const std::string& name) const;      // empty when unset
};

// One agent under examination.
struct Patient {
    const agents::Agent* agent = nullptr;
    agents::AgentReport report;
    std::string auth; // what setup took, from the journal; may be empty
    bool explicitly = false;
    Connection connection;
    Findings findings;

    void add(Finding finding);
};

// What every check gets.
struct Scene {
    const Surroundings& around;

    system::Path working_directory() const { return around.environment.working_directory(); }
    std::string shown(const system::Path& path) const {
        return system::display_path(around.environment, path);
    }
    std::optional<std::string> env(std::string_view name) const { return around.environment.get(name); }
    bool env_is_set(std::string_view name) const; // and not empty
    TextFile open(const system::Path& path, edit::Format format) const {
        return open_file(path, format, around.files);
    }
    bool is_file(const system::Path& path) const;
    // The working directory and every folder above it.
    std::vector<system::Path> folders_upwards() const;
    // "dbx-agents setup codex --auth helper", with what it needs to work.
    std::string setup_command(const Patient& patient) const;
    // The git work tree in which one `git add` would take the file along; nullopt: none, or git ignores the
    // file. Without git, or when it fails, every file counts.
    std::optional<system::Path> publishing_work_tree(const system::Path& file) const;
    // "set haiku = "…" under [agents.claude] in …, then dbx-agents setup claude"
    std::string setting_fix(const Patient& patient, std::string_view setting, std::string_view value,
                            std::string_view hint = "") const;
    // Whether a URL leads to a gateway of Databricks, or the one of this run.
    bool is_gateway(std::string_view url) const;
};

// Workspaces serve Codex at /openai/v1 (what the template says), or here.
inline constexpr std::string_view codex_other_route = "/codex/v1";

// "dapi…", "eyJ…" and their kin.
bool looks_like_token(std::string_view text);

// True when NO_PROXY text covers the host of the URL.
bool covered_by_no_proxy(std::string_view no_proxy, std::string_view url);

// Where the agent's calls go (agents this room knows; others have no connection).
Connection codex_connection(const Scene& scene, const Patient& patient);
Connection claude_connection(const Scene& scene, const Patient& patient);
Connection gemini_connection(const Scene& scene, const Patient& patient);
Connection cursor_connection(const Scene& scene, const Patient& patient);

// Each looks at one thing and adds what it finds.
using Check = void (*)(const Scene& scene, Patient& patient);
const std::vector<Check>& common_checks();
const std::vector<Check>& codex_checks();
const std::vector<Check>& claude_checks();
const std::vector<Check>& gemini_checks();
const std::vector<Check>& cursor_checks();
const std::vector<Check>& telemetry_checks(); // of every agent that exports

// What the organisation's locks overrule: settings of the user's, and agents that were set up before them.
Findings examine_locks(const Scene& scene);
void check_locks(const Scene& scene, Patient& patient);

// What a managed file that wins over the user's makes of where an agent's calls go.
struct Managed {
    system::Path file;
    std::vector<std::string> keys; // those that win and differ
    std::size_t line = 0;          // the first of them
    std::string base_url;          // the address that it brings along; may be empty
};
// One finding: info when the managed address is the gateway as well (then the user's set-up has no use),
// broken when the calls, and their token, go elsewhere, a warning otherwise.
void report_managed(const Scene& scene, Patient& patient, std::string id, const Managed& managed);

// The finding that says less than proxy-not-running does.
inline constexpr std::string_view telemetry_without_proxy = "telemetry-without-proxy";

} // namespace dbx::doctor
