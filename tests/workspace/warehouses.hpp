#pragma once

#include "tests/workspace/context.hpp"

namespace dbx::standin {

// /api/2.0/sql/warehouses and what is below it.
Response warehouses(Context& context);

// One look at a warehouse: brings a STARTING one nearer to RUNNING.
void look_at(Context& context, Warehouse& warehouse);
// Begins to start a warehouse that does not run.
void start(Context& context, Warehouse& warehouse);

} // namespace dbx::standin
