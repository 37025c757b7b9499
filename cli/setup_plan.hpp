#pragma once

#include "cli/session.hpp"
#include "core/agents/plan.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::cli {

// What setup is asked to do. The flags fill it, and so do the answers of the first run.
struct SetupWish {
    std::vector<std::string> names; // agents
    bool all = false;
    std::string gateway;
    std::string model;                         // for every agent
    std::map<std::string, std::string> models; // by agent; wins
    std::string auth;                          // empty: auto
    bool via_proxy = false;                    // --via-proxy was given
    std::string via_proxy_port;                // and its value; anything but a port: none
    std::string claude_betas = "off";
    std::string scope = "user"; // or "managed": the files of everybody on the machine

    bool managed() const { return scope == "managed"; }

    agents::Auth form() const;
};

// What is wrong with it by itself: contradictions, unknown words.
std::optional<Error> refuse(const SetupWish& wish);

// Everything that setup is going to do, as values; diff, dry run, check and write consume it.
struct SetupPlan {
    std::vector<agents::AgentPlan> agents;
    state::Journal journal;
    state::LocalKeys keys;         // the local proxy's, with those that this plan made
    std::optional<int> proxy_port; // when an agent of this plan goes through the proxy
    std::string no_credential;     // why the proxy could not start now; empty: it could
    std::vector<std::string> warnings;

    bool changes() const;
};

// Why the command that managed files name cannot be run by, or cannot be trusted by, everybody on the
// machine.
std::optional<Error> unfit_for_everybody(Session& session, const system::Path& program);

// Plans the agents. Reads files, writes nothing, asks nobody. `keys`: local keys that an earlier plan of this
// run made, so that the second is like the first. Errors: those of agents::plan_setup, no workspace, no such
// agent.
Result<SetupPlan> make_setup_plan(Session& session, const SetupWish& wish, const state::LocalKeys& keys = {});

// Why a model's name cannot be used: it becomes part of URLs, headers and files.
std::optional<Error> refuse_model(const std::string& model, const std::string& origin);

inline constexpr int default_proxy_port = 8790;

// The port that the last setup used; empty: none.
std::string remembered_port(const state::Settings& settings);

// A port as it is written in flags and settings, 1 to 65535.
std::optional<int> proxy_port_of(std::string_view text);

} // namespace dbx::cli
