// Bodies that real agents sent (files/): shortened, with names and ids replaced, otherwise as they came.
// Gemini CLI 0.61 sends only JSON; Claude Code 2.1.330 and Codex 0.171 were told to.
#include "core/otlp/amend.hpp"
#include "core/otlp/json.hpp"
#include "wire.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

using namespace dbx;
using namespace dbx::otlp;

namespace {

std::string converted(Signal signal, const std::string& file) {
    std::ifstream stream(std::string(DBX_OTLP_FILES) + "/" + file, std::ios::binary);
    const std::string json{std::istreambuf_iterator<char>(stream), {}};
    REQUIRE_FALSE(json.empty());
    const auto result = protobuf_from_json(signal, json);
    if (!result) FAIL(result.error().why);
    return *result;
}

// The AnyValue of a key among pairs.
std::string value_of(const std::string& message, std::uint32_t pairs, std::string_view key) {
    for (const auto& pair : wire::all(message, {pairs}))
        if (wire::one(pair.bytes, {1}).bytes == key) return wire::one(pair.bytes, {2}).bytes;
    FAIL("no attribute of that name");
    return {};
}

} // namespace

TEST_CASE("Gemini CLI's logs get their event names, and its system prompt can be dropped") {
    const auto bytes = converted(Signal::logs, "gemini_logs.json");
    CHECK(*count(Signal::logs, bytes) == Counts{1, 0, 0, 2, 0});
    for (const auto& record : wire::all(bytes, {1, 2, 2})) CHECK(wire::all(record.bytes, {12}).empty());
    const auto details = wire::all(bytes, {1, 2, 2}).front().bytes;
    CHECK(wire::one(value_of(details, 6, "gen_ai.system_instructions"), {1}).bytes.size() > 200);
    // An attribute without a value, an integer as a JSON number, a double.
    CHECK(value_of(details, 6, "gen_ai.request.seed").empty());
    CHECK(wire::one(value_of(details, 6, "gen_ai.request.top_k"), {3}).bits == 64);
    CHECK(wire::one(value_of(details, 6, "gen_ai.request.top_p"), {4}).as_double() == 0.95);
    CHECK(wire::one(details, {1}).bits == 1767225609757000000);

    const Amendments amendments{{{"team", "core"}}, {"gen_ai.system_instructions", "process.command_args"}};
    const auto amended = amend(Signal::logs, bytes, amendments);
    REQUIRE(amended);
    const auto records = wire::all(*amended, {1, 2, 2});
    REQUIRE(records.size() == 2);
    CHECK(wire::one(records[0].bytes, {12}).bytes == "gen_ai.client.inference.operation.details");
    CHECK(wire::one(records[1].bytes, {12}).bytes == "gemini_cli.api_response");
    CHECK(amended->find("You are Gemini CLI") == std::string::npos);
    CHECK(amended->find("say hi") == std::string::npos);
    CHECK(wire::all(records[0].bytes, {6}).size() == wire::all(details, {6}).size() - 1);
    CHECK(wire::one(value_of(wire::one(*amended, {1, 1}).bytes, 1, "team"), {1}).bytes == "core");
}

TEST_CASE("Gemini CLI's metrics are cumulative sums and histograms") {
    const auto bytes = converted(Signal::metrics, "gemini_metrics.json");
    CHECK(*count(Signal::metrics, bytes) == Counts{1, 2, 3, 0, 0});
    const auto metrics = wire::all(bytes, {1, 2, 2});
    CHECK(wire::one(metrics[0].bytes, {1}).bytes == "gemini_cli.token.usage");
    CHECK(wire::one(metrics[0].bytes, {7, 2}).bits == 2);
    CHECK(wire::all(metrics[0].bytes, {7, 1, 6}).front().bits == 10);
    const auto point = wire::one(metrics[1].bytes, {9, 1}).bytes;
    CHECK(wire::one(point, {4}).bits == 1);
    CHECK(wire::one(point, {5}).as_double() == 0.147);
    CHECK(wire::eights(wire::one(point, {6}).bytes).size() == 16);
    CHECK(wire::doubles(wire::one(point, {7}).bytes).size() == 15);
    CHECK(*amend(Signal::metrics, bytes, {}) == bytes);
}

TEST_CASE("Claude Code's logs get their event names") {
    const auto bytes = converted(Signal::logs, "claude_logs.json");
    const auto record = wire::one(*amend(Signal::logs, bytes, {}), {1, 2, 2}).bytes;
    CHECK(wire::one(record, {12}).bytes == "api_request");
    CHECK(wire::one(record, {5, 1}).bytes == "claude_code.api_request");
    CHECK(wire::one(value_of(record, 6, "cost_usd"), {4}).as_double() == 0.000693);
}

TEST_CASE("Codex's own event_name, a line of its source, is left as it is") {
    const auto bytes = converted(Signal::logs, "codex_logs.json");
    CHECK(*count(Signal::logs, bytes) == Counts{1, 0, 0, 2, 0});
    const auto record = wire::all(bytes, {1, 2, 2}).back().bytes;
    CHECK(wire::one(value_of(record, 6, "event.name"), {1}).bytes == "codex.api_request");
    CHECK(wire::one(record, {12}).bytes == "event otel/src/events/session_telemetry.rs:837");
    CHECK(wire::all(record, {5}).empty());
    CHECK(*amend(Signal::logs, bytes, {}) == bytes);
}
