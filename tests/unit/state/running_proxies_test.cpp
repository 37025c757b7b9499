#include "core/state/running_proxies.hpp"
#include "core/system/self.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

using namespace dbx;
using namespace dbx::state;
using dbx::tests::FakeEnvironment;

namespace {

struct Scene {
    Scene() {
        std::string name = (std::filesystem::temp_directory_path() / "dbx-proxies-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        base = name;
        directory = base / "dbx-agents";
        std::filesystem::create_directory(directory);
    }
    ~Scene() {
        std::error_code ignored;
        std::filesystem::remove_all(base, ignored);
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    std::vector<int> ports(int port = 0) {
        const FakeEnvironment environment{{{"HOME", "/nowhere/home"}, {"XDG_STATE_HOME", base.string()}}};
        const auto running = running_proxies(environment, files, port);
        REQUIRE(running);
        std::vector<int> result;
        for (const auto& proxy : *running) {
            CHECK(proxy.process_id == system::process_id());
            result.push_back(proxy.port);
        }
        return result;
    }

    system::RealFileSystem files;
    system::Path base;
    system::Path directory;
};

} // namespace

TEST_CASE("running proxies are those whose lock is held, by port") {
    Scene scene;
    CHECK(scene.ports().empty());
    const auto second = system::Lock::acquire(proxy_lock_path(scene.directory, 9000), 0);
    REQUIRE(second);
    {
        const auto first = system::Lock::acquire(proxy_lock_path(scene.directory, 8790), 0);
        REQUIRE(first);
        CHECK(scene.ports() == std::vector{8790, 9000});
        CHECK(scene.ports(9000) == std::vector{9000});
        CHECK(scene.ports(9001).empty());
    }
    CHECK(scene.ports() == std::vector{9000}); // the file is still there, nobody holds it
}

TEST_CASE("files that only look like a proxy's lock are none") {
    Scene scene;
    for (const auto* name :
         {"proxy-.lock", "proxy-0.lock", "proxy-65536.lock", "proxy-1a.lock", "proxy--1.lock",
          "proxy-99999999999999999999.lock", "proxy-8790.lock.old", "proxy-.lock.lock"}) {
        CAPTURE(name);
        const auto held = system::Lock::acquire(scene.directory / name, 0);
        REQUIRE(held);
        CHECK(scene.ports().empty());
    }
}

TEST_CASE("without a state directory no proxy runs") {
    Scene scene;
    std::filesystem::remove(scene.directory);
    CHECK(scene.ports().empty());
}

TEST_CASE("a port is a number from 1 to 65535 and nothing else") {
    CHECK(to_port("1") == 1);
    CHECK(to_port("65535") == 65535);
    for (const auto* text :
         {"", "0", "65536", "-1", "+1", " 1", "1 ", "1.0", "0x10", "99999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(to_port(text));
    }
}
