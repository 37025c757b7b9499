"""setup --otel: what each agent gets in each auth form, over existing telemetry of others; taking it out; what is remembered."""

import json
import re
import shlex
import socket
import subprocess

import readers
from cases import CASES
from harness import PAT, WORKSPACE, Test, each, main

CODEX, CODEX_ENV, CLAUDE = ".codex/config.toml", ".codex/.env", ".claude/settings.json"
GEMINI, GEMINI_ENV = ".gemini/settings.json", ".gemini/.env"
PLACE = "main.telemetry.dev"
TOKEN = {"DATABRICKS_TOKEN": PAT}
DIRECT = WORKSPACE + "/api/2.0/otel/v1/"
RELAY = "http://127.0.0.1:8790/api/2.0/otel"
FORMS = {"claude": ("helper", "pat", "env", "proxy"), "codex": ("helper", "pat", "env", "proxy"), "gemini": ("pat", "env", "proxy")}
TABLES = {"metrics": "otel_metrics", "logs": "otel_logs", "traces": "otel_spans"}

# The block of the Databricks documents, word for word, with its placeholders filled in.
DOCUMENTED = {
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": DIRECT + "metrics",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS": f"content-type=application/x-protobuf,Authorization=Bearer {PAT},X-Databricks-UC-Table-Name={PLACE}_otel_metrics",
    "OTEL_METRIC_EXPORT_INTERVAL": "10000",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": DIRECT + "logs",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS": f"content-type=application/x-protobuf,Authorization=Bearer {PAT},X-Databricks-UC-Table-Name={PLACE}_otel_logs",
    "OTEL_LOGS_EXPORT_INTERVAL": "5000",
}


def table(signal):
    return f"X-Databricks-UC-Table-Name={PLACE}_{TABLES[signal]}"


def is_telemetry(name):
    return name.startswith("OTEL_") or name.startswith("CLAUDE_CODE_OTEL") or name.startswith("GEMINI_TELEMETRY") or name in (
        "CLAUDE_CODE_ENABLE_TELEMETRY", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA")


class Base(Test):
    def setup_otel(self, agent, form, *more, place=PLACE, code=0, env=None, home=None):
        home = home or self.h
        args = ["setup", agent, "--workspace", WORKSPACE, "--auth", form, "--yes", *more]
        if place:
            args += ["--otel", place]
        return self.ok(home.run(*args, env={**TOKEN, **(env or {})}), code)

    def local_key(self, agent, home=None):
        home = home or self.h
        key = json.loads((home.state / "local_keys.json").read_text())["keys"][agent]
        if key not in home.secrets:
            home.secrets.append(key)
        return key

    def told(self, result, *sentences):
        text = " ".join(result.err.split())
        for sentence in sentences:
            self.assertIn(sentence, text, f"\n{result}")

    def claude_env(self):
        return readers.strict_json(self.h.read(CLAUDE))["env"]

    def claude_telemetry(self):
        return {name: value for name, value in self.claude_env().items() if is_telemetry(name)}

    def kept(self):
        return {p: e for p, e in self.h.snapshot(with_state=True).items() if not p.endswith("/lock") and "/backups" not in p}


class Claude(Base):
    def test_pat_is_the_documents_form(self):
        self.setup_otel("claude", "pat")
        self.assertEqual(self.claude_telemetry(), {**DOCUMENTED, "CLAUDE_CODE_ENABLE_TELEMETRY": "1"})
        self.assertNotIn("otelHeadersHelper", readers.strict_json(self.h.read(CLAUDE)))
        self.assertEqual(self.h.mode(CLAUDE), 0o600)

    def test_helper_has_no_token_in_the_file_and_a_command_that_prints_it(self):
        self.setup_otel("claude", "helper")
        self.assertNotIn(PAT.encode(), self.h.read(CLAUDE))
        found = self.claude_telemetry()
        debounce = int(found.pop("CLAUDE_CODE_OTEL_HEADERS_HELPER_DEBOUNCE_MS"))
        self.assertLess(debounce, 5 * 60 * 1000, "a token is handed out with 5 minutes left at least")
        self.assertGreaterEqual(debounce, 60 * 1000)
        wanted = {name: value.replace(f"Authorization=Bearer {PAT},", "") for name, value in DOCUMENTED.items()}
        self.assertEqual(found, {**wanted, "CLAUDE_CODE_ENABLE_TELEMETRY": "1"})
        helper = readers.strict_json(self.h.read(CLAUDE))["otelHeadersHelper"]
        self.assertIn("--otel-headers", helper)
        done = subprocess.run(["/bin/sh", "-c", helper], env={**self.h.env, **TOKEN, "DATABRICKS_HOST": WORKSPACE}, capture_output=True, text=True,
                              timeout=60, cwd=self.h.base)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), {"Authorization": "Bearer " + PAT})
        self.assertEqual(done.stdout.count("\n"), 1)

    def test_the_helper_quotes_what_the_shell_would_take_apart(self):
        odd = self.h.put(".config/my conf's/config.toml", f'workspace = "{WORKSPACE}"\n')
        self.ok(self.h.run("--config", odd, "setup", "claude", "--auth", "helper", "--otel", PLACE, "--yes", env=TOKEN))
        words = shlex.split(readers.strict_json(self.h.read(CLAUDE))["otelHeadersHelper"])
        self.assertEqual(words[1:], ["--config", str(odd), "auth", "token", "--otel-headers", "--workspace", WORKSPACE])

    def test_env_names_the_variable_to_export(self):
        result = self.setup_otel("claude", "env")
        self.assertNotIn(PAT.encode(), self.h.read(CLAUDE))
        found = self.claude_telemetry()
        self.assertEqual(found["OTEL_EXPORTER_OTLP_LOGS_HEADERS"], "content-type=application/x-protobuf," + table("logs"))
        self.told(result, "export OTEL_EXPORTER_OTLP_HEADERS, its value being the word Authorization, an equals sign, and Bearer with the token")

    def test_proxy_goes_to_the_loopback_with_the_local_key(self):
        self.setup_otel("claude", "proxy")
        key = self.local_key("claude")
        found = self.claude_telemetry()
        for signal in ("metrics", "logs"):
            self.assertEqual(found[f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"], f"{RELAY}/v1/{signal}")
            self.assertEqual(found[f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS"], f"Authorization=Bearer {key}")
        self.assertEqual(self.claude_env()["NO_PROXY"], "127.0.0.1,localhost")
        self.assertNotIn(key.encode(), (self.h.state / "journal.json").read_bytes())
        self.ok(self.h.run("status"))
        self.ok(self.h.run("proxy", "rotate-keys"))
        new = self.local_key("claude")
        self.assertNotEqual(new, key)
        self.assertEqual(self.claude_telemetry()["OTEL_EXPORTER_OTLP_LOGS_HEADERS"], f"Authorization=Bearer {new}", "rotation takes it along")
        self.ok(self.h.run("revert", "claude"))
        self.assertFalse(self.h.path(CLAUDE).exists())

    def test_traces_want_both_switches(self):
        for form, headers in (("pat", f"content-type=application/x-protobuf,Authorization=Bearer {PAT},{table('traces')}"),
                              ("helper", "content-type=application/x-protobuf," + table("traces")),
                              ("env", "content-type=application/x-protobuf," + table("traces"))):
            self.setup_otel("claude", form, "--otel-traces")
            found = self.claude_telemetry()
            self.assertEqual(found["CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"], "1")
            self.assertEqual(found["OTEL_TRACES_EXPORTER"], "otlp")
            self.assertEqual(found["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"], "http/protobuf")
            self.assertEqual(found["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], DIRECT + "traces")
            self.assertEqual(found["OTEL_EXPORTER_OTLP_TRACES_HEADERS"], headers)
        self.setup_otel("claude", "proxy", "--otel-traces")
        self.assertEqual(self.claude_telemetry()["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], RELAY + "/v1/traces")
        self.setup_otel("claude", "proxy")
        self.assertFalse([name for name in self.claude_telemetry() if "TRACE" in name], "--otel alone means no traces")

    def test_a_token_with_the_lists_own_signs_is_percent_encoded(self):
        odd = "dapi-odd,to;ken%x=1"
        self.h.secrets += [odd, "odd%2Cto%3Bken%25x=1"]
        args = ["setup", "claude", "--workspace", WORKSPACE, "--auth", "pat", "--otel", PLACE]
        for flag in ("--dry-run", "--print", "--check"):
            self.ok(self.h.run(*args, flag, env={"DATABRICKS_TOKEN": odd}), 10 if flag == "--check" else 0)
        self.ok(self.h.run(*args, "--yes", env={"DATABRICKS_TOKEN": odd}))
        self.assertIn("Authorization=Bearer dapi-odd%2Cto%3Bken%25x=1,", self.claude_telemetry()["OTEL_EXPORTER_OTLP_METRICS_HEADERS"])
        self.assertEqual(self.claude_env()["ANTHROPIC_AUTH_TOKEN"], odd)
        for command in (["status"], ["status", "--json"], ["revert", "claude", "--dry-run"]):
            self.ok(self.h.run(*command))

    def test_somebody_elses_helper_and_generic_headers_go_and_come_back(self):
        theirs = {"otelHeadersHelper": "/opt/corp/otel-headers", "env": {
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic Y29sbGVjdG9yOnNlY3JldC1vbmU=,x-scope=1",
            "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://collector.example/v1/logs", "KEEP": "1"}}
        data = json.dumps(theirs, indent=3).encode()
        for form in FORMS["claude"]:
            self.h.put(CLAUDE, data)
            result = self.setup_otel("claude", form)
            value = readers.strict_json(self.h.read(CLAUDE))
            self.assertNotIn("OTEL_EXPORTER_OTLP_HEADERS", value["env"])
            self.assertNotEqual(value.get("otelHeadersHelper"), theirs["otelHeadersHelper"])
            self.assertEqual("otelHeadersHelper" in value, form == "helper")
            self.assertEqual(value["env"]["KEEP"], "1")
            self.told(result, "OTEL_EXPORTER_OTLP_HEADERS is taken out")
            self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", form, "--no-otel", "--yes", env=TOKEN))
            value = readers.strict_json(self.h.read(CLAUDE))
            self.assertEqual({n: v for n, v in value["env"].items() if is_telemetry(n)}, {n: v for n, v in theirs["env"].items() if is_telemetry(n)})
            self.assertEqual(value["otelHeadersHelper"], theirs["otelHeadersHelper"])
            self.ok(self.h.run("revert", "claude"))
            self.same_bytes(self.h.read(CLAUDE), data, form)


EXPORTERS = {
    "string": b'[otel]\nexporter = "none" # quiet\nmetrics_exporter = "statsig"\nenvironment = "staging"\n',
    "inline": b'[otel]\nenvironment = "staging"\nexporter = { otlp-grpc = { endpoint = "http://c:4317", headers = { x-api-key = "collector-key-1234567890" } } }\n',
    "tables": b'[otel]\nenvironment = "staging"\n\n[otel.exporter.otlp-http]\nendpoint = "https://c.example/v1/logs"\nprotocol = "json"\n\n'
              b'[otel.exporter.otlp-http.headers]\nAuthorization = "Basic Y29sbGVjdG9yOnNlY3JldC1vbmU="\n\n[tui]\ntheme = "x"\n',
    "grpc-tables": b'# mine\n[otel.exporter.otlp-grpc]\nendpoint = "http://c:4317"\n[otel.exporter.otlp-grpc.tls]\nca-certificate = "/c.pem"\n',
    "dotted": b'otel.exporter = "none"\notel.log_user_prompt = true\notel.environment = "staging"\n',
    "root-inline": b'otel = { exporter = "none", environment = "staging", log_user_prompt = true }\n\n[tui]\ntheme = "x"\n',
    "crlf": b'model = "gpt-6"\r\n[otel]\r\nexporter = "none"\r\n[history]\r\npersistence = "none"\r\n',
    "traces": b'[otel]\ntrace_exporter = { otlp-http = { endpoint = "https://c.example/v1/traces", protocol = "binary" } }\n',
    "no-newline": b'[otel]\nexporter = "none"',
    "ours-by-hand": b'[otel]\nlog_user_prompt = false\n\n[otel.exporter.otlp-http]\nendpoint = "' + DIRECT.encode() + b'logs"\nprotocol = "binary"\n',
}


def codex_exporter(signal, root, key, relay):
    headers = {"Authorization": "Bearer " + key}
    if not relay:
        headers["X-Databricks-UC-Table-Name"] = f"{PLACE}_{TABLES[signal]}"
    return {"otlp-http": {"endpoint": root + signal, "protocol": "binary", "headers": headers}}


class Codex(Base):
    def check(self, data, form, traces=False):
        self.h.put(CODEX, data)
        before = readers.flatten(readers.toml(data))
        plain = self.fresh()
        plain.put(CODEX, data)
        self.setup_otel("codex", form, place=None, home=plain)
        result = self.setup_otel("codex", form, *(["--otel-traces"] if traces else []))
        value = readers.toml(self.h.read(CODEX))
        relay = form == "proxy"
        key = self.local_key("codex") if relay else PAT
        root = RELAY + "/v1/" if relay else DIRECT
        self.assertEqual(value["otel"]["exporter"], codex_exporter("logs", root, key, relay))
        self.assertEqual(value["otel"]["metrics_exporter"], codex_exporter("metrics", root, key, relay))
        self.assertIs(value["otel"]["log_user_prompt"], False)
        if traces:
            self.assertEqual(value["otel"]["trace_exporter"], codex_exporter("traces", root, key, relay))
        ours = [("otel", name) for name in ("exporter", "metrics_exporter", "log_user_prompt", *(["trace_exporter"] if traces else []))]
        ours += [("model",), ("model_provider",), ("profile",), ("model_providers", "databricks")]
        self.assertEqual(readers.without(readers.flatten(value), ours), readers.without(before, ours))
        self.assertEqual(self.h.mode(CODEX), 0o600)

        at = self.h.snapshot()
        for flags in (["--otel", PLACE, *(["--otel-traces"] if traces else [])], []):
            again = self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", form, "--yes", *flags, env=TOKEN))
            self.same_snapshot(self.h.snapshot(), at, "a second setup changes nothing", again)
            self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", form, "--check", *flags, env=TOKEN))
        for command in (["status"], ["status", "--json"], ["revert", "codex", "--dry-run"]):
            self.ok(self.h.run(*command))
        owners = {key["key"]: key["set_by"] for agent in json.loads(self.h.run("status", "--json", "codex").out)["agents"]
                  for file in agent["files"] for key in file["keys"]}
        for name in ("exporter", "metrics_exporter"):
            if before.get(("otel", name, "otlp-http", "endpoint")) is None:
                self.assertEqual(owners[f"otel.{name}.otlp-http.endpoint"], "setup")

        self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", form, "--no-otel", "--yes", env=TOKEN))
        key_of = lambda text: re.sub(rb"dbxl_[0-9a-f]{64}", b"KEY", text)
        self.same_bytes(key_of(self.h.read(CODEX)), key_of(plain.read(CODEX)), "--no-otel leaves what setup without it writes", result)
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(CODEX), data, "after --no-otel and revert")

        self.setup_otel("codex", form, *(["--otel-traces"] if traces else []))
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(CODEX), data, "after revert")
        self.assertEqual(self.h.mode(CODEX), 0o644)

    def test_without_a_token_that_lasts_there_are_no_keys_and_the_command_is_named(self):
        for form in ("helper", "env"):
            self.h.put(CODEX, EXPORTERS["inline"])
            result = self.setup_otel("codex", form)
            self.told(result, f"dbx-agents setup codex --via-proxy --otel {PLACE}")
            self.assertEqual(readers.toml(self.h.read(CODEX))["otel"], readers.toml(EXPORTERS["inline"])["otel"])
            self.ok(self.h.run("revert", "codex"))
            self.same_bytes(self.h.read(CODEX), EXPORTERS["inline"], form)

    def test_headers_in_its_env_file_that_would_win_go_and_come_back(self):
        data = b"# mine\nOTEL_EXPORTER_OTLP_LOGS_HEADERS=Authorization=Bearer%20old\nOTHER=1\n"
        self.h.put(CODEX_ENV, data)
        self.setup_otel("codex", "pat")
        self.assertEqual(set(readers.dotenv(self.h.read(CODEX_ENV))), {"OTHER", "DATABRICKS_TOKEN"})
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(CODEX_ENV), data, "after revert")

    def test_an_old_codex_is_told_that_it_has_no_metrics(self):
        folder = self.h.base / "npm/lib/node_modules/@openai/codex"
        (folder / "bin").mkdir(parents=True)
        (folder / "package.json").write_text('{"name": "@openai/codex", "version": "0.100.0"}')
        (folder / "bin/run").write_text("#!/bin/sh\n")
        (folder / "bin/run").chmod(0o755)
        (self.h.base / "npm/bin").mkdir()
        (self.h.base / "npm/bin/codex").symlink_to("../lib/node_modules/@openai/codex/bin/run")
        env = {"PATH": f"{self.h.base}/npm/bin:/usr/bin:/bin"}
        self.told(self.setup_otel("codex", "pat", env=env), "before 0.118 Codex exports logs at most")
        (folder / "package.json").write_text('{"name": "@openai/codex", "version": "0.118.0"}')
        self.assertNotIn("before 0.118", " ".join(self.setup_otel("codex", "pat", env=env).err.split()))

    def test_drift_of_an_exporter_is_one_line(self):
        self.setup_otel("codex", "pat")
        text = self.h.read(CODEX)
        start = text.index(b"[otel.exporter.otlp-http]")
        end = text.index(b"[otel.metrics_exporter")
        self.h.put(CODEX, text[:start] + text[end:].replace(b"[otel.metrics", b"[otel.exporter.otlp-grpc]\nendpoint = \"http://c:4317\"\n[otel.metrics", 1), mode=0o600)
        keys = {key["key"]: key for agent in json.loads(self.ok(self.h.run("status", "--json", "codex")).out)["agents"]
                for file in agent["files"] for key in file["keys"]}
        self.assertEqual(keys["otel.exporter"]["drift"], "changed since setup")
        self.assertFalse([name for name in keys if name.startswith("otel.exporter.")])
        self.assertIsNone(keys["otel.metrics_exporter.otlp-http.endpoint"]["drift"])
        done = self.ok(self.h.run("revert", "codex"), 0)
        self.assertEqual(readers.toml(self.h.read(CODEX)), {"otel": {"exporter": {"otlp-grpc": {"endpoint": "http://c:4317"}}}}, done)


@each(((f"{name} {form}", (data, form, traces)) for name, data in EXPORTERS.items() for form in ("pat", "proxy")
       for traces in ([True] if name == "traces" else [False])), "exporter")
class CodexExporters(Codex):
    def check_exporter(self, case):
        self.check(case[0], case[1], traces=case[2])


for _name in [name for name in dir(Codex) if name.startswith("test_")]:
    setattr(CodexExporters, _name, None)


class Gemini(Base):
    def test_only_the_proxy_brings_it_there(self):
        for form in ("pat", "env"):
            result = self.setup_otel("gemini", form)
            self.told(result, f"dbx-agents setup gemini --via-proxy --otel {PLACE}")
            self.assertNotIn("telemetry", readers.commented_json(self.h.read(GEMINI)))
            self.assertFalse([name for name in readers.dotenv(self.h.read(GEMINI_ENV)) if is_telemetry(name)])

    def test_proxy(self):
        self.setup_otel("gemini", "proxy")
        self.assertEqual(readers.commented_json(self.h.read(GEMINI))["telemetry"],
                         {"enabled": True, "target": "local", "otlpEndpoint": RELAY, "otlpProtocol": "http", "logPrompts": False})
        env = readers.dotenv(self.h.read(GEMINI_ENV))
        self.assertEqual(env["OTEL_EXPORTER_OTLP_HEADERS"], "Authorization=Bearer " + self.local_key("gemini"))
        self.assertEqual(env["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], "delta")
        self.assertEqual(env["OTEL_TRACES_SAMPLER"], "always_off")
        self.ok(self.h.run("status"))
        self.setup_otel("gemini", "proxy", "--otel-traces")
        self.assertNotIn("OTEL_TRACES_SAMPLER", readers.dotenv(self.h.read(GEMINI_ENV)))
        self.assertIs(readers.commented_json(self.h.read(GEMINI))["telemetry"]["traces"], True)

    def test_what_would_win_goes_and_comes_back(self):
        settings = b'{\n  // mine\n  "telemetry": { "enabled": false, "outfile": "/tmp/t.log", "logPrompts": true }\n}\n'
        env = b"GEMINI_TELEMETRY_ENABLED=false\nOTEL_EXPORTER_OTLP_LOGS_HEADERS='x-api-key=collector-key-1234567890'\nA=1\n"
        self.h.put(GEMINI, settings)
        self.h.put(GEMINI_ENV, env)
        self.h.secrets.append("collector-key-1234567890")
        self.setup_otel("gemini", "proxy")
        self.assertNotIn("outfile", readers.commented_json(self.h.read(GEMINI))["telemetry"])
        left = readers.dotenv(self.h.read(GEMINI_ENV))
        self.assertFalse({"GEMINI_TELEMETRY_ENABLED", "OTEL_EXPORTER_OTLP_LOGS_HEADERS"} & set(left))
        self.setup_otel("gemini", "proxy", "--no-otel", place=None)
        self.assertEqual(readers.commented_json(self.h.read(GEMINI))["telemetry"], {"enabled": False, "outfile": "/tmp/t.log", "logPrompts": True})
        self.assertEqual(readers.dotenv(self.h.read(GEMINI_ENV))["GEMINI_TELEMETRY_ENABLED"], "false")
        self.ok(self.h.run("revert", "gemini"))
        self.same_bytes(self.h.read(GEMINI), settings, "settings")
        self.same_bytes(self.h.read(GEMINI_ENV), env, "env")


class Cursor(Base):
    def test_it_is_told_that_there_is_none(self):
        self.told(self.setup_otel("cursor", "pat"), "Cursor has no OpenTelemetry export")


class Files(Base):
    """Every realistic user file: set up twice, taken out, reverted."""

    def check_file(self, case):
        data, rel, agent = case.data, case.rel, case.agent
        for form in FORMS[agent]:
            home, plain = self.fresh(), self.fresh()
            for each_home in (home, plain):
                each_home.put(rel, data)
            self.setup_otel(agent, form, place=None, home=plain)
            result = self.setup_otel(agent, form, "--otel-traces", home=home)
            after = home.snapshot()
            self.ok(home.run("setup", agent, "--workspace", WORKSPACE, "--auth", form, "--yes", env=TOKEN))
            self.same_snapshot(home.snapshot(), after, f"{form}: a bare second setup", result)
            self.ok(home.run("setup", agent, "--workspace", WORKSPACE, "--auth", form, "--yes", "--no-otel", env=TOKEN))
            key_of = lambda snapshot: {p: (k, m, re.sub(rb"dbxl_[0-9a-f]{64}", b"KEY", d)) for p, (k, m, d) in snapshot.items()}
            self.same_snapshot(key_of(home.snapshot()), key_of(plain.snapshot()), f"{form}: --no-otel", result)
            self.setup_otel(agent, form, home=home)
            self.ok(home.run("revert", agent))
            self.same_bytes(home.read(rel), data, f"{form}: revert")
            self.assertEqual(home.mode(rel), 0o644)


each(((case.label, case) for case in CASES), "file")(Files)


class Decisions(Base):
    def run_setup(self, agent, *more, env=None, code=0):
        return self.ok(self.h.run("setup", agent, "--workspace", WORKSPACE, "--yes", *more, env={**TOKEN, **(env or {})}), code)

    def tables(self):
        headers = self.claude_telemetry().get("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "")
        found = re.search(r"X-Databricks-UC-Table-Name=(\S+)_otel_logs", headers)
        return found and found.group(1)

    def test_the_order_of_settings(self):
        self.run_setup("claude")
        self.assertIsNone(self.tables(), "nothing says where")
        self.run_setup("claude", "--otel", "a.b.flag")
        self.run_setup("claude")
        self.assertEqual(self.tables(), "a.b.flag", "remembered")
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntables = "a.b.config"\n')
        self.run_setup("claude")
        self.assertEqual(self.tables(), "a.b.config")
        self.run_setup("claude", env={"DBX_AGENTS_OTEL_TABLES": "a.b.environment"})
        self.assertEqual(self.tables(), "a.b.environment")
        self.run_setup("claude", "--otel", "a.b.flag", env={"DBX_AGENTS_OTEL_TABLES": "a.b.environment"})
        self.assertEqual(self.tables(), "a.b.flag")
        self.run_setup("claude", "--no-otel", env={"DBX_AGENTS_OTEL_TABLES": "a.b.environment"})
        self.assertIsNone(self.tables())
        for _ in range(2):
            self.run_setup("claude")
            self.assertIsNone(self.tables(), "--no-otel is remembered, over the configuration as well")
        self.run_setup("claude", "--otel", "a.b.flag")
        self.run_setup("claude")
        self.assertEqual(self.tables(), "a.b.config", "--otel takes --no-otel back")

    def test_no_otel_is_for_the_agents_named(self):
        self.run_setup("claude", "--otel", PLACE)
        self.run_setup("codex", "--no-otel", "--auth", "pat")
        self.run_setup("claude")
        self.assertEqual(self.tables(), PLACE)
        self.run_setup("codex", "--auth", "pat")
        self.assertNotIn("otel", readers.toml(self.h.read(CODEX)))
        remembered = json.loads((self.h.state / "remembered.json").read_text())
        self.assertEqual(remembered["otel.tables"], PLACE, "the local proxy needs to know it")
        self.run_setup("--all", "--no-otel")
        self.assertNotIn("otel.tables", json.loads((self.h.state / "remembered.json").read_text()))

    def test_traces_are_remembered_until_otel_is_given_without_them(self):
        self.run_setup("claude", "--otel", PLACE)
        self.run_setup("claude", "--otel-traces")
        self.run_setup("claude")
        self.assertIn("OTEL_TRACES_EXPORTER", self.claude_telemetry())
        self.run_setup("claude", "--otel", PLACE)
        self.run_setup("claude")
        self.assertNotIn("OTEL_TRACES_EXPORTER", self.claude_telemetry())
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntraces = true\n')
        self.run_setup("claude")
        self.assertIn("OTEL_TRACES_EXPORTER", self.claude_telemetry())
        self.h.put(".config/dbx-agents/config.toml", '[otel]\ntraces = true\n[agents.claude]\notel = "off"\n')
        self.run_setup("claude")
        self.assertEqual(self.claude_telemetry(), {})

    def test_wrong_usage(self):
        for place in ("main.telemetry", "main.telemetry.dev.x", "ma in.t.d", "main.tele`metry.dev", "main.t.d/e", "", "main..dev", "main.t.ü"):
            result = self.h.run("setup", "claude", "--workspace", WORKSPACE, "--otel", place, "--yes", env=TOKEN)
            self.is_error(result, 2, "--otel")
        for flags in (["--otel", PLACE, "--no-otel"], ["--no-otel", "--otel-traces"]):
            self.is_error(self.h.run("setup", "claude", "--workspace", WORKSPACE, *flags, env=TOKEN), 2)
        self.is_error(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--otel-traces", env=TOKEN), 2, "--otel-traces")
        self.is_error(self.h.run("setup", "claude", "--workspace", WORKSPACE, env={**TOKEN, "DBX_AGENTS_OTEL_TABLES": "x"}), 2, "DBX_AGENTS_OTEL_TABLES")
        self.assertEqual(self.h.kept(), {})

    def test_a_gateway_alone_is_not_enough_for_the_direct_forms(self):
        gateway = ["--gateway", "https://gateway.example.com/ai", "--otel", PLACE, "--yes"]
        for agent, form in (("claude", "pat"), ("claude", "env"), ("claude", "helper"), ("codex", "pat")):
            self.is_error(self.h.run("setup", agent, "--auth", form, *gateway, env=TOKEN), 2, "workspace", "--via-proxy")
        self.assertEqual(self.h.kept(), {})
        self.ok(self.h.run("setup", "claude", "--via-proxy", *gateway, env=TOKEN))
        self.ok(self.h.run("setup", "codex", "--auth", "env", *gateway, env=TOKEN))

    def test_json(self):
        telemetry = lambda result: {a["agent"]: a["telemetry"] for a in json.loads(result.out)["agents"]}
        result = self.run_setup("--all", "--otel", PLACE, "--otel-traces", "--json")
        self.assertEqual(telemetry(result), {"cursor": None, "codex": None, "gemini": None,
                                             "claude": {"tables": PLACE, "traces": True, "way": "direct"}})
        result = self.run_setup("gemini", "--json", "--via-proxy")
        self.assertEqual(telemetry(result), {"gemini": {"tables": PLACE, "traces": True, "way": "local proxy"}})

    def test_nothing_shows_a_secret_and_the_journal_has_none(self):
        for agent, forms in FORMS.items():
            for form in forms:
                args = ["setup", agent, "--workspace", WORKSPACE, "--auth", form, "--otel", PLACE, "--otel-traces"]
                for flags in (["--dry-run"], ["--print"], ["--check"], ["--dry-run", "--json"], ["--print", "--json"], ["--check", "--json"], ["--yes"],
                              ["--yes", "--json"]):
                    result = self.h.run(*args, *flags, env=TOKEN)
                    self.assertIn(result.code, (0, 10), f"\n{result}")
                    self.assertNotRegex(result.text, r"dbxl_[0-9a-f]{64}")
                if form == "proxy":
                    self.local_key(agent)
                state = (self.h.state / "journal.json").read_bytes()
                for secret in self.h.secrets:
                    self.assertNotIn(secret.encode(), state)
                for command in (["status"], ["status", "--json"], ["doctor", "--offline"], ["revert", agent, "--dry-run"], ["revert", agent]):
                    self.assertIn(self.h.run(*command).code, (0, 1))

    def test_a_table_name_stays_readable_beside_a_masked_token(self):
        result = self.setup_otel("claude", "pat", "--print")
        self.assertIn(f"Authorization=Bearer dapi****,{table('logs')}", result.out)
        self.setup_otel("claude", "pat")
        self.assertIn(table("logs"), self.ok(self.h.run("status")).out)

    def test_no_connection_is_made(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.2)
            workspace = f"http://127.0.0.1:{server.getsockname()[1]}"
            for form in ("pat", "helper", "env", "proxy"):
                self.ok(self.h.run("setup", "--all", "--workspace", workspace, "--auth", form if form != "helper" else "auto", "--otel", PLACE, "--yes",
                                   env={**TOKEN, "DATABRICKS_HOST": workspace, "HTTPS_PROXY": None}))
            self.ok(self.h.run("status"))
            self.ok(self.h.run("templates", "show", "otel"))
            self.ok(self.h.run("revert", "--all"))
            with self.assertRaises(TimeoutError):
                server.accept()


class Show(Base):
    def test_the_block_of_the_documents(self):
        result = self.ok(self.h.run("templates", "show", "otel"))
        wanted = {name: value.replace(PAT, "<databricks_pat_token>").replace(WORKSPACE, "https://<workspace-url>")
                  .replace(PLACE + "_", "<catalog>.<schema>.<table_prefix>_") for name, value in DOCUMENTED.items()}
        text, _, shell = result.out.partition("==> exports.sh <==\n")
        self.assertEqual(json.loads(text.removeprefix("==> variables.json <==\n")), wanted)
        self.assertEqual(self.sourced(shell), wanted)
        self.assertEqual(list(json.loads(self.ok(self.h.run("templates", "show", "otel", "--json")).out)["variables"]), list(DOCUMENTED))

    def sourced(self, shell):
        """The variables as a shell has them afterwards."""
        done = subprocess.run(["/bin/sh", "-ec", shell + "\nenv -0"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {name: value for name, _, value in (entry.partition("=") for entry in done.stdout.split("\0") if entry) if name.startswith("OTEL_")}

    def test_filled_from_flags_and_settings_and_never_with_a_token(self):
        wanted = {name: value.replace(PAT, "<databricks_pat_token>") for name, value in DOCUMENTED.items()}
        for args, env in ((["--workspace", WORKSPACE, "--otel", PLACE], {}), ([], {"DATABRICKS_HOST": WORKSPACE, "DBX_AGENTS_OTEL_TABLES": PLACE})):
            result = self.ok(self.h.run("templates", "show", "otel", "--json", *args, env={**TOKEN, **env}))
            document = json.loads(result.out)
            self.assertEqual(document["variables"], wanted)
            self.assertEqual(self.sourced(document["exports"]), wanted)
        self.is_error(self.h.run("templates", "show", "otel", "--otel", "x"), 2, "--otel", unchanged=False)
        self.is_error(self.h.run("templates", "show", "codex", "--otel", PLACE), 2, "--otel", unchanged=False)


class Headers(Base):
    def test_auth_token_prints_them_as_one_line_of_json(self):
        env = {**TOKEN, "DATABRICKS_HOST": WORKSPACE}
        for more in ([], ["--json"]):
            result = self.ok(self.h.run(*more, "auth", "token", "--otel-headers", env=env, may_show_secrets=True))
            self.assertEqual(json.loads(result.out), {"Authorization": "Bearer " + PAT})
            if not more:
                self.assertEqual(result.out.count("\n"), 1)
        self.is_error(self.h.run("auth", "token", "--otel-headers"), 4, unchanged=False)


if __name__ == "__main__":
    main()
