#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/agents/otel_variables.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

class TemplatesShow : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("name", name_, "The agent; otel: the telemetry variables for any other program")
            ->required()
            ->type_name("AGENT");
        app.add_option("--otel", otel_, "With otel: the tables (default: setting otel.tables)")
            ->type_name("CATALOG.SCHEMA.PREFIX");
    }

    Result<int> run(Session& session) override {
        if (name_ == "otel") return show_variables(session);
        if (!otel_.empty())
            return fail(ErrorKind::usage, "--otel says nothing about " + printable(name_),
                        "it fills in the variables of 'templates show otel'", "leave it out");
        const auto found = session.agents_named({name_});
        if (!found) return fail(found.error());
        const auto& agent = *found->front();
        auto& out = session.output();
        if (out.json()) {
            nlohmann::ordered_json root;
            root["agent"] = agent.name;
            root["origin"] = agent.origin;
            root["documents"] = nlohmann::ordered_json::object();
            for (const auto& [name, text] : agent.documents) root["documents"][name] = text;
            out.document(root);
            return 0;
        }
        bool first = true;
        for (const auto& [name, text] : agent.documents) {
            out.result(fmt::format("{}==> {}/{} <==\n{}", first ? "" : "\n", agent.name, name, text));
            first = false;
        }
        return 0;
    }

  private:
    Result<int> show_variables(Session& session) const {
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());
        const auto target = session.target();
        if (!target) return fail(target.error());
        if (!otel_.empty()) {
            if (auto wrong = (*settings)->refuse_flag("otel.tables", "--otel " + otel_, otel_))
                return fail(*wrong);
        }
        std::optional<otlp::Place> place;
        const auto setting = (*settings)->find("otel.tables");
        if (!otel_.empty() || setting) {
            auto parsed = otel_.empty() ? otlp::parse_place(setting->value, setting->origin)
                                        : otlp::parse_place(otel_, "--otel");
            if (!parsed) return fail(parsed.error());
            place = std::move(*parsed);
        }
        const auto variables =
            agents::otel_variables((*target)->workspace ? (*target)->workspace->value : "", place);
        nlohmann::ordered_json object;
        std::string exports;
        for (const auto& [name, value] : variables) {
            object[name] = value;
            exports += "export " + name + "=" + shell_quote(value) + "\n";
        }
        auto& out = session.output();
        if (out.json()) {
            out.document({{"variables", object}, {"exports", exports}});
            return 0;
        }
        out.result("==> variables.json <==\n" + object.dump(2) + "\n\n==> exports.sh <==\n" + exports);
        out.note(
            "put a token in the place of <databricks_pat_token>, with %2C for a comma, %3B for a semicolon "
            "and %25 for a percent sign in it");
        return 0;
    }

    std::string name_;
    std::string otel_;
};

} // namespace

std::unique_ptr<Command> make_templates_show() {
    return std::make_unique<TemplatesShow>();
}

} // namespace dbx::cli
