"""What doctor finds in the agents' telemetry: each finding is seen, its fix applied as it stands there, and seen gone."""

import fcntl
import json
import os

import readers
from doctor_base import CODEX_ENV, GEMINI, GEMINI_ENV, OTHER, PAT, SETTINGS, URL, Base
from harness import main

OTEL = ("--otel", "main.telemetry.dev")
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


class Claude(Base):
    agent = "claude"

    def variables(self, **given):
        self.json_file(SETTINGS, lambda v: v["env"].update(given))

    def test_a_fresh_setup_is_well(self):
        for form in ("pat", "helper"):
            self.configure("claude", form, *OTEL, "--otel-traces")
            self.assertFalse([name for name in self.doctor() if "otel" in name or "telemetry" in name])

    def test_generic_headers_of_the_shell(self):
        self.configure("claude", "pat", *OTEL)
        self.cured("claude-otel-headers", "warning", env={HEADERS: "Authorization=Bearer " + OTHER})
        self.healthy("claude-otel-headers", env={HEADERS: "x-scope=1"})
        self.configure("claude", "helper", *OTEL)
        self.healthy("claude-otel-headers", env={HEADERS: "Authorization=Bearer " + OTHER})  # the helper is stronger
        self.cured("claude-otel-headers", "warning", env={HEADERS: "X-Databricks-UC-Table-Name=a.b.c"})

    def test_generic_headers_in_the_file(self):
        self.configure("claude", "pat", *OTEL)
        self.variables(**{HEADERS: "authorization=Bearer " + OTHER})
        line = next(n for n, text in enumerate(self.h.read(SETTINGS).decode().split("\n"), 1) if f'"{HEADERS}"' in text)
        finding = self.sick("claude-otel-headers", "warning", file=self.h.path(SETTINGS), line=line)
        self.assertEqual(finding["fix"], f"remove env.{HEADERS} from ~/{SETTINGS}")
        self.json_file(SETTINGS, lambda v: v["env"].pop(HEADERS))
        self.healthy("claude-otel-headers")

    def test_env_without_the_variable(self):
        self.configure("claude", "env", *OTEL)
        self.assertIn("export " + HEADERS, self.sick("claude-otel-no-token", "warning", file=self.h.path(SETTINGS))["fix"])
        found = self.healthy("claude-otel-no-token", env={HEADERS: "Authorization=Bearer " + PAT})
        self.assertNotIn("claude-otel-headers", found)

    def test_cumulative_counters(self):
        self.configure("claude", "pat", *OTEL)
        self.cured("claude-otel-temporality", "warning", env={TEMPORALITY: "cumulative"})
        self.variables(**{TEMPORALITY: "CUMULATIVE"})
        self.sick("claude-otel-temporality", "warning", file=self.h.path(SETTINGS))
        self.variables(**{TEMPORALITY: "delta"})
        self.healthy("claude-otel-temporality", env={TEMPORALITY: "cumulative"})  # the file wins

    def test_another_collectors_telemetry_is_nobodys_business(self):
        self.configure("claude", "pat")
        self.variables(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="https://collector.example/v1/metrics", CLAUDE_CODE_ENABLE_TELEMETRY="1")
        found = self.doctor(env={TEMPORALITY: "cumulative", HEADERS: "Authorization=Bearer " + OTHER})
        self.assertFalse([name for name in found if name.startswith("claude-otel")])


class Codex(Base):
    agent = "codex"

    def test_variables_that_break_or_win(self):
        self.configure("codex", "pat", *OTEL)
        for name, variable, value in (("codex-otel-compression", "OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                                      ("codex-otel-compression", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
                                      ("codex-otel-protocol", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
                                      ("codex-otel-headers", "OTEL_EXPORTER_OTLP_LOGS_HEADERS", "Authorization=Bearer " + OTHER),
                                      ("codex-otel-headers", "OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-databricks-uc-table-name=a.b.c")):
            self.cured(name, "warning", env={variable: value})
            before = self.h.read(CODEX_ENV)
            self.h.put(CODEX_ENV, before + f"{variable}='{value}'\n".encode(), mode=0o600)
            finding = self.sick(name, "warning", file=self.h.path(CODEX_ENV), line=before.count(b"\n") + 1)
            self.assertEqual(finding["fix"], f"remove {variable} from ~/{CODEX_ENV}")
            self.h.put(CODEX_ENV, before, mode=0o600)
            self.healthy(name)
        found = self.doctor(env={"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                                 "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-team=1"})
        self.assertFalse([name for name in found if name.startswith("codex-otel")])

    def test_without_our_telemetry_they_are_nobodys_business(self):
        self.configure("codex", "pat")
        self.healthy("codex-otel-compression", env={"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})


class Gemini(Base):
    agent = "gemini"

    def setUp(self):
        super().setUp()
        self.configure("gemini", "proxy", *OTEL)
        keys = json.loads((self.h.state / "local_keys.json").read_text())["keys"]
        self.h.secrets += keys.values()

    def test_variables_of_the_shell(self):
        self.cured("gemini-telemetry-variables", "warning", env={"GEMINI_TELEMETRY_LOG_PROMPTS": "true", "GEMINI_TELEMETRY_OUTFILE": "/tmp/x"})
        self.healthy("gemini-telemetry-variables", env={"GEMINI_TELEMETRY_ENABLED": "true"})  # says the same

    def test_variables_of_its_file(self):
        before = self.h.read(GEMINI_ENV)
        self.h.put(GEMINI_ENV, before + b"GEMINI_TELEMETRY_ENABLED=false\n", mode=0o600)
        finding = self.sick("gemini-telemetry-variables", "warning", file=self.h.path(GEMINI_ENV), line=before.count(b"\n") + 1)
        self.assertEqual(finding["fix"], f"remove GEMINI_TELEMETRY_ENABLED from ~/{GEMINI_ENV}")
        self.h.put(GEMINI_ENV, before, mode=0o600)
        self.healthy("gemini-telemetry-variables")

    def test_headers(self):
        self.cured("gemini-otel-headers", "warning", env={HEADERS: "Authorization=Bearer " + OTHER})
        self.cured("gemini-otel-headers", "warning", env={"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "Authorization=Bearer " + OTHER})
        self.healthy("gemini-otel-headers", env={"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x-team=1"})

    def test_cumulative_counters(self):
        self.cured("gemini-otel-temporality", "warning", env={TEMPORALITY: "cumulative"})
        self.edit(GEMINI_ENV, TEMPORALITY + "=delta\n", "")
        self.cured("gemini-otel-temporality", "warning")
        self.assertEqual(readers.dotenv(self.h.read(GEMINI_ENV))[TEMPORALITY], "delta")


class Relay(Base):
    def test_no_proxy_is_running(self):
        for agent, rel in (("claude", SETTINGS), ("codex", ".codex/config.toml"), ("gemini", GEMINI)):
            self.configure(agent, None, "--via-proxy=18790", *OTEL)
            finding = self.sick("telemetry-without-proxy", "warning", agent, file=self.h.path(rel))
            self.assertTrue(finding["fix"].endswith("dbx-agents proxy --port 18790"), finding)
        # A proxy that runs holds this lock.
        lock = self.h.state / "proxy-18790.lock"
        with open(lock, "w") as file:
            file.write(f"{os.getpid()}\n")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
            for agent in ("claude", "codex", "gemini"):
                self.healthy("telemetry-without-proxy", agent)

    def test_the_tables_are_not_known(self):
        self.configure("claude", None, "--via-proxy", *OTEL)
        self.healthy("otel-tables-unknown", "claude")
        remembered = self.h.state / "remembered.json"
        value = json.loads(remembered.read_text())
        del value["otel.tables"]
        remembered.write_text(json.dumps(value))
        finding = self.sick("otel-tables-unknown", "warning", "claude", file=self.h.path(SETTINGS))
        command = finding["fix"].replace("CATALOG.SCHEMA.PREFIX", "main.telemetry.dev").replace("https://YOUR-WORKSPACE", URL)
        self.ok_shell(command + " --yes")
        self.healthy("otel-tables-unknown", "claude")
        self.healthy("otel-tables-unknown", "claude", env={"DBX_AGENTS_OTEL_TABLES": "a.b.c"})


if __name__ == "__main__":
    main()
