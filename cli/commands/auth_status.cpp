#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

class AuthStatus : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--gateway", gateway_, "The gateway that the token is for")->type_name("URL");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto& resolution = (*target)->resolution;
        auto& out = session.output();
        if (out.json()) {
            ordered_json root;
            const auto& credential = resolution.credential;
            root["found"] = credential.has_value();
            root["kind"] = credential ? ordered_json(databricks::name_of(credential->kind)) : ordered_json(nullptr);
            root["origin"] = credential ? ordered_json(credential->origin) : ordered_json(nullptr);
            root["host"] = credential ? ordered_json(credential->host) : ordered_json(nullptr);
            root["considered"] = ordered_json::array();
            for (const auto& candidate : resolution.considered)
                root["considered"].push_back({{"name", candidate.name}, {"won", candidate.won}, {"reason", candidate.reason}});
            if (!credential) {
                root["error"] = {{"kind", "credential"},
                                 {"exit_code", exit_code(ErrorKind::credential)},
                                 {"what", credential.error().what},
                                 {"why", credential.error().why},
                                 {"fix", credential.error().fix}};
            }
            out.document(root);
            return credential ? 0 : exit_code(ErrorKind::credential);
        }
        if (resolution.credential) {
            const auto& credential = *resolution.credential;
            out.result(fmt::format("{}  {}\n", out.styled(std::string(databricks::name_of(credential.kind)), Style::bold),
                                   credential.origin));
            if (!credential.host.empty()) out.result("for  " + credential.host + "\n");
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& candidate : resolution.considered)
            rows.push_back({candidate.won ? out.styled("won", Style::green) : "-", candidate.name, candidate.reason});
        if (!rows.empty()) out.result("\nLooked at, in order:\n" + columns(rows, 2));
        if (!resolution.credential) return fail(resolution.credential.error());
        return 0;
    }

  private:
    std::string gateway_;
};

} // namespace

std::unique_ptr<Command> make_auth_status() { return std::make_unique<AuthStatus>(); }

} // namespace dbx::cli
