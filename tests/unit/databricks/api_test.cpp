#include "core/databricks/api.hpp"
#include "core/databricks/api_error.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;
using namespace std::chrono_literals;

namespace {

ApiError of(int status, std::string body, http::Headers headers = {},
            std::string url = "https://w.com/api/2.0/x") {
    auto response = answer(status, std::move(body), std::move(headers));
    response.url = std::move(url);
    REQUIRE_FALSE(is_good(response));
    auto error = classify(response, "cannot do it");
    CHECK(error.error.what == "cannot do it");
    CHECK_FALSE(error.error.why.empty());
    CHECK_FALSE(error.error.fix.empty());
    CHECK(error.status == status);
    return error;
}

const http::Headers html = {{"Content-Type", "text/html;charset=utf-8"}};

} // namespace

TEST_CASE("a bad token is recognised in every form the workspace has for it") {
    for (const auto& error :
         {of(400, "Invalid Token"),
          of(400, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid Token"})"),
          of(401, R"({"error_code":"UNAUTHENTICATED","message":"x"})"), of(401, ""),
          of(403, R"({"error_code":403,"message":"Invalid access token."})"),
          of(403, R"({"error_code":"403","message":"Unauthorized access: Token is expired"})"),
          of(401, R"({"type":"error","error":{"type":"authentication_error","message":"no"}})")}) {
        CHECK(error.problem == ApiProblem::invalid_token);
        CHECK(error.error.kind == ErrorKind::credential);
        CHECK(has(error.error.fix, "auth status"));
    }
    const auto none = of(
        401,
        R"({"error_code":401,"message":"Credential was not sent or was of an unsupported type for this API."})");
    CHECK(none.problem == ApiProblem::not_authenticated);
    CHECK(none.code == "UNAUTHENTICATED");
}

TEST_CASE("403 has four meanings") {
    CHECK(
        of(403,
           R"({"error_code":"PERMISSION_DENIED","message":"User does not have USE SCHEMA on Schema 'a.b'."})")
            .problem == ApiProblem::no_permission);
    CHECK(
        of(403,
           R"({"error_code":"PERMISSION_DENIED","message":"Provided OAuth token does not have required scopes: all-apis"})")
            .problem == ApiProblem::missing_scope);
    CHECK(
        of(403,
           R"({"error_code":"PERMISSION_DENIED","message":"Source IP address: 1.2.3.4 is blocked by Databricks IP ACL for workspace: 1"})")
            .problem == ApiProblem::ip_blocked);
    CHECK(of(403, R"({"message":"IP access list does not allow"})").problem == ApiProblem::ip_blocked);
    const auto old = of(403, R"({"message":"missing scope all-apis"})", {},
                        "https://1.ai-gateway.cloud.databricks.com/anthropic/v1/messages");
    CHECK(has(old.error.why, "deprecated"));
    CHECK(has(old.error.fix, "--workspace"));
    CHECK(old.error.kind == ErrorKind::workspace);
}

TEST_CASE("a missing thing is told apart from a missing route") {
    const auto thing =
        of(404, R"({"error_code":"TABLE_DOES_NOT_EXIST","message":"Table 'a.b.c' does not exist."})");
    CHECK(thing.problem == ApiProblem::not_found);
    CHECK(thing.code == "TABLE_DOES_NOT_EXIST");
    CHECK(of(404, R"({"error_code":"ENDPOINT_NOT_FOUND","message":"No API found for 'GET /x'"})").problem ==
          ApiProblem::route_missing);
    const auto route = of(404, "Not Found", {}, "https://w.com/ai-gateway/codex/v1/responses");
    CHECK(route.problem == ApiProblem::route_missing);
    CHECK(has(route.error.why, "does not offer this gateway route"));
    CHECK(of(404, "<html><pre>nothing here</pre></html>", html).problem == ApiProblem::route_missing);
    CHECK(of(501, "").problem == ApiProblem::route_missing);
}

TEST_CASE("every body form gives its code and message") {
    const auto databricks = of(
        400,
        R"({"error_code":"INVALID_STATE","message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"R"}]})");
    CHECK(databricks.code == "INVALID_STATE");
    CHECK(databricks.message == "m");
    CHECK(of(400, R"({"error":"old words"})").message == "old words");
    const auto scim =
        of(403, R"({"schemas":["x"],"detail":"not you","status":"403","scimType":"invalidValue"})");
    CHECK(scim.message == "not you");
    CHECK(scim.code == "PERMISSION_DENIED");
    const auto plain = of(400, "MALFORMED_REQUEST: vpc_endpoints malformed");
    CHECK(plain.code == "MALFORMED_REQUEST");
    CHECK(plain.message == "vpc_endpoints malformed");
    CHECK(of(500, "<html><head></head><body><pre> Worker died </pre></body></html>", html).message ==
          "Worker died");
    const auto openai = of(400, R"({"error":{"message":"bad","type":"invalid_request_error","code":null}})");
    CHECK(openai.message == "bad");
    CHECK(openai.problem == ApiProblem::bad_request);
    CHECK(of(429, R"({"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}})").code ==
          "RESOURCE_EXHAUSTED");
    const auto oauth = of(400, R"({"error":"invalid_request","error_description":"d"})");
    CHECK(oauth.message == "d");
    CHECK(of(400, "[1,2]").problem == ApiProblem::bad_request);
    CHECK(of(400, R"({"error_code":{"x":1},"message":["y"],"details":[7,null,{"reason":3}]})").problem ==
          ApiProblem::bad_request);
    CHECK(of(400, R"("just a string")").message == "just a string");
    CHECK(of(400, std::string("\xff\xfe bytes")).message == "(not readable)");
    CHECK(of(400, std::string(5000, 'x')).message.size() == 503);
    CHECK_FALSE(has(of(400, "{\"message\":\"two\\nlines\\u001b[31m\"}").error.why, "\n"));
}

TEST_CASE("load, conflicts and failures of the server") {
    const auto limited =
        of(429, R"({"error_code":"REQUEST_LIMIT_EXCEEDED","message":"REQUEST_LIMIT_EXCEEDED: too many"})");
    CHECK(limited.problem == ApiProblem::rate_limited);
    CHECK(limited.code == "REQUEST_LIMIT_EXCEEDED");
    CHECK(of(409, R"({"error_code":"RESOURCE_ALREADY_EXISTS","message":"x"})").problem ==
          ApiProblem::conflict);
    for (const int status : {408, 499, 502, 503, 504})
        CHECK(of(status, "").problem == ApiProblem::unavailable);
    const auto broken =
        of(500, R"({"error_code":"INTERNAL_ERROR","message":"x"})", {{"x-request-id", "abc"}});
    CHECK(broken.problem == ApiProblem::server_error);
    CHECK(broken.request_id == "abc");
    CHECK(has(broken.error.why, "abc"));
    CHECK(is_transient(of(500, R"({"message":"worker env WorkerEnvId(x) not found"})")));
    CHECK(is_transient(of(400, R"({"message":"ClusterNotReadyException: wait"})")));
    CHECK_FALSE(is_transient(of(400, R"({"message":"no"})")));
}

TEST_CASE("web pages and redirects instead of data") {
    CHECK(of(200, "<!DOCTYPE html><html>Sign in</html>").problem == ApiProblem::login_page);
    CHECK(of(200, "x", html).problem == ApiProblem::login_page);
    const auto link = of(302, "", {{"location", "/login.html?error=private-link-validation-error"}});
    CHECK(link.problem == ApiProblem::private_link);
    CHECK(of(303, "", {{"Location", "https://w.com/login.html"}}).problem == ApiProblem::login_page);
    const auto away = of(301, "", {{"Location", "https://u:p@other.com/x?secret=1"}});
    CHECK(away.problem == ApiProblem::redirected);
    CHECK(has(away.error.why, "https://other.com/x;"));
    CHECK_FALSE(has(away.error.why, "secret"));
    CHECK(of(302, "").problem == ApiProblem::redirected);
    CHECK_FALSE(is_good(answer(304, "")));
    CHECK(is_good(answer(200, "{}")));
    CHECK(is_good(answer(204, "")));
}

TEST_CASE("a call carries the token, repeats what may be repeated and gives up in time") {
    ApiBench bench;
    bench.http.script = {answer(429, "{}", {{"Retry-After", "2"}}),
                         tl::unexpected(failure(http::NetworkProblem::dropped, true)),
                         answer(400, R"({"message":"ClusterNotReadyException"})"),
                         answer(200, R"({"ok":1})")};
    const auto result = bench.workspace.call({.what = "cannot x", .path = "/api/x"});
    REQUIRE(result);
    CHECK(bench.http.requests.size() == 4);
    CHECK(bench.http.requests[0].url == "https://w.com/api/x");
    CHECK(bench.http.requests[0].authorization.reveal() == "Bearer dapi1");
    CHECK(bench.pacer.waits[0] >= 2s);

    ApiBench never;
    never.http.rule = [](const http::Request&) { return answer(503, "{}"); };
    const auto failed = never.workspace.call({.what = "cannot x", .path = "/x", .total = 20s});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().problem == ApiProblem::unavailable);
    CHECK(never.pacer.passed <= 20s);
    CHECK(has(failed.error().error.why, "attempts"));

    ApiBench once;
    once.http.rule = [](const http::Request&) {
        return tl::unexpected(failure(http::NetworkProblem::dropped, true));
    };
    CHECK_FALSE(
        once.workspace.call({.what = "cannot x", .path = "/x", .repeatable = http::Repeatable::only_unsent}));
    CHECK(once.http.requests.size() == 1);

    ApiBench interrupted;
    interrupted.http.rule = [](const http::Request&) { return answer(503, "{}"); };
    interrupted.pacer.interrupt_at_wait = 0;
    CHECK(interrupted.workspace.call({.what = "cannot x", .path = "/x"}).error().error.kind ==
          ErrorKind::interrupted);
}

TEST_CASE("a refused token is renewed once, a personal one is not") {
    Credential m2m;
    m2m.kind = CredentialKind::oauth_m2m;
    m2m.host = "https://w.com";
    m2m.client_id = "i";
    m2m.client_secret = Secret("s");
    ApiBench bench(m2m);
    int tokens = 0;
    bench.http.rule = [&](const http::Request& request) -> Answer {
        if (has(request.url, "/oidc/"))
            return answer(200,
                          R"({"access_token":"t)" + std::to_string(++tokens) + R"(","expires_in":3600})");
        if (request.authorization.reveal() == "Bearer t2") return answer(200, "{}");
        return answer(400, "Invalid Token");
    };
    CHECK(bench.workspace.call({.what = "cannot x", .path = "/x"}));
    CHECK(tokens == 2);

    ApiBench stays(m2m);
    stays.http.rule = [&](const http::Request& request) -> Answer {
        if (has(request.url, "/oidc/")) return answer(200, R"({"access_token":"same","expires_in":3600})");
        return answer(401, "{}");
    };
    CHECK(stays.workspace.call({.what = "cannot x", .path = "/x"}).error().problem ==
          ApiProblem::invalid_token);
    CHECK(stays.http.requests.size() == 4);

    ApiBench personal;
    personal.http.rule = [](const http::Request&) { return answer(401, "{}"); };
    CHECK_FALSE(personal.workspace.call({.what = "cannot x", .path = "/x"}));
    CHECK(personal.http.requests.size() == 1);
}

TEST_CASE("who am I") {
    ApiBench bench;
    bench.http.script = {answer(
        200,
        R"({"userName":"ada@example.com","displayName":"Ada","id":"42","active":true,"groups":[{"display":"admins"},7]})",
        {{"X-Databricks-Org-Id", "99"}})};
    const auto me = who_am_i(bench.workspace);
    REQUIRE(me);
    CHECK(me->user_name == "ada@example.com");
    CHECK(me->groups == std::vector<std::string>{"admins"});
    CHECK(me->workspace_id == "99");
    bench.http.script = {answer(200, "[]")};
    CHECK(who_am_i(bench.workspace).error().problem == ApiProblem::not_databricks);
}

TEST_CASE("no call goes on after the deadline, and each attempt has only what is left") {
    ApiBench bench;
    ApiCall call;
    call.what = "cannot x";
    call.path = "/api/2.0/x";
    bench.workspace.set_deadline(bench.pacer.now() + 2s);
    bench.http.script = {answer(503, ""), answer(503, ""), answer(503, ""), answer(503, "")};
    const auto busy = bench.workspace.call(call);
    REQUIRE_FALSE(busy);
    CHECK(busy.error().problem == ApiProblem::unavailable);
    CHECK(bench.pacer.passed <= 2s);
    CHECK(bench.http.requests.at(0).timeout == 2s);

    bench.pacer.passed = 2s;
    const auto sent = bench.http.requests.size();
    const auto late = bench.workspace.call(call);
    REQUIRE_FALSE(late);
    CHECK(late.error().error.kind == ErrorKind::timeout);
    CHECK(has(late.error().error.fix, "--timeout"));
    CHECK(bench.http.requests.size() == sent);

    // Who minds the time itself is not bounded: a cancel must get through.
    bench.http.script = {answer(200, "{}")};
    call.own_deadline = true;
    CHECK(bench.workspace.call(call));
}

TEST_CASE("an address where nobody listens is told soon; a Retry-After that is too long is told") {
    ApiBench bench;
    ApiCall call;
    call.what = "cannot x";
    call.path = "/api/2.0/x";
    bench.http.script.assign(30, tl::unexpected(failure(http::NetworkProblem::connect)));
    CHECK_FALSE(bench.workspace.call(call));
    CHECK(bench.pacer.passed <= 30s);

    bench.http.script = {answer(429, "", {{"Retry-After", "3600"}})};
    const auto error = bench.workspace.call(call).error().error;
    CHECK(has(error.why, "asks to wait 60 min"));
    CHECK(error.fix == "try again in 60 min");
}
