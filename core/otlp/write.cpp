#include "core/otlp/write.hpp"

#include "core/otlp/json.hpp"
#include "core/otlp/schema.hpp"

#include <utility>

namespace dbx::otlp {

nlohmann::json text_attribute(std::string_view key, std::string_view value) {
    return {{"key", key}, {"value", {{"stringValue", value}}}};
}

std::string written(Signal signal, nlohmann::json resource, nlohmann::json scope, nlohmann::json items) {
    const auto& resources = fields_of(request_of(signal)).front();
    const auto& scopes = *find_field(resources.type, 2);
    const auto& list = *find_field(scopes.type, 2);
    using nlohmann::json;
    json of_scope = {{"scope", std::move(scope)}};
    of_scope[list.name] = std::move(items);
    json of_resource = {{"resource", std::move(resource)}};
    of_resource[scopes.name] = json::array({std::move(of_scope)});
    json request;
    request[resources.name] = json::array({std::move(of_resource)});
    return protobuf_from_json(signal, request.dump(-1, ' ', false, json::error_handler_t::replace)).value();
}

} // namespace dbx::otlp
