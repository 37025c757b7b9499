#include "tests/workspace/gateway.hpp"

#include "core/base/strings.hpp"
#include "tests/workspace/models.hpp"
#include "tests/workspace/tokens.hpp"

#include <algorithm>

namespace dbx::standin {

namespace {

// Numbers that a test can compute from the request: README.md, "Usage".
Usage derived_usage(const Request& request, Dialect dialect, const std::string& text) {
    const auto total = std::max<std::int64_t>(1, static_cast<std::int64_t>(request.body.size() / 4));
    Usage usage;
    usage.cache_read = total / 2;
    usage.cache_write = dialect == Dialect::anthropic ? total / 10 : 0;
    usage.input = total - usage.cache_read - usage.cache_write;
    usage.reasoning = dialect == Dialect::anthropic ? 0 : 5;
    usage.output = static_cast<std::int64_t>((text.size() + 3) / 4) + usage.reasoning;
    return usage;
}

void override_with(Usage& usage, const Json& given) {
    if (!given.is_object()) return;
    usage.input = given.value("input", usage.input);
    usage.cache_read = given.value("cache_read", usage.cache_read);
    usage.cache_write = given.value("cache_write", usage.cache_write);
    usage.output = given.value("output", usage.output);
    usage.reasoning = given.value("reasoning", usage.reasoning);
}

class GatewayCall {
  public:
    GatewayCall(Context& context, Dialect dialect, std::string api_type)
        : context_(context)
        , dialect_(dialect)
        , api_type_(std::move(api_type)) {}

    Response run() {
        BodyOrError parsed = json_body(context_.request);
        if (parsed.error) return *parsed.error;
        body_ = std::move(parsed.body);
        const std::string model = string_at(body_, "model");
        if (model.empty()) return refuse(400, "INVALID_PARAMETER_VALUE", "model: Field required");
        form_ = flag(body_, "stream") ? Form::sse : Form::whole;
        return run_model(model);
    }

    // Gemini names the model in the path.
    Response run_gemini(const std::string& model, bool streamed) {
        BodyOrError parsed = json_body(context_.request);
        if (parsed.error) return *parsed.error;
        body_ = std::move(parsed.body);
        if (streamed) form_ = context_.request.param("alt") == "sse" ? Form::sse : Form::json_array;
        return run_model(model);
    }

    Response count_tokens() {
        count_only_ = true;
        return run();
    }

  private:
    Response run_model(const std::string& asked) {
        const Model* model = find_model(context_.world(), asked);
        if (!model) {
            if (asked.starts_with("databricks-"))
                return refuse(
                    404, "ENDPOINT_NOT_FOUND",
                    "The given endpoint does not exist, please retry after checking the specified model "
                    "and version deployment exists.");
            return refuse(404, "RESOURCE_DOES_NOT_EXIST", "Model service '" + asked + "' does not exist.");
        }
        if (std::find(model->denied.begin(), model->denied.end(), context_.caller.name) !=
            model->denied.end())
            return refuse(403, "PERMISSION_DENIED",
                          "User does not have EXECUTE on Model Service '" + model->name + "'.");
        if (!supports(*model, api_type_))
            return refuse(400, "INVALID_PARAMETER_VALUE",
                          "Model service '" + model->name + "' does not support the API '" + api_type_ +
                              "'.");
        if (!model->available)
            return refuse(400, "FEATURE_DISABLED",
                          "Model service '" + model->name + "' is not available in your region.");
        if (auto refusal = check_body()) return *refusal;
        if (context_.world().settings.reject_unsupported_fields)
            if (auto refusal = check_unsupported(*model)) return *refusal;
        if (count_only_)
            return json_response(
                200, {{"input_tokens", std::max<std::size_t>(1, context_.request.body.size() / 4)}});
        return answer(asked, *model);
    }

    Response answer(const std::string& asked, const Model& model) {
        World& world = context_.world();
        Answer scripted;
        scripted.text = world.settings.text;
        scripted.usage = world.settings.usage;
        if (!world.answers.empty()) {
            scripted = world.answers.front();
            world.answers.erase(world.answers.begin());
        }
        Turn turn;
        turn.id = std::to_string(world.next_id++);
        context_.store.touch();
        turn.model = model.answers_as.empty() ? asked : model.answers_as;
        turn.text = scripted.text;
        turn.usage = derived_usage(context_.request, dialect_, turn.text);
        override_with(turn.usage, scripted.usage);
        turn.created = now_seconds(world);
        turn.include_usage =
            body_.contains("stream_options") && flag(body_["stream_options"], "include_usage");
        context_.model = {{"asked", asked}, {"answered", turn.model}};
        context_.usage = to_record(turn.usage);
        return render(dialect_, turn, form_);
    }

    std::optional<Response> check_body() {
        const auto required = [&](const char* key) -> std::optional<Response> {
            if (body_.contains(key)) return std::nullopt;
            return refuse(400, "INVALID_PARAMETER_VALUE", std::string(key) + ": Field required");
        };
        switch (dialect_) {
        case Dialect::anthropic:
            if (!count_only_)
                if (auto refusal = required("max_tokens")) return refusal;
            if (auto refusal = required("messages")) return refusal;
            break;
        case Dialect::responses:
            return required("input");
        case Dialect::gemini:
            return required("contents");
        case Dialect::chat:
            // Cursor's agent mode sends a Responses body (`input`) here and wants chat chunks back.
            if (api_type_ == "cursor/v1/chat/completions" && body_.contains("input")) return std::nullopt;
            if (auto refusal = required("messages")) return refusal;
            break;
        }
        if (!body_["messages"].is_array() || body_["messages"].empty())
            return refuse(400, "INVALID_PARAMETER_VALUE", "messages: at least one message is required");
        return std::nullopt;
    }

    // What the gateway is known to answer 400 to, where the model's own API would not.
    std::optional<Response> check_unsupported(const Model& model) {
        const auto extra = [&](const std::string& where) {
            return refuse(400, "BAD_REQUEST", where + ": Extra inputs are not permitted");
        };
        if (dialect_ == Dialect::anthropic) {
            if (body_.contains("context_management")) return extra("context_management");
            if (const std::string where = scoped_cache_control(); !where.empty()) return extra(where);
            const Json tools = body_.value("tools", Json::array());
            for (std::size_t i = 0; i < tools.size(); ++i) {
                if (!tools[i].is_object()) continue;
                if (tools[i].contains("eager_input_streaming"))
                    return extra("tools." + std::to_string(i) + ".eager_input_streaming");
                if (string_at(tools[i], "type").starts_with("web_search_"))
                    return refuse(400, "BAD_REQUEST",
                                  "tools." + std::to_string(i) + ": Input tag '" +
                                      string_at(tools[i], "type") + "' is not supported");
            }
        }
        if (api_type_ == "mlflow/v1/chat/completions") {
            if (body_.contains("stream_options") && supports(model, "gemini/v1/generateContent"))
                return refuse(400, "BAD_REQUEST", "stream_options: Extra inputs are not permitted");
            if (is_open_model(model)) {
                if (body_.contains("store")) return extra("store");
                const Json tools = body_.value("tools", Json::array());
                for (std::size_t i = 0; i < tools.size(); ++i)
                    if (tools[i].is_object() && tools[i].value("function", Json::object()).contains("strict"))
                        return extra("tools." + std::to_string(i) + ".function.strict");
            }
        }
        for (const char* key : {"max_tokens", "max_completion_tokens", "max_output_tokens"})
            if (model.max_output_tokens > 0 && body_.contains(key) && body_[key].is_number_integer() &&
                body_[key].get<std::int64_t>() > model.max_output_tokens)
                return refuse(400, "BAD_REQUEST",
                              std::string(key) + ": " + body_[key].dump() + " > " +
                                  std::to_string(model.max_output_tokens) +
                                  ", which is the maximum allowed number of output tokens for " + model.name);
        return std::nullopt;
    }

    static bool is_open_model(const Model& model) {
        return !supports(model, "anthropic/v1/messages") && !supports(model, "openai/v1/responses") &&
               !supports(model, "gemini/v1/generateContent");
    }

    // Where a `cache_control.scope` stands ("system.2.cache_control.ephemeral.scope"), if anywhere.
    std::string scoped_cache_control() const {
        const auto in_blocks = [](const Json& blocks, const std::string& where) -> std::string {
            if (!blocks.is_array()) return {};
            for (std::size_t i = 0; i < blocks.size(); ++i)
                if (blocks[i].is_object() && blocks[i].value("cache_control", Json()).is_object() &&
                    blocks[i]["cache_control"].contains("scope"))
                    return where + "." + std::to_string(i) + ".cache_control." +
                           string_at(blocks[i]["cache_control"], "type") + ".scope";
            return {};
        };
        if (std::string found = in_blocks(body_.value("system", Json()), "system"); !found.empty())
            return found;
        const Json messages = body_.value("messages", Json::array());
        for (std::size_t i = 0; i < messages.size(); ++i) {
            if (!messages[i].is_object()) continue;
            const std::string where = "messages." + std::to_string(i) + ".content";
            if (std::string found = in_blocks(messages[i].value("content", Json()), where); !found.empty())
                return found;
        }
        return {};
    }

    static std::string string_at(const Json& object, const char* key) {
        const auto found = object.find(key);
        return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
    }

    static bool flag(const Json& object, const char* key) {
        if (!object.is_object()) return false;
        const auto found = object.find(key);
        return found != object.end() && found->is_boolean() && found->get<bool>();
    }

    Response refuse(int status, const char* code, const std::string& message) const {
        if (context_.store.world.settings.error_shape == "native")
            return native_error(dialect_, status, message);
        return api_error(status, code, message);
    }

    Context& context_;
    Dialect dialect_;
    std::string api_type_;
    Json body_;
    Form form_ = Form::whole;
    bool count_only_ = false;
};

// models/M:method of a Gemini route; empty model: not such a path.
struct GeminiTarget {
    std::string model;
    std::string method;
};

GeminiTarget gemini_target(std::string_view route) {
    for (const std::string_view prefix : {"/gemini/v1beta/models/", "/gemini/v1/models/"}) {
        if (!route.starts_with(prefix)) continue;
        const std::string_view rest = route.substr(prefix.size());
        const auto colon = rest.rfind(':');
        if (colon == std::string_view::npos || rest.find('/') != std::string_view::npos) return {};
        return {std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1))};
    }
    return {};
}

} // namespace

std::optional<GatewayPath> gateway_path(std::string_view path) {
    if (path.starts_with("/ai-gateway/")) return GatewayPath{std::string(path.substr(11)), false};
    for (const std::string_view root : {"/anthropic", "/openai", "/codex", "/gemini", "/cursor", "/mlflow"})
        if (path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/'))
            return GatewayPath{std::string(path), true};
    return std::nullopt;
}

Dialect dialect_of(std::string_view route) {
    if (route.starts_with("/anthropic/")) return Dialect::anthropic;
    if (route.starts_with("/gemini/")) return Dialect::gemini;
    return route.ends_with("/responses") ? Dialect::responses : Dialect::chat;
}

Response gateway(Context& context, const GatewayPath& path) {
    const Request& request = context.request;
    const std::string& route = path.route;
    const auto& disabled = context.world().settings.disabled_routes;
    const bool is_off = std::any_of(disabled.begin(), disabled.end(),
                                    [&](const std::string& glob) { return glob_match(glob, route); });
    const bool get = request.method == "GET" || request.method == "HEAD";
    const GeminiTarget gemini = gemini_target(route);
    const bool lists =
        route == "/anthropic/v1/models" || route == "/openai/v1/models" || route == "/codex/v1/models";
    const bool asks = route == "/openai/v1/responses" || route == "/codex/v1/responses" ||
                      route == "/openai/v1/chat/completions" || route == "/mlflow/v1/chat/completions" ||
                      route == "/cursor/v1/chat/completions" || route == "/anthropic/v1/messages" ||
                      route == "/anthropic/v1/messages/count_tokens" || gemini.method == "generateContent" ||
                      gemini.method == "streamGenerateContent";
    // A route may be missing in a workspace (anthropic 200, codex 404 on the same one).
    if (is_off || (!lists && !asks)) return not_found_route(request);
    // A narrowed token fails on the deprecated host: "a 403 that asks for scope all-apis".
    if (auto refusal = authenticate(context, path.legacy ? "all-apis" : "ai-gateway")) return *refusal;
    if (lists) {
        if (!get) return wrong_method();
        return route.starts_with("/anthropic/") ? anthropic_models(context) : openai_models(context);
    }
    if (request.method != "POST") return wrong_method();

    const Dialect dialect = dialect_of(route);
    if (dialect == Dialect::gemini)
        return GatewayCall(context, dialect, "gemini/v1/generateContent")
            .run_gemini(gemini.model, gemini.method == "streamGenerateContent");
    if (route == "/anthropic/v1/messages/count_tokens")
        return GatewayCall(context, dialect, "anthropic/v1/messages").count_tokens();
    if (dialect == Dialect::responses) return GatewayCall(context, dialect, "openai/v1/responses").run();
    return GatewayCall(context, dialect, route.substr(1)).run();
}

} // namespace dbx::standin
