#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace dbx::proxy {

// HTTP/1.1 as a filter over bytes (RFC 9112): heads are read out of one block of memory, bodies come as views
// into the bytes that were put in. Nothing is copied, nothing is held. Boost.Beast's parser does the work.

// Fields that the proxy has to do something about; all others pass.
enum class Name {
    other,
    accept_encoding,
    authorization,
    connection,
    content_encoding,
    content_length,
    content_type,
    expect,
    host,
    keep_alive,
    origin,
    proxy_authorization,
    proxy_connection,
    te,
    trailer,
    transfer_encoding,
    upgrade,
};

struct Field {
    Name id = Name::other;
    std::string_view name;
    std::string_view value; // without the blanks around it
};

// Views into the bytes of the head.
struct Head {
    std::string_view method; // requests
    std::string_view target;
    int status = 0; // responses
    std::string_view reason;
    int minor_version = 1; // of HTTP/1.x
    std::vector<Field> fields;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool keep_alive = true;
    bool until_close = false; // a response whose body ends with the connection
    bool upgrade = false;     // asks for another protocol

    const Field* find(Name id) const;
    const Field* find(std::string_view name) const; // any case
};

// Why a message is refused. `status` is what a client is told.
struct MessageError {
    int status = 400;
    std::string_view what; // a clause
};

constexpr std::size_t head_limit_bytes = 64U << 10U;

// Where the head at the beginning of `bytes` ends (behind its empty line); nothing while it is incomplete.
// `looked_at`: how many bytes an earlier call has seen.
std::optional<std::size_t> head_size(std::string_view bytes, std::size_t looked_at);

class MessageFilter {
  public:
    enum class Kind { request, response };

    explicit MessageFilter(Kind kind);
    ~MessageFilter();
    MessageFilter(const MessageFilter&) = delete;
    MessageFilter& operator=(const MessageFilter&) = delete;

    // Forgets the message before. `no_body`: the response to a HEAD request.
    void start(bool no_body = false);

    // Reads one whole head (see head_size). Framing that two servers could read differently is refused:
    // Content-Length beside Transfer-Encoding, doubled or odd lengths, other transfer codings (501), folded
    // lines, no or two Host fields, bare CR or LF.
    std::optional<MessageError> read_head(std::string_view bytes, Head& head);

    // Takes body bytes from the front of `bytes`; views of the body are appended to `body`. Returns how many
    // bytes it took: fewer than given at the end of the message, or when the rest of a chunk's header has yet
    // to come (give these bytes again, with more behind them).
    std::size_t read_body(std::string_view bytes, std::vector<std::string_view>& body,
                          std::optional<MessageError>& error);

    // The connection ended. False when that cuts the message.
    bool read_end();

    bool done() const;

  private:
    template <bool is_request>
    class Parser;
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace dbx::proxy
