#include "tests/workspace/http.hpp"
#include "tests/workspace/privileges.hpp"
#include "tests/workspace/sql_engine.hpp"
#include "tests/workspace/sql_parser.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace dbx::standin;

namespace {

std::string canonical(const std::string& text) {
    return type_text(parse_type(text));
}

std::string sql_state(const std::string& sql) {
    try {
        parse_sql(sql);
    } catch (const SqlError& error) {
        return error.sql_state;
    }
    return "";
}

std::string parse_message(const std::string& sql) {
    try {
        parse_sql(sql);
    } catch (const SqlError& error) {
        return error.what();
    }
    return "";
}

// Runs as the admin, or as somebody else.
struct Workbench {
    World world = default_world();
    SqlResult run(const std::string& sql, const std::string& user = "ada@example.com") {
        SqlSession session;
        session.user = user;
        return run_sql(world, session, parse_sql(sql));
    }
    std::string failure(const std::string& sql, const std::string& user = "ada@example.com") {
        try {
            run(sql, user);
        } catch (const SqlError& error) {
            return error.what();
        }
        return "";
    }
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a nested type keeps its shape and loses its aliases and blanks") {
    CHECK(canonical("LONG") == "bigint");
    CHECK(canonical("Integer") == "int");
    CHECK(canonical("STRUCT< a : LONG , b: ARRAY<STRUCT<c: MAP<STRING,STRING>>> >") ==
          "struct<a:bigint,b:array<struct<c:map<string,string>>>>");
    CHECK(canonical("STRUCT<a INT, `b c`: STRING COMMENT 'x'>") == "struct<a:int,`b c`:string>");
    CHECK(canonical("DECIMAL") == "decimal(10,0)");
    CHECK(canonical("dec(12, 2)") == "decimal(12,2)");
    CHECK(canonical("STRUCT<>") == "struct<>");
    CHECK(canonical("STRUCT<count: LONG, sum: DOUBLE, offset: INT, min: DOUBLE>") ==
          "struct<count:bigint,sum:double,offset:int,min:double>");
}

TEST_CASE("a canonical type is read back as itself") {
    for (const char* text : {"struct<`a``b`:int,c:map<string,array<double>>>", "decimal(38,18)", "varchar(7)",
                             "array<timestamp_ntz>", "variant"})
        CHECK(canonical(text) == text);
}

TEST_CASE("a broken type is refused") {
    for (const char* text : {"", "STRUCT<a:>", "MAP<STRING>", "ARRAY<STRING", "ARRAY<STRING>>",
                             "STRUCT<a:INT,>", "MAP<STRING STRING>", "STRUCT<:INT>", "INT INT"})
        CHECK_THROWS_AS(parse_type(text), SqlError);
    CHECK_THROWS_WITH_AS(parse_type("ARRAY<FOO>"), doctest::Contains("[UNSUPPORTED_DATATYPE]"), SqlError);
    std::string deep;
    for (int i = 0; i < 100000; ++i) deep += "ARRAY<";
    CHECK_THROWS_AS(parse_type(deep), SqlError);
}

TEST_CASE("types have the names of Unity Catalog and of Spark") {
    const SqlType type = parse_type("STRUCT<n: LONG, m: MAP<STRING, INT>>");
    CHECK(type_name(type) == "STRUCT");
    CHECK(type_name(parse_type("LONG")) == "LONG");
    CHECK(type_name(parse_type("TINYINT")) == "BYTE");
    const auto json = column_json("c", type, true, "words");
    CHECK(json["metadata"]["comment"] == "words");
    CHECK(json["type"]["fields"][0]["type"] == "long");
    CHECK(json["type"]["fields"][1]["type"]["valueType"] == "integer");
}

TEST_CASE("the documented CREATE TABLE is understood") {
    const auto statement =
        parse_sql("-- metrics\nCREATE TABLE IF NOT EXISTS `main`.`telemetry`.`dev_otel_logs` (\n"
                  "  event_name STRING COMMENT 'it is', /* a /* nested */ comment */\n"
                  "  `time` LONG NOT NULL,\n"
                  "  resource STRUCT<attributes: MAP<STRING, STRING>, n: INT>\n"
                  ") USING DELTA COMMENT 'logs'\n"
                  "TBLPROPERTIES ('otel.schemaVersion' = 'v1', delta.appendOnly = true);");
    const auto& table = std::get<CreateTable>(statement);
    CHECK(table.name == SqlName{"main", "telemetry", "dev_otel_logs"});
    CHECK(table.if_exists == IfExists::skip);
    REQUIRE(table.columns.size() == 3);
    CHECK(table.columns[0].comment == "it is");
    CHECK_FALSE(table.columns[1].nullable);
    CHECK(type_text(table.columns[2].type) == "struct<attributes:map<string,string>,n:int>");
    CHECK(table.properties.at("otel.schemaVersion") == "v1");
    CHECK(table.properties.at("delta.appendOnly") == "true");
    CHECK(table.provider == "delta");
    CHECK(table.comment == "logs");
}

TEST_CASE("an escaped back-quote is part of the name") {
    CHECK(std::get<DescribeTable>(parse_sql("DESC `a``b`")).name == SqlName{"a`b"});
}

TEST_CASE("what is not SQL is refused with its place") {
    CHECK(sql_state("CREATE TABLE t (a INT,)") == "42601");
    CHECK(sql_state("CREATE TABLE t (a INT") == "42601");
    CHECK(sql_state("CREATE TABEL t (a INT)") == "42601");
    CHECK(sql_state("CREATE OR REPLACE TABLE t (a INT)") == "42601");
    CHECK(sql_state("") == "42601");
    CHECK(sql_state(";") == "42601");
    CHECK(sql_state("MERGE INTO t") == "42601");
    CHECK(sql_state("SELECT 'open") == "42601");
    CHECK(sql_state("SELECT 1 /* open") == "42601");
    CHECK(sql_state("CREATE TABLE t (a INT) USING DELTA USING DELTA") == "42601");
    CHECK(sql_state("GRANT SELECT ON TABLE t TO 'p'") == "42601");
    CHECK(sql_state("GRANT SELECT ON TABLE t TO ada@example.com") == "42601");
    CHECK(has(parse_message("SELECT 1;\nSELECT 2"), "extra input 'SELECT'"));
    CHECK(has(parse_message("CREATE TABLE t\n  (a INT b)"), "(line 2, pos 9)"));
}

TEST_CASE("a name with a hyphen wants back-quotes") {
    CHECK(has(parse_message("DESCRIBE TABLE my-catalog.s.t"), "must be back quoted as: `my-catalog`"));
    CHECK(sql_state("DESCRIBE TABLE `my-catalog`.s.t").empty());
}

TEST_CASE("named parameters are values, and only those given") {
    const SqlParameters parameters = {{"p", "v"}, {"n", std::nullopt}};
    const auto select = std::get<Select>(parse_sql("SELECT :p, :n", parameters));
    CHECK(select.items[0].value == "v");
    CHECK(select.items[1].kind == Select::Item::Kind::null);
    CHECK(std::get<DescribeTable>(parse_sql("DESC IDENTIFIER(:t)", {{"t", "a.b.`c d`"}})).name ==
          SqlName{"a", "b", "c d"});
    CHECK(sql_state("SELECT :missing") == "42P02");
    CHECK(sql_state("SELECT ?") == "42601");
    CHECK_THROWS_AS(parse_sql("DESC IDENTIFIER(:t)", {{"t", "a; DROP TABLE b"}}), SqlError);
}

TEST_CASE("a created table is described as it was created") {
    Workbench bench;
    bench.run("CREATE TABLE main.telemetry.T (a LONG COMMENT 'first', b MAP<STRING,STRING>) USING DELTA "
              "TBLPROPERTIES ('otel.schemaVersion'='v1')");
    const SqlResult plain = bench.run("DESCRIBE TABLE main.telemetry.t");
    CHECK(plain.rows == Json::parse(R"([["a","bigint","first"],["b","map<string,string>",null]])"));
    const std::string extended = bench.run("DESCRIBE TABLE EXTENDED main.telemetry.t").rows.dump();
    CHECK(has(extended, R"(["# Detailed Table Information","",""])"));
    CHECK(has(extended, R"(["Type","MANAGED",""])"));
    CHECK(has(extended, R"(["Provider","delta",""])"));
    CHECK(has(extended, "otel.schemaVersion=v1"));
    CHECK(bench.run("SHOW TBLPROPERTIES main.telemetry.t ('otel.schemaVersion')").rows[0][1] == "v1");
    CHECK(has(bench.run("SHOW TBLPROPERTIES main.telemetry.t (nope)").rows[0][1], "does not have property"));
}

TEST_CASE("an existing table fails without IF NOT EXISTS and stays as it was with it") {
    Workbench bench;
    bench.run("CREATE TABLE main.telemetry.t (a INT)");
    CHECK(has(bench.failure("CREATE TABLE main.telemetry.T (b INT)"), "[TABLE_OR_VIEW_ALREADY_EXISTS]"));
    bench.run("CREATE TABLE IF NOT EXISTS main.telemetry.t (b INT)");
    CHECK(bench.run("DESCRIBE main.telemetry.t").rows[0][0] == "a");
}

TEST_CASE("missing places have the error class of their level") {
    Workbench bench;
    CHECK(has(bench.failure("CREATE TABLE nope.s.t (a INT)"), "[NO_SUCH_CATALOG_EXCEPTION]"));
    CHECK(has(bench.failure("CREATE TABLE main.nope.t (a INT)"), "[SCHEMA_NOT_FOUND]"));
    CHECK(has(bench.failure("DESCRIBE main.telemetry.nope"), "[TABLE_OR_VIEW_NOT_FOUND]"));
    CHECK(has(bench.failure("DROP TABLE main.telemetry.nope"), "SQLSTATE: 42P01"));
    bench.run("DROP TABLE IF EXISTS main.telemetry.nope");
    CHECK(has(bench.failure("CREATE SCHEMA main.telemetry"), "[SCHEMA_ALREADY_EXISTS]"));
    bench.run("CREATE SCHEMA IF NOT EXISTS main.telemetry");
}

TEST_CASE("names and columns that Unity Catalog refuses are refused") {
    Workbench bench;
    CHECK(has(bench.failure("CREATE TABLE main.telemetry.`a b` (a INT)"), "is not a valid name"));
    CHECK(has(bench.failure("CREATE TABLE main.telemetry.`a.b` (a INT)"), "is not a valid name"));
    CHECK(has(bench.failure("CREATE TABLE main.telemetry.t (a INT, A STRING)"), "[COLUMN_ALREADY_EXISTS]"));
    CHECK(has(bench.failure("CREATE TABLE main.telemetry.t (`a b` INT)"), "[DELTA_INVALID_CHARACTERS"));
    CHECK(bench.world.tables.empty());
}

TEST_CASE("each missing privilege is named, and each grant takes one step further") {
    Workbench bench;
    const std::string guest = "guest@example.com";
    const std::string create = "CREATE TABLE main.telemetry.t (a INT)";
    CHECK(bench.failure(create, guest) ==
          "PERMISSION_DENIED: User does not have USE CATALOG on Catalog 'main'.");
    bench.run("GRANT USE CATALOG ON CATALOG main TO `guest@example.com`");
    CHECK(has(bench.failure(create, guest), "USE SCHEMA on Schema 'main.telemetry'"));
    bench.run("GRANT USE SCHEMA ON SCHEMA main.telemetry TO `guest@example.com`");
    CHECK(has(bench.failure(create, guest), "[INSUFFICIENT_PERMISSIONS]"));
    CHECK(has(bench.failure(create, guest), "CREATE TABLE on Schema 'main.telemetry'"));
    bench.run("GRANT CREATE TABLE ON SCHEMA main.telemetry TO `guest@example.com`");
    CHECK(bench.failure(create, guest).empty());
    CHECK(bench.world.tables[0].owner == guest);
}

TEST_CASE("a group's grant is its members' and a revoked one is gone") {
    Workbench bench;
    bench.world.principals[1].groups = {"developers"};
    bench.run("CREATE TABLE main.telemetry.t (a INT)");
    bench.run("GRANT USE CATALOG, USE SCHEMA, SELECT ON CATALOG main TO `developers`");
    CHECK(bench.failure("SELECT COUNT(*) FROM main.telemetry.t", "guest@example.com").empty());
    const SqlResult grants = bench.run("SHOW GRANTS `developers` ON TABLE main.telemetry.t");
    CHECK(grants.rows.size() == 3);
    CHECK(grants.rows[0] == Json::parse(R"(["developers","SELECT","CATALOG","main"])"));
    bench.run("REVOKE SELECT ON CATALOG main FROM developers");
    CHECK(has(bench.failure("SELECT * FROM main.telemetry.t", "guest@example.com"), "SELECT on Table"));
}

TEST_CASE("a grant wants rights, a known principal and a privilege that applies") {
    Workbench bench;
    bench.run("CREATE TABLE main.telemetry.t (a INT)");
    CHECK(has(bench.failure("GRANT SELECT ON TABLE main.telemetry.t TO nobody"), "PRINCIPAL_DOES_NOT_EXIST"));
    CHECK(has(bench.failure("GRANT CREATE TABLE ON TABLE main.telemetry.t TO developers"), "not applicable"));
    CHECK(has(bench.failure("GRANT FLY ON TABLE main.telemetry.t TO developers"), "[INVALID_PRIVILEGE]"));
    bench.run("GRANT USE CATALOG, USE SCHEMA ON CATALOG main TO `guest@example.com`");
    CHECK(has(bench.failure("GRANT SELECT ON TABLE main.telemetry.t TO developers", "guest@example.com"),
              "MANAGE on Table"));
}

TEST_CASE("a view remembers its text and wants its tables to exist") {
    Workbench bench;
    CHECK(has(bench.failure("CREATE VIEW main.telemetry.v AS SELECT * FROM main.telemetry.t"),
              "[TABLE_OR_VIEW_NOT_FOUND]"));
    bench.run("CREATE TABLE main.telemetry.t (a INT)");
    bench.run(
        "CREATE OR REPLACE VIEW main.telemetry.v AS SELECT a, count(*) FROM `main`.telemetry.t GROUP BY 1;");
    CHECK(bench.world.tables[1].view_definition == "SELECT a, count(*) FROM `main`.telemetry.t GROUP BY 1");
    CHECK(has(bench.failure("CREATE VIEW main.telemetry.v AS SELECT 1"), "[TABLE_OR_VIEW_ALREADY_EXISTS]"));
    bench.run("CREATE OR REPLACE VIEW main.telemetry.v AS WITH x AS (SELECT 1) SELECT * FROM x");
    CHECK(has(bench.failure("CREATE OR REPLACE VIEW main.telemetry.t AS SELECT 1"), "EXPECT_VIEW_NOT_TABLE"));
    CHECK(has(bench.failure("CREATE VIEW main.telemetry.w AS SELECT (1"), "[PARSE_SYNTAX_ERROR]"));
    CHECK(has(bench.failure("DROP TABLE main.telemetry.v"), "WRONG_COMMAND_FOR_OBJECT_TYPE"));
    bench.run("DROP VIEW main.telemetry.v");
    bench.run("DROP TABLE main.telemetry.t");
    CHECK(bench.world.tables.empty());
}

TEST_CASE("a schema that holds tables is not dropped") {
    Workbench bench;
    bench.run("CREATE SCHEMA main.x COMMENT 'mine'");
    bench.run("CREATE TABLE main.x.t (a INT)");
    CHECK(has(bench.failure("DROP SCHEMA main.x"), "[SCHEMA_NOT_EMPTY]"));
    bench.run("DROP TABLE main.x.t");
    bench.run("DROP SCHEMA main.x");
    CHECK(find_schema(bench.world, "main.x") == nullptr);
}

TEST_CASE("forms and queries are decoded, bad escapes stay") {
    const Headers form = parse_form("a=1+2&b=%41%zz&c&=x");
    CHECK(form[0].second == "1 2");
    CHECK(form[1].second == "A%zz");
    CHECK(form[2] == std::pair<std::string, std::string>("c", ""));
    CHECK(percent_decode("a+b%2", Plus::literal) == "a+b%2");
}
