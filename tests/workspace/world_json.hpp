#pragma once

// JSON forms of the world: the member names as they are, missing ones keep their default.

#include "tests/workspace/state.hpp"

namespace dbx::standin {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Token, value, owner, scopes, expires_at, revoked)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(OauthClient, client_id, client_secret, scopes, token_seconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Principal, name, display_name, id, groups, admin)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Model, name, api_types, max_output_tokens, answers_as,
                                                available, denied)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Column, name, type_text, comment, nullable)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Table, name, table_type, owner, comment, view_definition,
                                                columns, properties, cluster_by, created_at)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Schema, name, owner, comment)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Catalog, name, owner, comment)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Warehouse, id, name, state, cluster_size, warehouse_type,
                                                enable_serverless_compute, starts_in, denied)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Statement, id, owner, warehouse_id, text, catalog, schema,
                                                parameters, state, pending_polls, running_polls, row_limit,
                                                finished_at, error_code, error_message, sql_state, columns,
                                                rows)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(CannedResult, contains, columns, rows)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Answer, text, usage)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Settings, workspace_id, text, usage, error_shape,
                                                invalid_token, disabled_routes, reject_unsupported_fields,
                                                require_org_id, record_bodies, event_gap_ms,
                                                statement_pending_polls, statement_running_polls,
                                                warehouse_start_polls, rows_per_chunk, cancel_fails, otlp,
                                                otlp_owner_counts, delivery_polls, clock_offset_seconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(World, settings, tokens, clients, principals, models,
                                                catalogs, schemas, tables, warehouses, grants, statements,
                                                canned_results, answers, next_id)

} // namespace dbx::standin
