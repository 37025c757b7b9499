#include "core/edit/mask.hpp"
#include "core/state/local_keys.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::state;
using dbx::tests::FakeEnvironment;

namespace {

struct Scene {
    const FakeEnvironment environment{{{"HOME", "/nowhere/home"}}};
    system::RealFileSystem real;
    system::DryFileSystem files{real};
    const system::Path path = "/nowhere/home/.local/state/dbx-agents/local_keys.json";
    void put(std::string_view text) {
        REQUIRE(files.make_directories(path.parent_path(), 0700));
        REQUIRE(files.write(path, text, 0600));
    }
};

const std::string zeros(64, '0');

} // namespace

TEST_CASE("a local key is the prefix and 64 hex digits, and each one is new") {
    const Secret key = new_local_key();
    CHECK(is_local_key(key.reveal()));
    CHECK_FALSE(key == new_local_key());
    CHECK(is_local_key("dbxl_" + zeros));
    CHECK_FALSE(is_local_key("dbxl_" + zeros + "0"));
    CHECK_FALSE(is_local_key("dbxl_" + zeros.substr(1)));
    CHECK_FALSE(is_local_key("dbxl_" + zeros.substr(1) + "G"));
    CHECK_FALSE(is_local_key("dapi_" + zeros));
    CHECK_FALSE(is_local_key(""));
}

TEST_CASE("keys are read back by agent; without a file there are none") {
    Scene scene;
    const auto none = read_local_keys(scene.environment, scene.files);
    REQUIRE(none);
    CHECK(none->empty());

    const LocalKeys keys = {{"claude", new_local_key()}, {"a \"b\" \xC3\xA9", new_local_key()}};
    const auto text = local_keys_text(keys);
    REQUIRE(text);
    scene.put(*text);
    const auto again = read_local_keys(scene.environment, scene.files);
    REQUIRE(again);
    CHECK(*again == keys);
    const auto one = read_local_key("claude", scene.environment, scene.files);
    REQUIRE(one);
    CHECK(*one == keys.at("claude"));
    const auto other = read_local_key("codex", scene.environment, scene.files);
    REQUIRE(other);
    CHECK_FALSE(other->has_value());
}

TEST_CASE("a damaged file of keys is an error that names it and shows nothing of it") {
    for (const std::string_view text :
         {"", "{", "[]", "{\"format\": 1}", "{\"format\": 2, \"keys\": {}}", "{\"format\": 1, \"keys\": []}",
          "{\"format\": 1, \"keys\": {\"claude\": \"secret-7\"}}", "{\"format\": 1, \"keys\": {\"a\": 7}}",
          "{\"format\": \"1\", \"keys\": {}}", "{\"keys\": {}}"}) {
        CAPTURE(text);
        Scene scene;
        scene.put(text);
        const auto keys = read_local_keys(scene.environment, scene.files);
        REQUIRE_FALSE(keys);
        CHECK(keys.error().kind == ErrorKind::file);
        CHECK(keys.error().what.find("~/.local/state/dbx-agents/local_keys.json") != std::string::npos);
        CHECK((keys.error().what + keys.error().why + keys.error().fix).find("secret-7") ==
              std::string::npos);
    }
}

TEST_CASE("an agent whose name JSON can't hold gets no key") {
    const auto text = local_keys_text({{"na\xEFve", new_local_key()}});
    REQUIRE_FALSE(text);
    CHECK(text.error().kind == ErrorKind::usage);
}

TEST_CASE("every local key in a text becomes the new one, and nothing else changes") {
    const Secret key("dbxl_" + std::string(64, 'f'));
    CHECK(with_local_key("", key).empty());
    CHECK(with_local_key("no key dbxl_ here dbxl_12", key) == "no key dbxl_ here dbxl_12");
    CHECK(with_local_key("a=dbxl_" + zeros + "\nb=\"Bearer dbxl_" + zeros + "\"", key) ==
          "a=" + key.reveal() + "\nb=\"Bearer " + key.reveal() + "\"");
    CHECK(with_local_key("dbxl_dbxl_" + zeros, key) == "dbxl_" + key.reveal());
}

TEST_CASE("a local key is masked wherever it stands") {
    const Secret key = new_local_key();
    for (const std::string& text :
         {"note " + key.reveal() + ".", "x: " + key.reveal(), "(" + key.reveal() + ")"}) {
        CHECK(edit::mask_text(text).find(key.reveal()) == std::string::npos);
        CHECK(edit::mask_text(text).find("dbxl_****") != std::string::npos);
    }
}
