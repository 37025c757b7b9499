#include "core/tables/compare.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace dbx;
using namespace dbx::tables;

namespace {

// The table as Unity Catalog would tell of it right after its creation.
databricks::TableInfo right_table(Signal signal = Signal::logs) {
    databricks::TableInfo table;
    table.table_type = "MANAGED";
    table.data_source_format = "DELTA";
    for (const auto& column : documented_schema(signal).columns)
        table.columns.push_back(
            {column.name, to_text(column.type), static_cast<std::int64_t>(table.columns.size()), true, ""});
    table.properties = {{"otel.schemaVersion", "v1"}, {"delta.enableDeletionVectors", "true"}};
    return table;
}

std::vector<Difference> against_logs(const databricks::TableInfo& table) {
    return compare(documented_schema(Signal::logs), table);
}

databricks::TableColumn* column(databricks::TableInfo& table, std::string_view name) {
    return &*std::find_if(table.columns.begin(), table.columns.end(),
                          [&](const auto& c) { return c.name == name; });
}

} // namespace

TEST_CASE("a table as it was created is the same, for every signal") {
    for (const Signal signal : all_signals)
        CHECK(compare(documented_schema(signal), right_table(signal)).empty());
}

TEST_CASE("further properties, comments and lower case do not matter") {
    auto table = right_table();
    table.table_type = "managed";
    table.data_source_format = "delta";
    table.properties["delta.minReaderVersion"] = "3";
    table.columns[0].comment = "the event";
    for (auto& c : table.columns)
        std::transform(c.name.begin(), c.name.end(), c.name.begin(), [](char ch) {
            return ch >= 'a' && ch <= 'z' ? static_cast<char>(ch - 'a' + 'A') : ch;
        });
    CHECK(against_logs(table).empty());
}

TEST_CASE("a dropped, an added and a changed column are each told") {
    auto table = right_table();
    std::erase_if(table.columns, [](const auto& c) { return c.name == "span_id"; });
    table.columns.push_back({"mine", "string", 99, true, ""});
    column(table, "time_unix_nano")->type_text = "timestamp";
    column(table, "resource")->type_text = "struct<attributes:map<string,int>,dropped_attributes_count:int>";
    const auto found = against_logs(table);
    REQUIRE(found.size() == 4);
    CHECK(describe(found[0]) == "column time_unix_nano: is timestamp, must be bigint");
    CHECK(describe(found[1]) == "column resource.attributes{value}: is int, must be string");
    CHECK(describe(found[2]) == "column mine: is string, must not be there");
    CHECK(describe(found[3]) == "column span_id: missing, must be string");
}

TEST_CASE("a type that cannot be read is shown as it is") {
    auto table = right_table();
    column(table, "body")->type_text = "variant<<";
    const auto found = against_logs(table);
    REQUIRE(found.size() == 1);
    CHECK(describe(found[0]) == "column body: is variant<<, must be string");
}

TEST_CASE("order and NOT NULL matter") {
    auto table = right_table();
    std::swap(table.columns[0], table.columns[1]);
    auto found = against_logs(table);
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == Difference::Kind::order);

    table = right_table();
    table.columns[2].nullable = false;
    found = against_logs(table);
    REQUIRE(found.size() == 1);
    CHECK(describe(found[0]) == "column span_id: is NOT NULL, must accept NULL");
}

TEST_CASE("an external table, another format and another schema version are told") {
    auto table = right_table();
    table.table_type = "EXTERNAL";
    table.data_source_format = "";
    table.properties["otel.schemaVersion"] = "v2";
    auto found = against_logs(table);
    REQUIRE(found.size() == 3);
    CHECK(describe(found[0]) == "table type: is EXTERNAL, must be MANAGED");
    CHECK(describe(found[1]) == "format: is not set, must be DELTA");
    CHECK(describe(found[2]) == "property otel.schemaVersion: is v2, must be v1");
    table = right_table();
    table.properties.clear();
    CHECK(describe(against_logs(table).at(0)) == "property otel.schemaVersion: is not set, must be v1");
}

TEST_CASE("a description tells of columns and details, and of nothing between") {
    databricks::StatementResult result;
    result.columns = {{"col_name", "string"}, {"data_type", "string"}, {"comment", "string"}};
    for (const auto& c : documented_schema(Signal::logs).columns)
        result.rows.push_back({c.name, to_text(c.type), std::nullopt});
    for (const auto& [a, b] : std::vector<std::pair<std::string, std::string>>{
             {"# Clustering Information", ""},
             {"# col_name", "data_type"},
             {"body", "string"},
             {"", ""},
             {"# Detailed Table Information", ""},
             {"Type", "MANAGED"},
             {"Provider", "delta"},
             {"Owner", "ada"},
             {"Table Properties", "[delta.x=1,otel.schemaVersion=v1]"}})
        result.rows.push_back({a, b, ""});
    const auto table = read_description(result);
    REQUIRE(table);
    CHECK(table->columns.size() == 15);
    CHECK(table->owner == "ada");
    CHECK(against_logs(*table).empty());

    result.rows.clear();
    CHECK_FALSE(read_description(result));
    result.rows = {{}, {std::nullopt}, {std::nullopt, "x"}};
    CHECK_FALSE(read_description(result));
}
