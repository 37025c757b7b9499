#pragma once

#include "tests/workspace/context.hpp"

namespace dbx::standin {

// POST /api/2.0/otel/v1/{metrics,logs,traces}: OTLP/HTTP in protobuf into the table that the header
// X-Databricks-UC-Table-Name names.
Response otlp(Context& context);

// Rows of POST /_control/rows: members that are columns of the table. Throws std::runtime_error.
void load_rows(Store& store, const Json& body);

} // namespace dbx::standin
