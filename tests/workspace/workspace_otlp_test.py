"""The OTLP routes of dbx-agents-workspace and the rows they fill, over HTTP:
workspace_otlp_test.py PATH-OF-THE-PROGRAM [unittest arguments]"""

import gzip
import os
import re

import otlp_bytes as otlp
from standin import GUEST, PAT, Base, Workspace, main

HERE = os.path.dirname(os.path.abspath(__file__))
SQL = os.path.join(HERE, "..", "..", "templates", "sql")
TABLES = {"metrics": "main.telemetry.dev_otel_metrics", "logs": "main.telemetry.dev_otel_logs",
          "traces": "main.telemetry.dev_otel_spans"}
NOW = 1_790_000_000_123_456_789


class OtlpBase(Base):
    def setUp(self):
        super().setUp()
        for signal, name in TABLES.items():
            with open(os.path.join(SQL, name.split(".")[2].replace("dev_", "") + ".sql"), encoding="utf-8") as file:
                self.ok(file.read().replace("{{table}}", name))

    def send(self, signal, body, table=None, token=PAT, **headers):
        fields = {"Content-Type": "application/x-protobuf", "X-Databricks-UC-Table-Name": table or TABLES[signal]}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.w.call("POST", "/api/2.0/otel/v1/" + signal, body, token,
                           {name: value for name, value in fields.items() if value is not None})

    def rows(self, signal):
        return self.w.control("GET", "rows?table=" + TABLES[signal])

    def refused(self, answer, status, words):
        self.assertEqual(answer.status, status, answer.text)
        self.assertRegex(answer.text, words)


class OtlpTest(OtlpBase):
    def test_a_data_point_is_a_row(self):
        metric = otlp.sum_metric("tokens", [otlp.number_point(3, NOW, NOW - 5, {"type": "input", "n": 7, "b": True,
                                                                               "f": 1.5, "l": ["x", 2],
                                                                               "m": {"k": "v"}}),
                                            otlp.number_point(2.5, NOW)], unit="{token}")
        answer = self.send("metrics", otlp.request([metric], {"service.name": "claude-code"}))
        self.assertEqual((answer.status, answer.headers["content-type"], answer.body),
                         (200, "application/x-protobuf", b""))
        first, second = self.rows("metrics")
        self.assertEqual(first["name"], "tokens")
        self.assertEqual(first["unit"], "{token}")
        self.assertEqual(first["sum"], {
            "start_time_unix_nano": NOW - 5, "time_unix_nano": NOW, "value": 3.0, "exemplars": [], "flags": 0,
            "attributes": {"type": "input", "n": "7", "b": "true", "f": "1.5", "l": '["x",2]', "m": '{"k":"v"}'},
            "aggregation_temporality": "AGGREGATION_TEMPORALITY_DELTA", "is_monotonic": True})
        self.assertIsNone(first["histogram"])
        self.assertEqual(first["resource"], {"attributes": {"service.name": "claude-code"},
                                             "dropped_attributes_count": 0})
        self.assertEqual(first["instrumentation_scope"]["name"], "test")
        self.assertEqual(second["sum"]["value"], 2.5)
        table = self.w.call("GET", "/api/2.1/unity-catalog/tables/" + TABLES["metrics"]).json
        self.assertEqual(sorted(first), sorted(column["name"] for column in table["columns"]))

    def test_gauges_and_histograms(self):
        self.send("metrics", otlp.request([otlp.gauge_metric("g", [otlp.number_point(-4, NOW)]),
                                           otlp.histogram_metric("h", [otlp.histogram_point(2, 42.0, NOW)],
                                                                 otlp.CUMULATIVE)]))
        gauge, histogram = self.rows("metrics")
        self.assertEqual(gauge["gauge"]["value"], -4.0)
        self.assertNotIn("aggregation_temporality", gauge["gauge"])
        self.assertEqual({key: histogram["histogram"][key] for key in ("count", "sum", "bucket_counts",
                                                                       "explicit_bounds", "min")},
                         {"count": 2, "sum": 42.0, "bucket_counts": [2, 0], "explicit_bounds": [10.0], "min": 42.0})
        self.assertEqual(histogram["histogram"]["aggregation_temporality"], "AGGREGATION_TEMPORALITY_CUMULATIVE")

    def test_every_kind_of_metric_has_the_documented_members(self):
        buckets = otlp.message((1, "s", -3), (2, "b", otlp.varint(1) + otlp.varint(300)))
        exponential = otlp.message((2, "q", 1), (3, "q", 2), (4, "q", 301), (5, "d", 9.0), (6, "s", -2), (7, "q", 4),
                                   (8, "b", buckets), (10, "v", 1), (14, "d", 0.5))
        exemplar = otlp.message((2, "q", 3), (6, "Q", -8), (4, "b", b"\1" * 8), (5, "b", b"\2" * 16))
        point = otlp.number_point(1, NOW) + otlp.field(5, "b", exemplar)
        summary = otlp.message((3, "q", 2), (4, "q", 2), (5, "d", 3.0),
                               (6, "b", otlp.message((1, "d", 0.5), (2, "d", 1.5))))
        items = [otlp.message((1, "b", "e"), (10, "b", otlp.message((1, "b", exponential), (2, "v", 1)))),
                 otlp.gauge_metric("g", [point]),
                 otlp.message((1, "b", "s"), (11, "b", otlp.message((1, "b", summary)))),
                 otlp.histogram_metric("h", [otlp.histogram_point(1, 1.0, NOW)]),
                 otlp.sum_metric("n", [otlp.number_point(1, NOW)])]
        self.assertEqual(self.send("metrics", otlp.request(items)).status, 200)
        types = {column["name"]: column["type_text"] for column in
                 self.w.call("GET", "/api/2.1/unity-catalog/tables/" + TABLES["metrics"]).json["columns"]}
        for row in self.rows("metrics"):
            kind = row["metric_type"]
            members = re.findall(r"[<,](\w+):", re.sub(r"(array|map)<(struct<[^<>]*(<[^<>]*>[^<>]*)*>|[^<>]*)>|(?<=_bucket:)struct<[^<>]*<[^<>]*>>",
                                                       "x", types[kind]))
            self.assertEqual(sorted(row[kind]), sorted(members), kind)
        e, g, s = self.rows("metrics")[:3]
        self.assertEqual((e["exponential_histogram"]["scale"], e["exponential_histogram"]["positive_bucket"],
                          e["exponential_histogram"]["negative_bucket"]),
                         (-2, {"offset": -3, "bucket_counts": [1, 300]}, None))
        self.assertEqual(g["gauge"]["exemplars"], [{"time_unix_nano": 3, "value": -8.0, "span_id": "01" * 8,
                                                    "trace_id": "02" * 16, "filtered_attributes": {}}])
        self.assertEqual(s["summary"]["quantile_values"], [{"quantile": 0.5, "value": 1.5}])

    def test_logs_and_spans(self):
        self.send("logs", otlp.request([otlp.log(NOW, "claude_code.api_request", {"event.name": "api_request"},
                                                 trace_id=b"\xab" * 16, span_id=b"\x01" * 8, severity=9),
                                        otlp.log(NOW, None, {}), otlp.log(NOW, {"a": [1, None or "x"]}, {}, "e")]))
        first, second, third = self.rows("logs")
        self.assertEqual((first["body"], first["trace_id"], first["span_id"], first["severity_number"]),
                         ("claude_code.api_request", "ab" * 16, "01" * 8, "SEVERITY_NUMBER_INFO"))
        self.assertEqual(first["attributes"], {"event.name": "api_request"})
        self.assertEqual((second["body"], second["event_name"], second["trace_id"]), (None, "", ""))
        self.assertEqual((third["body"], third["event_name"]), ('{"a":[1,"x"]}', "e"))
        self.send("traces", otlp.request([otlp.span("s", b"\1" * 16, b"\2" * 8, NOW, NOW + 5, {"k": "v"}, kind=2)]))
        span = self.rows("traces")[0]
        self.assertEqual((span["kind"], span["status"], span["end_time_unix_nano"], span["parent_span_id"]),
                         ("SPAN_KIND_SERVER", {"message": "it failed", "code": "STATUS_CODE_ERROR"}, NOW + 5, ""))

    def test_unknown_fields_are_passed_over(self):
        body = otlp.request([otlp.log(NOW, "x") + otlp.field(99, "b", "new") + otlp.field(98, "i", 1)])
        self.assertEqual(self.send("logs", body + otlp.field(77, "v", 1)).status, 200)
        self.assertEqual(len(self.rows("logs")), 1)

    def test_an_empty_request_is_taken(self):
        self.assertEqual(self.send("logs", b"").status, 200)
        self.assertEqual(self.rows("logs"), [])

    def test_malformed_bytes_are_refused_whole(self):
        good = otlp.request([otlp.log(NOW, "x", {"k": "v"})])
        for bad in (good[:-1], good[:20], b"\xff" * 30, b"{}", good + b"\x0b", otlp.request([b"\x08\x01"]),
                    otlp.request([otlp.log(NOW, trace_id=b"\1" * 15)]), otlp.field(1, "v", 3),
                    otlp.request([otlp.field(12, "b", b"\xff\xfe")]),
                    otlp.request([otlp.log(NOW, "first"), otlp.field(6, "b", otlp.field(1, "v", 1))])):
            self.refused(self.send("logs", bad), 400, "MALFORMED_REQUEST")
        self.assertEqual(self.rows("logs"), [])

    def test_types_and_codings_that_are_not_documented_are_refused(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.refused(self.send("logs", b"{}", Content_Type="application/json"), 415, "application/x-protobuf")
        self.refused(self.send("logs", body, Content_Type=None), 415, "application/x-protobuf")
        self.refused(self.send("logs", gzip.compress(body), Content_Encoding="gzip"), 415, "gzip")
        self.assertEqual(self.send("logs", body, Content_Type="application/x-protobuf; charset=utf-8").status, 200)
        self.assertEqual(len(self.rows("logs")), 1)

    def test_the_table_header(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.refused(self.send("logs", body, X_Databricks_UC_Table_Name=None), 400, "header .* is missing")
        for name in ("`main`.`telemetry`.`dev_otel_logs`", "telemetry.dev_otel_logs", "a.b.c.d", "main.telemetry.", "",
                     "main.telemetry.dev otel"):
            self.refused(self.send("logs", body, X_Databricks_UC_Table_Name=name), 400, "catalog.schema.table")
        self.refused(self.send("logs", body, "main.telemetry.nope"), 404, "TABLE_DOES_NOT_EXIST")
        self.refused(self.send("logs", body, "main.nope.dev_otel_logs"), 404, "SCHEMA_DOES_NOT_EXIST")
        self.refused(self.send("logs", body, "nope.x.y"), 404, "CATALOG_DOES_NOT_EXIST")

    def test_tables_of_another_schema_are_refused(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.refused(self.send("logs", body, TABLES["metrics"]), 400, "Schema mismatch")
        self.ok("CREATE TABLE main.telemetry.plain (a INT)")
        self.refused(self.send("logs", body, "main.telemetry.plain"), 400, "otel.schemaVersion")
        self.ok("CREATE TABLE main.telemetry.few (body STRING) TBLPROPERTIES ('otel.schemaVersion' = 'v1')")
        self.refused(self.send("logs", body, "main.telemetry.few"), 400, "has no column event_name")
        tables = self.w.control("GET", "tables")
        table = next(one for one in tables if one["name"] == TABLES["logs"])
        next(c for c in table["columns"] if c["name"] == "body")["type_text"] = "bigint"
        self.w.control("POST", "tables", table)
        self.refused(self.send("logs", body), 400, "column body .* has the type bigint, expected string")
        self.ok("CREATE VIEW main.telemetry.v AS SELECT 1")
        self.refused(self.send("logs", body, "main.telemetry.v"), 400, "not a managed")
        self.assertEqual(self.rows("logs"), [])

    def test_tokens_are_checked_as_everywhere(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.refused(self.send("logs", body, token=None), 401, "Credential was not sent")
        self.refused(self.send("logs", body, token="dapi-wrong"), 403, "Invalid access token")
        self.refused(self.send("logs", body, token="dapi-gateway-only-0123456789abcdef"), 403, "required scopes")
        self.assertEqual(self.w.call("GET", "/api/2.0/otel/v1/logs").status, 405)
        self.assertEqual(self.w.call("POST", "/api/2.0/otel/v1/profiles").status, 404)

    def test_each_right_must_be_granted_by_name(self):
        body = otlp.request([otlp.log(NOW, "x")])
        table = TABLES["logs"]
        steps = [("USE CATALOG on Catalog 'main'", "GRANT USE CATALOG ON CATALOG main TO `guest@example.com`"),
                 ("USE SCHEMA on Schema 'main.telemetry'",
                  "GRANT USE SCHEMA ON SCHEMA main.telemetry TO `guest@example.com`"),
                 ("MODIFY on Table '" + table, "GRANT ALL PRIVILEGES ON TABLE " + table + " TO `guest@example.com`"),
                 ("MODIFY on Table '" + table, "GRANT MODIFY ON TABLE " + table + " TO `guest@example.com`"),
                 ("SELECT on Table '" + table, "GRANT SELECT ON TABLE " + table + " TO `guest@example.com`")]
        for words, grant in steps:
            self.refused(self.send("logs", body, token=GUEST), 403, "PERMISSION_DENIED.*" + words)
            self.ok(grant)
        self.assertEqual(self.send("logs", body, token=GUEST).status, 200)
        self.assertEqual(len(self.rows("logs")), 1)

    def test_whether_owning_is_enough_is_a_setting(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.assertEqual(self.send("logs", body).status, 200)
        self.w.control("POST", "settings", {"otlp_owner_counts": False})
        self.refused(self.send("logs", body), 403, "USE CATALOG")
        self.ok("GRANT USE CATALOG, USE SCHEMA, MODIFY, SELECT ON CATALOG main TO developers")
        self.assertEqual(self.send("logs", body).status, 200)

    def test_the_preview_and_the_region(self):
        body = otlp.request([otlp.log(NOW, "x")])
        for setting, status, words in (("preview_off", 404, "No API found"), ("disabled", 403, "not enabled"),
                                       ("wrong_region", 400, "region")):
            self.w.control("POST", "settings", {"otlp": setting})
            self.refused(self.send("logs", body), status, words)
        self.assertEqual(self.rows("logs"), [])

    def test_faults(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.w.fault(fault="429", path="/api/2.0/otel/*", retry_after=3)
        answer = self.send("logs", body)
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "3"))
        self.w.fault(fault="503", path="/api/2.0/otel/*")
        self.assertEqual(self.send("logs", body).status, 503)
        self.w.fault(fault="cut_before_processing", path="/api/2.0/otel/*")
        with self.assertRaises(OSError):
            self.send("logs", body)
        self.assertEqual(self.rows("logs"), [])
        self.w.fault(fault="cut_before_answer", path="/api/2.0/otel/*")
        with self.assertRaises(OSError):
            self.send("logs", body)
        self.assertEqual(len(self.rows("logs")), 1) # taken, but the client does not know

    def test_rows_survive_a_restart_and_a_kill(self):
        body = otlp.request([otlp.log(NOW, "x")])
        self.send("logs", body)
        self.w.kill()
        self.w = Workspace(self.w.state)
        self.send("logs", body)
        self.assertEqual(self.w.stop(), 0)
        self.w = Workspace(self.w.state)
        self.assertEqual(len(self.rows("logs")), 2)
        self.w.control("DELETE", "rows?table=" + TABLES["logs"])
        self.assertEqual(self.rows("logs"), [])


class QueryTest(OtlpBase):
    def setUp(self):
        super().setUp()
        day = 86_400_000_000_000
        points = [otlp.number_point(3, NOW, 1, {"model": "m1", "type": "input"}),
                  otlp.number_point(4, NOW + day, 2, {"model": "m1", "type": "output"}),
                  otlp.number_point(0.5, NOW, 3, {"model": "m2"})]
        self.send("metrics", otlp.request([otlp.sum_metric("tokens", points),
                                           otlp.histogram_metric("turn", [otlp.histogram_point(2, 42.0, NOW)])]))
        self.send("logs", otlp.request([otlp.log(NOW + n, "b%d" % n, {"event.name": "e", "n": text, "marker": "x%d" % n})
                                        for n, text in enumerate(("1", " 22 ", "x", "2.5"))]))

    def select(self, sql, token=PAT, **more):
        return self.ok(sql.format(**{key[0]: value for key, value in TABLES.items()}), token, **more)["result"].get("data_array", [])

    def test_columns_struct_members_and_map_entries(self):
        self.assertEqual(self.select("SELECT m.name, m.sum.value, sum.attributes['model'] AS model, m.resource.attributes['service.name'], "
                                     "m.histogram.sum, m.sum.is_monotonic FROM {m} AS m ORDER BY sum.start_time_unix_nano NULLS LAST"),
                         [["tokens", "3.0", "m1", "test", None, "true"], ["tokens", "4.0", "m1", "test", None, "true"],
                          ["tokens", "0.5", "m2", "test", None, "true"], ["turn", None, None, "test", "42.0", None]])

    def test_the_result_has_types(self):
        answer = self.ok("SELECT name, m.sum.value AS v, m.sum.time_unix_nano, sum.attributes FROM %s m LIMIT 1" % TABLES["metrics"])
        self.assertEqual([(c["name"], c["type_text"]) for c in answer["manifest"]["schema"]["columns"]],
                         [("name", "string"), ("v", "double"), ("time_unix_nano", "bigint"), ("attributes", "map<string,string>")])

    def test_a_marker_that_is_not_there_gives_nothing(self):
        sql = "SELECT COUNT(*) FROM {l} WHERE attributes['marker'] = :marker AND attributes['event.name'] = 'e'"
        for marker, count in (("x1", "1"), ("x9", "0"), ("X1", "0"), ("", "0"), (None, "0")):
            self.assertEqual(self.select(sql, parameters=[{"name": "marker", "value": marker}]), [[count]], marker)
        self.assertEqual(self.select("SELECT body FROM {l} WHERE attributes['marker'] = 'nope'"), [])
        self.assertEqual(self.select("SELECT body FROM {l} WHERE attributes['nope'] = 'x1'"), [])

    def test_conditions_and_casts(self):
        for condition, bodies in (("TRY_CAST(attributes['n'] AS BIGINT) > 1", ["b1"]),
                                  ("TRY_CAST(attributes['n'] AS BIGINT) IS NULL", ["b2", "b3"]),
                                  ("TRY_CAST(attributes['n'] AS DOUBLE) BETWEEN 1 AND 2.6", ["b0", "b3"]),
                                  ("body LIKE 'b_' AND NOT body IN ('b1', 'b2')", ["b0", "b3"]),
                                  ("body LIKE 'B%'", []), ("attributes['n'] LIKE '2\\.5'", ["b3"]),
                                  ("time_unix_nano >= %d + 2" % NOW, ["b2", "b3"]),
                                  ("trace_id = '' AND event_name <> 'x' AND (severity_text = 'y' OR body = 'b0')", ["b0"])):
            self.assertEqual([row[0] for row in self.select("SELECT body FROM {l} WHERE " + condition + " ORDER BY 1")], bodies, condition)
        self.assertIn("CAST_INVALID_INPUT", self.failed("SELECT CAST(attributes['n'] AS BIGINT) FROM " + TABLES["logs"])["error"]["message"])

    def test_groups(self):
        self.assertEqual(self.select("SELECT to_date(timestamp_micros(CAST(m.sum.time_unix_nano / 1000 AS BIGINT))) AS day, sum.attributes['model'] AS model, "
                                     "SUM(m.sum.value) AS tokens, count_if(m.sum.value > 3) AS big FROM {m} m WHERE name = 'tokens' GROUP BY ALL ORDER BY day, model"),
                         [["2026-09-21", "m1", "3.0", "0"], ["2026-09-21", "m2", "0.5", "0"], ["2026-09-22", "m1", "4.0", "1"]])
        self.assertEqual(self.select("SELECT coalesce(sum.attributes['model'], '?') AS model, count(*) AS n FROM {m} GROUP BY model HAVING count(*) > 1"), [["m1", "2"]])
        self.assertEqual(self.select("SELECT SUM(m.sum.value), COUNT(m.sum.value), MAX(name), max_by(name, m.sum.value) FROM {m} m WHERE name = 'nope'"), [[None, "0", None, None]])
        self.assertIn("MISSING_AGGREGATION", self.failed("SELECT name, COUNT(*) FROM " + TABLES["metrics"])["error"]["message"])
        self.assertIn("MISSING_AGGREGATION", self.failed("SELECT body, COUNT(*) FROM %s GROUP BY event_name" % TABLES["logs"])["error"]["message"])

    def test_with_union_join_and_windows(self):
        sql = """WITH points AS (
            SELECT name, m.sum.value AS value, to_json(array_sort(map_entries(m.sum.attributes))) AS series, m.sum.start_time_unix_nano AS t FROM {m} m WHERE m.sum IS NOT NULL
            UNION ALL SELECT name, h.histogram.sum, 'h', 9 FROM {m} h WHERE h.histogram IS NOT NULL)
            SELECT p.value, lag(p.value) OVER (PARTITION BY name ORDER BY t) AS before, q.n
            FROM points p LEFT JOIN (SELECT series, count(*) AS n FROM points WHERE value > 3 GROUP BY series) q ON p.series = q.series ORDER BY t"""
        self.assertEqual(self.select(sql), [["3.0", None, None], ["4.0", "3.0", "1"], ["0.5", "4.0", None], ["42.0", None, "1"]])

    def test_what_it_cannot_do_is_an_error(self):
        for sql, words in (("SELECT body FROM {l} ORDER BY rand()", "UNRESOLVED_ROUTINE"), ("SELECT nope FROM {l}", "UNRESOLVED_COLUMN"),
                           ("SELECT m.sum.nope FROM {m} m", "FIELD_NOT_FOUND"), ("SELECT body FROM {l} WHERE time_unix_nano = '1'", "Cannot compare"),
                           ("SELECT explode(attributes) FROM {l}", "UNRESOLVED_ROUTINE"), ("SELECT a FROM {l} LATERAL VIEW explode(x) AS a", "PARSE_SYNTAX"),
                           ("SELECT body FROM {l} UNION SELECT body FROM {l}", "PARSE_SYNTAX"), ("SELECT body FROM {l} WHERE body IN (SELECT body FROM {l})", "PARSE_SYNTAX"),
                           ("SELECT body FROM {l} WHERE body", "boolean"), ("SELECT 1 / 0 FROM {l}", "DIVIDE_BY_ZERO"),
                           ("SELECT attributes FROM {l} GROUP BY attributes", "ORDERABLE"), ("SELECT a.body FROM {l} a JOIN {l} b ON body = 'x'", "AMBIGUOUS"),
                           ("SELECT body FROM {l} QUALIFY row_number() OVER (ORDER BY body) = 1", "PARSE_SYNTAX"), ("SELECT body FROM main.telemetry.nope", "TABLE_OR_VIEW_NOT_FOUND"),
                           ("SELECT SUM(body) FROM {l}", "needs a number"), ("SELECT SUM(COUNT(*)) FROM {l}", "NESTED_AGGREGATE"), ("SELECT body FROM {l} a b", "PARSE_SYNTAX")):
            message = self.failed(sql.format(l=TABLES["logs"], m=TABLES["metrics"]))["error"]["message"]
            self.assertIn(words, message, sql)

    def test_rows_are_seen_after_the_set_number_of_looks(self):
        self.w.control("POST", "settings", {"delivery_polls": 2})
        self.send("logs", otlp.request([otlp.log(NOW, "late")]))
        sql = "SELECT COUNT(*) FROM {l} WHERE body = 'late'"
        self.assertEqual([self.select(sql)[0][0] for _ in range(4)], ["0", "0", "1", "1"])

    def test_reading_needs_the_right_and_a_view_has_its_owners(self):
        self.ok("CREATE VIEW main.telemetry.v (what, n) AS SELECT name, count(*) FROM {m} GROUP BY name".format(m=TABLES["metrics"]))
        self.ok("GRANT USE CATALOG, USE SCHEMA ON CATALOG main TO `guest@example.com`")
        self.assertIn("SELECT on Table", self.failed("SELECT name FROM " + TABLES["metrics"], GUEST)["error"]["message"])
        self.assertIn("SELECT on Table", self.failed("SELECT what FROM main.telemetry.v", GUEST)["error"]["message"])
        self.ok("GRANT SELECT ON VIEW main.telemetry.v TO `guest@example.com`")
        self.assertEqual(self.select("SELECT what, n FROM main.telemetry.v ORDER BY what", GUEST), [["tokens", "3"], ["turn", "1"]])
        columns = self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.v").json["columns"]
        self.assertEqual([(c["name"], c["type_text"]) for c in columns], [("what", "string"), ("n", "bigint")])
        self.assertIn("UNRESOLVED_COLUMN", self.failed("CREATE VIEW main.telemetry.w AS SELECT nope FROM " + TABLES["logs"])["error"]["message"])

    def test_a_dropped_table_takes_its_rows_along(self):
        self.ok("DROP TABLE " + TABLES["logs"])
        self.ok("CREATE TABLE %s (body STRING)" % TABLES["logs"])
        self.assertEqual(self.select("SELECT * FROM {l}"), [])

    def test_loaded_rows(self):
        self.ok("CREATE TABLE main.telemetry.t (a INT, b STRUCT<c: STRING>)")
        self.w.control("POST", "rows", {"table": "main.telemetry.t", "rows": [{"a": 1, "b": {"c": "x"}}, {"a": 2}]})
        self.assertEqual(self.select("SELECT a, t.b.c FROM main.telemetry.t ORDER BY a"), [["1", "x"], ["2", None]])
        answer = self.w.call("POST", "/_control/rows", {"table": "main.telemetry.t", "rows": [{"nope": 1}]}, token=None)
        self.assertEqual(answer.status, 400)


if __name__ == "__main__":
    main()
