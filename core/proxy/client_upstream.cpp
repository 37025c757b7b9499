// The upstream's side of a request: forward, observe, and what becomes of failures.
#include "core/base/strings.hpp"
#include "core/proxy/client_bounds.hpp"

#include <algorithm>
#include <utility>

namespace dbx::proxy {

void ClientConnection::authorise() {
    if (!exchange_.bearer) exchange_.bearer = loop_.shared().tokens.current();
    if (exchange_.bearer) {
        connect();
        return;
    }
    loop_.shared().tokens.ask(
        nullptr, [weak = weak_from_this(), number = number_, &loop = loop_](Result<Bearer> bearer) {
            loop.post([weak, number, bearer = std::move(bearer)] {
                const auto self = weak.lock();
                if (!self || self->number_ != number || self->phase_ != Phase::waiting) return;
                if (bearer) {
                    self->exchange_.bearer = *bearer;
                    self->connect();
                    return;
                }
                const auto& error = bearer.error();
                const bool network = error.kind == ErrorKind::workspace || error.kind == ErrorKind::timeout;
                self->refuse({network ? 502 : 401, "no-token",
                              "The local proxy of dbx-agents has no token: " + error.what +
                                  (error.why.empty() ? "" : " (" + error.why + ")") +
                                  (error.fix.empty() ? "" : ". " + error.fix),
                              network});
            });
        });
}

void ClientConnection::connect() {
    if (!exchange_.fresh_only) {
        if (auto idle = loop_.take_idle(exchange_.endpoint)) {
            attach(std::move(idle));
            return;
        }
    }
    loop_.open(exchange_.endpoint, exchange_.policy->tls,
               [weak = weak_from_this(), number = number_,
                &loop = loop_](tl::expected<std::shared_ptr<Upstream>, http::Failure> opened) {
                   const auto self = weak.lock();
                   if (!self || self->number_ != number || self->phase_ != Phase::waiting) {
                       if (opened) loop.give_back(std::move(*opened));
                       return;
                   }
                   if (opened)
                       self->attach(std::move(*opened));
                   else
                       self->upstream_failed(opened.error());
               });
}

void ClientConnection::attach(std::shared_ptr<Upstream> upstream) {
    const auto self = shared_from_this();
    upstream_ = std::move(upstream);
    upstream_->user = this;
    phase_ = Phase::forwarding;
    exchange_.head_sent = false;
    exchange_.response_head = false;
    exchange_.broken_write = false;
    exchange_.upstream_stays = true;
    const auto& authorization = exchange_.bearer->reveal();
    exchange_.sent_head.clear();
    exchange_.sent_head.reserve(exchange_.head.size() + most_framing_bytes + authorization.size());
    exchange_.sent_head += exchange_.head;
    if (exchange_.chunked)
        exchange_.sent_head += "Transfer-Encoding: chunked\r\n";
    else if (exchange_.length)
        exchange_.sent_head += "Content-Length: " + std::to_string(*exchange_.length) + "\r\n";
    exchange_.sent_head.append("Authorization: ").append(authorization).append("\r\n\r\n");
    next_segment_ = 0;
    segment_offset_ = 0;
    waits_to_write_ = false;
    pending_.clear();
    response_.start(exchange_.head_only);
    upstream_->arm_read();
    pump();
}

void ClientConnection::pump() {
    while (upstream_ && !waits_to_write_ && !exchange_.broken_write && phase_ == Phase::forwarding) {
        auto& buffers = loop_.scratch_buffers;
        buffers.clear();
        if (!exchange_.head_sent)
            buffers.emplace_back(exchange_.sent_head.data(), exchange_.sent_head.size());
        std::size_t offset = segment_offset_;
        for (auto i = next_segment_; i < segments_.size() && buffers.size() < most_buffers; ++i) {
            buffers.emplace_back(segments_[i].data() + offset, segments_[i].size() - offset);
            offset = 0;
        }
        if (buffers.empty()) break;
        error_code error;
        std::size_t count = upstream_->write(buffers, error);
        if (!exchange_.head_sent) {
            const auto part = std::min(count, exchange_.sent_head.size());
            count -= part;
            if (part == exchange_.sent_head.size()) {
                exchange_.head_sent = true;
                exchange_.sent_head = {};
            } else {
                exchange_.sent_head.erase(0, part);
            }
        }
        while (count > 0) {
            const auto left = segments_[next_segment_].size() - segment_offset_;
            if (count < left) {
                segment_offset_ += count;
                break;
            }
            count -= left;
            ++next_segment_;
            segment_offset_ = 0;
        }
        if (error == asio::error::would_block || error == asio::error::try_again) {
            waits_to_write_ = true;
            upstream_->wait_writable();
            return;
        }
        // The upstream may have answered and closed; what it said is still to be read.
        if (error) exchange_.broken_write = true;
    }
    if (exchange_.broken_write) next_segment_ = segments_.size(); // nobody takes it any more
    if (!kept_ && unsent() == 0 && (exchange_.head_sent || exchange_.broken_write)) recycle_body();
}

// Everything has left and nothing is needed again: the room is for what comes.
void ClientConnection::recycle_body() {
    if (segments_.empty()) return;
    segments_.clear();
    chunk_headers_.clear();
    next_segment_ = 0;
    segment_offset_ = 0;
    auto last = std::move(body_.back());
    body_.pop_back();
    for (auto& block : body_) loop_.blocks().give(std::move(block));
    body_.clear();
    // A read that is under way has its place in the block.
    if (!(reading_ && reading_into_body_)) {
        const std::size_t left = last->end - unread_from_;
        std::memmove(last->data, last->data + unread_from_, left);
        last->end = left;
        unread_from_ = 0;
    }
    body_.push_back(std::move(last));
    if (!body_complete()) arm_read();
}

void ClientConnection::upstream_writable(const error_code& error) {
    const auto self = shared_from_this();
    waits_to_write_ = false;
    if (error) exchange_.broken_write = true;
    pump();
}

void ClientConnection::release_body() {
    if (reading_ && reading_into_body_ && !body_.empty()) {
        // A read is under way into this one.
        abandoned_ = std::move(body_.back());
        body_.pop_back();
    }
    for (auto& block : body_) loop_.blocks().give(std::move(block));
    body_.clear();
    segments_.clear();
    chunk_headers_.clear();
    next_segment_ = 0;
    segment_offset_ = 0;
    unread_from_ = 0;
}

void ClientConnection::detach(bool keep) {
    if (!upstream_) return;
    auto upstream = std::move(upstream_);
    upstream_ = nullptr;
    upstream->user = nullptr;
    if (keep)
        loop_.give_back(std::move(upstream));
    else
        upstream->close();
}

void ClientConnection::upstream_failed(const http::Failure& failure) {
    using http::NetworkProblem;
    const std::string host = exchange_.endpoint->host_field;
    std::string message = "The local proxy of dbx-agents cannot reach " + host + ": " + failure.why;
    if (!failure.fix.empty()) message += ". " + failure.fix;
    switch (failure.problem) {
    case NetworkProblem::timeout:
        upstream_failed("upstream-timeout", 504, message, true);
        break;
    case NetworkProblem::tls:
        upstream_failed("upstream-tls", 502, message, false);
        break;
    case NetworkProblem::proxy:
        upstream_failed("upstream-proxy", 502, message, false);
        break;
    default:
        upstream_failed("upstream-unreachable", 502, message, true);
    }
}

void ClientConnection::upstream_failed(std::string_view name, int status, const std::string& message,
                                       bool retry) {
    Counters::add(loop_.mutable_counters().upstream_failed);
    detach(false);
    if (exchange_.response_begun) {
        break_client();
        return;
    }
    refuse({status, name, message, retry});
}

// A connection that served a request before and died before it said a word: the upstream closed it while it
// was idle. The request has not been looked at; it goes out once more, on a new connection.
bool ClientConnection::try_fresh_connection() {
    if (!upstream_ || !upstream_->reused || !kept_ || exchange_.response_head || !pending_.empty() ||
        exchange_.fresh_only)
        return false;
    exchange_.fresh_only = true;
    detach(false);
    phase_ = Phase::waiting;
    connect();
    return true;
}

void ClientConnection::upstream_bytes(const error_code& error, std::size_t count) {
    const auto self = shared_from_this();
    if (phase_ == Phase::closed || !upstream_) return;
    expect_within(answer_time);
    error_code end = error;
    if (pending_.empty() && count < upstream_->small.size()) {
        process({upstream_->small.data(), count}, end);
        return;
    }
    // More may be there than fits into the small buffer, or the beginning of something came before.
    auto block = loop_.blocks().take();
    if (pending_.size() + count > Block::capacity) {
        loop_.blocks().give(std::move(block));
        upstream_failed("upstream-garbled", 502, "The gateway's answer has a header that is too large.",
                        true);
        return;
    }
    block->append(pending_);
    pending_.clear();
    block->append({upstream_->small.data(), count});
    if (!error && count == upstream_->small.size() && block->room() > 0) {
        error_code more;
        block->end += upstream_->read_more(block->data + block->end, block->room(), more);
    }
    process(block->view(), end);
    loop_.blocks().give(std::move(block));
}

void ClientConnection::process(std::string_view bytes, const error_code& end) {
    auto& head = loop_.scratch_head;
    while (!exchange_.response_head) {
        const auto size = head_size(bytes, 0);
        if (!size) {
            if (end || bytes.size() >= head_limit_bytes) {
                if (end && bytes.empty() && try_fresh_connection()) return;
                upstream_failed(end ? "upstream-closed" : "upstream-garbled", 502,
                                end ? "The gateway closed the connection without an answer."
                                    : "The gateway's answer has a header that is too large.",
                                true);
                return;
            }
            pending_.assign(bytes);
            upstream_->arm_read();
            return;
        }
        if (response_.read_head(bytes.substr(0, *size), head)) {
            upstream_failed("upstream-garbled", 502, "The gateway's answer is not HTTP/1.1.", true);
            return;
        }
        if (head.status < 200 && head.status != 101) {
            // "100 Continue" and the like are between the gateway and us.
            bytes.remove_prefix(*size);
            response_.start(exchange_.head_only);
            continue;
        }
        if (head.status == 101) {
            upstream_failed("upstream-garbled", 502, "The gateway changed the protocol unasked.", false);
            return;
        }
        if (hold_for_new_token(head, bytes, end)) return;
        exchange_.response_head = true;
        begin_response(head);
        bytes.remove_prefix(*size);
    }
    auto& pieces = loop_.scratch_pieces;
    pieces.clear();
    std::optional<MessageError> error;
    std::size_t taken = 0;
    if (!response_.done()) taken = response_.read_body(bytes, pieces, error);
    const bool was_done = response_.done();
    bool done = was_done;
    if (!done && end) done = end == asio::error::eof && response_.read_end();
    if (error || (end && !done)) {
        // What came is passed on; then the connection breaks, for a clean end would make it look whole.
        deliver(false);
        if (phase_ == Phase::closed) return;
        Counters::add(loop_.mutable_counters().upstream_failed);
        detach(false);
        break_client();
        return;
    }
    if (done) {
        if (taken < bytes.size() || end) exchange_.upstream_stays = false; // it said more than it should
        deliver(true);
        return;
    }
    pending_.assign(bytes.substr(taken));
    deliver(false);
}

// A refused token: 401, or Databricks' 400 with the words "Invalid Token". One new token, one more try, while
// the request is still at hand. The answer waits meanwhile; it is passed on when there is no other token.
bool ClientConnection::hold_for_new_token(const Head& head, std::string_view bytes, const error_code& end) {
    if (exchange_.asked_again || !kept_ || (head.status != 401 && head.status != 400)) return false;
    const auto keep = [&] {
        pending_.assign(bytes);
        response_.start(exchange_.head_only);
    };
    if (head.status == 400) {
        if (head.content_length && *head.content_length > small_answer_bytes) return false;
        // Its words, as far as they are here.
        MessageFilter probe(MessageFilter::Kind::response);
        Head same;
        const auto size = head_size(bytes, 0);
        probe.start(exchange_.head_only);
        probe.read_head(bytes.substr(0, *size), same);
        std::vector<std::string_view> pieces;
        std::optional<MessageError> error;
        if (!probe.done()) probe.read_body(bytes.substr(*size), pieces, error);
        std::string words;
        for (const auto piece : pieces) words += piece;
        if (!icontains(words, "invalid token") && !icontains(words, "invalid access token")) {
            if (probe.done() || error || end || words.size() > small_answer_bytes) return false;
            keep();
            upstream_->arm_read();
            return true;
        }
    }
    exchange_.asked_again = true;
    exchange_.refreshing = true;
    keep();
    Counters::add(loop_.mutable_counters().token_retries);
    loop_.shared().tokens.ask(exchange_.bearer, [weak = weak_from_this(), number = number_, &loop = loop_,
                                                 ended = static_cast<bool>(end)](Result<Bearer> fresh) {
        loop.post([weak, number, ended, fresh = std::move(fresh)] {
            const auto self = weak.lock();
            if (self && self->number_ == number && self->exchange_.refreshing)
                self->refused_token(fresh, ended);
        });
    });
    return true;
}

void ClientConnection::refused_token(Result<Bearer> fresh, bool ended) {
    exchange_.refreshing = false;
    if (fresh && *fresh != exchange_.bearer) {
        exchange_.bearer = *fresh;
        detach(false); // the rest of its answer is of no use
        pending_.clear();
        phase_ = Phase::waiting;
        connect();
        return;
    }
    if (!upstream_) return;
    const std::string held = std::move(pending_);
    pending_.clear();
    process(held, ended ? error_code(asio::error::eof) : error_code());
}

void ClientConnection::begin_response(const Head& head) {
    exchange_.status = head.status;
    if (kept_ && body_complete()) {
        kept_ = false; // from here on nothing is sent again
        exchange_.head = {};
        if (unsent() == 0) release_body();
    }
    const auto* type = head.find(Name::content_type);
    exchange_.streamed = type != nullptr && icontains(type->value, "event-stream");
    if (exchange_.counted) {
        const auto* encoding = head.find(Name::content_encoding);
        exchange_.meter.emplace(exchange_.route.dialect, type != nullptr ? type->value : std::string_view(),
                                encoding != nullptr ? encoding->value : std::string_view());
        if (const auto* id = head.find("x-request-id"))
            exchange_.upstream_id = id->value.substr(0, most_id_bytes);
    }
    exchange_.upstream_stays = head.keep_alive;
    const bool no_body = exchange_.head_only || head.status == 204 || head.status == 304;
    if (no_body)
        exchange_.framing = Framing::none;
    else if (head.content_length)
        exchange_.framing = Framing::length;
    else
        exchange_.framing = exchange_.minor_version >= 1 ? Framing::chunked : Framing::close;
    if (exchange_.framing == Framing::close) close_when_done_ = true;
    if (!exchange_.keep_alive || loop_.draining()) close_when_done_ = true;
    // The client still sends what nobody wants: it is told that the connection ends.
    if (!body_complete()) close_when_done_ = true;
    auto answer_head = client_head(head, exchange_.framing, close_when_done_);
    if (out_.empty())
        out_ = std::move(answer_head);
    else
        out_ += answer_head;
    exchange_.response_begun = true;
}

void ClientConnection::deliver(bool done) {
    auto& pieces = loop_.scratch_pieces;
    auto& buffers = loop_.scratch_buffers;
    buffers.clear();
    std::size_t size = 0;
    for (const auto piece : pieces) size += piece.size();
    if (exchange_.meter)
        for (const auto piece : pieces) exchange_.meter->see(piece);
    if (size > 0) {
        exchange_.bytes_out += size;
        Counters::add(loop_.mutable_counters().bytes_out, size);
        if (!exchange_.first_byte) exchange_.first_byte = since_begin();
    }
    // The head, and what the client's socket has not taken, come first.
    std::string head;
    if (!waits_for_client_) head.swap(out_);
    if (!head.empty()) buffers.emplace_back(head.data() + out_from_, head.size() - out_from_);
    if (!waits_for_client_) out_from_ = 0;
    std::string chunk;
    const bool chunked = exchange_.framing == Framing::chunked;
    if (chunked && size > 0) {
        chunk = hex(size) + "\r\n";
        buffers.emplace_back(chunk.data(), chunk.size());
    }
    for (const auto piece : pieces) buffers.emplace_back(piece.data(), piece.size());
    if (chunked && size > 0) buffers.emplace_back(crlf.data(), crlf.size());
    if (!done) {
        write(buffers);
        return;
    }
    if (chunked) buffers.emplace_back(last_chunk.data(), last_chunk.size());
    phase_ = Phase::finishing;
    expect_within(stalled_client);
    // The upstream is free before the client has everything; but not before its bytes are out of its buffer.
    const bool keep = exchange_.upstream_stays && body_complete() && exchange_.head_sent && unsent() == 0;
    const auto free = std::exchange(upstream_, nullptr);
    if (free) free->user = nullptr;
    // The row comes before the last byte; an event never waits for it. What ends the answer is held back: of
    // an event stream the last chunk, of anything else what came with its end.
    const bool recorded = exchange_.counted && loop_.shared().ledger != nullptr;
    const std::size_t now = !recorded                       ? buffers.size()
                            : exchange_.streamed && chunked ? buffers.size() - 1
                                                            : 0;
    std::size_t held = held_.size();
    for (std::size_t i = now; i < buffers.size(); ++i) held += buffers[i].size();
    held_.reserve(held);
    for (std::size_t i = now; i < buffers.size(); ++i)
        held_.append(static_cast<const char*>(buffers[i].data()), buffers[i].size());
    buffers.resize(now);
    if (recorded) {
        if (now > 0) write(buffers);
        response_done_ = true;
        if (phase_ != Phase::closed) settle(usage::End::complete, {}, Then::write_held);
    } else {
        response_done_ = true;
        settle(usage::End::complete, {}, Then::nothing);
        write(buffers);
    }
    if (!free) return;
    if (keep)
        loop_.give_back(free);
    else
        free->close();
}

// A clean end would make a cut answer look whole. The row comes before the close, too.
void ClientConnection::break_client() {
    phase_ = Phase::finishing;
    settle(usage::End::cut, "upstream_cut", Then::cut);
}

} // namespace dbx::proxy
