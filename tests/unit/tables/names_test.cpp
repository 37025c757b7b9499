#include "core/tables/names.hpp"

#include <doctest/doctest.h>

using namespace dbx;
using namespace dbx::tables;

TEST_CASE("a principal may be anything that people are called, but no control character") {
    for (const auto* good : {"ada@example.com", "data platform team", "11111111-2222-3333-4444-555555555555",
                             "o'neil `x`; DROP TABLE t", "Zo\xc3\xab"}) {
        CAPTURE(good);
        CHECK(check_principal(good));
    }
    for (const std::string& bad :
         {std::string(), std::string(" a"), std::string("a\n"), std::string("a\nb"), std::string("a\0b", 3),
          std::string("\x1b[31m"), std::string("\xff"), std::string("a\xc2\x85z"), std::string(256, 'a')}) {
        CAPTURE(bad);
        const auto result = check_principal(bad);
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::usage);
    }
}
