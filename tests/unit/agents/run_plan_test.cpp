#include "core/agents/catalogue.hpp"
#include "core/agents/run_plan.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::agents;

namespace {

const std::string key = "dbxl_" + std::string(64, '7');

struct Scene {
    tests::FakeEnvironment environment{{{"HOME", "/nowhere/home"}, {"NO_PROXY", "intern.example"}}};
    system::RealFileSystem real;
    system::DryFileSystem files{real};

    Result<RunPlan> plan(std::string_view name, std::string model = {}) {
        const auto catalogue = load_catalogue(environment, files);
        REQUIRE(catalogue);
        const auto* agent = catalogue->find(name);
        REQUIRE(agent != nullptr);
        const auto journal = state::Journal::load(environment, files);
        REQUIRE(journal);
        RunRequest request;
        request.setup.gateway = "https://example.com/ai-gateway";
        request.setup.proxy = "http://127.0.0.1:4711";
        request.setup.local_key = Secret(key);
        if (!model.empty()) request.setup.models["main"] = model;
        request.folder = "/nowhere/state/run/1";
        return plan_run(*agent, request, *journal, environment, files, {});
    }
};

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) text += word + "\n";
    return text;
}

} // namespace

TEST_CASE("a run's arguments hold its values as the agent's own syntax wants them, and never the key") {
    Scene scene;
    const auto codex = scene.plan("codex", "odd\"model\\");
    REQUIRE(codex);
    const auto words = joined(codex->arguments);
    CHECK(words.find("model=\"odd\\\"model\\\\\"\n") != std::string::npos);
    CHECK(words.find("model_providers.databricks_run.base_url=\"http://127.0.0.1:4711/openai/v1\"\n") !=
          std::string::npos);
    CHECK(words.find(key) == std::string::npos);
    CHECK(codex->environment.at("DBX_AGENTS_LOCAL_KEY") == key);
    CHECK(codex->environment.at("NO_PROXY") == "intern.example,127.0.0.1,localhost");
    CHECK(codex->files.empty());
    CHECK(codex->home.empty());
}

TEST_CASE("a run's own file is JSON whatever a value holds") {
    Scene scene;
    const auto claude = scene.plan("claude", "a\"b");
    REQUIRE(claude);
    REQUIRE(claude->files.size() == 1);
    const auto& [path, text] = *claude->files.begin();
    CHECK(path == "/nowhere/state/run/1/run.settings.json");
    CHECK(joined(claude->arguments) == "--settings\n" + path.string() + "\n");
    const auto settings = edit::Value::parse(text);
    CHECK(settings["env"]["ANTHROPIC_MODEL"] == "a\"b");
    CHECK(settings["env"]["ANTHROPIC_AUTH_TOKEN"] == key);
}

TEST_CASE("a home of the run's own stands below its folder") {
    Scene scene;
    const auto gemini = scene.plan("gemini");
    REQUIRE(gemini);
    CHECK(gemini->home == "/nowhere/state/run/1/home/.gemini");
    CHECK(gemini->real_home == "/nowhere/home/.gemini");
    CHECK(gemini->environment.at("GEMINI_CLI_HOME") == "/nowhere/state/run/1/home");
    REQUIRE(gemini->files.size() == 1); // settings.json; the .env's values are exported
    CHECK(gemini->files.begin()->first == gemini->home / "settings.json");
    CHECK(gemini->files.begin()->second.find("gemini-api-key") != std::string::npos);
}

TEST_CASE("an agent without [run] is refused with the reason") {
    Scene scene;
    const auto cursor = scene.plan("cursor");
    REQUIRE_FALSE(cursor);
    CHECK(cursor.error().kind == ErrorKind::usage);
    CHECK(cursor.error().why.find("servers") != std::string::npos);
}

TEST_CASE("a reserved flag is found in both spellings, and not behind --") {
    RunForm run;
    run.reserved = {"--settings"};
    CHECK(reserved_flag(run, {"-p", "--settings", "x"}) == "--settings");
    CHECK(reserved_flag(run, {"--settings=x"}) == "--settings");
    CHECK(reserved_flag(run, {"--settings-file", "x", "--", "--settings"}).empty());
}

TEST_CASE("values are written as TOML has them") {
    CHECK(toml_argument("a\"b\\c\n\u00e9") == "\"a\\\"b\\\\c\\n\\u00e9\"");
    CHECK(toml_argument(true) == "true");
    CHECK(toml_argument(edit::Value::array({"a", 1})) == "[\"a\",1]");
}
