#include "cli/command.hpp"
#include "cli/tables_support.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

class TablesGrant : public Command {
  public:
    void declare(CLI::App& app) override {
        flags_.declare(app);
        app.add_option("--to", principal_, "A user's e-mail address, a group's name or an application id")
            ->type_name("PRINCIPAL")
            ->required();
        flags_.declare_views(app, "For a reader: SELECT on the views, and nothing on the tables");
        app.add_flag("--dry-run", dry_run_, "Print the SQL that would run; run nothing");
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        const auto wish = read_wish(session, flags_);
        if (!wish) return fail(wish.error());
        if (auto ok = tables::check_principal(principal_); !ok) return fail(ok.error());
        const auto statements = flags_.views ? tables::reader_grants(wish->place, wish->views, principal_)
                                             : tables::grants(wish->place, wish->signals, principal_);
        auto& out = session.output();
        if (dry_run_) {
            if (out.json()) {
                out.document({{"dry_run", true}, {"statements", document_of(statements)}});
            } else {
                out.result(tables::script(statements));
                out.note("nothing was run");
            }
            return 0;
        }
        const auto workspace = session.workspace();
        if (!workspace) return fail(workspace.error());
        const system::InterruptGuard guard;
        (*workspace)->set_deadline(session.pacer().now() + wish->timeout);
        WarehouseUse warehouse(session, **workspace, flags_.warehouse);
        const auto choice = warehouse.get();
        if (!choice) return fail(choice.error());

        std::vector<tables::StatementRun> runs;
        {
            ProgressLine line(out, "granting", choice->warehouse.state != "RUNNING");
            runs =
                tables::run_side_by_side(**workspace, statements, choice->warehouse.id, wish->timeout,
                                         [&](const tables::RunProgress& progress) { line.tell(progress); });
        }
        ordered_json root;
        root["principal"] = principal_;
        root["warehouse"] = warehouse.document();
        root["statements"] = ordered_json::array();
        std::vector<std::string> done;
        std::vector<tables::Statement> not_done;
        for (const auto& run : runs) {
            root["statements"].push_back(document_of(run));
            if (run.succeeded())
                done.push_back(run.statement.what);
            else
                not_done.push_back(run.statement);
        }
        const auto* cause = tables::first_error(runs);
        if (cause == nullptr) {
            if (out.json()) {
                out.document(root);
            } else {
                out.summary("Granted to " + printable(principal_) + ":\n");
                std::string text; // "grant X on Y": without its first word
                for (const auto& what : done) text += "  " + what.substr(what.find(' ') + 1) + "\n";
                out.summary(text);
            }
            return 0;
        }
        std::string what = "cannot grant to " + principal_;
        for (const auto& run : runs)
            if (run.error && &*run.error == cause)
                what = "cannot " + run.statement.what + " to " + principal_;
        Error error = explain_refusal(*cause, what, *wish);
        if (lacks_right(*cause)) {
            const std::string sql = tables::script(not_done);
            root["sql_for_others"] = sql;
            out.result("-- Whoever owns these (or has MANAGE) runs:\n" + sql);
            error.fix = out.json() ? "give the SQL of sql_for_others to whoever has the right"
                                   : "give the SQL above to whoever has the right";
        }
        error.state = done.empty() ? "Nothing is known to have been changed."
                                   : "Done before: " + join(done, "; ") + ".";
        error.state += " Running the command again does no harm.";
        return end_with(out, std::move(root), std::move(error));
    }

  private:
    TablesFlags flags_;
    std::string principal_;
    bool dry_run_ = false;
};

} // namespace

std::unique_ptr<Command> make_tables_grant() {
    return std::make_unique<TablesGrant>();
}

} // namespace dbx::cli
