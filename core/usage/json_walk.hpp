#pragma once

#include "core/usage/byte_search.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dbx::usage {

// A scalar that was asked for. `raw` is a string's inside with its escapes, or the bare word; at most
// JsonWalk::token_limit bytes of it when it came in pieces. `offset` counts from the first byte fed.
struct JsonScalar {
    std::string_view raw;
    bool is_string = false;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// Walks over JSON that comes in pieces and tells a sink the values at the places it wants; all else is
// skipped by bytes. Memory is fixed, whatever the input. It is no judge of JSON: of text that is none it says
// broken() sooner or later, or hands out what looks like a value.
//
// The sink names places by small numbers: the top is 0; `int child(int place, std::string_view key)` gives
// the place of a member, or -1 to skip it; elements of an array have the array's place. `void enter(int)` is
// told a wanted container's begin, `void scalar(int, const JsonScalar&)` a wanted scalar.
class JsonWalk {
  public:
    static constexpr std::size_t token_limit = 256;
    static constexpr std::size_t depth_limit = 16; // deeper containers are skipped

    bool done() const { return state_ == State::done; }
    bool broken() const { return state_ == State::broken; }
    // Nothing but white space yet.
    bool fresh() const { return state_ == State::value && depth_ == 0; }
    // For the next document. Offsets begin again.
    void reset() {
        state_ = State::value;
        place_ = 0;
        depth_ = skipped_ = 0;
        escaped_ = false;
        offset_ = 0;
    }

    // Takes the bytes; returns how many of them belong to the document (all of them, until it is done).
    template <class Sink>
    std::size_t feed(std::string_view bytes, Sink& sink);

  private:
    enum class State : std::uint8_t {
        value, // before a value, or the ']' of an array
        key,   // before a key or '}'
        colon, // between key and value
        after, // after a value
        in_key,
        in_string,   // wanted
        in_bare,     // wanted or not
        skip_string, // not wanted, or in a skipped container
        skip,        // in a skipped container
        done,
        broken,
    };
    struct Level {
        std::int8_t place;
        bool object;
    };

    static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
    static bool ends_bare(char c) { return c == ',' || c == '}' || c == ']' || is_space(c); }

    // Moves to the closing quote; false: it is not in these bytes.
    bool string_end(const char*& at, const char* end) {
        for (;;) {
            if (escaped_) {
                if (at == end) return false;
                ++at;
                escaped_ = false;
            }
            at = find_byte<QuoteOrBackslash>(at, end);
            if (at == end) return false;
            if (*at == '"') return true;
            ++at;
            escaped_ = true;
        }
    }
    void begin_token(std::uint64_t offset) {
        kept_ = 0;
        token_length_ = 0;
        token_offset_ = offset;
    }
    // A token goes on into the next piece.
    void keep(const char* from, const char* to) {
        const auto size = static_cast<std::size_t>(to - from);
        const auto fits = std::min(size, token_limit - kept_);
        std::memcpy(kept_bytes_.data() + kept_, from, fits);
        kept_ += fits;
        token_length_ += size;
    }
    // The whole token, whose last part is [from, to).
    std::string_view token(const char* from, const char* to) {
        if (token_length_ == 0) {
            token_length_ = static_cast<std::uint64_t>(to - from);
            return {from, static_cast<std::size_t>(to - from)};
        }
        keep(from, to);
        return {kept_bytes_.data(), kept_};
    }
    void pop() {
        --depth_;
        state_ = depth_ == 0 ? State::done : State::after;
    }
    template <class Sink>
    void open(bool object, Sink& sink) {
        if (place_ < 0 || depth_ == depth_limit) {
            skipped_ = 1;
            state_ = State::skip;
            return;
        }
        sink.enter(place_);
        levels_[depth_++] = {static_cast<std::int8_t>(place_), object};
        state_ = object ? State::key : State::value;
    }
    bool in_object() const { return levels_[depth_ - 1].object; }

    State state_ = State::value;
    bool escaped_ = false;
    int place_ = 0;             // of the value that comes
    std::size_t depth_ = 0;     // wanted containers around
    std::uint64_t skipped_ = 0; // unwanted ones inside them
    std::uint64_t offset_ = 0;  // of the next piece
    std::uint64_t token_offset_ = 0;
    std::uint64_t token_length_ = 0;
    std::size_t kept_ = 0;
    std::array<Level, depth_limit> levels_{};
    std::array<char, token_limit> kept_bytes_; // [0, kept_)
};

template <class Sink>
std::size_t JsonWalk::feed(std::string_view bytes, Sink& sink) {
    const char* const begin = bytes.data();
    const char* const end = begin + bytes.size();
    const char* at = begin;
    const auto position = [&](const char* where) {
        return offset_ + static_cast<std::uint64_t>(where - begin);
    };
    while (at != end) {
        switch (state_) {
        case State::value: {
            const char c = *at;
            if (is_space(c)) {
                ++at;
                break;
            }
            if (depth_ > 0) {
                if (c == ']' && !in_object()) {
                    ++at;
                    pop();
                    break;
                }
                if (!in_object()) place_ = levels_[depth_ - 1].place;
            }
            if (c == '"') {
                ++at;
                if (place_ >= 0) {
                    begin_token(position(at));
                    state_ = State::in_string;
                } else {
                    state_ = State::skip_string;
                }
            } else if (c == '{' || c == '[') {
                ++at;
                open(c == '{', sink);
            } else if (ends_bare(c) || c == ':') {
                state_ = State::broken;
            } else {
                begin_token(position(at));
                state_ = State::in_bare;
            }
            break;
        }
        case State::key: {
            const char c = *at++;
            if (c == '"') {
                begin_token(position(at));
                state_ = State::in_key;
            } else if (c == '}') {
                pop();
            } else if (!is_space(c)) {
                state_ = State::broken;
            }
            break;
        }
        case State::in_key: {
            const char* const from = at;
            if (!string_end(at, end)) {
                keep(from, end);
                break;
            }
            const auto key = token(from, at);
            place_ = token_length_ > token_limit ? -1 : sink.child(levels_[depth_ - 1].place, key);
            ++at;
            state_ = State::colon;
            break;
        }
        case State::colon: {
            const char c = *at++;
            if (c == ':') {
                state_ = State::value;
            } else if (!is_space(c)) {
                state_ = State::broken;
            }
            break;
        }
        case State::in_string: {
            const char* const from = at;
            if (!string_end(at, end)) {
                keep(from, end);
                break;
            }
            const auto raw = token(from, at);
            sink.scalar(place_, JsonScalar{raw, true, token_offset_, token_length_});
            ++at;
            state_ = depth_ == 0 ? State::done : State::after;
            break;
        }
        case State::in_bare: {
            const char* const from = at;
            while (at != end && !ends_bare(*at)) ++at;
            if (at == end) {
                keep(from, end);
                break;
            }
            const auto raw = token(from, at);
            if (place_ >= 0) sink.scalar(place_, JsonScalar{raw, false, token_offset_, token_length_});
            state_ = depth_ == 0 ? State::done : State::after;
            break;
        }
        case State::after: {
            const char c = *at++;
            if (c == ',') {
                state_ = in_object() ? State::key : State::value;
            } else if (c == (in_object() ? '}' : ']')) {
                pop();
            } else if (!is_space(c)) {
                state_ = State::broken;
            }
            break;
        }
        case State::skip_string:
            if (!string_end(at, end)) break;
            ++at;
            state_ = skipped_ > 0 ? State::skip : depth_ == 0 ? State::done : State::after;
            break;
        case State::skip: {
            at = find_byte<QuoteOrBracket>(at, end);
            if (at == end) break;
            const char c = *at++;
            if (c == '"') {
                state_ = State::skip_string;
            } else if ((c | 0x20) == '{') {
                ++skipped_;
            } else if (--skipped_ == 0) {
                state_ = State::after;
            }
            break;
        }
        case State::done:
        case State::broken: {
            const auto used = static_cast<std::size_t>(at - begin);
            offset_ += used;
            return used;
        }
        }
    }
    offset_ += bytes.size();
    return bytes.size();
}

} // namespace dbx::usage
