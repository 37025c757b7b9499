#pragma once

#include "core/usage/byte_search.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dbx::usage {

// Frames a stream of server-sent events (WHATWG HTML, 9.2.6) that comes in any slices: lines end with CR LF,
// LF or CR, a blank line ends an event, `data` lines of one event are joined with a line feed, everything
// else is passed over. The sink gets `void data(std::string_view part)` as the parts come and `void event()`
// behind the last. Keeps nothing but its place.
class SseFrames {
  public:
    template <class Sink>
    void feed(std::string_view bytes, Sink& sink) {
        const char* at = bytes.data();
        const char* const end = at + bytes.size();
        while (at != end) {
            if (after_cr_) {
                after_cr_ = false;
                if (*at == '\n') {
                    ++at;
                    continue;
                }
            }
            switch (place_) {
            case Place::start:
                at = start(at, end, sink);
                break;
            case Place::blank:
                if (*at == ' ') ++at;
                place_ = Place::data;
                break;
            case Place::data:
            case Place::other: {
                const char* const stop = find_byte<LineEnd>(at, end);
                if (place_ == Place::data && stop != at) sink.data({at, static_cast<std::size_t>(stop - at)});
                at = stop;
                if (at != end) end_line(*at++);
                break;
            }
            }
        }
    }

  private:
    static constexpr std::string_view name = "data:";
    enum class Place : std::uint8_t {
        start, // of a line, `matched_` bytes of the name seen
        blank, // behind the colon: one blank may come
        data,
        other,
    };

    template <class Sink>
    const char* start(const char* at, const char* end, Sink& sink) {
        if (matched_ == 0) {
            if (*at == '\n' || *at == '\r') {
                if (has_data_) sink.event();
                has_data_ = false;
                end_line(*at);
                return at + 1;
            }
            if (static_cast<std::size_t>(end - at) > name.size() &&
                std::memcmp(at, name.data(), name.size()) == 0) {
                begin_data(sink);
                return at + name.size();
            }
        }
        if (*at == name[matched_]) {
            if (++matched_ == name.size()) begin_data(sink);
            return at + 1;
        }
        place_ = Place::other;
        return at;
    }
    template <class Sink>
    void begin_data(Sink& sink) {
        if (has_data_) sink.data("\n");
        has_data_ = true;
        place_ = Place::blank;
    }
    void end_line(char c) {
        after_cr_ = c == '\r';
        matched_ = 0;
        place_ = Place::start;
    }

    Place place_ = Place::start;
    std::size_t matched_ = 0;
    bool after_cr_ = false;
    bool has_data_ = false;
};

} // namespace dbx::usage
