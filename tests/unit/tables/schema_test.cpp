#include "core/base/strings.hpp"
#include "core/tables/schema.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace dbx;
using namespace dbx::tables;

namespace {

const Place place{"main", "telemetry", "dev"};

// Without the white space that does not matter in SQL.
std::string tokens(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const bool blank = trim(std::string_view(&c, 1)).empty();
        const bool sign = std::string_view("<>(),:=").find(c) != std::string_view::npos;
        if (blank) {
            if (!result.empty() && result.back() != ' ') result += ' ';
        } else {
            if (sign && !result.empty() && result.back() == ' ') result.pop_back();
            result += c;
            if (sign) result += ' ';
        }
    }
    return result;
}

// The statement as Databricks documents it.
std::string documented(std::string_view name) {
    std::ifstream file(std::string(DBX_DOCUMENTED_SQL) + "/documented_" + std::string(name) + ".sql");
    REQUIRE(file);
    std::stringstream text;
    text << file.rdbuf();
    return std::string(trim(text.str()));
}

} // namespace

TEST_CASE("the statements are the documented ones, word for word") {
    for (const auto& [signal, name] : {std::pair{Signal::metrics, "metrics"}, std::pair{Signal::logs, "logs"},
                                       std::pair{Signal::traces, "spans"}}) {
        const std::string shown = name; // a binding cannot be captured by clang 14
        CAPTURE(shown);
        auto text = documented(name);
        text = replace_all(text, "<catalog>.<schema>.<table_prefix>_otel_" + std::string(name),
                           place.quoted_table(signal));
        text = replace_all(text, "CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ");
        CHECK(tokens(create_table(place, signal).sql) == tokens(text));
    }
}

TEST_CASE("the schema as data has the columns of the statements") {
    const auto& metrics = documented_schema(Signal::metrics);
    CHECK(metrics.columns.size() == 14);
    CHECK(metrics.columns.front().name == "name");
    CHECK(metrics.columns[5].name == "sum");
    CHECK(to_text(metrics.columns[5].type) ==
          "struct<start_time_unix_nano:bigint,time_unix_nano:bigint,value:double,exemplars:array<struct<time_"
          "unix_nano:"
          "bigint,value:double,span_id:string,trace_id:string,filtered_attributes:map<string,string>>>,"
          "attributes:map<"
          "string,string>,flags:int,aggregation_temporality:string,is_monotonic:boolean>");
    CHECK(metrics.columns.back().name == "metric_schema_url");
    CHECK(metrics.properties == std::map<std::string, std::string>{{"otel.schemaVersion", "v1"}});
    CHECK(documented_schema(Signal::logs).columns.size() == 15);
    CHECK(to_text(documented_schema(Signal::logs).columns[3].type) == "bigint");
    CHECK(documented_schema(Signal::traces).columns.size() == 20);
    CHECK(documented_schema(Signal::traces).columns.back().name == "span_schema_url");
}

TEST_CASE("statements are single, quoted, and paste as a script") {
    CHECK(create_schema(place).sql == "CREATE SCHEMA IF NOT EXISTS `main`.`telemetry`");
    for (const Signal signal : all_signals) {
        const auto sql = create_table(place, signal).sql;
        CHECK(sql.find(';') == std::string::npos);
        CHECK(sql.find("{{") == std::string::npos);
        CHECK(sql.starts_with("CREATE TABLE IF NOT EXISTS `main`.`telemetry`.`dev_otel_"));
    }
    const auto text = script({create_schema(place), create_table(place, Signal::logs)});
    CHECK(text.find("`telemetry`;\n\nCREATE TABLE") != std::string::npos);
    CHECK(text.ends_with("\n);\n"));
}

TEST_CASE("grants are exactly the writer's, and no principal breaks out of its quotes") {
    const auto list = grants(place, {Signal::metrics, Signal::traces}, "o'neil `x`; DROP TABLE t; --");
    REQUIRE(list.size() == 4);
    const std::string to = " TO `o'neil ``x``; DROP TABLE t; --`";
    CHECK(list[0].sql == "GRANT USE CATALOG ON CATALOG `main`" + to);
    CHECK(list[1].sql == "GRANT USE SCHEMA ON SCHEMA `main`.`telemetry`" + to);
    CHECK(list[2].sql == "GRANT MODIFY, SELECT ON TABLE `main`.`telemetry`.`dev_otel_metrics`" + to);
    CHECK(list[3].sql == "GRANT MODIFY, SELECT ON TABLE `main`.`telemetry`.`dev_otel_spans`" + to);
}
