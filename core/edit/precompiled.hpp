#pragma once

// Precompiled for this room's own sources only (CMakeLists.txt).
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>
