#include "core/tables/run.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

namespace dbx::tables {

namespace {

using databricks::ApiProblem;
using std::chrono::milliseconds;

// Statements of one warehouse queue there anyway; more at a time would only run into rate limits.
constexpr std::size_t at_a_time = 3;

databricks::ApiError not_begun(ApiProblem problem) {
    databricks::ApiError error;
    error.problem = problem;
    if (problem == ApiProblem::interrupted)
        error.error =
            Error{ErrorKind::interrupted, "interrupted before a SQL statement was begun", "", "", {}};
    else
        error.error = Error{ErrorKind::timeout,
                            "the time was over before a SQL statement was begun",
                            "",
                            "give it more time with --timeout",
                            {}};
    return error;
}

} // namespace

std::vector<StatementRun> run_side_by_side(databricks::Workspace& workspace,
                                           const std::vector<Statement>& statements,
                                           const std::string& warehouse_id, milliseconds timeout,
                                           const std::function<void(const RunProgress&)>& progress) {
    std::vector<StatementRun> runs;
    for (const auto& statement : statements) runs.push_back({statement, false, {}, {}, {}, {}});
    auto& pacer = workspace.pacer();
    const auto start = pacer.now();
    const auto elapsed = [&] { return std::chrono::duration_cast<milliseconds>(pacer.now() - start); };
    std::atomic<std::size_t> next = 0, done = 0;
    std::mutex guard;

    const auto tell = [&](databricks::StatementState state) {
        if (!progress) return;
        const std::lock_guard lock(guard);
        progress({done.load(), runs.size(), state, elapsed()});
    };
    const auto work = [&] {
        for (auto index = next++; index < runs.size(); index = next++) {
            auto& run = runs[index]; // nobody else's
            const auto left = timeout - elapsed();
            if (system::InterruptGuard::interrupted() || left <= milliseconds(0)) {
                run.error = not_begun(system::InterruptGuard::interrupted() ? ApiProblem::interrupted
                                                                            : ApiProblem::timeout);
                continue;
            }
            run.begun = true;
            databricks::StatementRequest request;
            request.sql = run.statement.sql;
            request.warehouse_id = warehouse_id;
            request.timeout = left;
            request.repeatable = http::Repeatable::yes;
            const auto result =
                databricks::execute(workspace, request, [&](const databricks::StatementProgress& p) {
                    run.state = p.state;
                    run.elapsed = p.elapsed;
                    if (!p.statement_id.empty()) run.statement_id = p.statement_id;
                    tell(p.state);
                });
            if (result) {
                run.state = result->state;
                run.statement_id = result->statement_id;
                run.elapsed = result->elapsed;
            } else {
                run.error = result.error();
                if (!result.error().statement_id.empty()) run.statement_id = result.error().statement_id;
            }
            ++done;
            tell(run.state);
        }
    };

    std::vector<std::thread> helpers;
    for (std::size_t i = 1; i < std::min(at_a_time, runs.size()); ++i) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
    return runs;
}

const databricks::ApiError* first_error(const std::vector<StatementRun>& runs) {
    const databricks::ApiError* result = nullptr;
    const auto rank = [](const databricks::ApiError& error) {
        if (error.problem == ApiProblem::interrupted) return 0;
        if (error.problem == ApiProblem::timeout) return 1;
        return may_have_run(error) ? 3 : 2;
    };
    for (const auto& run : runs)
        if (run.error && (result == nullptr || rank(*run.error) < rank(*result))) result = &*run.error;
    return result;
}

bool may_have_run(const databricks::ApiError& error) {
    return error.problem == ApiProblem::network ||
           (error.problem == ApiProblem::timeout && error.statement_id.empty());
}

Result<milliseconds> parse_timeout(std::string_view text) {
    const auto refuse = [&] {
        return fail(ErrorKind::usage,
                    "--timeout '" + std::string(text.substr(0, 40)) + "' cannot be understood",
                    "it is a number with s, m or h behind it, from 1s to 24h", "for example --timeout 10m");
    };
    long long number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (error != std::errc() || number < 1 || number > 86'400) return refuse();
    std::chrono::seconds value(number);
    if (unit == "m")
        value *= 60;
    else if (unit == "h")
        value *= 3600;
    else if (!unit.empty() && unit != "s")
        return refuse();
    if (value > std::chrono::hours(24)) return refuse();
    return milliseconds(value);
}

} // namespace dbx::tables
