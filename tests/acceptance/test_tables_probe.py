"""tables check --probe: the real program, the stand-in workspace as the judge of what arrives, and the real proxy between
them where the agents go that way. Every known cause of silence is made, and has to be named.

The stand-in comes from DBX_AGENTS_WORKSPACE.
"""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/workspace"))

import standin  # noqa: E402
from harness import binary, main  # noqa: E402
from proxy_harness import Proxy, local_keys  # noqa: E402
import test_tables  # noqa: E402
from test_tables import NAMES, PLACE  # noqa: E402

OTEL = "/api/2.0/otel/v1/"


class Probe(test_tables.Tables):
    def setUp(self):
        super().setUp()
        self.ok(self.tables("create"))
        self.w.control("DELETE", "requests")

    def probe(self, *args, code=0, **kwargs):
        return self.document(self.tables("check", "--probe", "--json", *args, **kwargs), code)

    def rows(self, name=NAMES[0]):
        return self.w.control("GET", "rows?table=" + name)

    def statement(self, text):
        answer = self.w.call("POST", "/api/2.0/sql/statements", {"warehouse_id": standin.WAREHOUSE, "statement": text, "wait_timeout": "30s"})
        self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)

    def causes(self, document):
        return [table["cause"] for table in document["probe"]["tables"]]

    def sent(self):
        return [r for r in self.asked("POST", OTEL)]


# The tests of the tables themselves run in their own file.
for name in [name for name in dir(test_tables.Tables) if name.startswith("test_")]:
    setattr(Probe, name, None)


class Direct(Probe):
    def test_a_metric_a_log_and_a_span_arrive_and_are_found_by_their_marker(self):
        document = self.probe()
        self.assertEqual([(t["name"], t["state"], t["cause"]) for t in document["probe"]["tables"]],
                         [(name, "arrived", None) for name in NAMES])
        self.assertEqual((document["probe"]["way"], document["probe"]["port"], document["exit_code"]), ("direct", None, 0))
        markers = set()
        for name, where in zip(NAMES, (lambda row: row["sum"]["attributes"], lambda row: row["attributes"], lambda row: row["attributes"])):
            row, = self.rows(name)
            markers.add(where(row)["dbx_agents.probe.marker"])
            self.assertEqual(row["resource"]["attributes"]["service.name"], "dbx-agents")
        self.assertEqual(len(markers), 1)
        self.assertRegex(markers.pop(), r"^probe-[0-9a-f]{32}$")

    def test_the_words_for_people(self):
        result = self.ok(self.tables("check", "--probe"))
        for name in NAMES:
            self.assertRegex(result.out, re.escape(name) + r" +as documented")
            self.assertRegex(result.out, re.escape(name) + r" +arrived after \d+\.\d s")
        self.assertIn(f"A probe went straight to http://127.0.0.1:{self.w.port}:", result.out)
        self.assertEqual(result.err, "")

    def test_only_its_own_rows_count(self):
        self.probe()
        # A table that loses every row and keeps those of another probe.
        self.w.fault(fault="raw", path=OTEL + "*", status=200, headers={"content-type": "application/x-protobuf"}, count="forever")
        document = self.probe("--timeout", "3s", code=6)
        self.assertEqual(self.causes(document), ["waiting"] * 3)
        self.assertEqual([len(self.rows(name)) for name in NAMES], [1] * 3)

    def test_rows_that_come_late_are_waited_for(self):
        self.settings(delivery_polls=2)
        document = self.probe()
        self.assertEqual([(t["state"], t["looks"]) for t in document["probe"]["tables"]], [("arrived", 4)] * 3)
        for table in document["probe"]["tables"]:
            self.assertGreaterEqual(table["seconds"], 1)

    def test_rows_that_do_not_come_in_time(self):
        self.settings(delivery_polls=1000)
        result = self.tables("check", "--probe", "--timeout", "3s")
        self.failed(result, 6, "the probe did not arrive in " + NAMES[0], "it was taken", "documented to come within 5 minutes", "--timeout")
        self.assertRegex(result.out, r"not there after \d")

    def test_no_table_of_spans_is_no_trouble_unless_it_was_asked_for(self):
        self.statement("DROP TABLE " + NAMES[2])
        document = self.probe()
        self.assertEqual([t["name"] for t in document["probe"]["tables"]], NAMES[:2])
        self.assertEqual(document["exit_code"], 0)
        document = self.probe("--signals", "metrics,traces", code=12)
        self.assertIsNone(document["probe"])
        document = self.probe("--signals", "logs")
        self.assertEqual([t["name"] for t in document["probe"]["tables"]], NAMES[1:2])

    def test_a_missing_or_different_table_comes_first(self):
        self.statement("DROP TABLE " + NAMES[1])
        result = self.tables("check", "--probe")
        self.assertEqual(result.code, 12)
        self.assertIn("the probe was not sent", result.err)
        self.statement("CREATE TABLE %s (body STRING)" % NAMES[1])
        self.assertEqual(self.tables("check", "--probe").code, 11)
        self.assertEqual(self.sent(), [])

    def test_a_right_that_is_missing_is_named(self):
        self.settings(otlp_owner_counts=False)
        self.statement("GRANT ALL PRIVILEGES ON CATALOG main TO `ada@example.com`")
        for right, where in (("USE CATALOG", "CATALOG main"), ("USE SCHEMA", "SCHEMA main.telemetry"), ("MODIFY", "CATALOG main"), ("SELECT", "CATALOG main")):
            document = self.probe(code=5)
            self.assertEqual(self.causes(document), ["missing_right"] * 3)
            self.assertIn("the right " + right + " on the", document["error"]["what"])
            self.assertIn("tables grant", document["error"]["fix"])
            self.statement(f"GRANT {right} ON {where} TO `ada@example.com`")
        self.assertEqual(self.rows(), [])
        self.probe()

    def test_a_select_that_is_missing_shows_before_anything_is_sent(self):
        for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.telemetry", "MODIFY ON SCHEMA main.telemetry"):
            self.statement(f"GRANT {grant} TO `guest@example.com`")
        document = json.loads(self.guest("check", "--probe", "--json").out)
        self.assertEqual(document["exit_code"], 5)
        self.assertEqual(self.causes(document), ["missing_right"] * 3)
        self.assertIn("the right SELECT on the table " + NAMES[0], document["error"]["what"])
        self.assertEqual(self.sent(), [])

    def test_preview_and_region(self):
        for setting, cause in (("preview_off", "preview"), ("disabled", "preview"), ("wrong_region", "region")):
            self.settings(otlp=setting)
            document = self.probe(code=5)
            self.assertEqual(self.causes(document), [cause] * 3, setting)
            self.assertIn(cause, document["error"]["fix"], setting)

    def test_other_refusals(self):
        for fault, cause in (({"fault": "raw", "status": 400, "body": '{"error_code":"INVALID_PARAMETER_VALUE","message":"Schema mismatch: column body"}'}, "schema"),
                             ({"fault": "raw", "status": 404, "body": '{"error_code":"TABLE_DOES_NOT_EXIST","message":"Table x does not exist."}'}, "no_table"),
                             ({"fault": "403_scope"}, "token"), ({"fault": "403_ip_list"}, "refused"), ({"fault": "raw", "status": 400, "body": "{}"}, "refused"),
                             ({"fault": "html_login_page"}, "refused")):
            self.w.control("DELETE", "faults")
            self.w.fault(path=OTEL + "*", count="forever", **fault)
            document = self.probe(code=5)
            self.assertEqual(self.causes(document), [cause] * 3, fault)
        self.w.control("DELETE", "faults")
        self.w.fault(path=OTEL + "*", count="forever", fault="400_invalid_token")
        self.assertEqual(self.causes(self.probe(code=4)), ["token"] * 3)
        self.assertEqual(self.tables("check", "--probe", env={"DATABRICKS_TOKEN": None}).code, 4)

    def test_a_workspace_that_throttles_is_asked_again(self):
        self.w.fault(fault="429", path=OTEL + "*", retry_after=1)
        self.probe()
        self.assertEqual(len(self.sent()), 4)
        self.assertEqual([len(self.rows(name)) for name in NAMES], [1] * 3)
        self.w.fault(fault="503", path=OTEL + "logs", count="forever")
        document = self.probe("--timeout", "4s", code=5)
        self.assertEqual(self.causes(document), [None, "unavailable", None])

    def test_one_table_refuses_and_the_others_arrive(self):
        self.w.fault(fault="raw", path=OTEL + "logs", status=400, body='{"error_code":"X","message":"no"}', count="forever")
        result = self.tables("check", "--probe")
        self.failed(result, 5, "the probe was refused for " + NAMES[1])
        self.assertRegex(result.out, re.escape(NAMES[1]) + r" +refused")
        self.assertEqual(result.out.count("arrived after"), 2)

    def test_direct_is_only_for_a_probe(self):
        self.is_error(self.tables("check", "--direct"), 2, "--direct without --probe", unchanged=False)

    def test_progress_is_shown_on_a_terminal_and_nowhere_else(self):
        self.settings(delivery_polls=2)
        parent, child = pty.openpty()
        process = subprocess.Popen([binary(), "tables", "check", *PLACE, "--probe"], env={**self.h.env, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=child, text=True)
        os.close(child)
        seen = b""
        while True:
            try:
                data = os.read(parent, 4096)
            except OSError:
                break
            if not data:
                break
            seen += data
        out, _ = process.communicate(timeout=60)
        os.close(parent)
        self.assertEqual(process.returncode, 0, seen)
        self.assertRegex(seen.decode(), r"\r\S waiting for the probe \[-{12}\] 0 of 3 done: waiting, \d+ s")
        self.assertNotIn("\x1b", out)


class ThroughTheProxy(Probe):
    """An agent is set up for the local proxy, so the probe goes that way: with the agent's key, through the proxy's spool."""

    def setUp(self):
        super().setUp()
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.dev"\ntraces = true\n')
        self.ok(self.h.run("setup", "claude", "--auth", "proxy", "--yes"))
        self.h.secrets += [key for key in local_keys(self.h).values()]

    def proxy(self, *args):
        proxy = Proxy(self.h, *args)
        self.addCleanup(proxy.process.stdout.close)
        self.addCleanup(proxy.stop)
        return proxy

    def test_it_goes_through_the_proxy_and_arrives(self):
        proxy = self.proxy()
        document = self.probe()
        self.assertEqual((document["probe"]["way"], document["probe"]["port"]), ("proxy", proxy.port))
        self.assertEqual([t["state"] for t in document["probe"]["tables"]], ["arrived"] * 3)
        self.assertEqual([len(self.rows(name)) for name in NAMES], [1] * 3)
        result = self.ok(self.tables("check", "--probe"))
        self.assertIn(f"A probe went through the local proxy on port {proxy.port}, as that of claude does:", result.out)

    def test_spans_only_where_the_proxy_takes_them(self):
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.dev"\n')
        self.proxy()
        self.assertEqual([t["name"] for t in self.probe()["probe"]["tables"]], NAMES[:2])

    def test_no_proxy_is_named_and_there_is_a_way_without(self):
        document = self.probe(code=5)
        self.assertEqual(set(self.causes(document)), {"proxy_not_running"})
        self.assertIn("dbx-agents proxy", document["error"]["fix"])
        self.assertEqual(self.rows(), [])
        self.failed(self.tables("check", "--probe"), 5, "no local proxy is running", "claude export through it", "--direct")
        document = self.probe("--direct")
        self.assertEqual(document["probe"]["way"], "direct")

    def test_a_proxy_that_writes_elsewhere(self):
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.other"\n')
        self.proxy()
        document = self.probe(code=5)
        self.assertEqual(set(self.causes(document)), {"proxy_elsewhere"})
        self.assertIn("it writes to main.telemetry.other", document["error"]["why"])

    def test_a_rejected_batch_in_the_spool_has_its_cause(self):
        self.settings(otlp_owner_counts=False)
        self.statement("GRANT USE CATALOG, USE SCHEMA ON CATALOG main TO `ada@example.com`")
        self.proxy()
        document = self.probe(code=5)
        self.assertEqual(set(self.causes(document)), {"missing_right"})
        self.assertIn("the right MODIFY on the table " + NAMES[0], document["error"]["what"])
        self.assertIn("set the batch aside", document["error"]["why"])

    def test_a_workspace_that_is_away_leaves_it_waiting_in_the_spool(self):
        self.proxy()
        self.w.fault(fault="503", path=OTEL + "*", count="forever")
        document = self.probe("--timeout", "4s", code=6)
        self.assertEqual(set(self.causes(document)), {"waiting"})
        self.assertIn("in the local proxy's spool", document["error"]["why"])


if __name__ == "__main__":
    main()
