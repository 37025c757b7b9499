#include "core/tables/rights.hpp"

#include "core/base/strings.hpp"
#include "core/databricks/catalog.hpp"
#include "core/http/url.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace dbx::tables {

namespace {

using databricks::ApiError;
using databricks::ApiProblem;

std::string upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

// The rest of `text` behind the first `part`, in any case of letters.
std::optional<std::string_view> behind(std::string_view text, std::string_view part) {
    const auto at = to_lower(text).find(to_lower(part));
    if (at == std::string::npos) return std::nullopt;
    return text.substr(at + part.size());
}

// A securable and what is wanted on it, in the API's form.
struct Wanted {
    std::string type;
    std::string name;
    std::vector<std::string> privileges;
};

// Whether an answer means "ask no more": the next would be the same, or the user has had enough.
bool is_final(const ApiError& error) {
    switch (error.problem) {
    case ApiProblem::invalid_token:
    case ApiProblem::not_authenticated:
    case ApiProblem::network:
    case ApiProblem::timeout:
    case ApiProblem::interrupted:
        return true;
    default:
        return false;
    }
}

// Nothing when the workspace does not tell.
std::optional<std::string> owner_of(databricks::Workspace& workspace, const Wanted& wanted) {
    databricks::ApiCall call;
    call.what = "cannot look at the " + wanted.type + " " + wanted.name;
    call.path = "/api/2.1/unity-catalog/" + wanted.type + "s/" + http::percent_encode(wanted.name);
    call.total = std::chrono::seconds(20);
    const auto answer = workspace.call(call);
    if (!answer) return std::nullopt;
    const auto body = nlohmann::json::parse(answer->body, nullptr, false);
    if (!body.is_object()) return std::nullopt;
    const auto owner = body.find("owner");
    return owner != body.end() && owner->is_string() ? std::optional(owner->get<std::string>())
                                                     : std::nullopt;
}

bool is_me(const databricks::Me& me, std::string_view principal) {
    return !principal.empty() &&
           (iequals(principal, me.user_name) ||
            std::find(me.groups.begin(), me.groups.end(), principal) != me.groups.end());
}

} // namespace

std::optional<MissingRight> missing_right(const ApiError& error) {
    // "User does not have CREATE TABLE on Schema 'main.telemetry'.", "does not have permission MANAGE on ..."
    auto rest = behind(error.message, "does not have ");
    if (!rest) return std::nullopt;
    for (const std::string_view filler : {"permission ", "privilege ", "the "})
        if (to_lower(rest->substr(0, filler.size())) == filler) rest = rest->substr(filler.size());
    const auto on = to_lower(*rest).find(" on ");
    if (on == std::string::npos) return std::nullopt;
    MissingRight result;
    result.right = upper(replace_all(std::string(trim(rest->substr(0, on))), "_", " "));
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ ";
    if (result.right.empty() || result.right.size() > 40 ||
        result.right.find_first_not_of(allowed) != std::string::npos)
        return std::nullopt;
    const auto object = rest->substr(on + 4);
    const auto blank = object.find(' ');
    result.type = to_lower(object.substr(0, std::min(blank, object.size())));
    if (result.type == "database") result.type = "schema";
    if (result.type != "catalog" && result.type != "schema" && result.type != "table") return std::nullopt;
    if (blank != std::string_view::npos) {
        constexpr std::string_view quotes = "'`\"";
        auto name = object.substr(blank + 1);
        if (!name.empty() && quotes.find(name.front()) != std::string_view::npos) {
            const auto close = name.find(name.front(), 1);
            name = close == std::string_view::npos ? std::string_view() : name.substr(1, close - 1);
        } else {
            name = name.substr(0, std::min(name.find_first_of(" ,;"), name.size()));
            while (!name.empty() && name.back() == '.') name.remove_suffix(1);
        }
        result.name = name;
    }
    if (result.name.empty()) return std::nullopt;
    return result;
}

std::vector<Statement> creator_grants(const Place& place, NewSchema schema, std::string_view principal) {
    const std::string to = " TO " + quote_identifier(principal);
    std::vector<Statement> result = {{"grant USE CATALOG on the catalog " + place.catalog, place.catalog,
                                      "GRANT USE CATALOG ON CATALOG " + place.quoted_catalog() + to}};
    // Who creates a schema owns it, with every right in it.
    if (schema == NewSchema::yes) {
        result.push_back({"grant CREATE SCHEMA on the catalog " + place.catalog, place.catalog,
                          "GRANT CREATE SCHEMA ON CATALOG " + place.quoted_catalog() + to});
    } else {
        result.push_back({"grant USE SCHEMA and CREATE TABLE on the schema " + place.schema_name(),
                          place.schema_name(),
                          "GRANT USE SCHEMA, CREATE TABLE ON SCHEMA " + place.quoted_schema() + to});
    }
    return result;
}

std::string_view name_of(Holding holding) {
    switch (holding) {
    case Holding::granted:
        return "granted";
    case Holding::owner:
        return "owner";
    case Holding::all_privileges:
        return "all_privileges";
    case Holding::missing:
        return "missing";
    case Holding::unknown:
        return "unknown";
    }
    return "unknown";
}

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::yes:
        return "yes";
    case Verdict::no:
        return "no";
    case Verdict::unproven:
        return "unproven";
    }
    return "unproven";
}

Verdict WriterRights::verdict() const {
    if (principal.empty() || rights.empty()) return Verdict::unproven;
    auto result = Verdict::yes;
    for (const auto& right : rights) {
        if (right.holding == Holding::missing || right.holding == Holding::all_privileges) return Verdict::no;
        // The documents want MODIFY and SELECT by name; whether ownership does as well, they do not say.
        const bool proven =
            right.holding == Holding::granted || (right.holding == Holding::owner && right.type != "table");
        if (!proven) result = Verdict::unproven;
    }
    return result;
}

databricks::ApiResult<WriterRights> writer_rights(databricks::Workspace& workspace, const Place& place,
                                                  const std::vector<Signal>& existing,
                                                  const std::map<std::string, std::string>& owners) {
    WriterRights result;
    const auto me = databricks::who_am_i(workspace);
    if (!me) {
        if (is_final(me.error())) return tl::unexpected(me.error());
        result.reason = "the workspace does not tell who this credential is (" + me.error().error.why + ")";
        return result;
    }
    result.principal = me->user_name;
    std::vector<Wanted> wanted = {{"catalog", place.catalog, {"USE_CATALOG"}},
                                  {"schema", place.schema_name(), {"USE_SCHEMA"}}};
    for (const Signal signal : existing)
        wanted.push_back({"table", place.table_name(signal), {"MODIFY", "SELECT"}});
    for (const auto& one : wanted) {
        const auto assignments =
            databricks::get_effective_permissions(workspace, one.type, one.name, me->user_name);
        if (!assignments && is_final(assignments.error())) return tl::unexpected(assignments.error());
        std::optional<std::string> owner; // asked for once, and only when something is not granted
        bool asked = false;
        if (const auto known = owners.find(one.name); known != owners.end() && !known->second.empty()) {
            owner = known->second;
            asked = true;
        }
        for (const auto& privilege : one.privileges) {
            Right right{replace_all(privilege, "_", " "), one.type, one.name, Holding::missing, ""};
            if (!assignments) {
                right.holding = Holding::unknown;
                result.reason = assignments.error().error.what + ": " + assignments.error().error.why;
                result.rights.push_back(std::move(right));
                continue;
            }
            bool everything = false;
            for (const auto& assignment : *assignments) {
                for (const auto& held : assignment.privileges) {
                    const auto name = replace_all(upper(held.name), " ", "_");
                    if (name == "ALL_PRIVILEGES") everything = true;
                    if (name != privilege || right.holding == Holding::granted) continue;
                    right.holding = Holding::granted;
                    right.from = held.inherited_from;
                }
            }
            if (right.holding == Holding::missing) {
                if (!asked) owner = owner_of(workspace, one);
                asked = true;
                if (owner && is_me(*me, *owner))
                    right.holding = Holding::owner;
                else if (everything)
                    right.holding = Holding::all_privileges;
            }
            result.rights.push_back(std::move(right));
        }
    }
    return result;
}

} // namespace dbx::tables
