#pragma once

#include "core/agents/plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::agents {

// What setup wants of one file.
struct Wanted {
    struct Set {
        edit::KeyPath path;
        edit::Value value;
        bool secret = false;
        Join join = Join::replace;
        bool only_present = false;
    };
    std::vector<Set> sets;
    struct Remove {
        edit::KeyPath path;
        std::string why;
    };
    std::vector<Remove> removes;
    std::optional<std::string> text; // text files
    std::optional<std::string>
        blank; // what a file that is not there yet begins with, in the documents' own form
    bool secret = false;
    std::vector<std::string> secrets; // what went into the values
};

// The parts of the template whose condition holds, filled in.
Result<Wanted> collect(const Agent& agent, const AgentFile& file, const Facts& facts,
                       const Variables& variables);

// Around one file.
struct FileScene {
    const Agent& agent;
    const AgentFile& file;
    const state::Journal& journal;
    const system::Environment& environment;
    system::FileSystem& files;
    system::WallTime now;
    std::string auth; // the form, for the journal
};

// How the file becomes what is wanted, and how that is taken back. nullopt: nothing to do and nothing to say.
// Errors of kind file name it as the user knows it.
Result<std::optional<FileChange>> plan_file(const FileScene& scene, Wanted wanted);

} // namespace dbx::agents
