#include "cli/command.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

// Called by agents for every session: no network, no lock and no libcurl for a static token or a cached one.
class AuthToken : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("--gateway", gateway_, "The gateway that the token is for")->type_name("URL");
        app.add_flag("--otel-headers", otel_headers_,
                     "Print it as the JSON object that Claude Code's otelHeadersHelper wants");
        app.add_flag("--force-refresh", force_, "A new token, even if the cached one is still good");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        const auto token =
            session.token(force_ ? databricks::Freshness::forced : databricks::Freshness::cached);
        if (!token) return fail(token.error());
        if (otel_headers_) {
            const nlohmann::ordered_json headers = {{"Authorization", "Bearer " + token->value.reveal()}};
            if (session.output().json()) {
                session.output().document(headers);
            } else {
                session.output().result(
                    headers.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
            }
        } else if (session.output().json()) {
            nlohmann::ordered_json root;
            root["token"] = token->value.reveal();
            root["expires_at"] = token->expires_at
                                     ? nlohmann::ordered_json(system::format_utc(*token->expires_at))
                                     : nlohmann::ordered_json(nullptr);
            root["origin"] = (*session.tokens())->credential().origin;
            session.output().document(root);
        } else {
            session.output().result(token->value.reveal() + "\n");
        }
        return 0;
    }

  private:
    std::string gateway_;
    bool otel_headers_ = false;
    bool force_ = false;
};

} // namespace

std::unique_ptr<Command> make_auth_token() {
    return std::make_unique<AuthToken>();
}

} // namespace dbx::cli
