#pragma once

#include "core/proxy/loop.hpp"
#include "core/usage/dialect.hpp"
#include "core/usage/meter.hpp"
#include "core/usage/request_scan.hpp"

#include <deque>
#include <optional>

namespace dbx::proxy {

// One connection of an agent, and the request that is under way on it. The steps of a request, in order:
//   accept     read_head()         a whole head, unambiguous framing
//   admit      begin_request()     key, Host, path (admit.hpp); the proxy's own pages are answered here
//   limit      go_on()            the model is known; waits in the line, or is refused
//   authorise  authorise()         the token; waits for it when there is none
//   forward    attach(), pump()    the head and the body go upstream while they come in
//   observe    deliver()           the answer goes to the client as it comes
//   record     settle()            the row is committed before the last byte of the answer goes out
// Both directions run at once. All calls on the loop's thread.
class ClientConnection final : public std::enable_shared_from_this<ClientConnection>, public UpstreamUser {
  public:
    ClientConnection(Loop& loop, Socket socket);

    void start();
    // `why` is the ledger's word for a request that this cuts.
    void close(std::string_view why = "client_gone");
    void drain(); // ends when its request has ended
    bool is_late(SteadyTime now) const;
    void too_late();
    void committed(std::uint64_t number); // the row of that request

    void upstream_bytes(const error_code& error, std::size_t count) override;
    void upstream_writable(const error_code& error) override;

  private:
    enum class Phase {
        head,       // waiting for, or in the middle of, a request's head
        waiting,    // for a token or a connection
        forwarding, // both directions
        finishing,  // the answer is complete and leaves
        lingering,  // the answer is out; what the client still sends is thrown away
        closed,
    };

    // The request under way.
    struct Exchange {
        std::shared_ptr<const Policy> policy;
        std::shared_ptr<const Endpoint> endpoint;
        Dialect dialect = Dialect::openai;
        std::string agent;
        std::string line; // "POST /anthropic/v1/messages", for the log
        std::string head; // of the request as it goes upstream, without framing and Authorization
        std::optional<std::uint64_t> length; // of the request's body, as it goes upstream
        std::string_view error_name;         // of our own refusal
        bool gone_on = false;                // past the limits, or in their line
        bool head_only = false;              // HEAD
        int minor_version = 1;               // of the client
        bool keep_alive = true;              // the client wants the connection to stay
        bool chunked = false;                // the request's body
        SteadyTime began = {};
        int status = 0; // what the client was told

        Bearer bearer;
        bool asked_again = false;    // with a new token
        bool fresh_only = false;     // an idle connection died under it: no other idle one
        bool head_sent = false;      // to the upstream
        std::string sent_head;       // while it leaves
        bool response_head = false;  // read
        bool response_begun = false; // something of it went to the client
        bool streamed = false;       // an event stream
        bool broken_write = false;   // the upstream takes no more; its answer may still come
        Framing framing = Framing::none;
        bool upstream_stays = true; // its connection can be used again
        bool refreshing = false;

        // What the books want to know.
        bool counted = false; // accepted: it makes exactly one row
        bool settled = false; // the row is on its way
        system::WallTime began_at = {};
        usage::Route route;
        std::string model_asked;
        std::string model_sent; // when a model map changed it
        usage::RequestScan scan;
        bool gathers = false; // the body waits until the model is known
        std::optional<usage::Meter> meter;
        usage::Ledger::Ticket row;
        Limits::Limiter::TicketId ticket = 0;
        bool under_way = false; // counted as active
        bool in_line = false;
        bool gives_up_at_429 = false;
        std::string limit_hit;
        std::chrono::microseconds queued{0};
        std::optional<std::chrono::microseconds> first_byte;
        std::uint64_t bytes_out = 0;
        std::string upstream_id;

        std::optional<Relay::Arrival> telemetry; // while its body comes in
    };

    // What happens once the row is committed.
    enum class Then { nothing, write_held, cut };

    // --- the client's side
    void arm_read();
    void got_body(const error_code& error, std::size_t count);
    void readable(error_code error);
    void read_head();
    void begin_request(const Head& head, std::size_t head_bytes);
    void feed_body();
    void add_body(std::string_view bytes);
    void begin_body(const Head& head, std::size_t head_bytes);
    bool begin_telemetry(const Head& head, const Route& route);
    bool collect(std::string_view bytes);
    void hand_to_relay();
    void relayed(const Relay::Answer& answer);
    void export_usage(const usage::Usage& used, std::string_view error_class);
    void go_on();
    void apply_model_map();
    void released(const Limits::Limiter::Released& released);
    void over_limit(const Limits::Limiter::Refusal& refusal);
    bool body_complete() const { return request_.done(); }
    std::size_t unsent() const { return segments_.size() - next_segment_; }

    void refuse(const Refusal& refusal);
    void answer(int status, std::string_view content_type, std::string_view body);
    void answer_rendered(std::string message, bool close);

    // --- the upstream's side
    void authorise();
    void connect();
    void attach(std::shared_ptr<Upstream> upstream);
    void pump();
    void recycle_body();
    void release_body();
    void upstream_failed(const http::Failure& failure);
    void upstream_failed(std::string_view name, int status, const std::string& message, bool retry);
    bool try_fresh_connection();
    void process(std::string_view bytes, const error_code& end);
    bool hold_for_new_token(const Head& head, std::string_view bytes, const error_code& end);
    void refused_token(Result<Bearer> fresh, bool ended);
    void begin_response(const Head& head);
    void deliver(bool done);
    void break_client();

    // --- writing to the client
    void write(std::span<const asio::const_buffer> buffers);
    void wait_for_client();
    void flush();
    void flushed();

    // The end of the exchange as far as the books go; `then` happens when the row is committed, at once when
    // there is none.
    void settle(usage::End end, std::string_view error_class, Then then);
    void do_then();
    std::chrono::microseconds since_begin() const;
    void finish();
    void next_request();
    void linger();
    void detach(bool keep);
    void client_left();
    void expect_within(std::chrono::seconds time) { deadline_ = loop_.now() + time; }
    void log_request();

    Loop& loop_;
    Socket socket_;
    Phase phase_ = Phase::head;
    SteadyTime deadline_ = SteadyTime::max();
    std::uint64_t number_ = 0; // of the request on this connection: late callbacks of older ones are ignored

    bool reading_ = false;
    bool reading_into_body_ = false;
    std::unique_ptr<Block> in_; // the head, and the beginning of the body
    std::size_t looked_at_ = 0; // of in_, for the head's end
    std::string next_;          // came behind the end of the request

    MessageFilter request_{MessageFilter::Kind::request};
    MessageFilter response_{MessageFilter::Kind::response};
    Exchange exchange_;

    // The body on its way: views into the blocks, with the framing of chunks between them.
    std::vector<std::unique_ptr<Block>> body_;
    std::unique_ptr<Block> abandoned_; // of a body that is over, while a read into it is under way
    std::size_t unread_from_ = 0;      // of the last block: bytes that the filter has not taken yet
    std::vector<std::string_view> segments_;
    std::vector<std::string_view> gathered_; // body bytes that wait for the model to be known
    std::deque<std::string> chunk_headers_;
    std::size_t next_segment_ = 0;
    std::size_t segment_offset_ = 0;
    std::uint64_t body_bytes_ = 0;
    bool kept_ = true;        // the body is still there from its beginning: it can be sent again
    bool end_queued_ = false; // of a chunked body
    bool waits_to_write_ = false;

    std::shared_ptr<Upstream> upstream_;
    std::string pending_; // bytes of the response that the filter has not taken yet

    std::string out_; // what the client's socket did not take
    std::size_t out_from_ = 0;
    bool waits_for_client_ = false;
    std::string held_; // the end of the answer, until the row is committed
    Then then_ = Then::nothing;
    bool response_done_ = false;
    bool break_when_flushed_ = false;
    bool close_when_done_ = false;
};

} // namespace dbx::proxy
