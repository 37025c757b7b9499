// Answers' bodies: the meter counts the same whatever the slices, gives bounded numbers and no words of the
// body; the scan of a request finds the same in any slices, and its span is the raw name.
#include "core/usage/meter.hpp"
#include "core/usage/request_scan.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace dbx::usage;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

Usage measure(std::string_view body, std::string_view encoding, End end, std::size_t slice) {
    Meter meter(Dialect::unknown, "", encoding);
    while (!body.empty()) {
        meter.see(body.substr(0, slice));
        body.remove_prefix(std::min(slice, body.size()));
    }
    return meter.finish(end);
}

void require_same(const Usage& a, const Usage& b) {
    require(a.input == b.input && a.output == b.output && a.cache_read == b.cache_read &&
            a.cache_write == b.cache_write && a.cache_write_5m == b.cache_write_5m &&
            a.cache_write_1h == b.cache_write_1h && a.reasoning == b.reasoning);
    require(a.partial == b.partial && a.output_estimate == b.output_estimate);
    require(a.model_answered == b.model_answered && a.upstream_id == b.upstream_id &&
            a.error_class == b.error_class);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const auto choice = data[0];
    const std::size_t slice = data[1] % 37 + std::size_t{1};
    const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::string_view encoding = (choice & 2) != 0 ? "gzip" : "";
    const End end = (choice & 1) != 0 ? End::cut : End::complete;
    const auto whole = measure(body, encoding, end, size);
    const auto sliced = measure(body, encoding, end, slice);
    // Of broken compressed data zlib decodes more or less before it notices, as the slices are.
    if (encoding.empty()) {
        require_same(whole, sliced);
        require_same(whole, measure(body, encoding, end, 1));
    }
    require(whole.error_class.size() <= 64 && whole.model_answered.size() <= 128);
    for (const auto& count :
         {whole.input, whole.output, whole.cache_read, whole.cache_write, whole.reasoning})
        require(count.value_or(0) <= 4'000'000'000'000);

    RequestScan at_once, in_slices;
    at_once.see(body);
    for (std::string_view rest = body; !rest.empty(); rest.remove_prefix(std::min(slice, rest.size())))
        in_slices.see(rest.substr(0, slice));
    require(at_once.model() == in_slices.model() && at_once.stream() == in_slices.stream());
    require(at_once.model_span().has_value() == at_once.model().has_value());
    if (at_once.model_span()) {
        const auto span = *at_once.model_span();
        require(span.offset + span.length <= body.size());
        require(body[span.offset + span.length] == '"' && body[span.offset - 1] == '"');
        require(in_slices.model_span()->offset == span.offset);
    }
    return 0;
}
