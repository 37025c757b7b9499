"""`setup` without arguments, driven through a pseudo-terminal; and what it says where there is none."""

import os
import re
import subprocess
from pathlib import Path

import harness
from harness import PAT, WORKSPACE, Test, binary
from terminal import CTRL_C, CTRL_D, Terminal

PROFILES = f"""[DEFAULT]
host = {WORKSPACE}/
token = {PAT}

[eu]
host = https://adb-99.3.azuredatabricks.net
token = {PAT}
"""
LOCAL_KEY = re.compile(rb"dbxl_[0-9a-f]{64}")
PROMPTS = ("Number, or a URL", "Numbers or names, or all", "Keep these models?", "Number or name", "catalog.schema.prefix, or no", "Write these changes?")


class FirstRun(Test):
    def prepare(self, home, *found, profiles=PROFILES):
        if profiles:
            home.put(".databrickscfg", profiles, 0o600)
        tools = home.base / "tools"
        tools.mkdir()
        for name in found:
            (tools / name).write_text("#!/bin/sh\nexit 1\n")
            (tools / name).chmod(0o755)
        home.env["PATH"] = f"{tools}:/usr/bin:/bin"
        return home

    def setUp(self):
        super().setUp()
        self.prepare(self.h, "claude", "codex")

    def start(self, *args, **kwargs):
        terminal = Terminal(self.h, "setup", *args, **kwargs)
        self.addCleanup(terminal.__exit__)
        return terminal

    def done(self, terminal, code=0):
        self.assertEqual(terminal.end(), code, terminal.text)
        self.assertEqual(terminal.after, terminal.before, "the terminal's modes")
        for secret in self.h.secrets:
            self.assertNotIn(secret, terminal.text)
        return terminal.text

    def command_of(self, text):
        return re.search(r"The same without questions, for a script:\n  (dbx-agents .*)\n", text).group(1)

    def same_by_command(self, text, *found, profiles=PROFILES):
        """The printed command, by a shell without a terminal, in another HOME: the same files, byte for byte."""
        command = self.command_of(text)
        other = self.prepare(self.fresh(), *found, profiles=profiles)
        done = subprocess.run(["/bin/sh", "-c", command.replace("dbx-agents", binary(), 1)], env=other.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=harness.TIMEOUT, cwd=other.base / "tmp")
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        plain = lambda files: {path: (kind, mode, LOCAL_KEY.sub(b"KEY", data)) for path, (kind, mode, data) in files.items()}
        self.same_snapshot(plain(other.snapshot()), plain(self.h.snapshot()), command)
        self.assertEqual(other.read(".local/state/dbx-agents/remembered.json"), self.h.read(".local/state/dbx-agents/remembered.json"))
        return command

    def test_enter_takes_the_default_everywhere(self):
        terminal = self.start()
        terminal.answer("[1]:").answer("[codex claude]:").answer("[Y/n]").answer("[1]:").answer("or no [no]:").expect("apiKeyHelper").answer("Write these changes? [Y/n]")
        text = self.done(terminal)
        self.assertIn(f"1  {WORKSPACE}", text)
        self.assertIn("profile DEFAULT", text)
        self.assertRegex(text, r"3  Gemini CLI +not found here")
        self.assertRegex(text, r"auto +recommended: helper for codex, claude")
        self.assertTrue(self.h.path(".codex/config.toml").exists() and self.h.path(".claude/settings.json").exists())
        self.assertFalse(self.h.path(".gemini").exists())
        self.assertEqual(self.same_by_command(text, "claude", "codex"),
                         f"dbx-agents setup codex claude --workspace {WORKSPACE} --profile DEFAULT --yes")
        self.ok(self.h.run("revert", "--all"))
        self.assertFalse(self.h.path(".codex").exists() or self.h.path(".claude").exists())

    def test_other_answers_and_wrong_ones(self):
        """Each wrong answer is asked again, with the reason."""
        terminal = self.start()
        terminal.answer("Number, or a URL [1]:", "3").expect("'3'").answer("[1]:", "http://example.com").expect("http")
        terminal.answer("[1]:", "adb-7.7.azuredatabricks.net/?o=1#job")
        terminal.answer("[codex claude]:", "codx").expect("did you mean 'codex'?").answer("[codex claude]:", ",").expect("at least one")
        terminal.answer("[codex claude]:", "4, 2 gemini")
        terminal.answer("[Y/n]", "what").expect("it is y or n").answer("[Y/n]", "n")
        terminal.answer("Model for Codex CLI [databricks-gpt-5-2]:", "gpt 5").expect("holds a blank").answer("Model for Codex CLI [databricks-gpt-5-2]:", "it's-my-$model")
        terminal.answer("Model for Gemini CLI [databricks-gemini-2-5-flash]:", "")
        terminal.answer("Model for Claude Code [databricks-claude-opus-4-6]:", "databricks-claude-sonnet-4-5")
        terminal.answer("Number or name [1]:", "helper").expect("there is no 'helper'")  # Gemini CLI cannot
        terminal.answer("Number or name [1]:", "proxy").answer("Port of the local proxy [8790]:", "70000").expect("1 to 65535")
        terminal.answer("Port of the local proxy [8790]:", "8123").answer("or no [no]:").answer("Write these changes? [Y/n]", "y")
        text = self.done(terminal)
        self.assertIn("dbx-agents proxy --port 8123", text)
        self.assertIn(b"http://127.0.0.1:8123/anthropic", self.h.read(".claude/settings.json"))
        command = self.same_by_command(text, "claude", "codex")
        self.assertEqual(command, "dbx-agents setup codex gemini claude --workspace https://adb-7.7.azuredatabricks.net --model "
                                  "claude=databricks-claude-sonnet-4-5 --model 'codex=it'\\''s-my-$model' --via-proxy=8123 --yes")

    def test_models_that_the_workspace_listed(self):
        """What `models` kept is offered by number, each agent its own."""
        self.h.put(".local/state/dbx-agents/models.json", '{"format":1,"models":[{"name":"databricks-claude-x","api_types":["anthropic/v1/messages"]},'
                   '{"name":"databricks-gpt-5-2","api_types":["openai/v1/responses"]},{"name":"databricks-gpt-6","api_types":["openai/v1/responses"]}]}', 0o600)
        terminal = self.start()
        terminal.answer("[1]:").answer("[codex claude]:", "codex").answer("Keep these models? [Y/n]", "n")
        terminal.expect("1  databricks-gpt-5-2").expect("2  databricks-gpt-6").answer("Model for Codex CLI [1]:", "2")
        terminal.answer("[1]:").answer("or no [no]:").answer("Write these changes? [Y/n]")
        text = self.done(terminal)
        self.assertNotIn("databricks-claude-x", text)
        self.assertIn("--model codex=databricks-gpt-6", self.same_by_command(text, "claude", "codex"))

    def test_telemetry(self):
        """The tables are asked for, a wrong name again; the next first run offers them, and no takes the keys out."""
        terminal = self.start()
        terminal.answer("[1]:").answer("[codex claude]:", "claude").answer("[Y/n]").answer("[1]:")
        terminal.answer("or no [no]:", "main.telemetry").expect("main.telemetry").answer("or no [no]:", "main.telemetry.dev")
        terminal.answer("Write these changes? [Y/n]")
        command = self.same_by_command(self.done(terminal), "claude", "codex")
        self.assertIn("--otel main.telemetry.dev", command)
        self.assertIn(b"main.telemetry.dev_otel_metrics", self.h.read(".claude/settings.json"))
        terminal = self.start()
        terminal.answer("[1]:").answer("[codex claude]:", "claude").answer("[Y/n]").answer("[1]:").answer("or no [main.telemetry.dev]:", "no")
        terminal.answer("Write these changes? [Y/n]")
        self.assertIn("--no-otel", self.command_of(self.done(terminal)))
        self.assertNotIn(b"otel", self.h.read(".claude/settings.json").lower())

    def test_nothing_is_known(self):
        """No profile, no agent: the address is typed, all four are offered, and there is no credential yet."""
        self.h = self.prepare(self.fresh(), profiles="")
        terminal = self.start()
        terminal.answer("Address:", "").expect("an answer is needed").answer("Address:", "adb-1.2.azuredatabricks.net")
        terminal.answer("[all]:").answer("Keep these models? [Y/n]").answer("[1]:").answer("or no [no]:").answer("Write these changes? [Y/n]")
        text = self.done(terminal)
        self.assertRegex(text, r"recommended: helper for codex, claude; proxy for gemini")
        self.assertIn("there is no credential yet", text)
        self.assertEqual(self.same_by_command(text, profiles=""), f"dbx-agents setup cursor codex gemini claude --workspace {WORKSPACE} --yes")

    def test_a_form_that_cannot_be_is_asked_again(self):
        self.h = self.prepare(self.fresh(), "codex", profiles="")
        terminal = self.start("--workspace", WORKSPACE)
        terminal.answer("[codex]:").answer("[Y/n]").answer("[1]:", "pat").expect("DATABRICKS_TOKEN").answer("[1]:", "env")
        terminal.answer("or no [no]:").answer("Write these changes? [Y/n]")
        self.assertEqual(self.same_by_command(self.done(terminal), "codex", profiles=""),
                         f"dbx-agents setup codex --workspace {WORKSPACE} --auth env --yes")

    def test_what_a_flag_tells_is_not_asked(self):
        terminal = self.start("--profile", "eu", "--auth", "pat", "--model", "databricks-gpt-5-2", "--claude-betas", "on")
        terminal.answer("[codex claude]:", "codex").answer("or no [no]:").answer("Write these changes? [Y/n]")
        text = self.done(terminal)
        for title in ("Which workspace?", "Which models?", "How do the agents"):
            self.assertNotIn(title, text)
        self.assertEqual(self.same_by_command(text, "claude", "codex"),
                         "dbx-agents setup codex --workspace https://adb-99.3.azuredatabricks.net --profile eu --model databricks-gpt-5-2 "
                         "--auth pat --claude-betas on --yes")

    def test_a_setting_is_the_default(self):
        """What the configuration says is offered first, and the printed command does not need the configuration."""
        self.h.put(".config/dbx-agents/config.toml", 'gateway = "https://gateway.example.net/ai-gateway"\n[agents.codex]\nmodel = "mine"\n'
                                                     "[proxy]\nport = 8111\n")
        terminal = self.start()
        terminal.expect("config.toml:1").answer("[1]:").answer("[codex claude]:", "2").expect("mine").answer("[Y/n]")
        terminal.answer("[1]:", "proxy").answer("[8111]:").answer("or no [no]:").answer("Write these changes? [Y/n]")
        text = self.done(terminal)
        self.h.path(".config/dbx-agents/config.toml").unlink()
        self.h.path(".config/dbx-agents").rmdir()
        self.h.path(".config").rmdir()
        self.assertIn("--model codex=mine --via-proxy=8111", self.same_by_command(text, "claude", "codex"))

    def test_the_readme_shows_it(self):
        """The README's transcript is this one. DBX_AGENTS_UPDATE_README=1 writes it there."""
        host = "https://adb-1234567890123456.7.azuredatabricks.net"
        self.h = self.prepare(self.fresh(), "codex", profiles=PROFILES.replace(WORKSPACE, host).split("[eu]")[0])
        terminal = self.start(columns=110)
        for prompt in PROMPTS:
            terminal.answer(prompt)
        text = self.done(terminal).replace(str(self.h.home), "/home/ada").replace(binary(), "/usr/local/bin/dbx-agents")
        block = "```text\n$ dbx-agents setup\n" + re.sub(r" +\n", "\n", text) + "```\n"
        readme = Path(__file__).resolve().parents[2] / "README.md"
        begin, end = "<!-- the first run: begin -->\n", "<!-- the first run: end -->\n"
        before, _, rest = readme.read_text().partition(begin)
        shown, _, after = rest.partition(end)
        if os.environ.get("DBX_AGENTS_UPDATE_README"):
            readme.write_text(before + begin + block + end + after)
            return
        self.assertEqual(shown, block)

    def check_end(self, key, what):
        before = self.h.kept()
        for asked in range(len(PROMPTS)):
            terminal = self.start()
            for prompt in PROMPTS[:asked]:
                terminal.answer(prompt)
            terminal.expect(PROMPTS[asked]).send(key)
            text = self.done(terminal, 130)
            self.assertTrue(text.endswith("Nothing was changed.\n"), text)
            self.same_snapshot(self.h.kept(), before, f"{what} at {PROMPTS[asked]}")

    def test_ctrl_c_at_every_question(self):
        self.check_end(CTRL_C, "Ctrl-C")

    def test_ctrl_d_at_every_question(self):
        self.check_end(CTRL_D, "Ctrl-D")

    def test_no_is_no(self):
        before = self.h.kept()
        terminal = self.start()
        for prompt in PROMPTS[:-1]:
            terminal.answer(prompt)
        terminal.answer(PROMPTS[-1], "n")
        self.assertIn("Nothing was changed.", self.done(terminal, 1))
        self.same_snapshot(self.h.kept(), before, "no")

    def test_a_file_that_does_not_parse(self):
        self.h.put(".codex/config.toml", "model = \n")
        before = self.h.kept()
        terminal = self.start()
        for prompt in PROMPTS[:-1]:
            terminal.answer(prompt)
        self.assertIn("it is not valid TOML", self.done(terminal, 3))
        self.same_snapshot(self.h.kept(), before, "a broken file")

    def test_the_lock_is_free_while_a_question_is_open(self):
        """Another setup gets through; what it wrote is not overwritten, and its journal is not lost."""
        terminal = self.start()
        for prompt in PROMPTS[:-1]:
            terminal.answer(prompt)
        terminal.expect(PROMPTS[-1])
        self.ok(self.h.run("setup", "gemini", "--auth", "env", "--workspace", WORKSPACE, timeout=20))
        terminal.send()
        self.done(terminal)
        listed = self.ok(self.h.run("revert", "--list")).out
        for agent in ("codex", "claude", "gemini"):
            self.assertRegex(listed, rf"(?m)^  {agent} ")
        self.ok(self.h.run("revert", "--all"))
        for folder in (".codex", ".claude", ".gemini"):
            self.assertFalse(self.h.path(folder).exists(), folder)

    def test_a_file_that_changed_while_the_question_was_open(self):
        terminal = self.start()
        for prompt in PROMPTS[:-1]:
            terminal.answer(prompt)
        terminal.expect(PROMPTS[-1])
        self.h.put(".codex/config.toml", "# by somebody else\n")
        before = self.h.kept()
        terminal.send()
        text = self.done(terminal, 3)
        self.assertIn("~/.codex/config.toml", text)
        self.assertIn("while the question was open", text)
        self.same_snapshot(self.h.kept(), before, "somebody else's file, and nothing else")

    def test_revert_asks_without_the_lock_too(self):
        """Another setup gets through while it asks, and a file that changed meanwhile stays as it is."""
        self.ok(self.h.run("setup", "codex", "claude", "--yes"))
        before = self.h.kept()
        for key in (CTRL_C, CTRL_D):
            terminal = Terminal(self.h, "revert", "codex")
            self.addCleanup(terminal.__exit__)
            terminal.expect("Take these changes back? [Y/n]").send(key)
            self.assertTrue(self.done(terminal, 130).endswith("Nothing was changed.\n"))
            self.same_snapshot(self.h.kept(), before, "an ended question")
        terminal = Terminal(self.h, "revert", "codex")
        self.addCleanup(terminal.__exit__)
        terminal.expect("Take these changes back? [Y/n]")
        self.ok(self.h.run("setup", "gemini", "--auth", "env", timeout=20))
        self.h.put(".codex/config.toml", b"# mine\n" + self.h.read(".codex/config.toml"), 0o600)
        terminal.send()
        self.assertIn("while the question was open", self.done(terminal, 3))
        self.assertIn(b"# mine", self.h.read(".codex/config.toml"))
        terminal = Terminal(self.h, "revert", "codex")
        self.addCleanup(terminal.__exit__)
        terminal.answer("Take these changes back? [Y/n]")
        self.done(terminal)
        self.assertEqual(self.h.read(".codex/config.toml"), b"# mine\n")
        self.assertIn("gemini", self.ok(self.h.run("revert", "--list")).out)

    def test_dry_run_asks_and_writes_nothing(self):
        before = self.h.kept()
        terminal = self.start("--dry-run")
        for prompt in PROMPTS[:-1]:
            terminal.answer(prompt)
        text = self.done(terminal)
        self.assertIn('+model_provider = "databricks"', text)
        self.same_snapshot(self.h.kept(), before, "--dry-run")

    def test_a_narrow_terminal_without_colour(self):
        for env in ({"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}):
            terminal = self.start(env=env, columns=44)
            for prompt in PROMPTS[:-1]:
                terminal.answer(prompt, "7" if prompt == "Number or name" else "")
                if prompt == "Number or name":
                    terminal.answer("[1]:")
            terminal.answer(PROMPTS[-1], "n")
            text = self.done(terminal, 1)
            self.assertNotIn(b"\x1b", terminal.raw)
            questions = text[:text.index("--- ")]
            for line in questions.splitlines():
                self.assertTrue(len(line) <= 44 or "https://" in line, f"{len(line)}: {line}\n{text}")

    def test_remarks_stand_all_beside_their_labels_or_all_below(self):
        for columns, pattern in ((60, r"(?m)^  1  auto\n       recommended.*\n  2  helper\n"), (100, r"(?m)^  1  auto    recommended.*\n  2  helper  each")):
            terminal = self.start(columns=columns)
            for prompt in PROMPTS[:3]:
                terminal.answer(prompt)
            terminal.expect(PROMPTS[3]).send(CTRL_C)
            self.assertRegex(self.done(terminal, 130), pattern)

    def test_colour_on_a_terminal(self):
        terminal = self.start(env={"TERM": "xterm"})
        terminal.expect("[1]:").send(CTRL_C)
        self.done(terminal, 130)
        self.assertIn(b"\x1b[1mWhich workspace?\x1b[0m", terminal.raw)

    def test_nobody_to_ask(self):
        """Without a terminal, in CI, or with a flag that says so: exit 2 and what is missing."""
        self.is_error(self.h.run("setup"), 2, "which agents", "--all", "no terminal")
        bare = self.prepare(self.fresh(), profiles="")
        self.is_error(bare.run("setup"), 2, "no workspace is known", "--workspace")
        for args, env, words in (((), {"CI": "true"}, "CI is set"), (("--yes",), {}, "--all"), (("--json",), {}, "--all"),
                                 (("--check",), {}, "--all"), (("--quiet",), {}, "--all")):
            terminal = self.start(*args, env=env)
            text = self.done(terminal, 2)
            self.assertIn(words, text)
            self.assertNotIn("Which workspace?", text)

    def test_models_of_several_agents_as_flags(self):
        setup = lambda *args: self.h.run("setup", "codex", "claude", *args)
        self.ok(setup("--model", "codex=c", "--model", "claude=k"))
        self.assertIn(b'model = "c"', self.h.read(".codex/config.toml"))
        self.assertIn(b'"ANTHROPIC_MODEL": "k"', self.h.read(".claude/settings.json"))
        self.is_error(setup("--model", "gemini=x"), 2, "gemini")
        self.is_error(setup("--model", "gemni=x"), 2, "did you mean 'gemini'")
        self.is_error(setup("--model", "a", "--model", "b"), 2, "contradict")
        self.is_error(setup("--model", "codex="), 2, "empty")


if __name__ == "__main__":
    harness.main()
