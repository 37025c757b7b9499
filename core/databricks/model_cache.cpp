#include "core/databricks/model_cache.hpp"

#include <nlohmann/json.hpp>

namespace dbx::databricks {

namespace {

using nlohmann::json;

constexpr int format = 1;
constexpr std::uint64_t file_limit_bytes = 1U << 20U;

Result<system::Path> cache_path(const system::Environment& environment) {
    const auto directory = system::state_directory(environment);
    if (!directory) return fail(directory.error());
    return *directory / "models.json";
}

} // namespace

std::vector<Model> read_model_cache(const system::Environment& environment, system::FileSystem& files) {
    const auto path = cache_path(environment);
    if (!path) return {};
    const auto text = files.read(*path, file_limit_bytes);
    if (!text) return {};
    const auto root = json::parse(*text, nullptr, false);
    if (!root.is_object()) return {};
    try {
        if (root.value("format", 0) != format) return {};
        std::vector<Model> models;
        for (const auto& item : root.at("models"))
            models.push_back(
                {item.at("name").get<std::string>(), item.at("api_types").get<std::vector<std::string>>()});
        return models;
    } catch (const json::exception&) {
        return {};
    }
}

Result<void> write_model_cache(const std::vector<Model>& models, const system::Environment& environment,
                               system::FileSystem& files) {
    const auto path = cache_path(environment);
    if (!path) return fail(path.error());
    if (auto made = files.make_directories(path->parent_path(), 0700); !made) return fail(made.error());
    json root = {{"format", format}, {"models", json::array()}};
    for (const auto& model : models)
        root["models"].push_back({{"name", model.name}, {"api_types", model.api_types}});
    return files.write(*path, root.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

} // namespace dbx::databricks
