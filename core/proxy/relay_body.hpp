#pragma once

#include "core/base/error.hpp"
#include "core/otlp/names.hpp"
#include "core/proxy/answers.hpp"
#include "core/proxy/message.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace dbx::proxy {

// The most that a body may have, as it comes and decoded.
inline constexpr std::size_t most_otlp_bytes = std::size_t{16} << 20U;

// How an OTLP/HTTP request says its body is.
struct OtlpForm {
    enum class Coding { identity, gzip, deflate };
    bool json = false;
    Coding coding = Coding::identity;
};

// Reads Content-Type and Content-Encoding. A refusal: 405, 413 or 415.
struct OtlpHead {
    OtlpForm form;
    std::optional<Refusal> refusal;
};
OtlpHead read_otlp_head(const Head& head);

// The body without its coding. Errors (kind failed): damaged, cut, more behind its end, or over
// most_otlp_bytes (`what` is too_large then).
Result<std::string> decoded_body(OtlpForm::Coding coding, std::string body);
inline constexpr std::string_view too_large = "it is too large";

// The whole answer to a batch that was taken: the empty response of its signal in the request's form.
std::string render_otlp_taken(bool json, bool close);

} // namespace dbx::proxy
