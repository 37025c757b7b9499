#include "core/otlp/amend.hpp"
#include "core/otlp/json.hpp"
#include "wire.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::otlp;

namespace {

const Amendments none;

std::string amended(Signal signal, const std::string& bytes, const Amendments& amendments) {
    const auto once = amend(signal, bytes, amendments);
    if (!once) FAIL(once.error().why);
    const auto twice = amend(signal, *once, amendments);
    REQUIRE(twice);
    CHECK(*twice == *once);
    CHECK(count(signal, bytes).value() == count(signal, *once).value());
    return *once;
}

std::string logs(const std::string& records,
                 const std::string& resource = wire::field(1, wire::field(1, wire::pair("a", "b")))) {
    return wire::field(1, resource + wire::field(2, records));
}

} // namespace

TEST_CASE("a batch to which nothing applies stays as it is, byte for byte") {
    const auto bytes = logs(
        wire::field(2, wire::fixed64(1, 5) + wire::field(6, wire::pair("k", "v")) + wire::field(12, "n")) +
        wire::field(2, "") + wire::field(3, "schema"));
    CHECK(amended(Signal::logs, bytes, none) == bytes);
    CHECK(amended(Signal::logs, bytes, {{{"a", "other"}}, {"absent"}}) == bytes);
    CHECK(amended(Signal::logs, "", {{{"a", "b"}}, {"c"}}).empty());
}

TEST_CASE("an empty event_name is filled from the attribute event.name") {
    const auto record = wire::fixed64(1, 5) + wire::field(6, wire::pair("x", "y")) +
                        wire::field(6, wire::pair("event.name", "codex.api_request"));
    CHECK(amended(Signal::logs, logs(wire::field(2, record)), none) ==
          logs(wire::field(2, record + wire::field(12, "codex.api_request"))));
    // Where it is there and empty, the later one counts.
    const auto empty = record + wire::field(12, "");
    CHECK(amended(Signal::logs, logs(wire::field(2, empty)), none) ==
          logs(wire::field(2, empty + wire::field(12, "codex.api_request"))));
    // One that is set, an attribute that is no text, and none at all: left alone.
    const auto number = wire::field(6, wire::field(1, "event.name") + wire::field(2, wire::number(3, 7)));
    const auto body = wire::field(5, wire::field(6, wire::field(1, wire::pair("event.name", "inside"))));
    for (const auto& other :
         {record + wire::field(12, "set"), number, wire::field(6, wire::pair("event.name", "")), body}) {
        const auto bytes = logs(wire::field(2, other));
        CHECK(amended(Signal::logs, bytes, none) == bytes);
    }
}

TEST_CASE("lengths grow through all levels, each record for itself") {
    const auto plain = wire::field(6, wire::pair("k", std::string(100, 'x')));
    const auto named = wire::field(6, wire::pair("event.name", std::string(60, 'n')));
    std::string before, after;
    for (int i = 0; i < 50; ++i) {
        before += wire::field(2, plain) + wire::field(2, named + plain);
        after +=
            wire::field(2, plain) + wire::field(2, named + plain + wire::field(12, std::string(60, 'n')));
    }
    CHECK(amended(Signal::logs, logs(before) + logs(before), none) == logs(after) + logs(after));
}

TEST_CASE("fields and metrics that nobody knows are kept") {
    const auto unknown = wire::field(99, "later") + wire::number(13, 300) + wire::fixed64(500, 1) +
                         std::string("\xfd\x07\1\2\3\4", 6);
    const auto named = wire::field(6, wire::pair("event.name", "e") + unknown);
    const auto before =
        wire::field(1, unknown + wire::field(1, wire::field(1, wire::pair("a", "b")) + unknown) +
                           wire::field(2, unknown + wire::field(2, unknown + named + unknown)) + unknown) +
        unknown;
    const auto after =
        wire::field(1, unknown + wire::field(1, wire::field(1, wire::pair("a", "b")) + unknown) +
                           wire::field(2, unknown + wire::field(2, unknown + named + unknown +
                                                                       wire::field(12, "e"))) +
                           unknown) +
        unknown;
    CHECK(amended(Signal::logs, before, none) == after);
}

TEST_CASE("a resource gets the attributes that it lacks") {
    const Amendments team{{{"cost_centre", "42"}, {"team", "core"}}, {}};
    const auto records = wire::field(2, wire::field(2, wire::field(3, "INFO")));
    const auto both =
        wire::field(1, wire::pair("cost_centre", "42")) + wire::field(1, wire::pair("team", "core"));
    const auto a = wire::field(1, wire::pair("a", "b"));
    const auto mine = wire::field(1, wire::pair("team", "mine"));
    const auto request = [&](const std::string& resource) { return wire::field(1, resource + records); };
    CHECK(amended(Signal::logs, request(wire::field(1, a)), team) == request(wire::field(1, a + both)));
    // What the agent says of itself wins.
    CHECK(amended(Signal::logs, request(wire::field(1, mine)), team) ==
          request(wire::field(1, mine + wire::field(1, wire::pair("cost_centre", "42")))));
    CHECK(amended(Signal::logs, request(wire::field(1, "")), team) == request(wire::field(1, both)));
    CHECK(amended(Signal::logs, request(""), team) == request(wire::field(1, both)));
    // A resource in two parts is one resource.
    CHECK(
        amended(Signal::logs, request(wire::field(1, mine) + wire::field(1, a)), team) ==
        request(wire::field(1, mine) + wire::field(1, a + wire::field(1, wire::pair("cost_centre", "42")))));
    for (const Signal signal : all_signals)
        CHECK(amended(signal, wire::field(1, wire::field(1, a)) + wire::field(1, ""), team) ==
              wire::field(1, wire::field(1, a + both)) + wire::field(1, wire::field(1, both)));
}

TEST_CASE("named attributes are dropped wherever attributes stand, and nowhere else") {
    const Amendments drop{{}, {"gen_ai.system_instructions", "secret"}};
    const auto pair = wire::pair("secret", "s");
    const auto other = wire::pair("secrets", "s");
    const auto both = [&](std::uint32_t number) {
        return wire::field(number, pair) + wire::field(number, other);
    };
    const auto kept = [&](std::uint32_t number) { return wire::field(number, other); };
    const auto make = [&](auto attributes) {
        const auto resource = wire::field(1, attributes(1));
        const auto scope = wire::field(1, attributes(3));
        const auto exemplar = wire::field(5, attributes(7));
        // A body's pairs and a metric's metadata are content, not attributes.
        const auto body = wire::field(5, wire::field(6, wire::field(1, pair)));
        const auto number_point = wire::field(1, attributes(7) + exemplar);
        std::vector<std::string> requests;
        requests.push_back(
            wire::field(1, resource + wire::field(2, scope + wire::field(2, attributes(6) + body))));
        requests.push_back(wire::field(
            1,
            resource +
                wire::field(2, scope + wire::field(2, wire::field(12, pair) + wire::field(5, number_point)) +
                                   wire::field(2, wire::field(7, number_point)) +
                                   wire::field(2, wire::field(9, wire::field(1, attributes(9)))) +
                                   wire::field(2, wire::field(10, wire::field(1, attributes(1)))) +
                                   wire::field(2, wire::field(11, wire::field(1, attributes(7)))))));
        requests.push_back(wire::field(
            1,
            resource + wire::field(2, scope + wire::field(2, attributes(9) + wire::field(11, attributes(3)) +
                                                                 wire::field(13, attributes(4))))));
        return requests;
    };
    const auto before = make(both);
    const auto after = make(kept);
    CHECK(amended(Signal::logs, before[0], drop) == after[0]);
    CHECK(amended(Signal::metrics, before[1], drop) == after[1]);
    CHECK(amended(Signal::traces, before[2], drop) == after[2]);
}

TEST_CASE("the event's name is read before it is dropped, and a resource's attribute may be replaced") {
    const auto named = wire::field(6, wire::pair("event.name", "e"));
    CHECK(amended(Signal::logs, logs(wire::field(2, named)), {{}, {"event.name"}}) ==
          logs(wire::field(2, wire::field(12, "e"))));
    const Amendments replace{{{"host.name", "h"}, {"team", "core"}}, {"host.name"}};
    const auto resource = wire::field(1, wire::field(1, wire::pair("host.name", "laptop")) +
                                             wire::field(1, wire::pair("x", "y")));
    const auto replaced =
        wire::field(1, wire::field(1, wire::pair("x", "y")) + wire::field(1, wire::pair("host.name", "h")) +
                           wire::field(1, wire::pair("team", "core")));
    CHECK(amended(Signal::logs, wire::field(1, resource), replace) == wire::field(1, replaced));
}

TEST_CASE("what a batch holds is counted") {
    const auto bytes =
        protobuf_from_json(Signal::metrics, R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"gauge":{"dataPoints":[{},{}]}},{"sum":{"dataPoints":[{}]}},{"histogram":{"dataPoints":[{}]}},
        {"exponentialHistogram":{"dataPoints":[{}]}},{"summary":{"dataPoints":[{}]}},{"name":"empty"}]}]},{}]})");
    REQUIRE(bytes);
    const auto counts = count(Signal::metrics, *bytes);
    REQUIRE(counts);
    CHECK(*counts == Counts{2, 6, 6, 0, 0});
    CHECK(counts->items() == 6);
    CHECK(*count(Signal::logs, logs(wire::field(2, "") + wire::field(2, ""))) == Counts{1, 0, 0, 2, 0});
    CHECK(*count(Signal::traces, logs(wire::field(2, ""))) == Counts{1, 0, 0, 0, 1});
    CHECK(*count(Signal::traces, "") == Counts{});
}

TEST_CASE("lists of numbers may come packed or one by one") {
    const auto counts = wire::field(6, std::string(16, '\1'));
    const auto single = wire::fixed64(6, 1) + wire::fixed64(6, 2);
    for (const auto& list : {counts, single}) {
        const auto bytes =
            wire::field(1, wire::field(2, wire::field(2, wire::field(9, wire::field(1, list)))));
        CHECK(amended(Signal::metrics, bytes, none) == bytes);
    }
    CHECK_FALSE(count(
        Signal::metrics,
        wire::field(
            1, wire::field(2, wire::field(2, wire::field(9, wire::field(1, wire::field(6, "1234567"))))))));
}

TEST_CASE("what is not a message of the signal is refused") {
    const auto record = logs(wire::field(2, wire::fixed64(1, 5)));
    CHECK(count(Signal::logs, record));
    const std::string truncated = record.substr(0, record.size() - 1);
    const std::string bad[] = {truncated,
                               "{}",
                               "{\"resourceLogs\":[]}",
                               "\x1f\x8b\x08",
                               std::string("\0\0", 2),
                               "\x0b",
                               "\x0a\x7f",
                               wire::number(1, 1),
                               wire::field(1, wire::number(1, 1)),
                               logs(wire::field(2, wire::number(1, 1))),
                               logs(wire::field(2, wire::field(5, wire::field(3, "int as bytes"))))};
    for (const auto& bytes : bad) {
        CAPTURE(bytes);
        const auto result = amend(Signal::logs, bytes, none);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::failed);
        CHECK(result.error().what == "the logs batch in protobuf cannot be read");
        CHECK_FALSE(result.error().why.empty());
        CHECK_FALSE(count(Signal::logs, bytes));
    }
    // A log's time is no metric's name.
    CHECK_FALSE(count(Signal::metrics, record));
    CHECK_FALSE(count(Signal::traces, record));
}

TEST_CASE("nesting is bounded") {
    std::string value;
    for (int i = 0; i < 47; ++i) value = wire::field(5, wire::field(1, value));
    CHECK(count(Signal::logs, logs(wire::field(2, wire::field(5, value)))));
    value = wire::field(5, wire::field(1, value));
    const auto result = count(Signal::logs, logs(wire::field(2, wire::field(5, value))));
    REQUIRE_FALSE(result);
    CHECK(result.error().why == "its messages are nested deeper than 100");
    for (int i = 0; i < 20'000; ++i) value = wire::field(5, wire::field(1, value.substr(0, 1000)));
    CHECK_FALSE(count(Signal::logs, logs(wire::field(2, wire::field(5, value)))));
}
