#include "core/proxy/message.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace dbx::proxy;

namespace {

std::string text_of(const std::vector<std::string_view>& pieces) {
    std::string text;
    for (const auto piece : pieces) text += piece;
    return text;
}

std::optional<MessageError> head_of(const std::string& bytes, Head& head) {
    MessageFilter filter(MessageFilter::Kind::request);
    return filter.read_head(bytes, head);
}

int status_of(const std::string& fields, const std::string& line = "POST /x HTTP/1.1") {
    Head head;
    const auto error = head_of(line + "\r\n" + fields + "\r\n", head);
    return error ? error->status : 0;
}

// Puts `bytes` in, `step` of them at a time, and gives back the body.
std::string body_of(MessageFilter& filter, const std::string& bytes, std::size_t step,
                    std::optional<MessageError>& error) {
    std::string body, waiting;
    for (std::size_t at = 0; at < bytes.size() && !filter.done() && !error; at += step) {
        waiting += bytes.substr(at, step);
        std::vector<std::string_view> pieces;
        const auto taken = filter.read_body(waiting, pieces, error);
        body += text_of(pieces);
        waiting.erase(0, taken);
    }
    return body;
}

} // namespace

TEST_CASE("the end of a head is found however the bytes come") {
    const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
    const auto whole = head_size(bytes, 0);
    REQUIRE(whole);
    CHECK(*whole == bytes.size() - 4);
    for (std::size_t seen = 0; seen < *whole; ++seen) {
        CAPTURE(seen);
        CHECK(head_size(bytes, seen) == whole);
        CHECK_FALSE(head_size(std::string_view(bytes).substr(0, seen), 0));
    }
}

TEST_CASE("a head gives its line, its fields in order and its framing") {
    const std::string bytes =
        "POST /a?b=c HTTP/1.1\r\nHost: x:1\r\nX-Odd:   two  words \r\ncontent-LENGTH: 12\r\n\r\n";
    Head head;
    REQUIRE_FALSE(head_of(bytes, head));
    CHECK(head.method == "POST");
    CHECK(head.target == "/a?b=c");
    CHECK(head.minor_version == 1);
    REQUIRE(head.fields.size() == 3);
    CHECK(head.fields[1].name == "X-Odd");
    CHECK(head.fields[1].value == "two  words");
    CHECK(head.find(Name::content_length)->name == "content-LENGTH");
    CHECK(head.content_length == 12);
    CHECK_FALSE(head.chunked);
    CHECK(head.keep_alive);
}

TEST_CASE("framing that two servers could read differently is refused") {
    const std::string host = "Host: x\r\n";
    CHECK(status_of(host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(status_of(host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") == 400);
    CHECK(status_of(host + "Content-Length: 5\r\nContent-Length: 5\r\n") == 400);
    CHECK(status_of(host + "Content-Length: 5\r\nContent-Length: 6\r\n") == 400);
    for (const char* length : {"+5", "-5", "5a", "0x5", "5,5", "", "99999999999999999999"})
        CHECK_MESSAGE(status_of(host + "Content-Length: " + length + "\r\n") == 400, length);
    for (const char* coding :
         {"xchunked", "chunked, identity", "identity", "gzip, chunked", "chunked;a=b", "\"chunked\""})
        CHECK_MESSAGE(status_of(host + "Transfer-Encoding: " + coding + "\r\n") >= 400, coding);
    CHECK(status_of(host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == 400);
    CHECK(status_of(host + "Transfer-Encoding: chunked\r\n", "POST /x HTTP/1.0") == 400);
    CHECK(status_of("") == 400);
    CHECK(status_of(host + host) == 400);
    CHECK(status_of("", "GET /x HTTP/1.0") == 0);
    CHECK(status_of(host + "Transfer-Encoding: CHUNKED\r\n") == 0);
}

TEST_CASE("header lines that are none are refused") {
    const std::string host = "Host: x\r\n";
    CHECK(status_of(host + "A: b\r\n c\r\n") == 400);              // folded
    CHECK(status_of(host + "A:\r\n\tc\r\n") == 400);               // folded, empty first line
    CHECK(status_of(host + "A : b\r\n") == 400);                   // blank before the colon
    CHECK(status_of(host + "A\r\n") == 400);                       // no colon
    CHECK(status_of(host + ": b\r\n") == 400);                     // no name
    CHECK(status_of(host + "A: b\nC: d\r\n") == 400);              // bare LF
    CHECK(status_of(host + "A: b\rC: d\r\n") == 400);              // bare CR
    CHECK(status_of(host + std::string("A: b\0c\r\n", 8)) == 400); // NUL
    CHECK(status_of(host, "GET /x") == 400);
    CHECK(status_of(host, "GET /x HTTP/2.0") == 400);
    CHECK(status_of(host, "GET  /x HTTP/1.1") == 400);
    CHECK(status_of(host, "GET /x HTTP/1.1 ") == 400);
    std::string many;
    for (int i = 0; i < 300; ++i) many += "A: b\r\n";
    CHECK(status_of(host + many) == 431);
}

TEST_CASE("a body of known length ends where it should, in any slices") {
    for (const std::size_t step : {1U, 2U, 5U, 100U}) {
        CAPTURE(step);
        MessageFilter filter(MessageFilter::Kind::request);
        Head head;
        REQUIRE_FALSE(filter.read_head("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", head));
        std::optional<MessageError> error;
        CHECK(body_of(filter, "helloGET / HTTP/1.1", step, error) == "hello");
        CHECK_FALSE(error);
        CHECK(filter.done());
    }
}

TEST_CASE("a chunked body comes without its framing, extensions and trailers, in any slices") {
    const std::string bytes = "5;a=b\r\nhello\r\n1\r\n \r\n6\r\nworld!\r\n0\r\nTrailer: x\r\n\r\n";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        CAPTURE(step);
        MessageFilter filter(MessageFilter::Kind::request);
        Head head;
        REQUIRE_FALSE(
            filter.read_head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", head));
        CHECK(head.chunked);
        std::optional<MessageError> error;
        CHECK(body_of(filter, bytes, step, error) == "hello world!");
        CHECK_FALSE(error);
        CHECK(filter.done());
    }
}

TEST_CASE("chunks that are none are refused") {
    const std::string long_extension = "5;" + std::string(70'000, 'a');
    for (const std::string bytes :
         {"x\r\nhello\r\n", "-5\r\nhello\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
          "FFFFFFFFFFFFFFFFF\r\n", " 5\r\nhello\r\n", long_extension.c_str()}) {
        CAPTURE(bytes.substr(0, 20));
        MessageFilter filter(MessageFilter::Kind::request);
        Head head;
        REQUIRE_FALSE(
            filter.read_head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", head));
        std::optional<MessageError> error;
        std::vector<std::string_view> pieces;
        filter.read_body(bytes, pieces, error);
        CHECK(error);
    }
}

TEST_CASE("a response knows how its body ends") {
    const auto read = [](MessageFilter& filter, const std::string& bytes) {
        Head head;
        REQUIRE_FALSE(filter.read_head(bytes, head));
        return head;
    };
    MessageFilter filter(MessageFilter::Kind::response);
    SUBCASE("with the connection") {
        const auto head = read(filter, "HTTP/1.1 200 OK\r\n\r\n");
        CHECK(head.until_close);
        CHECK_FALSE(filter.done());
        CHECK(filter.read_end());
        CHECK(filter.done());
    }
    SUBCASE("cut short") {
        read(filter, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
        CHECK_FALSE(filter.read_end());
    }
    SUBCASE("cut in a chunked body") {
        read(filter, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        std::vector<std::string_view> pieces;
        std::optional<MessageError> error;
        filter.read_body("3\r\nabc\r\n", pieces, error);
        CHECK_FALSE(filter.read_end());
    }
    SUBCASE("without a body") {
        read(filter, "HTTP/1.1 204 No Content\r\n\r\n");
        CHECK(filter.done());
    }
    SUBCASE("to a HEAD request") {
        filter.start(true);
        read(filter, "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
        CHECK(filter.done());
    }
    SUBCASE("with an empty reason") {
        const auto head = read(filter, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
        CHECK(head.status == 200);
        CHECK(filter.done());
    }
}
