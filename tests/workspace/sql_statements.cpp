#include "tests/workspace/sql_statements.hpp"
namespace dbx::standin {
Response sql_statements(Context& c) {
    return not_found_route(c.request);
}
} // namespace dbx::standin
