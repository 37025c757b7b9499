"""tables create, check, ddl, grant; models: the real program against the stand-in workspace, faults included.

The stand-in comes from DBX_AGENTS_WORKSPACE.
"""

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/workspace"))

import standin  # noqa: E402
from harness import Test, binary, main  # noqa: E402
from terminal import at_a_terminal  # noqa: E402

STATEMENTS = "/api/2.0/sql/statements"
PLACE = ("--catalog", "main", "--schema", "telemetry", "--prefix", "dev")
NAMES = ["main.telemetry.dev_otel_" + name for name in ("metrics", "logs", "spans")]


class Tables(Test):
    def setUp(self):
        super().setUp()
        self.w = standin.Workspace(str(self.h.base / "workspace"))
        self.addCleanup(self.stop)
        self.h.env["DATABRICKS_HOST"] = f"http://127.0.0.1:{self.w.port}"
        self.h.env["DATABRICKS_TOKEN"] = standin.PAT
        self.h.secrets = [standin.PAT, standin.GUEST, "dose-valid-secret-0123456789abcdef"]

    def stop(self):
        if self.w.process.poll() is None:
            self.w.stop()

    def tables(self, *args, **kwargs):
        place = kwargs.pop("place", PLACE)
        return self.h.run("tables", args[0], *place, *args[1:], **kwargs)

    def guest(self, *args, **kwargs):
        return self.tables(*args, env={"DATABRICKS_TOKEN": standin.GUEST}, **kwargs)

    def document(self, result, code=0):
        self.ok(result, code)
        return json.loads(result.out)

    def asked(self, method=None, path=""):
        return [r for r in self.w.requests() if (method is None or r["method"] == method) and r["path"].startswith(path)]

    def submitted(self):
        return [json.loads(r["body"])["statement"] for r in self.asked("POST", STATEMENTS) if r["path"] == STATEMENTS]

    def there(self):
        return {table["name"]: table for table in self.w.control("GET", "tables")}

    def settings(self, **values):
        self.w.control("POST", "settings", values)

    def failed(self, result, code, *words):
        """An error whose stdout may hold SQL."""
        self.assertEqual(result.code, code, f"\n{result}")
        self.assertRegex(result.err, r"(?m)^error: \S", f"\n{result}")
        squeezed = re.sub(r"\s+", " ", result.err)
        for word in words:
            self.assertIn(word, squeezed, f"\n{result}")
        return result

    # --- the good days -----------------------------------------------------------------------------------------------

    def test_a_fresh_create_makes_three_documented_tables_and_shows_the_check(self):
        result = self.ok(self.tables("create"))
        self.assertEqual(sorted(self.there()), sorted(NAMES))
        for name in NAMES:
            self.assertRegex(result.out, re.escape(name) + r" +created, as documented")
            self.assertEqual(self.there()[name]["properties"]["otel.schemaVersion"], "v1")
        self.assertEqual([len(self.there()[n]["columns"]) for n in NAMES], [14, 15, 20])
        self.ok(self.tables("check"))

    def test_a_second_create_changes_nothing_and_needs_no_warehouse(self):
        self.ok(self.tables("create"))
        before = self.w.control("GET", "state")["tables"]
        self.w.control("DELETE", "requests")
        result = self.ok(self.tables("create"))
        self.assertEqual(self.w.control("GET", "state")["tables"], before)
        self.assertEqual(self.asked("POST"), [])
        self.assertEqual(self.asked(path="/api/2.0/sql"), [])
        self.assertEqual(result.out.count("was there, as documented"), 3)

    def test_only_what_is_missing_is_created(self):
        self.ok(self.tables("create", "--signals", "logs"))
        self.assertEqual(list(self.there()), [NAMES[1]])
        self.w.control("DELETE", "requests")
        result = self.ok(self.tables("create"))
        self.assertEqual(len(self.submitted()), 2)
        self.assertRegex(result.out, r"dev_otel_logs +was there")
        self.assertRegex(result.out, r"dev_otel_spans +created")

    def test_json_tells_ids_states_seconds_and_the_check(self):
        document = self.document(self.tables("create", "--json"))
        self.assertEqual(document["warehouse"]["id"], standin.WAREHOUSE)
        self.assertEqual([s["state"] for s in document["statements"]], ["SUCCEEDED"] * 3)
        self.assertEqual(len({s["statement_id"] for s in document["statements"]}), 3)
        for statement in document["statements"]:
            self.assertGreaterEqual(statement["seconds"], 0)
            self.assertIn("CREATE TABLE IF NOT EXISTS `main`.`telemetry`.`dev_otel_", statement["sql"])
        self.assertEqual([t["state"] for t in document["check"]["tables"]], ["same"] * 3)
        self.assertEqual(document["check"]["exit_code"], 0)

    def test_create_schema(self):
        place = ("--catalog", "main", "--schema", "fresh", "--prefix", "p")
        self.ok(self.tables("create", "--create-schema", place=place))
        self.assertIn("main.fresh", [s["name"] for s in self.w.control("GET", "schemas")])
        self.assertEqual(self.submitted()[0], "CREATE SCHEMA IF NOT EXISTS `main`.`fresh`")
        self.w.control("DELETE", "requests")
        self.ok(self.tables("create", "--create-schema", place=place))
        self.assertEqual(self.submitted(), [])

    def test_the_place_may_come_from_the_configuration_and_flags_win(self):
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.conf"\n')
        out = self.ok(self.tables("ddl", place=())).out
        self.assertIn("`main`.`telemetry`.`conf_otel_logs`", out)
        out = self.ok(self.tables("ddl", "--prefix", "flag", place=())).out
        self.assertIn("`main`.`telemetry`.`flag_otel_logs`", out)
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry`; DROP"\n')
        self.is_error(self.tables("ddl", place=()), 2, "config.toml", "form catalog.schema.prefix", unchanged=False)

    # --- without the network -----------------------------------------------------------------------------------------

    def test_ddl_and_dry_run_need_no_network_no_credential_and_no_workspace(self):
        nothing = {"DATABRICKS_HOST": None, "DATABRICKS_TOKEN": None}
        ddl = self.ok(self.tables("ddl", env=nothing))
        self.assertEqual(ddl.err, "")
        statements = [s.strip() for s in ddl.out.split(";") if s.strip()]
        self.assertEqual(len(statements), 3)
        for statement in statements:
            self.assertTrue(statement.startswith("CREATE TABLE IF NOT EXISTS `main`.`telemetry`.`dev_otel_"), statement)
            self.assertTrue(statement.endswith("USING DELTA\nTBLPROPERTIES (\n  'otel.schemaVersion' = 'v1'\n)"), statement)
        dry = self.ok(self.tables("create", "--dry-run", env=nothing))
        self.assertEqual(dry.out, ddl.out)
        with_schema = self.ok(self.tables("ddl", "--create-schema", "--signals", "logs", env=nothing)).out
        self.assertTrue(with_schema.startswith("CREATE SCHEMA IF NOT EXISTS `main`.`telemetry`;\n\nCREATE TABLE"))
        self.assertEqual(self.w.requests(), [])
        document = self.document(self.tables("ddl", "--json", env=nothing))
        self.assertEqual(len(document["statements"]), 3)
        grant = self.ok(self.tables("grant", "--to", "a`b", "--dry-run", env=nothing))
        self.assertEqual(grant.out.count("TO `a``b`;\n"), 5)

    def test_what_ddl_prints_runs_in_the_workspace_as_it_is(self):
        for statement in self.ok(self.tables("ddl")).out.split(";"):
            if statement.strip():
                answer = self.w.call("POST", STATEMENTS, {"warehouse_id": standin.WAREHOUSE, "statement": statement,
                                                          "wait_timeout": "30s"})
                self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)
        self.ok(self.tables("check"))

    def test_identifiers_that_are_not_are_refused_before_anything_is_asked(self):
        for flag in ("--catalog", "--schema", "--prefix"):
            for bad in ("", "a.b", "a b", "a/b", "a`b", "x`; DROP TABLE t; --", "a'b", 'a"b', "a;b", "a\nb", "a\tb",
                        "caf\u00e9", "a" * 256, "a\\b", "{{table}}", "\u202e"):
                args = dict(zip(PLACE[::2], PLACE[1::2]))
                args[flag] = bad
                flat = [f"{key}={value}" for key, value in args.items()]
                self.is_error(self.h.run("tables", "create", *flat), 2)
        for command in ("ddl", "check", "grant"):
            result = self.h.run("tables", command, "--catalog", "main", "--schema", "x`y", "--prefix", "p",
                                *(("--to", "developers") if command == "grant" else ()))
            self.is_error(result, 2, "--schema", unchanged=False)
        self.is_error(self.tables("create", place=PLACE[:4]), 2, "--prefix")
        self.is_error(self.tables("create", "--signals", "metrics,spans"), 2, "traces")
        self.is_error(self.tables("create", "--timeout", "soon"), 2, "--timeout")
        for bad in ("", " a", "a\nb", "\x1b[31m", "a" * 256):
            self.is_error(self.tables("grant", "--to=" + bad), 2, unchanged=False)
        self.assertEqual(self.w.requests(), [])

    # --- what is not there, and what is not allowed ------------------------------------------------------------------

    def test_a_missing_catalog_and_a_missing_schema(self):
        result = self.tables("create", place=("--catalog", "nope", "--schema", "s", "--prefix", "p"))
        self.is_error(result, 5, "no catalog nope")
        result = self.tables("create", place=("--catalog", "main", "--schema", "nope", "--prefix", "p"))
        self.is_error(result, 5, "no schema main.nope", "--create-schema")
        self.assertEqual(self.submitted(), [])
        result = self.tables("check", place=("--catalog", "main", "--schema", "nope", "--prefix", "p"))
        self.ok(result, 12)
        self.says(result, "missing, like its schema")

    def test_each_missing_right_is_named_and_the_sql_for_others_works(self):
        grants = {}
        for right, securable, held in (("USE CATALOG", "catalog main", None), ("USE SCHEMA", "schema main.telemetry", "USE_CATALOG"),
                                       ("CREATE TABLE", "schema main.telemetry", "USE_SCHEMA")):
            if held:
                grants.setdefault("catalog main" if held == "USE_CATALOG" else "schema main.telemetry",
                                  {})["guest@example.com"] = [held]
                self.w.control("PUT", "grants", grants)
            result = self.failed(self.guest("create"), 5, f"the right {right} on the {securable} is missing", "Nothing was changed.")
            self.assertIn("GRANT USE SCHEMA, CREATE TABLE ON SCHEMA `main`.`telemetry` TO `guest@example.com`;", result.out)
            document = self.document(self.guest("create", "--json"), 5)
            self.assertEqual(document["missing_right"]["right"], right)
            self.assertEqual(document["error"]["exit_code"], 5)
            self.assertEqual(document["sql_for_others"], result.out)
        # Somebody who has the rights runs the first half; then the guest can create.
        for statement in result.out.split("-- Or creates")[0].split("\n", 1)[1].split(";"):
            if statement.strip():
                answer = self.w.call("POST", STATEMENTS, {"warehouse_id": standin.WAREHOUSE, "statement": statement,
                                                          "wait_timeout": "30s"})
                self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)
        self.ok(self.guest("create"))

    def test_a_missing_right_to_create_the_schema(self):
        self.w.control("PUT", "grants", {"catalog main": {"guest@example.com": ["USE_CATALOG"]}})
        place = ("--catalog", "main", "--schema", "fresh", "--prefix", "p")
        result = self.failed(self.guest("create", "--create-schema", place=place), 5, "CREATE SCHEMA on the catalog main")
        self.assertIn("GRANT CREATE SCHEMA ON CATALOG `main`", result.out)
        self.assertEqual(len(self.submitted()), 1)

    # --- tables that differ ------------------------------------------------------------------------------------------

    def change(self, name, edit):
        table = self.there()[name]
        edit(table)
        self.w.control("POST", "tables", table)

    def test_a_differing_table_is_told_column_by_column_and_never_touched(self):
        self.ok(self.tables("create"))

        def edit(table):
            columns = table["columns"]
            columns[:] = [c for c in columns if c["name"] != "span_id"]
            next(c for c in columns if c["name"] == "time_unix_nano")["type_text"] = "timestamp"
            next(c for c in columns if c["name"] == "resource")["type_text"] = \
                "struct<attributes:map<string,bigint>,dropped_attributes_count:int>"
            columns.append({"name": "mine", "type_text": "string"})
            table["properties"]["otel.schemaVersion"] = "v2"

        self.change(NAMES[1], edit)
        before = self.there()
        for command in ("check", "create"):
            self.w.control("DELETE", "requests")
            result = self.ok(self.tables(command), 11)
            for line in ("column span_id: missing, must be string", "column time_unix_nano: is timestamp, must be bigint",
                         "column resource.attributes{value}: is bigint, must be string",
                         "column mine: is string, must not be there", "property otel.schemaVersion: is v2, must be v1"):
                self.assertIn(line, result.out)
            self.says(result, "never changed or dropped", "another --prefix")
            self.assertEqual(self.submitted(), [])
        self.assertEqual(self.there(), before)
        document = self.document(self.tables("check", "--json"), 11)
        logs = document["tables"][1]
        self.assertEqual((logs["state"], len(logs["differences"])), ("different", 5))
        self.assertEqual([t["state"] for t in document["tables"]], ["same", "different", "same"])

    def test_order_kind_and_missing_tables(self):
        self.ok(self.tables("create", "--signals", "logs,traces"))
        self.ok(self.tables("check"), 12)
        self.change(NAMES[2], lambda t: t["columns"].insert(0, t["columns"].pop()))
        self.change(NAMES[1], lambda t: t.update(table_type="EXTERNAL"))
        result = self.ok(self.tables("check"), 11)
        self.says(result, "column span_schema_url: is in place 1, must be in place 20", "is EXTERNAL, must be MANAGED",
                  "dev_otel_metrics  missing")

    def test_further_properties_and_other_case_are_the_same(self):
        self.ok(self.tables("create", "--signals", "logs"))

        def edit(table):
            table["properties"]["delta.checkpointPolicy"] = "classic"
            for column in table["columns"]:
                column["name"] = column["name"].upper()

        self.change(NAMES[1], edit)
        self.ok(self.tables("check", "--signals", "logs"))

    # --- the check without the API -----------------------------------------------------------------------------------

    def test_check_by_sql_where_the_api_is_not_allowed(self):
        self.ok(self.tables("create"))
        for fault in ({"fault": "403"}, {"fault": "403_scope"}, {"fault": "404_route"}):
            self.w.control("DELETE", "faults")
            self.w.fault(path="/api/2.1/unity-catalog/tables/*", count="forever", **fault)
            document = self.document(self.tables("check", "--json"))
            self.assertEqual([(t["state"], t["via"]) for t in document["tables"]], [("same", "DESCRIBE")] * 3)
            self.assertTrue(document["tables"][0]["statement"]["statement_id"])
        self.change(NAMES[0], lambda t: t["columns"].pop())
        self.assertIn("metric_schema_url: missing", self.ok(self.tables("check"), 11).out)
        other = ("--catalog", "main", "--schema", "telemetry", "--prefix", "other")
        self.ok(self.tables("check", place=other), 12)
        self.ok(self.tables("create", place=other))
        self.failed(self.guest("check"), 5, "the right USE CATALOG on the catalog main is missing")

    # --- grants and rights -------------------------------------------------------------------------------------------

    def test_grant_gives_exactly_the_writers_rights_and_check_tells(self):
        self.ok(self.tables("create"))
        result = self.ok(self.tables("grant", "--to", "guest@example.com"))
        self.assertIn("MODIFY and SELECT on the table " + NAMES[0], result.out)
        want = {"catalog main": ["USE_CATALOG"], "schema main.telemetry": ["USE_SCHEMA"]}
        want.update({"table " + name: ["MODIFY", "SELECT"] for name in NAMES})
        grants = self.w.control("GET", "grants")
        self.assertEqual({k: sorted(v["guest@example.com"]) for k, v in grants.items() if "guest@example.com" in v}, want)
        check = self.ok(self.guest("check"))
        self.says(check, "guest@example.com may write to them")
        self.ok(self.tables("grant", "--to", "guest@example.com"))
        grants["table " + NAMES[0]]["guest@example.com"] = ["ALL_PRIVILEGES"]
        self.w.control("PUT", "grants", grants)
        check = self.ok(self.guest("check"))
        self.says(check, "guest@example.com may not write", "only through ALL PRIVILEGES", "tables grant")
        rights = self.document(self.guest("check", "--json"))["writer"]
        self.assertEqual(rights["may_write"], "no")
        self.assertEqual(self.document(self.tables("check", "--json"))["writer"]["may_write"], "unproven")

    def test_grants_that_fail(self):
        self.failed(self.tables("grant", "--to", "developers"), 5, "create it first: dbx-agents tables create")
        self.ok(self.tables("create"))
        self.failed(self.tables("grant", "--to", "nobody@example.com"), 5, "knows no such principal")
        self.failed(self.tables("grant", "--to", "x`; DROP SCHEMA main.telemetry; --"), 5, "knows no such principal")
        result = self.failed(self.guest("grant", "--to", "developers"), 5, "give the SQL above")
        self.assertEqual(result.out.count("GRANT "), 5)
        document = self.document(self.guest("grant", "--to", "developers", "--json"), 5)
        self.assertEqual(document["error"]["kind"], "workspace")
        self.assertEqual(sorted(self.there()), sorted(NAMES))

    # --- warehouses --------------------------------------------------------------------------------------------------

    def test_a_stopped_warehouse_is_announced_and_started(self):
        self.w.control("PUT", "warehouses", [{"id": "aaaaaaaaaaaaaaaa", "name": "Etl", "state": "STOPPED"}])
        result = self.ok(self.tables("create"))
        self.assertRegex(re.sub(r"\s+", " ", result.err), r"'Etl' \(a{16}\) is stopped: it will be started, and is billed")
        self.assertEqual(len(self.there()), 3)

    def test_a_warehouse_by_name_by_id_by_setting_and_one_that_is_not_there(self):
        self.w.control("PUT", "warehouses", [{"id": "aaaaaaaaaaaaaaaa", "name": "Etl"}, {"id": "bbbbbbbbbbbbbbbb", "name": "BI"}])
        for args, env, used in ((("--warehouse", "etl"), {}, "a"), (("--warehouse", "b" * 16), {}, "b"),
                                ((), {"DATABRICKS_WAREHOUSE_ID": "a" * 16}, "a"), (("--warehouse", "auto"), {}, "b")):
            place = ("--catalog", "main", "--schema", "telemetry", "--prefix", f"p{len(self.there())}")
            document = self.document(self.tables("create", "--json", *args, place=place, env=env))
            self.assertEqual(document["warehouse"]["id"], used * 16)
        other = ("--catalog", "main", "--schema", "telemetry", "--prefix", "z")
        self.is_error(self.tables("create", "--warehouse", "Elt", place=other), 5, "did you mean 'Etl'?")
        self.w.control("PUT", "warehouses", [])
        self.is_error(self.tables("create", place=other), 5, "no SQL warehouse")

    # --- faults ------------------------------------------------------------------------------------------------------

    def test_a_statement_that_fails_inside_200(self):
        failed = {"statement_id": "s1", "status": {"state": "FAILED", "error": {
            "error_code": "INTERNAL_ERROR", "message": "[WEIRD_THING] the moon is full SQLSTATE: XX000"}}}
        self.w.fault(fault="raw", path=STATEMENTS, match_body="otel_logs", status=200, body=json.dumps(failed),
                     headers={"content-type": "application/json"})
        result = self.failed(self.tables("create"), 5, "the moon is full", "cannot create the table " + NAMES[1],
                             "Created (or there before): " + NAMES[0] + ", " + NAMES[2])
        self.assertEqual(result.out, "")
        self.ok(self.tables("create"))

    def test_429_and_503_are_waited_out(self):
        self.w.fault(fault="429", path=STATEMENTS, retry_after=1, count=2)
        self.w.fault(fault="503", path="/api/2.0/sql/warehouses*", retry_after=1)
        started = time.monotonic()
        self.ok(self.tables("create"))
        self.assertGreaterEqual(time.monotonic() - started, 1.9)
        self.assertEqual(len(self.there()), 3)

    def test_503_without_end_stops_at_the_timeout(self):
        self.w.fault(fault="503", path=STATEMENTS, count="forever")
        result = self.tables("create", "--timeout", "3s")
        self.assertIn(result.code, (5, 6), f"\n{result}")
        self.assertEqual(self.there(), {})

    def test_login_pages_redirects_and_bad_tokens(self):
        for fault, code, words in (("html_login_page", 5, "log-in page"), ("private_link_redirect", 5, "private"),
                                   ("garbage_json", 5, "cannot look at the table")):
            self.w.control("DELETE", "faults")
            self.w.fault(fault=fault, path="/api/2.1/*", count="forever")
            for command in ("create", "check"):
                self.says(self.failed(self.tables(command), code), words)
        self.w.control("DELETE", "faults")
        self.w.control("PUT", "tables", [])
        self.w.fault(fault="private_link_redirect", path=STATEMENTS, count="forever")
        self.says(self.failed(self.tables("create"), 5), "private")
        self.assertEqual(self.tables("check", env={"DATABRICKS_TOKEN": "dapi" + "0" * 32}).code, 4)

    def test_a_lost_answer_on_submit_does_no_harm(self):
        self.w.fault(fault="cut_before_answer", path=STATEMENTS, count=3)
        self.ok(self.tables("create"))
        self.assertEqual(sorted(self.there()), sorted(NAMES))
        self.assertGreater(len(self.submitted()), 3)

    def test_a_timeout_cancels_and_exits_6(self):
        self.settings(statement_running_polls=1000)
        result = self.failed(self.tables("create", "--timeout", "2s"), 6, "within", "it was cancelled")
        cancels = [r for r in self.asked("POST", STATEMENTS) if r["path"].endswith("/cancel")]
        self.assertEqual(len(cancels), 3, f"\n{result}")
        self.assertEqual({s["state"] for s in self.w.control("GET", "state")["statements"]}, {"CANCELED"})
        self.assertEqual(self.there(), {})

    def test_ctrl_c_cancels_and_exits_130(self):
        self.settings(statement_running_polls=1000)
        process = self.h.spawn("tables", "create", *PLACE)
        for _ in range(500):
            if len([r for r in self.asked("GET", STATEMENTS + "/")]) >= 3:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, out.decode() + err.decode())
        self.assertIn(b"interrupted", err)
        self.assertEqual({s["state"] for s in self.w.control("GET", "state")["statements"]}, {"CANCELED"})

    def test_a_terminal_shows_one_line_of_progress_and_others_none(self):
        self.w.control("PUT", "warehouses", [{"id": "a" * 16, "name": "Etl", "state": "STOPPED"}])
        self.settings(warehouse_start_polls=6, statement_running_polls=2)
        seen, code, out = at_a_terminal(self.h, ["tables", "create", *PLACE], {"TERM": "xterm"}, err_only=True)
        self.assertEqual(code, 0, seen)
        self.assertRegex(seen, r"\r\S creating \[-{12}\] 0 of 3 done: the warehouse is starting, \d s")
        self.assertNotIn("\r", out)
        self.settings(warehouse_start_polls=0)
        other = ("--catalog", "main", "--schema", "telemetry", "--prefix", "other")
        self.assertNotIn("\r", self.ok(self.tables("create", place=other)).err)

    # --- credentials -------------------------------------------------------------------------------------------------

    def test_client_credentials(self):
        env = {"DATABRICKS_TOKEN": None, "DATABRICKS_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
               "DATABRICKS_CLIENT_SECRET": "dose-valid-secret-0123456789abcdef"}
        for _ in range(2):
            result = self.ok(self.h.run("auth", "token", env=env, may_show_secrets=True))
            self.assertRegex(result.out, r"^\S+\n$")
        self.assertEqual(len(self.asked("POST", "/oidc/v1/token")), 1)
        basic = base64.b64encode(b"11111111-2222-3333-4444-555555555555:dose-valid-secret-0123456789abcdef").decode()
        self.assertEqual(standin.header_map(self.asked("POST", "/oidc/v1/token")[0])["authorization"], "Basic " + basic)
        # The client is a principal without rights.
        self.failed(self.tables("check", env=env), 5, "the right USE CATALOG on the catalog main is missing")

    def test_ten_at_once_refresh_once(self):
        calls = self.h.base / "calls"
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = {self.h.env['DATABRICKS_HOST']}\nauth_type = databricks-cli\n")
        env = {"DATABRICKS_TOKEN": None, "DATABRICKS_HOST": None, "FAKE_DATABRICKS_BEHAVIOUR": "slow",
               "FAKE_DATABRICKS_CALLS": calls, "PATH": f"{ROOT / 'tests/workspace'}:/usr/bin:/bin"}
        running = [self.h.spawn("auth", "token", env=env) for _ in range(10)]
        ends = [process.communicate(timeout=60) + (process.returncode,) for process in running]
        self.assertEqual({(out.decode(), code) for out, _, code in ends}, {(standin.PAT + "\n", 0)}, ends)
        self.assertEqual(len(calls.read_text().splitlines()), 1)
        # What they share on the disk is for this user alone.
        folder = self.h.home / ".local/state/dbx-agents/tokens"
        kept = list(folder.iterdir())
        self.assertTrue(kept)
        self.assertEqual({path.stat().st_mode & 0o777 for path in (folder, folder.parent)}, {0o700})
        self.assertEqual({path.stat().st_mode & 0o777 for path in kept}, {0o600})

    def test_no_workspace_is_wrong_usage_and_no_credential_is_4(self):
        nothing = {"DATABRICKS_HOST": None, "DATABRICKS_TOKEN": None}
        for command in ("create", "check"):
            self.assertEqual(self.tables(command, env=nothing).code, 2)
            self.assertEqual(self.tables(command, env={"DATABRICKS_TOKEN": None}).code, 4)
        self.assertEqual(self.h.run("models", env=nothing).code, 2)

    # --- TLS ---------------------------------------------------------------------------------------------------------

    def tls_front(self, name="IP:127.0.0.1"):
        """The stand-in behind TLS, with a certificate of a CA of our own. Returns its port and the CA's file."""
        folder = self.h.base / "tls"
        folder.mkdir()

        def openssl(*args):
            subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)

        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=a CA of this test")
        openssl("req", *new_key, "-keyout", "host.key", "-out", "host.csr", "-subj", "/CN=a host of this test")
        (folder / "names").write_text(f"subjectAltName={name}\n")
        openssl("x509", "-req", "-in", "host.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", "host.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "host.pem", folder / "host.key")
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
            except OSError:
                pass
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def serve(raw):
            try:
                with context.wrap_socket(raw, server_side=True) as client, \
                        socket.create_connection(("127.0.0.1", self.w.port)) as inner:
                    back = threading.Thread(target=pump, args=(inner, client), daemon=True)
                    back.start()
                    pump(client, inner)
                    back.join(30)
            except OSError:
                pass  # a client that does not trust us leaves in the middle of the handshake

        def accept():
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(raw,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1], folder / "ca.pem"

    def test_a_ca_of_ones_own_is_trusted_by_SSL_CERT_FILE_and_not_without(self):
        port, ca = self.tls_front()
        env = {"DATABRICKS_HOST": f"https://127.0.0.1:{port}"}
        for command in ("create", "check"):
            self.failed(self.tables(command, env=env), 5, "its certificate is not trusted", "SSL_CERT_FILE")
        self.assertEqual(self.w.requests(), [])  # no token went to a host that was not trusted
        self.ok(self.tables("create", env={**env, "SSL_CERT_FILE": ca}))
        self.assertEqual(sorted(self.there()), sorted(NAMES))
        broken = self.h.put("broken.pem", "not a certificate\n")
        self.failed(self.tables("check", env={**env, "SSL_CERT_FILE": broken}), 5, "SSL_CERT_FILE")

    def test_a_certificate_for_another_name_is_refused(self):
        port, ca = self.tls_front("DNS:other.example.com")
        env = {"DATABRICKS_HOST": f"https://127.0.0.1:{port}", "SSL_CERT_FILE": ca}
        self.failed(self.tables("check", env=env), 5, "certificate")
        self.assertEqual(self.w.requests(), [])

    # --- models ------------------------------------------------------------------------------------------------------

    def test_models_of_an_agent_as_table_and_json(self):
        result = self.ok(self.h.run("models"))
        self.assertEqual(len(result.out.splitlines()), 14)
        result = self.ok(self.h.run("models", "--agent", "gemini"))
        self.assertEqual(len(result.out.splitlines()), 3)
        self.assertRegex(result.out, r"(?m)^system\.ai\.gemini-2-5-flash +databricks-gemini-2-5-flash +cursor, gemini, ")
        document = self.document(self.h.run("models", "--agent", "claude", "--json"))
        self.assertTrue(all("anthropic/v1/messages" in m["api_types"] for m in document["models"]))
        self.is_error(self.h.run("models", "--agent", "cluade"), 2, "did you mean 'claude'?", unchanged=False)

    def test_models_of_every_agent_with_a_template(self):
        """OpenCode and Copilot CLI by their built-in folders, and an agent of the user's own by what its folder says, or leaves out."""
        types = {m["name"]: set(m["api_types"]) for m in self.document(self.h.run("models", "--json"))["models"]}
        chat = {name for name, own in types.items() if "mlflow/v1/chat/completions" in own}
        claude = {name for name, own in types.items() if "anthropic/v1/messages" in own}
        names = lambda agent: {m["name"] for m in self.document(self.h.run("models", "--agent", agent, "--json"))["models"]}
        self.assertEqual(names("opencode"), chat | claude)
        self.assertEqual(names("copilot"), chat)
        template = ('format = 1\ndisplay_name = "Mine"\n{}auth = ["pat"]\n[home]\npath = "~/.mine"\n[models]\nmain = "m"\n'
                    '[[file]]\nname = "config"\npath = "c.json"\nformat = "json"\n')
        self.h.put(".config/dbx-agents/templates/mine/agent.toml", template.format('api_types = ["anthropic/v1/messages"]\n'))
        self.assertEqual(names("mine"), claude)
        self.assertRegex(self.ok(self.h.run("models", "--agent", "mine")).out, r"(?m)^system\.ai\.claude-opus-4-6 .*, mine$")
        self.h.put(".config/dbx-agents/templates/mine/agent.toml", template.format(""))
        done = self.ok(self.h.run("models", "--agent", "mine"))
        self.assertEqual(len(done.out.splitlines()), len(types))
        self.assertIn("the template of Mine has no api_types", " ".join(done.err.split()))

    def test_models_of_many_pages(self):
        many = [{"name": f"system.ai.m{n:03}", "api_types": ["anthropic/v1/messages"]} for n in range(250)]
        self.w.control("PUT", "models", many)
        document = self.document(self.h.run("models", "--json"))
        self.assertEqual(len(document["models"]), 250)
        self.assertGreaterEqual(len(self.asked(path="/api/2.1/unity-catalog/model-services")), 3)

    def test_models_of_the_older_apis(self):
        self.w.fault(fault="404_route", path="/api/2.1/unity-catalog/model-services*", count="forever")
        document = self.document(self.h.run("models", "--json"))
        self.assertEqual(document["source"], "model serving")
        self.assertTrue(document["notes"])
        self.w.fault(fault="404_route", path="/api/2.0/serving-endpoints*", count="forever")
        document = self.document(self.h.run("models", "--json"))
        self.assertIn("Anthropic", document["source"])
        self.w.fault(fault="404_route", path="*", count="forever")
        self.is_error(self.h.run("models"), 5, unchanged=False)

    def test_models_without_a_valid_token(self):
        self.assertEqual(self.h.run("models", env={"DATABRICKS_TOKEN": "dapi" + "0" * 32}).code, 4)


if __name__ == "__main__":
    if not os.access(standin.PROGRAM, os.X_OK):
        sys.exit("DBX_AGENTS_WORKSPACE is not an executable file: build dbx-agents-workspace first")
    binary()
    main()
