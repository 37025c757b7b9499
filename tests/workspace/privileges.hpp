#pragma once

#include "tests/workspace/state.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dbx::standin {

// A catalog, schema or table. `type` in lower case, `name` with dots, lower case.
struct Securable {
    std::string type;
    std::string name;
};

std::string key_of(const Securable& securable);
std::string owner_of(World& world, const Securable& securable);
bool exists(World& world, const Securable& securable);
// The securable itself, then what it lies in: table, schema, catalog.
std::vector<Securable> with_parents(const Securable& securable);

// API form (USE_CATALOG) of a privilege in either form.
std::string api_form(std::string_view privilege);
// SQL form (USE CATALOG).
std::string sql_form(std::string_view privilege);
bool is_privilege(std::string_view api_form);
// Whether it can be granted there: CREATE_TABLE on a table can not.
bool applies_to(std::string_view api_form, std::string_view securable_type);

// By grant to the principal, a group of its or `account users`, directly or on a parent; ALL_PRIVILEGES
// counts; owners of the securable or of a parent, and admins, may do everything.
bool may(World& world, std::string_view principal, std::string_view privilege, const Securable& securable);

// Users, service principals, groups and `account users`.
bool principal_exists(World& world, std::string_view name);

// Privileges as granted, with where each comes from; empty principal: of all.
struct Granted {
    std::string principal;
    std::string privilege;
    Securable from;
};
std::vector<Granted> granted(World& world, const Securable& securable, std::string_view principal);

// Changes grants; the caller has checked that it may. Touches nothing else.
void grant(World& world, const Securable& securable, const std::string& principal,
           const std::string& privilege);
void revoke(World& world, const Securable& securable, const std::string& principal,
            const std::string& privilege);

} // namespace dbx::standin
