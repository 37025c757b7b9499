#pragma once

#include "tests/workspace/otlp_messages.hpp"

#include <string_view>

namespace dbx::standin::proto {

// A message of protobuf's wire format as an object: members by the fields' names, repeated ones as arrays,
// attributes as one object of texts; what is not on the wire and not repeated is absent. Fields that the
// definition does not know are passed over. Throws OtlpError.
Json decode(const Message& message, std::string_view bytes);

} // namespace dbx::standin::proto
