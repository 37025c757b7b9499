#include "core/otlp/json.hpp"
#include "wire.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace dbx;
using namespace dbx::otlp;

namespace {

std::string good(Signal signal, const std::string& json) {
    CAPTURE(json);
    const auto result = protobuf_from_json(signal, json);
    if (!result) FAIL(result.error().why);
    return *result;
}

std::string why_not(Signal signal, const std::string& json) {
    CAPTURE(json);
    const auto result = protobuf_from_json(signal, json);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::failed);
    CHECK(result.error().what ==
          "the " + std::string(name_of(signal)) + " batch in OTLP/JSON cannot be read");
    return result.error().why;
}

std::string record(const std::string& members) {
    return R"({"resourceLogs":[{"scopeLogs":[{"logRecords":[{)" + members + "}]}]}]}";
}
// The bytes of the one record.
std::string log_of(const std::string& members) {
    return wire::one(good(Signal::logs, record(members)), {1, 2, 2}).bytes;
}
std::string bad_log(const std::string& members) {
    return why_not(Signal::logs, record(members));
}
// The AnyValue of a body.
std::string any_of(const std::string& members) {
    return wire::one(log_of(R"("body":{)" + members + "}"), {5}).bytes;
}

std::string metric(const std::string& members) {
    return R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{)" + members + "}]}]}]}";
}
std::string metric_of(const std::string& members) {
    return wire::one(good(Signal::metrics, metric(members)), {1, 2, 2}).bytes;
}
std::string point_of(const std::string& members) {
    return wire::one(metric_of(R"("gauge":{"dataPoints":[{)" + members + "}]}"), {5, 1}).bytes;
}
std::string bad_point(const std::string& members) {
    return why_not(Signal::metrics, metric(R"("gauge":{"dataPoints":[{)" + members + "}]}"));
}

const std::string path_of_record = "resourceLogs[0].scopeLogs[0].logRecords[0].";

} // namespace

TEST_CASE("an empty request is an empty message") {
    CHECK(good(Signal::logs, "{}").empty());
    CHECK(good(Signal::logs, " { } ").empty());
    CHECK(good(Signal::metrics, R"({"resourceMetrics":[]})").empty());
    CHECK(good(Signal::traces, R"({"resourceSpans":null})").empty());
}

TEST_CASE("an element without members is kept, or a list would lose its order") {
    const auto bytes = good(Signal::logs, R"({"resourceLogs":[{},{}]})");
    CHECK(bytes == std::string("\x0a\0\x0a\0", 4));
    const auto list = wire::all(any_of(R"("arrayValue":{"values":[{},{"intValue":1},{}]})"), {5, 1});
    REQUIRE(list.size() == 3);
    CHECK(list[0].bytes.empty());
    CHECK(list[2].bytes.empty());
}

TEST_CASE("a log record has all its fields where OTLP has them") {
    const auto log = log_of(
        R"("timeUnixNano":"1700000000123456789","observedTimeUnixNano":"1700000000123456790",
           "severityNumber":17,"severityText":"ERROR","eventName":"x.y","droppedAttributesCount":3,"flags":257,
           "traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"A1B2C3D4E5F60718",
           "body":{"stringValue":"hällo"},"attributes":[{"key":"k","value":{"boolValue":false}},{"key":"empty"}])");
    CHECK(wire::one(log, {1}).bits == 1700000000123456789U);
    CHECK(wire::one(log, {1}).type == 1);
    CHECK(wire::one(log, {11}).bits == 1700000000123456790U);
    CHECK(wire::one(log, {2}).bits == 17);
    CHECK(wire::one(log, {2}).type == 0);
    CHECK(wire::one(log, {3}).bytes == "ERROR");
    CHECK(wire::one(log, {5, 1}).bytes == "h\xc3\xa4llo");
    const auto attributes = wire::all(log, {6});
    REQUIRE(attributes.size() == 2);
    CHECK(wire::one(attributes[0].bytes, {1}).bytes == "k");
    CHECK(wire::one(attributes[0].bytes, {2, 2}).bits == 0);
    CHECK(wire::one(attributes[1].bytes, {1}).bytes == "empty");
    CHECK(wire::all(attributes[1].bytes, {2}).empty());
    CHECK(wire::one(log, {7}).bits == 3);
    CHECK(wire::one(log, {8}).bits == 257);
    CHECK(wire::one(log, {8}).type == 5);
    CHECK(wire::one(log, {9}).bytes == "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
    CHECK(wire::one(log, {10}).bytes == "\xa1\xb2\xc3\xd4\xe5\xf6\x07\x18");
    CHECK(wire::one(log, {12}).bytes == "x.y");
}

TEST_CASE("resource, scope and schema stand around the records") {
    const auto bytes = good(Signal::logs, R"({"resourceLogs":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}],"droppedAttributesCount":"2",
                    "entityRefs":[{"schemaUrl":"u","type":"service","idKeys":["a","b"],"descriptionKeys":["c"]}]},
        "schemaUrl":"r","scopeLogs":[{"scope":{"name":"n","version":"v","attributes":[{"key":"x"}],
        "droppedAttributesCount":4},"schemaUrl":"s"}]}]})");
    CHECK(wire::one(bytes, {1, 1, 1, 1}).bytes == "service.name");
    CHECK(wire::one(bytes, {1, 1, 2}).bits == 2);
    CHECK(wire::one(bytes, {1, 1, 3, 1}).bytes == "u");
    CHECK(wire::one(bytes, {1, 1, 3, 2}).bytes == "service");
    CHECK(wire::all(bytes, {1, 1, 3, 3}).at(1).bytes == "b");
    CHECK(wire::one(bytes, {1, 1, 3, 4}).bytes == "c");
    CHECK(wire::one(bytes, {1, 3}).bytes == "r");
    CHECK(wire::one(bytes, {1, 2, 1, 1}).bytes == "n");
    CHECK(wire::one(bytes, {1, 2, 1, 2}).bytes == "v");
    CHECK(wire::one(bytes, {1, 2, 1, 3, 1}).bytes == "x");
    CHECK(wire::one(bytes, {1, 2, 1, 4}).bits == 4);
    CHECK(wire::one(bytes, {1, 2, 3}).bytes == "s");
}

TEST_CASE("a value is one of seven kinds, and a default one is still there") {
    CHECK(any_of("").empty());
    CHECK(any_of(R"("stringValue":"")") == std::string("\x0a\0", 2));
    CHECK(any_of(R"("boolValue":false)") == std::string("\x10\0", 2));
    CHECK(wire::one(any_of(R"("boolValue":true)"), {2}).bits == 1);
    CHECK(any_of(R"("intValue":"0")") == std::string("\x18\0", 2));
    CHECK(wire::one(any_of(R"("intValue":-1)"), {3}).as_signed() == -1);
    CHECK(wire::one(any_of(R"("doubleValue":0)"), {4}).bits == 0);
    CHECK(wire::one(any_of(R"("bytesValue":"")"), {7}).bytes.empty());
    const auto list = any_of(R"("arrayValue":{"values":[{"stringValue":"a"},{"arrayValue":{}}]})");
    CHECK(wire::one(list, {5, 1, 1}).bytes == "a");
    CHECK(wire::one(list, {5, 1, 5}).bytes.empty());
    const auto map = any_of(R"("kvlistValue":{"values":[{"key":"k","value":{"intValue":"7"}}]})");
    CHECK(wire::one(map, {6, 1, 1}).bytes == "k");
    CHECK(wire::one(map, {6, 1, 2, 3}).bits == 7);
}

TEST_CASE("integers of 64 bits come as strings or numbers, to the last bit") {
    const auto integer = [](const std::string& text) {
        return wire::one(any_of(R"("intValue":)" + text), {3}).as_signed();
    };
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    CHECK(integer("9223372036854775807") == most);
    CHECK(integer("\"9223372036854775807\"") == most);
    CHECK(integer("-9223372036854775808") == least);
    CHECK(integer("\"-9223372036854775808\"") == least);
    CHECK(integer("9223372036854775807.0") == most);
    CHECK(integer("922337203685477580.7e1") == most);
    CHECK(integer("9007199254740993.0") == 9007199254740993);
    CHECK(integer("1e3") == 1000);
    CHECK(integer("\"1E+3\"") == 1000);
    CHECK(integer("1200e-2") == 12);
    CHECK(integer("-0") == 0);
    CHECK(integer("0e999999999999") == 0);
    for (const auto* bad : {"9223372036854775808", "\"9223372036854775808\"", "-9223372036854775809"}) {
        CAPTURE(bad);
        CHECK(bad_log(std::string(R"("body":{"intValue":)") + bad + "}") ==
              path_of_record + "body.intValue: the number is out of range");
    }
    for (const auto* bad : {"1.5", "1e-1", "1e30", "\"1e999999999999\"", "\"\"", "\"x\"", "\"1 \"", "\" 1\"",
                            "\"+1\"", "\"0x10\"", "\"1.\"", "\"1e\"", "\"-\"", "\"--1\"", "true", "{}", "[]",
                            "[1]", "18446744073709551616"}) {
        CAPTURE(bad);
        CHECK(bad_log(std::string(R"("body":{"intValue":)") + bad + "}") ==
              path_of_record + "body.intValue: an integer is expected");
    }
    const auto time = [](const std::string& text) {
        return wire::one(log_of(R"("timeUnixNano":)" + text), {1}).bits;
    };
    CHECK(time("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
    CHECK(time("\"18446744073709551615\"") == std::numeric_limits<std::uint64_t>::max());
    CHECK(bad_log(R"("timeUnixNano":-1)") == path_of_record + "timeUnixNano: the number is out of range");
    CHECK(wire::one(point_of(R"("asInt":"-9223372036854775808")"), {6}).as_signed() == least);
    CHECK(bad_log(R"("flags":4294967296)") == path_of_record + "flags: the number is out of range");
    CHECK(wire::one(log_of(R"("droppedAttributesCount":4294967295)"), {7}).bits == 4294967295);
}

TEST_CASE("enums are integers only, also ones this version has no name for") {
    CHECK(wire::one(log_of(R"("severityNumber":24)"), {2}).bits == 24);
    CHECK(wire::one(log_of(R"("severityNumber":99)"), {2}).bits == 99);
    CHECK(wire::one(log_of(R"("severityNumber":-1)"), {2}).as_signed() == -1);
    for (const auto* bad : {R"("SEVERITY_NUMBER_INFO")", R"("9")", "true", "9.5"})
        CHECK(bad_log(std::string(R"("severityNumber":)") + bad) ==
              path_of_record + "severityNumber: an enum's integer is expected");
    CHECK(bad_log(R"("severityNumber":2147483648)") ==
          path_of_record + "severityNumber: the number is out of range");
}

TEST_CASE("doubles are numbers, numbers in quotes, or one of three words") {
    const auto value = [](const std::string& text) {
        return wire::one(point_of(R"("asDouble":)" + text), {4});
    };
    CHECK(value("1.5").as_double() == 1.5);
    CHECK(value("\"-2.5e3\"").as_double() == -2500);
    CHECK(value("7").as_double() == 7);
    CHECK(value("-7").as_double() == -7);
    CHECK(value("18446744073709551615").as_double() == 18446744073709551615.0);
    CHECK(value("1e300").as_double() == 1e300);
    CHECK(std::isnan(value("\"NaN\"").as_double()));
    CHECK(value("\"Infinity\"").as_double() == std::numeric_limits<double>::infinity());
    CHECK(value("\"-Infinity\"").as_double() == -std::numeric_limits<double>::infinity());
    CHECK(value("0").bits == 0);
    CHECK(value("-0.0").bits == std::uint64_t{1} << 63);
    for (const auto* bad : {"\"nan\"", "\"inf\"", "\"infinity\"", "\"\"", "\"1,5\"", "\"0x1p3\"", "\"1.5 \"",
                            "\".5\"", "\"1e999\"", "true", "{}"}) {
        CAPTURE(bad);
        CHECK(bad_point(std::string(R"("asDouble":)") + bad) ==
              "resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asDouble: a number is "
              "expected");
    }
    CHECK(why_not(Signal::metrics, metric(R"("gauge":{"dataPoints":[{"asDouble":NaN}]})"))
              .starts_with("it is not JSON"));
    CHECK(why_not(Signal::metrics, metric(R"("gauge":{"dataPoints":[{"asDouble":1e999}]})"))
              .starts_with("a number is out of range at byte "));
}

TEST_CASE("null is as good as absent, for any member") {
    CHECK(
        log_of(R"("timeUnixNano":null,"severityNumber":null,"severityText":null,"body":null,"attributes":null,
                    "flags":null,"traceId":null,"eventName":null)")
            .empty());
    CHECK(any_of(R"("stringValue":null,"intValue":1)") == "\x18\x01");
    CHECK(good(Signal::logs, R"({"resourceLogs":[{"resource":null,"scopeLogs":null}]})") ==
          std::string("\x0a\0", 2));
    CHECK(log_of(R"("eventName":null,"eventName":"x")") == wire::field(12, "x"));
    CHECK(why_not(Signal::logs, R"({"resourceLogs":[null]})") ==
          "resourceLogs[0]: null cannot be an element");
    CHECK(why_not(Signal::logs, "null") == "an object is expected");
}

TEST_CASE("unknown members are passed over, whatever they hold") {
    CHECK(
        log_of(
            R"("unknown":{"traceId":7,"a":[{"b":[1,"x",null,true,1.5]}]},"severityText":"t","x":[[],{}])") ==
        wire::field(3, "t"));
    // The original names of protobuf are unknown ones, and so are those that only profiles use.
    CHECK(log_of(R"("severity_text":"t","SeverityText":"t","name":"n")").empty());
    CHECK(any_of(R"("stringValueStrindex":3)").empty());
    CHECK(good(Signal::logs, R"({"resource_logs":[1],"resourceSpans":[7]})").empty());
}

TEST_CASE("default values of fields without presence are left out, of the others kept") {
    CHECK(log_of(
              R"("timeUnixNano":0,"severityNumber":0,"severityText":"","flags":"0","traceId":"","spanId":"")")
              .empty());
    const auto point =
        wire::one(metric_of(R"("histogram":{"dataPoints":[{"count":0,"sum":0,"min":0,"max":-0.0}]})"), {9, 1})
            .bytes;
    CHECK(wire::all(point, {4}).empty());
    CHECK(wire::one(point, {5}).bits == 0);
    CHECK(wire::one(point, {11}).bits == 0);
    CHECK(wire::one(point, {12}).bits == std::uint64_t{1} << 63);
    CHECK(log_of(R"("body":{})") == std::string("\x2a\0", 2));
}

TEST_CASE("ids are hex of their length, other bytes base64 of any usual form") {
    for (const auto* bad :
         {"\"00\"", "\"0102030405060708090a0b0c0d0e0f1\"", "\"0102030405060708090a0b0c0d0e0f1g\"",
          "\"AQIDBAUGBwgJCgsMDQ4PEA==\"", "\"0x02030405060708090a0b0c0d0e0f1011\""}) {
        CAPTURE(bad);
        CHECK(bad_log(std::string(R"("traceId":)") + bad) ==
              path_of_record + "traceId: an id of 32 hex digits is expected");
    }
    CHECK(bad_log(R"("spanId":"0102030405060708090a0b0c0d0e0f10")") ==
          path_of_record + "spanId: an id of 16 hex digits is expected");
    CHECK(bad_log(R"("traceId":1)") == path_of_record + "traceId: an id in hex is expected");
    const auto bytes = [](const std::string& text) {
        return wire::one(any_of(R"("bytesValue":")" + text + "\""), {7}).bytes;
    };
    CHECK(bytes("AAEC") == std::string("\0\1\2", 3));
    CHECK(bytes("/+8=") == "\xff\xef");
    CHECK(bytes("_-8") == "\xff\xef");
    CHECK(bytes("YQ==") == "a");
    CHECK(bytes("YQ") == "a");
    for (const auto* bad : {"Y", "YQ=Q", "Y Q=", "YQ\\n", "YQ*="})
        CHECK(bad_log(std::string(R"("body":{"bytesValue":")") + bad + "\"}") ==
              path_of_record + "body.bytesValue: base64 is expected");
}

TEST_CASE("numbers' lists are packed") {
    const auto point = wire::one(metric_of(R"("histogram":{"aggregationTemporality":1,"dataPoints":[{
        "startTimeUnixNano":"1","timeUnixNano":"2","count":"6","sum":21.5,"bucketCounts":["1","2",3],
        "explicitBounds":[0.5,"1","Infinity"],"flags":1,"min":-1,"max":9,
        "attributes":[{"key":"k"}],
        "exemplars":[{"timeUnixNano":3,"asDouble":1.5,"spanId":"0000000000000001","traceId":"00000000000000000000000000000002",
                      "filteredAttributes":[{"key":"f"}]},{"asInt":"-5"}]}]})"),
                                 {9, 1})
                           .bytes;
    CHECK(wire::one(point, {2}).bits == 1);
    CHECK(wire::one(point, {3}).bits == 2);
    CHECK(wire::one(point, {4}).bits == 6);
    CHECK(wire::one(point, {5}).as_double() == 21.5);
    CHECK(wire::eights(wire::one(point, {6}).bytes) == std::vector<std::uint64_t>{1, 2, 3});
    const auto bounds = wire::doubles(wire::one(point, {7}).bytes);
    REQUIRE(bounds.size() == 3);
    CHECK(bounds[1] == 1);
    CHECK(std::isinf(bounds[2]));
    CHECK(wire::one(point, {10}).bits == 1);
    CHECK(wire::one(point, {11}).as_double() == -1);
    CHECK(wire::one(point, {12}).as_double() == 9);
    CHECK(wire::one(point, {9, 1}).bytes == "k");
    const auto exemplars = wire::all(point, {8});
    REQUIRE(exemplars.size() == 2);
    CHECK(wire::one(exemplars[0].bytes, {2}).bits == 3);
    CHECK(wire::one(exemplars[0].bytes, {3}).as_double() == 1.5);
    CHECK(wire::one(exemplars[0].bytes, {4}).bytes.back() == 1);
    CHECK(wire::one(exemplars[0].bytes, {5}).bytes.back() == 2);
    CHECK(wire::one(exemplars[0].bytes, {7, 1}).bytes == "f");
    CHECK(wire::one(exemplars[1].bytes, {6}).as_signed() == -5);
    CHECK(why_not(Signal::metrics, metric(R"("histogram":{"dataPoints":[{"bucketCounts":[1,2.5]}]})")) ==
          "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]: "
          "an integer is expected");
    CHECK(why_not(Signal::metrics, metric(R"("histogram":{"dataPoints":[{"bucketCounts":[1,-2]}]})"))
              .ends_with("bucketCounts[1]: the number is out of range"));
    CHECK(why_not(Signal::metrics, metric(R"("histogram":{"dataPoints":[{"bucketCounts":[1,null]}]})"))
              .ends_with("null cannot be an element"));
}

TEST_CASE("every kind of metric has its fields where OTLP has them") {
    const auto sum = metric_of(R"("name":"n","description":"d","unit":"u","metadata":[{"key":"m"}],
        "sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":"3","flags":1,
        "startTimeUnixNano":4,"timeUnixNano":5,"attributes":[{"key":"k"}],"exemplars":[{"asInt":1}]}]})");
    CHECK(wire::one(sum, {1}).bytes == "n");
    CHECK(wire::one(sum, {2}).bytes == "d");
    CHECK(wire::one(sum, {3}).bytes == "u");
    CHECK(wire::one(sum, {12, 1}).bytes == "m");
    CHECK(wire::one(sum, {7, 2}).bits == 2);
    CHECK(wire::one(sum, {7, 3}).bits == 1);
    CHECK(wire::one(sum, {7, 1, 6}).bits == 3);
    CHECK(wire::one(sum, {7, 1, 2}).bits == 4);
    CHECK(wire::one(sum, {7, 1, 3}).bits == 5);
    CHECK(wire::one(sum, {7, 1, 8}).bits == 1);
    CHECK(wire::one(sum, {7, 1, 7, 1}).bytes == "k");
    CHECK(wire::one(sum, {7, 1, 5, 6}).bits == 1);

    const auto exponential = metric_of(R"("exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{
        "attributes":[{"key":"k"}],"startTimeUnixNano":1,"timeUnixNano":2,"count":3,"sum":4,"scale":-5,"zeroCount":"6",
        "positive":{"offset":-7,"bucketCounts":["8","300"]},"negative":{"offset":9,"bucketCounts":[]},"flags":10,
        "exemplars":[{}],"min":12,"max":13,"zeroThreshold":14}]})");
    CHECK(wire::one(exponential, {10, 2}).bits == 1);
    const auto point = wire::one(exponential, {10, 1}).bytes;
    CHECK(wire::one(point, {1, 1}).bytes == "k");
    CHECK(wire::one(point, {2}).bits == 1);
    CHECK(wire::one(point, {3}).bits == 2);
    CHECK(wire::one(point, {4}).bits == 3);
    CHECK(wire::one(point, {5}).as_double() == 4);
    CHECK(wire::one(point, {6}).as_zigzag() == -5);
    CHECK(wire::one(point, {7}).bits == 6);
    CHECK(wire::one(point, {8, 1}).as_zigzag() == -7);
    CHECK(wire::varints(wire::one(point, {8, 2}).bytes) == std::vector<std::uint64_t>{8, 300});
    CHECK(wire::one(point, {9, 1}).as_zigzag() == 9);
    CHECK(wire::one(point, {10}).bits == 10);
    CHECK(wire::one(point, {11}).bytes.empty());
    CHECK(wire::one(point, {12}).as_double() == 12);
    CHECK(wire::one(point, {13}).as_double() == 13);
    CHECK(wire::one(point, {14}).as_double() == 14);

    const auto summary =
        metric_of(R"("summary":{"dataPoints":[{"startTimeUnixNano":1,"timeUnixNano":2,"count":3,
        "sum":4,"quantileValues":[{"quantile":0.5,"value":6},{"quantile":1}],"attributes":[{"key":"k"}],"flags":8}]})");
    CHECK(wire::one(summary, {11, 1, 4}).bits == 3);
    CHECK(wire::one(summary, {11, 1, 5}).as_double() == 4);
    CHECK(wire::all(summary, {11, 1, 6}).size() == 2);
    CHECK(wire::one(summary, {11, 1, 6, 2}).as_double() == 6);
    CHECK(wire::one(summary, {11, 1, 7, 1}).bytes == "k");
    CHECK(wire::one(summary, {11, 1, 8}).bits == 8);
}

TEST_CASE("spans have events, links and a status") {
    const auto bytes = good(Signal::traces, R"({"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"00000000000000000000000000000001","spanId":"0000000000000002","traceState":"s","parentSpanId":"",
        "name":"n","kind":3,"startTimeUnixNano":"7","endTimeUnixNano":"8","attributes":[{"key":"k"}],
        "droppedAttributesCount":10,"droppedEventsCount":12,"droppedLinksCount":14,"flags":16,
        "events":[{"timeUnixNano":"1","name":"e","attributes":[{"key":"ek"}],"droppedAttributesCount":4}],
        "links":[{"traceId":"00000000000000000000000000000003","spanId":"0000000000000004","traceState":"l",
                  "attributes":[{"key":"lk"}],"droppedAttributesCount":5,"flags":6}],
        "status":{"message":"m","code":2}}]}]}]})");
    const auto span = wire::one(bytes, {1, 2, 2}).bytes;
    CHECK(wire::one(span, {1}).bytes.size() == 16);
    CHECK(wire::one(span, {2}).bytes.back() == 2);
    CHECK(wire::one(span, {3}).bytes == "s");
    CHECK(wire::all(span, {4}).empty());
    CHECK(wire::one(span, {5}).bytes == "n");
    CHECK(wire::one(span, {6}).bits == 3);
    CHECK(wire::one(span, {7}).bits == 7);
    CHECK(wire::one(span, {8}).bits == 8);
    CHECK(wire::one(span, {9, 1}).bytes == "k");
    CHECK(wire::one(span, {10}).bits == 10);
    CHECK(wire::one(span, {11, 1}).bits == 1);
    CHECK(wire::one(span, {11, 2}).bytes == "e");
    CHECK(wire::one(span, {11, 3, 1}).bytes == "ek");
    CHECK(wire::one(span, {11, 4}).bits == 4);
    CHECK(wire::one(span, {12}).bits == 12);
    CHECK(wire::one(span, {13, 1}).bytes.back() == 3);
    CHECK(wire::one(span, {13, 2}).bytes.back() == 4);
    CHECK(wire::one(span, {13, 3}).bytes == "l");
    CHECK(wire::one(span, {13, 4, 1}).bytes == "lk");
    CHECK(wire::one(span, {13, 5}).bits == 5);
    CHECK(wire::one(span, {13, 6}).bits == 6);
    CHECK(wire::one(span, {14}).bits == 14);
    CHECK(wire::one(span, {15, 2}).bytes == "m");
    CHECK(wire::one(span, {15, 3}).bits == 2);
    CHECK(wire::one(span, {16}).bits == 16);
    CHECK(wire::one(span, {16}).type == 5);
}

TEST_CASE("a wrong type is refused with its path and without its value") {
    CHECK(bad_log(R"("severityText":17)") == path_of_record + "severityText: a string is expected");
    CHECK(bad_log(R"("severityText":{"secret":1})") == path_of_record + "severityText: a string is expected");
    CHECK(bad_log(R"("severityText":["secret"])") == path_of_record + "severityText: a string is expected");
    CHECK(bad_log(R"("body":"secret")") == path_of_record + "body: an object is expected");
    CHECK(bad_log(R"("body":[])") == path_of_record + "body: an object is expected");
    CHECK(bad_log(R"("body":{"boolValue":"true"})") ==
          path_of_record + "body.boolValue: true or false is expected");
    CHECK(bad_log(R"("body":{"boolValue":1})") ==
          path_of_record + "body.boolValue: true or false is expected");
    CHECK(bad_log(R"("attributes":{})") == path_of_record + "attributes: an array is expected");
    CHECK(bad_log(R"("attributes":"x")") == path_of_record + "attributes: an array is expected");
    CHECK(bad_log(R"("attributes":[{"key":"a"},7])") ==
          path_of_record + "attributes[1]: an object is expected");
    CHECK(bad_log(R"("attributes":[[]])").find("an object is expected") != std::string::npos);
    CHECK(bad_log(R"("attributes":[{"key":"a"},{"key":2}])") ==
          path_of_record + "attributes[1].key: a string is expected");
    CHECK(why_not(Signal::logs, "[]") == "an object is expected");
    CHECK(why_not(Signal::logs, "7") == "an object is expected");
    CHECK(why_not(Signal::logs, "\"x\"") == "an object is expected");
}

TEST_CASE("a member twice, or two of a oneof, is refused") {
    CHECK(bad_log(R"("severityText":"a","severityText":"b")") ==
          path_of_record + "severityText: it is there twice");
    CHECK(bad_log(R"("body":{"stringValue":"a","intValue":1})") ==
          path_of_record + "body.intValue: 'stringValue' is there too");
    CHECK(why_not(Signal::metrics, metric(R"("gauge":{},"sum":{})")) ==
          "resourceMetrics[0].scopeMetrics[0].metrics[0].sum: 'gauge' is there too");
}

TEST_CASE("what is not JSON is refused without quoting it") {
    for (const auto* bad :
         {"", " ", "{", "{}{}", "{} x", "{\"a\":secret}", "{'a':1}", "{\"a\":1,}", "\xff", "{\"a\":\"\xff\"}",
          "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":01}", "\\ud800"}) {
        CAPTURE(bad);
        const auto why = why_not(Signal::logs, bad);
        CHECK(why.starts_with("it is not JSON"));
        CHECK(why.find("secret") == std::string::npos);
    }
}

TEST_CASE("half a surrogate pair becomes U+FFFD, whole pairs stay") {
    const auto text = [](const std::string& json) {
        return wire::one(any_of(R"("stringValue":")" + json + "\""), {1}).bytes;
    };
    CHECK(text(R"(\ud83d\ude00)") == "\xf0\x9f\x98\x80");
    CHECK(text(R"(cut \ud83d)") == "cut \xef\xbf\xbd");
    CHECK(text(R"(\uD83D\ud83d\ude00)") == "\xef\xbf\xbd\xf0\x9f\x98\x80");
    CHECK(text(R"(\ude00x)") == "\xef\xbf\xbdx");
    CHECK(text(R"(\\ud83d)") == "\\ud83d");
    CHECK(text(R"(\\\ud83d)") == "\\\xef\xbf\xbd");
}

TEST_CASE("nesting is bounded for messages and free for what is passed over") {
    const auto nested = [](int levels) {
        std::string open, close;
        for (int i = 0; i < levels; ++i) {
            open += R"("arrayValue":{"values":[{)";
            close += "}]}";
        }
        return record(R"("body":{)" + open + close + "}");
    };
    // Request, resource, scope, record, body; two messages a level.
    CHECK(protobuf_from_json(Signal::logs, nested(47)));
    CHECK(why_not(Signal::logs, nested(48)).ends_with("messages are nested deeper than 100"));
    const std::size_t deep = 200'000;
    const auto brackets = std::string(deep, '[') + std::string(deep, ']');
    CHECK(log_of(R"("unknown":)" + brackets).empty());
    CHECK_FALSE(protobuf_from_json(Signal::logs, std::string(deep, '[')));
    std::string objects;
    for (std::size_t i = 0; i < deep; ++i) objects += R"({"a":)";
    CHECK_FALSE(protobuf_from_json(Signal::logs, objects));
}

TEST_CASE("too much at once is refused") {
    std::string large = "{\"x\":\"" + std::string(longest_json_bytes, 'x') + "\"}";
    CHECK(why_not(Signal::logs, large) == "it is longer than 16 MiB");
    large.erase(10, large.size() - longest_json_bytes);
    CHECK(good(Signal::logs, large).empty());
}

TEST_CASE("long contents have long lengths") {
    const std::string text(70'000, 'a');
    CHECK(any_of(R"("stringValue":")" + text + "\"") == wire::field(1, text));
}
