#include "cli/command.hpp"
#include "cli/tables_support.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;
using tables::NewSchema;
using tables::StatementRun;
using tables::TableState;

class TablesCreate : public Command {
  public:
    void declare(CLI::App& app) override {
        flags_.declare(app);
        app.add_flag("--create-schema", create_schema_, "Create the schema as well, if it is not there");
        flags_.declare_views(app,
                             "The views over them as well: tokens, cost, sessions, errors, tool decisions");
        app.add_flag("--dry-run", dry_run_, "Print the SQL that would run; run nothing");
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        const auto read = read_wish(session, flags_);
        if (!read) return fail(read.error());
        wish_ = *read;
        if (dry_run_) return show_dry_run(session);
        const auto workspace = session.workspace();
        if (!workspace) return fail(workspace.error());
        const system::InterruptGuard guard;
        WarehouseUse warehouse(session, **workspace, flags_.warehouse);
        start_ = session.pacer().now();
        (*workspace)->set_deadline(start_ + wish_.timeout);

        if (auto error = look(**workspace)) return fail(*error);
        if (!to_create_.empty()) {
            const auto choice = warehouse.get();
            if (!choice) return fail(choice.error());
            create(session, **workspace, *choice);
            if (const auto* error = tables::first_error(runs_)) {
                // When the answer was lost, the check decides: the statements do no harm when they run twice.
                const bool lost = tables::may_have_run(*error);
                allow_a_check(session, **workspace);
                const auto found =
                    lost ? check_all(**workspace, wish_, warehouse, session.output()) : no_check();
                if (!found || !found->complete()) return refuse(session, **workspace, warehouse, *error);
                session.output().warning("an answer of the workspace was lost (" + error->error.why +
                                         "), but the tables stand there");
            }
        }
        allow_a_check(session, **workspace);
        const auto outcome = check_all(**workspace, wish_, warehouse, session.output());
        if (!outcome) {
            Error error = outcome.error();
            error.state = "The tables were created; only the check that follows could not be done.";
            if (runs_.empty()) error.state = "Nothing was changed.";
            return end_with(session.output(), document(warehouse), std::move(error));
        }
        auto& out = session.output();
        if (outcome->complete() && !wish_.views.empty()) {
            if (auto ended = create_views(session, **workspace, warehouse)) return *ended;
        }
        if (out.json()) {
            auto root = document(warehouse);
            root["check"] = document_of(*outcome);
            if (flags_.views) root["views"] = document_of(views_);
            out.document(root);
        } else {
            out.summary(text_of(out, *outcome, remarks_) + text_of(out, views_, remarks_));
            advise(out, *outcome, wish_);
            if (!outcome->complete() && !wish_.views.empty())
                out.note("no view was created: the tables come first");
        }
        return tables::exit_code_of(outcome->reports);
    }

  private:
    static Result<CheckOutcome> no_check() { return fail(ErrorKind::failed, ""); }

    std::vector<tables::Statement> all_statements() const {
        std::vector<tables::Statement> result;
        if (create_schema_) result.push_back(tables::create_schema(wish_.place));
        for (const auto signal : wish_.signals) result.push_back(tables::create_table(wish_.place, signal));
        for (const auto& view : wish_.views) result.push_back(tables::create_view(wish_.place, view));
        return result;
    }

    Result<int> show_dry_run(Session& session) const {
        auto& out = session.output();
        if (out.json()) {
            out.document({{"dry_run", true}, {"statements", document_of(all_statements())}});
        } else {
            out.result(tables::script(all_statements()));
            out.note("nothing was run; tables that stand there already are left as they are");
        }
        return 0;
    }

    // Finds out which tables are not there yet: when none is missing, no warehouse is started for nothing. A
    // table that the API does not let us see is one to create: the statement says IF NOT EXISTS.
    std::optional<Error> look(databricks::Workspace& workspace) {
        for (const auto signal : wish_.signals) {
            const auto name = wish_.place.table_name(signal);
            const auto report = tables::check_table(workspace, wish_.place, signal, nullptr);
            if (!report) {
                if (!tables::wants_sql(report.error())) return report.error().error;
                to_create_.push_back(tables::create_table(wish_.place, signal));
                schema_unknown_ = true;
                remarks_[name] = "in place";
                continue;
            }
            if (report->state != TableState::missing) {
                remarks_[name] = "was there";
                continue;
            }
            if (report->absent == "catalog")
                return Error{ErrorKind::workspace,
                             "cannot create the tables: there is no catalog " + wish_.place.catalog,
                             "the workspace has none of that name that this principal can see",
                             "check --catalog; a metastore administrator creates catalogs",
                             {}};
            if (report->absent == "schema") {
                if (!create_schema_)
                    return Error{ErrorKind::workspace,
                                 "cannot create the tables: there is no schema " + wish_.place.schema_name(),
                                 "the catalog has none of that name that this principal can see",
                                 "check --schema, or let it be created: --create-schema",
                                 {}};
                schema_unknown_ = true;
            }
            to_create_.push_back(tables::create_table(wish_.place, signal));
            remarks_[name] = "created";
        }
        return std::nullopt;
    }

    // The check belongs to the answer: it has some time of its own when the statements took all there was.
    void allow_a_check(Session& session, databricks::Workspace& workspace) const {
        workspace.set_deadline(
            std::max(start_ + wish_.timeout, session.pacer().now() + std::chrono::seconds(10)));
    }

    std::chrono::milliseconds left(Session& session) const {
        return wish_.timeout -
               std::chrono::duration_cast<std::chrono::milliseconds>(session.pacer().now() - start_);
    }

    void create(Session& session, databricks::Workspace& workspace,
                const databricks::WarehouseChoice& choice) {
        ProgressLine line(session.output(), "creating", choice.warehouse.state != "RUNNING");
        const auto tell = [&](const tables::RunProgress& progress) { line.tell(progress); };
        if (create_schema_ && schema_unknown_) {
            runs_ = tables::run_side_by_side(workspace, {tables::create_schema(wish_.place)},
                                             choice.warehouse.id, left(session), tell);
            if (const auto* error = tables::first_error(runs_);
                error != nullptr && !tables::may_have_run(*error))
                return;
        }
        auto more = tables::run_side_by_side(workspace, to_create_, choice.warehouse.id, left(session), tell);
        for (auto& run : more) runs_.push_back(std::move(run));
    }

    // Creates the views that are missing and replaces those that differ. The end of the command, if it is
    // one.
    std::optional<Result<int>> create_views(Session& session, databricks::Workspace& workspace,
                                            WarehouseUse& warehouse) {
        auto found = check_views(workspace, wish_);
        if (!found) return end_with(session.output(), document(warehouse), with_state(found.error()));
        std::vector<tables::View> wanted;
        for (const auto& report : *found) {
            remarks_[report.name] = report.state == tables::ViewState::same      ? "was there"
                                    : report.state == tables::ViewState::missing ? "created"
                                                                                 : "replaced";
            if (report.state != tables::ViewState::same) wanted.push_back(report.view);
        }
        views_ = std::move(*found);
        if (wanted.empty()) return std::nullopt;
        const auto choice = warehouse.get();
        if (!choice) return end_with(session.output(), document(warehouse), with_state(choice.error().error));
        const auto before = runs_.size();
        {
            ProgressLine line(session.output(), "creating the views", choice->warehouse.state != "RUNNING");
            const auto tell = [&](const tables::RunProgress& progress) { line.tell(progress); };
            for (const auto& step : tables::create_steps(wish_.place, wanted)) {
                auto more =
                    tables::run_side_by_side(workspace, step, choice->warehouse.id, left(session), tell);
                for (auto& run : more) runs_.push_back(std::move(run));
                if (error_since(before) != nullptr) break;
            }
        }
        const auto* error = error_since(before);
        if (error == nullptr) {
            for (auto& report : views_) report.state = tables::ViewState::same;
            return std::nullopt;
        }
        allow_a_check(session, workspace);
        if (tables::may_have_run(*error)) {
            if (auto again = check_views(workspace, wish_); again && tables::exit_code_of(*again) == 0) {
                views_ = std::move(*again);
                return std::nullopt;
            }
        }
        return refuse(session, workspace, warehouse, *error);
    }

    const databricks::ApiError* error_since(std::size_t begin) const {
        for (auto i = begin; i < runs_.size(); ++i)
            if (runs_[i].error) return &*runs_[i].error;
        return nullptr;
    }

    Error with_state(Error error) const {
        error.state = state_now();
        return error;
    }

    ordered_json document(const WarehouseUse& warehouse) const {
        ordered_json root;
        root["warehouse"] = warehouse.document();
        root["statements"] = ordered_json::array();
        for (const auto& run : runs_) root["statements"].push_back(document_of(run));
        return root;
    }

    // Whether a statement may have done its work in spite of this error. Refusals came before it was begun.
    static bool may_stand(const databricks::ApiError& error) {
        switch (error.problem) {
        case databricks::ApiProblem::network:
        case databricks::ApiProblem::timeout:
        case databricks::ApiProblem::interrupted:
        case databricks::ApiProblem::unavailable:
        case databricks::ApiProblem::server_error:
        case databricks::ApiProblem::not_databricks:
            return true;
        default:
            return false;
        }
    }

    // What a failure leaves behind, in sentences.
    std::string state_now() const {
        std::vector<std::string> done, unsure;
        for (const auto& run : runs_) {
            if (run.succeeded()) done.push_back(run.statement.object);
            if (run.begun && run.error && may_stand(*run.error)) unsure.push_back(run.statement.object);
        }
        if (done.empty() && unsure.empty()) return "Nothing was changed.";
        std::string text;
        if (!done.empty()) text = "Created (or there before): " + join(done, ", ") + ".";
        if (!unsure.empty())
            text += std::string(text.empty() ? "" : " ") +
                    "Not known whether they stand there: " + join(unsure, ", ") +
                    "; dbx-agents tables check tells.";
        return text + " Running the command again does no harm.";
    }

    Result<int> refuse(Session& session, databricks::Workspace& workspace, const WarehouseUse& warehouse,
                       const databricks::ApiError& cause) {
        auto& out = session.output();
        std::string object = wish_.place.schema_name();
        for (const auto& run : runs_)
            if (run.error && &*run.error == &cause) object = run.statement.what;
        Error error = explain_refusal(cause, "cannot " + object, wish_);
        error.state = state_now();
        auto root = document(warehouse);
        if (lacks_right(cause)) {
            const auto known = principal_of(workspace);
            const std::string principal = known.value_or("YOUR-PRINCIPAL");
            // A right on the schema is missing: so the schema is there.
            const auto right = tables::missing_right(cause);
            const bool there = right && right->type != "catalog";
            const auto schema = create_schema_ && !there ? NewSchema::yes : NewSchema::no;
            auto instead = all_statements();
            for (auto& grant : tables::grants(wish_.place, wish_.signals, principal))
                instead.push_back(std::move(grant));
            const std::string sql =
                "-- Whoever may give these rights lets " + principal + " create the tables:\n" +
                tables::script(tables::creator_grants(wish_.place, schema, principal)) +
                "\n-- Or creates them, and lets " + principal + " write to them:\n" + tables::script(instead);
            error.fix = out.json() ? "give the SQL of sql_for_others to whoever has the right"
                                   : "give the SQL above to whoever has the right";
            root["sql_for_others"] = sql;
            if (right)
                root["missing_right"] = {{"right", right->right}, {"on", right->type}, {"name", right->name}};
            out.result(sql);
        }
        return end_with(out, std::move(root), std::move(error));
    }

    TablesFlags flags_;
    bool create_schema_ = false;
    bool dry_run_ = false;

    TablesWish wish_;
    std::chrono::steady_clock::time_point start_;
    std::vector<tables::Statement> to_create_;
    bool schema_unknown_ = false; // or known to be missing
    std::map<std::string, std::string> remarks_;
    std::vector<StatementRun> runs_;
    std::vector<tables::ViewReport> views_;
};

} // namespace

std::unique_ptr<Command> make_tables_create() {
    return std::make_unique<TablesCreate>();
}

} // namespace dbx::cli
