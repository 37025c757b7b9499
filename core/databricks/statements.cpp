#include "core/databricks/statements.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/api_json.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>

namespace dbx::databricks {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view api = "/api/2.0/sql/statements";
constexpr std::array<std::string_view, 7> state_names = {"PENDING",  "RUNNING", "SUCCEEDED", "FAILED",
                                                         "CANCELED", "CLOSED",  "UNKNOWN"};

// How long the submit may hold its answer. Short enough that a user who interrupts then leaves little behind.
constexpr seconds submit_wait{10};
constexpr std::size_t rows_limit = 1'000'000;

StatementState read_state(const json& body) {
    const auto text = text_at(object_at(body, "status"), "state");
    for (std::size_t i = 0; i < state_names.size(); ++i) {
        if (text == state_names[i]) return static_cast<StatementState>(i);
    }
    return StatementState::unknown;
}

bool is_terminal(StatementState state) {
    return state != StatementState::pending && state != StatementState::running &&
           state != StatementState::unknown;
}

// "[TABLE_OR_VIEW_NOT_FOUND] The table ..." -> the class.
std::string class_of(std::string_view message) {
    const auto open = message.find('[');
    const auto close = message.find(']', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    const auto text = message.substr(open + 1, close - open - 1);
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    return text.empty() || text.find_first_not_of(allowed) != std::string_view::npos ? std::string()
                                                                                     : std::string(text);
}

class Execution {
  public:
    Execution(Workspace& workspace, const StatementRequest& request,
              const std::function<void(const StatementProgress&)>& progress)
        : workspace_(workspace)
        , request_(request)
        , progress_(progress)
        , start_(workspace.pacer().now()) {}

    ApiResult<StatementResult> run() {
        tell(StatementState::pending);
        auto body = submit();
        milliseconds pause(500);
        while (body && !is_terminal(read_state(*body))) {
            tell(read_state(*body));
            if (left() <= milliseconds(0)) return give_up(ErrorKind::timeout);
            // Half to full, like the retries: many clients shall not ask in step.
            const auto jitter = 0.5 + workspace_.pacer().random() / 2;
            const milliseconds wait(
                static_cast<milliseconds::rep>(static_cast<double>(pause.count()) * jitter));
            if (!workspace_.pacer().wait(std::min(wait, left()))) return give_up(ErrorKind::interrupted);
            pause = std::min(pause * 3 / 2, milliseconds(5'000));
            body = look();
        }
        if (!body) {
            auto error = std::move(body.error());
            error.statement_id = id_;
            if (id_.empty()) {
                const bool lost = error.problem == ApiProblem::network ||
                                  error.problem == ApiProblem::timeout ||
                                  error.problem == ApiProblem::interrupted;
                if (lost)
                    error.error.why +=
                        (error.error.why.empty() ? "" : "; ") + std::string("the statement may have run");
                return tl::unexpected(std::move(error));
            }
            if (error.problem == ApiProblem::interrupted) return give_up(ErrorKind::interrupted);
            if (left() <= milliseconds(0)) return give_up(ErrorKind::timeout);
            return tl::unexpected(std::move(error));
        }
        tell(read_state(*body));
        return finish(*body);
    }

  private:
    milliseconds elapsed() const {
        return std::chrono::duration_cast<milliseconds>(workspace_.pacer().now() - start_);
    }
    milliseconds left() const { return request_.timeout - elapsed(); }
    void tell(StatementState state) const {
        if (progress_) progress_({state, id_, elapsed()});
    }
    std::string path(std::string_view rest = "") const {
        return std::string(api) + "/" + http::percent_encode(id_) + std::string(rest);
    }

    ApiResult<json> submit() {
        json body = {{"warehouse_id", request_.warehouse_id},
                     {"statement", request_.sql},
                     {"on_wait_timeout", "CONTINUE"},
                     {"format", "JSON_ARRAY"},
                     {"disposition", "INLINE"}};
        // The API takes 0 s or 5 to 50 s.
        const auto wait = std::min<milliseconds>(submit_wait, left());
        body["wait_timeout"] = wait < seconds(5) ? "0s" : std::to_string(wait.count() / 1000) + "s";
        if (!request_.catalog.empty()) body["catalog"] = request_.catalog;
        if (!request_.schema.empty()) body["schema"] = request_.schema;
        if (request_.row_limit > 0) body["row_limit"] = request_.row_limit;
        for (const auto& parameter : request_.parameters)
            body["parameters"].push_back(
                {{"name", parameter.name}, {"value", parameter.value}, {"type", parameter.type}});
        ApiCall call;
        call.what = "cannot run a SQL statement";
        call.method = "POST";
        call.path = std::string(api);
        call.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
        call.repeatable = request_.repeatable;
        call.timeout = std::clamp<milliseconds>(left() + seconds(5), seconds(5), submit_wait + seconds(30));
        call.total = std::clamp(left(), milliseconds(0), milliseconds(300'000));
        call.own_deadline = true;
        auto answer = call_json(workspace_, call);
        if (!answer) return answer;
        id_ = text_at(*answer, "statement_id");
        if (id_.empty() && !is_terminal(read_state(*answer)))
            return tl::unexpected(strange(call.what, "without a statement id"));
        return answer;
    }

    ApiResult<json> look(bool after_interrupt = false) {
        ApiCall call;
        call.what = "cannot ask for the state of a SQL statement";
        call.path = path();
        call.timeout =
            after_interrupt ? seconds(5) : std::clamp<milliseconds>(left(), seconds(1), seconds(60));
        call.total =
            after_interrupt ? seconds(0) : std::clamp(left(), milliseconds(0), milliseconds(300'000));
        call.network_total = call.total; // it runs on without us: a longer outage is worth waiting out
        call.own_deadline = true;
        call.even_if_interrupted = after_interrupt;
        return call_json(workspace_, call);
    }

    // Cancels, and looks what became of it: a cancel may silently fail, and the statement may have been
    // faster.
    ApiResult<StatementResult> give_up(ErrorKind why) {
        ApiCall call;
        call.what = "cannot cancel a SQL statement";
        call.method = "POST";
        call.path = path("/cancel");
        call.body = "{}";
        call.timeout = seconds(5);
        call.total = seconds(0);
        call.even_if_interrupted = true;
        const auto cancelled = workspace_.call(call);
        std::string end = cancelled ? "it was asked to stop, and may still be running"
                                    : "it may still be running: it could not be cancelled";
        for (int i = 0; i < 3; ++i) {
            const auto body = look(true);
            if (!body) break;
            const auto state = read_state(*body);
            if (state == StatementState::succeeded || state == StatementState::closed ||
                state == StatementState::failed)
                return finish(*body);
            if (state == StatementState::canceled) {
                tell(state);
                end = "it was cancelled";
                break;
            }
            // After an interrupt wait() returns at once; three looks are enough then as well.
            (void)workspace_.pacer().wait(milliseconds(300));
        }
        ApiError error;
        error.problem = why == ErrorKind::timeout ? ApiProblem::timeout : ApiProblem::interrupted;
        error.statement_id = id_;
        error.error =
            why == ErrorKind::timeout
                ? Error{why,
                        "the SQL statement did not end within " +
                            std::to_string(std::chrono::ceil<seconds>(request_.timeout).count()) + " s",
                        "statement " + id_ + ": " + end,
                        "give it more time with --timeout; a stopped warehouse takes minutes to start",
                        {}}
                : Error{
                      why, "interrupted while a SQL statement ran", "statement " + id_ + ": " + end, "", {}};
        return tl::unexpected(std::move(error));
    }

    ApiError strange(const std::string& what, const std::string& why) const {
        http::Response response;
        response.status = 200;
        response.url = workspace_.root();
        auto error = not_understood(response, what, why);
        error.statement_id = id_;
        return error;
    }

    ApiResult<StatementResult> finish(const json& body) {
        const auto state = read_state(body);
        if (state == StatementState::failed || state == StatementState::canceled)
            return tl::unexpected(failed(body, state));
        StatementResult result;
        result.statement_id = id_;
        result.state = state;
        result.elapsed = elapsed();
        const auto& manifest = object_at(body, "manifest");
        result.truncated = flag_at(manifest, "truncated");
        for (const auto& column : array_at(object_at(manifest, "schema"), "columns")) {
            if (column.is_object())
                result.columns.push_back({text_at(column, "name"), text_at(column, "type_text")});
        }
        std::int64_t at = 0;
        json later;
        const json* chunk = &object_at(body, "result"); // not a copy: those of deeply nested JSON recurse
        while (true) {
            add_rows(*chunk, result);
            const auto next = number_at(*chunk, "next_chunk_index", -1);
            if (next < 0 || result.truncated) return result;
            // Chunks are numbered upwards: anything else would go round in circles.
            if (next <= at)
                return tl::unexpected(
                    strange("cannot read the result of a SQL statement", "its chunks have no end"));
            at = next;
            ApiCall call;
            call.what = "cannot read the result of a SQL statement";
            call.path = path("/result/chunks/" + std::to_string(next));
            auto more = call_json(workspace_, call);
            if (!more) {
                more.error().statement_id = id_;
                return tl::unexpected(more.error());
            }
            later = std::move(*more);
            chunk = &later;
        }
    }

    static void add_rows(const json& chunk, StatementResult& result) {
        for (const auto& row : array_at(chunk, "data_array")) {
            if (result.rows.size() >= rows_limit) {
                result.truncated = true;
                return;
            }
            auto& cells = result.rows.emplace_back();
            if (!row.is_array()) continue;
            for (const auto& cell : row) {
                if (cell.is_string())
                    cells.emplace_back(cell.get<std::string>());
                else if (cell.is_null())
                    cells.emplace_back(std::nullopt);
                else
                    cells.emplace_back(cell.is_primitive() ? cell.dump() : "(not text)");
            }
        }
    }

    ApiError failed(const json& body, StatementState state) const {
        const auto& status = object_at(body, "status");
        const auto& details = object_at(status, "error");
        ApiError error;
        error.problem = ApiProblem::statement_failed;
        error.status = 200;
        error.code = text_at(details, "error_code");
        error.message = text_at(details, "message");
        error.sql_state = text_at(status, "sql_state");
        if (error.sql_state.empty()) {
            if (const auto at = error.message.find("SQLSTATE: "); at != std::string::npos)
                error.sql_state = error.message.substr(at + 10, 5);
        }
        error.error_class = class_of(error.message);
        error.statement_id = id_;
        auto& shown = error.error;
        shown.kind = ErrorKind::workspace;
        shown.what = state == StatementState::canceled ? "the SQL statement was cancelled in the workspace"
                                                       : "the SQL statement failed";
        shown.why = error.message.empty() ? error.code : error.message;
        if (shown.why.empty()) shown.why = "the workspace gives no reason";
        for (char& c : shown.why) {
            if (static_cast<unsigned char>(c) < 0x20) c = ' ';
        }
        if (!id_.empty()) shown.fix = "look at statement " + id_ + " in the workspace's query history";
        return error;
    }

    Workspace& workspace_;
    const StatementRequest& request_;
    const std::function<void(const StatementProgress&)>& progress_;
    std::chrono::steady_clock::time_point start_;
    std::string id_;
};

} // namespace

std::string_view name_of(StatementState state) {
    return state_names[static_cast<std::size_t>(state)];
}

ApiResult<StatementResult> execute(Workspace& workspace, const StatementRequest& request,
                                   const std::function<void(const StatementProgress&)>& progress) {
    return Execution(workspace, request, progress).run();
}

} // namespace dbx::databricks
