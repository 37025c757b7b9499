"""SQL statements, warehouses and Unity Catalog of dbx-agents-workspace, over HTTP:
workspace_sql_test.py PATH-OF-THE-PROGRAM [unittest arguments]"""

import json

from standin import GUEST, PAT, WAREHOUSE, Base, main


class SqlTest(Base):
    def poll(self, statement_id, token=PAT):
        return self.w.call("GET", "/api/2.0/sql/statements/" + statement_id, token=token).json

    def test_a_select_has_manifest_and_strings(self):
        answer = self.ok("SELECT 1 AS one, NULL, 'x', :p", parameters=[{"name": "p", "value": "v"}])
        self.assertEqual(answer["manifest"]["schema"]["columns"][0]["name"], "one")
        self.assertEqual(answer["manifest"]["schema"]["column_count"], 4)
        self.assertEqual(answer["result"]["data_array"], [["1", None, "x", "v"]])

    def test_success_of_http_is_not_success_of_the_statement(self):
        answer = self.statement("SELEC 1")
        self.assertEqual(answer.status, 200)  # a client that stops reading here is fooled
        status = answer.json["status"]
        self.assertEqual((status["state"], status["sql_state"]), ("FAILED", "42601"))
        self.assertTrue(status["error"]["message"].startswith("[PARSE_SYNTAX_ERROR] Syntax error at or near 'SELEC'"))
        self.assertNotIn("result", answer.json)

    def test_waits_outside_the_allowed_range_are_refused(self):
        for wait in ("60s", "51s", "4s", "1s", "-5s", "10", "10m", "", "5.5s", "s"):
            answer = self.statement("SELECT 1", wait_timeout=wait)
            self.assertEqual((answer.status, answer.json["error_code"]), (400, "INVALID_PARAMETER_VALUE"), wait)
        for wait in ("0s", "5s", "50s"):
            self.assertEqual(self.statement("SELECT 1", wait_timeout=wait).status, 200)

    def test_other_wrong_fields_are_refused(self):
        for field in ({"on_wait_timeout": "STOP"}, {"format": "XML"}, {"format": "CSV"}, {"disposition": "MAIL"},
                      {"row_limit": 0}, {"parameters": [{"value": "1"}]}, {"parameters": [{"name": "p", "value": 1}]},
                      {"query_tags": [{"key": "k"}] * 21}, {"warehouse_id": ""}, {"warehouse_id": "nope"},
                      {"statement": ""}, {"catalog": 1}):
            self.assertEqual(self.statement("SELECT 1", **field).status, 400, field)
        self.assertEqual(self.statement("SELECT 1", warehouse_id="f" * 16).status, 404)
        self.assertEqual(self.w.call("POST", "/api/2.0/sql/statements", "{").status, 400)

    def test_one_statement_only(self):
        self.assertIn("extra input", self.failed("SELECT 1; SELECT 2")["error"]["message"])
        self.ok("SELECT 1;")

    def test_states_follow_polls(self):
        self.w.control("POST", "settings", {"statement_pending_polls": 2, "statement_running_polls": 1})
        answer = self.statement("SELECT 1", wait_timeout="5s").json
        states = [answer["status"]["state"]]
        while states[-1] in ("PENDING", "RUNNING"):
            states.append(self.poll(answer["statement_id"])["status"]["state"])
        self.assertEqual(states, ["PENDING", "PENDING", "RUNNING", "SUCCEEDED"])

    def test_no_wait_means_no_result_at_once(self):
        answer = self.statement("CREATE TABLE main.telemetry.t (a INT)", wait_timeout="0s").json
        self.assertEqual(answer["status"]["state"], "PENDING")
        self.assertFalse(self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.t/exists").json["table_exists"])
        self.assertEqual(self.poll(answer["statement_id"])["status"]["state"], "SUCCEEDED")
        self.assertTrue(self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.t/exists").json["table_exists"])

    def test_cancel(self):
        self.w.control("POST", "settings", {"statement_running_polls": 3})
        first = self.statement("CREATE TABLE main.telemetry.t (a INT)", wait_timeout="0s").json["statement_id"]
        answer = self.w.call("POST", "/api/2.0/sql/statements/" + first + "/cancel")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.poll(first)["status"]["state"], "CANCELED")
        self.assertFalse(self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.t/exists").json["table_exists"])
        timed = self.statement("SELECT 1", wait_timeout="5s", on_wait_timeout="CANCEL").json
        self.assertEqual(timed["status"]["state"], "CANCELED")
        self.w.control("POST", "settings", {"cancel_fails": True})
        third = self.statement("SELECT 1", wait_timeout="0s").json["statement_id"]
        self.w.call("POST", "/api/2.0/sql/statements/" + third + "/cancel")
        self.assertNotEqual(self.poll(third)["status"]["state"], "CANCELED")

    def test_results_come_in_chunks_and_close_after_an_hour(self):
        rows = [[str(n), None] for n in range(25)]
        column = {"type_name": "STRING", "type_text": "STRING"}
        self.w.control("POST", "results", {"contains": "FROM system.ai_gateway.usage", "rows": rows,
                                           "columns": [{"name": "a", **column}, {"name": "b", **column}]})
        self.w.control("POST", "settings", {"rows_per_chunk": 10})
        answer = self.ok("SELECT weird(a) FROM system.ai_gateway.usage")
        self.assertEqual((answer["manifest"]["total_chunk_count"], answer["manifest"]["total_row_count"]), (3, 25))
        got, result = [], answer["result"]
        while True:
            got += result["data_array"]
            link = result.get("next_chunk_internal_link")
            if not link:
                break
            result = self.w.call("GET", link).json
        self.assertEqual(got, rows)
        self.assertEqual(self.w.call("GET", "/api/2.0/sql/statements/" + answer["statement_id"] + "/result/chunks/3").status, 400)
        limited = self.ok("SELECT weird(a) FROM system.ai_gateway.usage", row_limit=3)
        self.assertTrue(limited["manifest"]["truncated"])
        self.w.control("POST", "clock", {"advance_seconds": 3601})
        self.assertEqual(self.poll(answer["statement_id"])["status"]["state"], "CLOSED")

    def test_a_statement_is_its_owners(self):
        own = self.ok("SELECT 1")["statement_id"]
        self.assertEqual(self.w.call("GET", "/api/2.0/sql/statements/" + own, token=GUEST).status, 403)
        self.assertEqual(self.w.call("GET", "/api/2.0/sql/statements/nope").status, 404)

    def test_missing_rights_are_named(self):
        create = "CREATE TABLE main.telemetry.t (a INT)"
        self.assertIn("USE CATALOG on Catalog 'main'", self.failed(create, GUEST)["error"]["message"])
        self.ok("GRANT USE CATALOG, USE SCHEMA ON CATALOG main TO `guest@example.com`")
        status = self.failed(create, GUEST)
        self.assertIn("[INSUFFICIENT_PERMISSIONS]", status["error"]["message"])
        self.assertEqual(status["sql_state"], "42501")
        self.ok("GRANT CREATE TABLE ON SCHEMA main.telemetry TO `guest@example.com`")
        self.ok(create, GUEST)

    def test_a_stopped_warehouse_starts_for_a_statement(self):
        path = "/api/2.0/sql/warehouses/" + WAREHOUSE
        self.w.call("POST", path + "/stop")
        self.assertEqual(self.w.call("GET", path).json["state"], "STOPPED")
        answer = self.statement("SELECT 1", wait_timeout="5s").json
        self.assertEqual(answer["status"]["state"], "PENDING")
        self.assertEqual(self.w.control("GET", "warehouses")[0]["state"], "STARTING")
        self.assertEqual(self.poll(answer["statement_id"])["status"]["state"], "SUCCEEDED")
        self.assertEqual(self.w.call("GET", path).json["state"], "RUNNING")

    def test_warehouses_start_over_several_looks_and_come_in_pages(self):
        self.w.control("PUT", "warehouses", [{"id": "%016x" % n, "name": "w%d" % n, "state": "STOPPED"}
                                             for n in range(3)])
        self.w.call("POST", "/api/2.0/sql/warehouses/%016x/start" % 1)
        states = [self.w.call("GET", "/api/2.0/sql/warehouses/%016x" % 1).json["state"] for _ in range(3)]
        self.assertEqual(states, ["STARTING", "RUNNING", "RUNNING"])
        page = self.w.call("GET", "/api/2.0/sql/warehouses?page_size=2").json
        self.assertEqual([w["name"] for w in page["warehouses"]], ["w0", "w1"])
        page = self.w.call("GET", "/api/2.0/sql/warehouses?page_size=2&page_token=" + page["next_page_token"]).json
        self.assertEqual([w["name"] for w in page["warehouses"]], ["w2"])
        self.assertNotIn("next_page_token", page)
        self.assertEqual(self.w.call("GET", "/api/2.0/sql/warehouses/nope").status, 404)


class CatalogTest(Base):
    root = "/api/2.1/unity-catalog/"

    def test_a_created_table_is_told_with_types_and_properties(self):
        self.ok("CREATE TABLE IF NOT EXISTS main.telemetry.Dev_otel_logs (a LONG NOT NULL COMMENT 'first', "
                "b STRUCT<c: ARRAY<INT>>) USING DELTA TBLPROPERTIES ('otel.schemaVersion' = 'v1')")
        table = self.w.call("GET", self.root + "tables/main.telemetry.DEV_otel_logs").json
        self.assertEqual((table["full_name"], table["table_type"], table["data_source_format"]),
                         ("main.telemetry.dev_otel_logs", "MANAGED", "DELTA"))
        self.assertEqual(table["properties"]["otel.schemaVersion"], "v1")
        self.assertGreater(len(table["properties"]), 1)
        first, second = table["columns"]
        self.assertEqual((first["type_text"], first["type_name"], first["nullable"], first["comment"]),
                         ("bigint", "LONG", False, "first"))
        self.assertEqual((second["type_text"], second["position"]), ("struct<c:array<int>>", 1))
        self.assertEqual(json.loads(second["type_json"])["type"]["fields"][0]["type"]["elementType"], "integer")
        listed = self.w.call("GET", self.root + "tables?catalog_name=main&schema_name=telemetry").json["tables"]
        self.assertEqual(listed, [table])

    def test_what_is_missing_is_told_by_level(self):
        for name, code in (("no.s.t", "CATALOG_DOES_NOT_EXIST"), ("main.no.t", "SCHEMA_DOES_NOT_EXIST"),
                           ("main.telemetry.no", "TABLE_DOES_NOT_EXIST")):
            answer = self.w.call("GET", self.root + "tables/" + name)
            self.assertEqual((answer.status, answer.json["error_code"]), (404, code))
        self.assertEqual(self.w.call("GET", self.root + "tables/main.telemetry.no/exists").json, {"table_exists": False})
        self.assertEqual(self.w.call("GET", self.root + "tables/main.telemetry.no", token=GUEST).status, 403)

    def test_permissions_are_changed_and_inherited(self):
        self.ok("CREATE TABLE main.telemetry.t (a INT)")
        path = "permissions/table/main.telemetry.t"
        self.assertEqual(self.w.call("GET", self.root + path).json, {})
        change = {"changes": [{"principal": "developers", "add": ["SELECT", "MODIFY"]}]}
        answer = self.w.call("PATCH", self.root + path, change).json
        self.assertEqual(answer, {"privilege_assignments": [{"principal": "developers",
                                                             "privileges": ["MODIFY", "SELECT"]}]})
        self.w.call("PATCH", self.root + "permissions/catalog/main",
                    {"changes": [{"principal": "developers", "add": ["USE_CATALOG"]}]})
        effective = self.w.call("GET", self.root + "effective-permissions/table/main.telemetry.t?principal=ada@example.com")
        self.assertIn({"privilege": "USE_CATALOG", "inherited_from_type": "CATALOG", "inherited_from_name": "main"},
                      effective.json["privilege_assignments"][0]["privileges"])
        for bad in ({"principal": "nobody", "add": ["SELECT"]}, {"principal": "developers", "add": ["USE CATALOG"]},
                    {"principal": "developers", "add": ["CREATE_TABLE"]}, {"add": ["SELECT"]}):
            self.assertIn(self.w.call("PATCH", self.root + path, {"changes": [bad]}).status, (400, 404))
        self.assertEqual(self.w.call("PATCH", self.root + path, change, token=GUEST).status, 403)

    def test_catalogs_and_schemas(self):
        names = [c["name"] for c in self.w.call("GET", self.root + "catalogs").json["catalogs"]]
        self.assertEqual(names, ["main", "system"])
        self.assertEqual(self.w.call("GET", self.root + "catalogs", token=GUEST).json["catalogs"], [])
        body = {"name": "otel", "catalog_name": "main"}
        self.assertEqual(self.w.call("POST", self.root + "schemas", body).json["full_name"], "main.otel")
        again = self.w.call("POST", self.root + "schemas", body)
        self.assertEqual((again.status, again.json["error_code"]), (409, "SCHEMA_ALREADY_EXISTS"))
        names = [s["name"] for s in self.w.call("GET", self.root + "schemas?catalog_name=main").json["schemas"]]
        self.assertIn("otel", names)


if __name__ == "__main__":
    main()
