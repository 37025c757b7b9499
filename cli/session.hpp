#pragma once

#include "cli/output.hpp"
#include "cli/run.hpp"
#include "core/agents/catalogue.hpp"
#include "core/agents/plan.hpp"
#include "core/databricks/api.hpp"
#include "core/databricks/target.hpp"
#include "core/state/settings.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dbx::cli {

// The flags that every command has.
struct GlobalOptions {
    bool json = false;
    bool quiet = false;
    bool verbose = false;
    bool no_color = false;
    std::string config;
    std::string profile;
    std::string workspace;
    std::string gateway;                         // of the commands that have it
    std::vector<std::string> rest;               // of `run`: the words after "--"
    std::map<std::string, std::string> settings; // further settings that a command has flags for, by key
};

// One command's run: the surroundings, and what is read once and only when it is needed.
class Session {
  public:
    Session(Context& context, Output& output, GlobalOptions options)
        : context_(context)
        , output_(output)
        , options_(std::move(options)) {}

    Output& output() { return output_; }
    system::FileSystem& files() { return context_.files; }
    system::Environment& environment() { return context_.environment; }
    system::WallTime now() const { return context_.clock.now(); }
    GlobalOptions& options() { return options_; }
    std::string shown(const system::Path& path) { return system::display_path(context_.environment, path); }

    // The settings, with the global flags on top. Warnings of configuration files are printed once.
    Result<const state::Settings*> settings();
    Result<const databricks::Target*> target();
    Result<const agents::Catalogue*> catalogue();

    // Where tokens come from; an error of kind credential when there is no credential.
    Result<databricks::TokenSource*> tokens();
    // A token of it. Errors say which credential it was.
    Result<databricks::Token> token(databricks::Freshness freshness);

    // The workspace's APIs. Errors: no credential, no workspace.
    Result<databricks::Workspace*> workspace();

    // The settings and the target, read anew: for a command that runs long.
    Result<std::pair<state::Settings, databricks::Target>> read_again();
    // network.ca_file counts for every request from now on.
    void trust(const state::Settings& settings);
    std::unique_ptr<databricks::TokenSource> make_tokens(databricks::Credential credential);

    http::Pacer& pacer() { return context_.pacer; }
    system::Console& console() { return context_.console; }
    http::HttpClient& http() { return context_.http; }
    system::Process& process() { return context_.process; }
    const system::Clock& clock() const { return context_.clock; }

    // The agents named on the command line, in the order given, each once; an unknown name is an error that
    // suggests the nearest. Empty names: an empty list.
    Result<std::vector<const agents::Agent*>> agents_named(const std::vector<std::string>& names);

    // The lock of the state directory: nobody else writes while it is held.
    Result<system::Lock> lock();

  private:
    state::Settings::Sources sources() const;

    Context& context_;
    Output& output_;
    GlobalOptions options_;
    std::optional<state::Settings> settings_;
    std::optional<databricks::Target> target_;
    std::optional<agents::Catalogue> catalogue_;
    std::unique_ptr<databricks::TokenSource> tokens_;
    std::unique_ptr<databricks::Workspace> workspace_;
};

} // namespace dbx::cli
