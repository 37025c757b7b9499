#include "tests/workspace/server.hpp"

#include "core/base/strings.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace dbx::standin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint32_t header_limit_bytes = 64 * 1024;
constexpr std::uint64_t body_limit_bytes = 64ull * 1024 * 1024;

std::string chunk(std::string_view data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return std::string(size).append(data).append("\r\n");
}

std::string reason(int status) {
    if (status == 499) return "Client Closed Request";
    if (status == 529) return "Overloaded";
    return std::string(http::obsolete_reason(static_cast<http::status>(status)));
}

// One connection, from accept to close, on its own thread.
class Connection {
  public:
    Connection(tcp::socket socket, Handler& handler, const std::atomic<bool>& stopping)
        : socket_(std::move(socket))
        , handler_(handler)
        , stopping_(stopping) {
        error_code ignored;
        socket_.set_option(tcp::no_delay(true), ignored);
    }

    // Only wakes the connection's own thread: the socket stays open until that thread is done.
    void interrupt() {
        const std::lock_guard guard(closing_);
        if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
    }

    void run() {
        while (!stopping_ && serve_one()) {
        }
        close();
        done_ = true;
    }

    bool done() const { return done_; }

  private:
    bool serve_one() {
        http::request_parser<http::string_body> parser;
        parser.header_limit(header_limit_bytes);
        parser.body_limit(body_limit_bytes);
        error_code error;
        http::read_header(socket_, buffer_, parser, error);
        if (error) return refuse(error);
        if (const int status = framing_fault(parser.get()); status != 0) return refuse(status, "Bad framing");
        if (iequals(std::string_view(parser.get()[http::field::expect]), "100-continue")) {
            asio::write(socket_, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")), error);
            if (error) return false;
        }
        http::read(socket_, buffer_, parser, error);
        if (error) return refuse(error);

        Request request;
        auto& message = parser.get();
        request.method = std::string(message.method_string());
        request.target = std::string(message.target());
        for (const auto& field : message)
            request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
        request.body = std::move(message.body());
        const std::string_view target = request.target;
        const auto question = target.find('?');
        request.path = percent_decode(target.substr(0, question), Plus::literal);
        if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));

        keep_alive_ = message.keep_alive();
        http_1_0_ = message.version() < 11;
        head_ = request.method == "HEAD";
        const Exchange exchange = handler_.handle(request);
        const Outcome outcome = send(exchange);
        if (exchange.number != 0) handler_.finished(exchange.number, outcome);
        return outcome == Outcome::complete && keep_alive_;
    }

    // What Beast lets pass and a front door does not; 0: nothing.
    template <class Message>
    static int framing_fault(const Message& message) {
        if (message.count(http::field::host) > 1) return 400;
        if (message.version() == 11 && message.count(http::field::host) == 0) return 400;
        const auto coding = message.find(http::field::transfer_encoding);
        return coding != message.end() && !iequals(std::string_view(coding->value()), "chunked") ? 501 : 0;
    }

    // Answers a request that is not HTTP as it should be; always ends the connection.
    bool refuse(const error_code& error) {
        if (error.category() != http::make_error_code(http::error::bad_field).category()) return false;
        if (error == http::error::end_of_stream || error == http::error::partial_message) return false;
        if (error == http::error::header_limit) return refuse(431, error.message());
        if (error == http::error::body_limit) return refuse(413, error.message());
        return refuse(400, error.message());
    }

    bool refuse(int status, const std::string& words) {
        Exchange exchange;
        exchange.response.status = status;
        exchange.response.with("content-type", "text/plain");
        exchange.response.body = words + "\n";
        keep_alive_ = false;
        head_ = false;
        send(exchange);
        drain();
        return false;
    }

    // Closing with unread bytes would be a reset, which may overtake the refusal.
    void drain() {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
        const auto until = Clock::now() + std::chrono::seconds(1);
        std::array<char, 16384> unwanted;
        while (!stopping_ && Clock::now() < until) {
            pollfd watched{socket_.native_handle(), POLLIN, 0};
            if (::poll(&watched, 1, 50) <= 0) continue;
            error_code error;
            if (socket_.read_some(asio::buffer(unwanted), error) == 0 || error) return;
        }
    }

    void close() {
        const std::lock_guard guard(closing_);
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_both, ignored);
        socket_.close(ignored);
    }

    Outcome send(const Exchange& exchange) {
        const Response& response = exchange.response;
        const Delivery& delivery = exchange.delivery;
        if (delivery.hang) {
            const Outcome waited = wait(std::nullopt, exchange.release_epoch);
            return waited == Outcome::complete ? cut(delivery) : waited;
        }
        if (delivery.before_first_byte.count() > 0) {
            const Outcome waited = wait(Clock::now() + delivery.before_first_byte, exchange.release_epoch);
            if (waited != Outcome::complete) return waited;
        }
        if (delivery.no_answer) return cut(delivery);
        return response.streamed ? send_stream(response, exchange) : send_whole(response, delivery);
    }

    std::string head(const Response& response) const {
        std::string out = (http_1_0_ ? "HTTP/1.0 " : "HTTP/1.1 ") + std::to_string(response.status) + " " +
                          reason(response.status) + "\r\n";
        for (const auto& [name, value] : response.headers) out += name + ": " + value + "\r\n";
        if (response.streamed) {
            if (!http_1_0_) out += "transfer-encoding: chunked\r\n";
        } else if (response.status != 204 && response.status != 304) {
            out += "content-length: " + std::to_string(response.body.size()) + "\r\n";
        }
        if (!keep_alive_)
            out += "connection: close\r\n";
        else if (http_1_0_)
            out += "connection: keep-alive\r\n";
        return out + "\r\n";
    }

    Outcome send_whole(const Response& response, const Delivery& delivery) {
        std::string body = head_ || response.status == 204 || response.status == 304 ? "" : response.body;
        if (delivery.cut_body) body.resize(std::min(body.size(), delivery.cut_after_bytes));
        if (!write(head(response) + body, delivery)) return Outcome::client_left;
        return delivery.cut_body ? cut(delivery) : Outcome::complete;
    }

    Outcome send_stream(const Response& response, const Exchange& exchange) {
        const Delivery& delivery = exchange.delivery;
        // Without chunks only the end of the connection ends a body.
        if (http_1_0_) keep_alive_ = false;
        if (!write(head(response), Delivery{})) return Outcome::client_left;
        if (head_) return Outcome::complete;
        for (std::size_t i = 0; i <= response.events.size(); ++i) {
            if (delivery.hold_after_events == i) {
                const Outcome waited = wait(std::nullopt, exchange.release_epoch);
                if (waited != Outcome::complete) return waited;
            }
            if (delivery.cut_after_events && *delivery.cut_after_events <= i) {
                if (delivery.cut_after_bytes > 0 && i < response.events.size() &&
                    !write_piece(std::string_view(response.events[i]).substr(0, delivery.cut_after_bytes)))
                    return Outcome::client_left;
                return cut(delivery);
            }
            if (i == response.events.size()) break;
            if (i > 0 && delivery.between_events.count() > 0) {
                const Outcome waited = wait(Clock::now() + delivery.between_events, exchange.release_epoch);
                if (waited != Outcome::complete) return waited;
            }
            if (!write_event(response.events[i], delivery)) return Outcome::client_left;
        }
        if (!http_1_0_ && !write("0\r\n\r\n", Delivery{})) return Outcome::client_left;
        return Outcome::complete;
    }

    bool write_event(std::string_view event, const Delivery& delivery) {
        if (delivery.slice_bytes == 0) return write_piece(event);
        while (!event.empty()) {
            const std::string_view piece = event.substr(0, delivery.slice_bytes);
            if (!write_piece(piece)) return false;
            event.remove_prefix(piece.size());
        }
        return true;
    }

    bool write_piece(std::string_view piece) {
        if (piece.empty()) return true;
        return write(http_1_0_ ? std::string(piece) : chunk(piece), Delivery{});
    }

    bool write(std::string_view bytes, const Delivery& delivery) {
        const std::size_t slice = delivery.slice_bytes > 0 ? delivery.slice_bytes : bytes.size();
        while (!bytes.empty()) {
            error_code error;
            asio::write(socket_, asio::buffer(bytes.substr(0, slice)), error);
            if (error) return false;
            bytes.remove_prefix(std::min(slice, bytes.size()));
        }
        return true;
    }

    // A cut lets the bytes already written arrive; a reset may lose them, as the real thing does.
    Outcome cut(const Delivery& delivery) {
        keep_alive_ = false;
        if (delivery.reset) {
            error_code ignored;
            socket_.set_option(asio::socket_base::linger(true, 0), ignored);
            const std::lock_guard guard(closing_);
            socket_.close(ignored);
        }
        return Outcome::cut;
    }

    // Waits for a release of held answers or, with a deadline, for the deadline.
    Outcome wait(std::optional<Clock::time_point> until, std::uint64_t epoch) {
        for (;;) {
            if (stopping_) return Outcome::stopped;
            if (until && Clock::now() >= *until) return Outcome::complete;
            if (!until && handler_.release_epoch() != epoch) return Outcome::complete;
            int slice_ms = 10;
            if (until) {
                const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now()).count();
                if (left < slice_ms) slice_ms = left > 0 ? static_cast<int>(left) : 0;
            }
            pollfd watched{socket_.native_handle(), POLLRDHUP, 0};
            if (::poll(&watched, 1, slice_ms) > 0) return stopping_ ? Outcome::stopped : Outcome::client_left;
        }
    }

    tcp::socket socket_;
    Handler& handler_;
    const std::atomic<bool>& stopping_;
    std::mutex closing_;
    beast::flat_buffer buffer_;
    bool keep_alive_ = true;
    bool http_1_0_ = false;
    bool head_ = false;
    std::atomic<bool> done_{false};
};

} // namespace

struct Server::Impl {
    explicit Impl(Handler& h)
        : handler(h)
        , acceptor(context) {}

    void accept_one() {
        error_code error;
        tcp::socket socket(context);
        acceptor.accept(socket, error);
        if (error) return;
        workers.remove_if([](Worker& worker) {
            if (!worker.connection->done()) return false;
            worker.thread.join();
            return true;
        });
        auto connection = std::make_unique<Connection>(std::move(socket), handler, stopping);
        Connection* raw = connection.get();
        workers.push_back({std::move(connection), std::thread([raw] { raw->run(); })});
    }

    struct Worker {
        std::unique_ptr<Connection> connection;
        std::thread thread;
    };

    Handler& handler;
    asio::io_context context;
    tcp::acceptor acceptor;
    std::atomic<bool> stopping{false};
    std::list<Worker> workers;
};

Server::Server(Handler& handler, unsigned short port)
    : impl_(std::make_unique<Impl>(handler)) {
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    try {
        impl_->acceptor.open(endpoint.protocol());
        impl_->acceptor.set_option(asio::socket_base::reuse_address(true));
        impl_->acceptor.bind(endpoint);
        impl_->acceptor.listen(1024);
    } catch (const std::exception& e) {
        throw std::runtime_error("cannot listen on 127.0.0.1:" + std::to_string(port) + ": " + e.what());
    }
}

Server::~Server() = default;

unsigned short Server::port() const {
    return impl_->acceptor.local_endpoint().port();
}

void Server::run(const std::function<void()>& ready) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const int signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
    if (signal_fd < 0) throw std::runtime_error("cannot wait for signals");
    ready();
    for (;;) {
        pollfd watched[2] = {{impl_->acceptor.native_handle(), POLLIN, 0}, {signal_fd, POLLIN, 0}};
        if (::poll(watched, 2, -1) < 0) continue;
        if (watched[1].revents != 0) break;
        if (watched[0].revents != 0) impl_->accept_one();
    }
    ::close(signal_fd);
    error_code ignored;
    impl_->acceptor.close(ignored);
    impl_->stopping = true;
    for (auto& worker : impl_->workers)
        if (!worker.connection->done()) worker.connection->interrupt();
    for (auto& worker : impl_->workers) worker.thread.join();
    impl_->workers.clear();
}

} // namespace dbx::standin
