#include "tests/workspace/workspace.hpp"

#include "tests/workspace/control.hpp"
#include "tests/workspace/gateway.hpp"
#include "tests/workspace/models.hpp"
#include "tests/workspace/otlp.hpp"
#include "tests/workspace/sql_statements.hpp"
#include "tests/workspace/tokens.hpp"
#include "tests/workspace/unity_catalog.hpp"
#include "tests/workspace/warehouses.hpp"

#include <cstdio>

namespace dbx::standin {

namespace {

// True for the path itself and everything below it.
bool under(const std::string& path, std::string_view root) {
    return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

std::string request_id(std::uint64_t number) {
    char text[48];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012llx",
                  static_cast<unsigned long long>(number));
    return text;
}

} // namespace

Workspace::Workspace(const std::string& directory)
    : store_(directory)
    , log_(directory) {
    store_.save();
}

Response Workspace::route(Context& context) {
    const std::string& path = context.request.path;
    if (const auto gateway_route = gateway_path(path)) return gateway(context, *gateway_route);
    if (path == "/oidc/v1/token") return oidc_token(context);
    if (path == "/.well-known/databricks-config" || path == "/oidc/.well-known/oauth-authorization-server")
        return discovery(context);
    if (path == "/api/2.0/preview/scim/v2/Me") return scim_me(context);
    if (path == "/api/2.0/serving-endpoints:foundation-models") return foundation_models(context);
    if (path == "/api/2.0/serving-endpoints") return serving_endpoints(context);
    if (path == "/api/ai-gateway/v2/endpoints") return gateway_endpoints(context);
    if (under(path, "/api/2.1/unity-catalog/model-services")) return model_services(context);
    if (under(path, "/api/2.0/sql/statements")) return sql_statements(context);
    if (under(path, "/api/2.0/sql/warehouses")) return warehouses(context);
    if (under(path, "/api/2.1/unity-catalog")) return unity_catalog(context);
    if (path.starts_with("/api/2.0/otel/v1/")) return otlp(context);
    // A place for more: dashboards. Each is one function of a Context.
    return not_found_route(context.request);
}

Exchange Workspace::handle(const Request& request) {
    const std::uint64_t epoch = releases_;
    if (under(request.path, "/_control")) return {Control(*this).handle(request), {}, 0, epoch};

    Exchange exchange;
    exchange.number = log_.next_number();
    exchange.release_epoch = epoch;
    Json entry;
    {
        const std::lock_guard guard(mutex_);
        entry = describe(request, store_.world.settings.record_bodies ? Bodies::kept : Bodies::left_out);
        entry["n"] = exchange.number;
        Context context{request, store_};
        const std::optional<Fault> fault = faults_.take(request);
        entry["owner"] = owner_of(request, store_.world);
        entry["processed"] = !fault || !replaces_processing(*fault);
        if (entry["processed"]) {
            try {
                exchange.response = route(context);
            } catch (const std::exception& e) {
                // A request of a shape that no handler foresaw.
                exchange.response = api_error(500, "INTERNAL_ERROR", e.what());
            }
            store_.save();
        }
        exchange.delivery.between_events = std::chrono::milliseconds(store_.world.settings.event_gap_ms);
        if (fault) {
            apply_fault(*fault, request, exchange);
            entry["fault"] = fault->preset;
        }
        exchange.response.with("x-databricks-org-id", store_.world.settings.workspace_id);
        entry["model"] = context.model;
        entry["usage"] = context.usage;
    }
    const std::string id = request_id(exchange.number);
    exchange.response.with("server", "databricks")
        .with("x-request-id", id)
        .with("x-databricks-request-id", id);
    const bool answered = !exchange.delivery.hang && !exchange.delivery.no_answer;
    entry["status"] = answered ? Json(exchange.response.status) : Json();
    log_.add(std::move(entry));
    return exchange;
}

} // namespace dbx::standin
