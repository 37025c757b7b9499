"""doctor: every finding is made, seen, its fix applied as it stands there, and gone.

The network part talks to the stand-in workspace (DBX_AGENTS_WORKSPACE); it is skipped without it."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import unittest

from harness import GATEWAY, HERE, PAT, WORKSPACE, Test, binary, main

sys.path.insert(0, str(HERE.parent / "workspace"))
import standin  # noqa: E402

OTHER = "dapi" + "0f1e2d3c" * 4
CONFIG, CODEX_ENV = ".codex/config.toml", ".codex/.env"
SETTINGS = ".claude/settings.json"
GEMINI, GEMINI_ENV = ".gemini/settings.json", ".gemini/.env"
DATABASE = ".config/Cursor/User/globalStorage/state.vscdb"
URL = WORKSPACE


def private_mounts():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Base(Test):
    agent = ""
    network = ("--offline",)

    def setUp(self):
        super().setUp()
        self.h.secrets += [OTHER, standin.PAT, standin.NARROW, standin.GUEST]
        self.env = {}
        self.cwd = self.h.base / "tmp"
        self.etc = None
        for name in [name for name in self.h.env if name.lower().endswith("_proxy")]:
            del self.h.env[name]  # they are a finding
        bin_folder = self.h.base / "bin"
        bin_folder.mkdir()
        (bin_folder / "dbx-agents").symlink_to(binary())
        self.h.env["PATH"] = f"{bin_folder}:{self.h.base}/npm/bin:/usr/bin:/bin"

    def install(self, package, name, version):
        folder = self.h.base / "npm/lib/node_modules" / package
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"name": package, "version": version}))
        (folder / "bin/run").write_text("#!/bin/sh\necho started > \"$HOME/STARTED\"\n")
        (folder / "bin/run").chmod(0o755)
        link = self.h.base / "npm/bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../lib/node_modules/{package}/bin/run")

    def configure(self, agent=None, form="pat", *more, env=None):
        agent = agent or self.agent
        args = ["setup", agent, "--yes", *more]
        if "--workspace" not in more and "--gateway" not in more:
            args += ["--workspace", URL]
        if form:
            args += ["--auth", form]
        return self.ok(self.h.run(*args, env={"DATABRICKS_TOKEN": PAT, **(env or {})}))

    def shell(self, command, *args, env=None):
        """Runs a command line as a user's shell would, then doctor in the same shell if `args` are given."""
        full = {**self.h.env, **self.env, **(env or {})}
        full = {name: value for name, value in full.items() if value is not None}
        text = command + ('\nexec dbx-agents "$@"' if args else "")
        argv = ["sh", "-c", text, "sh", *args]
        if self.etc:
            script = 'cp /etc/ld.so.cache "$1/" 2>/dev/null; mount --bind "$1" /etc; shift; exec "$@"'
            argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(self.etc), *argv]
        done = subprocess.run(argv, env=full, cwd=self.cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        for secret in self.h.secrets:
            self.assertNotIn(secret, done.stdout + done.stderr, "a secret is shown")
        return done

    def doctor(self, *agents, before=":", env=None):
        agents = agents or ((self.agent,) if self.agent else ())
        state = self.h.snapshot()
        done = self.shell(before, "doctor", "--json", *self.network, *agents, env=env)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        document = json.loads(done.stdout)
        broken = [f for f in document["findings"] if f["severity"] == "broken"]
        self.assertEqual(done.returncode, 1 if broken else 0, done.stdout)
        self.assertEqual(document["broken"], len(broken))
        if before == ":":
            self.same_snapshot(self.h.snapshot(), state, "doctor writes nothing")
        text = self.shell(before, "doctor", *self.network, *agents, env=env)
        for finding in document["findings"]:
            for member in ("id", "severity", "what", "fix"):
                self.assertTrue(finding[member], f"{member} is empty: {finding}")
        self.assertEqual(text.stdout.count("fix: "), len(document["findings"]), text.stdout)
        self.document = document
        return {f["id"]: f for f in document["findings"]}

    def sick(self, name, severity="broken", *agents, env=None, file=None, line=None):
        findings = self.doctor(*agents, env=env)
        self.assertIn(name, findings, json.dumps(self.document, indent=1))
        finding = findings[name]
        self.assertEqual(finding["severity"], severity, finding)
        if file:
            self.assertEqual(finding["file"], str(file))
        if line:
            self.assertEqual(finding["line"], line)
        return finding

    def healthy(self, name, *agents, before=":", env=None):
        findings = self.doctor(*agents, before=before, env=env)
        self.assertNotIn(name, findings, json.dumps(self.document, indent=1))
        return findings

    def cured(self, name, severity="broken", *agents, env=None, token=None, file=None, line=None):
        """Sees the finding, runs its fix as a command, and sees it gone."""
        finding = self.sick(name, severity, *agents, env=env, file=file, line=line)
        fix = finding["fix"].split(", also in your shell")[0].removeprefix("to try them: ").removeprefix("if that happens: ")
        words = fix.split()
        self.assertIn(words[0], ("dbx-agents", "chmod", "mkdir", "export", "unset"), finding)
        if words[:2] == ["dbx-agents", "setup"]:
            fix += " --yes"
        fix = fix.replace("https://YOUR-WORKSPACE", URL)
        if words[0] in ("export", "unset"):
            self.healthy(name, *agents, before=fix, env=env)
        else:
            done = self.shell(fix, env={**(env or {}), "DATABRICKS_TOKEN": token or PAT})
            self.assertEqual(done.returncode, 0, f"{fix}\n{done.stdout}{done.stderr}")
            self.healthy(name, *agents, env=env)
        return finding

    def edit(self, rel, old, new):
        text = self.h.read(rel).decode()
        self.assertIn(old, text)
        mode = self.h.mode(rel)
        self.h.put(rel, text.replace(old, new, 1), mode=mode)

    def lines_gone(self, path, number):
        lines = open(path).read().split("\n")
        del lines[number - 1]
        mode = os.stat(path).st_mode & 0o777
        open(path, "w").write("\n".join(lines))
        os.chmod(path, mode)

    def json_file(self, rel, change=None):
        value = json.loads(self.h.read(rel))
        if change:
            change(value)
            self.h.put(rel, json.dumps(value, indent=2) + "\n", mode=self.h.mode(rel))
        return value

    def with_etc(self, **files):
        if not private_mounts():
            self.skipTest("needs root and mount namespaces")
        self.etc = self.h.base / "etc"
        for name, text in {**files, "passwd": "root:x:0:0::/:/bin/sh\n"}.items():
            path = self.etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


class Shape(Base):
    def test_nothing_is_here(self):
        done = self.shell(":", "doctor", "--offline")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("No agent is installed or configured", done.stdout)
        self.assertEqual(self.h.snapshot(with_state=True), {}, "doctor writes nothing")
        done = self.shell(":", "doctor", "--offline", "--verbose")
        self.assertEqual(done.stdout.count("neither installed nor configured"), 4, done.stdout)
        self.assertEqual(self.doctor(), {})
        self.assertEqual(sorted(self.document["skipped"]), ["claude", "codex", "cursor", "gemini"])

    def test_a_named_agent_is_never_skipped(self):
        self.sick("not-set-up", "info", "codex")

    def test_all_agents_set_up_well(self):
        self.ok(self.h.run("setup", "--all", "--workspace", URL, "--auth", "auto", "--yes", env={"DATABRICKS_TOKEN": PAT}))
        findings = self.doctor(env={"DATABRICKS_TOKEN": PAT, "GEMINI_CLI_TRUST_WORKSPACE": "true"})
        self.assertEqual(set(findings), {"claude-betas-off", "cursor-not-here"}, json.dumps(self.document, indent=1))
        self.assertFalse((self.h.home / "STARTED").exists())

    def test_an_unknown_agent_and_a_bad_flag(self):
        self.is_error(self.h.run("doctor", "codexx"), 2, "codex", unchanged=False)
        self.assertEqual(self.h.run("doctor", "--ofline").code, 2)

    def test_lines_of_the_text(self):
        self.h.put(CONFIG, 'profile = "default"\n')
        done = self.shell(":", "doctor", "--offline", "codex")
        lines = done.stdout.split("\n")
        at = next(n for n, line in enumerate(lines) if line.startswith("✗ codex: "))
        self.assertTrue(any(line.strip().endswith(".codex/config.toml:1") for line in lines[at:at + 4]), done.stdout)
        self.assertRegex(done.stdout, r"(?m)^    fix: ")
        self.assertRegex(lines[-2], r"^1 thing broken, 0 warnings, \d remark")

    def test_an_unreadable_journal_is_an_error(self):
        self.configure("codex")
        self.h.put(".local/state/dbx-agents/journal.json", "{")
        self.assertEqual(self.h.run("doctor", "--offline").code, 3)


class Common(Base):
    def test_drift(self):
        self.configure("codex")
        self.edit(CONFIG, "databricks-gpt-5-2", "gpt-6-sol")
        self.cured("drift", "warning", "codex", file=self.h.path(CONFIG))

    def test_a_file_that_is_gone(self):
        for agent, rel in (("codex", CONFIG), ("claude", SETTINGS), ("gemini", GEMINI), ("cursor", ".config/dbx-agents/cursor.md")):
            self.configure(agent, None if agent == "cursor" else "pat")
            self.h.path(rel).unlink()
            self.cured("file-gone", "broken", agent)

    def test_files_that_do_not_parse(self):
        for agent, rel, name, bad in (("codex", CONFIG, "file-invalid", "model = \n"), ("claude", SETTINGS, "claude-settings-invalid", '{"env": {},}'),
                                      ("gemini", GEMINI, "file-invalid", '{"a": 1,}'), ("claude", SETTINGS, "claude-settings-invalid", "// x\n{}"),
                                      ("claude", SETTINGS, "claude-settings-invalid", '{"permissions": "all"}'),
                                      ("claude", SETTINGS, "claude-settings-invalid", '{"apiKeyHelper": 5}')):
            self.h.put(rel, bad)
            finding = self.sick(name, "broken", agent, file=self.h.path(rel))
            self.assertIn(rel.rsplit("/", 1)[1], finding["fix"])
            self.h.put(rel, "" if agent == "codex" else "{}")
            self.healthy(name, agent)

    def test_a_directory_a_fifo_and_a_loop_in_a_files_place(self):
        self.h.path(".codex").mkdir()
        for make in (lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to(p)):
            make(self.h.path(CONFIG))
            self.assertIn("file-invalid", self.doctor("codex"))
            path = self.h.path(CONFIG)
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def test_a_helper_that_is_gone(self):
        """The program was moved after setup: Codex and Claude Code would ask without a token."""
        moved = self.h.base / "moved"
        moved.mkdir()
        shutil.copy(binary(), moved / "dbx-agents")
        env = {"DATABRICKS_TOKEN": PAT}
        for agent in ("codex", "claude"):
            self.ok(self.h.run("setup", agent, "--workspace", URL, "--auth", "helper", "--yes", exe=str(moved / "dbx-agents"), env=env))
        for agent in ("codex", "claude"):
            self.healthy("helper-missing", agent)
        (moved / "dbx-agents").chmod(0o644)
        self.cured("helper-missing", "broken", "claude")
        (moved / "dbx-agents").unlink()
        for agent in ("codex", "claude"):
            self.cured("helper-missing", "broken", agent)

    def test_proxy_variables(self):
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent, "env", "--gateway", "http://127.0.0.1:8790")
            if agent == "claude":  # setup wrote NO_PROXY
                self.healthy("proxy-variables", agent, env={"HTTP_PROXY": "http://p:1"})
                self.json_file(SETTINGS, lambda v: (v["env"].pop("NO_PROXY"), v["env"].pop("no_proxy", 0)))
            for name in ("HTTP_PROXY", "all_proxy"):
                finding = self.cured("proxy-variables", "broken", agent, env={name: "http://user:hunter2@p:1"})
                self.assertIn(name, finding["what"])
                self.assertNotIn("hunter2", json.dumps(self.document))
            self.cured("proxy-variables", "broken", agent, env={"HTTP_PROXY": "http://p:1", "NO_PROXY": "example.com"})
            self.cured("proxy-variables", "broken", agent, env={"HTTP_PROXY": "http://p:1", "no_proxy": "example.com"})
            for fine in ("*", "127.0.0.1", "localhost, 127.0.0.1", "127.0.0.0/8"):
                self.healthy("proxy-variables", agent, env={"HTTP_PROXY": "http://p:1", "NO_PROXY": fine})
        self.configure("codex", "env")
        self.healthy("proxy-variables", "codex", env={"HTTP_PROXY": "http://p:1"})

    def test_proxy_variables_in_the_agents_own_file(self):
        self.configure("codex", "pat", "--gateway", "http://127.0.0.1:8790")
        self.h.put(CODEX_ENV, self.h.read(CODEX_ENV).decode() + "HTTP_PROXY=http://p:1\n", mode=0o600)
        self.sick("proxy-variables", "broken", "codex")
        self.h.put(CODEX_ENV, self.h.read(CODEX_ENV).decode() + "NO_PROXY=127.0.0.1\n", mode=0o600)
        self.healthy("proxy-variables", "codex")

    def test_token_files_that_others_can_read(self):
        for agent, rel in (("codex", CODEX_ENV), ("claude", SETTINGS), ("gemini", GEMINI_ENV)):
            self.configure(agent)
            self.healthy("token-readable", agent)
            self.h.path(rel).chmod(0o644)
            self.cured("token-readable", "warning", agent, file=self.h.path(rel))
        self.configure("claude", "helper")
        self.h.path(SETTINGS).chmod(0o644)
        self.healthy("token-readable", "claude")

    def test_databrickscfg(self):
        self.configure("claude", "helper")
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = {URL}\ntoken = {OTHER}\n", mode=0o644)
        self.cured("token-readable", "warning", "claude", file=self.h.path(".databrickscfg"), line=3)
        (self.h.home / ".git").mkdir()
        self.sick("token-in-git", "warning", "claude")
        elsewhere = self.h.base / "cfg"
        self.h.path(".databrickscfg").rename(elsewhere)
        self.healthy("token-in-git", "claude", before=f"export DATABRICKS_CONFIG_FILE={elsewhere}")

    def test_a_token_in_a_git_work_tree(self):
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent)
            self.healthy("token-in-git", agent)
        (self.h.home / ".git").mkdir()
        for agent in ("codex", "claude", "gemini"):
            self.cured("token-in-git", "warning", agent)

    def test_the_deprecated_host(self):
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent, "env", "--gateway", "https://1234567890123456.ai-gateway.cloud.databricks.com")
            self.cured("deprecated-gateway", "warning", agent)

    def test_an_address_without_encryption(self):
        self.configure("claude", "pat")
        self.edit(SETTINGS, "https://adb", "http://adb")
        self.cured("address-plain-http", "broken", "claude")

    def test_no_credential(self):
        self.configure("codex", "helper")
        finding = self.sick("credential-missing", "broken", "codex")
        self.assertTrue(finding["fix"])
        self.healthy("credential-missing", "codex", env={"DATABRICKS_TOKEN": PAT})
        self.configure("codex", "pat")
        self.sick("credential-missing", "info", "codex")


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
        (self.etc / "codex/managed_config.toml").write_text("x = 1\n")
        self.healthy("codex-managed-config")
        (self.etc / "codex/managed_config.toml").write_text("x = \n")
        self.sick("codex-managed-config", "broken")

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
            self.with_etc(**{name: '{"env": {"ANTHROPIC_BASE_URL": "https://managed.example"}}'})
            self.sick("claude-managed-settings", "warning")
            (self.etc / name).write_text("{")
            self.sick("claude-managed-invalid", "broken")
            (self.etc / name).write_text("{}")
            findings = self.healthy("claude-managed-settings")
            self.assertNotIn("claude-managed-invalid", findings)

    def test_betas(self):
        self.configure()
        self.cured("claude-betas-off", "info")
        self.cured("claude-betas-on", "info")

    def test_otel_headers_of_the_shell(self):
        self.configure()
        self.json_file(SETTINGS, lambda v: v["env"].update(OTEL_EXPORTER_OTLP_METRICS_HEADERS="X-Databricks-UC-Table-Name=a.b.c"))
        self.cured("claude-otel-headers", "warning", env={"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer " + OTHER})


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


KEY = "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl.persistentStorage.applicationUser"


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


@unittest.skipUnless(os.access(os.environ.get("DBX_AGENTS_WORKSPACE", ""), os.X_OK), "needs DBX_AGENTS_WORKSPACE")
class Network(Base):
    network = ()

    def setUp(self):
        super().setUp()
        self.w = standin.Workspace(str(self.h.base / "workspace"))
        self.addCleanup(self.w.stop)
        self.url = f"http://127.0.0.1:{self.w.port}"
        self.env = {"DATABRICKS_TOKEN": standin.PAT, "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def configure(self, agent=None, form="pat", *more, env=None):
        args = ["setup", agent or self.agent, "--workspace", self.url, "--yes", *more]
        return self.ok(self.h.run(*args, *(["--auth", form] if form else []), env={"DATABRICKS_TOKEN": standin.PAT, **(env or {})}))

    def three(self, form="pat"):
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent, form)

    def cursor(self):
        path = self.h.path(DATABASE)
        path.parent.mkdir(parents=True)
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)")
            db.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps({"openAIBaseUrl": self.url + "/ai-gateway/cursor/v1"})))
        db.close()

    def asked(self):
        return [entry for entry in self.w.requests() if entry["method"] == "POST"]

    def test_all_is_well(self):
        self.three()
        self.cursor()
        started = time.monotonic()
        findings = self.doctor("codex", "claude", "gemini")
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(set(findings), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        self.assertEqual({p["outcome"] for p in self.document["probes"]}, {"ok"})
        self.assertEqual({(e["path"], e["model"]["asked"]) for e in self.asked()},
                         {("/ai-gateway/openai/v1/responses", "databricks-gpt-5-2"), ("/ai-gateway/anthropic/v1/messages", "databricks-claude-opus-4-6"),
                          ("/ai-gateway/gemini/v1beta/models/databricks-gemini-2-5-flash:generateContent", "databricks-gemini-2-5-flash")})
        for entry in self.asked():
            self.assertEqual(standin.header_map(entry)["authorization"], "Bearer " + standin.PAT)
        self.assertIn("✓ codex: POST", self.shell(":", "doctor", "--verbose").stdout)

    def test_helpers_are_run(self):
        for agent in ("codex", "claude"):
            self.configure(agent, "helper")
        self.assertEqual(set(self.doctor("codex", "claude")), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        self.sick("helper-failed", "broken", "codex", env={"DATABRICKS_TOKEN": None})
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper="printf 'a\\nb\\n'"))
        self.sick("helper-output", "broken", "claude")
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper="true"))
        self.sick("helper-output", "broken", "claude")
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper=f"echo '{OTHER}'; echo noise >&2"))
        self.sick("token-refused", "broken", "claude")
        self.configure("claude", "helper")
        self.assertEqual(set(self.doctor("claude")), {"claude-betas-off"})

    def test_a_helper_that_hangs(self):
        self.configure("codex", "helper")
        self.edit(CONFIG, "timeout_ms = 5000", "timeout_ms = 300")
        slow = self.h.base / "slow"
        slow.write_text("#!/bin/sh\nsleep 60\n")
        slow.chmod(0o755)
        self.edit(CONFIG, f'command = "{self.h.base}/bin/dbx-agents"' if f'"{self.h.base}/bin/dbx-agents"' in self.h.read(CONFIG).decode() else f'command = "{binary()}"', f'command = "{slow}"')
        self.sick("helper-slow", "broken", "codex")
        self.configure("codex", "helper")
        self.healthy("helper-slow", "codex")

    def test_each_class_of_failure(self):
        """Each has its own id, sentence and fix, for each agent; it goes when the workspace is well again."""
        self.three()
        sentences = {}
        for fault, name, severity in (({"fault": "401"}, "token-not-taken", "broken"), ({"fault": "400_invalid_token"}, "token-refused", "broken"),
                                      ({"fault": "403_scope"}, "token-scope", "broken"), ({"fault": "403_ip_list"}, "ip-blocked", "broken"),
                                      ({"fault": "403"}, "no-permission", "broken"), ({"fault": "404_route"}, "route-missing", "broken"),
                                      ({"fault": "429"}, "rate-limited", "warning"), ({"fault": "500"}, "server-error", "broken"),
                                      ({"fault": "503"}, "unavailable", "broken"), ({"fault": "html_login_page"}, "login-page", "broken"),
                                      ({"fault": "private_link_redirect"}, "private-link", "broken"),
                                      ({"fault": "raw", "status": 400, "body": '{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}'}, "request-refused", "broken"),
                                      ({"fault": "raw", "status": 302, "headers": {"Location": "https://elsewhere.example/x"}, "body": ""}, "redirected", "broken"),
                                      ({"fault": "cut_before_processing"}, "connection-dropped", "broken")):
            self.w.control("POST", "faults", {**fault, "path": "*", "method": "POST", "count": "forever"})
            findings = self.doctor("codex", "claude", "gemini")
            hits = [f for f in self.document["findings"] if f["id"] == name]
            self.assertEqual({f["agent"] for f in hits}, {"codex", "claude", "gemini"}, f"{fault}\n{json.dumps(self.document, indent=1)}")
            self.assertEqual({f["severity"] for f in hits}, {severity})
            sentences[name] = (findings[name]["what"], findings[name]["fix"])
            self.w.control("DELETE", "faults")
        self.assertEqual(len({s[0] for s in sentences.values()}), len(sentences), "a sentence of its own for each class")
        self.assertEqual(set(self.doctor("codex", "claude", "gemini")), {"claude-betas-off"})

    def test_a_bad_token_and_its_fix(self):
        for agent in ("claude", "gemini", "codex"):
            self.ok(self.h.run("setup", agent, "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": OTHER}))
            finding = self.sick("token-refused", "broken", agent)
            command = finding["fix"].split(", then ")[1]
            self.assertEqual(self.shell(command + " --yes").returncode, 0)
            self.healthy("token-refused", agent)

    def test_a_token_without_rights(self):
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.GUEST}))
        findings = self.doctor("claude")
        self.assertNotIn("token-refused", findings)

    def test_a_narrow_token_is_enough(self):
        """The scope ai-gateway reaches the routes, not the list of models: that is no trouble."""
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.NARROW}))
        findings = self.doctor("claude", env={"DATABRICKS_TOKEN": standin.NARROW})
        self.assertEqual([f for f in findings.values() if f["severity"] != "info"], [], json.dumps(self.document, indent=1))

    def test_codex_finds_the_other_route(self):
        self.configure("codex")
        self.w.control("POST", "settings", {"disabled_routes": ["/openai/*"]})
        finding = self.sick("codex-route", "broken", "codex", file=self.h.path(CONFIG))
        self.assertIn(self.url + "/ai-gateway/codex/v1", finding["fix"])
        self.edit(CONFIG, "/openai/v1", "/codex/v1")
        self.assertEqual(self.doctor("codex"), {}, json.dumps(self.document, indent=1))
        self.w.control("POST", "settings", {"disabled_routes": ["/openai/*", "/codex/*"]})
        self.sick("route-missing", "broken", "codex")

    def test_a_model_that_is_not_there(self):
        self.configure("claude", "pat", "--model", "databricks-claude-opus-4-66")
        finding = self.sick("model-missing", "broken", "claude", file=self.h.path(SETTINGS))
        self.assertIn("--model databricks-claude-opus-4-6", finding["fix"])
        self.cured("model-missing", "broken", "claude", token=standin.PAT)

    def test_a_side_model_that_is_not_there(self):
        self.configure("claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="databricks-claude-haiku-4-4"))
        finding = self.sick("model-missing", "broken", "claude")
        self.assertIn("haiku", finding["fix"])
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="system.ai.claude-haiku-4-5"))
        self.healthy("model-missing", "claude")

    def test_nobody_listens(self):
        """A loopback gateway is the local proxy: it does not run."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        for agent in ("codex", "claude", "gemini"):
            self.ok(self.h.run("setup", agent, "--gateway", f"http://127.0.0.1:{port}", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        self.doctor("codex", "claude", "gemini")
        self.assertEqual({f["agent"] for f in self.document["findings"] if f["id"] == "proxy-not-running"}, {"codex", "claude", "gemini"})

    def test_an_unknown_host(self):
        self.ok(self.h.run("setup", "claude", "--workspace", "https://no-such-host.invalid", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        self.sick("host-unknown", "broken", "claude")

    def test_bounded_in_time(self):
        self.three()
        self.w.control("POST", "faults", {"fault": "hang", "path": "*", "count": "forever"})
        started = time.monotonic()
        done = self.shell(":", "doctor", "--json")
        took = time.monotonic() - started
        self.assertLess(took, 25)
        names = {f["id"] for f in json.loads(done.stdout)["findings"]}
        self.assertIn("timeout", names)
        self.w.control("POST", "release")

    def test_offline_asks_nobody(self):
        self.three()
        self.shell(":", "doctor", "--offline")
        self.assertEqual(self.w.requests(), [])

    def test_cursor_sends_both_bodies(self):
        self.cursor()
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "env", "--yes"))  # the gateway is remembered
        self.doctor("cursor")
        probes = [p for p in self.document["probes"] if p["agent"] == "cursor"]
        self.assertEqual([p["outcome"] for p in probes], ["ok", "ok"], json.dumps(self.document, indent=1))
        bodies = [json.loads(e["body"]) for e in self.asked() if e["path"].endswith("/cursor/v1/chat/completions")]
        self.assertTrue(any("messages" in b for b in bodies) and any("input" in b for b in bodies))

    def test_the_token_of_one_address_goes_to_no_other(self):
        """Cursor's own base URL is another host: our credential is not tried there."""
        self.cursor()
        self.configure("claude")
        other = standin.Workspace(str(self.h.base / "other"))
        self.addCleanup(other.stop)
        db = sqlite3.connect(self.h.path(DATABASE))
        db.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps({"openAIBaseUrl": f"http://127.0.0.1:{other.port}/ai-gateway/cursor/v1"})))
        db.commit()
        db.close()
        self.doctor("cursor")
        self.assertEqual(other.requests(), [])


if __name__ == "__main__":
    main()
