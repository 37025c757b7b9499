#include "core/tables/types.hpp"

#include <doctest/doctest.h>

using namespace dbx::tables;

namespace {

std::string canonical(std::string_view text) {
    const auto type = parse_type(text);
    return type ? to_text(*type) : "(none)";
}

std::vector<TypeDifference> between(std::string_view expected, std::string_view found) {
    return compare_types(*parse_type(expected), *parse_type(found));
}

} // namespace

TEST_CASE("one type has one text, however it is written") {
    CHECK(canonical("LONG") == "bigint");
    CHECK(canonical(" Integer ") == "int");
    CHECK(canonical("SHORT") == "smallint");
    CHECK(canonical("BYTE") == "tinyint");
    CHECK(canonical("REAL") == "float");
    CHECK(canonical("numeric( 10 , 2 )") == "decimal(10,2)");
    CHECK(canonical("MAP < STRING , STRING >") == "map<string,string>");
    CHECK(canonical("STRUCT<\n  a: LONG,\n  b: ARRAY<STRUCT<c: DOUBLE>>\n>") ==
          "struct<a:bigint,b:array<struct<c:double>>>");
    CHECK(canonical("struct<a bigint, b int>") == "struct<a:bigint,b:int>");
    CHECK(canonical("STRUCT<a: LONG NOT NULL COMMENT 'it''s', `odd name`: INT>") ==
          "(none)"); // '' is no escape
    CHECK(canonical("STRUCT<a: LONG NOT NULL COMMENT 'it\\'s > <', `odd ``name`: INT>") ==
          "struct<a:bigint,`odd ``name`:int>");
    CHECK(canonical("struct<>") == "struct<>");
    CHECK(canonical("struct<array:int,map:int,not:int>") == "struct<array:int,map:int,not:int>");
}

TEST_CASE("what is no type is not read") {
    for (const auto* text : {"",
                             " ",
                             "<",
                             "array",
                             "array<>",
                             "array<int",
                             "array<int>>",
                             "map<int>",
                             "map<int,int,int>",
                             "struct<a>",
                             "struct<a:>",
                             "struct<:int>",
                             "struct<a:int,>",
                             "struct<`a:int>",
                             "struct<``:int>",
                             "int int",
                             "int;",
                             "decimal(",
                             "decimal()",
                             "decimal(1,)",
                             "struct<a:int NOT>",
                             "struct<a:int COMMENT 'x>",
                             "a.b",
                             "-"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_type(text));
    }
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "array<";
    CHECK_FALSE(parse_type(deep));
    std::string allowed = "int";
    for (int i = 0; i < 60; ++i) allowed = "array<" + allowed + ">";
    CHECK(parse_type(allowed));
}

TEST_CASE("equal types do not differ, whatever the case of their names") {
    CHECK(between("STRUCT<A: LONG, b: MAP<STRING, ARRAY<INT>>>", "struct<a:bigint,B:map<string,array<int>>>")
              .empty());
}

TEST_CASE("a difference is found where it is, and only there") {
    const auto found = between("struct<s:array<struct<value:double,m:map<string,string>>>,n:int>",
                               "struct<s:array<struct<value:string,m:map<string,bigint>>>,n:int>");
    REQUIRE(found.size() == 2);
    CHECK(found[0].path == ".s[].value");
    CHECK(found[0].expected == "double");
    CHECK(found[0].found == "string");
    CHECK(found[1].path == ".s[].m{value}");
    CHECK(found[1].found == "bigint");
}

TEST_CASE("missing, extra, repeated and misplaced fields are told apart") {
    auto found = between("struct<a:int,b:int,c:int>", "struct<a:int,c:int>");
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == TypeDifference::Kind::missing);
    CHECK(found[0].path == ".b");

    found = between("struct<a:int,b:int>", "struct<a:int,x:string,b:int,A:int>");
    REQUIRE(found.size() == 2);
    CHECK(found[0].kind == TypeDifference::Kind::extra);
    CHECK(found[0].path == ".x");
    CHECK(found[1].path == ".A");

    found = between("struct<a:int,b:int,c:int,d:int>", "struct<b:int,c:int,d:int,a:int>");
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == TypeDifference::Kind::order);
    CHECK(found[0].path == ".a");
    CHECK(found[0].expected == "1");
    CHECK(found[0].found == "4");

    found = between("struct<a:int>", "struct<a:int NOT NULL>");
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == TypeDifference::Kind::not_null);
}

TEST_CASE("as few as possible are out of order") {
    CHECK(out_of_order({}).empty());
    CHECK(out_of_order({0, 1, 2}).empty());
    CHECK(out_of_order({0, 3, 1, 2}) == std::vector<std::size_t>{1});
    CHECK(out_of_order({2, 1, 0}).size() == 2);
    CHECK(out_of_order({4, 7, 9}).empty());
}
