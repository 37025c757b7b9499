#pragma once

#include "core/http/client.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace dbx::http {

// Makes TCP connections for somebody who moves the bytes himself: name resolution, happy eyeballs and the
// CONNECT of an HTTP proxy are libcurl's, on one thread of its own, for any number of connections at once.
class Connector {
  public:
    // The socket is non-blocking and belongs to the receiver, who closes it. Called on the connector's
    // thread.
    using Done = std::function<void(tl::expected<int, Failure> socket)>;

    explicit Connector(ClientOptions options);
    // Gives up what is under way; its `done` is not called any more.
    ~Connector();
    Connector(const Connector&) = delete;
    Connector& operator=(const Connector&) = delete;

    // `host` as in http::Url. HTTPS proxies and NO_PROXY apply when `tls`; loopback addresses are always
    // direct. Any thread.
    void connect(const std::string& host, int port, bool tls, std::chrono::milliseconds timeout, Done done);

  private:
    class Worker;
    std::unique_ptr<Worker> worker_;
};

} // namespace dbx::http
