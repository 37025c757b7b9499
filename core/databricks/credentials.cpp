#include "core/databricks/credentials.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/config_file.hpp"
#include "core/databricks/credential_kinds.hpp"
#include "core/databricks/hosts.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>

namespace dbx::databricks {

namespace {

// How far a credential is trusted with an address that is not its own host.
enum class Trust {
    strict, // DATABRICKS_HOST beside it names its one host
    found,  // a profile nobody named: its own host, and Databricks' own gateway hosts
    named,  // somebody named it: also a dedicated gateway that somebody named
};

// A host as the other Databricks tools read it from the same place. Unlike a pasted --workspace its path is
// not cut away: they would send their requests below it, so it is a mistake that wants correcting.
Result<std::string> plain_host(std::string_view text) {
    auto host = normalise_workspace(text);
    const auto url = http::parse_url(trim(text));
    if (!host || !url || url->path.find_first_not_of('/') == std::string::npos) return host;
    return fail(ErrorKind::credential, "cannot use the host '" + http::shown_url(text) + "'",
                "a host has no path, this one has '" + url->path + "'", "use " + *host);
}

class Resolver {
  public:
    explicit Resolver(const CredentialRequest& request)
        : request_(request)
        , environment_(*request.environment)
        , files_(*request.files) {}

    Resolution run();

  private:
    using Decision = std::optional<Result<Credential>>;
    struct Step {
        std::string name;
        Decision (Resolver::*look)();
    };

    // The steps, in their order.
    Decision explicit_profile();
    Decision environment_token();
    Decision environment_client();
    Decision environment_azure_client();
    Decision environment_auth_type();
    Decision configured_profile();
    Decision profile_of_workspace();
    Decision default_profile();
    Decision databricks_cli();
    Decision azure_cli();

    Decision pass(std::string reason) {
        reason_ = std::move(reason);
        return std::nullopt;
    }
    // Like pass, for something that is there and still cannot be used: it goes into the final error.
    Decision reject(std::string reason) {
        rejected_.push_back(step_name_ + " (" + reason + ")");
        return pass(std::move(reason));
    }

    std::string variable(std::string_view name) const { return environment_.get(name).value_or(""); }
    std::string shown(const system::Path& path) const;
    std::string shown_config() const { return shown(config_file_path(environment_, request_.home)); }
    std::string location(const ConfigProfile& profile) const;
    const Result<ConfigFile>& file();

    void choose_workspace();
    void choose_profile();
    bool is_explicit() const { return profile_ && profile_->rank <= Rank::environment; }
    bool other_auth_type(CredentialKind kind);
    Decision named_profile();
    std::string wrong_destination(const std::string& host, Trust trust) const;
    std::string environment_host(std::string& problem) const;
    Result<std::string> host_of(const ConfigProfile& profile) const;
    Result<CredentialKind> method_of(const ConfigProfile& profile, const std::string& host);
    Result<Credential> use(const ConfigProfile& profile, const std::string& host);
    Error missing_profile(const Named& name, const ConfigFile& known) const;
    Error nothing_found() const;

    const CredentialRequest& request_;
    const system::Environment& environment_;
    system::FileSystem& files_;
    Resolution resolution_;
    std::optional<Named> profile_;    // the named one, if any
    std::optional<std::string> host_; // DATABRICKS_HOST, normalised
    std::optional<Error> host_error_; // DATABRICKS_HOST that cannot be used
    std::optional<Result<ConfigFile>> file_;
    std::string step_name_;
    std::string reason_;
    std::vector<std::string> rejected_;
};

std::string Resolver::shown(const system::Path& path) const {
    const std::string text = path.string();
    const std::string home = request_.home.string();
    if (!home.empty() && home != "/" && text.starts_with(home + "/")) return "~" + text.substr(home.size());
    return text;
}

std::string Resolver::location(const ConfigProfile& profile) const {
    return "profile " + profile.name + " in " + shown_config() + ", line " + std::to_string(profile.line);
}

const Result<ConfigFile>& Resolver::file() {
    if (!file_) file_ = read_config_file(environment_, files_, request_.home);
    return *file_;
}

void Resolver::choose_workspace() {
    if (const auto text = variable("DATABRICKS_HOST"); !trim(text).empty()) {
        auto host = plain_host(text);
        if (host) {
            host_ = *host;
        } else {
            host_error_ = host.error();
            host_error_->kind = ErrorKind::credential;
            host_error_->what = "cannot use DATABRICKS_HOST '" + http::shown_url(text) + "'";
        }
    }
    auto& wanted = resolution_.workspace;
    wanted = request_.workspace;
    if (!wanted && request_.gateway) {
        if (auto workspace = workspace_of_gateway(request_.gateway->value))
            wanted = Named{*workspace, request_.gateway->rank, request_.gateway->origin};
    }
    if (host_ && (!wanted || wanted->rank > Rank::standard_environment))
        wanted = Named{*host_, Rank::standard_environment, "DATABRICKS_HOST in the environment"};
}

void Resolver::choose_profile() {
    profile_ = request_.profile;
    const auto name = std::string(trim(variable("DATABRICKS_CONFIG_PROFILE")));
    if (!name.empty() && (!profile_ || profile_->rank > Rank::standard_environment))
        profile_ = Named{name, Rank::standard_environment, "DATABRICKS_CONFIG_PROFILE"};
}

// Why a token of `host` must not go to the addresses of this request; empty when it may.
std::string Resolver::wrong_destination(const std::string& host, Trust trust) const {
    const auto& wanted = resolution_.workspace;
    const bool workspace_counts = wanted && !(request_.upstream && trust == Trust::strict);
    if (workspace_counts && !same_origin(host, wanted->value))
        return "it belongs to " + host + ", the workspace is " + wanted->value + " (" + wanted->origin + ")";
    const auto& target = request_.upstream ? request_.upstream : request_.gateway;
    if (!target || same_origin(host, target->value) || trust == Trust::named) return {};
    if (request_.upstream && is_loopback(target->value)) return {};
    if (trust == Trust::found && is_deprecated_gateway(target->value)) return {};
    return "it belongs to " + host + ", and would be sent to " + target->value + " (" + target->origin + ")" +
           (trust == Trust::found ? "; name the profile with --profile to allow that" : "");
}

bool Resolver::other_auth_type(CredentialKind kind) {
    const auto wanted = variable("DATABRICKS_AUTH_TYPE");
    return !trim(wanted).empty() && !iequals(trim(wanted), name_of(kind));
}

// The host that credentials of the environment belong to: DATABRICKS_HOST or, without it, the workspace.
// `problem` says why there is none, or why they must not be used.
std::string Resolver::environment_host(std::string& problem) const {
    if (host_error_) {
        problem = "DATABRICKS_HOST cannot be used (" + host_error_->why + ")";
        return {};
    }
    if (host_) {
        problem = wrong_destination(*host_, Trust::strict);
        return *host_;
    }
    if (resolution_.workspace) return resolution_.workspace->value;
    return {};
}

Resolver::Decision Resolver::explicit_profile() {
    if (!is_explicit()) return pass("not given");
    return named_profile();
}

Resolver::Decision Resolver::environment_token() {
    const auto token = variable("DATABRICKS_TOKEN");
    if (token.empty()) return pass("not set");
    if (other_auth_type(CredentialKind::pat)) return pass("DATABRICKS_AUTH_TYPE asks for another method");
    std::string problem;
    const auto host = environment_host(problem);
    if (!problem.empty()) return reject(problem);
    if (host.empty() && !request_.gateway && !request_.upstream)
        return reject(
            "no workspace is known: neither DATABRICKS_HOST nor --workspace nor --gateway is given");
    if (const auto why = token_problem(token); !why.empty())
        return fail(ErrorKind::credential, "cannot use DATABRICKS_TOKEN", why,
                    "export it again, the bare token and nothing else");
    Credential credential;
    credential.kind = is_jwt(token) ? CredentialKind::access_token : CredentialKind::pat;
    credential.host = host;
    credential.origin = "DATABRICKS_TOKEN in the environment";
    credential.token = Secret(token);
    return credential;
}

Resolver::Decision Resolver::environment_client() {
    const auto id = variable("DATABRICKS_CLIENT_ID");
    const auto secret = variable("DATABRICKS_CLIENT_SECRET");
    if (id.empty() && secret.empty()) return pass("not set");
    if (id.empty()) return reject("DATABRICKS_CLIENT_ID is not set");
    if (secret.empty()) return reject("DATABRICKS_CLIENT_SECRET is not set");
    if (other_auth_type(CredentialKind::oauth_m2m))
        return pass("DATABRICKS_AUTH_TYPE asks for another method");
    std::string problem;
    const auto host = environment_host(problem);
    if (problem.empty() && host.empty())
        problem = "no workspace is known: neither DATABRICKS_HOST nor --workspace is given";
    if (!problem.empty()) return reject(problem);
    Credential credential;
    credential.kind = CredentialKind::oauth_m2m;
    credential.host = host;
    credential.origin = "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET in the environment";
    credential.client_id = id;
    credential.client_secret = Secret(secret);
    return credential;
}

Resolver::Decision Resolver::environment_azure_client() {
    const auto id = variable("ARM_CLIENT_ID");
    const auto secret = variable("ARM_CLIENT_SECRET");
    if (id.empty() || secret.empty()) return pass("not set");
    if (other_auth_type(CredentialKind::azure_client_secret))
        return pass("DATABRICKS_AUTH_TYPE asks for another method");
    std::string problem;
    const auto host = environment_host(problem);
    if (problem.empty() && host.empty()) return pass("no workspace is known");
    if (!problem.empty()) return reject(problem);
    // Terraform users have ARM_* for other reasons: without being asked for they serve Azure hosts only.
    if (variable("DATABRICKS_AUTH_TYPE").empty() && !is_azure_host(host))
        return pass("the workspace is not on Azure");
    Credential credential;
    credential.kind = CredentialKind::azure_client_secret;
    credential.host = host;
    credential.origin = "ARM_CLIENT_ID and ARM_CLIENT_SECRET in the environment";
    credential.client_id = id;
    credential.client_secret = Secret(secret);
    credential.tenant_id = variable("ARM_TENANT_ID");
    credential.azure_resource_id = variable("DATABRICKS_AZURE_RESOURCE_ID");
    credential.azure_environment = variable("ARM_ENVIRONMENT");
    credential.azure_authority = variable("AZURE_AUTHORITY_HOST");
    return credential;
}

Resolver::Decision Resolver::environment_auth_type() {
    const auto text = std::string(trim(variable("DATABRICKS_AUTH_TYPE")));
    if (text.empty()) return pass("not set");
    const auto kind = kind_of(text);
    if (!kind)
        return fail(ErrorKind::credential, "cannot use DATABRICKS_AUTH_TYPE '" + text + "'",
                    "known here are " + join(auth_types(), ", "), "unset it, or set one of these");
    if (*kind != CredentialKind::databricks_cli && *kind != CredentialKind::azure_cli)
        return pass("it picks among the others");
    if (!host_) return pass("DATABRICKS_HOST is not set; it picks among the others");
    std::string problem;
    const auto host = environment_host(problem);
    if (!problem.empty()) return reject(problem);
    Credential credential;
    credential.kind = *kind;
    credential.host = host;
    credential.origin = "DATABRICKS_AUTH_TYPE and DATABRICKS_HOST in the environment";
    credential.cli_path = variable("DATABRICKS_CLI_PATH");
    return credential;
}

Resolver::Decision Resolver::configured_profile() {
    if (!profile_ || is_explicit()) return pass("not given");
    return named_profile();
}

// A profile that somebody named. Named by a flag it must be usable; named by weaker means it may lose
// against a stronger workspace.
Resolver::Decision Resolver::named_profile() {
    const auto& known = file();
    if (!known) return fail(known.error());
    const auto* profile = known->find(profile_->value);
    if (profile == nullptr) return fail(missing_profile(*profile_, *known));
    auto host = host_of(*profile);
    if (!host) return fail(host.error());
    auto& wanted = resolution_.workspace;
    if (host->empty()) {
        if (wanted) host = wanted->value;
    } else if (!wanted || wanted->rank > profile_->rank) {
        wanted = Named{*host, profile_->rank, location(*profile)};
    }
    if (!host->empty()) {
        if (const auto why = wrong_destination(*host, Trust::named); !why.empty()) {
            if (!is_explicit()) return reject(why);
            return fail(ErrorKind::credential,
                        "cannot use profile " + profile->name + " (" + profile_->origin + ")", why,
                        "name a profile of that workspace, or leave one of the two out");
        }
    }
    return use(*profile, *host);
}

Resolver::Decision Resolver::profile_of_workspace() {
    const auto& wanted = resolution_.workspace;
    if (!wanted) return pass("no workspace is named");
    const auto& known = file();
    if (!known) return fail(known.error());
    std::vector<const ConfigProfile*> same;
    for (const auto& profile : known->profiles) {
        const auto host = host_of(profile);
        if (host && !host->empty() && same_origin(*host, wanted->value)) same.push_back(&profile);
    }
    if (same.empty()) return pass("no profile in " + shown_config() + " has this host");
    const ConfigProfile* chosen = same.size() == 1 ? same.front() : nullptr;
    for (const auto* profile : same) {
        const auto preferred = known->default_profile.empty() ? "DEFAULT" : known->default_profile;
        if (profile->name == preferred) chosen = profile;
    }
    if (chosen == nullptr) {
        std::vector<std::string> names;
        for (const auto* profile : same) names.push_back(profile->name);
        return fail(ErrorKind::credential, "several profiles belong to " + wanted->value,
                    join(names, ", ") + " in " + shown_config(),
                    "name one: --profile " + shell_quote(names.front()));
    }
    if (const auto why = wrong_destination(wanted->value, Trust::found); !why.empty()) return reject(why);
    return use(*chosen, wanted->value);
}

Resolver::Decision Resolver::default_profile() {
    const auto& known = file();
    if (!known) return fail(known.error());
    const auto name = known->default_profile.empty() ? std::string("DEFAULT") : known->default_profile;
    const auto* profile = known->find(name);
    if (profile == nullptr) {
        if (!known->default_profile.empty() && !resolution_.workspace)
            return fail(missing_profile(
                Named{name, Rank::built_in, "[__settings__] default_profile in " + shown_config()}, *known));
        return pass(known->profiles.empty() ? shown_config() + " has no profiles or does not exist"
                                            : "no profile DEFAULT in " + shown_config());
    }
    const auto host = host_of(*profile);
    if (!host) return resolution_.workspace ? reject(host.error().why) : Decision(fail(host.error()));
    if (host->empty()) return reject(location(*profile) + " has no host");
    if (const auto why = wrong_destination(*host, Trust::found); !why.empty()) return reject(why);
    resolution_.workspace = Named{*host, Rank::built_in, location(*profile)};
    return use(*profile, *host);
}

Resolver::Decision Resolver::databricks_cli() {
    const auto path = variable("DATABRICKS_CLI_PATH");
    const auto& wanted = resolution_.workspace;
    if (!wanted) return pass("no workspace is known");
    if (path.empty() && !system::find_program(environment_, files_, "databricks"))
        return pass("it is not installed");
    if (const auto why = wrong_destination(wanted->value, Trust::found); !why.empty()) return reject(why);
    Credential credential;
    credential.kind = CredentialKind::databricks_cli;
    credential.host = wanted->value;
    credential.origin = "the Databricks CLI, for this host";
    credential.cli_path = path;
    return credential;
}

Resolver::Decision Resolver::azure_cli() {
    const auto& wanted = resolution_.workspace;
    if (!wanted || !is_azure_host(wanted->value)) return pass("no workspace on Azure is known");
    if (!system::find_program(environment_, files_, "az")) return pass("it is not installed");
    if (const auto why = wrong_destination(wanted->value, Trust::found); !why.empty()) return reject(why);
    Credential credential;
    credential.kind = CredentialKind::azure_cli;
    credential.host = wanted->value;
    credential.origin = "the Azure CLI";
    return credential;
}

// The profile's host, normalised; empty when it has none.
Result<std::string> Resolver::host_of(const ConfigProfile& profile) const {
    const auto* text = profile.find("host");
    if (text == nullptr) return std::string();
    auto host = plain_host(*text);
    if (host) return host;
    return fail(ErrorKind::credential, "cannot use the host of " + location(profile),
                "'" + http::shown_url(*text) + "': " + host.error().why, host.error().fix);
}

// Which of its methods a profile means.
Result<CredentialKind> Resolver::method_of(const ConfigProfile& profile, const std::string& host) {
    const auto refuse = [&](std::string why, std::string fix) {
        return fail(ErrorKind::credential, "cannot use " + location(profile), std::move(why), std::move(fix));
    };
    const auto has = [&](std::string_view key) { return profile.find(key) != nullptr; };
    std::vector<CredentialKind> configured;
    if (has("token")) configured.push_back(CredentialKind::pat);
    if (has("client_id") && has("client_secret")) configured.push_back(CredentialKind::oauth_m2m);
    if (has("azure_client_id") && has("azure_client_secret"))
        configured.push_back(CredentialKind::azure_client_secret);

    // 1. auth_type of the profile. 2. The only method configured. 3. DATABRICKS_AUTH_TYPE. 4. A host alone:
    // the CLI that is there.
    const auto* written = profile.find("auth_type");
    std::string asked = written != nullptr ? *written : "";
    if (asked.empty() && configured.size() != 1) asked = std::string(trim(variable("DATABRICKS_AUTH_TYPE")));
    if (!asked.empty()) {
        const auto kind = kind_of(asked);
        if (!kind) {
            const auto near = nearest(asked, auth_types());
            return refuse("auth_type '" + asked + "' is not supported; known are " + join(auth_types(), ", "),
                          near.empty()
                              ? "use a token, client_id and client_secret, or auth_type = databricks-cli"
                              : "did you mean '" + near + "'?");
        }
        const bool from_cli = *kind == CredentialKind::databricks_cli || *kind == CredentialKind::azure_cli;
        if (!from_cli && std::find(configured.begin(), configured.end(), *kind) == configured.end())
            return refuse("auth_type is " + asked + ", but its keys are missing",
                          *kind == CredentialKind::pat ? "add: token = ..."
                          : *kind == CredentialKind::oauth_m2m
                              ? "add: client_id = ... and client_secret = ..."
                              : "add azure_client_id, azure_client_secret, azure_tenant_id");
        return *kind;
    }
    if (configured.size() > 1) {
        std::vector<std::string> names;
        for (const auto kind : configured) names.emplace_back(name_of(kind));
        return refuse("more than one method is configured: " + join(names, ", "),
                      "pick one in the profile: auth_type = " + names.front());
    }
    if (configured.size() == 1) return configured.front();
    if (has("client_id") || has("client_secret"))
        return refuse(has("client_id") ? "it has a client_id without a client_secret"
                                       : "it has a client_secret without a client_id",
                      "add the missing key, or auth_type = databricks-cli");
    if (has("username") || has("password"))
        return refuse("user name and password are not supported: Databricks has retired them",
                      "create a token");
    if (host.empty())
        return refuse("it has neither a host nor a token",
                      "run: databricks auth login --profile " + shell_quote(profile.name));
    if (has("databricks_cli_path") || !variable("DATABRICKS_CLI_PATH").empty() ||
        system::find_program(environment_, files_, "databricks"))
        return CredentialKind::databricks_cli;
    if (is_azure_host(host) && system::find_program(environment_, files_, "az"))
        return CredentialKind::azure_cli;
    return refuse("it has a host only, and the Databricks CLI is not installed",
                  "add: token = ..., or install the Databricks CLI");
}

Result<Credential> Resolver::use(const ConfigProfile& profile, const std::string& host) {
    const auto refuse = [&](std::string why, std::string fix) {
        return fail(ErrorKind::credential, "cannot use " + location(profile), std::move(why), std::move(fix));
    };
    if (!profile.problem.empty()) return refuse(profile.problem, "keep one of the two lines");
    const auto method = method_of(profile, host);
    if (!method) return fail(method.error());
    const auto value = [&](std::string_view key) {
        const auto* found = profile.find(key);
        return found == nullptr ? std::string() : *found;
    };
    Credential credential;
    credential.kind = *method;
    credential.host = host;
    credential.profile = profile.name;
    credential.origin = location(profile);
    credential.config_file = config_file_path(environment_, request_.home);
    if (host.empty() && (!credential.is_static() || (!request_.gateway && !request_.upstream)))
        return refuse("it has no host, and no workspace is named",
                      "add: host = https://..., or give --workspace");
    switch (*method) {
    case CredentialKind::pat:
    case CredentialKind::access_token: {
        const auto token = value("token");
        if (const auto why = token_problem(token); !why.empty())
            return refuse("its token is not one: " + why, "paste the bare token");
        if (is_jwt(token)) credential.kind = CredentialKind::access_token;
        credential.token = Secret(token);
        break;
    }
    case CredentialKind::oauth_m2m:
        credential.client_id = value("client_id");
        credential.client_secret = Secret(value("client_secret"));
        credential.scopes = value("scopes");
        break;
    case CredentialKind::databricks_cli:
        credential.cli_path = variable("DATABRICKS_CLI_PATH");
        if (credential.cli_path.empty()) credential.cli_path = value("databricks_cli_path");
        break;
    case CredentialKind::azure_client_secret:
        credential.client_id = value("azure_client_id");
        credential.client_secret = Secret(value("azure_client_secret"));
        [[fallthrough]];
    case CredentialKind::azure_cli:
        credential.tenant_id = value("azure_tenant_id");
        credential.azure_resource_id = value("azure_workspace_resource_id");
        credential.azure_environment = value("azure_environment");
        credential.azure_authority = variable("AZURE_AUTHORITY_HOST");
        break;
    }
    return credential;
}

Error Resolver::missing_profile(const Named& name, const ConfigFile& known) const {
    const auto names = known.names();
    const auto near = nearest(name.value, names);
    std::string fix = "create it: databricks auth login --profile " + shell_quote(name.value);
    if (!near.empty()) {
        fix = "did you mean '" + near + "'?";
    } else if (!names.empty()) {
        fix = "use one of: " + join(names, ", ");
    }
    return Error{ErrorKind::credential,
                 "there is no profile '" + name.value + "' in " + shown_config(),
                 "it is named by " + name.origin,
                 fix,
                 {}};
}

Error Resolver::nothing_found() const {
    const auto& wanted = resolution_.workspace;
    const std::string target = wanted             ? wanted->value
                               : request_.gateway ? request_.gateway->value
                                                  : std::string();
    Error error{ErrorKind::credential,
                "no credential was found" + (target.empty() ? "" : " for " + target),
                join(rejected_, "; "),
                {},
                {}};
    if (error.why.empty())
        error.why = "DATABRICKS_TOKEN is not set, and no profile in " + shown_config() + " fits";
    error.fix = "export DATABRICKS_TOKEN";
    if (wanted) error.fix += ", or run: databricks auth login --host " + shell_quote(wanted->value);
    return error;
}

Resolution Resolver::run() {
    choose_workspace();
    choose_profile();
    const auto profile_name = [&](bool first) {
        return profile_ && is_explicit() == first
                   ? "profile " + profile_->value + " (" + profile_->origin + ")"
               : first ? std::string("--profile or DBX_AGENTS_PROFILE")
                       : std::string("DATABRICKS_CONFIG_PROFILE or profile in the configuration");
    };
    const std::vector<Step> steps = {
        // 1. A profile named by a flag or by DBX_AGENTS_PROFILE beats every credential of the environment.
        {profile_name(true), &Resolver::explicit_profile},
        // 2. A token in the environment.
        {"DATABRICKS_TOKEN", &Resolver::environment_token},
        // 3. Client credentials in the environment.
        {"DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET", &Resolver::environment_client},
        // 4. An Azure service principal in the environment.
        {"ARM_CLIENT_ID and ARM_CLIENT_SECRET", &Resolver::environment_azure_client},
        // 5. A command line tool that the environment asks for.
        {"DATABRICKS_AUTH_TYPE", &Resolver::environment_auth_type},
        // 6. A profile named by DATABRICKS_CONFIG_PROFILE, or by the configuration.
        {profile_name(false), &Resolver::configured_profile},
        // 7. The profile whose host is the wanted workspace.
        {"profile with the workspace's host", &Resolver::profile_of_workspace},
        // 8. The default profile: [__settings__] default_profile, else DEFAULT.
        {"default profile", &Resolver::default_profile},
        // 9. The command line tools, for the wanted workspace.
        {"Databricks CLI", &Resolver::databricks_cli},
        {"Azure CLI", &Resolver::azure_cli},
    };
    Decision decision;
    if (host_error_ && !is_explicit() && !resolution_.workspace) decision = fail(*host_error_);
    for (const auto& step : steps) {
        if (decision) {
            resolution_.considered.push_back({step.name, false, "not looked at: the decision fell before"});
            continue;
        }
        step_name_ = step.name;
        decision = (this->*step.look)();
        if (!decision) {
            resolution_.considered.push_back({step.name, false, reason_});
        } else if (*decision) {
            resolution_.considered.push_back(
                {step.name, true, "the first that fits: " + (*decision)->origin});
        } else {
            resolution_.considered.push_back(
                {step.name, false, decision->error().what + ": " + decision->error().why});
        }
    }
    resolution_.credential = decision ? std::move(*decision) : fail(nothing_found());
    return std::move(resolution_);
}

} // namespace

Resolution resolve_credential(const CredentialRequest& request) {
    return Resolver(request).run();
}

} // namespace dbx::databricks
