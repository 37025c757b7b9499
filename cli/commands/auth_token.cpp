#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

// Called by agents for every session: no network and no lock for a static token.
class AuthToken : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--gateway", gateway_, "The gateway that the token is for")->type_name("URL");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto& credential = (*target)->resolution.credential;
        if (!credential) return fail(credential.error());
        if (!credential->is_static())
            return fail(ErrorKind::credential,
                        "cannot make a token from " + credential->origin,
                        "this version uses static tokens only, and that is " +
                            std::string(databricks::name_of(credential->kind)),
                        "export DATABRICKS_TOKEN, or use a profile with `token`");
        if (session.output().json()) {
            session.output().document({{"token", credential->token.reveal()}, {"origin", credential->origin}});
        } else {
            session.output().result(credential->token.reveal() + "\n");
        }
        return 0;
    }

  private:
    std::string gateway_;
};

} // namespace

std::unique_ptr<Command> make_auth_token() { return std::make_unique<AuthToken>(); }

} // namespace dbx::cli
