#include "core/proxy/client.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <utility>

namespace dbx::proxy {

namespace {

using std::chrono::seconds;

// How long the other side may be silent. Agents wait longer than five minutes for a first byte themselves.
constexpr seconds head_time{20}; // from a head's first byte to its last
constexpr seconds idle_client{15 * 60};
constexpr seconds body_time{5 * 60};    // the client sends nothing of its body
constexpr seconds answer_time{20 * 60}; // the upstream sends nothing
constexpr seconds stalled_client{15 * 60};
constexpr seconds linger_time{2};

// Up to so much of a request is kept until the answer begins, so that it can be sent again.
constexpr std::uint64_t keep_body_bytes = 1U << 20U;
// Blocks of a body that is not kept: the client is read no further while they are full.
constexpr std::size_t most_body_blocks = 4;
// The same while the model has yet to be found in it.
constexpr std::size_t most_gathered_blocks = 16;
// Bodies of requests that wait in a line are read no further while all blocks of the loop are more than this:
// 64 MB.
constexpr std::size_t most_waiting_blocks = 1024;
// A block with less room than this is full.
constexpr std::size_t least_room = 4096;
// An error answer up to this size is looked at before it is passed on.
constexpr std::size_t small_answer_bytes = 4096;

constexpr std::size_t most_buffers = 32;
constexpr std::size_t most_id_bytes = 128; // of the upstream's request id, in the ledger

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view last_chunk = "0\r\n\r\n";

// The name of a refusal as the ledger has it: "upstream-tls" is "upstream_tls".
std::string ledger_word(std::string_view name) {
    return name == "over-limit" ? "limit" : replace_all(std::string(name), "-", "_");
}

std::string hex(std::size_t number) {
    std::array<char, 20> text;
    std::size_t at = text.size();
    do {
        text[--at] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number > 0);
    return std::string(text.data() + at, text.size() - at);
}

} // namespace

ClientConnection::ClientConnection(Loop& loop, Socket socket)
    : loop_(loop)
    , socket_(std::move(socket)) {}

ClientConnection::~ClientConnection() {
    // close() has been called; the blocks go back with it.
}

void ClientConnection::start() {
    expect_within(head_time);
    arm_read();
}

void ClientConnection::close() {
    if (phase_ == Phase::closed) return;
    const bool was_active = exchange_.policy != nullptr;
    if (was_active) Counters::subtract(loop_.mutable_counters().active);
    if (exchange_.in_line) exchange_.policy->limits->cancel(exchange_.ticket);
    settle(usage::End::cut, "client_gone", Then::nothing);
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
        if (waits_for_client_)
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

// ---------------------------------------------------------------- the client's side

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
    const auto target = in_body ? asio::buffer(body_.back()->data + body_.back()->end, body_.back()->room())
                                : asio::buffer(small_);
    socket_.async_read_some(target, [self = shared_from_this()](const error_code& error, std::size_t count) {
        self->got(error, count);
    });
}

void ClientConnection::got(const error_code& error, std::size_t count) {
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
    switch (phase_) {
    case Phase::head:
        got_head_bytes(count);
        break;
    case Phase::waiting:
    case Phase::forwarding:
        if (reading_into_body_) {
            body_.back()->end += count;
            feed_body();
            if (phase_ == Phase::forwarding) pump();
            arm_read();
        } else {
            next_.append(small_.data(), count);
        }
        break;
    case Phase::finishing:
        next_.append(small_.data(), count);
        break;
    case Phase::lingering:
        arm_read();
        break;
    case Phase::closed:
        break;
    }
}

void ClientConnection::got_head_bytes(std::size_t count) {
    if (!in_) {
        in_ = loop_.blocks().take();
        looked_at_ = 0;
        expect_within(head_time);
    }
    const auto fits = std::min(count, in_->room());
    in_->append({small_.data(), fits});
    if (count == small_.size() && in_->room() > 0) {
        error_code error; // an end is seen again by the next read
        in_->end += socket_.read_some(asio::buffer(in_->data + in_->end, in_->room()), error);
    }
    read_head();
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
    exchange_ = {};
    exchange_.policy = loop_.policy();
    exchange_.began = std::chrono::steady_clock::now();
    exchange_.head_only = head.method == "HEAD";
    exchange_.minor_version = head.minor_version;
    exchange_.keep_alive = head.keep_alive;
    exchange_.dialect = dialect_of(head.target.substr(0, head.target.find('?')));
    exchange_.chunked = head.chunked;
    Counters::add(counters.active);
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
    exchange_.endpoint =
        route.destination == Destination::workspace ? exchange_.policy->workspace : exchange_.policy->gateway;
    if (!exchange_.endpoint) {
        refuse({502, "no-workspace",
                "The local proxy of dbx-agents knows no workspace to send telemetry to. Start it with "
                "--workspace, or set "
                "'workspace' in its configuration."});
        return;
    }
    Counters::add(counters.accepted);
    if (route.destination == Destination::gateway) {
        exchange_.counted = true;
        exchange_.route = usage::route_of(head.method, route.path);
        exchange_.model_asked = exchange_.route.model;
        exchange_.began_at = std::chrono::system_clock::now();
        if (auto* ledger = loop_.shared().ledger)
            exchange_.row =
                ledger->begin({exchange_.began_at, exchange_.agent, usage::name_of(exchange_.route.dialect),
                               exchange_.route.name, exchange_.model_asked});
    }
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
    if (phase_ != Phase::waiting) return; // refused
    if (!exchange_.gathers && !exchange_.gone_on) go_on();
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
        if (exchange_.gathers)
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
        expect_within(body_time);
        return;
    }
    if (exchange_.chunked && !end_queued_) {
        end_queued_ = true;
        segments_.push_back(last_chunk);
    }
    Counters::add(loop_.mutable_counters().bytes_in, body_bytes_);
    expect_within(answer_time);
    if (unread_from_ < block.end) next_.append(block.view(unread_from_));
    block.end = unread_from_;
}

// The model's name is exchanged in the gathered bytes; they have not left yet.
void ClientConnection::apply_model_map() {
    const auto span = exchange_.scan.model_span();
    if (!span || exchange_.model_asked.empty()) return;
    exchange_.model_sent = mapped_model(*exchange_.policy, exchange_.model_asked);
    if (exchange_.model_sent.empty()) return;
    std::vector<std::string_view> pieces;
    std::uint64_t at = 0; // of the piece in the body
    for (const auto piece : gathered_) {
        const auto begin = std::clamp<std::uint64_t>(span->offset, at, at + piece.size()) - at;
        const auto end = std::clamp<std::uint64_t>(span->offset + span->length, at, at + piece.size()) - at;
        if (begin > 0) pieces.push_back(piece.substr(0, begin));
        if (span->offset >= at && span->offset < at + piece.size()) pieces.push_back(exchange_.model_sent);
        if (end < piece.size()) pieces.push_back(piece.substr(end));
        at += piece.size();
    }
    gathered_ = std::move(pieces);
    if (exchange_.length) *exchange_.length += exchange_.model_sent.size() - span->length;
}

// The third step: the limits.
void ClientConnection::go_on() {
    exchange_.gone_on = true;
    auto& limits = *exchange_.policy->limits;
    if (!exchange_.route.generates || !exchange_.counted || limits.empty()) {
        authorise();
        return;
    }
    usage::Limiter::Ask ask;
    ask.agent = exchange_.agent;
    ask.model = exchange_.model_asked;
    ask.input_bytes = exchange_.length.value_or(body_bytes_);
    ask.output_cap = exchange_.scan.output_cap();
    if (const auto* price = exchange_.policy->prices->find(exchange_.model_asked))
        ask.usd_per_token = price->output / 1e6;
    const auto verdict = limits.admit(ask, [weak = weak_from_this(), number = number_,
                                            &loop = loop_](const usage::Limiter::Released& released) {
        loop.post([weak, number, released] {
            const auto self = weak.lock();
            if (self && self->number_ == number && self->exchange_.in_line) self->released(released);
        });
    });
    exchange_.ticket = verdict.ticket;
    switch (verdict.decision) {
    case usage::Limiter::Decision::go:
        authorise();
        break;
    case usage::Limiter::Decision::wait:
        exchange_.in_line = true;
        if (verdict.refusal) exchange_.limit_hit = verdict.refusal->limit;
        expect_within(answer_time);
        break;
    case usage::Limiter::Decision::refuse:
        over_limit(*verdict.refusal);
        break;
    }
}

void ClientConnection::released(const usage::Limiter::Released& released) {
    exchange_.in_line = false;
    exchange_.queued = released.waited;
    exchange_.limit_hit = released.limit;
    if (released.decision == usage::Limiter::Decision::go) {
        authorise();
        arm_read();
        return;
    }
    exchange_.ticket = 0;
    if (released.refusal) over_limit(*released.refusal);
}

// In the caller's dialect, so that each client does the right thing (answers.hpp).
void ClientConnection::over_limit(const usage::Limiter::Refusal& limit) {
    Counters::add(loop_.mutable_counters().limited);
    exchange_.limit_hit = limit.limit;
    Refusal refusal{429, "over-limit",
                    "The local proxy of dbx-agents holds you back: " + limit.in_words() + ".", true};
    refusal.limit = exchange_.limit_hit;
    refusal.retry_after =
        std::chrono::duration_cast<seconds>(limit.retry_after + std::chrono::milliseconds(999));
    refusal.resets_at = limit.resets_at;
    refuse(refusal);
}

// ---------------------------------------------------------------- answers of our own

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

// ---------------------------------------------------------------- the upstream's side

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
    exchange_.sent_head = exchange_.head;
    if (exchange_.chunked)
        exchange_.sent_head += "Transfer-Encoding: chunked\r\n";
    else if (exchange_.length)
        exchange_.sent_head += "Content-Length: " + std::to_string(*exchange_.length) + "\r\n";
    exchange_.sent_head += "Authorization: " + exchange_.bearer->reveal() + "\r\n\r\n";
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
    out_ += client_head(head, exchange_.framing, close_when_done_);
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

std::chrono::microseconds ClientConnection::since_begin() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 exchange_.began);
}

// A clean end would make a cut answer look whole. The row comes before the close, too.
void ClientConnection::break_client() {
    phase_ = Phase::finishing;
    settle(usage::End::cut, "upstream_cut", Then::cut);
}

// ---------------------------------------------------------------- writing to the client

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
    waits_for_client_ = true;
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& failed) {
        self->waits_for_client_ = false;
        if (self->phase_ == Phase::closed) return;
        if (failed)
            self->client_left();
        else
            self->flush();
    });
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

// ---------------------------------------------------------------- the end

void ClientConnection::settle(usage::End end, std::string_view error_class, Then then) {
    then_ = then;
    if (exchange_.policy == nullptr || exchange_.settled) {
        do_then();
        return;
    }
    exchange_.settled = true;
    auto& counters = loop_.mutable_counters();
    if (exchange_.status > 0)
        Counters::add(exchange_.status < 400   ? counters.answered_2xx
                      : exchange_.status < 500 ? counters.answered_4xx
                                               : counters.answered_5xx);
    log_request();
    if (!exchange_.counted) {
        do_then();
        return;
    }
    usage::Row row;
    if (exchange_.meter) row.usage = exchange_.meter->finish(end);
    const auto& model = exchange_.model_sent.empty() ? exchange_.model_asked : exchange_.model_sent;
    const auto cost = exchange_.policy->prices->cost(model, row.usage);
    if (exchange_.ticket != 0 && !exchange_.in_line) {
        usage::Limiter::Spent spent;
        spent.tokens = row.usage.known() ? row.usage.counted() : row.usage.output_estimate;
        if (cost) spent.usd = cost->usd;
        if (row.usage.input) spent.input = *row.usage.input + row.usage.cache_write.value_or(0);
        spent.output = row.usage.output;
        exchange_.policy->limits->settle(exchange_.ticket, spent);
    }
    auto* ledger = loop_.shared().ledger;
    if (ledger == nullptr) {
        do_then();
        return;
    }
    row.started_at = exchange_.began_at;
    row.agent = exchange_.agent;
    row.dialect = usage::name_of(exchange_.route.dialect);
    row.route = exchange_.route.name;
    row.model_asked = exchange_.model_asked;
    row.status = exchange_.status;
    row.error_class = !error_class.empty() ? ledger_word(error_class) : row.usage.error_class;
    row.streamed = exchange_.streamed;
    if (cost) {
        row.cost_usd = cost->usd;
        row.price = cost->price;
    }
    row.queued = exchange_.queued;
    row.first_byte = exchange_.first_byte;
    row.total = since_begin();
    row.limit_hit = exchange_.limit_hit;
    row.bytes_in = body_bytes_;
    row.bytes_out = exchange_.bytes_out;
    row.upstream_request_id = exchange_.upstream_id;
    if (then == Then::nothing) {
        ledger->add(exchange_.row, std::move(row), {});
        return;
    }
    ledger->add(exchange_.row, std::move(row),
                [weak = weak_from_this(), number = number_, &loop = loop_](bool) {
                    loop.post([weak, number] {
                        const auto self = weak.lock();
                        if (self && self->number_ == number && self->phase_ != Phase::closed) self->do_then();
                    });
                });
}

// The row is committed, or there is none.
void ClientConnection::do_then() {
    switch (std::exchange(then_, Then::nothing)) {
    case Then::nothing:
        break;
    case Then::write_held: {
        const std::string held = std::move(held_);
        held_.clear();
        const asio::const_buffer buffer(held.data(), held.size());
        write({&buffer, 1});
        break;
    }
    case Then::cut:
        break_when_flushed_ = true;
        if (!waits_for_client_) flushed();
        break;
    }
}

void ClientConnection::log_request() {
    if (!loop_.shared().log_requests || exchange_.line.empty()) return;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                            exchange_.began);
    loop_.shared().log(exchange_.agent + " " + exchange_.line + " " + std::to_string(exchange_.status) + " " +
                       std::to_string(took.count()) + " ms");
}

void ClientConnection::finish() {
    const bool stays = exchange_.keep_alive && !close_when_done_ && !loop_.draining() && body_complete();
    if (exchange_.policy != nullptr) Counters::subtract(loop_.mutable_counters().active);
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
