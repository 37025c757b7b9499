#include "cli/command.hpp"
#include "cli/tables_support.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class TablesDdl : public Command {
  public:
    void declare(CLI::App& app) override {
        flags_.declare(app);
        app.add_flag("--create-schema", create_schema_, "Create the schema as well");
        flags_.declare_views(app,
                             "The views over them as well: tokens, cost, sessions, errors, tool decisions");
        // The same flags as create, so that a command line can be tried here first.
        app.add_flag("--dry-run", dry_run_, "Without effect here: nothing is ever run");
    }

    Result<int> run(Session& session) override {
        const auto wish = read_wish(session, flags_);
        if (!wish) return fail(wish.error());
        std::vector<tables::Statement> statements;
        if (create_schema_) statements.push_back(tables::create_schema(wish->place));
        for (const auto signal : wish->signals)
            statements.push_back(tables::create_table(wish->place, signal));
        for (const auto& view : wish->views) statements.push_back(tables::create_view(wish->place, view));
        auto& out = session.output();
        if (out.json())
            out.document({{"statements", document_of(statements)}});
        else
            out.result(tables::script(statements));
        return 0;
    }

  private:
    TablesFlags flags_;
    bool create_schema_ = false;
    bool dry_run_ = false;
};

} // namespace

std::unique_ptr<Command> make_tables_ddl() {
    return std::make_unique<TablesDdl>();
}

} // namespace dbx::cli
