#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dbx::standin {

using Json = nlohmann::json;

// Everything that the workspace remembers. Plain data: each struct is one JSON object of the same member
// names (world_json.hpp) in DIR/state.json and in what /_control endpoints accept.

// A bearer token. `expires_at` in seconds since 1970 (0: never) on the workspace's own clock.
struct Token {
    std::string value;
    std::string owner;
    std::vector<std::string> scopes = {"all-apis"};
    std::int64_t expires_at = 0;
    bool revoked = false;
};

// An OAuth client (service principal) of POST /oidc/v1/token.
struct OauthClient {
    std::string client_id;
    std::string client_secret;
    std::vector<std::string> scopes = {"all-apis"};
    std::int64_t token_seconds = 3600;
};

// A user, service principal or group that privileges may be given to.
struct Principal {
    std::string name; // e-mail, application id or group name
    std::string display_name;
    std::string id;
    std::vector<std::string> groups;
    bool admin = false; // metastore admin: every privilege
};

// A model service. `name` is the full Unity Catalog name (system.ai.claude-opus-4-6).
struct Model {
    std::string name;
    std::vector<std::string> api_types;
    std::int64_t max_output_tokens = 0; // 0: no cap
    std::string answers_as;             // the `model` of answers; empty: as asked
    bool available = true;              // false: listed, but not in this region
    std::vector<std::string> denied;    // principals without EXECUTE
};

struct Column {
    std::string name;
    std::string type_text; // canonical: "struct<a:bigint,b:string>"
    std::string comment;
    bool nullable = true;
};

struct Table {
    std::string name; // catalog.schema.table, lower case
    std::string table_type = "MANAGED";
    std::string owner;
    std::string comment;
    std::string view_definition;
    std::vector<Column> columns;
    std::map<std::string, std::string> properties;
    std::vector<std::string> cluster_by;
    std::int64_t created_at = 0; // milliseconds
};

struct Schema {
    std::string name; // catalog.schema
    std::string owner;
    std::string comment;
};

struct Catalog {
    std::string name;
    std::string owner;
    std::string comment;
};

struct Warehouse {
    std::string id;
    std::string name;
    std::string state = "RUNNING";
    std::string cluster_size = "2X-Small";
    std::string warehouse_type = "PRO";
    bool enable_serverless_compute = true;
    std::int64_t starts_in = 0;      // while STARTING: looks left until RUNNING
    std::vector<std::string> denied; // principals without CAN USE
};

// A statement of /api/2.0/sql/statements.
struct Statement {
    std::string id;
    std::string owner;
    std::string warehouse_id;
    std::string text;
    std::string catalog;
    std::string schema;
    Json parameters = Json::array();
    std::string state = "PENDING";
    std::int64_t pending_polls = 0; // looks left in PENDING, then in RUNNING
    std::int64_t running_polls = 0;
    std::int64_t row_limit = 0;
    std::int64_t finished_at = 0; // seconds
    std::string error_code;
    std::string error_message;
    std::string sql_state;
    Json columns = Json::array(); // [{"name","type_name","type_text"}]
    Json rows = Json::array();    // arrays of strings and nulls
};

// An answer to a SELECT that the parser does not know: rows given by the test.
struct CannedResult {
    std::string contains; // part of the statement
    Json columns = Json::array();
    Json rows = Json::array();
};

// One scripted model answer; consumed in order, before Settings::text applies.
struct Answer {
    std::string text;
    Json usage; // as Settings::usage; null: derived
};

struct Settings {
    std::string workspace_id = "1234567890123456";
    std::string text = "Hello from the stand-in.";
    Json usage;                               // null: derived from the request; see README.md
    std::string error_shape = "databricks";   // or "native": the model API's own shape
    std::string invalid_token = "auto";       // or "400", "401", "403"
    std::vector<std::string> disabled_routes; // globs over gateway paths: 404
    bool reject_unsupported_fields = true;
    bool require_org_id = false; // model-services: 400 Invalid MetastoreId without the header
    bool record_bodies = true;   // false: only body_bytes, for load tests
    std::int64_t event_gap_ms = 0;
    std::int64_t statement_pending_polls = 0;
    std::int64_t statement_running_polls = 0;
    std::int64_t warehouse_start_polls = 2;
    std::int64_t rows_per_chunk = 1000;
    bool cancel_fails = false;       // cancel answers 200 and does nothing
    std::string otlp = "on";         // or "preview_off" (no route), "disabled" (403), "wrong_region"
    bool otlp_owner_counts = true;   // whether ownership replaces a grant by name
    std::int64_t delivery_polls = 0; // SELECTs that do not see an OTLP row yet
    std::int64_t clock_offset_seconds = 0;
};

struct World {
    Settings settings;
    std::vector<Token> tokens;
    std::vector<OauthClient> clients;
    std::vector<Principal> principals;
    std::vector<Model> models;
    std::vector<Catalog> catalogs;
    std::vector<Schema> schemas;
    std::vector<Table> tables;
    std::vector<Warehouse> warehouses;
    // "catalog main", "schema main.otel", "table main.otel.t" -> principal -> privileges (USE_CATALOG).
    std::map<std::string, std::map<std::string, std::set<std::string>>> grants;
    std::vector<Statement> statements;
    std::vector<CannedResult> canned_results;
    std::vector<Answer> answers;
    std::int64_t next_id = 1;
};

// What a fresh workspace holds: see README.md.
World default_world();

std::int64_t now_seconds(const World& world);

Principal* find_principal(World& world, std::string_view name);
const Catalog* find_catalog(const World& world, std::string_view name);
const Schema* find_schema(const World& world, std::string_view full_name);
Table* find_table(World& world, std::string_view full_name);
Warehouse* find_warehouse(World& world, std::string_view id);

class RowStore;

// The world in DIR/state.json. Holds DIR/lock, so two servers never share a directory.
class Store {
  public:
    // Makes DIR when it is not there. Throws std::runtime_error: unusable, in use, or damaged.
    explicit Store(std::string directory);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    World world;

    // To be called by whoever changed the world.
    void touch() { touched_ = true; }
    // Writes the world when it was touched (atomic rename).
    void save();
    const std::string& directory() const { return directory_; }
    RowStore& rows() { return *rows_; }

  private:
    std::string directory_;
    int lock_fd_ = -1;
    bool touched_ = true;
    std::unique_ptr<RowStore> rows_;
};

} // namespace dbx::standin
