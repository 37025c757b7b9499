#include "core/proxy/relay_body.hpp"

#include "core/base/strings.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

namespace dbx::proxy {

namespace {

constexpr int gzip = 15 + 16;
constexpr int zlib = 15;
constexpr int bare = -15;

Result<std::string> inflated(std::string_view body, int form) {
    z_stream stream{};
    if (inflateInit2(&stream, form) != Z_OK) return fail(ErrorKind::failed, "zlib cannot be used");
    const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
    // zlib's interface takes a pointer to mutable bytes and does not change them.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    std::string result;
    std::array<char, 65'536> piece; // NOLINT: filled by inflate
    while (true) {
        stream.next_out = reinterpret_cast<Bytef*>(piece.data());
        stream.avail_out = static_cast<uInt>(piece.size());
        const int code = inflate(&stream, Z_NO_FLUSH);
        const auto made = piece.size() - stream.avail_out;
        if (result.size() + made > most_otlp_bytes)
            return fail(ErrorKind::failed, std::string(too_large),
                        "decoded, it has more than " + std::to_string(most_otlp_bytes) + " bytes");
        result.append(piece.data(), made);
        if (code == Z_STREAM_END) {
            if (stream.avail_in == 0) return result;
            // A further member of gzip may follow; anything else is no part of the body.
            if (form != gzip || inflateReset(&stream) != Z_OK)
                return fail(ErrorKind::failed, "the body has bytes behind its compressed end");
            continue;
        }
        if (code != Z_OK && code != Z_BUF_ERROR)
            return fail(ErrorKind::failed, "the compressed body is damaged");
        if (stream.avail_in == 0 && made < piece.size())
            return fail(ErrorKind::failed, "the compressed body is cut");
        if (code == Z_BUF_ERROR && made == 0)
            return fail(ErrorKind::failed, "the compressed body is damaged");
    }
}

Refusal unsupported(std::string message) {
    return {415, "wrong-type", std::move(message)};
}

} // namespace

OtlpHead read_otlp_head(const Head& head) {
    OtlpHead result;
    const auto refuse = [&](Refusal refusal) {
        result.refusal = std::move(refusal);
        return result;
    };
    const auto* type = head.find(Name::content_type);
    const std::string name =
        type != nullptr ? to_lower(trim(type->value.substr(0, type->value.find(';')))) : std::string();
    result.form.json = name == "application/json";
    if (head.method != "POST") return refuse({405, "wrong-method", "Telemetry is sent with POST."});
    if (!result.form.json && name != "application/x-protobuf")
        return refuse(
            unsupported("OTLP comes as application/x-protobuf or application/json (Content-Type)."));
    for (const auto& field : head.fields) {
        if (field.id != Name::content_encoding) continue;
        const auto coding = to_lower(trim(field.value));
        if (coding.empty() || coding == "identity") continue;
        if (result.form.coding != OtlpForm::Coding::identity)
            return refuse(unsupported("The body is compressed more than once (Content-Encoding)."));
        if (coding == "gzip" || coding == "x-gzip")
            result.form.coding = OtlpForm::Coding::gzip;
        else if (coding == "deflate")
            result.form.coding = OtlpForm::Coding::deflate;
        else
            return refuse(unsupported("The body may be compressed with gzip or deflate (Content-Encoding)."));
    }
    if (head.content_length && *head.content_length > most_otlp_bytes)
        return refuse({413, "too-large", "A batch of telemetry may have 16 MB."});
    return result;
}

Result<std::string> decoded_body(OtlpForm::Coding coding, std::string body) {
    switch (coding) {
    case OtlpForm::Coding::identity:
        break;
    case OtlpForm::Coding::gzip:
        return inflated(body, gzip);
    case OtlpForm::Coding::deflate: {
        // RFC 9110 means zlib's form; some clients send the bare one.
        auto result = inflated(body, zlib);
        if (result || result.error().what == too_large) return result;
        if (auto other = inflated(body, bare); other) return other;
        return result;
    }
    }
    return body;
}

std::string render_otlp_taken(bool json, bool close) {
    return json ? render(200, "application/json", "{}", false, close)
                : render(200, "application/x-protobuf", "", false, close);
}

} // namespace dbx::proxy
