#include "tests/workspace/unity_catalog.hpp"
namespace dbx::standin {
Response unity_catalog(Context& c) {
    return not_found_route(c.request);
}
} // namespace dbx::standin
