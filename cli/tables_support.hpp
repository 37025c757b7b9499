#pragma once

// What the `tables` commands share: their flags, the warehouse, the line of progress, and how a check is
// shown.

#include "cli/progress.hpp"
#include "cli/session.hpp"
#include "core/databricks/warehouses.hpp"
#include "core/tables/check.hpp"
#include "core/tables/rights.hpp"
#include "core/tables/views.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace dbx::cli {

struct TablesFlags {
    std::optional<std::string> catalog;
    std::optional<std::string> schema;
    std::optional<std::string> prefix;
    std::optional<std::string> signals;
    std::string warehouse;
    std::string timeout = "10m";
    bool views = false;

    void declare(CLI::App& app);
    void declare_views(CLI::App& app, const std::string& what);
};

// The flags, read and checked: what they leave out comes from the setting otel.tables.
struct TablesWish {
    tables::Place place;
    std::vector<tables::Signal> signals;
    std::chrono::milliseconds timeout{0};
    std::vector<tables::View> views; // those that were asked for

    // The flags that name the same tables, for advice: "--catalog main --schema telemetry --prefix dev".
    std::string flags() const;
};
Result<TablesWish> read_wish(Session& session, const TablesFlags& flags);

// The line of progress while statements run.
class ProgressLine {
  public:
    ProgressLine(Output& output, std::string what, bool warehouse_starts);
    void tell(const tables::RunProgress& progress);

  private:
    Progress progress_;
    bool warehouse_starts_;
};

// The SQL warehouse, chosen once and only when it is needed: the flag, the setting `warehouse`, or auto. Says
// when a stopped one will be started.
class WarehouseUse {
  public:
    WarehouseUse(Session& session, databricks::Workspace& workspace, std::string wanted);
    databricks::ApiResult<databricks::WarehouseChoice> get();
    nlohmann::ordered_json document() const; // null while none was needed

  private:
    Session& session_;
    databricks::Workspace& workspace_;
    std::string wanted_;
    std::optional<databricks::WarehouseChoice> choice_;
};

struct CheckOutcome {
    std::vector<tables::TableReport> reports;
    tables::WriterRights rights;

    bool complete() const { return tables::exit_code_of(reports) == 0; }
};

// Looks at every table, and at the current principal's rights on those that stand there.
Result<CheckOutcome> check_all(databricks::Workspace& workspace, const TablesWish& wish,
                               WarehouseUse& warehouse, Output& output);

// Looks at every view that was asked for.
Result<std::vector<tables::ViewReport>> check_views(databricks::Workspace& workspace, const TablesWish& wish);

nlohmann::ordered_json document_of(const CheckOutcome& outcome);
nlohmann::ordered_json document_of(const std::vector<tables::ViewReport>& reports);
nlohmann::ordered_json document_of(const tables::StatementRun& run);
nlohmann::ordered_json document_of(const std::vector<tables::Statement>& statements);
nlohmann::ordered_json document_of(const Error& error, std::string_view state);

// For people, on stdout. `remarks`: by a table's name, words to put before its state ("created").
std::string text_of(Output& output, const CheckOutcome& outcome,
                    const std::map<std::string, std::string>& remarks = {});
// The same of views; remarks stand for their state.
std::string text_of(Output& output, const std::vector<tables::ViewReport>& reports,
                    const std::map<std::string, std::string>& remarks = {});
// What to do about it, on stderr.
void advise(Output& output, const std::vector<tables::ViewReport>& reports, const TablesWish& wish);
void advise(Output& output, const CheckOutcome& outcome, const TablesWish& wish);

// The principal of the credential, fit for SQL; nothing when it is not known.
std::optional<std::string> principal_of(databricks::Workspace& workspace);

// Whether a statement failed because a right is missing.
bool lacks_right(const databricks::ApiError& error);

// The error with the missing right in its words, when the workspace names one; otherwise as it is, with
// `what`.
Error explain_refusal(const databricks::ApiError& error, const std::string& what, const TablesWish& wish);

// An error after a part of the work: with --json `document` gets it and is printed, else it is returned.
Result<int> end_with(Output& output, nlohmann::ordered_json document, Error error);

} // namespace dbx::cli
