#include "core/state/toml_reader.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 1
#define TOML_ENABLE_UNRELEASED_FEATURES 1 // TOML 1.1 inline tables
#include <toml++/toml.h>

#include <sstream>

namespace dbx::state {

namespace {

std::string spelling(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    std::ostringstream out;
    node.visit([&](const auto& n) { out << n; });
    return out.str();
}

bool is_tables(const toml::node& node) {
    const auto* array = node.as_array();
    return array && !array->empty() && array->is_homogeneous(toml::node_type::table);
}

std::optional<std::vector<std::string>> strings_of(const toml::node& node) {
    const auto* array = node.as_array();
    if (!array) return std::nullopt;
    std::vector<std::string> result;
    for (const auto& element : *array) {
        const auto* text = element.as_string();
        if (!text) return std::nullopt;
        result.push_back(text->get());
    }
    return result;
}

void collect(const std::string& key, const toml::node& node, std::vector<TomlEntry>& out) {
    const std::string prefix = key.empty() ? key : key + ".";
    if (const auto* table = node.as_table()) {
        for (const auto& [name, child] : *table) collect(prefix + std::string(name.str()), child, out);
    } else if (is_tables(node)) {
        std::size_t index = 0;
        for (const auto& child : *node.as_array()) collect(prefix + std::to_string(index++), child, out);
    } else {
        out.push_back({key, spelling(node), node.source().begin.line, strings_of(node)});
    }
}

} // namespace

Result<std::vector<TomlEntry>> read_toml(std::string_view text) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        return fail(ErrorKind::file, "it is not valid TOML",
                    "line " + std::to_string(error.source().begin.line) + ", column " +
                        std::to_string(error.source().begin.column) + ": " +
                        std::string(error.description()));
    }
    std::vector<TomlEntry> entries;
    collect("", parsed.table(), entries);
    return entries;
}

} // namespace dbx::state
