// OTLP in JSON and in protobuf: whatever converts is a message of its signal; what is a message stays one
// when it is amended, with as many items, and amending it again changes nothing.
#include "core/otlp/amend.hpp"
#include "core/otlp/json.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace dbx;
using namespace dbx::otlp;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void amend_as_promised(Signal signal, std::string_view bytes, const Amendments& amendments) {
    const auto counts = count(signal, bytes);
    const auto once = amend(signal, bytes, amendments);
    require(once.has_value() == counts.has_value());
    if (!once) {
        require(!once.error().why.empty() && !counts.error().why.empty());
        return;
    }
    const auto again = count(signal, *once);
    require(again && *again == *counts);
    require(*amend(signal, *once, amendments) == *once);
    // Other signals' routes may get it.
    for (const Signal other : all_signals) (void)amend(other, bytes, amendments);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Signal signal = all_signals[data[0] % all_signals.size()];
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Amendments none;
    const Amendments some{{{"k", "v"}, {"team", "core"}}, {"k", "event.name", "secret"}};

    amend_as_promised(signal, bytes, none);
    amend_as_promised(signal, bytes, some);
    // Of metrics and spans nothing is filled.
    for (const Signal other : {Signal::metrics, Signal::traces})
        if (const auto amended = amend(other, bytes, none)) require(*amended == bytes);

    const auto converted = protobuf_from_json(signal, bytes);
    if (!converted) {
        require(!converted.error().why.empty());
        return 0;
    }
    require(converted->size() <= 4 * bytes.size());
    require(count(signal, *converted).has_value());
    amend_as_promised(signal, *converted, none);
    amend_as_promised(signal, *converted, some);
    return 0;
}
