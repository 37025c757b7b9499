#pragma once

#include "tests/workspace/context.hpp"

namespace dbx::standin {

// The model of a name in either spelling (databricks-X, system.ai.X) or a full user-made name; nullptr: none.
const Model* find_model(const World& world, std::string_view name);
bool supports(const Model& model, std::string_view api_type);

// GET /api/2.1/unity-catalog/model-services[/NAME]
Response model_services(Context& context);
// GET /api/2.0/serving-endpoints:foundation-models
Response foundation_models(Context& context);
// GET /api/2.0/serving-endpoints
Response serving_endpoints(Context& context);
// GET /api/ai-gateway/v2/endpoints, the peers' availability probe
Response gateway_endpoints(Context& context);
// GET …/anthropic/v1/models and …/openai/v1/models
Response anthropic_models(Context& context);
Response openai_models(Context& context);

} // namespace dbx::standin
