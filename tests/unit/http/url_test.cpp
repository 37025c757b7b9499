#include "core/http/url.hpp"

#include <doctest/doctest.h>

using namespace dbx::http;

TEST_CASE("a URL is taken apart, lower case, without its default port") {
    const auto url = parse_url("  HTTPS://Adb-1.2.AzureDatabricks.NET:443/a/B?o=1#frag \n");
    REQUIRE(url);
    CHECK(url->origin() == "https://adb-1.2.azuredatabricks.net");
    CHECK(url->path == "/a/B");
    CHECK(url->query == "o=1");
    CHECK(parse_url("http://localhost:80")->origin() == "http://localhost");
    CHECK(parse_url("https://localhost:8443")->origin() == "https://localhost:8443");
    CHECK(parse_url("host.example.com:8443/x")->origin() == "https://host.example.com:8443");
    CHECK(parse_url("//host.example.com/x")->origin() == "https://host.example.com");
    CHECK(parse_url("https://host.example.com.")->host == "host.example.com");
    CHECK(parse_url("https://host.example.com?u=http://x")->host == "host.example.com");
    CHECK(parse_url("https://[::1]:81/p")->origin() == "https://[::1]:81");
    CHECK(parse_url("https://[2001:DB8::1]")->host == "[2001:db8::1]");
    CHECK(parse_url("https://[::ffff:1.2.3.4]")->host == "[::ffff:1.2.3.4]");
}

TEST_CASE("what is not a usable URL is refused with a reason") {
    for (const auto* text : {"",
                             "   ",
                             "ftp://host.com",
                             "https:/host.com",
                             "https:host.com",
                             "https://",
                             "https:///path",
                             "https://user:pw@host.com",
                             "https://host .com",
                             "https://host.com/a b",
                             "https://ho\tst.com",
                             "https://host.com:",
                             "https://host.com:0",
                             "https://host.com:65536",
                             "https://host.com:8a",
                             "https://a..b",
                             "https://-a.com",
                             "https://h\xC3\xB6st.com",
                             "https://host.com\\@evil.com",
                             "https://[::1",
                             "https://[::1]x",
                             "https://[1:2]",
                             "https://[:::]",
                             "https://[fe80::1%25eth0]",
                             "https://::1",
                             "https://1.2.3",
                             "https://127.1",
                             "https://0x7f.0.0.1",
                             "https://2130706433",
                             "https://127.0.0.01",
                             "https://256.1.1.1",
                             "https://a%2eb.com",
                             "javascript://x",
                             "https://ho\x01st"}) {
        CAPTURE(text);
        const auto url = parse_url(text);
        REQUIRE_FALSE(url);
        CHECK(url.error().kind == dbx::ErrorKind::usage);
        CHECK_FALSE(url.error().why.empty());
        CHECK_FALSE(url.error().fix.empty());
    }
    CHECK_FALSE(parse_url(std::string(3000, 'a')));
    CHECK_FALSE(parse_url("https://" + std::string(64, 'a') + ".com"));
}

TEST_CASE("only true loopback addresses are loopback") {
    for (const auto* host : {"localhost", "LOCALHOST", "x.localhost", "127.0.0.1", "127.255.0.9", "[::1]",
                             "[0:0:0:0:0:0:0:1]", "[0::0001]"}) {
        CAPTURE(host);
        CHECK(is_loopback_host(host));
    }
    for (const auto* host :
         {"", "localhost.example.com", "notlocalhost", ".localhost", "127.0.0.1.example.com", "127.1",
          "128.0.0.1", "0.0.0.0", "[::]", "[::2]", "[::ffff:127.0.0.1]", "::1", "127.0.0.256", "[1::1]"}) {
        CAPTURE(host);
        CHECK_FALSE(is_loopback_host(host));
    }
}

TEST_CASE("a shown URL holds no credentials, query, control characters or tokens") {
    CHECK(shown_url("https://user:p@ss/w@host.com/x?token=abc#f") == "https://host.com/x");
    CHECK(shown_url("https://ho\nst") == "https://ho?st");
    CHECK(shown_url("dapi0123456789abcdef0123456789abcdef") == "(a value that looks like a token)");
    CHECK(shown_url("eyJhbGciOi.eyJzdWIi.c2ln") == "(a value that looks like a token)");
    CHECK(shown_url("dapi-test.example.com") == "dapi-test.example.com");
    CHECK(shown_url(std::string(500, 'a')).size() < 140);
    const auto url = parse_url("https://u:secretpw@host.com");
    CHECK(url.error().what.find("secretpw") == std::string::npos);
    CHECK(url.error().why.find("secretpw") == std::string::npos);
    CHECK(parse_url("dapi0123456789abcdef0123456789abcdef").error().what.find("0123") == std::string::npos);
}

TEST_CASE("percent encoding keeps unreserved characters only") {
    CHECK(percent_encode("a.b-c_d~9") == "a.b-c_d~9");
    CHECK(percent_encode("a b/c?\xC3\xA4") == "a%20b%2Fc%3F%C3%A4");
}
