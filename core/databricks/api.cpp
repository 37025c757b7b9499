#include "core/databricks/api.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/api_json.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::databricks {

using std::chrono::milliseconds;

namespace {

// "90 s", "60 min": what a server that is busy asks us to wait.
std::string in_words(milliseconds time) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(time).count();
    return seconds < 120 ? std::to_string(seconds) + " s" : std::to_string((seconds + 59) / 60) + " min";
}

} // namespace

ApiResult<http::Response> Workspace::call(const ApiCall& call) {
    http::Request request;
    request.method = call.method;
    request.url = root_ + call.path;
    request.headers = call.headers;
    request.headers.emplace_back("Accept", "application/json");
    const bool typed = std::any_of(call.headers.begin(), call.headers.end(),
                                   [](const auto& header) { return iequals(header.first, "Content-Type"); });
    if (!call.body.empty() && !typed) request.headers.emplace_back("Content-Type", "application/json");
    const auto headers = request.headers;
    request.body = call.body;
    request.timeout = call.timeout;
    request.even_if_interrupted = call.even_if_interrupted;

    const auto start = pacer_.now();
    const bool bounded = deadline_ && !call.own_deadline && !call.even_if_interrupted;
    const auto left = [&] { return std::chrono::duration_cast<milliseconds>(*deadline_ - pacer_.now()); };
    const auto total = bounded ? std::min(call.total, left()) : call.total;
    auto freshness = Freshness::cached;
    bool renewed = false;
    for (int done = 1;; ++done) {
        const auto token = tokens_.get(freshness);
        freshness = Freshness::cached;
        if (!token) {
            ApiError error;
            error.problem = token.error().kind == ErrorKind::interrupted  ? ApiProblem::interrupted
                            : token.error().kind == ErrorKind::timeout    ? ApiProblem::timeout
                            : token.error().kind == ErrorKind::credential ? ApiProblem::not_authenticated
                                                                          : ApiProblem::network;
            error.error = token.error();
            return tl::unexpected(std::move(error));
        }
        if (bounded) {
            if (left() <= milliseconds(0))
                return tl::unexpected(classify(http::Failure{http::NetworkProblem::timeout, false,
                                                             "the time that was given is over",
                                                             "give it more time with --timeout"},
                                               request.url, call.what));
            request.timeout = std::min(call.timeout, left());
        }
        request.authorization = Secret("Bearer " + token->value.reveal());
        request.headers = headers;
        if (!token->management.empty()) {
            request.headers.emplace_back("X-Databricks-Azure-SP-Management-Token",
                                         token->management.reveal());
            request.headers.emplace_back("X-Databricks-Azure-Workspace-Resource-Id",
                                         tokens_.credential().azure_resource_id);
        }
        auto answer = client_.send(request);
        if (answer && is_good(*answer)) return std::move(*answer);
        auto error = answer ? classify(*answer, call.what) : classify(answer.error(), request.url, call.what);
        // A token may have been revoked before its time: once, a new one.
        if (error.problem == ApiProblem::invalid_token && !renewed && !tokens_.credential().is_static()) {
            renewed = true;
            freshness = Freshness::forced;
            continue;
        }
        const bool repeat = answer ? http::worth_repeating(*answer, call.repeatable) ||
                                         (is_transient(error) && call.repeatable == http::Repeatable::yes)
                                   : http::worth_repeating(answer.error(), call.repeatable);
        if (!repeat) return tl::unexpected(std::move(error));
        const auto elapsed = std::chrono::duration_cast<milliseconds>(pacer_.now() - start);
        const auto asked = answer ? http::retry_after(*answer, pacer_.wall_now()) : std::nullopt;
        const http::RetryPolicy policy{.total = answer ? total : std::min(total, call.network_total)};
        const auto wait = http::next_wait(policy, done, elapsed, asked, pacer_.random());
        if (!wait) {
            if (done > 1) error.error.why += "; " + std::to_string(done) + " attempts";
            if (asked && *asked > std::chrono::minutes(1)) {
                error.error.why += "; it asks to wait " + in_words(*asked);
                error.error.fix = "try again in " + in_words(*asked);
            }
            return tl::unexpected(std::move(error));
        }
        if (!pacer_.wait(*wait))
            return tl::unexpected(
                classify(http::Failure{http::NetworkProblem::interrupted, false, "interrupted", ""},
                         request.url, call.what));
    }
}

ApiResult<json> call_json(Workspace& workspace, const ApiCall& call) {
    const auto response = workspace.call(call);
    if (!response) return tl::unexpected(response.error());
    auto body = json::parse(response->body, nullptr, false);
    if (!body.is_object())
        return tl::unexpected(not_understood(
            *response, call.what, response->body.empty() ? "with nothing" : "not with a JSON object"));
    return body;
}

std::string text_at(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end()) return {};
    if (found->is_string()) return found->get<std::string>();
    return found->is_number() ? found->dump() : std::string();
}

std::int64_t number_at(const json& object, const char* key, std::int64_t otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : otherwise;
}

bool flag_at(const json& object, const char* key, bool otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

const json& array_at(const json& object, const char* key) {
    static const json none = json::array();
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : none;
}

const json& object_at(const json& object, const char* key) {
    static const json none = json::object();
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : none;
}

ApiResult<void> for_each_page(Workspace& workspace, ApiCall call,
                              const std::function<void(const json&)>& each) {
    constexpr int page_limit = 1000;
    const std::string base = call.path;
    const char* separator = base.find('?') == std::string::npos ? "?" : "&";
    std::set<std::string> seen;
    for (int page = 0; page < page_limit; ++page) {
        const auto body = call_json(workspace, call);
        if (!body) return tl::unexpected(body.error());
        each(*body);
        const auto next = text_at(*body, "next_page_token");
        if (next.empty()) return {};
        if (!seen.insert(next).second) break;
        call.path = base + separator + "page_token=" + http::percent_encode(next);
    }
    http::Response last;
    last.status = 200;
    last.url = workspace.root() + base;
    return tl::unexpected(not_understood(last, call.what, "its pages have no end"));
}

ApiResult<Me> who_am_i(Workspace& workspace, std::chrono::milliseconds limit) {
    ApiCall call;
    call.timeout = limit;
    call.total = limit / 2;
    call.what = "cannot ask the workspace for whom the credential speaks";
    call.path = "/api/2.0/preview/scim/v2/Me";
    const auto response = workspace.call(call);
    if (!response) return tl::unexpected(response.error());
    const auto body = json::parse(response->body, nullptr, false);
    if (!body.is_object() || !body.contains("userName"))
        return tl::unexpected(not_understood(*response, call.what, "not with a user"));
    Me me;
    me.user_name = text_at(body, "userName");
    me.display_name = text_at(body, "displayName");
    me.id = text_at(body, "id");
    me.active = flag_at(body, "active", true);
    for (const auto& group : array_at(body, "groups")) {
        if (group.is_object()) me.groups.push_back(text_at(group, "display"));
    }
    if (const auto* id = response->header("X-Databricks-Org-Id")) me.workspace_id = *id;
    return me;
}

} // namespace dbx::databricks
