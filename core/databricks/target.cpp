#include "core/databricks/target.hpp"

#include "core/databricks/hosts.hpp"

namespace dbx::databricks {

namespace {

Error with_origin(Error error, const Named& setting) {
    if (setting.rank != Rank::flag) error.what += " (from " + setting.origin + ")";
    return error;
}

} // namespace

Result<Target> resolve_target(const state::Settings& settings, const system::Environment& environment,
                              system::FileSystem& files) {
    Target target;
    target.profile = settings.find("profile");
    target.workspace = settings.find("workspace");
    target.gateway = settings.find("gateway");
    target.upstream = settings.find("proxy.upstream");

    // 1. Each address in its normal form.
    if (target.workspace) {
        auto value = normalise_workspace(target.workspace->value);
        if (!value) return fail(with_origin(value.error(), *target.workspace));
        target.workspace->value = std::move(*value);
    }
    if (target.gateway) {
        auto value = normalise_gateway(target.gateway->value);
        if (!value) return fail(with_origin(value.error(), *target.gateway));
        target.gateway->value = std::move(*value);
    }

    if (target.upstream) {
        auto value = normalise_upstream(target.upstream->value);
        if (!value) return fail(with_origin(value.error(), *target.upstream));
        target.upstream->value = std::move(*value);
    }

    // 2. A profile named more strongly than an address brings its own address.
    if (target.profile) {
        if (target.workspace && target.profile->rank < target.workspace->rank) target.workspace.reset();
        if (target.gateway && target.profile->rank < target.gateway->rank) target.gateway.reset();
    }

    // 3. The stronger of workspace and gateway decides; a gateway below /ai-gateway tells its workspace.
    if (target.workspace && target.gateway && target.workspace->rank < target.gateway->rank)
        target.gateway.reset();
    if (target.gateway) {
        const auto host = workspace_of_gateway(target.gateway->value);
        if (host && (!target.workspace || target.gateway->rank < target.workspace->rank))
            target.workspace = Named{*host, target.gateway->rank, target.gateway->origin};
    }

    CredentialRequest request;
    request.workspace = target.workspace;
    request.gateway = target.gateway;
    request.upstream = target.upstream;
    request.profile = target.profile;
    request.environment = &environment;
    request.files = &files;
    const auto home = system::home_directory(environment);
    if (!home) return fail(home.error());
    request.home = *home;
    target.resolution = resolve_credential(request);

    // 4. Nobody named an address: the profile's.
    if (!target.workspace && !target.gateway) target.workspace = target.resolution.workspace;
    if (!target.gateway && target.workspace) {
        target.gateway = Named{gateway_of_workspace(target.workspace->value), target.workspace->rank,
                               target.workspace->origin};
        target.gateway_is_derived = true;
    }
    return target;
}

void use_upstream(Target& target) {
    if (!target.upstream) return;
    target.gateway = target.upstream;
    target.gateway_is_derived = false;
    const auto host = workspace_of_gateway(target.upstream->value);
    target.workspace =
        Named{host.value_or(target.upstream->value), target.upstream->rank, target.upstream->origin};
}

Error no_workspace(const std::string& what) {
    return {ErrorKind::usage,
            what,
            "no workspace is known: no flag, no environment variable, no configuration, no profile",
            "add --workspace https://YOUR-WORKSPACE (or set DATABRICKS_HOST, or `workspace` in "
            "~/.config/dbx-agents/config.toml)",
            {}};
}

} // namespace dbx::databricks
