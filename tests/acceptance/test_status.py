"""status: each value with file and line, whose it is, drift, and what wins over it."""

import json

from cases import CASES
from harness import GATEWAY, PAT, WORKSPACE, Test, main
from test_setup import setup_args


class Status(Test):
    def setup(self, agent, form="env", *more, env=None):
        self.ok(self.h.run(*setup_args(agent, form, "--yes", *more), env=env or {"DATABRICKS_TOKEN": PAT}))

    def both(self, *agents, env=None, **kwargs):
        """The text and the document, which write nothing."""
        before = self.h.snapshot(with_state=True)
        text = self.ok(self.h.run("status", *agents, env=env, **kwargs))
        document = self.ok(self.h.run("status", *agents, "--json", env=env, **kwargs))
        self.same_snapshot(self.h.snapshot(with_state=True), before, "status writes nothing", text)
        return text, json.loads(document.out), document

    def test_nothing_is_configured(self):
        text, document, _ = self.both()
        self.says(text, "codex", "claude", "gemini", "cursor", where="out")
        self.says(text, ("not configured", "not set up"), where="out")

    def test_values_with_file_and_line(self):
        self.h.put(".codex/config.toml", "# one\n\napproval_policy = \"never\"\n")
        self.setup("codex")
        lines = self.h.read(".codex/config.toml").decode().split("\n")
        line = next(n for n, text in enumerate(lines, 1) if text.startswith("base_url"))
        text, _, document = self.both("codex")
        self.says(text, f"config.toml:{line}", GATEWAY + "/openai/v1", "databricks-gpt-5-2", where="out")
        self.assertIn(GATEWAY + "/openai/v1", document.out)
        self.assertNotIn("approval_policy", text.out)

    def test_lines_in_every_format(self):
        for agent, rel, key in (("claude", ".claude/settings.json", '"ANTHROPIC_BASE_URL"'), ("gemini", ".gemini/.env", "GOOGLE_GEMINI_BASE_URL"),
                                ("gemini", ".gemini/settings.json", '"selectedType"')):
            home = self.h = self.fresh()
            self.setup(agent)
            lines = home.read(rel).decode().split("\n")
            line = next(n for n, text in enumerate(lines, 1) if key in text)
            text, _, _ = self.both(agent)
            self.says(text, f"{rel.split('/')[1]}:{line}", key.strip('"'), where="out")

    def test_secrets_are_masked(self):
        self.setup("claude", "pat")
        self.setup("gemini", "pat")
        self.setup("codex", "pat")
        text, _, _ = self.both()
        self.says(text, "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY", where="out")

    def test_whose_a_value_is(self):
        case = next(c for c in CASES if c.file == "claude/02-portal-crlf.json")
        self.h.put(case.rel, case.data)
        foreign, _, _ = self.both("claude")
        self.says(foreign, "databricks-claude-sonnet-4", where="out")
        self.setup("claude", "helper")
        ours, _, _ = self.both("claude")
        self.assertNotEqual(foreign.out, ours.out)

    def test_drift(self):
        self.setup("codex")
        calm, _, calm_document = self.both("codex")
        self.h.put(".codex/config.toml", self.h.read(".codex/config.toml").replace(b'model = "databricks-gpt-5-2"', b'model = "gpt-6-sol"'))
        text, _, document = self.both("codex")
        self.says(text, "gpt-6-sol", "databricks-gpt-5-2" if "was" in text.out else "gpt-6-sol", where="out")
        self.says(text, ("changed", "drift", "differs"), where="out")
        self.assertNotIn("drift", calm.out.lower().replace("no drift", ""))
        self.assertNotEqual(calm_document.out, document.out)

    def test_a_key_that_somebody_removed(self):
        self.setup("codex")
        self.h.put(".codex/config.toml", self.h.read(".codex/config.toml").replace(b'model_provider = "databricks"\n', b""))
        text, _, _ = self.both("codex")
        self.says(text, "model_provider", where="out")
        self.says(text, ("missing", "removed", "gone", "not set"), where="out")

    def test_a_file_that_somebody_removed(self):
        self.setup("codex")
        self.h.path(".codex/config.toml").unlink()
        text, _, _ = self.both("codex")
        self.says(text, "config.toml", where="out")

    def test_a_file_that_does_not_parse(self):
        self.h.put(".claude/settings.json", "{\n  broken\n}\n")
        text, _, _ = self.both("claude")
        self.says(text, "settings.json", ("line 2", ":2"))

    def test_a_project_that_wins(self):
        self.setup("claude")
        self.h.put("project/.claude/settings.local.json", json.dumps({"env": {"ANTHROPIC_MODEL": "project-model", "ANTHROPIC_BASE_URL": "https://evil.example"}}))
        text, _, _ = self.both("claude", cwd=self.h.path("project"))
        self.says(text, "settings.local.json", where="out")
        self.says(text, "ANTHROPIC_BASE_URL", where="out")

    def test_a_project_model_of_codex(self):
        self.setup("codex")
        self.h.put("project/.codex/config.toml", 'model = "project-model"\n')
        text, _, _ = self.both("codex", cwd=self.h.path("project"))
        self.says(text, "project", where="out")

    def test_the_environment_that_wins_over_gemini(self):
        self.setup("gemini")
        text, _, _ = self.both("gemini", env={"GEMINI_MODEL": "from-the-shell"})
        self.says(text, "environment", "GEMINI_MODEL", where="out")

    def test_a_variable_of_the_shell_does_not_win_over_claude_but_a_token_beside_the_helper_does(self):
        self.setup("claude", "helper")
        calm, _, _ = self.both("claude")
        text, _, _ = self.both("claude", env={"ANTHROPIC_AUTH_TOKEN": PAT})
        self.says(text, "ANTHROPIC_AUTH_TOKEN")

    def test_a_token_in_codex_env_file(self):
        self.h.put(".codex/.env", "DATABRICKS_TOKEN=dapi99999999999999999999999999999999\n")
        result = self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.says(result, ".env", "DATABRICKS_TOKEN")

    def test_the_origin_of_settings_is_shown(self):
        self.h.put(".config/dbx-agents/config.toml", f'workspace = "{WORKSPACE}"\n')
        text, _, _ = self.both()
        self.says(text, "config.toml", where="text")

    def test_unknown_versions_and_missing_agents_are_no_error(self):
        text, _, _ = self.both("codex")
        self.says(text, ("not found", "not installed", "unknown"), where="out")

    def test_the_network_is_not_needed_and_nothing_is_started(self):
        """Agents on PATH that would tell if they were started."""
        place = self.h.base / "bin"
        place.mkdir()
        for name in ("codex", "claude", "gemini", "cursor", "databricks", "az"):
            (place / name).write_text(f"#!/bin/sh\ntouch '{self.h.base}/started-{name}'\nsleep 5\n")
            (place / name).chmod(0o755)
        env = {"PATH": f"{place}:/usr/bin:/bin", "DATABRICKS_TOKEN": PAT}
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env=env))
        self.ok(self.h.run("status", env=env))
        self.ok(self.h.run("revert", "--all", env=env))
        self.assertEqual([p.name for p in self.h.base.iterdir() if p.name.startswith("started")], [])


class Cursor(Test):
    def test_the_guide(self):
        result = self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--yes"))
        guide = self.h.read(".config/dbx-agents/cursor.md").decode()
        for text in (result.out, guide):
            for word in (GATEWAY + "/cursor/v1", "Override OpenAI Base URL", "personal access token", "Add Custom Model", "databricks-", "Ask mode", "127.0.0.1", "IP access"):
                self.assertIn(word, text.replace("\n", " ").replace("  ", " ") if " " in word else text, f"\n{result}")
            self.assertNotIn("{{", text)
        self.says(result, ("nothing in cursor has been changed", "not configured", "yours"))
        self.assertEqual(self.h.mode(".config/dbx-agents/cursor.md") & 0o022, 0)
        self.assertNotIn(".cursor", " ".join(self.h.snapshot()))

    def test_a_model_of_the_users_choice(self):
        self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--model", "system.ai.gpt-5-5", "--yes"))
        self.assertIn("system.ai.gpt-5-5", self.h.read(".config/dbx-agents/cursor.md").decode())

    def test_check_and_revert(self):
        self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--check"), 10)
        self.assertEqual(self.h.snapshot(with_state=True), {})
        self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--yes"))
        self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--check"), 0)
        self.ok(self.h.run("revert", "cursor"))
        self.assertFalse(self.h.path(".config/dbx-agents/cursor.md").exists())

    def test_a_configuration_beside_the_guide_stays(self):
        self.h.put(".config/dbx-agents/config.toml", f'workspace = "{WORKSPACE}"\n')
        self.ok(self.h.run("setup", "cursor", "--yes"))
        self.ok(self.h.run("revert", "cursor"))
        self.assertEqual({p for p, e in self.h.snapshot().items() if e[0] == "file"}, {".config/dbx-agents/config.toml"})

    def test_a_loopback_gateway_is_no_use_for_cursor(self):
        result = self.h.run("setup", "cursor", "--gateway", "http://127.0.0.1:8790", "--yes")
        self.says(result, "cursor", ("server", "loopback"))

    def test_no_token_anywhere(self):
        self.ok(self.h.run("setup", "cursor", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
        for path, (_, _, data) in self.h.snapshot(with_state=True).items():
            self.assertNotIn(PAT.encode(), data, path)


if __name__ == "__main__":
    main()
