#include "core/agents/agent.hpp"
#include "core/agents/catalogue.hpp"
#include "core/agents/read_agent.hpp"
#include "core/agents/render.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::agents;

namespace {

std::map<std::string, std::string> folder() {
    return {
        {"agent.toml", "format = 1\ndisplay_name = \"Five\"\nauth = [\"pat\"]\ntoken_variable = \"T\"\n"
                       "[home]\npath = \"~/.five\"\n[models]\nmain = \"m\"\n"
                       "[[file]]\nname = \"config\"\npath = \"c.json\"\nformat = \"json\"\n"
                       "[[part]]\nfile = \"config\"\ndocument = \"c.json\"\n"},
        {"c.json", "{\"url\": \"{{gateway}}/x\", \"key\": \"{{token}}\", \"args\": \"{{helper.args}}\"}"}};
}

std::string why(std::map<std::string, std::string> documents) {
    const auto agent = read_agent("five", "~/t/five", std::move(documents));
    REQUIRE_FALSE(agent);
    CHECK(agent.error().kind == ErrorKind::usage);
    return agent.error().what + " | " + agent.error().why;
}

} // namespace

TEST_CASE("every built-in template is one that would be accepted from a user") {
    system::RealFileSystem real;
    system::DryFileSystem files(real);
    const auto catalogue = load_catalogue(
        dbx::tests::FakeEnvironment(std::map<std::string, std::string>{{"HOME", "/nowhere"}}), files);
    REQUIRE(catalogue);
    CHECK(catalogue->broken.empty());
    CHECK(catalogue->names() ==
          std::vector<std::string>{"cursor", "codex", "gemini", "claude", "opencode", "copilot"});
}

TEST_CASE("which agents can use a model is said by their templates") {
    Catalogue catalogue;
    for (const auto* types : {"[\"a/v1\", \"b/v1\"]", "\"b/v1\"", "[]"}) {
        auto documents = folder();
        documents["agent.toml"].insert(documents["agent.toml"].find("auth"),
                                       std::string("api_types = ") + types + "\n");
        auto agent = read_agent("of " + std::string(types), "~/t", std::move(documents));
        REQUIRE(agent);
        catalogue.agents.push_back(std::move(*agent));
    }
    CHECK(catalogue.names_for({"a/v1"}).size() == 1);
    CHECK(catalogue.names_for({"x/v1", "b/v1"}).size() == 2);
    CHECK(catalogue.names_for({}).empty());
}

TEST_CASE("placeholders are filled with values of their own type, and secrets are known") {
    const auto agent = read_agent("five", "~/t/five", folder());
    REQUIRE(agent);
    Variables variables;
    variables.values = {{"gateway", "https://g/{{token}}"},
                        {"token", "secret"},
                        {"helper.args", edit::Value::array({"a", "b"})}};
    variables.secrets = {"token"};
    const auto leaves = render(*agent, agent->parts.front().document, edit::Format::json, variables);
    REQUIRE(leaves);
    CHECK((*leaves)[0].value == "https://g/{{token}}/x"); // what a variable brings in is not searched again
    CHECK_FALSE((*leaves)[0].secret);
    CHECK((*leaves)[1].secret);
    CHECK((*leaves)[2].value.is_array());
}

TEST_CASE("mistakes in a template name its file and line") {
    auto documents = folder();
    documents["agent.toml"] += "colour = 1\n";
    CHECK(why(documents).find("colour") != std::string::npos);

    documents = folder();
    documents["agent.toml"] = "format = 1\ndisplay_nam = \"x\"\n" + documents["agent.toml"].substr(11);
    CHECK(why(documents).find("agent.toml:2 | there is no key 'display_nam'; did you mean 'display_name'?") !=
          std::string::npos);

    documents = folder();
    documents["agent.toml"].replace(0, 10, "format = 2");
    CHECK(why(documents).find("format = 1") != std::string::npos);

    documents = folder();
    documents.erase("c.json");
    CHECK(why(documents).find("there is no document c.json") != std::string::npos);

    documents = folder();
    documents["c.json"] = "{\n\"a\": \"{{gatewya}}\"}";
    CHECK(why(documents).find("c.json:2 | there is no placeholder {{gatewya}}") != std::string::npos);

    documents = folder();
    documents["c.json"] = "{ // no\n}";
    CHECK(why(documents).find("line 1") != std::string::npos);

    CHECK(why({}).find("no agent.toml") != std::string::npos);
}

TEST_CASE("a condition needs every one of its facts") {
    CHECK(holds({}, {}));
    CHECK(holds({{"auth", {"pat", "env"}}}, {{"auth", "env"}}));
    CHECK_FALSE(
        holds({{"auth", {"pat"}}, {"gateway", {"loopback"}}}, {{"auth", "pat"}, {"gateway", "remote"}}));
    CHECK_FALSE(holds({{"auth", {"pat"}}}, {}));
}
