// The real client against a scripted server on a loopback socket.
#include "core/http/client.hpp"
#include "tests/unit/databricks/fakes.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using namespace dbx;
using namespace dbx::http;
using namespace std::chrono_literals;

namespace {

// Answers each connection with fixed bytes; keeps what it was sent. Empty bytes: it closes without a word.
class Server {
  public:
    explicit Server(std::string bytes, bool answer = true)
        : bytes_(std::move(bytes))
        , answer_(answer) {
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~Server() {
        stop_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    std::string url(std::string path = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    std::string received;
    std::atomic<int> connections = 0;

  private:
    void serve() {
        while (!stop_) {
            const int client = ::accept(listener_, nullptr, nullptr);
            if (client < 0) return;
            ++connections;
            char buffer[4096];
            received.clear();
            while (received.find("\r\n\r\n") == std::string::npos) {
                const auto got = ::recv(client, buffer, sizeof buffer, 0);
                if (got <= 0) break;
                received.append(buffer, static_cast<std::size_t>(got));
                if (received[0] == '\x16') break; // a TLS hello
            }
            if (answer_) {
                [[maybe_unused]] const auto sent = ::send(client, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
            } else {
                for (int i = 0; i < 100 && !stop_; ++i) std::this_thread::sleep_for(20ms);
            }
            ::close(client);
        }
    }
    std::string bytes_;
    bool answer_;
    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

} // namespace

TEST_CASE("status, headers and body come back, and the request says who asks") {
    Server server("HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 201 Created\r\nX-A:  b "
                  "\r\nContent-Length: 5\r\n\r\nhello");
    CurlClient http(ClientOptions::from(test::MapEnvironment()));
    Request request;
    request.method = "POST";
    request.url = server.url("/p?q=1");
    request.headers = {{"Content-Type", "application/json"}, {"X-Empty", ""}};
    request.authorization = Secret("Bearer abc");
    request.body = "{}";
    const auto response = http.send(request);
    REQUIRE(response);
    CHECK(response->status == 201);
    CHECK(response->body == "hello");
    CHECK(*response->header("x-a") == "b");
    CHECK(response->header("X-Old") == nullptr);
    CHECK(server.received.starts_with("POST /p?q=1 HTTP/1.1\r\n"));
    CHECK(server.received.find("Authorization: Bearer abc\r\n") != std::string::npos);
    CHECK(server.received.find("User-Agent: dbx-agents/") != std::string::npos);
    CHECK(server.received.find("Expect:") == std::string::npos);
    CHECK(server.received.find("Content-Type: application/json\r\n") != std::string::npos);
}

TEST_CASE("a redirect is returned, not followed") {
    Server server(
        "HTTP/1.1 302 Found\r\nLocation: /login.html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    CurlClient http(ClientOptions::from(test::MapEnvironment()));
    Request request;
    request.url = server.url();
    const auto response = http.send(request);
    REQUIRE(response);
    CHECK(response->status == 302);
    CHECK(*response->header("location") == "/login.html");
    CHECK(server.connections == 1);
}

TEST_CASE("an answer over the limit, a broken one, silence, and nobody at all are failures of their own") {
    CurlClient http(ClientOptions::from(test::MapEnvironment()));
    Request request;
    {
        Server server("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x'));
        request.url = server.url();
        request.response_limit_bytes = 1000;
        CHECK(http.send(request).error().problem == NetworkProblem::too_large);
    }
    {
        Server server("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nshort");
        request.url = server.url();
        const auto result = http.send(request);
        REQUIRE_FALSE(result);
        CHECK(result.error().problem == NetworkProblem::dropped);
        CHECK(result.error().sent);
    }
    {
        Server server("");
        request.url = server.url();
        CHECK(http.send(request).error().problem == NetworkProblem::dropped);
    }
    {
        Server server("", false);
        request.url = server.url();
        request.timeout = 100ms;
        const auto result = http.send(request);
        REQUIRE_FALSE(result);
        CHECK(result.error().problem == NetworkProblem::timeout);
        CHECK(to_error(result.error(), request.url).kind == ErrorKind::timeout);
    }
    request.timeout = 5s;
    request.url = "http://127.0.0.1:1/";
    const auto refused = http.send(request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().problem == NetworkProblem::connect);
    CHECK_FALSE(refused.error().sent);
    CHECK(to_error(refused.error(), request.url).what == "cannot reach http://127.0.0.1:1");
}

TEST_CASE("https to a server without TLS is a TLS failure with a hint") {
    Server server("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    CurlClient http(ClientOptions::from(test::MapEnvironment()));
    Request request;
    request.url = "https" + server.url().substr(4);
    const auto result = http.send(request);
    REQUIRE_FALSE(result);
    CHECK(result.error().problem == NetworkProblem::tls);
    CHECK_FALSE(result.error().fix.empty());
}

TEST_CASE("line ends in headers never reach the wire") {
    CurlClient http(ClientOptions::from(test::MapEnvironment()));
    Request request;
    request.url = "http://127.0.0.1:1/";
    request.authorization = Secret("Bearer a\r\nX-Evil: 1");
    CHECK(http.send(request).error().problem == NetworkProblem::other);
    CHECK(http.send(request).error().why.find("X-Evil") == std::string::npos);
    request.authorization = {};
    request.headers = {{"A", "b\nc"}};
    CHECK(http.send(request).error().problem == NetworkProblem::other);
    request.headers.clear();
    request.url = "ftp://127.0.0.1/";
    CHECK_FALSE(http.send(request));
}

TEST_CASE("an interrupt ends a request") {
    Server server("", false);
    auto options = ClientOptions::from(test::MapEnvironment());
    options.interrupted = [] { return true; };
    CurlClient http(options);
    Request request;
    request.url = server.url();
    CHECK(http.send(request).error().problem == NetworkProblem::interrupted);
}

TEST_CASE("proxy and certificate variables are read in both cases, HTTP_PROXY is not") {
    test::MapEnvironment environment;
    environment.variables = {{"HTTPS_PROXY", "http://p:1"},
                             {"NO_PROXY", "a,b"},
                             {"HTTP_PROXY", "http://evil"},
                             {"SSL_CERT_FILE", "/c"}};
    auto options = ClientOptions::from(environment);
    CHECK(options.https_proxy == "http://p:1");
    CHECK(options.http_proxy.empty());
    CHECK(options.no_proxy == "a,b");
    CHECK(options.ca_file == "/c");
    environment.variables["https_proxy"] = "http://q:1";
    CHECK(ClientOptions::from(environment).https_proxy == "http://q:1");
    // A loopback address is asked directly.
    Server server("HTTP/1.1 204 No Content\r\n\r\n");
    environment.variables["http_proxy"] = "http://127.0.0.1:1";
    CurlClient http(ClientOptions::from(environment));
    Request request;
    request.url = server.url();
    CHECK(http.send(request));
}
