#include "core/proxy/heads.hpp"

#include <doctest/doctest.h>

using namespace dbx::proxy;

namespace {

Endpoint endpoint() {
    return *endpoint_of("https://ws.example.com/ai-gateway");
}

std::string sent(const std::string& bytes) {
    MessageFilter filter(MessageFilter::Kind::request);
    Head head;
    REQUIRE_FALSE(filter.read_head(bytes, head));
    const auto target = read_target(head.target);
    REQUIRE(target);
    const auto route = find_route(head.method, *target);
    REQUIRE(route);
    return upstream_head(head, *route, endpoint());
}

std::string returned(const std::string& bytes, Framing framing, bool close) {
    MessageFilter filter(MessageFilter::Kind::response);
    Head head;
    REQUIRE_FALSE(filter.read_head(bytes, head));
    return client_head(head, framing, close);
}

} // namespace

TEST_CASE("an address becomes an endpoint; plain http only on this machine") {
    CHECK(endpoint().host == "ws.example.com");
    CHECK(endpoint().port == 443);
    CHECK(endpoint().root == "/ai-gateway");
    CHECK(endpoint().host_field == "ws.example.com");
    CHECK(endpoint_of("https://ws.example.com:8443")->host_field == "ws.example.com:8443");
    CHECK(endpoint_of("http://127.0.0.1:9000/x/")->root == "/x");
    CHECK_FALSE(endpoint_of("http://127.0.0.1:9000")->tls);
    CHECK_FALSE(endpoint_of("http://ws.example.com"));
}

TEST_CASE("fields pass as they came; credentials, hop-by-hop fields and framing do not") {
    const auto head = sent("POST /anthropic/v1/messages?beta=true&key=dbxl_x HTTP/1.1\r\n"
                           "Host: 127.0.0.1:8790\r\n"
                           "Authorization: Bearer local\r\n"
                           "x-api-key: local\r\n"
                           "X-Goog-Api-Key: local\r\n"
                           "X-DBX-Agents-Key: local\r\n"
                           "anthropic-beta:  a,b ;c\r\n"
                           "X-Odd: \x80\xff\r\n"
                           "Cookie: a=b\r\n"
                           "Connection: keep-alive, X-Secret\r\n"
                           "x-secret: 1\r\n"
                           "Keep-Alive: timeout=5\r\n"
                           "Proxy-Connection: keep-alive\r\n"
                           "Proxy-Authorization: Basic x\r\n"
                           "TE: trailers\r\n"
                           "Trailer: x\r\n"
                           "Upgrade: h2c\r\n"
                           "Expect: 100-continue\r\n"
                           "Accept-Encoding: gzip, br\r\n"
                           "Content-Length: 12\r\n\r\n");
    CHECK(head == "POST /ai-gateway/anthropic/v1/messages?beta=true HTTP/1.1\r\n"
                  "Host: ws.example.com\r\n"
                  "anthropic-beta: a,b ;c\r\n"
                  "X-Odd: \x80\xff\r\n"
                  "Cookie: a=b\r\n"
                  "Accept-Encoding: identity\r\n");
}

TEST_CASE("the workspace's routes have no gateway root; the framing is added when it is known") {
    const auto head =
        sent("POST /api/2.0/otel/v1/logs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(head.starts_with("POST /api/2.0/otel/v1/logs HTTP/1.1\r\n"));
    CHECK(head.find("Transfer-Encoding") == std::string::npos);
    CHECK(head.find("Content-Length") == std::string::npos);
}

TEST_CASE("an answer's fields pass; its framing is ours") {
    const std::string answer = "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nTransfer-Encoding: "
                               "chunked\r\nConnection: close, X-Hop\r\n"
                               "X-Hop: 1\r\nX-RateLimit-Reset: 5\r\n\r\n";
    CHECK(returned(answer, Framing::chunked, false) ==
          "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nX-RateLimit-Reset: 5\r\nTransfer-Encoding: "
          "chunked\r\n\r\n");
    CHECK(returned(answer, Framing::close, true)
              .ends_with("X-RateLimit-Reset: 5\r\nConnection: close\r\n\r\n"));
    CHECK(returned("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::length, false) ==
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}
