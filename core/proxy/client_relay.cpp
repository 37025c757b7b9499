// Telemetry: its body is collected and goes to the relay, which answers.
#include "core/proxy/client_bounds.hpp"
#include "core/proxy/relay_body.hpp"

#include <utility>

namespace dbx::proxy {

bool ClientConnection::begin_telemetry(const Head& head, const Route& route) {
    auto& relay = loop_.shared().relay;
    const auto read = read_otlp_head(head);
    exchange_.dialect = read.form.json ? Dialect::otlp_json : Dialect::otlp_protobuf;
    if (read.refusal) {
        relay.count_refused(route.signal);
        refuse(*read.refusal);
        return false;
    }
    Counters::add(loop_.mutable_counters().accepted);
    exchange_.gone_on = true; // no limit and no ledger knows it
    exchange_.telemetry = Relay::Arrival{route.signal, read.form, std::make_unique<HeldBody>(relay)};
    return true;
}

// False when the request has been refused.
bool ClientConnection::collect(std::string_view bytes) {
    auto& telemetry = *exchange_.telemetry;
    if (telemetry.body->bytes().size() + bytes.size() > most_otlp_bytes) {
        loop_.shared().relay.count_refused(telemetry.signal);
        exchange_.telemetry.reset();
        refuse({413, "too-large", "A batch of telemetry may have 16 MB."});
        return false;
    }
    if (telemetry.body->append(bytes)) return true;
    // Exporters send such a batch again.
    exchange_.telemetry.reset();
    refuse({503, "relay-busy", "The local proxy of dbx-agents has too much telemetry in hand.", true,
            seconds(1)});
    return false;
}

void ClientConnection::hand_to_relay() {
    auto telemetry = std::move(*exchange_.telemetry);
    exchange_.telemetry.reset();
    loop_.shared().relay.accept(std::move(telemetry), [weak = weak_from_this(), number = number_,
                                                       &loop = loop_](Relay::Answer answer) {
        loop.post([weak, number, answer = std::move(answer)] {
            const auto self = weak.lock();
            if (self && self->number_ == number && self->phase_ == Phase::waiting) self->relayed(answer);
        });
    });
}

void ClientConnection::relayed(const Relay::Answer& answer) {
    if (answer.status != 200) {
        refuse({answer.status, answer.name, answer.message});
        return;
    }
    exchange_.status = answer.status;
    answer_rendered(render_otlp_taken(exchange_.dialect == Dialect::otlp_json, !exchange_.keep_alive), false);
}

// The books of a request as OpenTelemetry's conventions name them (proxy.export_usage).
void ClientConnection::export_usage(const usage::Usage& used, std::string_view error_class) {
    if (!exchange_.route.generates) return;
    using usage::Dialect;
    const auto dialect = exchange_.route.dialect;
    const auto in_seconds = [](std::chrono::microseconds time) {
        return std::chrono::duration<double>(time).count();
    };
    otlp::UsageRow row;
    row.agent = exchange_.agent;
    row.provider = dialect == Dialect::messages ? "anthropic"
                   : dialect == Dialect::gemini ? "gcp.gemini"
                                                : "openai";
    row.operation = dialect == Dialect::gemini ? "generate_content" : "chat";
    row.request_model = exchange_.model_asked;
    row.response_model = used.model_answered;
    row.server_address = exchange_.endpoint->host;
    row.server_port = static_cast<std::uint16_t>(exchange_.endpoint->port);
    if (!error_class.empty())
        row.error_type = error_class;
    else if (!used.error_class.empty())
        row.error_type = used.error_class;
    else if (exchange_.status >= 400)
        row.error_type = std::to_string(exchange_.status);
    if (used.input)
        row.input_tokens = *used.input + used.cache_read.value_or(0) + used.cache_write.value_or(0);
    row.output_tokens = used.output;
    row.duration_s = in_seconds(since_begin());
    if (exchange_.streamed && exchange_.first_byte)
        row.time_to_first_chunk_s = in_seconds(*exchange_.first_byte);
    loop_.shared().relay.add_usage(row);
}

} // namespace dbx::proxy
