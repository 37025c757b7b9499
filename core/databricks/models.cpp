#include "core/databricks/models.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/api_json.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::databricks {

namespace {

constexpr std::string_view services_api = "/api/2.1/unity-catalog/model-services";
constexpr std::string_view service_prefix = "model-services/";
constexpr std::string_view system_prefix = "system.ai.";
constexpr std::string_view endpoint_prefix = "databricks-";

std::vector<std::string> texts_at(const json& object, const char* key) {
    std::vector<std::string> result;
    for (const auto& item : array_at(object, key)) {
        if (item.is_string()) result.push_back(item.get<std::string>());
    }
    return result;
}

std::string without_prefix(std::string name) {
    return name.starts_with(service_prefix) ? name.substr(service_prefix.size()) : name;
}

// Some workspaces refuse with "Invalid MetastoreId" unless the request names the workspace by its id.
bool lacks_workspace_id(const ApiError& error) {
    return error.status == 400 && icontains(error.message, "metastoreid");
}

ApiResult<std::vector<Model>> model_services(Workspace& workspace, std::string_view schema) {
    ApiCall call;
    call.what = "cannot list the model services";
    // Without a parent the call times out (HTTP 499 was seen).
    call.path =
        std::string(services_api) + "?parent=schemas/" + http::percent_encode(schema) + "&page_size=100";
    call.total = std::chrono::seconds(60);
    std::vector<Model> result;
    const auto read = [&](const json& page) {
        for (const auto& item : array_at(page, "model_services")) {
            if (!item.is_object()) continue;
            const auto name = without_prefix(text_at(item, "name"));
            if (!name.empty()) result.push_back({name, texts_at(item, "supported_api_types")});
        }
    };
    auto done = for_each_page(workspace, call, read);
    if (!done && lacks_workspace_id(done.error())) {
        const auto me = who_am_i(workspace);
        if (me && !me->workspace_id.empty()) {
            call.headers.emplace_back("X-Databricks-Org-Id", me->workspace_id);
            result.clear();
            done = for_each_page(workspace, call, read);
        }
    }
    if (!done) return tl::unexpected(done.error());
    // The list leaves out the API types of services that users have made. Their number is small; the bound is
    // for the rest of the world.
    constexpr int details_limit = 50;
    int asked = 0;
    for (auto& model : result) {
        if (!model.api_types.empty() || asked++ >= details_limit) continue;
        ApiCall one = call;
        one.what = "cannot look at the model service " + model.name;
        one.path = std::string(services_api) + "/" + http::percent_encode(model.name);
        one.total = std::chrono::seconds(10);
        const auto body = call_json(workspace, one);
        if (body)
            model.api_types = texts_at(*body, "supported_api_types");
        else if (body.error().problem == ApiProblem::interrupted)
            return tl::unexpected(body.error());
    }
    return result;
}

ApiResult<std::vector<Model>> foundation_models(Workspace& workspace) {
    ApiCall call;
    call.what = "cannot list the foundation models";
    call.path = "/api/2.0/serving-endpoints:foundation-models";
    call.total = std::chrono::seconds(30);
    const auto body = call_json(workspace, call);
    if (!body) return tl::unexpected(body.error());
    std::vector<Model> result;
    for (const auto& endpoint : array_at(*body, "endpoints")) {
        if (!endpoint.is_object()) continue;
        Model model{text_at(endpoint, "name"), {}};
        bool on_gateway = true;
        const auto* entities = &array_at(endpoint, "served_entities");
        if (entities->empty()) entities = &array_at(object_at(endpoint, "config"), "served_entities");
        for (const auto& entity : *entities) {
            if (!entity.is_object()) continue;
            const auto& foundation = object_at(entity, "foundation_model");
            on_gateway = on_gateway && flag_at(foundation, "ai_gateway_v2_supported", true);
            for (auto& type : texts_at(foundation, "api_types")) {
                if (std::find(model.api_types.begin(), model.api_types.end(), type) == model.api_types.end())
                    model.api_types.push_back(std::move(type));
            }
        }
        if (!model.name.empty() && on_gateway) result.push_back(std::move(model));
    }
    return result;
}

ApiResult<std::vector<Model>> anthropic_models(Workspace& gateway) {
    std::vector<Model> result;
    std::string after;
    for (int page = 0; page < 100; ++page) {
        ApiCall call;
        call.what = "cannot list the gateway's Anthropic models";
        call.path = "/anthropic/v1/models?limit=100" +
                    (after.empty() ? "" : "&after_id=" + http::percent_encode(after));
        call.headers = {{"anthropic-version", "2023-06-01"}};
        call.total = std::chrono::seconds(30);
        const auto body = call_json(gateway, call);
        if (!body) return tl::unexpected(body.error());
        for (const auto& item : array_at(*body, "data")) {
            if (item.is_object() && !text_at(item, "id").empty())
                result.push_back({without_prefix(text_at(item, "id")), {"anthropic/v1/messages"}});
        }
        const auto last = text_at(*body, "last_id");
        if (!flag_at(*body, "has_more") || last.empty() || last == after) break;
        after = last;
    }
    return result;
}

// After these the next API would say the same.
bool is_final(const ApiError& error) {
    switch (error.problem) {
    case ApiProblem::invalid_token:
    case ApiProblem::not_authenticated:
    case ApiProblem::ip_blocked:
    case ApiProblem::private_link:
    case ApiProblem::login_page:
    case ApiProblem::network:
    case ApiProblem::timeout:
    case ApiProblem::interrupted:
        return true;
    default:
        return false;
    }
}

void tidy(std::vector<Model>& models) {
    std::stable_sort(models.begin(), models.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    models.erase(std::unique(models.begin(), models.end(),
                             [](const auto& a, const auto& b) { return a.name == b.name; }),
                 models.end());
}

} // namespace

bool Model::serves(const std::vector<std::string>& wanted) const {
    return api_types.empty() || wanted.empty() ||
           std::any_of(wanted.begin(), wanted.end(), [&](const std::string& type) {
               return std::find(api_types.begin(), api_types.end(), type) != api_types.end();
           });
}

std::string other_spelling(std::string_view model) {
    if (model.starts_with(system_prefix))
        return std::string(endpoint_prefix) + std::string(model.substr(system_prefix.size()));
    if (model.starts_with(endpoint_prefix))
        return std::string(system_prefix) + std::string(model.substr(endpoint_prefix.size()));
    return {};
}

ApiResult<ModelList> list_models(Workspace* workspace, Workspace* gateway, std::string_view schema) {
    ModelList list;
    std::optional<ApiError> first;
    const auto take = [&](ApiResult<std::vector<Model>> found, std::string source) {
        if (!found) {
            if (!first) first = found.error();
            list.notes.push_back(found.error().error.what + ": " + found.error().error.why);
            return is_final(found.error());
        }
        if (found->empty()) {
            list.notes.push_back(source + " lists no model");
            return false;
        }
        list.models = std::move(*found);
        list.source = std::move(source);
        tidy(list.models);
        return true;
    };
    bool done = false;
    if (workspace != nullptr) done = take(model_services(*workspace, schema), "Unity Catalog model services");
    // The others know the built-in models only.
    const bool built_in = schema == "system.ai";
    if (!done && workspace != nullptr && built_in)
        done = take(foundation_models(*workspace), "model serving");
    if (!done && gateway != nullptr && built_in)
        done = take(anthropic_models(*gateway), "the gateway's Anthropic route");
    if (list.models.empty() && first) return tl::unexpected(*first);
    return list;
}

} // namespace dbx::databricks
