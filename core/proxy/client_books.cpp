// The books of a request: limits before it, the row in the ledger after it.
#include "core/base/strings.hpp"
#include "core/proxy/client_bounds.hpp"

#include <algorithm>
#include <utility>

namespace dbx::proxy {

namespace {

// The name of a refusal as the ledger has it: "upstream-tls" is "upstream_tls".
std::string ledger_word(std::string_view name) {
    return name == "over-limit" ? "limit" : replace_all(std::string(name), "-", "_");
}

} // namespace

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
    // A budget's end is not sat out. Else Codex is asked once to wait and come again; when that was in vain
    // its turn ends with the message, not with words of its own.
    const auto in_a_row = exchange_.policy->limits->refused_in_a_row(exchange_.agent);
    if (limit.resets_at)
        refusal.resets_at = limit.resets_at;
    else if (exchange_.route.dialect == usage::Dialect::responses &&
             (in_a_row > 1 || exchange_.gives_up_at_429))
        refusal.resets_at = std::chrono::system_clock::now() + *refusal.retry_after;
    refuse(refusal);
}

std::chrono::microseconds ClientConnection::since_begin() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                 exchange_.began);
}

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
    // What only looks at an answer again (GET /responses/ID) has used nothing.
    if (!exchange_.route.generates) row.usage.forget_counts();
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
    if (loop_.shared().relay.wants_usage()) export_usage(row.usage, error_class);
    if (loop_.shared().ledger == nullptr) {
        do_then();
        return;
    }
    // The exchange needs its texts no more: it is settled, and the next request begins a new one.
    row.started_at = exchange_.began_at;
    row.agent = std::move(exchange_.agent);
    row.dialect = usage::name_of(exchange_.route.dialect);
    row.route = std::move(exchange_.route.name);
    row.model_asked = std::move(exchange_.model_asked);
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
    row.limit_hit = std::move(exchange_.limit_hit);
    row.bytes_in = body_bytes_;
    row.bytes_out = exchange_.bytes_out;
    row.upstream_request_id = std::move(exchange_.upstream_id);
    if (loop_.record({exchange_.row, std::move(row)}, then == Then::nothing ? nullptr : this, number_))
        do_then();
}

void ClientConnection::committed(std::uint64_t number) {
    if (number_ == number && phase_ != Phase::closed) do_then();
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

} // namespace dbx::proxy
