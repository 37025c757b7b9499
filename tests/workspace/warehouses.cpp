#include "tests/workspace/warehouses.hpp"

#include "tests/workspace/tokens.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

constexpr std::string_view root = "/api/2.0/sql/warehouses";

bool may_use(const Context& context, const Warehouse& warehouse) {
    return std::find(warehouse.denied.begin(), warehouse.denied.end(), context.caller.name) ==
           warehouse.denied.end();
}

Json warehouse_json(const Context& context, const Warehouse& warehouse) {
    const std::string host = context.request.header("host");
    const std::string path = "/sql/1.0/warehouses/" + warehouse.id;
    const bool runs = warehouse.state == "RUNNING";
    return {{"id", warehouse.id},
            {"name", warehouse.name},
            {"state", warehouse.state},
            {"cluster_size", warehouse.cluster_size},
            {"warehouse_type", warehouse.warehouse_type},
            {"enable_serverless_compute", warehouse.enable_serverless_compute},
            {"auto_stop_mins", 10},
            {"min_num_clusters", 1},
            {"max_num_clusters", 1},
            {"num_clusters", runs ? 1 : 0},
            {"num_active_sessions", 0},
            {"creator_name", "ada@example.com"},
            {"channel", Json::object()},
            {"tags", Json::object()},
            {"health", {{"status", runs ? "HEALTHY" : "STATUS_UNSPECIFIED"}}},
            {"jdbc_url", "jdbc:databricks://" + host + "/default;transportMode=http;httpPath=" + path},
            {"odbc_params", {{"hostname", host}, {"path", path}, {"port", 443}, {"protocol", "https"}}}};
}

} // namespace

void look_at(Context& context, Warehouse& warehouse) {
    if (warehouse.state != "STARTING") return;
    if (warehouse.starts_in > 0) --warehouse.starts_in;
    if (warehouse.starts_in == 0) warehouse.state = "RUNNING";
    context.store.touch();
}

void start(Context& context, Warehouse& warehouse) {
    if (warehouse.state == "RUNNING" || warehouse.state == "STARTING") return;
    warehouse.starts_in = context.world().settings.warehouse_start_polls;
    warehouse.state = warehouse.starts_in > 0 ? "STARTING" : "RUNNING";
    context.store.touch();
}

Response warehouses(Context& context) {
    const Request& request = context.request;
    if (auto refusal = authenticate(context, "sql")) return *refusal;
    const bool get = request.method == "GET" || request.method == "HEAD";
    const std::string rest =
        request.path.size() > root.size() + 1 ? request.path.substr(root.size() + 1) : "";
    World& world = context.world();

    if (rest.empty()) {
        if (!get) return wrong_method();
        std::vector<Warehouse*> usable;
        for (Warehouse& warehouse : world.warehouses)
            if (may_use(context, warehouse)) usable.push_back(&warehouse);
        const Page page = page_of(request, "warehouses", usable.size(), 100, 1000);
        if (page.error) return *page.error;
        Json list = Json::array();
        for (std::size_t i = page.begin; i < page.end; ++i) {
            look_at(context, *usable[i]);
            list.push_back(warehouse_json(context, *usable[i]));
        }
        Json body = {{"warehouses", list}};
        if (!page.next.empty()) body["next_page_token"] = page.next;
        return json_response(200, body);
    }

    const auto slash = rest.find('/');
    const std::string id = rest.substr(0, slash);
    const std::string verb = slash == std::string::npos ? "" : rest.substr(slash + 1);
    Warehouse* warehouse = find_warehouse(world, id);
    if (!warehouse)
        return api_error(404, "RESOURCE_DOES_NOT_EXIST", "SQL warehouse " + id + " does not exist.");
    if (!may_use(context, *warehouse))
        return api_error(403, "PERMISSION_DENIED",
                         context.caller.name + " does not have CAN USE permission on SQL warehouse " + id +
                             ".");
    if (verb.empty()) {
        if (!get) return wrong_method();
        look_at(context, *warehouse);
        return json_response(200, warehouse_json(context, *warehouse));
    }
    if (verb != "start" && verb != "stop") return not_found_route(request);
    if (request.method != "POST") return wrong_method();
    if (verb == "start") {
        if (warehouse->state == "DELETED" || warehouse->state == "DELETING")
            return api_error(400, "INVALID_STATE", "SQL warehouse " + id + " is deleted.");
        start(context, *warehouse);
    } else {
        warehouse->state = "STOPPED";
        context.store.touch();
    }
    return json_response(200, Json::object());
}

} // namespace dbx::standin
