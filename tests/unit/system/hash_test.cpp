#include "core/system/hash.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace dbx::system;

TEST_CASE("SHA-256 gives the test vectors of FIPS 180") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256(std::string(1000000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(sha256(std::string_view("a\0b", 3)) != sha256("a"));
}

TEST_CASE("random hex has two digits a byte and does not repeat") {
    CHECK(random_hex(0).empty());
    CHECK(random_hex(1).size() == 2);
    CHECK(random_hex(300).size() == 600);
    CHECK(random_hex(300).find_first_not_of("0123456789abcdef") == std::string::npos);
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random_hex(16));
    CHECK(seen.size() == 1000);
}
