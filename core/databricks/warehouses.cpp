#include "core/databricks/warehouses.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/api_json.hpp"
#include "core/http/url.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace dbx::databricks {

namespace {

Warehouse read_warehouse(const json& object) {
    Warehouse warehouse;
    warehouse.id = text_at(object, "id");
    warehouse.name = text_at(object, "name");
    warehouse.state = text_at(object, "state");
    warehouse.size = text_at(object, "cluster_size");
    warehouse.type = text_at(object, "warehouse_type");
    warehouse.serverless = flag_at(object, "enable_serverless_compute");
    return warehouse;
}

bool is_usable(const Warehouse& warehouse) {
    return warehouse.state != "DELETED" && warehouse.state != "DELETING";
}

bool will_start(const Warehouse& warehouse) {
    return warehouse.state == "STOPPED" || warehouse.state == "STOPPING";
}

int rank_of(const Warehouse& warehouse) {
    if (warehouse.state == "RUNNING") return 0;
    if (warehouse.state == "STARTING") return 1;
    return warehouse.serverless ? 2 : 3;
}

std::size_t size_of(const Warehouse& warehouse) {
    constexpr std::array<std::string_view, 9> sizes = {"2X-Small", "X-Small",  "Small",    "Medium",  "Large",
                                                       "X-Large",  "2X-Large", "3X-Large", "4X-Large"};
    const auto found = std::find(sizes.begin(), sizes.end(), warehouse.size);
    return static_cast<std::size_t>(found - sizes.begin());
}

std::string reason_of(const Warehouse& warehouse) {
    switch (rank_of(warehouse)) {
    case 0:
        return "it is running";
    case 1:
        return "it is starting";
    case 2:
        return "none is running, and this one is serverless";
    default:
        return "none is running or serverless";
    }
}

ApiError unusable(std::string why, std::string fix) {
    ApiError error;
    error.problem = ApiProblem::not_found;
    error.code = "RESOURCE_DOES_NOT_EXIST";
    error.message = why;
    error.error =
        Error{ErrorKind::workspace, "cannot choose a SQL warehouse", std::move(why), std::move(fix), {}};
    return error;
}

bool looks_like_id(std::string_view text) {
    return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

} // namespace

ApiResult<std::vector<Warehouse>> list_warehouses(Workspace& workspace) {
    ApiCall call;
    call.what = "cannot list the SQL warehouses";
    call.path = "/api/2.0/sql/warehouses?page_size=100";
    std::vector<Warehouse> result;
    const auto done = for_each_page(workspace, call, [&](const json& page) {
        for (const auto& item : array_at(page, "warehouses")) {
            if (item.is_object() && !text_at(item, "id").empty()) result.push_back(read_warehouse(item));
        }
    });
    if (!done) return tl::unexpected(done.error());
    return result;
}

std::optional<WarehouseChoice> pick_warehouse(const std::vector<Warehouse>& warehouses) {
    const Warehouse* best = nullptr;
    const auto order = [](const Warehouse& w) {
        return std::tuple(rank_of(w), !w.serverless, size_of(w), w.name, w.id);
    };
    for (const auto& warehouse : warehouses) {
        if (is_usable(warehouse) && (best == nullptr || order(warehouse) < order(*best))) best = &warehouse;
    }
    if (best == nullptr) return std::nullopt;
    return WarehouseChoice{*best, will_start(*best), reason_of(*best)};
}

ApiResult<WarehouseChoice> choose_warehouse(Workspace& workspace, std::string_view wanted) {
    wanted = trim(wanted);
    const bool automatic = wanted.empty() || wanted == "auto";
    const auto named = [](const Warehouse& warehouse) {
        return WarehouseChoice{warehouse, will_start(warehouse), "it is the one that was asked for"};
    };
    // An id is asked for directly: who may use a warehouse may not always list them.
    if (looks_like_id(wanted)) {
        ApiCall call;
        call.what = "cannot choose a SQL warehouse";
        call.path = "/api/2.0/sql/warehouses/" + http::percent_encode(wanted);
        const auto body = call_json(workspace, call);
        if (body && is_usable(read_warehouse(*body))) return named(read_warehouse(*body));
        if (!body && body.error().problem != ApiProblem::not_found) return tl::unexpected(body.error());
    }
    const auto all = list_warehouses(workspace);
    if (!all) return tl::unexpected(all.error());
    if (automatic) {
        if (const auto best = pick_warehouse(*all)) return *best;
        return tl::unexpected(unusable(
            "this principal can use no SQL warehouse",
            "ask for the right CAN USE on one, or create one in the workspace (SQL > SQL Warehouses)"));
    }
    std::vector<const Warehouse*> same, similar;
    std::vector<std::string> names;
    for (const auto& warehouse : *all) {
        if (!is_usable(warehouse)) continue;
        names.push_back(warehouse.name);
        if (warehouse.id == wanted) return named(warehouse);
        if (warehouse.name == wanted) same.push_back(&warehouse);
        if (iequals(warehouse.name, wanted)) similar.push_back(&warehouse);
    }
    if (same.empty()) same = similar;
    if (same.size() == 1) return named(*same.front());
    if (same.size() > 1)
        return tl::unexpected(
            unusable(std::to_string(same.size()) + " SQL warehouses are called '" + std::string(wanted) + "'",
                     "name it by its id: " + same.front()->id));
    const auto near = nearest(wanted, names);
    std::string fix = "see which there are in the workspace (SQL > SQL Warehouses), or use --warehouse auto";
    if (!near.empty())
        fix = "did you mean '" + near + "'?";
    else if (!names.empty())
        fix = "use one of: " + join(names, ", ");
    return tl::unexpected(
        unusable("there is no SQL warehouse '" + std::string(wanted) + "' that this principal can see", fix));
}

} // namespace dbx::databricks
