#include "core/agents/catalogue.hpp"
#include "core/agents/inspect.hpp"
#include "core/agents/plan.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::agents;
using dbx::tests::FakeEnvironment;

namespace {

const system::Path home = "/nowhere/home";

struct Scene {
    FakeEnvironment environment;
    system::RealFileSystem real;
    system::DryFileSystem files{real};
    explicit Scene(std::map<std::string, std::string> variables = {})
        : environment([&] {
            variables["HOME"] = home.string();
            return variables;
        }()) {}

    state::Journal journal() {
        auto loaded = state::Journal::load(environment, files);
        REQUIRE(loaded);
        return std::move(*loaded);
    }

    Agent agent(std::string_view name) {
        const auto catalogue = load_catalogue(environment, files);
        REQUIRE(catalogue);
        const auto* found = catalogue->find(name);
        REQUIRE(found != nullptr);
        return *found;
    }

    void setup(std::string_view name, Auth auth) {
        SetupRequest request;
        request.gateway = "https://example.com/ai-gateway";
        request.auth = auth;
        request.token = Secret("dapi-fake-token");
        request.token_is_pat = true;
        request.helper = {"/nowhere/bin/dbx-agents", "auth", "token"};
        request.proxy = "http://127.0.0.1:8790";
        request.local_key = Secret("dbxl_" + std::string(64, '7'));
        const Agent known = agent(name);
        auto entries = journal();
        const auto plan = plan_setup(known, request, entries, environment, files, {});
        REQUIRE(plan);
        std::vector<const FileChange*> changes;
        for (const auto& change : plan->files)
            if (change.changes()) changes.push_back(&change);
        REQUIRE(apply(changes, entries, environment, files, {}));
    }

    std::string form(std::string_view name) {
        const Agent known = agent(name);
        const auto report = inspect(known, journal(), environment, files);
        REQUIRE(report);
        return report->auth;
    }

    std::string text(const system::Path& path) {
        auto bytes = files.read(home / path, 1 << 20);
        REQUIRE(bytes);
        return std::move(*bytes);
    }
};

} // namespace

TEST_CASE("the entries of the shell's NO_PROXY come along into a new file, in either case") {
    Scene upper(std::map<std::string, std::string>{{"NO_PROXY", ".corp.example"}});
    upper.setup("codex", Auth::proxy);
    CHECK(upper.text(".codex/.env") == "NO_PROXY=.corp.example,127.0.0.1,localhost\n");
    Scene lower(std::map<std::string, std::string>{{"no_proxy", ".corp.example"}});
    lower.setup("codex", Auth::proxy);
    const std::string text = lower.text(".codex/.env");
    CHECK(text.find("NO_PROXY=.corp.example,127.0.0.1,localhost\n") != std::string::npos);
    CHECK(text.find("no_proxy=.corp.example,127.0.0.1,localhost\n") != std::string::npos);
    Scene neither;
    neither.setup("codex", Auth::proxy);
    CHECK(neither.text(".codex/.env") == "NO_PROXY=127.0.0.1,localhost\n");
}

TEST_CASE("the form of an agent is that of its last setup, whichever of its files changed") {
    for (const auto* name : {"codex", "gemini", "claude"}) {
        CAPTURE(name);
        Scene scene;
        for (const Auth auth : {Auth::proxy, Auth::pat, Auth::env, Auth::pat, Auth::proxy, Auth::env}) {
            scene.setup(name, auth);
            CHECK(scene.form(name) == to_string(auth));
        }
    }
}

TEST_CASE("rotation gives each agent a new key, in its file and in ours, and revert still knows its own") {
    Scene scene;
    scene.setup("codex", Auth::proxy);
    scene.setup("claude", Auth::proxy);
    auto journal = scene.journal();
    const auto rotation = plan_key_rotation(journal, scene.environment, scene.files);
    REQUIRE(rotation);
    CHECK(rotation->rotated == std::vector<std::string>{"claude", "codex"});
    std::vector<const FileChange*> changes;
    for (const auto& change : rotation->changes) changes.push_back(&change);
    REQUIRE(apply(changes, journal, scene.environment, scene.files, {}));
    const auto keys = state::read_local_keys(scene.environment, scene.files);
    REQUIRE(keys);
    CHECK(scene.text(".codex/config.toml").find("Bearer " + keys->at("codex").reveal()) != std::string::npos);
    CHECK(scene.text(".claude/settings.json").find(keys->at("claude").reveal()) != std::string::npos);
    CHECK(scene.text(".codex/config.toml").find(std::string(64, '7')) == std::string::npos);

    const auto reverted = plan_revert({}, Force::no, scene.journal(), scene.environment, scene.files);
    REQUIRE(reverted);
    for (const auto& change : *reverted) CHECK_FALSE(change.after.has_value()); // all were made by setup
}
