#pragma once

#include "tests/workspace/context.hpp"

namespace dbx::standin {

// /api/2.0/sql/statements and what is below it.
Response sql_statements(Context& context);

} // namespace dbx::standin
