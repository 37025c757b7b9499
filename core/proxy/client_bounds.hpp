#pragma once

// What the parts of ClientConnection share: times, bounds, small words. No other file includes it.

#include "core/proxy/client.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace dbx::proxy {

using std::chrono::seconds;

// How long the other side may be silent. Agents wait longer than five minutes for a first byte themselves.
inline constexpr seconds head_time{20}; // from a head's first byte to its last
inline constexpr seconds idle_client{15 * 60};
inline constexpr seconds body_time{5 * 60};    // the client sends nothing of its body
inline constexpr seconds answer_time{20 * 60}; // the upstream sends nothing
inline constexpr seconds stalled_client{15 * 60};
inline constexpr seconds linger_time{2};

// Up to so much of a request is kept until the answer begins, so that it can be sent again.
inline constexpr std::uint64_t keep_body_bytes = 1U << 20U;
// Blocks of a body that is not kept: the client is read no further while they are full.
inline constexpr std::size_t most_body_blocks = 4;
// The same while the model has yet to be found in it.
inline constexpr std::size_t most_gathered_blocks = 16;
// Bodies of requests that wait in a line are read no further while all blocks of the loop are more than this:
// 64 MB.
inline constexpr std::size_t most_waiting_blocks = 1024;
// A block with less room than this is full.
inline constexpr std::size_t least_room = 4096;
// An error answer up to this size is looked at before it is passed on.
inline constexpr std::size_t small_answer_bytes = 4096;

inline constexpr std::size_t most_buffers = 32;
inline constexpr std::size_t most_framing_bytes = 80; // Content-Length or Transfer-Encoding, and two names
inline constexpr std::size_t most_id_bytes = 128;     // of the upstream's request id, in the ledger

inline constexpr std::string_view crlf = "\r\n";
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

// A chunk's size as it stands in its header.
inline std::string hex(std::size_t number) {
    std::array<char, 20> text;
    std::size_t at = text.size();
    do {
        text[--at] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number > 0);
    return std::string(text.data() + at, text.size() - at);
}

} // namespace dbx::proxy
