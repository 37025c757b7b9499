#pragma once

#include "core/databricks/api.hpp"

namespace dbx::databricks {

struct Warehouse {
    std::string id;
    std::string name;
    std::string state; // RUNNING, STARTING, STOPPED, STOPPING, DELETED, DELETING
    std::string size;  // "2X-Small"
    std::string type;  // PRO, CLASSIC
    bool serverless = false;
};

// Every SQL warehouse that the principal can see.
ApiResult<std::vector<Warehouse>> list_warehouses(Workspace& workspace);

struct WarehouseChoice {
    Warehouse warehouse;
    bool will_start = false; // the first statement starts it, and that is billed
    std::string reason;      // why this one: "it is running"
};

// The best of several: running, then starting, then serverless, then stopped; among equals the smallest, then
// by name.
std::optional<WarehouseChoice> pick_warehouse(const std::vector<Warehouse>& warehouses);

// `wanted` is an id, a name (in any case if only one matches), or "auto" or empty. Unknown: an error with a
// suggestion.
ApiResult<WarehouseChoice> choose_warehouse(Workspace& workspace, std::string_view wanted);

} // namespace dbx::databricks
