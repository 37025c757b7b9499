#pragma once

#include "core/edit/toml_judge.hpp"
#include "core/edit/toml_model.hpp"
#include "core/edit/toml_scan.hpp"

#include <string>
#include <string_view>

namespace dbx::edit {

// A parsed text. Stays where it is: the model points into the text.
struct TomlSource {
    TomlSource(std::string content, TomlTree parsed)
        : text(std::move(content))
        , tree(std::move(parsed)) {}
    TomlSource(const TomlSource&) = delete;
    TomlSource& operator=(const TomlSource&) = delete;

    std::string_view view(TomlRange range) const {
        return std::string_view(text).substr(range.begin, range.end - range.begin);
    }

    std::string text;
    TomlScan scan;
    TomlTree tree;
    TomlModel model;
};

} // namespace dbx::edit
