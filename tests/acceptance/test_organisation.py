"""An organisation's roll-out: locked keys, the onboarding script, and files for everybody on the machine."""

import json
import unittest
from pathlib import Path

import own_etc
import readers
from harness import PAT, WORKSPACE, Test, binary, main

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/onboard-example.sh"
OTHER = "https://adb-9.9.azuredatabricks.net"
ORGANISATION = f"""workspace = "{WORKSPACE}"
contact = "it-help@example.com"
locked = ["workspace", "proxy.port", "agents.codex.model"]
[agents.codex]
model = "databricks-gpt-5-2"
[proxy]
port = 8790
"""


@unittest.skipUnless(own_etc.possible(), "needs root and mount namespaces")
class Locked(Test):
    def setUp(self):
        super().setUp()
        self.etc = own_etc.Etc(self.h)
        self.etc.put("dbx-agents/config.toml", ORGANISATION)

    def test_a_flag_against_a_lock_is_refused(self):
        before = self.h.kept()
        for flag in (["--workspace", OTHER], ["--gateway", OTHER + "/ai-gateway"], ["--via-proxy=8123"], ["--model", "mine"],
                     ["--model", "codex=mine"]):
            for agents in (["codex"], ["--all"]):
                done = self.etc.run("setup", *agents, *flag, "--yes")
                self.is_error(done, 2, "locked by /etc/dbx-agents/config.toml:", "it-help@example.com", flag[0].split("=")[0])
        self.is_error(self.etc.run("proxy", "--port", "8123"), 2, "proxy.port is locked", unchanged=False)
        self.is_error(self.etc.run("auth", "token", "--workspace", OTHER), 2, "workspace is locked", unchanged=False)
        self.same_snapshot(self.h.kept(), before, "refused flags")

    def test_a_flag_that_says_the_same_is_fine(self):
        self.ok(self.etc.run("setup", "codex", "--workspace", WORKSPACE + "/", "--via-proxy=8790", "--model", "databricks-gpt-5-2", "--yes"))

    def test_environment_and_users_configuration_are_ignored_with_a_warning(self):
        self.h.put(".config/dbx-agents/config.toml", f'workspace = "{OTHER}"\n[agents.codex]\nmodel = "mine"\n')
        done = self.ok(self.etc.run("setup", "codex", "--yes", env={"DBX_AGENTS_WORKSPACE": OTHER, "DBX_AGENTS_GATEWAY": OTHER + "/ai-gateway"}))
        for origin in ("DBX_AGENTS_WORKSPACE in the environment", "DBX_AGENTS_GATEWAY in the environment", "config.toml:1", "config.toml:3"):
            self.assertIn(f"{origin} is ignored", " ".join(done.err.split()))
        config = readers.toml(self.h.read(".codex/config.toml"))
        self.assertEqual(config["model"], "databricks-gpt-5-2")
        self.assertTrue(config["model_providers"]["databricks"]["base_url"].startswith(WORKSPACE + "/"))

    def test_a_profile_leads_nowhere_else(self):
        self.h.put(".databrickscfg", f"[other]\nhost = {OTHER}\ntoken = {PAT}\n", 0o600)
        self.etc.run("setup", "claude", "--profile", "other", "--auth", "env", "--yes")
        if self.h.path(".claude/settings.json").exists():
            self.assertNotIn(OTHER.encode(), self.h.read(".claude/settings.json"))

    def test_locked_telemetry(self):
        """otel.tables and otel.traces: flags of setup, tables and templates; the agent's own setting; what is remembered."""
        place = "main.telemetry.dev"
        tables = lambda catalog="main", schema="telemetry", prefix="dev": ["--catalog", catalog, "--schema", schema, "--prefix", prefix]
        self.ok(self.etc.run("setup", "claude", "--workspace", WORKSPACE, "--otel", place, "--yes"))
        self.ok(self.etc.run("setup", "claude", "--no-otel", "--yes"))
        self.etc.put("dbx-agents/config.toml", f'workspace = "{WORKSPACE}"\nwarehouse = "0123"\ncontact = "it-help@example.com"\n'
                     f'locked = ["otel", "warehouse"]\n[otel]\ntables = "{place}"\ntraces = false\n')
        before = self.h.kept()
        for args, key in ((["setup", "claude", "--otel", "other.t.dev", "--yes"], "otel.tables"), (["setup", "--all", "--no-otel", "--yes"], "otel.tables"),
                          (["setup", "claude", "--otel-traces", "--yes"], "otel.traces"), (["templates", "show", "otel", "--otel", "other.t.dev"], "otel.tables"),
                          (["tables", "ddl", "--catalog", "other"], "otel.tables"), (["tables", "ddl", *tables(prefix="mine")], "otel.tables"),
                          (["tables", "create", *tables(schema="mine"), "--dry-run"], "otel.tables"),
                          (["tables", "check", "--schema", "mine"], "otel.tables"),
                          (["tables", "grant", "--to", "ada@example.com", "--prefix", "mine", "--dry-run"], "otel.tables"),
                          (["tables", "ddl", "--warehouse", "auto"], "warehouse")):
            self.is_error(self.etc.run(*args), 2, f"{key} is locked by /etc/dbx-agents/config.toml:", "it-help@example.com", unchanged=args[0] == "setup")
        self.same_snapshot(self.h.kept(), before, "refused flags")
        self.assertIn(f"{place}_otel_logs".replace(".", "`.`"), self.ok(self.etc.run("tables", "ddl", *tables(), "--warehouse", "0123")).out)
        self.ok(self.etc.run("setup", "claude", "--otel", place, "--yes"))
        exports = lambda: json.loads(self.h.read(".claude/settings.json"))["env"]
        self.assertIn(f"={place}_otel_logs", exports()["OTEL_EXPORTER_OTLP_LOGS_HEADERS"])
        self.h.put(".config/dbx-agents/config.toml", '[agents.claude]\notel = "off"\n')
        told = self.ok(self.etc.run("setup", "claude", "--yes"))
        self.assertIn("config.toml:2 is ignored: otel.tables is locked by /etc/dbx-agents/config.toml:", " ".join(told.err.split()))
        self.assertIn("OTEL_LOGS_EXPORTER", exports())
        self.h.put(".config/dbx-agents/config.toml", '[agents.claude]\notel = "traces"\n')
        self.assertIn("otel.traces is locked", " ".join(self.ok(self.etc.run("setup", "claude", "--yes")).err.split()))
        self.assertNotIn("OTEL_TRACES_EXPORTER", exports())

    def test_an_agent_that_is_locked_out_of_the_telemetry(self):
        self.etc.put("dbx-agents/config.toml", f'workspace = "{WORKSPACE}"\nlocked = ["otel.tables", "agents.claude.otel"]\n'
                     '[otel]\ntables = "main.telemetry.dev"\n[agents.claude]\notel = "off"\n')
        self.is_error(self.etc.run("setup", "claude", "--otel", "main.telemetry.dev", "--yes"), 2, "agents.claude.otel is locked")
        self.is_error(self.etc.run("setup", "claude", "--otel-traces", "--yes"), 2, "agents.claude.otel is locked")
        self.ok(self.etc.run("setup", "claude", "--no-otel", "--yes"))
        self.assertNotIn(b"OTEL", self.h.read(".claude/settings.json"))

    def test_status_says_locked_by(self):
        text = self.ok(self.etc.run("status")).out
        self.assertRegex(text, rf"workspace +{WORKSPACE} +\(locked by /etc/dbx-agents/config.toml:1\)")
        self.assertRegex(text, r"proxy.port +8790 +\(locked by /etc/dbx-agents/config.toml:7\)")
        report = json.loads(self.ok(self.etc.run("status", "--json")).out)
        self.assertTrue(report["workspace"]["locked"])
        self.assertEqual(set(report["locked"]), {"workspace", "proxy.port", "agents.codex.model"})

    def doctor(self, *args, env=None):
        """What doctor finds, by id; the same findings on a terminal as text."""
        document = json.loads(self.etc.run("doctor", "--offline", "--json", *args, env=env).out)
        return {finding["id"]: finding for finding in document["findings"] if not finding["id"].startswith("claude-betas")}

    def test_doctor_and_status_name_what_a_lock_overrules(self):
        """Made, seen, fixed as it is told, gone: a key of the user's, a variable, a whole table, an agent set up before the lock."""
        self.etc.put("dbx-agents/config.toml", "")
        self.ok(self.etc.run("setup", "codex", "--workspace", OTHER, "--auth", "env", "--model", "mine", "--yes"))
        self.assertNotIn("lock-not-followed", self.doctor())
        self.etc.put("dbx-agents/config.toml", ORGANISATION)
        finding = self.doctor()["lock-not-followed"]
        self.assertIn(f"agents.codex.model is locked by /etc/dbx-agents/config.toml:5: databricks-gpt-5-2", finding["evidence"])
        self.assertEqual((finding["severity"], finding["agent"], finding["line"]), ("warning", "codex", 2))
        self.assertEqual(finding["fix"], "dbx-agents setup codex --auth env")
        text = " ".join(self.etc.run("doctor", "--offline").out.split())
        self.assertIn(f"Codex CLI goes to {OTHER}/ai-gateway/openai/v1, which is not the organisation's", text)
        self.ok(self.etc.run(*finding["fix"].split()[1:], "--yes"))
        self.assertNotIn("lock-not-followed", self.doctor())

        own = ".config/dbx-agents/config.toml"
        self.h.put(own, f'profile = "x"\nworkspace = "{OTHER}"\n')
        finding = self.doctor()["locked-key"]
        self.assertEqual((finding["file"], finding["line"], finding["severity"]), (str(self.h.path(own)), 2, "warning"))
        self.assertEqual(finding["fix"], f"remove workspace from ~/{own}")
        self.assertIn(f"it says {OTHER}; workspace is locked by /etc/dbx-agents/config.toml:3", finding["evidence"])
        self.assertRegex(self.etc.run("status").out, rf"workspace +{OTHER} +\(ignored: ~/{own}:2; locked by /etc/dbx-agents/config.toml:3\)")
        overruled = json.loads(self.etc.run("status", "--json").out)["overruled"]
        self.assertEqual([(item["key"], item["value"]) for item in overruled], [("workspace", OTHER)])
        self.h.put(own, 'profile = "x"\n')
        self.assertNotIn("locked-key", self.doctor())
        self.assertEqual(json.loads(self.etc.run("status", "--json").out)["overruled"], [])

        finding = self.doctor(env={"DBX_AGENTS_GATEWAY": OTHER + "/ai-gateway"})["locked-key"]
        self.assertEqual((finding["file"], finding["fix"]), (None, "unset DBX_AGENTS_GATEWAY, also in your shell's start-up files"))
        self.assertNotIn("locked-key", self.doctor())

        limit = "[[proxy.limit]]\nrequests_per_minute = 60\n"
        self.etc.put("dbx-agents/config.toml", ORGANISATION.replace('"proxy.port"', '"proxy.limit"') + limit)
        self.h.put(own, limit.replace("60", "600") + "concurrent = 9\n")
        self.assertEqual(self.doctor()["locked-key"]["fix"], f"remove proxy.limit from ~/{own}")
        self.assertEqual(self.etc.run("doctor", "--offline").out.count("counts for nothing"), 1)

    def test_a_port_that_the_lock_moved(self):
        self.ok(self.etc.run("setup", "codex", "--via-proxy", "--yes"))
        self.assertNotIn("lock-not-followed", self.doctor())
        self.etc.put("dbx-agents/config.toml", ORGANISATION.replace("8790", "8791"))
        finding = self.doctor()["lock-not-followed"]
        self.assertIn("port 8790", finding["what"])
        self.ok(self.etc.run(*finding["fix"].split()[1:], "--yes"))
        self.assertNotIn("lock-not-followed", self.doctor())

    def onboard(self, *args, env=None):
        return self.etc.run(*args, exe=[str(SCRIPT)], env=env)

    def test_the_onboarding_script(self):
        """Idempotent, without a terminal, offline; its exit codes are setup's."""
        first = self.ok(self.onboard())
        self.says(first, "configured")
        for rel in (".codex/config.toml", ".gemini/.env", ".claude/settings.json"):
            self.assertTrue(self.h.path(rel).exists(), rel)
        before = self.h.snapshot(with_state=True)
        times = {path: self.h.path(path).stat().st_mtime_ns for path in before if before[path][0] == "file"}
        self.says(self.ok(self.onboard()), "already configured")
        self.same_snapshot(self.h.snapshot(with_state=True), before, "the second run")
        self.assertEqual(times, {path: self.h.path(path).stat().st_mtime_ns for path in times})
        self.h.put(".codex/config.toml", "model = \n")
        self.assertEqual(self.onboard().code, 3)
        self.assertEqual(self.h.read(".codex/config.toml"), b"model = \n")
        self.h.path(".codex/config.toml").unlink()
        self.assertEqual(self.onboard("codex", "--auth", "pat").code, 4)
        self.ok(self.onboard("codex", "--auth", "pat", env={"DATABRICKS_TOKEN": PAT}))
        nowhere = self.etc.run(exe=["/usr/bin/env", "PATH=/nowhere", "/bin/sh", str(SCRIPT)])
        self.assertEqual(nowhere.code, 1)
        self.assertIn("not on PATH", nowhere.err)
        self.etc.put("dbx-agents/config.toml", "workspace = 'http://plain.example.com'\n")
        self.assertEqual(self.onboard().code, 2)

    def test_the_readme_has_what_the_script_has(self):
        text = (ROOT / "README.md").read_text()
        part = text[text.index("## Roll-out to 2,000 laptops"):]
        for line in ("setup --all --check --quiet", "setup --all --yes"):
            self.assertIn(line, part)
        script = SCRIPT.read_text()
        for code in ("0", "2", "3", "4", "6"):
            self.assertRegex(part, rf"(?m)^\| {code} \|")
            self.assertRegex(script, rf"(?m)^{code}\) log")


CLAUDE, CODEX = "claude-code/managed-settings.json", "codex/managed_config.toml"
MANAGED = ["setup", "claude", "codex", "--scope", "managed", "--workspace", WORKSPACE]


@unittest.skipUnless(own_etc.possible(), "needs root and mount namespaces")
class Managed(Test):
    """`setup --scope managed`: the files of everybody on the machine."""

    def setUp(self):
        super().setUp()
        self.etc = own_etc.Etc(self.h)

    def etc_files(self):
        return {str(path.relative_to(self.etc.path)): (path.stat().st_mode & 0o7777, path.read_bytes() if path.is_file() else b"")
                for path in sorted(self.etc.path.rglob("*")) if path.name != "ld.so.cache"}

    def test_new_files(self):
        """World-readable, without a secret, with a helper that everybody can run; revert takes them away."""
        before = self.etc_files()
        done = self.ok(self.etc.run(*MANAGED, "--yes", env={"DATABRICKS_TOKEN": PAT, "DATABRICKS_CONFIG_PROFILE": "mine"}))
        self.says(done, "dbx-agents revert claude codex")
        files = self.etc_files()
        for rel in (CLAUDE, CODEX):
            self.assertEqual(files[rel][0], 0o644)
            self.assertEqual(files[rel.split("/")[0]][0], 0o755)
            self.assertNotIn(PAT.encode(), files[rel][1])
        settings = readers.strict_json(files[CLAUDE][1])
        self.assertEqual(settings["apiKeyHelper"], f"{own_etc.PLACE} auth token --workspace {WORKSPACE}")
        self.assertEqual(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "")
        config = readers.toml(files[CODEX][1])
        provider = config["model_providers"][config["model_provider"]]
        self.assertEqual(provider["auth"]["command"], own_etc.PLACE)
        self.assertNotIn("env_key", provider)
        self.assertFalse(self.h.path(".claude").exists() or self.h.path(".codex").exists())
        self.assertFalse((self.h.state / "remembered.json").exists())
        self.ok(self.etc.run(*MANAGED, "--check"))
        self.assertIn(CODEX, self.ok(self.etc.run("status", "codex")).out)
        self.ok(self.etc.run("revert", "--all"))
        self.same_snapshot(self.etc_files(), before, "/etc after revert")

    def test_over_the_administrators_own(self):
        self.etc.put(CLAUDE, b'{\n\t"permissions": {"deny": ["WebFetch"]},\n\t"env": {"X": "1"}\n}\n', 0o640)
        self.etc.put(CODEX, b"# ours\nmodel = \"x\"   # a comment\n[tools]\nweb_search = false\n")
        before = self.etc_files()
        self.ok(self.etc.run(*MANAGED, "--yes"))
        after = self.etc_files()
        self.assertEqual(after[CLAUDE][0], 0o644)
        self.assertIn(b'"deny": ["WebFetch"]', after[CLAUDE][1])
        self.assertIn(b"# a comment", after[CODEX][1])
        self.ok(self.etc.run("revert", "claude", "codex"))
        self.same_snapshot(self.etc_files(), before, "/etc after revert")

    def test_the_users_setup_beside_it(self):
        """Root's own files and everybody's are separate entries; each keeps its form."""
        self.ok(self.etc.run(*MANAGED, "--yes"))
        self.ok(self.etc.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        status = json.loads(self.ok(self.etc.run("status", "claude", "--json")).out)["agents"][0]
        self.assertEqual(status["auth"], "env")
        self.assertIn("managed-settings.json", json.dumps(status["files"]))
        self.ok(self.etc.run(*MANAGED, "--check"))
        self.ok(self.etc.run("revert", "--all"))
        self.assertFalse((self.etc.path / CLAUDE).exists() or self.h.path(".claude").exists())

    def test_only_root_writes_and_anybody_looks(self):
        before = self.etc_files()
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", own_etc.PLACE]
        for path in (self.h.base, self.h.home, self.h.base / "tmp"):
            path.chmod(0o777)
        self.is_error(self.etc.run(*MANAGED, "--yes", exe=nobody), 3, "root", "--dry-run")
        self.assertFalse(self.h.path(".local").exists(), "before anything")
        shown = self.ok(self.etc.run(*MANAGED, "--dry-run", exe=nobody))
        self.assertIn("+model_provider = \"databricks-managed\"", shown.out)
        self.ok(self.etc.run(*MANAGED, "--check", exe=nobody), 10)
        self.same_snapshot(self.etc_files(), before, "/etc")

    def test_refused(self):
        before = self.etc_files()
        for args, code, words in ((["--auth", "pat"], 2, "everybody on this machine can read"), (["--via-proxy"], 2, "everybody"),
                                  (["--scope", "machine"], 2, "user or managed")):
            self.is_error(self.etc.run(*MANAGED[:3], *(MANAGED[3:5] if args[0] != "--scope" else []), *MANAGED[5:], *args, "--yes",
                                       env={"DATABRICKS_TOKEN": PAT}), code, words)
        self.is_error(self.etc.run("setup", "gemini", "--scope", "managed", "--workspace", WORKSPACE), 2, "Gemini CLI", "leave gemini out")
        own = self.h.base / "tmp" / "dbx-agents"
        own.symlink_to(own_etc.PLACE)
        self.h.base.chmod(0o700)
        self.is_error(self.etc.run(*MANAGED, "--yes", env={"PATH": f"{own.parent}:/usr/bin:/bin"}), 3, "not open to everybody", "install.sh")
        self.same_snapshot(self.etc_files(), before, "/etc")

    def test_all_are_those_that_have_such_a_file(self):
        self.ok(self.etc.run("setup", "--all", *MANAGED[3:], "--yes"))
        self.assertEqual([rel for rel in self.etc_files() if rel.endswith((".json", ".toml"))], [CLAUDE, CODEX])

    def managed_otel(self, *args, code=0, env=None):
        return self.ok(self.etc.run(*MANAGED, *args, "--yes", env={"DATABRICKS_TOKEN": PAT, **(env or {})}), code)

    def test_telemetry_with_a_command_for_the_token(self):
        """Claude Code exports with a helper and no secret; of Codex it is said what it takes instead."""
        done = self.managed_otel("--otel", "main.telemetry.dev", "--otel-traces")
        told = " ".join(done.err.split())
        self.assertIn("no telemetry was set up: Codex takes no token from a command for it, and everybody can read a managed file", told)
        self.assertIn("dbx-agents setup codex --via-proxy --otel main.telemetry.dev", told)
        files = self.etc_files()
        settings = readers.strict_json(files[CLAUDE][1])
        self.assertEqual(settings["otelHeadersHelper"], f"{own_etc.PLACE} auth token --otel-headers --workspace {WORKSPACE}")
        environment = settings["env"]
        for signal, table in (("METRICS", "metrics"), ("LOGS", "logs"), ("TRACES", "spans")):
            self.assertEqual(environment[f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"],
                             f"{WORKSPACE}/api/2.0/otel/v1/{signal.lower()}")
            self.assertEqual(environment[f"OTEL_EXPORTER_OTLP_{signal}_HEADERS"],
                             f"content-type=application/x-protobuf,X-Databricks-UC-Table-Name=main.telemetry.dev_otel_{table}")
        # Whatever generic headers a user's shell has, ours stand in their place.
        self.assertEqual(environment["OTEL_EXPORTER_OTLP_HEADERS"], "content-type=application/x-protobuf")
        self.assertNotIn(b"otel", files[CODEX][1])
        for name in (CLAUDE, CODEX):
            self.assertNotIn(PAT.encode(), files[name][1])
            self.assertNotRegex(files[name][1], rb"dbxl_|127\.0\.0\.1")
        self.managed_otel("--otel", "main.telemetry.dev", "--otel-traces", "--check")
        self.managed_otel()
        self.assertNotIn(b"OTEL", self.etc_files()[CLAUDE][1], "nothing is remembered of everybody's files")

    def test_telemetry_with_the_users_variables(self):
        self.etc.put(CODEX, b"[otel]\nexporter = { otlp-grpc = { endpoint = 'http://c:4317', headers = { k = 'collector' } } }\n")
        self.etc.put(CLAUDE, b'{"otelHeadersHelper": "/opt/other", "env": {"OTEL_EXPORTER_OTLP_HEADERS": "k=collector"}}\n')
        before = self.etc_files()
        done = self.managed_otel("--auth", "env", "--otel", "main.telemetry.dev", "--otel-traces")
        self.assertEqual(" ".join(done.err.split()).count("export OTEL_EXPORTER_OTLP_HEADERS"), 2)
        files = self.etc_files()
        otel = readers.toml(files[CODEX][1])["otel"]
        for exporter, signal, table in (("exporter", "logs", "logs"), ("metrics_exporter", "metrics", "metrics"), ("trace_exporter", "traces", "spans")):
            self.assertEqual(otel[exporter], {"otlp-http": {"endpoint": f"{WORKSPACE}/api/2.0/otel/v1/{signal}", "protocol": "binary",
                                                            "headers": {"X-Databricks-UC-Table-Name": f"main.telemetry.dev_otel_{table}"}}})
        self.assertIs(otel["log_user_prompt"], False)
        settings = readers.strict_json(files[CLAUDE][1])
        self.assertNotIn("otelHeadersHelper", settings)
        self.assertNotIn("OTEL_EXPORTER_OTLP_HEADERS", settings["env"])
        for name in (CLAUDE, CODEX):
            self.assertNotIn(PAT.encode(), files[name][1])
        self.ok(self.etc.run("revert", "claude", "codex"))
        self.same_snapshot(self.etc_files(), before, "/etc after revert")

    def test_telemetry_of_the_configuration_and_not_of_roots_own_last_setup(self):
        self.ok(self.etc.run("setup", "claude", "--workspace", WORKSPACE, "--otel", "main.telemetry.roots", "--yes"))
        self.managed_otel()
        self.assertNotIn(b"OTEL", self.etc_files()[CLAUDE][1])
        self.etc.put("dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.all"\n')
        self.ok(self.etc.run("setup", "claude", "--no-otel", "--yes"))
        self.managed_otel()
        self.assertIn(b"main.telemetry.all_otel_logs", self.etc_files()[CLAUDE][1])
        self.managed_otel("--no-otel")
        self.assertNotIn(b"OTEL", self.etc_files()[CLAUDE][1])
        self.is_error(self.etc.run("setup", "claude", "--scope", "managed", "--gateway", "https://gateway.example.com/ai", "--otel", "a.b.c", "--yes",
                                   env={"XDG_STATE_HOME": str(self.h.base / "tmp/none")}), 2, "it goes to the workspace itself", "--workspace")

    def test_env_form(self):
        done = self.ok(self.etc.run(*MANAGED, "--auth", "env", "--yes"))
        self.says(done, "export DATABRICKS_TOKEN", "export ANTHROPIC_AUTH_TOKEN")
        self.assertNotIn(b"apiKeyHelper", self.etc_files()[CLAUDE][1])
        self.assertIn(b"env_key", self.etc_files()[CODEX][1])


if __name__ == "__main__":
    main()
