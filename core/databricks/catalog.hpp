#pragma once

#include "core/databricks/api.hpp"

#include <map>

namespace dbx::databricks {

struct TableColumn {
    std::string name;
    std::string type_text; // "map<string,string>", "struct<value:double,...>"
    std::int64_t position = 0;
    bool nullable = true;
    std::string comment;
};

// A table as Unity Catalog describes it.
struct TableInfo {
    std::string full_name;
    std::string table_type;         // MANAGED, EXTERNAL, VIEW, ...
    std::string data_source_format; // DELTA, ...
    std::string owner;
    std::string table_id;
    std::string view_definition;      // of a view: its query
    std::vector<TableColumn> columns; // by position
    std::map<std::string, std::string> properties;
};

// Names are plain: "catalog.schema.table". A table that is not there, or not visible, is the problem
// not_found.
ApiResult<TableInfo> get_table(Workspace& workspace, std::string_view full_name);

// What a securable's owner sees: who has which privilege. Privileges are in the API's form: USE_CATALOG,
// MODIFY.
struct Privilege {
    std::string name;
    std::string inherited_from; // "CATALOG main"; empty: granted right there
};
struct Assignment {
    std::string principal;
    std::vector<Privilege> privileges;
};

// `type` is "catalog", "schema" or "table".
ApiResult<std::vector<Assignment>> get_permissions(Workspace& workspace, std::string_view type,
                                                   std::string_view full_name);

// Inherited privileges and those through groups included; `principal` empty: everybody's.
ApiResult<std::vector<Assignment>> get_effective_permissions(Workspace& workspace, std::string_view type,
                                                             std::string_view full_name,
                                                             std::string_view principal = {});

} // namespace dbx::databricks
