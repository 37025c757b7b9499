"""doctor: its shape, and what it finds about any agent. Every finding is made, seen, its fix applied as it stands there, and gone.

Each agent's own findings are in test_doctor_agents.py, the gateway's in test_doctor_network.py."""

import json
import os
import re
import shutil
import subprocess

from doctor_base import CODEX_ENV, CONFIG, GEMINI, GEMINI_ENV, OTHER, SETTINGS, URL, Base
from harness import HERE, PAT, binary, main
from terminal import at_a_terminal
from test_templates import FIFTH


class Shape(Base):
    def test_nothing_is_here(self):
        done = self.shell(":", "doctor", "--offline")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("No agent is installed or configured", done.stdout)
        self.assertEqual(self.h.snapshot(with_state=True), {}, "doctor writes nothing")
        done = self.shell(":", "doctor", "--offline", "--verbose")
        self.assertEqual(done.stdout.count("neither installed nor configured"), 6, done.stdout)
        self.assertEqual(self.doctor(), {})
        self.assertEqual(sorted(self.document["skipped"]), ["claude", "codex", "copilot", "cursor", "gemini", "opencode"])

    def test_a_named_agent_is_never_skipped(self):
        self.cured("not-set-up", "info", "codex")

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

    def test_twenty_columns(self):
        """Every word of every finding is there, whatever the width; a path or an address is never cut."""
        self.configure("claude", "pat", "--gateway", "http://127.0.0.1:8790")
        self.json_file(SETTINGS, lambda v: (v["env"].pop("NO_PROXY"), v.update(availableModels=["sonnet"])))
        self.h.path(SETTINGS).chmod(0o644)
        seen = set()
        for columns in (1, 20, 80, 500):
            text = at_a_terminal(self.h, ["doctor", "--offline", "--no-color"], {"HTTP_PROXY": "http://p:1"}, columns=columns)[0].replace("\r\n", "\n")
            self.assertIn("~/.claude/settings.json:", text)
            self.assertIn("http://127.0.0.1:8790", text)
            if columns >= 80:
                self.assertLessEqual(max(map(len, text.splitlines())), columns)
            seen.add(" ".join(text.split()))
        self.assertEqual(len(seen), 1, seen)

    def test_a_reader_that_is_not_there(self):
        """Its answer is lost, so it has failed; no crash, no complaint without end."""
        self.configure("codex")
        for command in ("dbx-agents doctor --offline >&-", "dbx-agents doctor --offline --json >&-", "dbx-agents doctor --offline > /dev/full"):
            done = self.shell(command)
            self.assertEqual(done.returncode, 1, f"{command}\n{done.stdout}{done.stderr}")
            self.assertLess(len(done.stderr), 2000)
        done = self.shell("dbx-agents doctor --offline | true")
        self.assertEqual(done.returncode, 0, done.stderr)

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

    def test_a_token_that_git_ignores(self):
        """A home folder under git whose patterns leave the file out, as dotfile repositories do."""
        self.git("init", "-q")
        self.configure("gemini")
        self.sick("token-in-git", "warning", "gemini", file=self.h.path(GEMINI_ENV))
        self.h.put(".gitignore", ".gemini/.env\n")
        self.healthy("token-in-git", "gemini")
        self.healthy("token-in-git", "gemini", before="export GIT_DIR=/nowhere GIT_WORK_TREE=/")  # of another repository
        (self.h.base / "bin/sh").symlink_to("/bin/sh")
        self.sick("token-in-git", "warning", "gemini", env={"PATH": str(self.h.base / "bin")})  # without git nobody knows
        self.git("add", "-f", ".gemini/.env")  # patterns do not help a file that is tracked
        self.sick("token-in-git", "warning", "gemini")
        self.git("rm", "-q", "--cached", ".gemini/.env")
        self.healthy("token-in-git", "gemini")
        self.h.put(".databrickscfg", f"[DEFAULT]\ntoken = {OTHER}\n", mode=0o600)
        self.sick("token-in-git", "warning", "gemini")
        self.h.put(".gitignore", "*\n")
        self.healthy("token-in-git", "gemini")

    def test_a_repository_runs_nothing_of_its_own(self):
        self.git("init", "-q")
        self.configure("gemini")
        trap = self.h.base / "trap"
        trap.write_text(f"#!/bin/sh\ntouch {self.h.base}/SPRUNG\n")
        trap.chmod(0o755)
        for key in ("core.fsmonitor", "core.pager", "core.editor", "alias.check-ignore"):
            self.git("config", key, ("!" if "alias" in key else "") + str(trap))
        self.sick("token-in-git", "warning", "gemini")
        self.assertFalse((self.h.base / "SPRUNG").exists())

    def test_a_link_into_a_work_tree(self):
        """Dotfiles: the file itself stands elsewhere, and git looks at where it stands."""
        self.configure("gemini")
        dotfiles = self.h.home / "dotfiles"
        dotfiles.mkdir()
        self.h.path(GEMINI_ENV).rename(dotfiles / "gemini.env")
        self.h.path(GEMINI_ENV).symlink_to(dotfiles / "gemini.env")
        self.git("init", "-q", "dotfiles")
        self.assertIn("~/dotfiles", self.sick("token-in-git", "warning", "gemini")["evidence"])
        (dotfiles / ".gitignore").write_text("*.env\n")
        self.healthy("token-in-git", "gemini")

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.h.home, check=True, capture_output=True, timeout=60,
                       env={"HOME": str(self.h.home), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"})

    def test_an_address_that_is_none(self):
        self.configure("claude")
        self.edit(SETTINGS, "azuredatabricks.net/", "azuredatabricks.net:notaport/")
        self.cured("address-invalid", "broken", "claude", file=self.h.path(SETTINGS))

    def fifth(self, more):
        """An agent of the user's own template."""
        for name, text in {**FIFTH, "agent.toml": FIFTH["agent.toml"] + more}.items():
            self.h.put(f".config/dbx-agents/templates/myagent/{name}", text)

    def test_what_a_template_warns_of(self):
        self.fifth('\n[[warn]]\nenvironment = "MYAGENT_URL"\ntext = "it wins over the file"\n'
                   '\n[[warn]]\nfile = "config"\nkey = "offline"\nunless = "false"\ntext = "no call is made"\n')
        self.configure("myagent", "env")
        self.cured("template-warning", "warning", "myagent", env={"MYAGENT_URL": "http://x"})
        self.h.put(".myagent/config.toml", "offline = true\n" + self.h.read(".myagent/config.toml").decode())
        finding = self.sick("template-warning", "warning", "myagent", file=self.h.path(".myagent/config.toml"), line=1)
        self.assertIn("take offline out of", finding["fix"])
        self.lines_gone(finding["file"], finding["line"])
        self.healthy("template-warning", "myagent")
        self.h.put(".myagent/config.toml", "offline = false\n" + self.h.read(".myagent/config.toml").decode())
        self.healthy("template-warning", "myagent")

    def test_versions_that_a_template_calls_bad(self):
        self.fifth('\n[program.bad]\nfrom = "2.0.0"\nbelow = "2.1.0"\ntext = "it forgets the model"\n')
        template = self.h.path(".config/dbx-agents/templates/myagent/agent.toml")
        template.write_text(template.read_text().replace('name = "myagent"', 'name = "myagent"\nnpm = "@me/myagent"'))
        for version, bad in (("1.9.9", False), ("2.0.0", True), ("2.1.0", False)):
            self.install("@me/myagent", "myagent", version)
            self.assertEqual("bad-version" in self.doctor("myagent"), bad, version)
        self.install("@me/myagent", "myagent", "2.0.5")
        self.assertEqual(self.sick("bad-version", "broken", "myagent")["fix"], "npm install -g @me/myagent@latest")
        self.install("@me/myagent", "myagent", "2.1.3")  # what the fix does
        self.healthy("bad-version", "myagent")

    def test_every_finding_is_in_a_test(self):
        """No new finding without its state, its fix and its end."""
        tests = "".join(path.read_text() for name in ("doctor", "proxy", "organisation") for path in HERE.glob(f"test_{name}*.py"))
        source = "".join(path.read_text() for path in (HERE.parent.parent / "core/doctor").glob("*.cpp"))
        first = r'(?:add\(\s*\{|push_back\(\s*\{|Finding\{|return\s*\{|trouble\()\s*'
        name = r'"([a-z0-9]+(?:-[a-z0-9]+)*)"'
        names = set(re.findall(first + name + ",", source))
        names |= {one for pair in re.findall(first + r"[^,;{}]*\?\s*" + name + r"\s*:\s*" + name, source) for one in pair}
        self.assertGreater(len(names), 80)
        self.assertEqual(sorted(one for one in names if f'"{one}"' not in tests), [])

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


if __name__ == "__main__":
    main()
