#include "tests/workspace/models.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/tokens.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

constexpr std::string_view services_path = "/api/2.1/unity-catalog/model-services";

bool is_system(const Model& model) {
    return model.name.starts_with("system.ai.");
}

std::string short_name(const Model& model) {
    return model.name.substr(model.name.rfind('.') + 1);
}

// The older spelling, as endpoints are named.
std::string endpoint_name(const Model& model) {
    return is_system(model) ? "databricks-" + short_name(model) : model.name;
}

std::string display_name(const Model& model) {
    std::string out = short_name(model);
    bool start = true;
    for (char& c : out) {
        if (start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        start = c == '-';
        if (c == '-') c = ' ';
    }
    return out;
}

Json service_json(const Model& model, bool whole) {
    Json json = {{"name", "model-services/" + model.name}, {"config", {{"routing", Json::object()}}}};
    // A list leaves out the destinations and API types of user-made services: each needs a GET of its own.
    if (is_system(model) || whole) json["supported_api_types"] = model.api_types;
    if (!is_system(model) && whole)
        json["config"]["routing"]["destinations"] =
            Json::array({Json{{"model", "system.ai.claude-opus-4-8"}}});
    return json;
}

bool readable(const Request& request) {
    return request.method == "GET" || request.method == "HEAD";
}

} // namespace

const Model* find_model(const World& world, std::string_view name) {
    std::string full(name);
    if (full.starts_with("databricks-")) full = "system.ai." + full.substr(11);
    for (const Model& model : world.models)
        if (model.name == full) return &model;
    return nullptr;
}

bool supports(const Model& model, std::string_view api_type) {
    return std::find(model.api_types.begin(), model.api_types.end(), api_type) != model.api_types.end();
}

Response model_services(Context& context) {
    const Request& request = context.request;
    if (!readable(request)) return wrong_method();
    if (auto refusal = authenticate(context, "unity-catalog")) return *refusal;
    const World& world = context.world();
    // "400 "Invalid MetastoreId" without org context -> retry with X-Databricks-Org-Id"
    if (world.settings.require_org_id && request.header("x-databricks-org-id") != world.settings.workspace_id)
        return api_error(400, "INVALID_PARAMETER_VALUE", "Invalid MetastoreId");

    if (request.path.size() > services_path.size() + 1) {
        const std::string name = request.path.substr(services_path.size() + 1);
        for (const Model& model : world.models)
            if (model.name == name) return json_response(200, service_json(model, true));
        return api_error(404, "RESOURCE_DOES_NOT_EXIST", "Model service '" + name + "' does not exist.");
    }
    const std::string parent = request.param("parent").value_or("");
    // "unparameterised calls hit timeouts / HTTP 499"
    if (parent.empty()) return api_error(499, "CANCELLED", "The request was cancelled: it took too long.");
    if (!parent.starts_with("schemas/") || std::count(parent.begin(), parent.end(), '.') != 1)
        return api_error(400, "INVALID_PARAMETER_VALUE",
                         "parent must be of the form schemas/{catalog}.{schema}");
    const std::string schema = parent.substr(8);
    if (!find_schema(world, schema))
        return api_error(404, "SCHEMA_DOES_NOT_EXIST", "Schema '" + schema + "' does not exist.");
    std::vector<const Model*> found;
    for (const Model& model : world.models)
        if (model.name.substr(0, model.name.rfind('.')) == schema) found.push_back(&model);
    const Page page = page_of(request, "model-services", found.size(), 20, 100);
    if (page.error) return *page.error;
    Json list = Json::array();
    for (std::size_t i = page.begin; i < page.end; ++i) list.push_back(service_json(*found[i], false));
    Json body = {{"model_services", list}};
    if (!page.next.empty()) body["next_page_token"] = page.next;
    return json_response(200, body);
}

Response foundation_models(Context& context) {
    if (!readable(context.request)) return wrong_method();
    if (auto refusal = authenticate(context, "model-serving")) return *refusal;
    Json list = Json::array();
    for (const Model& model : context.world().models) {
        if (!is_system(model)) continue;
        Json foundation = {{"name", model.name},
                           {"display_name", display_name(model)},
                           {"ai_gateway_v2_supported", true},
                           {"api_types", model.api_types}};
        Json entity = {{"name", endpoint_name(model)}, {"foundation_model", foundation}};
        list.push_back({{"name", endpoint_name(model)},
                        {"state", {{"ready", "READY"}, {"config_update", "NOT_UPDATING"}}},
                        {"task", "llm/v1/chat"},
                        {"config", {{"served_entities", Json::array({entity})}}},
                        {"served_entities", Json::array({entity})}});
    }
    return json_response(200, {{"endpoints", list}});
}

Response serving_endpoints(Context& context) {
    if (!readable(context.request)) return wrong_method();
    if (auto refusal = authenticate(context, "model-serving")) return *refusal;
    Json list = Json::array();
    for (const Model& model : context.world().models) {
        if (!is_system(model)) continue;
        Json entity = {{"name", endpoint_name(model)}, {"foundation_model", {{"name", model.name}}}};
        list.push_back({{"name", endpoint_name(model)},
                        {"state", {{"ready", "READY"}, {"config_update", "NOT_UPDATING"}}},
                        {"task", "llm/v1/chat"},
                        {"config", {{"served_entities", Json::array({entity})}}}});
    }
    return json_response(200, {{"endpoints", list}});
}

Response gateway_endpoints(Context& context) {
    if (!readable(context.request)) return wrong_method();
    if (auto refusal = authenticate(context, "ai-gateway")) return *refusal;
    std::vector<const Model*> found;
    for (const Model& model : context.world().models)
        if (is_system(model)) found.push_back(&model);
    const Page page = page_of(context.request, "endpoints", found.size(), 20, 100);
    if (page.error) return *page.error;
    Json list = Json::array();
    for (std::size_t i = page.begin; i < page.end; ++i)
        list.push_back({{"name", endpoint_name(*found[i])}, {"destination", found[i]->name}});
    Json body = {{"endpoints", list}};
    if (!page.next.empty()) body["next_page_token"] = page.next;
    return json_response(200, body);
}

Response anthropic_models(Context& context) {
    std::vector<const Model*> found;
    for (const Model& model : context.world().models)
        if (supports(model, "anthropic/v1/messages")) found.push_back(&model);
    const Request& request = context.request;
    std::size_t begin = 0;
    if (const auto after = request.param("after_id"))
        for (std::size_t i = 0; i < found.size(); ++i)
            if (endpoint_name(*found[i]) == *after) begin = i + 1;
    const Page page = page_of(request, "models", found.size() - begin, 20, 1000, "limit");
    if (page.error) return *page.error;
    Json list = Json::array();
    for (std::size_t i = begin; i < begin + page.end; ++i)
        list.push_back({{"type", "model"},
                        {"id", endpoint_name(*found[i])},
                        {"display_name", display_name(*found[i])},
                        {"created_at", "2026-01-01T00:00:00Z"}});
    Json body = {{"data", list}, {"has_more", !page.next.empty()}};
    body["first_id"] = list.empty() ? Json() : list.front()["id"];
    body["last_id"] = list.empty() ? Json() : list.back()["id"];
    return json_response(200, body);
}

Response openai_models(Context& context) {
    Json list = Json::array();
    for (const Model& model : context.world().models)
        if (supports(model, "openai/v1/responses") || supports(model, "mlflow/v1/chat/completions"))
            list.push_back({{"id", endpoint_name(model)},
                            {"object", "model"},
                            {"created", 1767225600},
                            {"owned_by", is_system(model) ? "databricks" : "custom"}});
    return json_response(200, {{"object", "list"}, {"data", list}});
}

} // namespace dbx::standin
