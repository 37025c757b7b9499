#include "cli/session.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::cli {

namespace {

constexpr int lock_timeout_ms = 30'000;

} // namespace

state::Settings::Sources Session::sources() const {
    state::Settings::Sources sources;
    sources.flags = options_.settings;
    if (!options_.workspace.empty()) sources.flags["workspace"] = options_.workspace;
    if (!options_.profile.empty()) sources.flags["profile"] = options_.profile;
    if (!options_.gateway.empty()) sources.flags["gateway"] = options_.gateway;
    if (!options_.config.empty()) sources.config_file = options_.config;
    return sources;
}

Result<const state::Settings*> Session::settings() {
    if (settings_) return &*settings_;
    auto loaded = state::Settings::load(sources(), context_.environment, context_.files);
    if (!loaded) return fail(loaded.error());
    for (const auto& warning : loaded->warnings()) output_.warning(warning);
    trust(*loaded);
    settings_ = std::move(*loaded);
    return &*settings_;
}

void Session::trust(const state::Settings& settings) {
    const auto extra = settings.find("network.ca_file");
    context_.http.trust_also(extra ? extra->value : std::string());
}

Result<const databricks::Target*> Session::target() {
    if (target_) return &*target_;
    const auto known = settings();
    if (!known) return fail(known.error());
    auto resolved = databricks::resolve_target(**known, context_.environment, context_.files);
    if (!resolved) return fail(resolved.error());
    target_ = std::move(*resolved);
    return &*target_;
}

Result<std::pair<state::Settings, databricks::Target>> Session::read_again() {
    auto loaded = state::Settings::load(sources(), context_.environment, context_.files);
    if (!loaded) return fail(loaded.error());
    auto resolved = databricks::resolve_target(*loaded, context_.environment, context_.files);
    if (!resolved) return fail(resolved.error());
    trust(*loaded);
    return std::pair{std::move(*loaded), std::move(*resolved)};
}

Result<databricks::TokenSource*> Session::tokens() {
    if (tokens_) return tokens_.get();
    const auto known = target();
    if (!known) return fail(known.error());
    const auto& credential = (*known)->resolution.credential;
    if (!credential) return fail(credential.error());
    if (const auto directory = system::state_directory(context_.environment); !directory)
        return fail(directory.error());
    tokens_ = make_tokens(*credential);
    return tokens_.get();
}

std::unique_ptr<databricks::TokenSource> Session::make_tokens(databricks::Credential credential) {
    const auto directory = system::state_directory(context_.environment);
    return std::make_unique<databricks::TokenSource>(
        std::move(credential),
        databricks::TokenServices{context_.http, context_.pacer, context_.process, context_.files,
                                  context_.environment, context_.clock, directory.value_or(system::Path())});
}

Result<databricks::Token> Session::token(databricks::Freshness freshness) {
    const auto source = tokens();
    if (!source) return fail(source.error());
    auto token = (*source)->get(freshness);
    if (token) return token;
    Error error = token.error();
    error.what = "cannot get a token from " + (*source)->credential().origin + ": " + error.what;
    return fail(error);
}

Result<databricks::Workspace*> Session::workspace() {
    if (workspace_) return workspace_.get();
    const auto known = target();
    if (!known) return fail(known.error());
    if (!(*known)->workspace) return fail(databricks::no_workspace("cannot ask the workspace"));
    const auto source = tokens();
    if (!source) return fail(source.error());
    workspace_ = std::make_unique<databricks::Workspace>((*known)->workspace->value, **source, context_.http,
                                                         context_.pacer);
    return workspace_.get();
}

Result<const agents::Catalogue*> Session::catalogue() {
    if (catalogue_) return &*catalogue_;
    auto loaded = agents::load_catalogue(context_.environment, context_.files);
    if (!loaded) return fail(loaded.error());
    catalogue_ = std::move(*loaded);
    return &*catalogue_;
}

Result<std::vector<const agents::Agent*>> Session::agents_named(const std::vector<std::string>& names) {
    const auto all = catalogue();
    if (!all) return fail(all.error());
    std::vector<const agents::Agent*> result;
    for (const auto& name : names) {
        if (const auto broken = (*all)->broken.find(name); broken != (*all)->broken.end())
            return fail(broken->second);
        const auto* agent = (*all)->find(name);
        if (!agent) {
            const std::string near = nearest(name, (*all)->names());
            return fail(ErrorKind::usage, "there is no agent '" + name + "'",
                        "known agents: " + join((*all)->names(), ", "),
                        near.empty()
                            ? "use one of them, or add a template for it (dbx-agents templates export)"
                            : "did you mean '" + near + "'?");
        }
        if (std::find(result.begin(), result.end(), agent) == result.end()) result.push_back(agent);
    }
    return result;
}

Result<system::Lock> Session::lock() {
    const auto directory = system::state_directory(context_.environment);
    if (!directory) return fail(directory.error());
    if (auto made = context_.files.make_directories(*directory, 0700); !made) return fail(made.error());
    return system::Lock::acquire(*directory / "lock", lock_timeout_ms);
}

} // namespace dbx::cli
