#pragma once

#include "core/databricks/models.hpp"
#include "core/doctor/bounded.hpp"
#include "core/doctor/scene.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dbx::doctor {

// What the probes work with: the bounded seams, and our own credential's tokens (nullptr: there is none).
struct ProbeTools {
    http::HttpClient& http;
    system::Process& process;
    databricks::TokenSource* tokens = nullptr;
};

// One request in an agent's name, and what came of it.
struct ProbeResult {
    std::string url;
    std::string model;
    bool good = false;
    std::optional<databricks::ApiError> answer; // an unwanted one
    std::optional<http::Failure> failure;       // none at all
    std::optional<Finding> finding;             // it did not come to a request: why
    std::string better_url;                     // Codex: the route is missing, and this base URL answers
    std::string body_kind;                      // Cursor sends two
};

// Asks the gateway the smallest question of that agent. Runs the agent's token helper. Thread-safe for
// different patients; takes as long as the tools allow.
std::vector<ProbeResult> probe(const Scene& scene, const Patient& patient, const ProbeTools& tools);

// The sentence and the fix for a probe that did not go well. `models` may be empty.
Finding explain(const Scene& scene, const Patient& patient, const ProbeResult& result,
                const databricks::ModelList& models);

// Models that the agent is told to use and that the gateway does not list; `proven` are known to work.
Findings missing_models(const Scene& scene, const Patient& patient, const databricks::ModelList& models,
                        const std::vector<std::string>& proven);

} // namespace dbx::doctor
