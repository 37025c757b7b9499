#pragma once

#include "tests/workspace/context.hpp"

#include <set>
#include <string>
#include <string_view>

namespace dbx::standin {

// /api/2.1/unity-catalog/{tables,permissions,effective-permissions,catalogs,schemas}.
Response unity_catalog(Context& context);

} // namespace dbx::standin
