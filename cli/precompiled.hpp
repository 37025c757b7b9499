#pragma once

// Precompiled for this folder's sources only (CMakeLists.txt).
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
