#include "core/usage/inflate.hpp"

#include <zlib.h>

#include <array>
#include <string>

namespace dbx::usage {

namespace {

constexpr std::uint64_t decoded_limit = 64ULL << 20U;
constexpr std::size_t piece_bytes = 16'384;
constexpr int gzip_or_zlib = 15 + 32;
constexpr int bare = -15;

} // namespace

struct Inflater::State {
    z_stream stream{};
    bool alive = false;   // the stream is set up and no error has been seen
    bool started = false; // some bytes were decoded
    std::uint64_t decoded = 0;
    std::string first; // until there are two bytes: they tell the form
    std::array<char, piece_bytes> piece;
};

Inflater::Inflater()
    : state_(std::make_unique<State>()) {
    state_->alive = inflateInit2(&state_->stream, gzip_or_zlib) == Z_OK;
}

Inflater::~Inflater() {
    inflateEnd(&state_->stream);
}

void Inflater::begin(std::string_view bytes) {
    auto& stream = state_->stream;
    if (!state_->started && state_->first.size() < 2) {
        state_->first += bytes;
        if (state_->first.size() < 2)
            bytes = {};
        else
            bytes = state_->first;
    }
    // zlib's interface takes a pointer to mutable bytes and does not change them.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
}

std::string_view Inflater::next() {
    auto& state = *state_;
    auto& stream = state.stream;
    while (state.alive && state.decoded < decoded_limit) {
        auto* const first = stream.next_in;
        const auto there = stream.avail_in;
        stream.next_out = reinterpret_cast<Bytef*>(state.piece.data());
        stream.avail_out = piece_bytes;
        const int code = inflate(&stream, Z_NO_FLUSH);
        const auto made = piece_bytes - stream.avail_out;
        if (code == Z_DATA_ERROR && !state.started && made == 0) {
            // Not zlib's header: bare deflate, from the begin of this piece.
            state.started = true;
            if (inflateReset2(&stream, bare) != Z_OK) state.alive = false;
            stream.next_in = first;
            stream.avail_in = there;
            continue;
        }
        state.started = state.started || made > 0;
        state.decoded += made;
        if (code == Z_STREAM_END) {
            // A further member of a gzip file may follow.
            if (inflateReset(&stream) != Z_OK) state.alive = false;
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            state.alive = false;
        }
        if (made > 0) return {state.piece.data(), made};
        if (stream.avail_in == 0 || code == Z_BUF_ERROR) return {};
    }
    return {};
}

} // namespace dbx::usage
