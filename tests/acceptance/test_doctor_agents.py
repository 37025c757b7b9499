"""doctor: what each agent has of its own, all of it to be seen on this machine. Every finding is made, seen, its fix applied, and gone."""

import json
import os
import sqlite3
import subprocess
import time

from doctor_base import CODEX_ENV, CONFIG, DATABASE, GEMINI, GEMINI_ENV, KEY, OTHER, SETTINGS, URL, Base
from harness import GATEWAY, PAT, main


OTHER_GATEWAY = "https://adb-9.9.azuredatabricks.net/ai-gateway/any"


class Codex(Base):
    agent = "codex"

    def test_profile(self):
        self.configure()
        self.h.put(CONFIG, 'profile = "x"\n' + self.h.read(CONFIG).decode())
        self.cured("codex-profile", "broken", file=self.h.path(CONFIG), line=1)
        self.h.put(CONFIG, 'profile = ""\n' + self.h.read(CONFIG).decode())
        self.install("@openai/codex", "codex", "0.133.0")
        self.cured("codex-profile", "warning")

    def test_profile_of_a_codex_that_is_not_set_up(self):
        self.h.put(CONFIG, '# mine\nprofile = "x"\n')
        finding = self.sick("codex-profile", line=2)
        self.assertIn("remove line 2", finding["fix"])
        self.lines_gone(self.h.path(CONFIG), 2)
        self.healthy("codex-profile")

    def test_env_file_over_the_environment(self):
        self.configure()
        self.healthy("codex-env-overrides")
        finding = self.sick("codex-env-overrides", "warning", env={"DATABRICKS_TOKEN": OTHER}, file=self.h.path(CODEX_ENV))
        self.lines_gone(self.h.path(CODEX_ENV), finding["line"])
        self.healthy("codex-env-overrides", env={"DATABRICKS_TOKEN": OTHER})

    def test_no_token_at_all(self):
        self.configure(form="env")
        finding = self.sick("codex-env-missing")
        self.assertTrue(finding["fix"].startswith("export DATABRICKS_TOKEN="))
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = {URL}\ntoken = {OTHER}\n", mode=0o600)
        self.cured("codex-env-missing")

    def daemon(self, env, name="codex"):
        process = subprocess.Popen([name, "60"], executable="/bin/sleep", env=env)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.h.put(".codex/app-server-daemon/daemon.pid", str(process.pid) + "\n")
        with open(f"/proc/{process.pid}/cmdline", "rb") as f:
            deadline = time.monotonic() + 10
            while not f.read() and time.monotonic() < deadline:
                f.seek(0)
        return process

    def test_a_daemon_with_an_old_environment(self):
        self.configure(form="env")
        new = {"DATABRICKS_TOKEN": PAT}
        old = self.daemon({"DATABRICKS_TOKEN": OTHER})
        finding = self.sick("codex-daemon", env=new)
        self.assertEqual(finding["fix"], "codex app-server daemon restart")
        self.healthy("codex-daemon", env={"DATABRICKS_TOKEN": OTHER})
        old.kill()
        old.wait()
        self.healthy("codex-daemon", env=new)
        self.daemon(new)  # what the restart does
        self.healthy("codex-daemon", env=new)
        self.daemon({})
        self.sick("codex-daemon", env=new)
        self.daemon({"DATABRICKS_TOKEN": OTHER}, name="something-else")
        self.healthy("codex-daemon", env=new)
        for text in ("", "x", "{}", "0", "99999999999999999999", '{"pid": -1}'):
            self.h.put(".codex/app-server-daemon/daemon.pid", text)
            self.healthy("codex-daemon", env=new)
        process = self.daemon({"DATABRICKS_TOKEN": OTHER})
        self.h.put(".codex/app-server-daemon/daemon.pid", json.dumps({"version": "0.169.0", "pid": process.pid}))
        self.sick("codex-daemon", env=new)

    def test_a_daemon_is_no_trouble_with_a_helper(self):
        self.configure(form="helper")
        self.daemon({"DATABRICKS_TOKEN": OTHER})
        self.healthy("codex-daemon", env={"DATABRICKS_TOKEN": PAT})

    def test_a_project_that_overrides_the_model(self):
        self.configure()
        project = self.h.base / "project"
        (project / "src/.codex").mkdir(parents=True)
        (project / ".codex").mkdir()
        (project / ".codex/config.toml").write_text('# ours\nmodel = "gpt-6"\n')
        self.cwd = project / "src"
        self.sick("codex-project-model", "info", file=project / ".codex/config.toml", line=2)
        self.h.put(CONFIG, self.h.read(CONFIG).decode() + f'\n[projects."{project}"]\ntrust_level = "trusted"\n')
        finding = self.sick("codex-project-model", "warning", line=2)
        self.lines_gone(finding["file"], finding["line"])
        self.healthy("codex-project-model")

    def test_managed_config(self):
        self.configure()
        self.with_etc(**{"codex/managed_config.toml": 'model = "managed"\n'})
        self.sick("codex-managed-config", "warning", line=1)
        managed = '# all\nmodel_provider = "x"\n[model_providers.x]\nbase_url = "{}"\n'
        (self.etc / "codex/managed_config.toml").write_text(managed.format("https://managed.example/v1"))
        finding = self.sick("codex-managed-config", "broken", file="/etc/codex/managed_config.toml", line=2)
        self.assertIn(f"theirs https://managed.example/v1, yours {URL}/ai-gateway/openai/v1; model_provider", finding["evidence"])
        self.assertIn("ask the administrator", finding["fix"])
        (self.etc / "codex/managed_config.toml").write_text(managed.format(OTHER_GATEWAY))
        self.assertNotIn("not-set-up", self.cured("codex-managed-config", "info") and self.doctor())
        self.configure()
        (self.etc / "codex/managed_config.toml").write_text("x = 1\n")
        self.healthy("codex-managed-config")
        (self.etc / "codex/managed_config.toml").write_text("x = \n")
        self.sick("codex-managed-config", "broken")

    def test_managed_exporter_of_another_kind(self):
        self.configure()
        before = self.h.read(CONFIG).decode()
        managed = '[otel]\nexporter = { otlp-http = { endpoint = "http://a/v1/logs", protocol = "binary" } }\n'
        self.with_etc(**{"codex/managed_config.toml": managed})
        for own in ('otlp-http = { headers = { k = "v" } }', None):
            self.h.put(CONFIG, before + ('\n[otel]\n' + (f"exporter = {{ {own} }}\n" if own else 'exporter = "none"\n')))
            self.healthy("codex-managed-exporter")
        self.h.put(CONFIG, before + "\n[otel.exporter.otlp-grpc]\nendpoint = 'http://c:4317'\n")
        finding = self.sick("codex-managed-exporter", "broken")
        self.assertTrue(finding["file"].endswith(CONFIG))
        self.assertIn("otlp-grpc", self.h.read(CONFIG).decode().splitlines()[finding["line"] - 1])

    def test_too_old_for_a_helper(self):
        self.configure(form="helper")
        self.healthy("codex-too-old")
        self.install("@openai/codex", "codex", "0.117.9")
        finding = self.sick("codex-too-old")
        self.assertEqual(finding["fix"], "npm install -g @openai/codex@latest")
        self.install("@openai/codex", "codex", "0.169.0")
        self.healthy("codex-too-old")

    def test_provider_trouble(self):
        for name, change in (("codex-provider-unknown", ('model_provider = "databricks"', 'model_provider = "nope"')),
                             ("codex-wire-api", ('wire_api = "responses"', 'wire_api = "chat"')),
                             ("codex-provider-name", ('name = "Databricks AI Gateway"', 'name = " "'))):
            self.configure()
            self.edit(CONFIG, *change)
            self.cured(name)

    def test_a_route_of_the_users_own(self):
        """What doctor tells to set against a missing route; what is no path never reaches a file."""
        config = ".config/dbx-agents/config.toml"
        self.h.put(config, '[agents.codex]\nroute = "/codex/v1"\n')
        self.configure(form="env")
        self.assertIn(f'base_url = "{URL}/ai-gateway/codex/v1"', self.h.read(CONFIG).decode())
        self.healthy("drift")
        self.ok(self.h.run("setup", "codex", "--workspace", URL, "--auth", "env", "--check"))
        before = self.h.snapshot()
        for route in ("codex/v1", "/", "/codex/", "/a//b", "/a/../b", "/a b", '/a\\"]', "/$X", "//evil.example", "/a\\nb", "/a?b", "/A"):
            self.h.put(config, f'[agents.codex]\nroute = "{route}"\n')
            self.is_error(self.h.run("setup", "codex", "--workspace", URL, "--auth", "env", "--yes"), 2, "config.toml:2", "/codex/v1")
        self.h.put(config, '[agents.codex]\nroute = "/codex/v1"\n')
        self.same_snapshot(self.h.snapshot(), before, "nothing was written")

    def test_a_reserved_provider(self):
        self.configure()
        self.h.put(CONFIG, self.h.read(CONFIG).decode() + '\n[model_providers.openai]\nname = "x"\n')
        self.sick("codex-provider-reserved")
        self.edit(CONFIG, "[model_providers.openai]", "[model_providers.mine]")
        self.healthy("codex-provider-reserved")

    def test_an_old_codex_without_wire_api(self):
        self.configure()
        self.edit(CONFIG, 'wire_api = "responses"\n', "")
        self.healthy("codex-wire-api")
        self.install("@openai/codex", "codex", "0.80.0")
        self.cured("codex-wire-api")

    def test_two_credentials_at_once(self):
        self.configure(form="helper")
        self.edit(CONFIG, 'wire_api = "responses"', 'wire_api = "responses"\nenv_key = "X"')
        self.cured("codex-auth-conflict")

    def test_no_credential(self):
        self.configure()
        self.edit(CONFIG, 'env_key = "DATABRICKS_TOKEN"\n', "")
        self.cured("codex-no-credential")

    def test_a_home_that_is_not_there(self):
        self.cured("codex-home-missing", env={"CODEX_HOME": str(self.h.base / "nowhere")})


class Claude(Base):
    agent = "claude"

    def test_the_shell(self):
        self.configure(form="helper")
        self.cured("claude-shell-api-key", "warning", env={"ANTHROPIC_API_KEY": "sk-ant-" + "x" * 30})
        self.cured("claude-shell-auth-token", "warning", env={"ANTHROPIC_AUTH_TOKEN": OTHER})
        self.cured("claude-other-cloud", "broken", env={"CLAUDE_CODE_USE_BEDROCK": "1"})
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_API_KEY="", ANTHROPIC_AUTH_TOKEN="", CLAUDE_CODE_USE_BEDROCK="0"))
        findings = self.doctor(env={"ANTHROPIC_API_KEY": "sk-" + "x" * 30, "ANTHROPIC_AUTH_TOKEN": OTHER, "CLAUDE_CODE_USE_BEDROCK": "1"})
        self.assertEqual([name for name in findings if "shell" in name or "cloud" in name], [], "an empty value in the file neutralises the shell's")

    def test_keys_in_the_file(self):
        self.configure(form="helper")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_API_KEY=OTHER, CLAUDE_CODE_USE_VERTEX="1"))
        self.sick("claude-file-api-key", "warning")
        self.sick("claude-other-cloud", "broken")
        self.json_file(SETTINGS, lambda v: (v["env"].pop("ANTHROPIC_API_KEY"), v["env"].pop("CLAUDE_CODE_USE_VERTEX")))
        self.healthy("claude-file-api-key")
        self.healthy("claude-other-cloud")

    def test_available_models(self):
        self.configure()
        self.json_file(SETTINGS, lambda v: v.update(availableModels=["sonnet"]))
        finding = self.sick("claude-available-models")
        self.assertIn('add "databricks-claude-opus-4-6"', finding["fix"])
        self.json_file(SETTINGS, lambda v: v["availableModels"].append("databricks-claude-opus-4-6"))
        self.healthy("claude-available-models")

    def test_a_base_url_without_credential(self):
        self.configure()
        self.json_file(SETTINGS, lambda v: v["env"].pop("ANTHROPIC_AUTH_TOKEN"))
        self.cured("claude-no-credential")

    def test_a_base_url_with_v1(self):
        self.configure()
        self.edit(SETTINGS, "/anthropic\"", "/anthropic/v1\"")
        self.cured("claude-base-url")

    def project(self, value, name="settings.json"):
        folder = self.h.base / "project"
        (folder / ".claude").mkdir(parents=True, exist_ok=True)
        path = folder / ".claude" / name
        path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1))
        self.cwd = folder
        return path

    def test_otel_in_a_project(self):
        self.configure()
        path = self.project({"env": {"OTEL_METRICS_EXPORTER": "otlp"}})
        self.sick("claude-project-otel", "warning", file=path, line=3)
        path.write_text("{}")
        self.healthy("claude-project-otel")

    def test_a_project_that_redirects_the_token(self):
        self.configure()
        for name in ("settings.json", "settings.local.json"):
            path = self.project({"env": {"ANTHROPIC_BASE_URL": "https://elsewhere.example/anthropic"}}, name)
            finding = self.sick("claude-project-base-url", file=path, line=3)
            self.assertIn("elsewhere.example", finding["what"])
            path.write_text("{}")
            self.healthy("claude-project-base-url")

    def test_a_project_that_overrides(self):
        self.configure()
        path = self.project({"env": {"ANTHROPIC_MODEL": "x"}, "apiKeyHelper": "y"})
        self.sick("claude-project-overrides", "warning", file=path)
        path.write_text("{,}")
        self.sick("claude-project-invalid", "warning", file=path)
        path.write_text("{}")
        self.assertEqual(set(self.doctor()), {"claude-betas-off", "credential-missing"})

    def test_managed_settings(self):
        self.configure()
        for name in ("claude-code/managed-settings.json", "claude-code/managed-settings.d/10-x.json"):
            self.with_etc(**{name: '{"env": {"ANTHROPIC_MODEL": "managed"}}'})
            self.sick("claude-managed-settings", "warning")
            (self.etc / name).write_text('{\n"env": {"ANTHROPIC_BASE_URL": "https://managed.example"}}')
            finding = self.sick("claude-managed-settings", "broken", file="/etc/" + name, line=2)
            self.assertIn(f"theirs https://managed.example, yours {URL}/ai-gateway/anthropic", finding["evidence"])
            (self.etc / name).write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": OTHER_GATEWAY}}))
            self.assertNotIn("not-set-up", self.cured("claude-managed-settings", "info") and self.doctor())
            self.configure()
            (self.etc / name).write_text("{")
            self.sick("claude-managed-invalid", "broken")
            (self.etc / name).write_text("{}")
            findings = self.healthy("claude-managed-settings")
            self.assertNotIn("claude-managed-invalid", findings)

    def test_betas(self):
        self.configure()
        self.cured("claude-betas-off", "info")
        self.cured("claude-betas-on", "info")


class Gemini(Base):
    agent = "gemini"

    def setUp(self):
        super().setUp()
        self.env["GEMINI_CLI_TRUST_WORKSPACE"] = "true"
        self.configure()

    def test_selected_type(self):
        self.edit(GEMINI, "gemini-api-key", "oauth-personal")
        self.cured("gemini-selected-type", file=self.h.path(GEMINI))
        self.json_file(GEMINI, lambda v: v["security"]["auth"].pop("selectedType"))
        self.cured("gemini-selected-type")

    def test_enforced_type(self):
        self.json_file(GEMINI, lambda v: v["security"]["auth"].update(enforcedType="vertex-ai"))
        finding = self.sick("gemini-enforced-type")
        self.assertIn("enforcedType", finding["fix"])
        self.json_file(GEMINI, lambda v: v["security"]["auth"].pop("enforcedType"))
        self.healthy("gemini-enforced-type")

    def test_system_settings(self):
        self.with_etc(**{"gemini-cli/settings.json": '{"security": {"auth": {"enforcedType": "vertex-ai", "selectedType": "vertex-ai"}}}'})
        self.sick("gemini-enforced-type", file="/etc/gemini-cli/settings.json")
        self.sick("gemini-selected-type", file="/etc/gemini-cli/settings.json")
        (self.etc / "gemini-cli/settings.json").write_text("{}")
        findings = self.healthy("gemini-enforced-type")
        self.assertNotIn("gemini-selected-type", findings)

    def test_an_untrusted_folder(self):
        del self.env["GEMINI_CLI_TRUST_WORKSPACE"]
        self.sick("gemini-untrusted-folder", "warning", file=self.cwd)
        folder, parent = str(self.cwd), str(self.cwd.parent)
        for entries, fine in (({folder: "TRUST_FOLDER"}, True), ({parent: "TRUST_FOLDER"}, True), ({folder: "TRUST_PARENT"}, True),
                              ({parent + "/other": "TRUST_PARENT"}, True), ({folder: "DO_NOT_TRUST"}, False), ({folder + "x": "TRUST_FOLDER"}, False),
                              ({parent: "TRUST_FOLDER", folder: "DO_NOT_TRUST"}, False), ({"/": "TRUST_FOLDER"}, True)):
            self.h.put(".gemini/trustedFolders.json", json.dumps(entries))
            found = "gemini-untrusted-folder" in self.doctor()
            self.assertEqual(found, not fine, entries)
        self.h.path(".gemini/trustedFolders.json").unlink()
        self.json_file(GEMINI, lambda v: v["security"].update(folderTrust={"enabled": False}))
        self.healthy("gemini-untrusted-folder")

    def test_a_project_env_that_hides_ours(self):
        project = self.h.home / "work/project"
        (project / "src").mkdir(parents=True)
        self.cwd = project / "src"
        (project / ".gemini").mkdir()
        (project / ".gemini/.env").write_text("A=1\n")
        finding = self.sick("gemini-env-hidden", file=project / ".gemini/.env")
        os.remove(finding["file"])
        self.healthy("gemini-env-hidden")
        (project / ".env").write_text("A=1\n")
        self.healthy("gemini-env-hidden")  # ignoreLocalEnv
        self.json_file(GEMINI, lambda v: v["advanced"].update(ignoreLocalEnv=False))
        self.cured("gemini-env-hidden", file=project / ".env")

    def test_versions_that_rewrite_model_names(self):
        for version, bad in (("0.44.0", False), ("0.45.0", True), ("0.60.0", True), ("0.61.0-nightly.20260909", True), ("0.61.0", False)):
            self.install("@google/gemini-cli", "gemini", version)
            self.assertEqual("gemini-version" in self.doctor(), bad, version)
        self.install("@google/gemini-cli", "gemini", "0.53.0")
        self.assertEqual(self.sick("gemini-version")["fix"], "npm install -g @google/gemini-cli@latest")

    def test_a_version_that_ignores_no_proxy(self):
        """0.43 sends loopback calls to a proxy as well, and no variable helps; seen with the real 0.43.0 and 0.61.0."""
        self.configure("gemini", "env", "--gateway", "http://127.0.0.1:8790")
        direct = {"HTTPS_PROXY": "http://user:hunter2@p:1", "NO_PROXY": "127.0.0.1,localhost"}
        self.install("@google/gemini-cli", "gemini", "0.43.0")
        finding = self.sick("gemini-no-proxy-ignored", env=direct)
        self.assertEqual(finding["fix"], "npm install -g @google/gemini-cli@latest")
        self.assertNotIn("hunter2", json.dumps(self.document))
        self.assertNotIn("proxy-variables", {f["id"] for f in self.document["findings"]}, "NO_PROXY is no remedy here")
        self.healthy("gemini-no-proxy-ignored")
        self.h.put(GEMINI_ENV, self.h.read(GEMINI_ENV).decode() + "https_proxy=http://p:1\n", mode=0o600)
        self.sick("gemini-no-proxy-ignored")
        for version in ("0.44.0", "0.61.0"):
            self.install("@google/gemini-cli", "gemini", version)
            self.healthy("gemini-no-proxy-ignored", env=direct)
            self.sick("proxy-variables")
        self.install("@google/gemini-cli", "gemini", "0.43.0")
        self.configure("gemini", "env")  # a gateway that is reached through the proxy
        self.healthy("gemini-no-proxy-ignored", env=direct)

    def test_variables(self):
        self.cured("gemini-model-empty", env={"GEMINI_MODEL": ""})
        self.cured("gemini-variable-empty", env={"GEMINI_API_KEY": ""})
        self.cured("gemini-shell-wins", "warning", env={"GEMINI_MODEL": "gemini-3-pro"})

    def test_no_bearer(self):
        self.edit(GEMINI_ENV, "GEMINI_API_KEY_AUTH_MECHANISM", "OTHER")
        self.cured("gemini-auth-mechanism")

    def test_no_key(self):
        self.edit(GEMINI_ENV, "GEMINI_API_KEY=", "OTHER=")
        self.cured("gemini-no-credential")

    def test_project_settings(self):
        path = self.cwd / ".gemini/settings.json"
        path.parent.mkdir()
        path.write_text('{\n"advanced": {"ignoreLocalEnv": false}}')
        self.sick("gemini-settings-above", "warning", file=path, line=2)
        path.write_text("{,}")
        self.sick("gemini-settings-above", "broken")
        path.write_text("{}")
        self.healthy("gemini-settings-above")


class Cursor(Base):
    agent = "cursor"

    def database(self, settings=None, key=True, wal=False, **changes):
        path = self.h.path(DATABASE)
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in path.parent.iterdir():
            name.unlink()
        self.value = {"openAIBaseUrl": GATEWAY + "/cursor/v1", "useOpenAIKey": True,
                      "aiSettings": {"userAddedModels": ["databricks-gpt-5-2"], "modelOverrideEnabled": ["databricks-gpt-5-2"], "modelOverrideDisabled": []},
                      **changes} if settings is None else settings
        db = sqlite3.connect(path)
        if wal:
            db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)")
        db.execute("PRAGMA user_version = 1")
        db.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps(self.value, separators=(",", ":"))))
        if key:
            db.execute("INSERT INTO ItemTable VALUES ('secret://cursorAuth/openAIKey', ?)", (json.dumps({"type": "Buffer", "data": list(b"v11" + OTHER.encode())}),))
        db.commit()
        db.close()
        return path

    def setUp(self):
        super().setUp()
        self.configure(form=None)

    def test_cursor_has_not_run(self):
        self.sick("cursor-not-here", "info")
        self.database()
        self.assertEqual(self.doctor(env={"DATABRICKS_TOKEN": PAT}), {})

    def test_each_setting(self):
        models = {"userAddedModels": ["databricks-gpt-5-2"], "modelOverrideEnabled": [], "modelOverrideDisabled": ["databricks-gpt-5-2"]}
        for name, severity, change in (("cursor-base-url", "broken", {"openAIBaseUrl": None}), ("cursor-base-url", "broken", {"openAIBaseUrl": "https://api.example/v1"}),
                                       ("cursor-loopback", "broken", {"openAIBaseUrl": "http://127.0.0.1:8790/cursor/v1"}),
                                       ("cursor-switch-off", "broken", {"useOpenAIKey": False}), ("cursor-model-missing", "broken", {"aiSettings": {}}),
                                       ("cursor-model-disabled", "warning", {"aiSettings": models})):
            self.database(**change)
            finding = self.sick(name, severity, file=self.h.path(DATABASE))
            self.assertNotIn("dbx-agents", finding["fix"].split(" ")[0])
            self.database()
            self.healthy(name)

    def test_the_key(self):
        self.database(key=False)
        self.sick("cursor-key-missing")
        for cell in ('{"type":"Buffer","data":[]}', '{"type": "Buffer", "data": []}', ""):
            path = self.database(key=False)
            with sqlite3.connect(path) as db:
                db.execute("INSERT INTO ItemTable VALUES ('secret://cursorAuth/openAIKey', ?)", (cell,))
            db.close()
            self.sick("cursor-key-missing")
        path = self.database(key=False)
        with sqlite3.connect(path) as db:
            db.execute("INSERT INTO ItemTable VALUES ('cursorAuth/openAIKey', ?)", (OTHER,))
        db.close()
        self.healthy("cursor-key-missing")

    def test_a_database_that_is_none(self):
        path = self.database()
        for text in (b"", b"not a database, but long enough to be taken for one" * 100):
            path.write_bytes(text)
            self.sick("cursor-database", "warning")
        self.database()
        self.healthy("cursor-database")
        path.unlink()
        path.mkdir()
        self.doctor()
        path.rmdir()
        os.mkfifo(path)
        self.doctor()

    def test_settings_in_another_form(self):
        for settings in ([], "x", {"openAIBaseUrl": 5, "useOpenAIKey": "yes", "aiSettings": {"userAddedModels": {"a": 1}}}):
            self.database(settings=settings)
            self.doctor()

    def files(self):
        folder = self.h.path(DATABASE).parent
        return {p.name: p.read_bytes() for p in folder.iterdir()}

    def test_a_log_beside_it_while_cursor_runs(self):
        path = self.database(wal=True, openAIBaseUrl=None)
        before = self.files()
        self.assertEqual(set(before), {"state.vscdb"})
        self.sick("cursor-base-url")
        self.assertEqual(self.files(), before, "no -wal and no -shm was made")
        running = sqlite3.connect(path)
        self.addCleanup(running.close)
        running.execute("PRAGMA wal_autocheckpoint=0")
        self.value["openAIBaseUrl"] = GATEWAY + "/cursor/v1"
        running.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps(self.value)))
        running.commit()
        before = self.files()
        self.assertEqual(set(before), {"state.vscdb", "state.vscdb-wal", "state.vscdb-shm"})
        self.healthy("cursor-base-url")
        self.assertEqual(self.files(), before, "nothing was written, and the newest values were read")

    def test_a_log_left_by_a_crash(self):
        path = self.database(wal=True, openAIBaseUrl=None)
        running = sqlite3.connect(path)
        running.execute("PRAGMA wal_autocheckpoint=0")
        running.execute("INSERT INTO ItemTable VALUES ('x', 'y')")
        running.commit()
        copy = self.files()
        running.close()
        for name, data in copy.items():
            if not name.endswith("-shm"):
                self.h.put(os.path.join(os.path.dirname(DATABASE), name), data)
        shm = path.with_name("state.vscdb-shm")
        shm.unlink(missing_ok=True)
        before = self.files()
        self.sick("cursor-base-url")
        self.assertEqual(self.files(), before, "no file was made")

    def test_a_writer_does_not_stop_it(self):
        path = self.database()
        running = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(running.close)
        running.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        self.doctor()
        self.assertLess(time.monotonic() - started, 15)

    def test_a_huge_database(self):
        path = self.database()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE cursorDiskKV (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)")
        db.close()
        os.truncate(path, 3 << 30)  # sparse; never read as a whole, neither here nor there
        started = time.monotonic()
        done = self.shell(":", "doctor", "--offline", "--json", "cursor")
        self.assertLess(time.monotonic() - started, 15)
        self.assertNotIn("cursor-database", {f["id"] for f in json.loads(done.stdout)["findings"]})

    def test_the_cli(self):
        self.database()
        program = self.h.base / "bin/cursor-agent"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        self.sick("cursor-cli", "info")
        program.unlink()
        self.healthy("cursor-cli")


if __name__ == "__main__":
    main()
