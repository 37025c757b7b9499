// A request's head and body as the relay takes them in: what is decoded has a bound and is what was packed; a
// refusal has words; bytes behind the end, a cut or a changed byte are never taken for the whole.
#include "core/proxy/relay_body.hpp"

#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace dbx::proxy;
using Coding = OtlpForm::Coding;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

std::string packed(std::string_view bytes, int form) {
    z_stream stream{};
    require(deflateInit2(&stream, 1, Z_DEFLATED, form, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string result(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    return result;
}

void check_foreign(Coding coding, const std::string& bytes) {
    const auto decoded = decoded_body(coding, bytes);
    if (decoded) {
        require(decoded->size() <= most_otlp_bytes);
        if (coding == Coding::identity) require(*decoded == bytes);
    } else {
        require(!decoded.error().what.empty());
    }
}

void check_own(Coding coding, int form, const std::string& bytes) {
    const auto whole = packed(bytes, form);
    const auto decoded = decoded_body(coding, whole);
    require(decoded && *decoded == bytes);
    if (coding != Coding::gzip) return; // what is no zlib may be bare
    require(!decoded_body(coding, whole.substr(0, whole.size() - 1)));
    require(!decoded_body(coding, whole + "x"));
    // Several members are one body (RFC 1952).
    const auto twice = decoded_body(coding, whole + whole);
    require(twice && *twice == bytes + bytes);
    auto changed = whole;
    changed[changed.size() - 5] ^= 1; // of the checksum
    require(!decoded_body(coding, changed));
}

void check_head(std::string_view bytes) {
    const auto line = bytes.find('\n');
    const std::string type(bytes.substr(0, line));
    const std::string coding(line == std::string_view::npos ? "" : bytes.substr(line + 1));
    MessageFilter filter(MessageFilter::Kind::request);
    Head head;
    const auto text = "POST /api/2.0/otel/v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: " + type +
                      "\r\nContent-Encoding: " + coding + "\r\nContent-Length: " +
                      std::to_string(bytes.empty() ? 0 : std::uint64_t{1} << (bytes[0] & 31)) + "\r\n\r\n";
    if (filter.read_head(text, head)) return;
    const auto read = read_otlp_head(head);
    if (read.refusal)
        require(read.refusal->status == 413 || read.refusal->status == 415);
    else
        require(!head.content_length || *head.content_length <= most_otlp_bytes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    for (const auto coding : {Coding::identity, Coding::gzip, Coding::deflate}) check_foreign(coding, bytes);
    check_own(Coding::gzip, 15 + 16, bytes);
    check_own(Coding::deflate, 15, bytes);
    check_head(bytes);
    return 0;
}
