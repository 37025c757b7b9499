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

    def test_status_says_locked_by(self):
        text = self.ok(self.etc.run("status")).out
        self.assertRegex(text, rf"workspace +{WORKSPACE} +\(locked by /etc/dbx-agents/config.toml:1\)")
        self.assertRegex(text, r"proxy.port +8790 +\(locked by /etc/dbx-agents/config.toml:7\)")
        report = json.loads(self.ok(self.etc.run("status", "--json")).out)
        self.assertTrue(report["workspace"]["locked"])
        self.assertEqual(set(report["locked"]), {"workspace", "proxy.port", "agents.codex.model"})

    def onboard(self, *args, env=None, path=None):
        tools = self.h.base / "tools"
        tools.mkdir(exist_ok=True)
        link = tools / "dbx-agents"
        if not link.exists():
            link.symlink_to(binary())
        return self.etc.run(*args, exe=str(SCRIPT), env={"PATH": path or f"{tools}:/usr/bin:/bin", **(env or {})})

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
        self.assertEqual(self.onboard("codex", "--auth", "pat").code, 3)
        self.h.path(".codex/config.toml").unlink()
        self.assertEqual(self.onboard("codex", "--auth", "pat").code, 4)
        self.ok(self.onboard("codex", "--auth", "pat", env={"DATABRICKS_TOKEN": PAT}))
        self.assertEqual(self.onboard(path="/usr/bin:/bin").code, 1)
        self.etc.put("dbx-agents/config.toml", "")
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


if __name__ == "__main__":
    main()
