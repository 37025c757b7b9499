#include "core/state/settings.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::state;
using dbx::tests::FakeEnvironment;

namespace {

struct Scene {
    system::RealFileSystem real;
    system::DryFileSystem files{real};
    std::map<std::string, std::string> variables = {{"HOME", "/nowhere/home"}};
    Settings::Sources sources;

    void put(const std::string& path, const std::string& text) {
        REQUIRE(files.make_directories(system::Path(path).parent_path(), 0700));
        REQUIRE(files.write(path, text, 0600));
    }
    Result<Settings> load() { return Settings::load(sources, FakeEnvironment(variables), files); }
};

constexpr auto user_config = "/nowhere/home/.config/dbx-agents/config.toml";

} // namespace

TEST_CASE("each source of a setting is beaten by the one before it") {
    Scene scene;
    REQUIRE(remember({{"workspace", "https://remembered"}}, FakeEnvironment(scene.variables), scene.files));
    CHECK(scene.load()->find("workspace")->value == "https://remembered");
    scene.put("/etc/dbx-agents/config.toml", "workspace = 'https://organisation'\n");
    CHECK(scene.load()->find("workspace")->value == "https://organisation");
    scene.put(user_config, "# mine\nworkspace = 'https://user'\n");
    CHECK(scene.load()->find("workspace")->value == "https://user");
    CHECK(scene.load()->find("workspace")->origin == "~/.config/dbx-agents/config.toml:2");
    scene.variables["DATABRICKS_HOST"] = "https://standard";
    CHECK(scene.load()->find("workspace")->value == "https://standard");
    scene.variables["DBX_AGENTS_WORKSPACE"] = "https://ours";
    CHECK(scene.load()->find("workspace")->value == "https://ours");
    scene.sources.flags["workspace"] = "https://flag";
    const auto settings = scene.load();
    CHECK(settings->find("workspace")->origin == "--workspace");
    CHECK(settings->all("workspace").size() == 6);
}

TEST_CASE("an empty variable counts as unset") {
    Scene scene;
    scene.variables["DATABRICKS_HOST"] = "";
    CHECK_FALSE(scene.load()->find("workspace"));
}

TEST_CASE("a configuration that does not parse is an error with line and column") {
    Scene scene;
    scene.put(user_config, "a = 1\nworkspace = \n");
    const auto settings = scene.load();
    REQUIRE_FALSE(settings);
    CHECK(settings.error().kind == ErrorKind::file);
    CHECK(settings.error().why.rfind("line 2, column", 0) == 0);
}

TEST_CASE("an unknown top-level key is named with the nearest known one") {
    Scene scene;
    scene.put(user_config, "workspcae = 'x'\n");
    const auto settings = scene.load();
    REQUIRE(settings);
    REQUIRE(settings->warnings().size() == 1);
    CHECK(settings->warnings()[0] ==
          "~/.config/dbx-agents/config.toml:1: 'workspcae' is not a setting; did you mean 'workspace'?");
}

TEST_CASE("tables, numbers and arrays of tables have dotted keys") {
    Scene scene;
    scene.put(user_config,
              "[agents.codex]\nmodel = 'm'\n[proxy]\nport = 8790\n[[proxy.limit]]\nagent = 'claude'\n");
    const auto settings = scene.load();
    CHECK(settings->find("agents.codex.model")->value == "m");
    CHECK(settings->find("proxy.port")->value == "8790");
    CHECK(settings->find("proxy.limit.0.agent")->value == "claude");
}

TEST_CASE("a named configuration must exist, and replaces the user's") {
    Scene scene;
    scene.put(user_config, "workspace = 'https://user'\n");
    scene.sources.config_file = "/nowhere/other.toml";
    CHECK(scene.load().error().kind == ErrorKind::usage);
    scene.put("/nowhere/other.toml", "profile = 'p'\n");
    const auto settings = scene.load();
    CHECK(settings->find("profile")->value == "p");
    CHECK_FALSE(settings->find("workspace"));
}

TEST_CASE("a damaged memory costs a flag, not the command") {
    Scene scene;
    scene.put("/nowhere/home/.local/state/dbx-agents/remembered.json", "{ half");
    const auto settings = scene.load();
    REQUIRE(settings);
    CHECK(settings->warnings().size() == 1);
}
