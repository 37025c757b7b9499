#pragma once

#include <span>
#include <string_view>

namespace dbx::templates {

// A file of templates/, compiled in. `folder` is an agent's name (or "otel", "sql").
struct BuiltinFile {
    std::string_view folder;
    std::string_view name;
    std::string_view text;
};

// Sorted by folder, then name.
std::span<const BuiltinFile> builtin_files();

} // namespace dbx::templates
