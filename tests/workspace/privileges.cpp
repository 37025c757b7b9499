#include "tests/workspace/privileges.hpp"

#include "core/base/strings.hpp"

#include <algorithm>
#include <array>

namespace dbx::standin {

namespace {

struct Rule {
    const char* privilege;
    const char* where; // c, s, t: catalogs, schemas, tables
};

constexpr std::array rules = {
    Rule{"USE_CATALOG", "c"},  Rule{"USE_SCHEMA", "cs"},      Rule{"SELECT", "cst"},
    Rule{"MODIFY", "cst"},     Rule{"CREATE_TABLE", "cs"},    Rule{"CREATE_SCHEMA", "c"},
    Rule{"CREATE_VIEW", "cs"}, Rule{"CREATE_FUNCTION", "cs"}, Rule{"CREATE_VOLUME", "cs"},
    Rule{"EXECUTE", "cs"},     Rule{"MANAGE", "cst"},         Rule{"BROWSE", "c"},
    Rule{"APPLY_TAG", "cst"},  Rule{"READ_VOLUME", "cs"},     Rule{"WRITE_VOLUME", "cs"},
    Rule{"REFRESH", "cst"},    Rule{"ALL_PRIVILEGES", "cst"},
};

bool is_same_principal(World& world, std::string_view granted_to, std::string_view who) {
    if (iequals(granted_to, who) || iequals(granted_to, "account users")) return true;
    const Principal* principal = find_principal(world, who);
    if (!principal) return false;
    return std::any_of(principal->groups.begin(), principal->groups.end(),
                       [&](const std::string& group) { return iequals(group, granted_to); });
}

} // namespace

std::string key_of(const Securable& securable) {
    return securable.type + " " + to_lower(securable.name);
}

std::string owner_of(World& world, const Securable& securable) {
    if (securable.type == "catalog") {
        const Catalog* catalog = find_catalog(world, securable.name);
        return catalog ? catalog->owner : "";
    }
    if (securable.type == "schema") {
        const Schema* schema = find_schema(world, securable.name);
        return schema ? schema->owner : "";
    }
    const Table* table = find_table(world, securable.name);
    return table ? table->owner : "";
}

bool exists(World& world, const Securable& securable) {
    if (securable.type == "catalog") return find_catalog(world, securable.name) != nullptr;
    if (securable.type == "schema") return find_schema(world, securable.name) != nullptr;
    return find_table(world, securable.name) != nullptr;
}

std::vector<Securable> with_parents(const Securable& securable) {
    std::vector<Securable> out{securable};
    if (securable.type == "table")
        out.push_back({"schema", securable.name.substr(0, securable.name.rfind('.'))});
    if (securable.type != "catalog")
        out.push_back({"catalog", securable.name.substr(0, securable.name.find('.'))});
    return out;
}

std::string api_form(std::string_view privilege) {
    std::string out(privilege);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        if (c == ' ') return '_';
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return out;
}

std::string sql_form(std::string_view privilege) {
    return replace_all(std::string(privilege), "_", " ");
}

bool is_privilege(std::string_view api) {
    return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return api == rule.privilege; });
}

bool applies_to(std::string_view api, std::string_view securable_type) {
    return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
        return api == rule.privilege &&
               std::string_view(rule.where).find(securable_type.front()) != std::string_view::npos;
    });
}

bool may(World& world, std::string_view principal, std::string_view privilege, const Securable& securable) {
    const Principal* who = find_principal(world, principal);
    if (who && who->admin) return true;
    for (const Securable& place : with_parents(securable)) {
        if (const std::string owner = owner_of(world, place);
            !owner.empty() && is_same_principal(world, owner, principal))
            return true;
        const auto found = world.grants.find(key_of(place));
        if (found == world.grants.end()) continue;
        for (const auto& [granted_to, privileges] : found->second)
            if (is_same_principal(world, granted_to, principal) &&
                (privileges.contains(std::string(privilege)) || privileges.contains("ALL_PRIVILEGES")))
                return true;
    }
    return false;
}

bool principal_exists(World& world, std::string_view name) {
    if (iequals(name, "account users") || find_principal(world, name)) return true;
    return std::any_of(world.principals.begin(), world.principals.end(), [&](const Principal& principal) {
        return std::any_of(principal.groups.begin(), principal.groups.end(),
                           [&](const std::string& group) { return iequals(group, name); });
    });
}

std::vector<Granted> granted(World& world, const Securable& securable, std::string_view principal) {
    std::vector<Granted> out;
    for (const Securable& place : with_parents(securable)) {
        const auto found = world.grants.find(key_of(place));
        if (found == world.grants.end()) continue;
        for (const auto& [granted_to, privileges] : found->second) {
            if (!principal.empty() && !iequals(granted_to, principal)) continue;
            for (const std::string& privilege : privileges) out.push_back({granted_to, privilege, place});
        }
    }
    return out;
}

void grant(World& world, const Securable& securable, const std::string& principal,
           const std::string& privilege) {
    world.grants[key_of(securable)][principal].insert(privilege);
}

void revoke(World& world, const Securable& securable, const std::string& principal,
            const std::string& privilege) {
    const auto place = world.grants.find(key_of(securable));
    if (place == world.grants.end()) return;
    for (auto holder = place->second.begin(); holder != place->second.end();) {
        if (iequals(holder->first, principal)) holder->second.erase(privilege);
        holder = holder->second.empty() ? place->second.erase(holder) : std::next(holder);
    }
    if (place->second.empty()) world.grants.erase(place);
}

} // namespace dbx::standin
