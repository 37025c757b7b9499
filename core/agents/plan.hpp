#pragma once

#include "core/agents/agent.hpp"
#include "core/agents/render.hpp"
#include "core/agents/version.hpp"
#include "core/base/secret.hpp"
#include "core/otlp/names.hpp"
#include "core/state/journal.hpp"
#include "core/state/local_keys.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::agents {

// What happens to one file, as values: diff, dry run, check and apply all read this.
struct FileChange {
    std::string agent;
    std::string file_name; // in its template
    FileFormat format = FileFormat::text;
    system::Path named; // as the agent knows it
    system::Path real;  // links followed
    bool print = false;
    Scope scope = Scope::user;
    std::string auth; // the form that all files of the agent now belong to; empty: no news

    bool existed = false;
    std::string before;               // bytes now
    std::optional<std::string> after; // bytes then; nullopt: the file is removed
    mode_t mode_before = 0;
    mode_t mode_after = 0;

    struct Key {
        edit::KeyPath path;
        enum class Action { set, added, removed, left } action = Action::set;
        std::string shown; // the new value, masked; empty for removed
        std::string why;   // left: why it was left alone
    };
    std::vector<Key> keys;
    std::vector<std::string> secrets; // values to mask in every output

    std::optional<state::WrittenFile>
        entry;                         // what the journal will say; nullopt with `forget`: nothing any more
    bool forget = false;               // the journal's entry goes
    std::optional<std::string> backup; // bytes to keep: never with a value of ours in them
    std::vector<system::Path> remove_directories; // if empty afterwards, innermost first
    std::vector<std::string> remarks;             // sentences for the user

    bool text_changes() const { return existed ? !after || *after != before : after.has_value(); }
    bool mode_changes() const { return existed && after && mode_before != mode_after; }
    bool changes() const { return text_changes() || mode_changes(); }
};

// The same bytes and mode become the same bytes and mode.
bool same_work(const FileChange& a, const FileChange& b);

// The first change that is in one list and has no like in the other; nullptr: there is none. For plans made
// before and after a question.
const FileChange* first_difference(const std::vector<FileChange>& before,
                                   const std::vector<FileChange>& after);

enum class Auth { automatic, helper, pat, env, proxy };
std::string to_string(Auth auth);
std::optional<Auth> parse_auth(std::string_view name);

// Where an agent's telemetry goes.
struct Telemetry {
    otlp::Place place;
    bool traces = false;
};

// What setup was asked for, with everything resolved that is not the agent's own business.
struct SetupRequest {
    Scope scope = Scope::user; // whose files are written
    std::string gateway;       // the root, without a slash at its end
    std::string route;         // below the gateway root, instead of the template's; empty: the template's
    std::string workspace;     // may be empty
    Auth auth = Auth::automatic;
    std::optional<Secret> token; // a static one, if there is one
    bool token_is_pat = false;   // a personal access token: may be written into a file
    std::string credential; // for messages: "DATABRICKS_TOKEN in the environment"; empty when there is none
    std::string no_token_reason;               // why there is no static token
    std::vector<std::string> helper;           // argv of the command that prints a token
    std::string proxy;                         // the local proxy's root: "http://127.0.0.1:8790"
    Secret local_key;                          // what this agent shows to the proxy
    std::map<std::string, std::string> models; // overrides: "main", "opus", …
    bool model_from_flag = false;
    std::string claude_betas = "off";
    std::optional<Telemetry> otel;        // nullopt: no telemetry keys
    std::vector<std::string> otel_helper; // argv of the command that prints the telemetry's headers as JSON
};

struct AgentPlan {
    const Agent* agent = nullptr;
    Installed installed;
    Auth auth = Auth::helper;
    std::string auth_reason;       // a clause: "Claude Code can run a command for its token"
    std::optional<Telemetry> otel; // what the agent exports, when its files say so; nullopt: nothing by us
    std::vector<FileChange> files;
    std::vector<std::string> warnings;
    std::vector<std::string> notes;
};

// Plans one agent. Reads files, changes nothing, asks nobody. Errors: file (does not parse, can't be written:
// with the path, line and column), credential (the auth form wants one), usage.
Result<AgentPlan> plan_setup(const Agent& agent, const SetupRequest& request, const state::Journal& journal,
                             const system::Environment& environment, system::FileSystem& files,
                             system::WallTime now);

// The models that setup writes: the template's, overridden by `overrides`; a main model whose name holds a
// family's name
// ("…-sonnet-…") stands for that family as well unless the family has its own override.
std::map<std::string, std::string> models_for(const Agent& agent,
                                              const std::map<std::string, std::string>& overrides);

// Takes back what the journal has of these agents (all when empty). `force`: also keys that somebody changed
// since.
enum class Force { no, yes };
Result<std::vector<FileChange>> plan_revert(const std::vector<std::string>& agents, Force force,
                                            const state::Journal& journal,
                                            const system::Environment& environment,
                                            system::FileSystem& files);

// The file of the local keys, as it will be; it has no entry in the journal and is never taken back.
Result<FileChange> plan_local_keys(const state::LocalKeys& keys, const system::Environment& environment,
                                   system::FileSystem& files);

// New keys for every agent that goes through the local proxy, and its files with them. `changes`: the keys'
// own file first.
struct KeyRotation {
    std::vector<FileChange> changes;
    std::vector<std::string> rotated; // agents
    std::vector<std::string> dropped; // agents that no longer use the proxy: their key is good no more
    std::vector<std::string> without; // agents that use it, but whose files hold no key any more
};
Result<KeyRotation> plan_key_rotation(const state::Journal& journal, const system::Environment& environment,
                                      system::FileSystem& files);

// Carries out the changes, all or nothing: every file is checked to be writable first; each is compared again
// with what was planned on; a failure (or an interrupt) puts back what was written. Errors say which.
Result<void> apply(const std::vector<const FileChange*>& changes, state::Journal& journal,
                   const system::Environment& environment, system::FileSystem& files, system::WallTime now);

// --- shared by plan and revert
// -------------------------------------------------------------------------------------

// What became of a key since setup wrote it.
enum class KeyState {
    ours,    // as we wrote it
    back,    // as it was before we wrote it
    partly,  // merged values: changed since, but our entries are in it
    changed, // somebody gave it another value
};
KeyState state_of(const state::WrittenKey& key, const edit::Document& document);

// The edits that put keys back, for those whose state allows it.
std::vector<edit::Edit> restore_edits(const std::vector<const state::WrittenKey*>& keys, Force force,
                                      const edit::Document& document);

// The edits that take out the containers of these keys that `pristine` did not have, once they are empty.
std::vector<edit::Edit> prune_edits(const std::vector<const state::WrittenKey*>& keys,
                                    const edit::Document* pristine);

struct Reverted {
    std::string text;
    std::vector<const state::WrittenKey*> left; // changed by somebody since, left alone
};
// The text without what setup did to it. `pristine`: the bytes before, when still at hand.
Result<Reverted> revert_text(const state::WrittenFile& entry, const std::optional<std::string>& pristine,
                             const std::string& current, Force force);

// A text cut into pieces for comparing: after every line end, comma and opening bracket, so that a file in
// one line has pieces as well. A byte-order mark belongs to no piece.
std::vector<std::string_view> pieces_of(std::string_view text);

// The text that a format's new file begins with.
std::string empty_text(FileFormat format);

// True when nothing but white space (or `{}`) is in it.
bool is_empty_text(FileFormat format, const std::string& text);

// Joins entries into a value of "Name: value" lines or of comma-separated words.
std::string merge_lines(const std::string& value, const std::vector<std::string>& entries);
std::string merge_entries(const std::string& value, const std::vector<std::string>& entries);

} // namespace dbx::agents
