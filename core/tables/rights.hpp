#pragma once

#include "core/databricks/api.hpp"
#include "core/tables/schema.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dbx::tables {

// A right that the workspace named when it refused.
struct MissingRight {
    std::string right; // "CREATE TABLE", in SQL's form
    std::string type;  // "catalog", "schema", "table"; as the workspace says it, lower case
    std::string name;  // "main.telemetry"
};

// Reads "User does not have CREATE TABLE on Schema 'main.telemetry'." and its kin out of a refusal.
std::optional<MissingRight> missing_right(const databricks::ApiError& error);

enum class NewSchema { no, yes };

// What the principal needs to run `tables create`, as GRANTs for whoever may give it.
std::vector<Statement> creator_grants(const Place& place, NewSchema schema, std::string_view principal);

enum class Holding {
    granted,
    owner,          // not granted, but what is owned can be used
    all_privileges, // only through ALL PRIVILEGES, which OTLP ingestion does not accept
    missing,
    unknown,
};

// "granted", "owner", "all_privileges", "missing", "unknown"
std::string_view name_of(Holding holding);

struct Right {
    std::string right; // "USE CATALOG"
    std::string type;  // "catalog"
    std::string name;  // "main"
    Holding holding = Holding::unknown;
    std::string from; // "CATALOG main" when it is inherited from there
};

enum class Verdict { yes, no, unproven };
std::string_view name_of(Verdict verdict);

struct WriterRights {
    std::string principal; // empty: not known
    std::vector<Right> rights;
    std::string reason; // why something is unknown

    // yes: all of them are held, MODIFY and SELECT by name. no: one is missing. unproven: otherwise.
    Verdict verdict() const;
};

// The rights of the current principal on tables that exist: what OTLP ingestion with its token needs.
// `owners` are those that are known already, by the full names of the tables.
databricks::ApiResult<WriterRights> writer_rights(databricks::Workspace& workspace, const Place& place,
                                                  const std::vector<Signal>& existing,
                                                  const std::map<std::string, std::string>& owners = {});

} // namespace dbx::tables
