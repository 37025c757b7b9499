#include "core/agents/choose_auth.hpp"

#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::agents {

namespace {

bool offers(const Agent& agent, Auth auth) {
    return std::find(agent.auth.begin(), agent.auth.end(), to_string(auth)) != agent.auth.end();
}

// The version that an auth form wants, when the installed one is older.
const Requirement* unmet(const Agent& agent, Auth auth, const Installed& installed) {
    for (const auto& requirement : agent.requirements) {
        if (requirement.auth == to_string(auth) && is_below(installed, requirement.version))
            return &requirement;
    }
    return nullptr;
}

} // namespace

// The auth form: 1. what was asked for, if the agent and its version can; auto: 2. helper, 3. pat for a
// personal access token, 4. proxy.
Result<Chosen> choose_auth(const Agent& agent, const SetupRequest& request, const Installed& installed) {
    // Everybody can read a managed file: no secret may go into one.
    if (request.scope == Scope::managed && (request.auth == Auth::pat || request.auth == Auth::proxy))
        return fail(ErrorKind::usage, "cannot write managed files with --auth " + to_string(request.auth),
                    "everybody on this machine can read them, and this form puts a secret into them",
                    "use --auth helper or --auth env");
    const std::string installed_name =
        agent.display_name + (installed.version ? " " + *installed.version : std::string());
    if (request.auth != Auth::automatic) {
        if (!offers(agent, request.auth)) {
            // Cursor has one way only, and it is not written by us: --auth for all agents at once does not
            // fail on it.
            if (agent.auth == std::vector<std::string>{"pat"} && agent.token_variable.empty())
                return Chosen{Auth::pat, "the key is pasted by hand"};
            return fail(ErrorKind::usage,
                        "cannot configure " + agent.display_name + " with --auth " + to_string(request.auth),
                        agent.display_name + " has no setting for it",
                        "use one of: " + join(agent.auth, ", "));
        }
        if (const auto* requirement = unmet(agent, request.auth, installed))
            return fail(ErrorKind::usage,
                        "cannot configure " + installed_name + " with --auth " + to_string(request.auth),
                        "it needs " + agent.display_name + " " + requirement->version +
                            " or later; older ones ignore the setting and send no credential at all",
                        "upgrade " + agent.display_name + ", or use another --auth");
        if (request.auth == Auth::pat && !request.token) {
            if (!agent.token_variable.empty())
                return fail(ErrorKind::credential,
                            "cannot configure " + agent.display_name + " with --auth pat",
                            request.no_token_reason,
                            "export DATABRICKS_TOKEN, or put a token into a profile of ~/.databrickscfg");
        }
        return Chosen{request.auth, "asked for with --auth"};
    }
    if (agent.token_variable.empty()) return Chosen{Auth::pat, "the key is pasted by hand"};
    std::string why_not_helper = agent.display_name + " can't run a command for its token";
    if (offers(agent, Auth::helper)) {
        const auto* requirement = unmet(agent, Auth::helper, installed);
        if (!requirement) return Chosen{Auth::helper, agent.display_name + " runs a command for its token"};
        why_not_helper = installed_name + " is older than " + requirement->version +
                         ", so it can't run a command for its token";
    }
    if (request.scope == Scope::managed) return Chosen{Auth::env, why_not_helper};
    if (offers(agent, Auth::pat) && request.token && request.token_is_pat)
        return Chosen{Auth::pat,
                      why_not_helper + ", and " + request.credential + " is a personal access token"};
    const std::string why =
        why_not_helper + ", and " +
        (request.token ? request.credential + " is not a personal access token" : request.no_token_reason);
    if (offers(agent, Auth::proxy) && !unmet(agent, Auth::proxy, installed))
        return Chosen{Auth::proxy, why + "; so it goes through the local proxy"};
    return fail(
        ErrorKind::credential, "cannot find a way for " + agent.display_name + " to get its token",
        why + ", and its template knows no local proxy",
        "give it a personal access token (DATABRICKS_TOKEN, or a profile in ~/.databrickscfg), or use "
        "--auth env");
}

} // namespace dbx::agents
