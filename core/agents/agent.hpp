#pragma once

#include "core/base/error.hpp"
#include "core/edit/document.hpp"
#include "core/system/environment.hpp"
#include "core/system/files.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dbx::agents {

// An agent is a folder of documents and its agent.toml; these types are that folder, read. See
// templates/*/agent.toml for the format by example and README.md, "Adding an agent".

// A condition is met when every name in it has one of the listed values: auth (helper, pat, env, proxy),
// gateway (remote, loopback), claude_betas (on, off), otel (on, off), otel_traces (on, off), scope (user,
// managed).
using Condition = std::map<std::string, std::vector<std::string>>;
using Facts = std::map<std::string, std::string>;
bool holds(const Condition& condition, const Facts& facts);

enum class FileFormat { toml, json, jsonc, dotenv, text };
std::string to_string(FileFormat format);
std::optional<FileFormat> file_format(std::string_view name);
// nullopt for text.
std::optional<edit::Format> edit_format(FileFormat format);

// Of a document that belongs to no [[file]], by the end of its name; nullopt: plain text.
std::optional<edit::Format> document_format(std::string_view name);

// Whose file it is: the user's, or everybody's on the machine, which administrators write.
enum class Scope { user, managed };

struct AgentFile {
    std::string name;
    std::string path;    // below the agent's home, or absolute
    std::string instead; // the path where that one is there: the agent reads both, and it wins
    Scope scope = Scope::user;
    FileFormat format = FileFormat::text;
    bool print = false; // its content is what the user came for (Cursor's guide)
};

enum class Join {
    replace, // the value is ours
    lines,   // "Name: value" lines, joined by name
    entries, // comma-separated words
    append,  // array elements
};

// A group of keys that are written, or taken out, under one condition.
struct Part {
    std::string file;
    Condition when;
    std::string document; // may be empty
    std::vector<edit::KeyPath> remove;
    std::vector<edit::KeyPath>
        replace; // tables that the document gives as one value: nothing old stays in them
    std::map<std::string, Join> merge; // by to_string(key path)
    bool only_present = false;         // only keys that the file, or a variable of the shell, has already
    std::string why;                   // why keys are taken out, for the user; may be empty
};

// Something that decides instead of one of our files.
struct Shadow {
    enum class By {
        file,        // the file at `path`
        folder,      // every file in the folder `path`
        directory,   // `path` below the working directory
        project,     // `path` in the working directory or a folder above it
        environment, // a variable of the same name
    };
    std::string file;
    By by = By::file;
    std::string path;
    FileFormat format = FileFormat::toml;
    std::vector<edit::KeyPath> only; // empty: every key
    bool whole = false;              // it hides the whole file, not just the keys it has
    std::string title;
};

struct Warning {
    std::string file;        // a key in a file …
    edit::KeyPath key;       //
    std::string environment; // … or a variable
    std::vector<std::string> unless;
    bool has_unless = false;
    Condition when;
    std::string text;
};

struct Note {
    Condition when;
    std::string below; // only for an installed version older than this; empty: for every one
    std::string text;  // may hold placeholders
};

// An auth form that only newer versions understand.
struct Requirement {
    std::string auth;
    std::string version;
};

// How the agent is started for one run without a file of its own: what its command line and its environment
// say instead. Always through the local proxy, so the only secret is the local key, and that never stands in
// an argument. Besides the placeholders of every document there is {{no_proxy}}: the shell's entries, and the
// loopback addresses.
struct RunForm {
    struct Variable {
        std::string value;    // with placeholders
        std::string document; // or the whole of this document, as one text
    };
    struct Option {
        std::string flag; // before each leaf of the document: -c key=value
        std::string document;
    };
    std::map<std::string, Variable> environment;
    std::vector<std::string> unset;     // variables that would win over ours
    std::vector<std::string> arguments; // before the user's own
    std::vector<Option> options;        //
    std::map<std::string, std::string>
        files;                         // name -> document: {{run.NAME}} is a private file that holds it
    std::vector<std::string> reserved; // flags of the agent that only one can have, and we need
    std::vector<std::string> home;     // [[file]]s that stand changed in a home of the run's own
};

// Versions in which the agent does not work behind the gateway.
struct BadVersions {
    std::string from, below, text;
};

struct Agent {
    std::string name;
    std::string origin; // "built-in", or the folder it was read from
    std::string display_name;
    bool always = false;  // part of --all, found or not
    int order = 100;      // among the agents of --all
    bool loopback = true; // false: a loopback gateway can never serve it
    std::string route;    // below the gateway root
    std::vector<std::string> auth;
    std::vector<std::string> api_types; // of models that it can use ("openai/v1/responses"); empty: not told
    std::string token_variable;
    std::string program;
    std::string npm_package;
    std::vector<BadVersions> bad_versions;
    std::string home;          // "~/.codex", or "{{config}}"
    std::string home_variable; // CODEX_HOME
    std::string home_below;    // a folder below the variable's
    std::map<std::string, std::string> models;
    std::vector<Requirement> requirements;
    std::vector<AgentFile> files;
    std::vector<Part> parts;
    std::vector<Shadow> shadows;
    std::vector<Warning> warnings;
    std::vector<Note> notes;
    std::optional<RunForm> run;
    std::map<std::string, std::string> documents; // file name -> text, agent.toml included

    const AgentFile* file(std::string_view file_name) const;
    bool has_files_for(Scope scope) const;
};

// The agent's folder for this user. Errors: no HOME.
Result<system::Path> home_of(const Agent& agent, const system::Environment& environment);

// The path of one of its files.
Result<system::Path> path_of(const Agent& agent, const AgentFile& file,
                             const system::Environment& environment);

} // namespace dbx::agents
