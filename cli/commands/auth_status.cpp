#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "cli/session.hpp"
#include "core/edit/mask.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

constexpr std::chrono::seconds patience{5}; // for the workspace's answer: the rest is known without it

class AuthStatus : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--gateway", gateway_, "The gateway that the token is for")->type_name("URL");
        app.add_flag("--offline", offline_, "Do not ask the workspace whose token it is");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto& resolution = (*target)->resolution;

        // Found is not the same as usable: a token is made, and the workspace asked whose it is.
        std::optional<Error> error;
        std::optional<databricks::Token> token;
        std::optional<databricks::Me> me;
        std::string no_me = "not asked (--offline)";
        std::optional<Progress> progress(std::in_place, session.output(), "making a token");
        if (auto got = session.token(databricks::Freshness::cached)) {
            token = std::move(*got);
        } else {
            error = got.error();
        }
        if (token && !offline_ && (*target)->workspace) {
            const auto workspace = session.workspace();
            if (!workspace) return fail(workspace.error());
            progress.emplace(session.output(), "asking whose token it is");
            auto answer = databricks::who_am_i(**workspace, patience);
            if (answer) {
                me = std::move(*answer);
            } else {
                no_me = answer.error().error.why;
                // One that the workspace does not take is as good as none. A right or a scope that is missing
                // for this question is another matter.
                if (answer.error().error.kind == ErrorKind::credential)
                    error = Error{ErrorKind::credential,
                                  "the workspace does not take this token",
                                  no_me,
                                  "renew it where it comes from: " + resolution.credential->origin,
                                  {}};
            }
        }
        progress.reset();
        auto& out = session.output();
        if (out.json()) {
            out.document(document_of(resolution, token, me, no_me, error));
        } else {
            show(out, resolution, token, me, no_me);
        }
        if (!error) return 0;
        if (out.json()) return exit_code(error->kind);
        return fail(*error);
    }

  private:
    static ordered_json document_of(const databricks::Resolution& resolution,
                                    const std::optional<databricks::Token>& token,
                                    const std::optional<databricks::Me>& me, const std::string& no_me,
                                    const std::optional<Error>& error) {
        ordered_json root;
        const auto& credential = resolution.credential;
        root["found"] = credential.has_value();
        root["usable"] = token.has_value() && !error;
        root["kind"] =
            credential ? ordered_json(databricks::name_of(credential->kind)) : ordered_json(nullptr);
        root["origin"] = credential ? ordered_json(credential->origin) : ordered_json(nullptr);
        root["host"] = credential ? ordered_json(credential->host) : ordered_json(nullptr);
        root["expires_at"] = token && token->expires_at ? ordered_json(system::format_utc(*token->expires_at))
                                                        : ordered_json(nullptr);
        root["user"] = me ? ordered_json(me->user_name) : ordered_json(nullptr);
        root["user_unknown"] = token && !me ? ordered_json(edit::mask_text(no_me)) : ordered_json(nullptr);
        root["considered"] = ordered_json::array();
        for (const auto& candidate : resolution.considered)
            root["considered"].push_back(
                {{"name", candidate.name}, {"won", candidate.won}, {"reason", candidate.reason}});
        if (error) {
            root["error"] = {{"kind", "credential"},
                             {"exit_code", exit_code(error->kind)},
                             {"what", error->what},
                             {"why", error->why},
                             {"fix", error->fix}};
        }
        return root;
    }

    static void show(Output& out, const databricks::Resolution& resolution,
                     const std::optional<databricks::Token>& token, const std::optional<databricks::Me>& me,
                     const std::string& no_me) {
        std::vector<std::vector<std::string>> rows;
        if (resolution.credential) {
            const auto& credential = *resolution.credential;
            rows.push_back({"credential", out.styled(databricks::name_of(credential.kind), Style::bold) +
                                              ", " + credential.origin});
            if (!credential.host.empty()) rows.push_back({"for", credential.host});
            if (token) {
                rows.push_back({"until", token->expires_at ? system::format_utc(*token->expires_at)
                                                           : "not known: the token does not tell"});
                rows.push_back({"user", me ? me->user_name : "unknown: " + no_me});
            }
            out.result(columns(rows, 0));
        }
        rows.clear();
        for (const auto& candidate : resolution.considered)
            rows.push_back(
                {candidate.won ? out.styled("won", Style::green) : "-", candidate.name, candidate.reason});
        if (!rows.empty())
            out.result(std::string(resolution.credential ? "\n" : "") + "Looked at, in order:\n" +
                       columns(rows, 2));
    }

    std::string gateway_;
    bool offline_ = false;
};

} // namespace

std::unique_ptr<Command> make_auth_status() {
    return std::make_unique<AuthStatus>();
}

} // namespace dbx::cli
