// The client's side of a connection: its life, heads, bodies, answers of our own, writing.
#include "core/proxy/client.hpp"

#include "core/base/strings.hpp"
#include "core/proxy/client_bounds.hpp"

#include <algorithm>
#include <utility>

namespace dbx::proxy {

ClientConnection::ClientConnection(Loop& loop, Socket socket)
    : loop_(loop)
    , socket_(std::move(socket)) {}

void ClientConnection::start() {
    expect_within(head_time);
    arm_read();
}

void ClientConnection::close(std::string_view why) {
    if (phase_ == Phase::closed) return;
    if (exchange_.under_way) Counters::subtract(loop_.mutable_counters().active);
    if (exchange_.in_line) exchange_.policy->limits->cancel(exchange_.ticket);
    settle(usage::End::cut, why, Then::nothing);
    phase_ = Phase::closed;
    ++number_;
    detach(false);
    release_body();
    loop_.blocks().give(std::move(in_));
    exchange_ = {};
    error_code ignored;
    socket_.close(ignored);
    loop_.forget(*this);
}

void ClientConnection::drain() {
    close_when_done_ = true;
    if (phase_ == Phase::head && (!in_ || in_->end == 0)) close();
}

bool ClientConnection::is_late(SteadyTime now) const {
    return now >= deadline_;
}

void ClientConnection::too_late() {
    const auto self = shared_from_this();
    switch (phase_) {
    case Phase::head:
        if (in_ && in_->end > 0)
            refuse(
                {408, "slow-request", "The head of the request did not come in time.", true, {}, {}, true});
        else
            close();
        break;
    case Phase::waiting:
    case Phase::forwarding:
        if (exchange_.in_line)
            expect_within(answer_time); // the line has its own time
        else if (waits_for_client_)
            client_left();
        else if (!body_complete() && unsent() == 0)
            refuse(
                {408, "slow-request", "The body of the request did not come in time.", true, {}, {}, true});
        else
            upstream_failed("upstream-silent", 504,
                            "The gateway sent nothing for " + std::to_string(answer_time.count() / 60) +
                                " minutes.",
                            true);
        break;
    default:
        close();
    }
}

void ClientConnection::arm_read() {
    if (reading_ || phase_ == Phase::closed) return;
    const bool in_body = (phase_ == Phase::waiting || phase_ == Phase::forwarding) && !body_complete();
    // A request that came behind this one waits; its bytes are not taken before their time.
    if (!in_body && !next_.empty()) return;
    if (in_body) {
        if (body_.empty() || body_.back()->room() < least_room) {
            if (!kept_ && body_.size() >= (exchange_.gathers ? most_gathered_blocks : most_body_blocks))
                return; // pump() goes on when they are sent
            if (exchange_.in_line && loop_.blocks().in_use() > most_waiting_blocks) return;
            auto block = loop_.blocks().take();
            if (!body_.empty() && unread_from_ < body_.back()->end) {
                // The beginning of a chunk's header has to stand before its end.
                block->append(body_.back()->view(unread_from_));
                body_.back()->end = unread_from_;
            }
            unread_from_ = 0;
            body_.push_back(std::move(block));
        }
    }
    reading_ = true;
    reading_into_body_ = in_body;
    if (in_body) {
        socket_.async_read_some(asio::buffer(body_.back()->data + body_.back()->end, body_.back()->room()),
                                [self = shared_from_this()](const error_code& error, std::size_t count) {
                                    self->got_body(error, count);
                                });
        return;
    }
    // An idle connection has no room for bytes; the next request's head and body come with one read.
    socket_.async_wait(Socket::wait_read,
                       [self = shared_from_this()](const error_code& error) { self->readable(error); });
}

void ClientConnection::got_body(const error_code& error, std::size_t count) {
    reading_ = false;
    if (phase_ == Phase::closed) return;
    if (error) {
        client_left();
        return;
    }
    if (abandoned_) {
        // The rest of a body that nobody wants any more.
        loop_.blocks().give(std::move(abandoned_));
        arm_read();
        return;
    }
    if (phase_ == Phase::finishing) return; // of a body that is no longer wanted nothing is kept
    if (phase_ == Phase::waiting || phase_ == Phase::forwarding) {
        body_.back()->end += count;
        feed_body();
        if (phase_ == Phase::forwarding) pump();
    }
    arm_read();
}

void ClientConnection::readable(error_code error) {
    reading_ = false;
    if (phase_ == Phase::closed) return;
    std::array<char, 1024> few; // of what comes behind a request, or of what nobody wants
    auto target = asio::buffer(few);
    const bool begins = phase_ == Phase::head && !in_;
    if (begins) in_ = loop_.blocks().take();
    if (phase_ == Phase::head) target = asio::buffer(in_->data + in_->end, in_->room());
    std::size_t count = 0;
    if (!error) count = socket_.read_some(target, error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
        if (begins) loop_.blocks().give(std::move(in_));
        arm_read();
        return;
    }
    if (error) {
        client_left();
        return;
    }
    switch (phase_) {
    case Phase::head:
        if (begins) {
            looked_at_ = 0;
            expect_within(head_time);
        }
        in_->end += count;
        read_head();
        break;
    case Phase::waiting:
    case Phase::forwarding:
    case Phase::finishing:
        next_.append(few.data(), count);
        break;
    case Phase::lingering:
        arm_read();
        break;
    case Phase::closed:
        break;
    }
}

void ClientConnection::read_head() {
    // An empty line before a request is ignored (RFC 9112, 2.2).
    std::size_t skip = 0;
    while (in_->end - skip >= 2 && in_->view(skip).starts_with(crlf)) skip += 2;
    if (skip > 0) {
        std::memmove(in_->data, in_->data + skip, in_->end - skip);
        in_->end -= skip;
        looked_at_ = 0;
    }
    const auto size = head_size(in_->view(), looked_at_);
    if (!size) {
        looked_at_ = in_->end;
        if (in_->room() == 0)
            refuse(
                {431, "large-header", "The head of the request is larger than 64 KB.", false, {}, {}, true});
        else
            arm_read();
        return;
    }
    auto& head = loop_.scratch_head;
    request_.start();
    if (const auto error = request_.read_head({in_->data, *size}, head)) {
        Refusal refusal{error->status,
                        "bad-request",
                        "The request cannot be read: " + std::string(error->what) + ".",
                        false,
                        {},
                        {},
                        true};
        refuse(refusal);
        return;
    }
    begin_request(head, *size);
}

void ClientConnection::begin_request(const Head& head, std::size_t head_bytes) {
    ++number_;
    auto& counters = loop_.mutable_counters();
    exchange_.policy = loop_.policy();
    exchange_.began = std::chrono::steady_clock::now();
    exchange_.head_only = head.method == "HEAD";
    exchange_.minor_version = head.minor_version;
    exchange_.keep_alive = head.keep_alive;
    exchange_.dialect = dialect_of(head.target.substr(0, head.target.find('?')));
    exchange_.chunked = head.chunked;
    kept_ = !head.content_length || *head.content_length <= keep_body_bytes;

    auto verdict = admit(head, exchange_.policy->gate);
    if (auto* refusal = std::get_if<Refusal>(&verdict)) {
        Counters::add(counters.turned_away);
        refuse(*refusal);
        return;
    }
    auto& admission = std::get<Admission>(verdict);
    auto& route = admission.route;
    exchange_.agent = admission.agent;
    exchange_.line = std::string(head.method) + " " + route.path;
    if (route.destination == Destination::local) {
        if (head.method != "GET" && head.method != "HEAD") {
            refuse({405, "wrong-method", "This page is read with GET."});
            return;
        }
        if (route.page == Page::health)
            answer(200, "text/plain", "ok\n");
        else
            answer(200, route.page == Page::status ? "application/json" : "text/plain; version=0.0.4",
                   loop_.shared().page(route.page));
        return;
    }
    if (admission.answered_here) {
        answer(200, "text/plain", "");
        return;
    }
    Counters::add(counters.active);
    exchange_.under_way = true;
    if (route.destination == Destination::relay) {
        if (begin_telemetry(head, route)) begin_body(head, head_bytes);
        return;
    }
    exchange_.endpoint = exchange_.policy->gateway;
    Counters::add(counters.accepted);
    exchange_.counted = true;
    exchange_.route = usage::route_of(head.method, route.path);
    exchange_.model_asked = exchange_.route.model;
    exchange_.began_at = std::chrono::system_clock::now();
    if (exchange_.route.dialect == usage::Dialect::responses && !exchange_.policy->limits->empty())
        if (const auto* program = head.find("user-agent"))
            exchange_.gives_up_at_429 = gives_up_at_429(program->value);
    if (auto* ledger = loop_.shared().ledger)
        exchange_.row =
            ledger->begin({exchange_.began_at, exchange_.agent, usage::name_of(exchange_.route.dialect),
                           exchange_.route.name, exchange_.model_asked});
    if (const auto model = model_in_path(route.path)) {
        exchange_.model_sent = mapped_model(
            *exchange_.policy, std::string_view(route.path).substr(model->offset, model->length));
        if (!exchange_.model_sent.empty())
            route.path.replace(model->offset, model->length, exchange_.model_sent);
    }
    exchange_.head = upstream_head(head, route, *exchange_.endpoint);
    exchange_.length = head.content_length;
    // Who is limited, or asks for a model that has another name, waits until the body has told the model.
    exchange_.gathers = exchange_.route.generates && exchange_.model_asked.empty() && !request_.done() &&
                        (!exchange_.policy->limits->empty() || !exchange_.policy->models.empty());
    begin_body(head, head_bytes);
}

void ClientConnection::begin_body(const Head& head, std::size_t head_bytes) {
    const auto* expect = head.find(Name::expect);
    if (expect != nullptr && head.minor_version >= 1 && !request_.done() &&
        iequals(expect->value, "100-continue") && in_->end == head_bytes) {
        constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        const asio::const_buffer buffer(go_on.data(), go_on.size());
        write({&buffer, 1});
    }

    phase_ = Phase::waiting;
    // The rest of the block is the beginning of the body, or the next request.
    unread_from_ = head_bytes;
    body_.push_back(std::move(in_));
    feed_body();
    // Waiting, refused, or, where the model had to be known first, on its way already.
    if (phase_ == Phase::waiting && !exchange_.gathers && !exchange_.gone_on) go_on();
    if (phase_ == Phase::forwarding) pump(); // what feed_body() queued behind its go_on()
    if (phase_ == Phase::waiting || phase_ == Phase::forwarding) arm_read();
}

void ClientConnection::add_body(std::string_view bytes) {
    if (exchange_.chunked) {
        chunk_headers_.push_back(hex(bytes.size()) + "\r\n");
        segments_.push_back(chunk_headers_.back());
    }
    segments_.push_back(bytes);
    if (exchange_.chunked) segments_.push_back(crlf);
}

void ClientConnection::feed_body() {
    auto& block = *body_.back();
    auto& pieces = loop_.scratch_pieces;
    pieces.clear();
    std::optional<MessageError> error;
    if (!request_.done()) unread_from_ += request_.read_body(block.view(unread_from_), pieces, error);
    const bool scans = exchange_.counted && !exchange_.scan.settled() && exchange_.route.model.empty();
    for (const auto piece : pieces) {
        body_bytes_ += piece.size();
        if (scans) exchange_.scan.see(piece);
        if (exchange_.telemetry) {
            if (!collect(piece)) return;
        } else if (exchange_.gathers)
            gathered_.push_back(piece);
        else
            add_body(piece);
    }
    if (scans && exchange_.model_asked.empty() && exchange_.scan.model()) {
        exchange_.model_asked = *exchange_.scan.model();
        if (auto* ledger = loop_.shared().ledger) ledger->name_model(exchange_.row, exchange_.model_asked);
    }
    if (error) {
        Counters::add(loop_.mutable_counters().turned_away);
        // Nothing that the upstream could take for a whole request has left.
        detach(false);
        refuse({error->status,
                "bad-request",
                "The request cannot be read: " + std::string(error->what) + ".",
                false,
                {},
                {},
                true});
        return;
    }
    if (body_bytes_ > keep_body_bytes) kept_ = false;
    if (exchange_.gathers &&
        (exchange_.scan.settled() || request_.done() || body_bytes_ >= keep_body_bytes / 2)) {
        exchange_.gathers = false;
        apply_model_map();
        for (const auto piece : gathered_) add_body(piece);
        gathered_.clear();
        go_on();
        if (phase_ != Phase::waiting && phase_ != Phase::forwarding) return;
    }
    if (!request_.done()) {
        if (exchange_.telemetry) {
            // What was taken is copied: the block is free but for the beginning of a chunk's header.
            const std::size_t left = block.end - unread_from_;
            std::memmove(block.data, block.data + unread_from_, left);
            block.end = left;
            unread_from_ = 0;
        }
        expect_within(body_time);
        return;
    }
    if (exchange_.chunked && !exchange_.telemetry && !end_queued_) {
        end_queued_ = true;
        segments_.push_back(last_chunk);
    }
    Counters::add(loop_.mutable_counters().bytes_in, body_bytes_);
    expect_within(answer_time);
    if (unread_from_ < block.end) next_.append(block.view(unread_from_));
    block.end = unread_from_;
    if (exchange_.telemetry) hand_to_relay();
}

void ClientConnection::refuse(const Refusal& refusal) {
    if (phase_ == Phase::closed) return;
    if (exchange_.response_begun) {
        break_client();
        return;
    }
    detach(false);
    exchange_.status = refusal.status;
    exchange_.error_name = refusal.name;
    if (exchange_.policy == nullptr) Counters::add(loop_.mutable_counters().turned_away);
    const bool close = refusal.close || !body_complete();
    answer_rendered(render(refusal, exchange_.dialect, exchange_.head_only, close || !exchange_.keep_alive),
                    close);
}

void ClientConnection::answer(int status, std::string_view content_type, std::string_view body) {
    exchange_.status = status;
    const bool close = !body_complete();
    answer_rendered(render(status, content_type, body, exchange_.head_only, close || !exchange_.keep_alive),
                    close);
}

void ClientConnection::answer_rendered(std::string message, bool close) {
    if (close) close_when_done_ = true;
    // What came behind this request in the same block is the next one.
    if (in_ && !close) {
        const auto end = head_size(in_->view(), 0);
        if (end && *end < in_->end) next_.append(in_->view(*end));
    }
    phase_ = Phase::finishing;
    exchange_.response_begun = true;
    response_done_ = true;
    expect_within(stalled_client);
    held_ = std::move(message);
    settle(usage::End::complete, exchange_.error_name, Then::write_held);
}

void ClientConnection::write(std::span<const asio::const_buffer> buffers) {
    if (phase_ == Phase::closed) return;
    std::size_t count = 0;
    error_code error;
    if (!waits_for_client_ && out_.empty()) {
        std::size_t total = 0;
        for (const auto& buffer : buffers) total += buffer.size();
        if (total > 0) {
            // The system takes few pieces at once; small ones are cheaper to copy.
            if (buffers.size() > most_buffers) {
                std::string flat;
                flat.reserve(total);
                for (const auto& buffer : buffers)
                    flat.append(static_cast<const char*>(buffer.data()), buffer.size());
                count = socket_.write_some(asio::buffer(flat), error);
            } else {
                count = socket_.write_some(buffers, error);
            }
        }
        if (error && error != asio::error::would_block && error != asio::error::try_again) {
            client_left();
            return;
        }
    }
    for (const auto& buffer : buffers) {
        const auto skip = std::min(count, buffer.size());
        count -= skip;
        out_.append(static_cast<const char*>(buffer.data()) + skip, buffer.size() - skip);
    }
    if (out_.empty()) {
        flushed();
        return;
    }
    if (waits_for_client_) return;
    wait_for_client();
}

void ClientConnection::wait_for_client() {
    waits_for_client_ = true;
    expect_within(stalled_client);
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& failed) {
        self->waits_for_client_ = false;
        if (self->phase_ == Phase::closed) return;
        if (failed)
            self->client_left();
        else
            self->flush();
    });
}

void ClientConnection::flush() {
    error_code error;
    out_from_ += socket_.write_some(asio::buffer(out_.data() + out_from_, out_.size() - out_from_), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
        client_left();
        return;
    }
    if (out_from_ == out_.size()) {
        out_.clear();
        if (out_.capacity() > Block::capacity) out_.shrink_to_fit();
        out_from_ = 0;
        flushed();
        return;
    }
    wait_for_client();
}

// The client has all that there is so far.
void ClientConnection::flushed() {
    if (break_when_flushed_) {
        close();
        return;
    }
    if (response_done_) {
        if (then_ == Then::nothing) finish();
        return;
    }
    if (upstream_ && exchange_.response_head) {
        expect_within(answer_time);
        upstream_->arm_read();
    }
}

void ClientConnection::finish() {
    const bool stays = exchange_.keep_alive && !close_when_done_ && !loop_.draining() && body_complete();
    if (exchange_.under_way) Counters::subtract(loop_.mutable_counters().active);
    exchange_ = {};
    if (stays)
        next_request();
    else
        linger();
}

void ClientConnection::next_request() {
    release_body();
    body_bytes_ = 0;
    kept_ = true;
    end_queued_ = false;
    pending_.clear();
    response_done_ = false;
    loop_.blocks().give(std::move(in_));
    phase_ = Phase::head;
    ++number_;
    expect_within(idle_client);
    if (next_.empty()) {
        arm_read();
        return;
    }
    // Requests that came behind each other: from the loop, so that they do not pile up on the stack.
    asio::post(loop_.io(), [self = shared_from_this()] {
        if (self->phase_ != Phase::head || self->in_ || self->next_.empty()) return;
        self->in_ = self->loop_.blocks().take();
        self->looked_at_ = 0;
        const auto fits = std::min(self->next_.size(), self->in_->room());
        self->in_->append(std::string_view(self->next_).substr(0, fits));
        self->next_.erase(0, fits);
        self->expect_within(head_time);
        self->read_head();
    });
}

// Closing while the client still sends would make the system throw away the answer that it has not read
// (RFC 9112, 9.6).
void ClientConnection::linger() {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::lingering;
    release_body();
    next_.clear();
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    expect_within(linger_time);
    arm_read();
}

void ClientConnection::client_left() {
    if (phase_ == Phase::closed) return;
    if (phase_ == Phase::waiting || phase_ == Phase::forwarding)
        Counters::add(loop_.mutable_counters().aborted);
    close();
}

} // namespace dbx::proxy
