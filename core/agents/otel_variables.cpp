#include "core/agents/otel_variables.hpp"

#include "core/base/strings.hpp"
#include "core/edit/value.hpp"
#include "templates/builtin.hpp"

#include <algorithm>

namespace dbx::agents {

std::vector<std::pair<std::string, std::string>> otel_variables(const std::string& workspace,
                                                                const std::optional<otlp::Place>& place) {
    const auto files = templates::builtin_files();
    const auto block = std::find_if(files.begin(), files.end(), [](const templates::BuiltinFile& file) {
        return file.folder == "otel" && file.name == "variables.json";
    });
    const auto document = edit::Value::parse(block->text);
    std::vector<std::pair<std::string, std::string>> result;
    for (const auto& item : document.items()) {
        auto text = replace_all(item.value().get<std::string>(), "<workspace-url>",
                                workspace.empty() ? "https://<workspace-url>" : workspace);
        if (place) {
            text = replace_all(text, "<catalog>", place->catalog);
            text = replace_all(text, "<schema>", place->schema);
            text = replace_all(text, "<table_prefix>", place->prefix);
        }
        result.emplace_back(item.key(), text);
    }
    return result;
}

} // namespace dbx::agents
