#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbx::standin {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value of a header, by case-insensitive name; nullptr when it is not there.
const std::string* find_header(const Headers& headers, std::string_view name);

// %XX decoded; `+` becomes a blank only where `plus_is_blank` (forms and query strings).
enum class Plus { literal, blank };
std::string percent_decode(std::string_view text, Plus plus);

// Name and value pairs of `a=b&c=d`.
Headers parse_form(std::string_view text);

// One HTTP request, whole: headers in their order, body after chunk decoding.
struct Request {
    std::string method;
    std::string target; // as sent
    std::string path;   // percent-decoded, without the query
    std::string query;  // as sent, without the question mark
    Headers headers;
    std::string body;

    // Empty when absent.
    std::string header(std::string_view name) const;
    bool has_header(std::string_view name) const { return find_header(headers, name) != nullptr; }
    // A query parameter, decoded; empty optional when absent.
    std::optional<std::string> param(std::string_view name) const;
};

// One answer: a body of known length, or `events` that are sent one by one as chunks.
struct Response {
    int status = 200;
    Headers headers = {};
    std::string body = {};
    bool streamed = false;
    std::vector<std::string> events = {};

    Response& with(std::string name, std::string value) {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }
};

// How an answer leaves the socket; the default is: at once and complete.
struct Delivery {
    std::chrono::milliseconds before_first_byte{0};
    std::chrono::milliseconds between_events{0};
    bool no_answer = false; // the connection is closed without one byte
    bool hang = false;      // nothing is sent until the client leaves or /_control/release
    bool reset = false;     // a cut is a TCP reset instead of an end of file
    std::optional<std::size_t> cut_after_events = {};
    std::size_t cut_after_bytes = 0;                   // of the next event (or, without events, of the body)
    bool cut_body = false;                             // a body of known length is cut at cut_after_bytes
    std::optional<std::size_t> hold_after_events = {}; // waits for /_control/release there
    std::size_t slice_bytes = 0;                       // > 0: each write carries at most this many bytes
};

// What an Exchange came to, as the record of requests tells it.
enum class Outcome { complete, cut, client_left, stopped };

struct Exchange {
    Response response;
    Delivery delivery;
    std::uint64_t number = 0; // in the record of requests; 0: not recorded
    std::uint64_t release_epoch = 0;
};

} // namespace dbx::standin
