// The two ends that the benchmark needs besides nginx and wrk: an upstream that streams events with the time
// of their sending in them, and a client that measures how late they come. One thread and one epoll each.
//
//   dbx-bench-peer upstream --port N          every request is read whole; the query says what it gets:
//                                             ?events=64&gap_us=20000 a stream, ?idle one event and silence,
//                                             else JSON
//   dbx-bench-peer streams --port N --streams 64 --seconds 2 --target /T?… [--header "Name: value"]…
//   dbx-bench-peer idle --port N --streams 1000 --target /T?idle [--header …]…   until stdin closes

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "dbx-bench-peer: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

std::int64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void no_delay(int socket) {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// The number behind `name=` in a text; nothing when it is not there.
std::optional<std::int64_t> number_after(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    if (at == std::string_view::npos) return std::nullopt;
    std::int64_t value = 0;
    const char* begin = text.data() + at + name.size();
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
    if (error != std::errc() || end == begin) return std::nullopt;
    return value;
}

class Epoll {
  public:
    Epoll()
        : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
        if (fd_ < 0) die("epoll_create1");
    }
    ~Epoll() { ::close(fd_); }
    Epoll(const Epoll&) = delete;
    Epoll& operator=(const Epoll&) = delete;

    void add(int fd, std::uint32_t events) { control(EPOLL_CTL_ADD, fd, events); }
    void change(int fd, std::uint32_t events) { control(EPOLL_CTL_MOD, fd, events); }
    int wait(std::array<epoll_event, 256>& events, int timeout_ms) {
        const int count = ::epoll_wait(fd_, events.data(), static_cast<int>(events.size()), timeout_ms);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        return std::max(count, 0);
    }

  private:
    void control(int operation, int fd, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        if (::epoll_ctl(fd_, operation, fd, &event) != 0) die("epoll_ctl");
    }
    int fd_;
};

// --- the upstream

class Upstream {
  public:
    explicit Upstream(int port)
        : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
        , timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
        const int on = 1;
        ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        auto address = loopback(port);
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
        if (::listen(listener_, 4096) != 0) die("listen");
        socklen_t size = sizeof address;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        epoll_.add(listener_, EPOLLIN);
        epoll_.add(timer_, EPOLLIN);
        answer_ =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 600\r\n\r\n{\"id\":\"" +
            std::string(591, 'x') + "\"}";
        std::printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
        std::fflush(stdout);
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 256> events{};
        while (true) {
            const int count = epoll_.wait(events, -1);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == listener_)
                    accept();
                else if (fd == timer_)
                    send_due();
                else
                    serve(fd, events[static_cast<std::size_t>(i)].events);
            }
        }
    }

  private:
    struct Connection {
        std::string head;         // of the request that is being read
        std::int64_t body = 0;    // bytes still to come
        bool in_body = false;     //
        std::string out;          // what the socket did not take
        std::int64_t left = 0;    // events still to send
        std::int64_t gap_ns = 0;  //
        std::uint64_t stream = 0; // which one: a due entry of an earlier connection with this number is stale
    };
    struct Due {
        std::int64_t at = 0;
        int fd = -1;
        std::uint64_t stream = 0;
        bool operator<(const Due& other) const { return at > other.at; }
    };

    void accept() {
        while (true) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            no_delay(fd);
            connections_[fd] = std::make_unique<Connection>();
            epoll_.add(fd, EPOLLIN);
        }
    }

    void drop(int fd) {
        connections_.erase(fd);
        ::close(fd);
    }

    void serve(int fd, std::uint32_t events) {
        const auto found = connections_.find(fd);
        if (found == connections_.end()) return;
        auto& connection = *found->second;
        if ((events & EPOLLOUT) != 0) {
            std::string rest;
            rest.swap(connection.out);
            epoll_.change(fd, EPOLLIN);
            if (!send(fd, connection, rest)) return;
        }
        if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
        while (true) {
            const auto got = ::recv(fd, buffer_.data(), buffer_.size(), 0);
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return drop(fd);
            std::string_view bytes(buffer_.data(), static_cast<std::size_t>(got));
            while (!bytes.empty())
                if (!take(fd, connection, bytes)) return;
            if (static_cast<std::size_t>(got) < buffer_.size()) return;
        }
    }

    // Takes bytes of one request; false: the connection is gone.
    bool take(int fd, Connection& connection, std::string_view& bytes) {
        if (!connection.in_body) {
            const auto before = connection.head.size();
            connection.head.append(bytes);
            const auto end = connection.head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
            if (end == std::string::npos) {
                bytes = {};
                return true;
            }
            bytes.remove_prefix(end + 4 - before);
            connection.head.resize(end + 4);
            std::string lower = connection.head;
            std::transform(lower.begin(), lower.end(), lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
            if (lower.find("\ntransfer-encoding:") != std::string::npos) {
                std::fprintf(stderr, "dbx-bench-peer: a chunked request: not foreseen\n");
                drop(fd);
                return false;
            }
            connection.body = number_after(lower, "\ncontent-length: ").value_or(0);
            connection.in_body = true;
        }
        const auto part = std::min<std::int64_t>(connection.body, static_cast<std::int64_t>(bytes.size()));
        bytes.remove_prefix(static_cast<std::size_t>(part));
        connection.body -= part;
        if (connection.body > 0) return true;
        connection.in_body = false;
        const std::string line = connection.head.substr(0, connection.head.find("\r\n"));
        connection.head.clear();
        return answer(fd, connection, line);
    }

    bool answer(int fd, Connection& connection, std::string_view line) {
        const auto events = number_after(line, "events=");
        const bool idle = line.find("?idle") != std::string_view::npos;
        if (!events && !idle) return send(fd, connection, answer_);
        std::string head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        if (idle) return send(fd, connection, head + event());
        if (!send(fd, connection, head)) return false;
        connection.left = *events;
        connection.gap_ns = number_after(line, "gap_us=").value_or(20'000) * 1000;
        connection.stream = ++streams_;
        due_.push({now_ns() + connection.gap_ns, fd, connection.stream});
        arm();
        return true;
    }

    // A chunk like a token's event, with the time.
    static std::string event() {
        char data[160];
        const int size = std::snprintf(
            data, sizeof data,
            "event: content_block_delta\ndata: {\"t\":%020lld,\"delta\":{\"type\":\"text_delta\","
            "\"text\":\"some words of an answer\"}}\n\n",
            static_cast<long long>(now_ns()));
        char head[16];
        const int head_size = std::snprintf(head, sizeof head, "%x\r\n", static_cast<unsigned>(size));
        return std::string(head, static_cast<std::size_t>(head_size)) +
               std::string(data, static_cast<std::size_t>(size)) + "\r\n";
    }

    void send_due() {
        std::uint64_t expirations = 0;
        (void)!::read(timer_, &expirations, sizeof expirations);
        const auto now = now_ns();
        while (!due_.empty() && due_.top().at <= now) {
            const Due due = due_.top();
            due_.pop();
            const auto found = connections_.find(due.fd);
            if (found == connections_.end() || found->second->stream != due.stream) continue;
            auto& connection = *found->second;
            std::string chunk = event();
            if (--connection.left == 0)
                chunk += "0\r\n\r\n";
            else
                due_.push({due.at + connection.gap_ns, due.fd, due.stream});
            send(due.fd, connection, chunk);
        }
        arm();
    }

    void arm() {
        if (due_.empty()) return;
        const auto at = due_.top().at;
        itimerspec spec{};
        spec.it_value.tv_sec = at / 1'000'000'000;
        spec.it_value.tv_nsec = at % 1'000'000'000;
        ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
    }

    // False: the connection is gone.
    bool send(int fd, Connection& connection, std::string_view bytes) {
        if (!connection.out.empty()) {
            connection.out.append(bytes);
            return true;
        }
        while (!bytes.empty()) {
            const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                connection.out.assign(bytes);
                epoll_.change(fd, EPOLLIN | EPOLLOUT);
                return true;
            }
            if (sent < 0) {
                drop(fd);
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    Epoll epoll_;
    int listener_;
    int timer_;
    std::string answer_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
    std::unordered_map<int, std::unique_ptr<Connection>> connections_;
    std::priority_queue<Due> due_;
    std::uint64_t streams_ = 0;
};

// --- the client

struct Wishes {
    int port = 0;
    std::size_t streams = 64;
    double seconds = 2;
    std::string target = "/";
    std::vector<std::string> headers;
};

std::string request_of(const Wishes& wishes) {
    const std::string body = "{\"model\":\"databricks-claude-opus-4-6\",\"stream\":true,\"messages\":[\"" +
                             std::string(950, 'm') + "\"]}";
    std::string text =
        "POST " + wishes.target + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(wishes.port) +
        "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    for (const auto& header : wishes.headers) text += header + "\r\n";
    return text + "\r\n" + body;
}

int connect_to(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    auto address = loopback(port);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect");
    no_delay(fd);
    return fd;
}

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) continue;
        if (sent < 0) die("send");
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

// Follows the events of many streams. A stream's end is its last event, known by its number.
class Streams {
  public:
    explicit Streams(const Wishes& wishes)
        : wishes_(wishes)
        , request_(request_of(wishes))
        , events_(number_after(wishes.target, "events=").value_or(1))
        , gap_ns_(number_after(wishes.target, "gap_us=").value_or(20'000) * 1000) {}

    int run() {
        for (std::size_t i = 0; i < wishes_.streams; ++i) {
            const int fd = connect_to(wishes_.port);
            ::fcntl(fd, F_SETFL, O_NONBLOCK);
            epoll_.add(fd, EPOLLIN);
            states_[fd].asked_at = now_ns();
            const timespec pause{0, static_cast<long>(gap_ns_ / static_cast<std::int64_t>(wishes_.streams))};
            send_all(fd, request_);
            ::nanosleep(&pause, nullptr); // spread over one gap
        }
        const auto end = now_ns() + static_cast<std::int64_t>(wishes_.seconds * 1e9);
        std::array<epoll_event, 256> events{};
        while (now_ns() < end) {
            const int count = epoll_.wait(events, 100);
            for (int i = 0; i < count; ++i) read(events[static_cast<std::size_t>(i)].data.fd);
        }
        const auto at = [](std::vector<std::int64_t>& values, double part) {
            std::sort(values.begin(), values.end());
            return values.empty() ? 0.0
                                  : static_cast<double>(values[static_cast<std::size_t>(
                                        part * static_cast<double>(values.size() - 1))]) /
                                        1000.0;
        };
        std::printf(
            "{\"events\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"first_p50_us\": %.1f, \"finished\": "
            "%zu, \"errors\": %zu}\n",
            delays_.size(), at(delays_, 0.5), at(delays_, 0.99), at(first_, 0.5), finished_, errors_);
        return errors_ == 0 ? 0 : 1;
    }

  private:
    struct State {
        std::int64_t seen = 0;
        std::int64_t asked_at = 0;
        std::string tail; // the end of the last read, shorter than an event's time
    };

    void read(int fd) {
        char buffer[65536];
        const auto got = ::recv(fd, buffer, sizeof buffer, 0);
        const auto now = now_ns();
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            ++errors_;
            ::close(fd);
            return;
        }
        auto& state = states_[fd];
        state.tail.append(buffer, static_cast<std::size_t>(got));
        constexpr std::string_view mark = "{\"t\":";
        std::size_t from = 0;
        while (true) {
            const auto found = state.tail.find(mark, from);
            if (found == std::string::npos || found + mark.size() + 20 > state.tail.size()) {
                // enough stays for a mark in two pieces, and to see the end of the stream
                const auto last = state.tail.size() - std::min<std::size_t>(state.tail.size(), 8);
                const auto keep = found == std::string::npos ? std::max(from, last) : found;
                state.tail.erase(0, keep);
                break;
            }
            std::int64_t sent = 0;
            const char* digits = state.tail.data() + found + mark.size();
            std::from_chars(digits, digits + 20, sent);
            delays_.push_back(now - sent);
            // The upstream's own pause before it is none of the proxy's.
            if (++state.seen == 1) first_.push_back(now - state.asked_at - gap_ns_);
            from = found + mark.size() + 20;
        }
        if (state.seen < events_ || !state.tail.ends_with("0\r\n\r\n")) return;
        state.tail.clear();
        state.seen = 0;
        ++finished_;
        state.asked_at = now_ns();
        send_all(fd, request_);
    }

    const Wishes wishes_;
    const std::string request_;
    const std::int64_t events_;
    const std::int64_t gap_ns_;
    Epoll epoll_;
    std::unordered_map<int, State> states_;
    std::vector<std::int64_t> delays_;
    std::vector<std::int64_t> first_; // from the request to its first event
    std::size_t finished_ = 0;
    std::size_t errors_ = 0;
};

int idle(const Wishes& wishes) {
    const std::string request = request_of(wishes);
    std::vector<int> sockets;
    for (std::size_t i = 0; i < wishes.streams; ++i) {
        const int fd = connect_to(wishes.port);
        send_all(fd, request);
        std::string got;
        while (got.find("{\"t\":") == std::string::npos) {
            char buffer[4096];
            const auto count = ::recv(fd, buffer, sizeof buffer, 0);
            if (count <= 0) die("stream " + std::to_string(i) + " ended: " + got.substr(0, 200));
            got.append(buffer, static_cast<std::size_t>(count));
        }
        sockets.push_back(fd);
    }
    std::printf("ready\n");
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    for (const int fd : sockets) ::close(fd);
    return 0;
}

} // namespace

int main(int count, char** arguments) {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    if (words.empty()) {
        std::fprintf(stderr, "usage: dbx-bench-peer upstream|streams|idle --port N …\n");
        return 2;
    }
    Wishes wishes;
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
        const auto& value = words[i + 1];
        if (words[i] == "--port")
            wishes.port = std::atoi(value.c_str());
        else if (words[i] == "--streams")
            wishes.streams = static_cast<std::size_t>(std::atoll(value.c_str()));
        else if (words[i] == "--seconds")
            wishes.seconds = std::atof(value.c_str());
        else if (words[i] == "--target")
            wishes.target = value;
        else if (words[i] == "--header")
            wishes.headers.push_back(value);
        else {
            std::fprintf(stderr, "dbx-bench-peer: unknown option %s\n", words[i].c_str());
            return 2;
        }
    }
    if (words[0] == "upstream") Upstream(wishes.port).run();
    if (words[0] == "streams") return Streams(wishes).run();
    if (words[0] == "idle") return idle(wishes);
    return 2;
}
