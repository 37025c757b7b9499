#include "cli/command.hpp"
#include "cli/tables_support.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

class TablesCheck : public Command {
  public:
    void declare(CLI::App& app) override { flags_.declare(app); }

    Result<int> run(Session& session) override {
        const auto wish = read_wish(session, flags_);
        if (!wish) return fail(wish.error());
        const auto workspace = session.workspace();
        if (!workspace) return fail(workspace.error());
        const system::InterruptGuard guard;
        (*workspace)->set_deadline(session.pacer().now() + wish->timeout);
        WarehouseUse warehouse(session, **workspace, flags_.warehouse);
        auto& out = session.output();
        const auto outcome = check_all(**workspace, *wish, warehouse, out);
        if (!outcome) return fail(outcome.error());
        if (out.json()) {
            auto document = document_of(*outcome);
            document["warehouse"] = warehouse.document();
            out.document(document);
        } else {
            out.result(text_of(out, *outcome));
            advise(out, *outcome, *wish);
        }
        return tables::exit_code_of(outcome->reports);
    }

  private:
    TablesFlags flags_;
};

} // namespace

std::unique_ptr<Command> make_tables_check() {
    return std::make_unique<TablesCheck>();
}

} // namespace dbx::cli
