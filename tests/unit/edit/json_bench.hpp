#pragma once

#include "core/edit/document.hpp"

#include <doctest/doctest.h>

namespace dbx::edit::tests {

inline std::unique_ptr<Document> open(const std::string& text, Format format = Format::jsonc) {
    auto document = Document::parse(format, text);
    INFO(text);
    if (!document) FAIL(document.error().why);
    return std::move(*document);
}

inline std::string edited(const std::string& text, const std::vector<Edit>& edits,
                          Format format = Format::jsonc) {
    auto result = open(text, format)->apply(edits);
    INFO(text);
    if (!result) FAIL(result.error().what << " / " << result.error().why);
    return *result;
}

inline std::string set(const std::string& text, KeyPath path, Value value) {
    return edited(text, {Edit::set(std::move(path), std::move(value))});
}

inline std::string remove(const std::string& text, KeyPath path) {
    return edited(text, {Edit::remove(std::move(path))});
}

inline std::string why(const std::string& text, Format format = Format::json) {
    const auto document = Document::parse(format, text);
    return document ? "accepted" : document.error().why;
}

inline Error apply_error(const std::string& text, const std::vector<Edit>& edits) {
    const auto result = open(text)->apply(edits);
    REQUIRE_FALSE(result);
    return result.error();
}

} // namespace dbx::edit::tests
