#pragma once

#include "tests/workspace/state.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

namespace dbx::standin {

enum class OtlpSignal { metrics, logs, traces };

// Bytes that are not an export request.
class OtlpError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The rows of an Export{Metrics,Logs,Trace}ServiceRequest in protobuf: an array of objects whose members are
// the columns of the documented tables (schema v1), one row per data point, log record or span. Reads the
// wire format by itself (otlp_wire.hpp) and shares nothing with core/otlp.
// Throws OtlpError: cut short, a field of the wrong wire type, text that is not UTF-8, ids of a wrong length.
Json decode_otlp(OtlpSignal signal, std::string_view bytes);

} // namespace dbx::standin
