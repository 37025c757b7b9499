#include "core/proxy/config.hpp"
#include "core/proxy/relay.hpp"
#include "core/system/dry_files.hpp"
#include "tests/unit/fake_environment.hpp"
#include "tests/unit/http/fakes.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

using namespace dbx;
using namespace dbx::proxy;
using otlp::Signal;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct TestClock : system::Clock {
    std::atomic<long long> at = 1'700'000'000;
    system::WallTime now() const override { return system::WallTime(seconds(at.load())); }
};

// A folder that is gone with the test.
struct Scratch {
    system::Path path;
    Scratch() {
        std::random_device random;
        path = std::filesystem::temp_directory_path() /
               ("dbx-spool-" + std::to_string(random()) + std::to_string(random()));
    }
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    void put(const std::string& name, std::string_view bytes) const {
        std::ofstream(path / name, std::ios::binary) << bytes;
    }
};

std::vector<std::string> all_of(Spool& spool, Signal signal) {
    std::vector<std::string> bytes;
    while (const auto name = spool.first(signal)) {
        if (const auto read = spool.read(*name)) {
            bytes.push_back(*read);
            spool.remove(*name);
        }
    }
    return bytes;
}

Verdict judged(int status, std::string body = {}, http::Headers headers = {}, int attempts = 1) {
    auto response = test::answer(status, std::move(body), std::move(headers));
    response.url = "https://w.example.com/api/2.0/otel/v1/logs";
    return judge(response, attempts, system::WallTime(seconds(1'700'000'000)));
}

} // namespace

TEST_CASE("the name of a batch tells signal, order and size, and nothing else is one") {
    const BatchName name{Signal::logs, 1'700'000'000'000'000'001, 4711, 12};
    CHECK(name.text() == "logs-1700000000000000001-4711-12.otlp");
    CHECK(BatchName::parse(name.text()) == name);
    for (const char* text :
         {"", ".otlp", "logs-1-2-3", "logs-1-2.otlp", "logs-1-2-3-4.otlp", "profiles-1-2-3.otlp",
          "logs-01-2-3.otlp", "logs--1-2-3.otlp", "logs-+1-2-3.otlp", "logs-1-2-3.otlp.why",
          "Logs-1-2-3.otlp", "logs-99999999999999999999-2-3.otlp", "logs-9223372036854775808-2-3.otlp",
          "../logs-1-2-3.otlp", "logs-1-2-1073741825.otlp", "logs-1-2-18446744073709551615.otlp"})
        CHECK_MESSAGE(!BatchName::parse(text), text);
}

TEST_CASE("batches leave the spool in the order in which they came, also with a clock that goes back") {
    const Scratch scratch;
    TestClock clock;
    std::vector<std::string> put;
    for (int round = 0; round < 3; ++round) {
        // Each time another process, as it were: its clock is behind that of the one before.
        clock.at -= 100;
        Spool spool(scratch.path, clock);
        spool.look_again();
        for (int i = 0; i < 20; ++i) {
            put.push_back("batch " + std::to_string(round) + " " + std::to_string(i));
            REQUIRE(spool.put(Signal::metrics, put.back()));
        }
    }
    Spool spool(scratch.path, clock);
    REQUIRE(spool.is_sender());
    CHECK(spool.waiting(Signal::metrics).batches == 60);
    CHECK(all_of(spool, Signal::metrics) == put);
    CHECK(spool.waiting(Signal::metrics).bytes == 0);
}

TEST_CASE("the oldest batch makes room, of whatever signal, but not the one that is being sent") {
    const Scratch scratch;
    TestClock clock;
    Spool spool(scratch.path, clock);
    spool.set_bounds({30, seconds(100)});
    const std::string ten(10, 'x');
    REQUIRE(spool.put(Signal::metrics, ten + "1"));
    REQUIRE(spool.put(Signal::logs, ten + "2"));
    const auto sending = spool.first(Signal::metrics);
    REQUIRE(sending);
    REQUIRE(spool.put(Signal::metrics, ten + "3"));
    CHECK(spool.waiting(Signal::logs).batches == 0);
    CHECK(spool.waiting(Signal::metrics).batches == 2);
    auto dropped = spool.take_dropped();
    REQUIRE(dropped.size() == 1);
    CHECK(dropped[0].signal == Signal::logs);
    CHECK(dropped[0].batches == 1);
    spool.release(Signal::metrics);
    REQUIRE(spool.put(Signal::logs, ten + "4"));
    CHECK(all_of(spool, Signal::metrics) == std::vector<std::string>{ten + "3"});
    CHECK_FALSE(spool.put(Signal::logs, std::string(31, 'x')));
}

TEST_CASE("what is too old is dropped and told") {
    const Scratch scratch;
    TestClock clock;
    Spool spool(scratch.path, clock);
    spool.set_bounds({1000, seconds(60)});
    REQUIRE(spool.put(Signal::logs, "old"));
    clock.at += 59;
    REQUIRE(spool.put(Signal::logs, "new"));
    spool.expire();
    CHECK(spool.waiting(Signal::logs).batches == 2);
    clock.at += 2;
    spool.expire();
    CHECK(all_of(spool, Signal::logs) == std::vector<std::string>{"new"});
    const auto dropped = spool.take_dropped();
    REQUIRE(dropped.size() == 1);
    CHECK(dropped[0].why == "older than 1 min");
}

TEST_CASE("torn and foreign files are set aside, and only whole batches are tried again") {
    const Scratch scratch;
    TestClock clock;
    {
        Spool spool(scratch.path, clock);
        REQUIRE(spool.put(Signal::logs, "whole"));
        REQUIRE(spool.put(Signal::logs, "refused"));
    }
    scratch.put("logs-1699999990000000000-1-10.otlp", "short");
    scratch.put("logs-1699999990000000001-1-2.otlp", "long");
    scratch.put("README", "not a batch");
    Spool spool(scratch.path, clock);
    REQUIRE(spool.is_sender());
    std::vector<std::string> sent;
    while (const auto name = spool.first(Signal::logs)) {
        const auto bytes = spool.read(*name);
        if (!bytes) continue;
        if (*bytes == "refused") {
            spool.set_aside(*name, {403, "no right", "get it", "c.s.t"});
            continue;
        }
        sent.push_back(*bytes);
        spool.remove(*name);
    }
    CHECK(sent == std::vector<std::string>{"whole"});
    spool.look_again();
    const auto rejected = spool.rejected();
    CHECK(rejected.batches == 4);
    CHECK(rejected.last.status == 403);
    CHECK(rejected.last.why == "no right");
    CHECK(rejected.last.table == "c.s.t");
    const auto looks = Spool::look_at_all(scratch.path.parent_path());
    const auto look =
        std::find_if(looks.begin(), looks.end(), [&](const auto& one) { return one.path == scratch.path; });
    REQUIRE(look != looks.end());
    CHECK(look->rejected.batches == 4);
    CHECK(spool.try_rejected_again() == 1);
    CHECK(all_of(spool, Signal::logs) == std::vector<std::string>{"refused"});
    CHECK(spool.rejected().batches == 3);
}

TEST_CASE("one process sends, and another one takes over") {
    const Scratch scratch;
    TestClock clock;
    auto first = std::make_unique<Spool>(scratch.path, clock);
    Spool second(scratch.path, clock);
    REQUIRE(first->is_sender());
    CHECK_FALSE(second.is_sender());
    REQUIRE(second.put(Signal::logs, "of the second"));
    first->look_again();
    CHECK(all_of(*first, Signal::logs) == std::vector<std::string>{"of the second"});
    first.reset();
    CHECK(second.is_sender());
}

TEST_CASE("what cannot be removed is not sent again, and goes once it can be") {
    const Scratch scratch;
    TestClock clock;
    Spool spool(scratch.path, clock);
    spool.set_bounds({1000, seconds(60)});
    REQUIRE(spool.put(Signal::logs, "delivered"));
    REQUIRE(spool.put(Signal::metrics, "rejected"));
    REQUIRE(spool.put(Signal::traces, "old"));
    REQUIRE(spool.is_sender());
    // Root may write everywhere.
    const bool root = ::geteuid() == 0;
    constexpr uid_t nobody = 65'534;
    if (root) {
        REQUIRE(::chown(scratch.path.c_str(), nobody, nobody) == 0);
        REQUIRE(::seteuid(nobody) == 0);
    }
    REQUIRE(::chmod(scratch.path.c_str(), 0500) == 0);
    spool.remove(*spool.first(Signal::logs));
    spool.set_aside(*spool.first(Signal::metrics), {400, "bad", {}, {}});
    clock.at += 100;
    std::uint64_t dropped = 0;
    for (int i = 0; i < 3; ++i) {
        spool.expire();
        for (const auto& one : spool.take_dropped()) dropped += one.batches;
        spool.look_again();
        for (const Signal signal : otlp::all_signals) CHECK_FALSE(spool.first(signal));
    }
    CHECK(dropped == 2);
    REQUIRE(::chmod(scratch.path.c_str(), 0700) == 0);
    if (root) REQUIRE(::seteuid(0) == 0);
    spool.look_again();
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path))
        CHECK_MESSAGE(entry.path().extension() != ".otlp", entry.path());
}

TEST_CASE("a batch from the end of time keeps nobody from putting the next one") {
    const Scratch scratch;
    TestClock clock;
    std::filesystem::create_directories(scratch.path);
    scratch.put("logs-9223372036854775807-1-4.otlp", "late");
    Spool spool(scratch.path, clock);
    REQUIRE(spool.is_sender());
    REQUIRE(spool.put(Signal::logs, "new"));
    spool.look_again();
    CHECK(all_of(spool, Signal::logs) == std::vector<std::string>{"new", "late"});
    spool.look_again();
    CHECK(spool.rejected().batches == 0);
}

TEST_CASE("several look at once while others put") {
    const Scratch scratch;
    TestClock clock;
    Spool spool(scratch.path, clock);
    spool.set_bounds({1U << 20U, std::chrono::hours(24)});
    REQUIRE(spool.is_sender());
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            for (int round = 0; round < 200; ++round) spool.look_again();
        });
    constexpr std::size_t batches = 300;
    for (std::size_t i = 0; i < batches; ++i) REQUIRE(spool.put(Signal::logs, "x"));
    for (auto& thread : threads) thread.join();
    CHECK(spool.waiting(Signal::logs).batches == batches);
    CHECK(all_of(spool, Signal::logs).size() == batches);
}

TEST_CASE("a folder that somebody removes is made again") {
    const Scratch scratch;
    TestClock clock;
    Spool spool(scratch.path, clock);
    REQUIRE(spool.put(Signal::logs, "one"));
    std::filesystem::remove_all(scratch.path);
    REQUIRE(spool.put(Signal::logs, "two"));
    spool.look_again();
    CHECK(all_of(spool, Signal::logs) == std::vector<std::string>{"two"});
}

TEST_CASE("each workspace has a folder of its own") {
    CHECK(spool_name("https://adb-1.2.azuredatabricks.net") == "adb-1.2.azuredatabricks.net");
    CHECK(spool_name("http://127.0.0.1:8080") == "127.0.0.1_8080");
    CHECK(spool_name("http://[::1]:8080").find_first_of(":[]/") == std::string::npos);
}

TEST_CASE("an answer of the workspace decides what becomes of a batch") {
    using Kind = Verdict::Kind;
    CHECK(judged(200).kind == Kind::delivered);
    CHECK(judged(202, "{}").kind == Kind::delivered);
    for (const int status : {408, 429, 502, 503, 504, 500})
        CHECK_MESSAGE(judged(status).kind == Kind::later, status);
    CHECK(judged(200, "<!doctype html>", {{"Content-Type", "text/html"}}).kind == Kind::later);
    CHECK(judged(302, "", {{"Location", "https://elsewhere.example.com"}}).kind == Kind::later);
    CHECK(judged(403, R"({"message":"Source IP address is blocked by Databricks IP ACL"})").kind ==
          Kind::later);
    CHECK(judged(403, R"({"message":"token lacks required scopes: x"})").kind == Kind::later);
    CHECK(judged(401).kind == Kind::new_token);
    CHECK(judged(400, "Invalid Token").kind == Kind::new_token);
    CHECK(judged(403, R"({"message":"Invalid access token."})").kind == Kind::new_token);
    for (const int status : {400, 403, 404, 409, 413, 415})
        CHECK_MESSAGE(judged(status, R"({"error_code":"X_Y_Z","message":"no"})").kind == Kind::aside, status);
    // A failure of the server that stays is one of this batch.
    CHECK(judged(500, "{}", {}, 9).kind == Kind::later);
    CHECK(judged(500, "{}", {}, 10).kind == Kind::aside);
    CHECK(judged(503, "{}", {}, 100).kind == Kind::later);
    CHECK(judged(503, "", {{"Retry-After", "7"}}).asked == milliseconds(7000));
    CHECK(judge(test::failure(http::NetworkProblem::connect), "https://w.example.com").kind == Kind::later);
}

TEST_CASE("a partial success is delivered, and its words are kept") {
    // partial_success { rejected = 5, error_message = "too old" }
    const std::string body("\x0a\x0b\x08\x05\x12\x07too old", 13);
    const auto verdict = judged(200, body, {{"Content-Type", "application/x-protobuf"}});
    CHECK(verdict.kind == Verdict::Kind::delivered);
    CHECK(verdict.not_taken == 5);
    CHECK(verdict.not_taken_why == "too old");
    CHECK(judged(200, body.substr(0, 6), {{"Content-Type", "application/x-protobuf"}}).not_taken == 0);
}

TEST_CASE("waits grow from a second to a minute, never less than the server asked for") {
    CHECK(wait_after(1, {}, 0) == milliseconds(500));
    CHECK(wait_after(1, {}, 0.999) > milliseconds(990));
    CHECK(wait_after(3, {}, 0) == milliseconds(2000));
    CHECK(wait_after(20, {}, 0) == milliseconds(30'000));
    CHECK(wait_after(1'000'000, {}, 0.999) <= milliseconds(60'000));
    CHECK(wait_after(1, seconds(5), 0) == milliseconds(5000));
    CHECK(wait_after(1, seconds(5), 0.5) > milliseconds(5000));
    CHECK(wait_after(1, std::chrono::hours(99), 0) == std::chrono::minutes(10));
}

TEST_CASE("a size is a number with a unit") {
    CHECK(parse_size("64MB") == std::uint64_t{64} << 20U);
    CHECK(parse_size("512 KB") == std::uint64_t{512} << 10U);
    CHECK(parse_size("1GiB") == std::uint64_t{1} << 30U);
    CHECK(parse_size("4711") == std::uint64_t{4711});
    for (const char* text : {"", "MB", "-1", "1TB", "1.5MB", "99999999999999999999", "9999999999GB"})
        CHECK_MESSAGE(!parse_size(text), text);
}

TEST_CASE("the relay's settings come from the configuration, attributes from both files") {
    system::RealFileSystem real;
    system::DryFileSystem files(real);
    REQUIRE(files.make_directories("/nowhere/home/.config/dbx-agents", 0700));
    REQUIRE(files.write("/nowhere/home/.config/dbx-agents/config.toml", R"(
[otel]
tables = "main.telemetry.dev"
traces = true
resource_attributes = { team = "storage", "cost.centre" = 4711 }
drop_attributes = ["gen_ai.system_instructions", "process.command_args"]
[proxy]
spool_size = "1MB"
spool_age = "1h"
export_usage = true
)",
                        0600));
    const std::map<std::string, std::string> variables = {{"HOME", "/nowhere/home"}};
    const auto settings = state::Settings::load({}, tests::FakeEnvironment(variables), files);
    REQUIRE(settings);
    databricks::Target target;
    target.workspace.emplace();
    target.workspace->value = "https://w.example.com";
    const auto policy = relay_policy(*settings, target);
    REQUIRE(policy);
    REQUIRE(policy->tables);
    CHECK(policy->tables->table_name(Signal::traces) == "main.telemetry.dev_otel_spans");
    CHECK(policy->workspace == "https://w.example.com");
    CHECK(policy->traces);
    CHECK(policy->export_usage);
    CHECK(policy->bounds.size == 1U << 20U);
    CHECK(policy->bounds.age == std::chrono::hours(1));
    CHECK(policy->amendments.resource_attributes ==
          std::map<std::string, std::string>{{"team", "storage"}, {"cost.centre", "4711"}});
    CHECK(policy->amendments.drop_attributes ==
          std::vector<std::string>{"gen_ai.system_instructions", "process.command_args"});
}
