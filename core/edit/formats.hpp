#pragma once

#include "core/edit/document.hpp"

#include <memory>
#include <string>

// The three scanners behind Document::parse.
namespace dbx::edit {

Result<std::unique_ptr<Document>> parse_toml(std::string text);

enum class Comments { refused, allowed };
Result<std::unique_ptr<Document>> parse_json(std::string text, Comments comments);

Result<std::unique_ptr<Document>> parse_dotenv(std::string text);

} // namespace dbx::edit
