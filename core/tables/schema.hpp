#pragma once

#include "core/tables/names.hpp"
#include "core/tables/types.hpp"

#include <map>
#include <string>
#include <vector>

namespace dbx::tables {

struct Column {
    std::string name;
    ColumnType type;
};

// A table as Databricks documents it (OpenTelemetry schema v1), read from templates/sql/.
struct TableSchema {
    Signal signal = Signal::metrics;
    std::vector<Column> columns;
    std::map<std::string, std::string> properties; // those that matter: otel.schemaVersion
};

const TableSchema& documented_schema(Signal signal);

// One SQL statement, without a ';'.
struct Statement {
    std::string what;   // "create the table main.telemetry.dev_otel_logs"
    std::string object; // the plain name of what it is about
    std::string sql;
};

// Only for places that check_place() accepts. All of them do no harm when they run twice.
Statement create_schema(const Place& place);
Statement create_table(const Place& place, Signal signal);
// What a writer needs, and nothing else: USE CATALOG, USE SCHEMA, and MODIFY and SELECT by name on each table
// (ALL PRIVILEGES is not enough for OTLP ingestion: Databricks' onboarding guide calls it a known issue).
// `principal` as check_principal() accepts it.
std::vector<Statement> grants(const Place& place, const std::vector<Signal>& signals,
                              std::string_view principal);
Statement describe_table(const Place& place, Signal signal);

// Statements ready to paste, each with its ';'.
std::string script(const std::vector<Statement>& statements);

} // namespace dbx::tables
