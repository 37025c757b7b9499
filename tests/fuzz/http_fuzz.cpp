// Any bytes as a request, as an upstream's answer, and as a path. What the proxy would send on must read, by
// its own strict rules, as exactly one message with the same framing and none of the client's credentials.
#include "core/base/strings.hpp"
#include "core/proxy/admit.hpp"
#include "core/proxy/heads.hpp"
#include "core/proxy/message.hpp"
#include "core/proxy/routes.hpp"

#include <cstdint>
#include <cstdlib>
#include <iostream>

using namespace dbx::proxy;

namespace {

void require(bool condition, const char* what) {
    if (condition) return;
    std::cerr << "broken: " << what << "\n";
    std::abort();
}

void check_inside(std::string_view bytes, const std::vector<std::string_view>& pieces) {
    for (const auto piece : pieces)
        require(piece.data() >= bytes.data() && piece.data() + piece.size() <= bytes.data() + bytes.size(),
                "a body outside of its bytes");
}

// The whole body, once in one go and once in slices.
std::string body_of(MessageFilter& filter, std::string_view bytes, std::size_t step, bool& broken) {
    std::string body, waiting;
    for (std::size_t at = 0; at < bytes.size() && !filter.done() && !broken; at += step) {
        waiting += bytes.substr(at, step);
        std::vector<std::string_view> pieces;
        std::optional<MessageError> error;
        const auto taken = filter.read_body(waiting, pieces, error);
        require(taken <= waiting.size(), "more taken than given");
        check_inside(waiting, pieces);
        for (const auto piece : pieces) body += piece;
        waiting.erase(0, taken);
        broken = error.has_value();
    }
    return body;
}

void check_body(MessageFilter::Kind kind, std::string_view head_bytes, std::string_view rest,
                std::size_t step) {
    Head head;
    MessageFilter whole(kind), sliced(kind);
    if (whole.read_head(head_bytes, head) || sliced.read_head(head_bytes, head)) return;
    bool whole_broken = false, sliced_broken = false;
    const auto a = body_of(whole, rest, rest.size() + 1, whole_broken);
    const auto b = body_of(sliced, rest, step, sliced_broken);
    if (!whole_broken && !sliced_broken) {
        require(a == b, "slices change the body");
        require(whole.done() == sliced.done(), "slices change the end");
    }
}

void check_request(std::string_view bytes, std::size_t step) {
    const auto size = head_size(bytes, 0);
    if (!size) return;
    const auto head_bytes = bytes.substr(0, *size);
    MessageFilter filter(MessageFilter::Kind::request);
    Head head;
    if (filter.read_head(head_bytes, head)) return;
    for (const auto& field : head.fields) {
        require(field.name.find_first_of(std::string_view("\r\n\0: ", 5)) == std::string_view::npos,
                "a field's name");
        require(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
                "a field's value");
    }
    check_body(MessageFilter::Kind::request, head_bytes, bytes.substr(*size), step);
    const auto target = head.target.starts_with('/') ? read_target(head.target) : std::nullopt;
    const auto route = target ? find_route(head.method, *target) : std::nullopt;
    if (!route) return;
    const Endpoint endpoint{true, "ws.example.com", 443, "/ai-gateway", "ws.example.com"};
    const std::string framing = head.chunked ? "Transfer-Encoding: chunked\r\n"
                                : head.content_length
                                    ? "Content-Length: " + std::to_string(*head.content_length) + "\r\n"
                                    : "";
    const auto sent = upstream_head(head, *route, endpoint) + framing + "Authorization: Bearer t\r\n\r\n";
    require(head_size(sent, 0) == sent.size(), "something behind the head that is sent");
    MessageFilter again(MessageFilter::Kind::request);
    Head other;
    require(!again.read_head(sent, other), "what is sent cannot be read");
    require(other.chunked == head.chunked && other.content_length == head.content_length,
            "the framing changed");
    int credentials = 0;
    for (const auto& field : other.fields) credentials += is_credential(field) ? 1 : 0;
    require(credentials == 1, "a credential of the client is sent");
    require(other.find(Name::host)->value == endpoint.host_field, "the host changed");
    require(other.find(Name::connection) == nullptr && other.find(Name::upgrade) == nullptr,
            "a field of one connection is sent");
}

void check_path(std::string_view text) {
    const auto path = normal_path(text);
    if (!path) return;
    require(path->starts_with('/'), "a path without its slash");
    require((*path + "/").find("/../") == std::string::npos && (*path + "/").find("/./") == std::string::npos,
            "dots in a path");
    require(normal_path(*path) == path, "a normal form that is not one");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = data[0] % 16 + 1;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    check_request(bytes, step);
    if (const auto head = head_size(bytes, 0))
        check_body(MessageFilter::Kind::response, bytes.substr(0, *head), bytes.substr(*head), step);
    check_path(bytes);
    return 0;
}
