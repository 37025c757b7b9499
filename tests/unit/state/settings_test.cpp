#include "core/state/settings.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

#include <algorithm>

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

TEST_CASE("a misspelt key is named in every table, once for a whole table that is misspelt") {
    const std::pair<const char*, std::vector<std::string>> cases[] = {
        {"[proxy]\nprot = 1\n", {":2: 'proxy.prot' is not a setting; did you mean 'proxy.port'?"}},
        {"[otel]\ntable = 'a.b.c'\n", {":2: 'otel.table' is not a setting; did you mean 'otel.tables'?"}},
        {"[otel]\nzzzzzz = 1\n", {":2: 'otel.zzzzzz' is not a setting"}},
        {"[[proxy.limit]]\nagent = 'a'\n[[proxy.limit]]\nrequest_per_minute = 1\n",
         {":4: 'proxy.limit.request_per_minute' is not a setting; did you mean "
          "'proxy.limit.requests_per_minute'?"}},
        {"[[proxy.limit]]\nmodl = 'a'\n[[proxy.limit]]\nmodl = 'b'\n",
         {":2: 'proxy.limit.modl' is not a setting; did you mean 'proxy.limit.model'?",
          ":4: 'proxy.limit.modl' is not a setting; did you mean 'proxy.limit.model'?"}},
        {"[[proxy.limits]]\nagent = 'a'\nmodel = 'b'\n",
         {":2: 'proxy.limits' is not a setting; did you mean 'proxy.limit'?"}},
        {"[proxy.limit]\nagent = 'a'\nmodel = 'b'\n",
         {":2: 'proxy.limit' is an array of tables: [[proxy.limit]]"}},
        {"[price]\nmodel = 'a'\n", {":2: 'price' is an array of tables: [[price]]"}},
        {"[[price]]\nmodel = 'a'\noutputs = 1\n",
         {":3: 'price.outputs' is not a setting; did you mean 'price.output'?"}},
        {"[otel]\ndrop_attributes = 'a'\nresource_attributes = 'b'\n",
         {":2: 'otel.drop_attributes' is an array, not one value",
          ":3: 'otel.resource_attributes' is a table, not one value"}},
        {"[otel.drop_attributes]\na = 1\n", {":2: 'otel.drop_attributes' is an array, not a table"}},
        {"proxy = 1\n", {":1: 'proxy' is a table, not one value"}},
        {"[agents.claude]\nmodle = 'm'\n",
         {":2: 'agents.claude.modle' is not a setting; did you mean 'agents.claude.model'?"}},
        {"[ledger]\nkep = '1d'\n[network]\ncafile = 'x'\n",
         {":2: 'ledger.kep' is not a setting; did you mean 'ledger.keep'?",
          ":4: 'network.cafile' is not a setting; did you mean 'network.ca_file'?"}},
        {"[otel]\ndrop_attributes = []\n[otel.resource_attributes]\n'service.name' = 'a'\nteam = 'b'\n"
         "[agents.claude]\nhaiku = 'm'\nopus = 'n'\n[agents.mine]\nroute = '/r'\notel = 'off'\n"
         "[proxy]\nnames = ['a', 'b']\n[[proxy.model]]\nasked = 'a'\nsent = 'b'\n[[proxy.budget]]\n"
         "usd_per_week = 1\n",
         {}},
    };
    for (const auto& one : cases) {
        const auto& text = one.first;
        const auto& expected = one.second;
        CAPTURE(text);
        Scene scene;
        scene.put(user_config, text);
        const auto settings = scene.load();
        REQUIRE(settings);
        auto warnings = settings->warnings();
        std::sort(warnings.begin(), warnings.end());
        REQUIRE(warnings.size() == expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i)
            CHECK(warnings[i] == "~/.config/dbx-agents/config.toml" + expected[i]);
    }
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

TEST_CASE("a locked key has the organisation's value, whatever the user says") {
    Scene scene;
    scene.put("/etc/dbx-agents/config.toml",
              "locked = ['workspace', 'proxy.port', 'agents.codex']\nworkspace = 'https://organisation'\n"
              "[proxy]\nport = 8790\nhold = '30s'\n[agents.codex]\nmodel = 'ours'\n");
    scene.put(user_config,
              "workspace = 'https://user'\n[proxy]\nport = 8790\nhold = '1s'\n[agents.codex]\nmodel = "
              "'mine'\nroute = '/codex/v1'\n");
    scene.variables["DATABRICKS_HOST"] = "https://standard";
    REQUIRE(remember({{"workspace", "https://remembered"}}, FakeEnvironment(scene.variables), scene.files));
    const auto settings = scene.load();
    REQUIRE(settings);
    CHECK(settings->find("workspace")->value == "https://organisation");
    CHECK(settings->find("workspace")->rank == Rank::locked);
    CHECK(settings->all("workspace").size() == 1);
    CHECK(settings->find("agents.codex.model")->value == "ours");
    CHECK(settings->find("agents.codex.route")->value == "/codex/v1"); // has no value there
    CHECK(settings->find("proxy.hold")->value == "1s");
    CHECK(settings->locked().size() == 3);
    // A value that is the same is no reason for a warning.
    REQUIRE(settings->warnings().size() == 3);
    CHECK(settings->warnings()[0] == "DATABRICKS_HOST in the environment is ignored: workspace is locked by "
                                     "/etc/dbx-agents/config.toml:1");
}

TEST_CASE("a flag against a locked key is refused, and the error names who to ask") {
    Scene scene;
    scene.put(
        "/etc/dbx-agents/config.toml",
        "contact = 'it-help@example.com'\nlocked = ['workspace']\nworkspace = 'https://organisation'\n");
    scene.sources.flags["workspace"] = "https://other";
    const auto refused = scene.load();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::usage);
    CHECK(refused.error().what == "--workspace cannot be used here");
    CHECK(refused.error().why ==
          "workspace is locked by /etc/dbx-agents/config.toml:3: https://organisation");
    CHECK(refused.error().fix == "leave --workspace out, or ask it-help@example.com");
    scene.sources.flags["workspace"] = "HTTPS://organisation/";
    CHECK(scene.load()->find("workspace")->value == "https://organisation");
    // Another way to another address.
    for (const auto* key : {"gateway", "proxy.upstream"}) {
        scene.sources.flags = {{key, "https://other/ai-gateway"}};
        CHECK_FALSE(scene.load());
    }
    scene.sources.flags.clear();
    scene.variables["DBX_AGENTS_GATEWAY"] = "https://other/ai-gateway";
    const auto ignored = scene.load();
    REQUIRE(ignored);
    CHECK_FALSE(ignored->find("gateway"));
    CHECK(ignored->warnings().size() == 1);
}

TEST_CASE("locked arrays of tables are the organisation's alone") {
    Scene scene;
    scene.put("/etc/dbx-agents/config.toml",
              "locked = ['proxy.limit']\n[[proxy.limit]]\nrequests_per_minute = 60\n");
    scene.put(user_config, "[[proxy.limit]]\nrequests_per_minute = 600\n[[proxy.limit]]\nagent = 'codex'\n");
    const auto settings = scene.load();
    REQUIRE(settings);
    CHECK(settings->all("proxy.limit.0.requests_per_minute").size() == 1);
    CHECK(settings->find("proxy.limit.0.requests_per_minute")->value == "60");
    CHECK_FALSE(settings->find("proxy.limit.1.agent"));
}

TEST_CASE("a lock without a value, and one in the user's file, are named; one that is no array is an error") {
    Scene scene;
    scene.put("/etc/dbx-agents/config.toml", "locked = ['workspace']\n");
    scene.put(user_config, "locked = ['profile']\nworkspace = 'https://user'\n");
    const auto settings = scene.load();
    REQUIRE(settings);
    CHECK(settings->find("workspace")->value == "https://user");
    REQUIRE(settings->warnings().size() == 2);
    CHECK(settings->warnings()[0].find("counts in /etc/dbx-agents/config.toml only") != std::string::npos);
    CHECK(settings->warnings()[1].find("has no value in this file") != std::string::npos);
    scene.put("/etc/dbx-agents/config.toml", "locked = 'workspace'\n");
    REQUIRE_FALSE(scene.load());
    CHECK(scene.load().error().kind == ErrorKind::file);
}
