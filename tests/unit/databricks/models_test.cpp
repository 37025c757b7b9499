#include "core/databricks/models.hpp"
#include "tests/unit/databricks/api_bench.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::databricks;
using namespace dbx::test;

namespace {

const std::string services = R"({"model_services":[
  {"name":"model-services/system.ai.gpt-5-2","supported_api_types":["openai/v1/responses","cursor/v1/chat/completions"]},
  {"name":"model-services/system.ai.claude-opus-4-8","supported_api_types":["mlflow/v1/chat/completions","anthropic/v1/messages"]}]})";

const std::string foundation =
    R"({"endpoints":[{"name":"databricks-gemini-2-5-flash","config":{"served_entities":[
  {"foundation_model":{"ai_gateway_v2_supported":true,"api_types":["gemini/v1/generateContent"]}}]}},
  {"name":"old","served_entities":[{"foundation_model":{"ai_gateway_v2_supported":false}}]}]})";

} // namespace

TEST_CASE("model services give names without their prefix, sorted, with the agents they serve") {
    ApiBench bench;
    bench.http.script = {answer(200, services)};
    const auto list = list_models(&bench.workspace, &bench.gateway);
    REQUIRE(list);
    CHECK(bench.http.requests[0].url ==
          "https://w.com/api/2.1/unity-catalog/model-services?parent=schemas/system.ai&page_size=100");
    REQUIRE(list->models.size() == 2);
    CHECK(list->models[0].name == "system.ai.claude-opus-4-8");
    CHECK(list->models[0].serves({"anthropic/v1/messages"}));
    CHECK_FALSE(list->models[0].serves({"openai/v1/responses"}));
    CHECK(list->notes.empty());
}

TEST_CASE("services of users are looked at one by one, and pages are followed") {
    ApiBench bench;
    bench.http.script = {
        answer(200, R"({"model_services":[{"name":"model-services/a.b.mine"}],"next_page_token":"p2"})"),
        answer(200, R"({"model_services":[{"name":"model-services/a.b.other"}]})"),
        answer(200, R"({"name":"model-services/a.b.mine","supported_api_types":["anthropic/v1/messages"]})"),
        answer(403, R"({"error_code":"PERMISSION_DENIED","message":"no"})")};
    const auto list = list_models(&bench.workspace, nullptr, "a.b");
    REQUIRE(list);
    CHECK(list->models[0].api_types == std::vector<std::string>{"anthropic/v1/messages"});
    CHECK(list->models[1].api_types.empty());
    CHECK(list->models[1].serves({"openai/v1/responses"})); // its types are not told
    CHECK(list->models[0].serves({}));                      // nor the agent's
    CHECK(bench.http.requests[2].url == "https://w.com/api/2.1/unity-catalog/model-services/a.b.mine");
}

TEST_CASE("a workspace that wants its id in a header gets it") {
    ApiBench bench;
    bench.http.rule = [](const http::Request& request) -> Answer {
        if (has(request.url, "/scim/"))
            return answer(200, R"({"userName":"a"})", {{"X-Databricks-Org-Id", "77"}});
        for (const auto& [name, value] : request.headers) {
            if (name == "X-Databricks-Org-Id" && value == "77") return answer(200, services);
        }
        return answer(400, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid MetastoreId"})");
    };
    CHECK(list_models(&bench.workspace, nullptr)->models.size() == 2);
}

TEST_CASE("older workspaces: foundation models, then the gateway's Anthropic list") {
    ApiBench bench;
    bench.http.script = {answer(404, R"({"error_code":"ENDPOINT_NOT_FOUND","message":"No API found"})"),
                         answer(200, foundation)};
    const auto list = list_models(&bench.workspace, &bench.gateway);
    REQUIRE(list);
    REQUIRE(list->models.size() == 1);
    CHECK(list->models[0].name == "databricks-gemini-2-5-flash");
    CHECK(list->models[0].serves({"gemini/v1/generateContent"}));
    CHECK(list->source == "model serving");
    CHECK(list->notes.size() == 1);

    ApiBench oldest;
    oldest.http.script = {
        answer(404, ""), answer(404, ""),
        answer(200,
               R"({"data":[{"id":"databricks-claude-x"}],"has_more":true,"last_id":"databricks-claude-x"})"),
        answer(200, R"({"data":[{"id":"databricks-claude-y"}],"has_more":false})")};
    const auto claude = list_models(&oldest.workspace, &oldest.gateway);
    REQUIRE(claude);
    CHECK(claude->models.size() == 2);
    CHECK(oldest.http.requests[3].url ==
          "https://w.com/ai-gateway/anthropic/v1/models?limit=100&after_id=databricks-claude-x");

    ApiBench only_gateway;
    only_gateway.http.script = {answer(200, R"({"data":[{"id":"m"}]})")};
    CHECK(list_models(nullptr, &only_gateway.gateway)->models.size() == 1);
}

TEST_CASE("an unusable token ends the search, other refusals do not, and the first error is told") {
    ApiBench bench;
    bench.http.script = {answer(400, "Invalid Token"), answer(200, foundation)};
    CHECK(list_models(&bench.workspace, &bench.gateway).error().problem == ApiProblem::invalid_token);
    CHECK(bench.http.requests.size() == 1);
    ApiBench none;
    none.http.script = {answer(403, R"({"error_code":"PERMISSION_DENIED","message":"no EXECUTE"})"),
                        answer(404, ""), answer(404, "")};
    CHECK(list_models(&none.workspace, &none.gateway).error().problem == ApiProblem::no_permission);
    ApiBench empty;
    empty.http.script = {answer(200, "{}"), answer(200, "{}"), answer(200, "{}")};
    const auto list = list_models(&empty.workspace, &empty.gateway);
    REQUIRE(list);
    CHECK(list->models.empty());
    CHECK(list->notes.size() == 3);
}

TEST_CASE("both spellings of a model") {
    CHECK(other_spelling("databricks-gpt-5-2") == "system.ai.gpt-5-2");
    CHECK(other_spelling("system.ai.gpt-5-2") == "databricks-gpt-5-2");
    CHECK(other_spelling("main.models.mine").empty());
}
