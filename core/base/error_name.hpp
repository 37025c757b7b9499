#pragma once

#include "core/base/error.hpp"

#include <string_view>

namespace dbx {

// "failed", "usage", "file", "credential", "workspace", "timeout", "interrupted": for JSON.
std::string_view name_of(ErrorKind kind);

} // namespace dbx
