#pragma once

#include "core/base/error.hpp"
#include "core/otlp/names.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace dbx::otlp {

// The most JSON that is converted at once; the protobuf of it is at most four times as long.
inline constexpr std::size_t longest_json_bytes = std::size_t{16} << 20;

// The protobuf of an Export{Metrics,Logs,Trace}ServiceRequest in OTLP/JSON, by the rules of the OTLP 1.x
// specification ("JSON Protobuf Encoding") and, where it says nothing, of proto3's JSON mapping: names in
// lowerCamelCase only, ids in hex, other bytes in base64, enums as integers only, integers as numbers or
// strings, doubles also as strings ("NaN", "-Infinity"), members that are unknown ignored, null as absent. An
// escaped half of a surrogate pair, as JavaScript writes of text that was cut, becomes U+FFFD.
// Errors (kind failed): not JSON; a known member of the wrong type, out of range, or there twice (`why` holds
// its path); messages nested deeper than deepest_message; more than longest_json_bytes.
Result<std::string> protobuf_from_json(Signal signal, std::string_view json);

} // namespace dbx::otlp
