#pragma once

#include "core/databricks/credentials.hpp"
#include "core/state/settings.hpp"

#include <optional>
#include <string>

namespace dbx::databricks {

// Which workspace and gateway a command works with, and with which credential.
struct Target {
    std::optional<Named> workspace; // normalised
    std::optional<Named> gateway;   // normalised root; derived from the workspace when nobody named one
    std::optional<Named> profile;
    std::optional<Named> upstream; // the proxy's: replaces gateway and workspace
    bool gateway_is_derived = false;
    Resolution resolution; // of the credential; its error is no error of the target
};

// Brings together what the settings say. Errors: an address that is not one (kind usage, with its origin). A
// target without workspace and gateway is not an error here: see no_workspace().
Result<Target> resolve_target(const state::Settings& settings, const system::Environment& environment,
                              system::FileSystem& files);

// For the proxy: its --upstream stands in the place of the gateway, and of the workspace for OTLP.
void use_upstream(Target& target);

// The error for commands that can't work without one: exit 2.
Error no_workspace(const std::string& what);

} // namespace dbx::databricks
