#include "core/databricks/catalog.hpp"

#include "core/databricks/api_json.hpp"
#include "core/http/url.hpp"

#include <algorithm>

namespace dbx::databricks {

namespace {

constexpr std::string_view api = "/api/2.1/unity-catalog/";

std::vector<Assignment> read_assignments(const json& body) {
    std::vector<Assignment> result;
    for (const auto& item : array_at(body, "privilege_assignments")) {
        if (!item.is_object()) continue;
        Assignment assignment;
        assignment.principal = text_at(item, "principal");
        for (const auto& privilege : array_at(item, "privileges")) {
            // permissions lists words, effective-permissions lists objects.
            if (privilege.is_string()) assignment.privileges.push_back({privilege.get<std::string>(), {}});
            if (!privilege.is_object()) continue;
            std::string from = text_at(privilege, "inherited_from_type");
            if (const auto name = text_at(privilege, "inherited_from_name"); !name.empty())
                from += (from.empty() ? "" : " ") + name;
            assignment.privileges.push_back({text_at(privilege, "privilege"), from});
        }
        result.push_back(std::move(assignment));
    }
    return result;
}

ApiResult<std::vector<Assignment>> ask(Workspace& workspace, const ApiCall& call) {
    std::vector<Assignment> result;
    const auto done = for_each_page(workspace, call, [&](const json& page) {
        for (auto& assignment : read_assignments(page)) {
            const auto known = std::find_if(result.begin(), result.end(), [&](const auto& a) {
                return a.principal == assignment.principal;
            });
            if (known == result.end())
                result.push_back(std::move(assignment));
            else
                known->privileges.insert(known->privileges.end(), assignment.privileges.begin(),
                                         assignment.privileges.end());
        }
    });
    if (!done) return tl::unexpected(done.error());
    return result;
}

} // namespace

ApiResult<TableInfo> get_table(Workspace& workspace, std::string_view full_name) {
    ApiCall call;
    call.what = "cannot look at the table " + std::string(full_name);
    call.path = std::string(api) + "tables/" + http::percent_encode(full_name);
    const auto body = call_json(workspace, call);
    if (!body) return tl::unexpected(body.error());
    TableInfo table;
    table.full_name = text_at(*body, "full_name");
    table.table_type = text_at(*body, "table_type");
    table.data_source_format = text_at(*body, "data_source_format");
    table.owner = text_at(*body, "owner");
    table.table_id = text_at(*body, "table_id");
    table.view_definition = text_at(*body, "view_definition");
    for (const auto& item : array_at(*body, "columns")) {
        if (!item.is_object()) continue;
        table.columns.push_back({text_at(item, "name"), text_at(item, "type_text"),
                                 number_at(item, "position", static_cast<std::int64_t>(table.columns.size())),
                                 flag_at(item, "nullable", true), text_at(item, "comment")});
    }
    std::stable_sort(table.columns.begin(), table.columns.end(),
                     [](const auto& a, const auto& b) { return a.position < b.position; });
    for (const auto& [key, value] : object_at(*body, "properties").items())
        table.properties[key] = value.is_string()      ? value.get<std::string>()
                                : value.is_primitive() ? value.dump()
                                                       : std::string();
    return table;
}

ApiResult<std::vector<Assignment>> get_permissions(Workspace& workspace, std::string_view type,
                                                   std::string_view full_name) {
    ApiCall call;
    call.what = "cannot look at the grants on " + std::string(type) + " " + std::string(full_name);
    call.path = std::string(api) + "permissions/" + http::percent_encode(type) + "/" +
                http::percent_encode(full_name);
    return ask(workspace, call);
}

ApiResult<std::vector<Assignment>> get_effective_permissions(Workspace& workspace, std::string_view type,
                                                             std::string_view full_name,
                                                             std::string_view principal) {
    ApiCall call;
    call.what = "cannot look at the rights on " + std::string(type) + " " + std::string(full_name);
    call.path = std::string(api) + "effective-permissions/" + http::percent_encode(type) + "/" +
                http::percent_encode(full_name);
    if (!principal.empty()) call.path += "?principal=" + http::percent_encode(principal);
    return ask(workspace, call);
}

} // namespace dbx::databricks
