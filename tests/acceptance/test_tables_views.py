"""tables create --views: what the views say about known rows of the three agents, in the shapes in which each exports them.

The rows arrive as OTLP in protobuf at the stand-in workspace, which evaluates the views. The stand-in comes from DBX_AGENTS_WORKSPACE.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/workspace"))

import otlp_bytes as otlp  # noqa: E402
import standin  # noqa: E402
from harness import main  # noqa: E402
import test_tables  # noqa: E402
from test_tables import NAMES, PLACE  # noqa: E402

VIEWS = ["main.telemetry.dev_otel_v_" + name
         for name in ("points", "events", "tokens", "cost", "proxy_tokens", "sessions", "errors", "tool_decisions")]
DAY = 86_400_000_000_000
T = 1_790_000_000_000_000_000  # 2026-09-21 14:13:20 UTC
FIRST, SECOND = "2026-09-21", "2026-09-22"
S = 1_000_000_000


class Views(test_tables.Tables):
    def send(self, signal, body, table):
        answer = self.w.call("POST", "/api/2.0/otel/v1/" + signal, body, standin.PAT,
                             {"Content-Type": "application/x-protobuf", "X-Databricks-UC-Table-Name": table})
        self.assertEqual(answer.status, 200, answer.text)

    def metrics(self, items, resource):
        self.send("metrics", otlp.request(items, resource), NAMES[0])

    def logs(self, items, resource):
        self.send("logs", otlp.request(items, resource), NAMES[1])

    def select(self, sql, token=standin.PAT):
        answer = self.w.call("POST", "/api/2.0/sql/statements", {"warehouse_id": standin.WAREHOUSE, "statement": sql, "wait_timeout": "30s"}, token)
        self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)
        return [[float(c) if isinstance(c, str) and re.fullmatch(r"-?\d+(\.\d+)?", c) else c for c in row]
                for row in answer.json["result"].get("data_array", [])]

    def tokens(self, columns="agent, user_name, model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens", where="TRUE"):
        return self.select(f"SELECT day, {columns} FROM main.telemetry.dev_otel_v_tokens WHERE {where} ORDER BY day, agent, model")

    def document(self, result, code=0):
        return super().document(result, code)


# The tests of the tables themselves run in their own file.
for name in [name for name in dir(test_tables.Tables) if name.startswith("test_")]:
    setattr(Views, name, None)


class Made(Views):
    def test_create_makes_them_all_and_a_second_time_changes_nothing(self):
        result = self.ok(self.tables("create", "--views"))
        for name in NAMES + VIEWS:
            self.assertRegex(result.out, re.escape(name) + r" +created")
        self.assertEqual({name for name, table in self.there().items() if table["table_type"] == "VIEW"}, set(VIEWS))
        for name in VIEWS:
            self.assertTrue(self.there()[name]["columns"], name + " is not evaluated by the stand-in")
        before = self.there()
        self.w.control("DELETE", "requests")
        result = self.ok(self.tables("create", "--views"))
        self.assertEqual(self.submitted(), [])
        self.assertEqual(self.there(), before)
        self.assertEqual(result.out.count("was there"), len(NAMES) + len(VIEWS))

    def test_without_the_flag_there_are_none_and_nobody_asks_for_them(self):
        self.ok(self.tables("create"))
        self.assertEqual(sorted(self.there()), sorted(NAMES))
        self.w.control("DELETE", "requests")
        self.ok(self.tables("check"))
        self.assertEqual([r for r in self.asked() if "_otel_v_" in r["path"]], [])

    def test_check_finds_missing_and_changed_ones_and_create_mends_them(self):
        self.ok(self.tables("create"))
        result = self.tables("check", "--views")
        self.assertEqual(result.code, 12)
        self.assertRegex(result.out, re.escape(VIEWS[2]) + r" +missing")
        self.assertIn("tables create --catalog main --schema telemetry --prefix dev --views", re.sub(r"\s+", " ", result.err))
        self.ok(self.tables("create", "--views"))
        self.ok(self.tables("check", "--views"))
        self.statement(f"CREATE OR REPLACE VIEW {VIEWS[3]} AS SELECT 1 AS one")
        document = self.document(self.tables("check", "--views", "--json"), 11)
        states = {view["name"]: view["state"] for view in document["views"]}
        self.assertEqual(states, {name: "different" if name == VIEWS[3] else "same" for name in VIEWS})
        self.w.control("DELETE", "requests")
        result = self.ok(self.tables("create", "--views"))
        self.assertRegex(result.out, re.escape(VIEWS[3]) + r" +replaced")
        self.assertEqual(len(self.submitted()), 1)
        self.ok(self.tables("check", "--views"))

    def test_only_those_over_the_wanted_signals(self):
        self.ok(self.tables("create", "--views", "--signals", "logs"))
        self.assertEqual(sorted(self.there()), sorted([NAMES[1], VIEWS[1], *VIEWS[5:]]))

    def test_ddl_prints_them_without_a_network_and_dry_run_the_same(self):
        nothing = {"DATABRICKS_HOST": None, "DATABRICKS_TOKEN": None}
        ddl = self.ok(self.tables("ddl", "--views", env=nothing)).out
        self.assertEqual(ddl, self.ok(self.tables("create", "--views", "--dry-run", env=nothing)).out)
        self.assertEqual(ddl.count("CREATE OR REPLACE VIEW `main`.`telemetry`.`dev_otel_v_"), len(VIEWS))
        self.assertNotIn("{{", ddl)
        self.assertNotIn("VIEW", self.ok(self.tables("ddl", env=nothing)).out)
        document = self.document(self.tables("ddl", "--views", "--json", env=nothing))
        self.assertEqual(len(document["statements"]), len(NAMES) + len(VIEWS))
        long = ("--catalog", "main", "--schema", "telemetry", "--prefix", "p" * 240)
        self.ok(self.tables("ddl", place=long))
        self.is_error(self.tables("ddl", "--views", place=long), 2, "too long for the views", unchanged=False)

    def test_a_reader_gets_the_views_and_not_the_tables(self):
        self.ok(self.tables("create", "--views"))
        result = self.ok(self.tables("grant", "--views", "--to", "guest@example.com"))
        self.assertEqual(result.out.count("SELECT on the view"), len(VIEWS))
        self.assertEqual(self.select(f"SELECT COUNT(*) FROM {VIEWS[2]}", standin.GUEST), [[0]])
        grants = self.w.control("GET", "grants")
        self.assertNotIn("guest@example.com", json.dumps({k: v for k, v in grants.items() if k.startswith("table") and "_v_" not in k}))
        self.ok(self.tables("grant", "--to", "guest@example.com"))

    def test_a_table_in_the_place_of_a_view_is_told_and_left_alone(self):
        self.ok(self.tables("create"))
        self.statement(f"CREATE TABLE {VIEWS[2]} (a INT)")
        result = self.tables("create", "--views")
        self.failed(result, 5, "cannot create the view " + VIEWS[2])
        self.assertEqual(self.there()[VIEWS[2]]["table_type"], "MANAGED")

    def statement(self, text):
        answer = self.w.call("POST", "/api/2.0/sql/statements", {"warehouse_id": standin.WAREHOUSE, "statement": text, "wait_timeout": "30s"})
        self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)


class Meaning(Views):
    def setUp(self):
        super().setUp()
        self.ok(self.tables("create", "--views"))

    CLAUDE = {"service.name": "claude-code", "service.version": "2.1.330"}
    CODEX = {"service.name": "codex_exec", "env": "prod"}
    GEMINI = {"service.name": "gemini-cli", "session.id": "g1", "process.owner": "ada"}

    def claude(self, time, session="s1", model="databricks-claude-opus-4-6", cost=0.5, **counts):
        common = {"session.id": session, "user.id": "hash", "user.email": "ada@example.com", "model": model}
        return [otlp.sum_metric("claude_code.token.usage", [otlp.number_point(float(v), time, time - 5 * S, {**common, "type": k}) for k, v in counts.items()]),
                otlp.sum_metric("claude_code.cost.usage", [otlp.number_point(cost, time, time - 5 * S, common)], unit="USD")]

    def codex(self, time, **counts):
        points = [otlp.histogram_point(1, float(v), time, time - 60 * S, {"token_type": k, "model": "databricks-gpt-5-2", "tmp_mem": "false"}) for k, v in counts.items()]
        return [otlp.histogram_metric("codex.turn.token_usage", points)]

    def gemini(self, time, start, temporality=otlp.CUMULATIVE, session="g1", **counts):
        points = [otlp.number_point(v, time, start, {"session.id": session, "model": "databricks-gemini-2-5-flash", "type": k}) for k, v in counts.items()]
        return [otlp.sum_metric("gemini_cli.token.usage", points, temporality)]

    def test_claude_code_delta_sums(self):
        self.metrics(self.claude(T, input=10, output=20, cacheRead=300, cacheCreation=40), self.CLAUDE)
        self.metrics(self.claude(T + 60 * S, input=1, output=2, cacheRead=3, cacheCreation=4), self.CLAUDE)
        self.metrics(self.claude(T + DAY, input=5, output=6), self.CLAUDE)
        self.assertEqual(self.tokens(), [[FIRST, "claude", "ada@example.com", "databricks-claude-opus-4-6", 11, 22, 303, 44, 0],
                                         [SECOND, "claude", "ada@example.com", "databricks-claude-opus-4-6", 5, 6, 0, 0, 0]])
        self.assertEqual(self.select("SELECT day, agent, user_name, model, cost_usd FROM main.telemetry.dev_otel_v_cost ORDER BY day"),
                         [[FIRST, "claude", "ada@example.com", "databricks-claude-opus-4-6", 1.0], [SECOND, "claude", "ada@example.com", "databricks-claude-opus-4-6", 0.5]])

    def test_codex_histograms_in_which_cached_tokens_are_input_and_reasoning_is_output(self):
        turn = {"input": 1000, "cached_input": 600, "cache_write_input": 50, "output": 80, "reasoning_output": 30, "total": 1080}
        self.metrics(self.codex(T, **turn), self.CODEX)
        self.metrics(self.codex(T + 60 * S, **turn), self.CODEX)
        self.assertEqual(self.tokens(), [[FIRST, "codex", None, "databricks-gpt-5-2", 700, 160, 1200, 100, 60]])
        self.metrics([otlp.sum_metric("codex.turn.cost_microusd", [otlp.number_point(250_000, T, T - 5, {"model": "databricks-gpt-5-2"})])], self.CODEX)
        self.assertEqual(self.select("SELECT agent, cost_usd FROM main.telemetry.dev_otel_v_cost"), [["codex", 0.25]])

    def test_gemini_cli_cumulative_counts_only_what_came_on_top(self):
        for n, (i, o, thought, cache, tool) in enumerate(((100, 10, 5, 40, 1), (100, 10, 5, 40, 1), (250, 30, 9, 90, 3))):
            self.metrics(self.gemini(T + n * 10 * S, T - 1, input=i, output=o, thought=thought, cache=cache, tool=tool), self.GEMINI)
        self.assertEqual(self.tokens(), [[FIRST, "gemini", "ada", "databricks-gemini-2-5-flash", 250 - 90 + 3, 39, 90, 0, 9]])

    def test_a_cumulative_series_over_midnight_counts_on_the_day_on_which_it_grew(self):
        self.metrics(self.gemini(T, T - 1, input=100), self.GEMINI)
        self.metrics(self.gemini(T + DAY, T - 1, input=130), self.GEMINI)
        self.assertEqual(self.tokens("input_tokens"), [[FIRST, 100], [SECOND, 30]])

    def test_a_restart_begins_anew_with_a_new_start_and_without(self):
        self.metrics(self.gemini(T, T - 1, input=100), self.GEMINI)
        self.metrics(self.gemini(T + 20 * S, T + 15 * S, input=70), self.GEMINI)  # a new process: smaller, new start
        self.metrics(self.gemini(T + 60 * S, T + 55 * S, input=200), self.GEMINI)  # a new process: larger, new start
        self.assertEqual(self.tokens("input_tokens"), [[FIRST, 370]])
        for n, value in enumerate((10, 25, 5, 6)):  # an exporter that tells no start: it falls, so it began anew
            self.metrics(self.gemini(T + DAY + n * S, 0, session="g2", input=value), self.GEMINI)
        self.assertEqual(self.tokens("input_tokens")[1], [SECOND, 31])

    def test_two_sessions_at_a_time_are_two_series(self):
        for n in (1, 2, 3):
            self.metrics(self.gemini(T + n * S, T, session="a", input=100 * n), self.GEMINI)
            self.metrics(self.gemini(T + n * S, T, session="b", input=7 * n), {**self.GEMINI, "session.id": "g9"})
        self.assertEqual(self.tokens("input_tokens"), [[FIRST, 321]])

    def test_gemini_cli_with_delta_set(self):
        for n in (1, 2, 3):
            self.metrics(self.gemini(T + n * S, T + (n - 1) * S, otlp.DELTA, input=5), self.GEMINI)
        self.assertEqual(self.tokens("input_tokens"), [[FIRST, 15]])

    def test_a_batch_that_was_delivered_twice_counts_once(self):
        for _ in range(2):
            self.metrics(self.claude(T, input=10, output=20), self.CLAUDE)
            self.metrics(self.codex(T, input=100, output=8), self.CODEX)
            self.metrics(self.gemini(T, T - 1, input=3), self.GEMINI)
            self.logs([otlp.log(T, "claude_code.user_prompt", {"event.name": "user_prompt", "session.id": "s1", "event.sequence": 1})], self.CLAUDE)
        self.assertEqual(self.tokens("agent, input_tokens, output_tokens"), [[FIRST, "claude", 10, 20], [FIRST, "codex", 100, 8], [FIRST, "gemini", 3, 0]])
        self.assertEqual(self.select("SELECT cost_usd FROM main.telemetry.dev_otel_v_cost"), [[0.5]])
        self.assertEqual(self.select("SELECT prompts FROM main.telemetry.dev_otel_v_sessions"), [[1]])

    def test_the_proxys_own_count_stands_apart(self):
        self.metrics(self.claude(T, input=10, output=20), self.CLAUDE)
        usage = [otlp.histogram_point(2, float(v), T, T - S, {"dbx_agents.agent": "claude", "gen_ai.response.model": "m", "gen_ai.token.type": k})
                 for k, v in (("input", 1000), ("output", 20))]
        self.metrics([otlp.histogram_metric("gen_ai.client.token.usage", usage)], {"service.name": "dbx-agents"})
        # Gemini CLI has a metric of this very name as well.
        own = [otlp.histogram_point(1, 999.0, T, T - S, {"gen_ai.token.type": "input", "gen_ai.response.model": "m"})]
        self.metrics([otlp.histogram_metric("gen_ai.client.token.usage", own, otlp.CUMULATIVE)], self.GEMINI)
        self.assertEqual(self.tokens("agent, input_tokens, output_tokens"), [[FIRST, "claude", 10, 20]])
        self.assertEqual(self.select("SELECT agent, model, input_tokens, output_tokens FROM main.telemetry.dev_otel_v_proxy_tokens"), [["claude", "m", 1000, 20]])

    def test_teams_come_from_the_resource_and_other_metrics_do_not_matter(self):
        self.metrics(self.claude(T, input=1), {**self.CLAUDE, "team": "blue"})
        self.metrics(self.claude(T, session="s2", input=2) + [otlp.gauge_metric("claude_code.token.usage", [otlp.number_point(5, T)]),
                                                              otlp.sum_metric("codex.sse_event", [otlp.number_point(7, T)])], {**self.CLAUDE, "team": "red"})
        self.assertEqual(self.tokens("team, input_tokens"), [[FIRST, "blue", 1], [FIRST, "red", 2]])

    def events(self):
        self.logs([otlp.log(T, "claude_code.user_prompt", {"event.name": "user_prompt", "session.id": "s1", "user.email": "ada@example.com"}),
                   otlp.log(T + S, "claude_code.api_request", {"event.name": "api_request", "session.id": "s1", "model": "opus"}),
                   otlp.log(T + 2 * S, "claude_code.api_error", {"event.name": "api_error", "session.id": "s1", "model": "opus", "error": "overloaded", "status_code": "529"}),
                   otlp.log(T + 3 * S, "claude_code.tool_decision", {"event.name": "tool_decision", "session.id": "s1", "tool_name": "Bash", "decision": "accept", "source": "config"}),
                   otlp.log(T + 4 * S, "claude_code.tool_decision", {"event.name": "tool_decision", "session.id": "s1", "tool_name": "Bash", "decision": "reject", "source": "user_reject"}),
                   otlp.log(T + 5 * S, "claude_code.tool_result", {"event.name": "tool_result", "session.id": "s1", "tool_name": "Bash", "success": "true"}),
                   otlp.log(T + 6 * S, "claude_code.plugin_loaded", {"event.name": "plugin_loaded", "session.id": "s1"})], self.CLAUDE)
        odd = "event otel/src/events/session_telemetry.rs:1089"
        self.logs([otlp.log(0, None, {"event.name": "codex.user_prompt", "conversation.id": "c1"}, odd) + otlp.field(11, "q", T),
                   otlp.log(T + S, None, {"event.name": "codex.api_request", "conversation.id": "c1", "http.response.status_code": 200}, odd),
                   otlp.log(T + 2 * S, None, {"event.name": "codex.api_request", "conversation.id": "c1", "http.response.status_code": 429, "error.message": "slow down", "model": "gpt"}, odd),
                   otlp.log(T + 3 * S, None, {"event.name": "codex.sse_event", "conversation.id": "c1", "input_token_count": 5}, odd),
                   otlp.log(T + 4 * S, None, {"event.name": "codex.tool_decision", "conversation.id": "c1", "tool_name": "shell", "decision": "approved"}, odd)], self.CODEX)
        self.logs([otlp.log(T, None, {"event.name": "gemini_cli.user_prompt"}), otlp.log(T + S, None, {"event.name": "gemini_cli.api_request", "model": "flash"}),
                   otlp.log(T + 2 * S, None, {"event.name": "gemini_cli.api_response", "model": "flash", "status_code": 200}),
                   otlp.log(T + 3 * S, None, {"event.name": "gemini_cli.api_error", "model": "flash", "error.message": "quota", "status_code": 429}),
                   otlp.log(T + 4 * S, None, {"event.name": "gemini_cli.tool_call", "function_name": "write_file", "decision": "modify"}),
                   otlp.log(T + 5 * S, None, {"event.name": "gemini_cli.tool_call", "function_name": "ls"})], self.GEMINI)

    def test_sessions(self):
        self.events()
        self.assertEqual(self.select("SELECT agent, session, day, started_at, ended_at, user_name, prompts, model_calls, tool_calls, errors FROM main.telemetry.dev_otel_v_sessions ORDER BY agent"),
                         [["claude", "s1", FIRST, "2026-09-21T14:13:20.000Z", "2026-09-21T14:13:25.000Z", "ada@example.com", 1, 1, 1, 1],
                          ["codex", "c1", FIRST, "2026-09-21T14:13:20.000Z", "2026-09-21T14:13:24.000Z", None, 1, 2, 0, 1],
                          ["gemini", "g1", FIRST, "2026-09-21T14:13:20.000Z", "2026-09-21T14:13:25.000Z", "ada", 1, 1, 2, 1]])

    def test_errors(self):
        self.events()
        self.assertEqual(self.select("SELECT agent, session, model, status_code, error FROM main.telemetry.dev_otel_v_errors ORDER BY agent"),
                         [["claude", "s1", "opus", 529, "overloaded"], ["codex", "c1", "gpt", 429, "slow down"], ["gemini", "g1", "flash", 429, "quota"]])

    def test_tool_decisions(self):
        self.events()
        self.assertEqual(self.select("SELECT agent, tool, decision, accepted, decisions FROM main.telemetry.dev_otel_v_tool_decisions ORDER BY agent, decision"),
                         [["claude", "Bash", "accept", "true", 1], ["claude", "Bash", "reject", "false", 1], ["codex", "shell", "approved", "true", 1],
                          ["gemini", "write_file", "modify", "true", 1]])


if __name__ == "__main__":
    main()
