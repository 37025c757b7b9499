#include "core/proxy/message.hpp"

#include "core/base/strings.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstring>
#include <variant>

namespace dbx::proxy {

namespace http = boost::beast::http;

namespace {

using boost::beast::error_code;
using BeastView = boost::beast::string_view;

std::string_view view(BeastView text) {
    return {text.data(), text.size()};
}

Name name_of(http::field field) {
    switch (field) {
    case http::field::accept_encoding:
        return Name::accept_encoding;
    case http::field::authorization:
        return Name::authorization;
    case http::field::connection:
        return Name::connection;
    case http::field::content_encoding:
        return Name::content_encoding;
    case http::field::content_length:
        return Name::content_length;
    case http::field::content_type:
        return Name::content_type;
    case http::field::expect:
        return Name::expect;
    case http::field::host:
        return Name::host;
    case http::field::keep_alive:
        return Name::keep_alive;
    case http::field::origin:
        return Name::origin;
    case http::field::proxy_authorization:
        return Name::proxy_authorization;
    case http::field::proxy_connection:
        return Name::proxy_connection;
    case http::field::te:
        return Name::te;
    case http::field::trailer:
        return Name::trailer;
    case http::field::transfer_encoding:
        return Name::transfer_encoding;
    case http::field::upgrade:
        return Name::upgrade;
    default:
        return Name::other;
    }
}

constexpr std::size_t most_fields = 256;

// A chunk's header with its extensions; and all trailers together.
constexpr std::size_t chunk_header_limit_bytes = 4096;

// No chunk is a terabyte long; a number near the end of its range is there to overflow somewhere.
constexpr std::uint64_t chunk_limit_bytes = 1ULL << 40U;

} // namespace

const Field* Head::find(Name id) const {
    for (const auto& field : fields)
        if (field.id == id) return &field;
    return nullptr;
}

const Field* Head::find(std::string_view name) const {
    for (const auto& field : fields)
        if (iequals(field.name, name)) return &field;
    return nullptr;
}

std::optional<std::size_t> head_size(std::string_view bytes, std::size_t looked_at) {
    const std::size_t from = looked_at > 3 ? looked_at - 3 : 0;
    const auto end = bytes.find("\r\n\r\n", from);
    if (end == std::string_view::npos) return std::nullopt;
    return end + 4;
}

// Collects what the library reads. Exceptions do not occur: the vectors' growth aside.
template <bool is_request>
class MessageFilter::Parser : public http::basic_parser<is_request> {
  public:
    Head* head = nullptr;
    std::vector<std::string_view>* body = nullptr;
    bool too_many = false;
    bool long_extension = false;
    std::string_view given; // what put() reads

  protected:
    void on_request_impl(http::verb, BeastView method, BeastView target, int version, error_code&) override {
        head->method = view(method);
        head->target = view(target);
        head->minor_version = version - 10;
    }
    void on_response_impl(int status, BeastView reason, int version, error_code&) override {
        head->status = status;
        head->reason = view(reason);
        head->minor_version = version - 10;
    }
    void on_field_impl(http::field id, BeastView name, BeastView value, error_code& error) override {
        if (head == nullptr) {
            // A trailer is dropped; but a folded one, which the library has put together elsewhere, is
            // refused.
            if (!value.empty() &&
                (value.data() < given.data() || value.data() >= given.data() + given.size()))
                error = http::error::bad_value;
            return;
        }
        if (head->fields.size() >= most_fields) {
            too_many = true;
            error = http::error::header_limit;
            return;
        }
        head->fields.push_back({name_of(id), view(name), view(value)});
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(BeastView bytes, error_code&) override {
        if (!bytes.empty()) body->push_back(view(bytes));
        return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t size, BeastView extensions, error_code& error) override {
        if (size > chunk_limit_bytes) {
            error = http::error::bad_chunk;
        } else if (extensions.size() > chunk_header_limit_bytes) {
            long_extension = true;
            error = http::error::bad_chunk_extension;
        }
    }
    std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, error_code&) override {
        if (!bytes.empty()) body->push_back(view(bytes));
        return bytes.size();
    }
    void on_finish_impl(error_code&) override {}
};

struct MessageFilter::State {
    explicit State(Kind is)
        : kind(is) {}
    Kind kind;
    std::optional<Parser<true>> request;
    std::optional<Parser<false>> response;
    std::vector<std::string_view> no_body; // for on_body during the head: stays empty

    template <class Call>
    auto with(Call call) {
        return kind == Kind::request ? call(*request) : call(*response);
    }
    template <class Call>
    auto with(Call call) const {
        return kind == Kind::request ? call(*request) : call(*response);
    }
};

MessageFilter::MessageFilter(Kind kind)
    : state_(std::make_unique<State>(kind)) {
    start();
}

MessageFilter::~MessageFilter() = default;

void MessageFilter::start(bool no_body) {
    if (state_->kind == Kind::request)
        state_->request.emplace();
    else
        state_->response.emplace();
    state_->with([&](auto& parser) {
        parser.header_limit(static_cast<std::uint32_t>(head_limit_bytes));
        parser.body_limit(boost::none);
        parser.eager(true);
        parser.skip(no_body);
    });
}

namespace {

// What the library lets pass and two servers may read differently.
std::optional<MessageError> ambiguous(std::string_view bytes, const Head& head, bool is_request) {
    // Folded lines; the library would unfold them.
    for (std::size_t line = bytes.find('\n'); line + 1 < bytes.size(); line = bytes.find('\n', line + 1)) {
        if (bytes[line + 1] == ' ' || bytes[line + 1] == '\t')
            return MessageError{400, "a folded header line"};
    }
    int lengths = 0, codings = 0, hosts = 0;
    for (const auto& field : head.fields) {
        switch (field.id) {
        case Name::content_length: {
            ++lengths;
            const bool digits =
                !field.value.empty() && std::all_of(field.value.begin(), field.value.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; });
            if (!digits) return MessageError{400, "a Content-Length that is not a number"};
            break;
        }
        case Name::transfer_encoding:
            ++codings;
            if (!iequals(field.value, "chunked")) return MessageError{501, "an unknown transfer coding"};
            break;
        case Name::host:
            ++hosts;
            break;
        default:
            break;
        }
    }
    if (lengths > 1) return MessageError{400, "two Content-Length fields"};
    if (codings > 1) return MessageError{400, "two Transfer-Encoding fields"};
    if (lengths > 0 && codings > 0) return MessageError{400, "Content-Length beside Transfer-Encoding"};
    if (codings > 0 && head.minor_version == 0) return MessageError{400, "Transfer-Encoding in HTTP/1.0"};
    if (is_request && hosts > 1) return MessageError{400, "two Host fields"};
    if (is_request && hosts == 0 && head.minor_version >= 1) return MessageError{400, "no Host field"};
    return std::nullopt;
}

} // namespace

std::optional<MessageError> MessageFilter::read_head(std::string_view bytes, Head& head) {
    head.fields.clear();
    const bool is_request = state_->kind == Kind::request;
    const auto failed = state_->with([&](auto& parser) -> std::optional<MessageError> {
        parser.head = &head;
        parser.body = &state_->no_body;
        error_code error;
        parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
        parser.head = nullptr;
        if (error == http::error::need_more && parser.is_header_done()) error = {};
        if (error || !parser.is_header_done()) {
            if (parser.too_many) return MessageError{431, "too many header fields"};
            if (error == http::error::header_limit) return MessageError{431, "a header that is too large"};
            return MessageError{400, "not HTTP/1.1"};
        }
        head.chunked = parser.chunked();
        head.keep_alive = parser.keep_alive();
        head.until_close = parser.need_eof();
        head.upgrade = parser.upgrade();
        head.content_length.reset();
        if (const auto length = parser.content_length()) head.content_length = *length;
        return std::nullopt;
    });
    // The rules about framing say more than "not HTTP": they come first where the fields could be read.
    if (const auto problem = ambiguous(bytes, head, is_request)) return problem;
    return failed;
}

std::size_t MessageFilter::read_body(std::string_view bytes, std::vector<std::string_view>& body,
                                     std::optional<MessageError>& problem) {
    return state_->with([&](auto& parser) {
        parser.body = &body;
        std::size_t taken = 0;
        while (taken < bytes.size() && !parser.is_done()) {
            error_code error;
            const auto rest = bytes.substr(taken);
            parser.given = rest;
            const std::size_t used = parser.put(boost::asio::buffer(rest.data(), rest.size()), error);
            taken += used;
            if (error == http::error::need_more) {
                if (rest.size() - used > chunk_header_limit_bytes)
                    problem = MessageError{400, "a chunk header that is too long"};
                break;
            }
            if (error) {
                problem = MessageError{400, parser.long_extension ? "a chunk header that is too long"
                                                                  : "a chunk that is not one"};
                break;
            }
        }
        return taken;
    });
}

bool MessageFilter::read_end() {
    return state_->with([&](auto& parser) {
        if (parser.is_done()) return true;
        if (!parser.is_header_done() || !parser.need_eof()) return false;
        error_code error;
        parser.put_eof(error);
        return !error;
    });
}

bool MessageFilter::done() const {
    return state_->with([](const auto& parser) { return parser.is_done(); });
}

} // namespace dbx::proxy
