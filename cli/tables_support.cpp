#include "cli/tables_support.hpp"

#include "core/base/error_name.hpp"
#include "core/base/strings.hpp"
#include "core/edit/mask.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace dbx::cli {

using nlohmann::ordered_json;
using tables::Holding;
using tables::TableState;
using tables::Verdict;

namespace {

double seconds_of(std::chrono::milliseconds time) {
    return static_cast<double>(time.count()) / 1000;
}

std::string words_of(const tables::Right& right) {
    switch (right.holding) {
    case Holding::granted:
        return right.from.empty() ? "granted" : "granted, through " + right.from;
    case Holding::owner:
        return "owner, not granted by name";
    case Holding::all_privileges:
        return "only through ALL PRIVILEGES, which ingestion does not accept";
    case Holding::missing:
        return "missing";
    case Holding::unknown:
        return "unknown";
    }
    return {};
}

// Flags that contradict locked keys. `configured`: the place of otel.tables, when that is locked; `place`:
// the one asked for.
std::optional<Error> refuse_locked(const state::Settings& settings, const TablesFlags& flags,
                                   const tables::Place& configured, const tables::Place& place) {
    const std::tuple<const char*, const std::optional<std::string>&, const std::string&> parts[] = {
        {"--catalog", flags.catalog, configured.catalog},
        {"--schema", flags.schema, configured.schema},
        {"--prefix", flags.prefix, configured.prefix}};
    for (const auto& [flag, given, locked] : parts) {
        if (!given || *given == locked) continue;
        if (auto wrong = settings.refuse_flag("otel.tables", std::string(flag) + " " + *given,
                                              place.schema_name() + "." + place.prefix))
            return wrong;
    }
    if (flags.warehouse.empty()) return std::nullopt;
    return settings.refuse_flag("warehouse", "--warehouse " + flags.warehouse, flags.warehouse);
}

} // namespace

void TablesFlags::declare(CLI::App& app) {
    app.add_option("--catalog", catalog, "The catalog (default: from otel.tables of the configuration)")
        ->type_name("NAME");
    app.add_option("--schema", schema, "The schema in it")->type_name("NAME");
    app.add_option("--prefix", prefix, "What the tables' names begin with: PREFIX_otel_metrics, …")
        ->type_name("NAME");
    app.add_option("--signals", signals, "Some of these (default: all three)")
        ->type_name("metrics,logs,traces");
    app.add_option("--warehouse", warehouse,
                   "The SQL warehouse: its id, its name, or auto (default: the configured one, or auto)")
        ->type_name("ID|NAME|auto");
    app.add_option("--timeout", timeout, "For everything, the start of the warehouse included (default: 10m)")
        ->type_name("TIME");
}

void TablesFlags::declare_views(CLI::App& app, const std::string& what) {
    app.add_flag("--views", views, what);
}

std::string TablesWish::flags() const {
    return "--catalog " + place.catalog + " --schema " + place.schema + " --prefix " + place.prefix;
}

Result<TablesWish> read_wish(Session& session, const TablesFlags& flags) {
    TablesWish wish;
    if (flags.signals && trim(*flags.signals).empty())
        return fail(ErrorKind::usage, "--signals is empty", "known signals: metrics, logs, traces",
                    "name some of them, with commas between, or leave --signals out");
    const auto signals = tables::parse_signals(flags.signals.value_or(""));
    if (!signals) return fail(signals.error());
    wish.signals = *signals;
    const auto timeout = tables::parse_timeout(flags.timeout);
    if (!timeout) return fail(timeout.error());
    wish.timeout = *timeout;

    tables::Place configured;
    const auto settings = session.settings();
    if (!settings) return fail(settings.error());
    const auto setting = (*settings)->find("otel.tables");
    if (!flags.catalog || !flags.schema || !flags.prefix ||
        (setting && setting->rank == state::Rank::locked)) {
        if (!setting) {
            const char* missing = !flags.catalog ? "--catalog" : !flags.schema ? "--schema" : "--prefix";
            return fail(ErrorKind::usage, "which tables?", std::string(missing) + " is missing",
                        "give --catalog, --schema and --prefix, or set tables = \"catalog.schema.prefix\" "
                        "below [otel] in "
                        "config.toml");
        }
        auto place = tables::parse_place(setting->value, setting->origin);
        if (!place) return fail(place.error());
        configured = std::move(*place);
    }
    wish.place = {flags.catalog.value_or(configured.catalog), flags.schema.value_or(configured.schema),
                  flags.prefix.value_or(configured.prefix)};
    if (auto checked = tables::check_place(wish.place); !checked) return fail(checked.error());
    if (auto wrong = refuse_locked(**settings, flags, configured, wish.place)) return fail(*wrong);
    if (flags.views) {
        if (auto checked = tables::check_view_names(wish.place); !checked) return fail(checked.error());
        wish.views = tables::views_over(wish.signals);
    }
    return wish;
}

// --- progress
// --------------------------------------------------------------------------------------------------------

ProgressLine::ProgressLine(Output& output, std::string what, bool warehouse_starts)
    : progress_(output, std::move(what))
    , warehouse_starts_(warehouse_starts) {
    tell({});
}

void ProgressLine::tell(const tables::RunProgress& progress) {
    const bool pending = progress.state == databricks::StatementState::pending;
    progress_.count(progress.done, progress.total);
    progress_.state(pending && warehouse_starts_ ? "the warehouse is starting"
                    : pending                    ? "waiting"
                                                 : to_lower(databricks::name_of(progress.state)));
}

// --- warehouse
// -------------------------------------------------------------------------------------------------------

WarehouseUse::WarehouseUse(Session& session, databricks::Workspace& workspace, std::string wanted)
    : session_(session)
    , workspace_(workspace)
    , wanted_(std::move(wanted)) {}

databricks::ApiResult<databricks::WarehouseChoice> WarehouseUse::get() {
    if (choice_) return *choice_;
    if (wanted_.empty()) {
        if (const auto settings = session_.settings())
            if (const auto setting = (*settings)->find("warehouse")) wanted_ = setting->value;
    }
    auto choice = databricks::choose_warehouse(workspace_, wanted_);
    if (!choice) return choice;
    const auto& warehouse = choice->warehouse;
    auto& out = session_.output();
    if (choice->will_start)
        out.note(fmt::format(
            "the SQL warehouse '{}' ({}) is stopped: it will be started, and is billed while it runs",
            warehouse.name, warehouse.id));
    else if (out.verbose())
        out.note(fmt::format("the SQL warehouse '{}' ({}) is used: {}", warehouse.name, warehouse.id,
                             choice->reason));
    choice_ = std::move(*choice);
    return *choice_;
}

ordered_json WarehouseUse::document() const {
    if (!choice_) return nullptr;
    const auto& warehouse = choice_->warehouse;
    return {{"id", warehouse.id},
            {"name", warehouse.name},
            {"state", warehouse.state},
            {"serverless", warehouse.serverless},
            {"will_start", choice_->will_start},
            {"reason", choice_->reason}};
}

// --- check
// -----------------------------------------------------------------------------------------------------------

Result<CheckOutcome> check_all(databricks::Workspace& workspace, const TablesWish& wish,
                               WarehouseUse& warehouse, Output& output) {
    CheckOutcome outcome;
    std::optional<Progress> looking(std::in_place, output, "looking at the tables");
    std::optional<ProgressLine> line;
    tables::SqlFallback fallback;
    fallback.timeout = wish.timeout;
    fallback.warehouse_id = [&]() -> databricks::ApiResult<std::string> {
        const auto choice = warehouse.get();
        if (!choice) return tl::unexpected(choice.error());
        looking.reset();
        if (!line) line.emplace(output, "looking at the tables", choice->warehouse.state != "RUNNING");
        return choice->warehouse.id;
    };
    fallback.progress = [&](const tables::RunProgress& progress) {
        if (line) line->tell(progress);
    };
    std::vector<tables::Signal> existing;
    for (const auto signal : wish.signals) {
        auto report = tables::check_table(workspace, wish.place, signal, &fallback);
        if (!report) {
            looking.reset();
            line.reset();
            return fail(explain_refusal(report.error(),
                                        "cannot look at the table " + wish.place.table_name(signal), wish));
        }
        if (report->state != TableState::missing) existing.push_back(signal);
        outcome.reports.push_back(std::move(*report));
    }
    line.reset();
    if (looking) looking->state("rights");
    if (existing.empty()) return outcome;
    std::map<std::string, std::string> owners;
    for (const auto& report : outcome.reports) owners[report.name] = report.owner;
    auto rights = tables::writer_rights(workspace, wish.place, existing, owners);
    if (!rights) return fail(rights.error());
    outcome.rights = std::move(*rights);
    return outcome;
}

ordered_json document_of(const CheckOutcome& outcome) {
    ordered_json root;
    root["tables"] = ordered_json::array();
    for (const auto& report : outcome.reports) {
        ordered_json item;
        item["name"] = report.name;
        item["signal"] = tables::name_of(report.signal);
        item["state"] = tables::name_of(report.state);
        item["absent"] = report.absent.empty() ? ordered_json(nullptr) : ordered_json(report.absent);
        item["owner"] = report.owner.empty() ? ordered_json(nullptr) : ordered_json(report.owner);
        item["via"] = report.via;
        item["differences"] = ordered_json::array();
        for (const auto& difference : report.differences) {
            item["differences"].push_back({{"kind", tables::name_of(difference.kind)},
                                           {"column", difference.column},
                                           {"expected", difference.expected},
                                           {"found", difference.found},
                                           {"text", tables::describe(difference)}});
        }
        if (report.described) item["statement"] = document_of(*report.described);
        root["tables"].push_back(std::move(item));
    }
    ordered_json rights;
    rights["principal"] =
        outcome.rights.principal.empty() ? ordered_json(nullptr) : ordered_json(outcome.rights.principal);
    rights["may_write"] = tables::name_of(outcome.rights.verdict());
    rights["rights"] = ordered_json::array();
    for (const auto& right : outcome.rights.rights)
        rights["rights"].push_back({{"right", right.right},
                                    {"on", right.type},
                                    {"name", right.name},
                                    {"state", tables::name_of(right.holding)},
                                    {"inherited_from", right.from}});
    rights["reason"] = outcome.rights.reason;
    root["writer"] = std::move(rights);
    root["exit_code"] = tables::exit_code_of(outcome.reports);
    return root;
}

Result<std::vector<tables::ViewReport>> check_views(databricks::Workspace& workspace,
                                                    const TablesWish& wish) {
    std::vector<tables::ViewReport> reports;
    for (const auto& view : wish.views) {
        auto report = tables::check_view(workspace, wish.place, view);
        if (!report)
            return fail(explain_refusal(
                report.error(), "cannot look at the view " + tables::view_name(wish.place, view), wish));
        reports.push_back(std::move(*report));
    }
    return reports;
}

ordered_json document_of(const std::vector<tables::ViewReport>& reports) {
    ordered_json list = ordered_json::array();
    for (const auto& report : reports)
        list.push_back({{"name", report.name},
                        {"state", tables::name_of(report.state)},
                        {"why", report.why.empty() ? ordered_json(nullptr) : ordered_json(report.why)}});
    return list;
}

ordered_json document_of(const tables::StatementRun& run) {
    ordered_json item;
    item["what"] = run.statement.what;
    item["sql"] = run.statement.sql;
    item["statement_id"] = run.statement_id.empty() ? ordered_json(nullptr) : ordered_json(run.statement_id);
    item["state"] = !run.begun ? "NOT_BEGUN" : std::string(databricks::name_of(run.state));
    item["seconds"] = seconds_of(run.elapsed);
    if (run.error)
        item["error"] = {{"what", run.error->error.what},
                         {"why", run.error->error.why},
                         {"sql_state", run.error->sql_state},
                         {"error_class", run.error->error_class}};
    return item;
}

ordered_json document_of(const std::vector<tables::Statement>& statements) {
    ordered_json list = ordered_json::array();
    for (const auto& statement : statements)
        list.push_back({{"what", statement.what}, {"sql", statement.sql}});
    return list;
}

ordered_json document_of(const Error& error, std::string_view state) {
    return {{"kind", name_of(error.kind)},
            {"exit_code", exit_code(error.kind)},
            {"what", edit::mask_text(error.what)},
            {"why", edit::mask_text(error.why)},
            {"fix", edit::mask_text(error.fix)},
            {"state", error.state.empty() ? std::string(state) : error.state}};
}

std::string text_of(Output& output, const CheckOutcome& outcome,
                    const std::map<std::string, std::string>& remarks) {
    std::size_t width = 0;
    for (const auto& report : outcome.reports) width = std::max(width, report.name.size());
    std::string text;
    for (const auto& report : outcome.reports) {
        std::string state;
        Style style = Style::green;
        if (report.state == TableState::same) {
            state = "as documented";
        } else if (report.state == TableState::different) {
            state = "different";
            style = Style::red;
        } else {
            state = report.absent == "table" ? "missing" : "missing, like its " + report.absent;
            style = Style::yellow;
        }
        const auto remark = remarks.find(report.name);
        text += report.name + std::string(width - report.name.size() + 2, ' ') +
                (remark == remarks.end() ? "" : remark->second + ", ") + output.styled(state, style) + "\n";
        for (const auto& difference : report.differences)
            text += "  " + printable(tables::describe(difference)) + "\n";
    }
    const auto& rights = outcome.rights;
    if (!rights.rights.empty()) {
        const auto verdict = rights.verdict();
        const auto who = printable(rights.principal);
        text += "\n" +
                (verdict == Verdict::yes ? who + output.styled(" may write to them", Style::green)
                 : verdict == Verdict::no
                     ? who + output.styled(" may not write to them", Style::red)
                     : output.styled("not proven", Style::yellow) + " that " + who + " may write to them") +
                "\n";
        std::vector<std::vector<std::string>> rows;
        for (const auto& right : rights.rights)
            rows.push_back({right.right, "on " + right.type + " " + right.name, printable(words_of(right))});
        text += columns(rows, 2);
    }
    return text;
}

std::string text_of(Output& output, const std::vector<tables::ViewReport>& reports,
                    const std::map<std::string, std::string>& remarks) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& report : reports) {
        const auto remark = remarks.find(report.name);
        rows.push_back(
            {report.name, remark != remarks.end() ? remark->second
                          : report.state == tables::ViewState::same
                              ? output.styled("as it should be", Style::green)
                          : report.state == tables::ViewState::missing
                              ? output.styled("missing", Style::yellow)
                              : output.styled("different", Style::red) + ": " + printable(report.why)});
    }
    return rows.empty() ? std::string() : "\n" + columns(rows, 0);
}

void advise(Output& output, const std::vector<tables::ViewReport>& reports, const TablesWish& wish) {
    if (tables::exit_code_of(reports) != 0)
        output.note("to create what is missing and replace what differs: dbx-agents tables create " +
                    wish.flags() + " --views");
}

void advise(Output& output, const CheckOutcome& outcome, const TablesWish& wish) {
    const auto any = [&](TableState state) {
        return std::any_of(outcome.reports.begin(), outcome.reports.end(),
                           [&](const auto& report) { return report.state == state; });
    };
    if (any(TableState::different))
        output.note(
            "a table that differs is never changed or dropped by this program, because it may hold data: "
            "rename it "
            "(ALTER TABLE … RENAME TO …) and run dbx-agents tables create again, or use another --prefix; "
            "dbx-agents tables ddl prints what is documented");
    const auto absent = [&](std::string_view what) {
        return std::any_of(outcome.reports.begin(), outcome.reports.end(),
                           [&](const auto& report) { return report.absent == what; });
    };
    if (absent("catalog"))
        output.note(
            "there is no catalog " + wish.place.catalog +
            " that this principal can see: check --catalog; a metastore administrator creates catalogs");
    else if (any(TableState::missing))
        output.note("to create what is missing: dbx-agents tables create " + wish.flags() +
                    (absent("schema") ? " --create-schema" : ""));
    if (!outcome.rights.reason.empty()) output.note("the rights are not known: " + outcome.rights.reason);
    const auto& principal = outcome.rights.principal;
    if (!principal.empty() && !outcome.rights.rights.empty() && outcome.rights.verdict() != Verdict::yes)
        output.note("ingestion is documented to want USE CATALOG, USE SCHEMA, MODIFY and SELECT, each "
                    "granted by name; to grant them: dbx-agents tables grant " +
                    wish.flags() + " --to " + shell_quote(principal));
}

// --- refusals
// --------------------------------------------------------------------------------------------------------

std::optional<std::string> principal_of(databricks::Workspace& workspace) {
    const auto me = databricks::who_am_i(workspace);
    // It goes into SQL that people paste: an odd one is as good as none.
    if (!me || !tables::check_principal(me->user_name)) return std::nullopt;
    return me->user_name;
}

bool lacks_right(const databricks::ApiError& error) {
    return error.problem == databricks::ApiProblem::statement_failed &&
           (error.sql_state == "42501" || error.error_class.starts_with("INSUFFICIENT_PERMISSIONS") ||
            icontains(error.message, "PERMISSION_DENIED") || tables::missing_right(error).has_value());
}

Error explain_refusal(const databricks::ApiError& error, const std::string& what, const TablesWish& wish) {
    Error result = error.error;
    if (result.kind == ErrorKind::interrupted) return result;
    if (result.kind == ErrorKind::timeout) {
        result.what = what + ": " + result.what;
        return result;
    }
    if (error.problem != databricks::ApiProblem::statement_failed) {
        if (error.problem == databricks::ApiProblem::no_permission) {
            if (const auto right = tables::missing_right(error))
                result.what = what + ": the right " + right->right + " on the " + right->type + " " +
                              right->name + " is missing";
        } else if (result.what == "cannot run a SQL statement") {
            result.what = what;
        }
        return result;
    }
    const auto is = [&](std::string_view word) {
        return error.error_class.starts_with(word) || icontains(error.message, word);
    };
    if (is("SCHEMA_NOT_FOUND")) {
        result.what = what + ": there is no schema " + wish.place.schema_name();
        result.fix = "check --schema, or let it be created: --create-schema";
    } else if (is("NO_SUCH_CATALOG") || is("CATALOG_NOT_FOUND")) {
        result.what = what + ": there is no catalog " + wish.place.catalog;
        result.fix = "check --catalog; a metastore administrator creates catalogs";
    } else if (is("PRINCIPAL_DOES_NOT_EXIST")) {
        result.what = what + ": the workspace knows no such principal";
        result.fix =
            "give a user's e-mail address, a group's name or a service principal's application id, as the "
            "workspace spells it";
    } else if (is("TABLE_OR_VIEW_NOT_FOUND")) {
        result.what = what + ": the table does not stand there";
        result.fix = "create it first: dbx-agents tables create " + wish.flags();
    } else if (const auto right = tables::missing_right(error)) {
        result.what = what + ": the right " + right->right + " on the " + right->type + " " + right->name +
                      " is missing";
        result.fix = "ask whoever owns the " + right->type + " for it";
    } else {
        result.what = what + ": " + result.what;
    }
    return result;
}

Result<int> end_with(Output& output, ordered_json document, Error error) {
    if (!output.json()) return fail(std::move(error));
    document["error"] = document_of(error, "");
    output.document(document);
    return exit_code(error.kind);
}

} // namespace dbx::cli
