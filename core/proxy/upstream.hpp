#pragma once

#include "core/http/client.hpp"
#include "core/proxy/counters.hpp"
#include "core/proxy/heads.hpp"
#include "core/proxy/net.hpp"
#include "core/proxy/tls.hpp"

#include <functional>
#include <span>

namespace dbx::proxy {

// Who uses an upstream connection right now.
class UpstreamUser {
  public:
    // The first `count` bytes in the connection's `small` buffer; more may be there (read_more). An error
    // comes without bytes; asio::error::eof is a proper end.
    virtual void upstream_bytes(const error_code& error, std::size_t count) = 0;
    virtual void upstream_writable(const error_code& error) = 0;

  protected:
    ~UpstreamUser() = default;
};

// One connection to the gateway or the workspace, plain or TLS. All calls on the loop's thread.
class Upstream : public std::enable_shared_from_this<Upstream> {
  public:
    using Ready = std::function<void(tl::expected<void, http::Failure>)>;

    Upstream(Socket socket, std::shared_ptr<const Endpoint> endpoint, Counters& counters);
    ~Upstream();

    // The TLS handshake, if there is one.
    void begin(std::shared_ptr<TlsContext> tls, Ready ready);

    // One read is under way from then on: an idle connection learns by it that the peer closed.
    void arm_read();
    // What is there at once, possibly nothing.
    std::size_t read_more(char* data, std::size_t size, error_code& error);

    // As much as the socket takes at once; asio::error::would_block when it is full.
    std::size_t write(std::span<const asio::const_buffer> buffers, error_code& error);
    void wait_writable();

    void close();
    bool in_handshake() const { return in_handshake_; }

    const std::shared_ptr<const Endpoint>& endpoint() const { return endpoint_; }

    UpstreamUser* user = nullptr;
    std::function<void(Upstream&)> idle_ended; // it was closed, or spoke, while nobody used it
    bool reused = false;                       // has served a request before
    std::chrono::steady_clock::time_point idle_since = {};
    std::array<char, 2048> small;

  private:
    void handshake(Ready ready);
    void got(const error_code& error, std::size_t count);
    void read_tls();
    error_code tls_error(TlsStep step) const;

    Socket socket_;
    std::shared_ptr<const Endpoint> endpoint_;
    Counters& counters_;
    std::unique_ptr<TlsSession> tls_;
    bool reading_ = false;
    bool closed_ = false;
    bool in_handshake_ = false;
};

} // namespace dbx::proxy
