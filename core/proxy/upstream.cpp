#include "core/proxy/upstream.hpp"

#include <algorithm>

namespace dbx::proxy {

namespace {

// One TLS record; a head and the beginning of its body leave in one.
constexpr std::size_t record_bytes = 16U << 10U;

} // namespace

Upstream::Upstream(Socket socket, std::shared_ptr<const Endpoint> endpoint, Counters& counters)
    : socket_(std::move(socket))
    , endpoint_(std::move(endpoint))
    , counters_(counters) {
    error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    Counters::add(counters_.upstream_connections);
}

Upstream::~Upstream() {
    Counters::subtract(counters_.upstream_connections);
}

void Upstream::begin(std::shared_ptr<TlsContext> tls, Ready ready) {
    if (!tls) {
        ready({});
        return;
    }
    tls_ = std::make_unique<TlsSession>(std::move(tls), static_cast<int>(socket_.native_handle()),
                                        endpoint_->host);
    handshake(std::move(ready));
}

void Upstream::handshake(Ready ready) {
    const auto step = tls_->handshake();
    in_handshake_ = step == TlsStep::want_read || step == TlsStep::want_write;
    if (step == TlsStep::done) {
        ready({});
        return;
    }
    if (!in_handshake_) {
        http::Failure failure{http::NetworkProblem::tls, false, tls_->problem(), ""};
        failure.fix = tls_->untrusted()
                          ? "if your company inspects TLS, point SSL_CERT_FILE to its certificate bundle"
                          : "check that the address and its port speak https";
        if (!tls_->untrusted() && tls_->problem() == "the connection broke")
            failure.problem = http::NetworkProblem::dropped;
        ready(tl::unexpected(std::move(failure)));
        return;
    }
    socket_.async_wait(
        step == TlsStep::want_read ? Socket::wait_read : Socket::wait_write,
        [self = shared_from_this(), ready = std::move(ready)](const error_code& error) mutable {
            if (error || self->closed_) {
                ready(tl::unexpected(
                    http::Failure{http::NetworkProblem::timeout, false, "no TLS connection in time", ""}));
                return;
            }
            self->handshake(std::move(ready));
        });
}

error_code Upstream::tls_error(TlsStep step) const {
    return step == TlsStep::closed ? error_code(asio::error::eof) : error_code(asio::error::connection_reset);
}

void Upstream::arm_read() {
    if (reading_ || closed_) return;
    reading_ = true;
    if (!tls_) {
        socket_.async_read_some(asio::buffer(small),
                                [self = shared_from_this()](const error_code& error, std::size_t count) {
                                    self->got(error, count);
                                });
        return;
    }
    if (tls_->has_pending()) {
        asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read_tls(); });
        return;
    }
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const error_code& error) {
        if (error)
            self->got(error, 0);
        else
            self->read_tls();
    });
}

void Upstream::read_tls() {
    if (closed_) return;
    std::size_t count = 0;
    const auto step = tls_->read(small.data(), small.size(), count);
    if (step == TlsStep::done) {
        got({}, count);
    } else if (step == TlsStep::want_read || step == TlsStep::want_write) {
        // A record that is not whole yet, or one of TLS itself.
        socket_.async_wait(step == TlsStep::want_read ? Socket::wait_read : Socket::wait_write,
                           [self = shared_from_this()](const error_code& error) {
                               if (error)
                                   self->got(error, 0);
                               else
                                   self->read_tls();
                           });
    } else {
        got(tls_error(step), 0);
    }
}

void Upstream::got(const error_code& error, std::size_t count) {
    reading_ = false;
    if (closed_) return;
    if (user != nullptr)
        user->upstream_bytes(error, count);
    else if (const auto ended = std::move(idle_ended))
        ended(*this);
}

std::size_t Upstream::read_more(char* data, std::size_t size, error_code& error) {
    error = {};
    if (!tls_) return socket_.read_some(asio::buffer(data, size), error);
    std::size_t count = 0;
    const auto step = tls_->read(data, size, count);
    if (step == TlsStep::want_read || step == TlsStep::want_write)
        error = asio::error::would_block;
    else if (step != TlsStep::done)
        error = tls_error(step);
    return count;
}

std::size_t Upstream::write(std::span<const asio::const_buffer> buffers, error_code& error) {
    error = {};
    if (!tls_) return socket_.write_some(buffers, error);
    std::size_t total = 0;
    std::array<char, record_bytes> record;
    std::size_t at = 0, offset = 0; // in `buffers`, in the piece
    while (at < buffers.size()) {
        const char* data = static_cast<const char*>(buffers[at].data()) + offset;
        std::size_t size = buffers[at].size() - offset;
        if (size < record.size() && at + 1 < buffers.size()) {
            // Small pieces travel together: one record, one packet.
            std::size_t filled = 0;
            for (std::size_t i = at, from = offset; i < buffers.size() && filled < record.size();
                 ++i, from = 0) {
                const auto part = std::min(buffers[i].size() - from, record.size() - filled);
                std::memcpy(record.data() + filled, static_cast<const char*>(buffers[i].data()) + from, part);
                filled += part;
            }
            data = record.data();
            size = filled;
        }
        std::size_t count = 0;
        const auto step = tls_->write(data, size, count);
        total += count;
        for (std::size_t left = count; left > 0;) {
            const auto part = std::min(left, buffers[at].size() - offset);
            left -= part;
            offset += part;
            if (offset == buffers[at].size()) {
                ++at;
                offset = 0;
            }
        }
        if (step == TlsStep::want_read || step == TlsStep::want_write || count < size) {
            error = step == TlsStep::done || step == TlsStep::want_read || step == TlsStep::want_write
                        ? error_code(asio::error::would_block)
                        : tls_error(step);
            return total;
        }
        if (step != TlsStep::done) {
            error = tls_error(step);
            return total;
        }
    }
    return total;
}

void Upstream::wait_writable() {
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& error) {
        if (!self->closed_ && self->user != nullptr) self->user->upstream_writable(error);
    });
}

void Upstream::close() {
    if (closed_) return;
    closed_ = true;
    user = nullptr;
    idle_ended = nullptr;
    error_code ignored;
    socket_.close(ignored);
}

} // namespace dbx::proxy
