#pragma once

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/system/environment.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbx::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string method = "GET";
    std::string url;
    Headers headers = {};
    Secret authorization = {}; // the whole value of the Authorization header; empty: none is sent
    std::string body = {};     // sent when not empty, and with POST, PUT and PATCH
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds timeout{60'000}; // of the whole exchange
    std::size_t response_limit_bytes = 32U << 20U;
    bool even_if_interrupted = false; // for cleaning up after an interrupt; keep its timeout short
};

struct Response {
    int status = 0;
    Headers headers = {};
    std::string body = {};
    std::string url = {}; // the one that was asked

    // The first header of that name, in any case; nullptr when there is none.
    const std::string* header(std::string_view name) const;
};

enum class NetworkProblem {
    name,        // the host name is not known
    connect,     // nobody answers there
    tls,         // no trust
    proxy,       // the HTTP proxy is in the way
    timeout,     // took too long
    dropped,     // the connection broke
    too_large,   // the answer is over the limit
    interrupted, // by the user
    other,
};

// Why there is no response. `why` and `fix` are for people and hold no secret.
struct Failure {
    NetworkProblem problem = NetworkProblem::other;
    bool sent = false; // the request may have reached the server
    std::string why = {};
    std::string fix = {};
};

// As an error that says which host could not be reached: timeout (6), interrupted (130), otherwise workspace
// (5).
Error to_error(const Failure& failure, std::string_view url);

// One exchange after the other; redirects are not followed but returned. Any number of threads.
class HttpClient {
  public:
    virtual ~HttpClient() = default;
    // The certificates of this PEM file count besides the system's, for connections begun from now on; empty:
    // none. The file is read at the next request, which fails when it cannot be.
    virtual void trust_also(const std::string& /*ca_file*/) {}
    virtual tl::expected<Response, Failure> send(const Request& request) = 0;
};

// The bundle of the system's certificates: Debian, Ubuntu, Alpine; Fedora, RHEL; openSUSE; whatever else.
inline constexpr std::array<const char*, 4> system_ca_bundles = {
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem"};

struct ClientOptions {
    std::string user_agent;   // dbx-agents/VERSION
    std::string ca_file = {}; // instead of the system's certificates
    std::string ca_folder = {};
    std::string https_proxy = {}; // never used for loopback addresses
    std::string http_proxy = {};
    std::string no_proxy = {};
    std::function<bool()> interrupted = {}; // asked about once a second and when data flows

    // SSL_CERT_FILE (or CURL_CA_BUNDLE), SSL_CERT_DIR, HTTPS_PROXY, ALL_PROXY, NO_PROXY in both cases of
    // letters, http_proxy in lower case only (a CGI server sets HTTP_PROXY from a request header), and
    // InterruptGuard.
    static ClientOptions from(const system::Environment& environment);
};

// Through libcurl, loaded at the first request: a command without network does not pay for it. Connections
// are kept open between requests. TLS is always verified.
class CurlClient : public HttpClient {
  public:
    explicit CurlClient(ClientOptions options);
    ~CurlClient() override;
    CurlClient(const CurlClient&) = delete;
    CurlClient& operator=(const CurlClient&) = delete;
    tl::expected<Response, Failure> send(const Request& request) override;
    void trust_also(const std::string& ca_file) override;

  private:
    Result<std::shared_ptr<const std::string>> certificates(); // nullptr: libcurl's own choice

    ClientOptions options_;
    std::mutex guard_; // of what follows
    std::vector<void*> idle_;
    std::string extra_ca_file_;
    std::shared_ptr<const std::string> certificates_; // with those of extra_ca_file_
};

} // namespace dbx::http
