"""Files that can not be edited are refused with exit 3, with the place of the fault, and stay as they are."""

import os
from pathlib import Path

from cases import INVALID
import readers
from harness import PAT, WORKSPACE, Test, case_file, each, main

REL = {"claude": ".claude/settings.json", "codex": ".codex/config.toml", "gemini": ".gemini/settings.json"}


@each([(name.rsplit(".", 1)[0], (name, line)) for name, line in INVALID], "refused")
class Invalid(Test):
    def check_refused(self, name_line):
        name, line = name_line
        agent = name.split("-")[0]
        data = case_file("invalid/" + name)
        self.h.put(REL[agent], data, mode=0o640)
        before = self.h.snapshot(with_state=True)
        form = "pat" if agent == "gemini" else "env"
        for more in (["--dry-run"], ["--check"], ["--print"], []):
            result = self.h.run("setup", agent, "--workspace", WORKSPACE, "--auth", form, "--yes", *more, env={"DATABRICKS_TOKEN": PAT})
            self.is_error(result, 3, REL[agent].split("/")[1])
            now = self.h.snapshot(with_state=True) if more else self.h.kept()
            self.same_snapshot(now, before, f"a file that is refused stays {more}", result)
            self.assertNotIn("\x00", result.err)
            if line is not None:
                lines = line if isinstance(line, tuple) else (line,)
                self.assertTrue(any(f"line {n}" in result.err or f":{n}:" in result.err for n in lines),
                                f"the error names line {' or '.join(map(str, lines))}\n{result}")
                self.says(result, "column", where="err")
        status = self.h.run("status", agent)
        self.assertIn(status.code, (0, 1, 3), f"\n{status}")
        if not name.endswith(("-is-text.json", "-is-list.json", "-is-object.json", "-is-text.toml", "-is-number.toml", "-is-array.toml")):
            self.says(status, REL[agent].split("/")[1])  # what parses has no fault to show
        reverted = self.h.run("revert", agent)
        self.assertIn(reverted.code, (0, 3), f"\n{reverted}")
        self.same_snapshot(self.h.snapshot(), {k: v for k, v in before.items() if not k.startswith(".local")}, "status and revert", reverted)


class Dotenv(Test):
    def test_bytes_that_are_not_utf8_in_a_dotenv_file(self):
        """Either edited with the bytes kept, or refused untouched: never another byte."""
        data = b"# caf\xe9\nNAME=\xff\xfe\n"
        self.h.put(".gemini/.env", data)
        result = self.h.run("setup", "gemini", "--workspace", WORKSPACE, "--auth", "env", "--yes")
        if result.code == 0:
            self.assertTrue(self.h.read(".gemini/.env").startswith(data))
            self.ok(self.h.run("revert", "gemini"))
        else:
            self.is_error(result, 3, ".env", "line 1")
        self.same_bytes(self.h.read(".gemini/.env"), data, "the file")

    def test_an_unclosed_quote_in_a_dotenv_file(self):
        """To Gemini the quote is part of a one-line value; the lines after it stay assignments."""
        data = b'A="never closed\nB=1\n'
        self.h.put(".gemini/.env", data)
        result = self.h.run("setup", "gemini", "--workspace", WORKSPACE, "--auth", "env", "--yes")
        if result.code == 0:
            self.assertTrue(self.h.read(".gemini/.env").startswith(data), self.h.read(".gemini/.env"))
            pairs = readers.dotenv(self.h.read(".gemini/.env"))
            self.assertEqual(pairs["B"], "1")
            self.assertEqual(pairs["GEMINI_API_KEY_AUTH_MECHANISM"], "bearer", self.h.read(".gemini/.env"))
            self.ok(self.h.run("revert", "gemini"))
        else:
            self.is_error(result, 3, ".env", "line 1")
        self.same_bytes(self.h.read(".gemini/.env"), data, "the file")

    def test_a_binary_dotenv_file(self):
        data = bytes(range(256)) * 3
        self.h.put(".gemini/.env", data)
        result = self.h.run("setup", "gemini", "--workspace", WORKSPACE, "--auth", "env", "--yes")
        self.is_error(result, 3, ".env")
        self.same_bytes(self.h.read(".gemini/.env"), data, "the file")


class Ours(Test):
    """Our own configuration file."""

    def test_a_broken_configuration_is_an_error_with_its_line(self):
        self.h.put(".config/dbx-agents/config.toml", 'workspace = "https://x.example.net"\n[otel\n')
        result = self.h.run("setup", "codex", "--auth", "env", "--yes")
        self.assertIn(result.code, (2, 3), f"\n{result}")
        self.says(result, "config.toml", ("line 2", ":2:"), where="err")
        self.assertFalse(self.h.path(".codex").exists())

    def test_a_wrong_type_in_the_configuration_is_an_error(self):
        self.h.put(".config/dbx-agents/config.toml", "workspace = 5\n")
        result = self.h.run("setup", "codex", "--auth", "env", "--yes")
        self.assertIn(result.code, (2, 3), f"\n{result}")
        self.says(result, "workspace", where="err")

    def test_a_configuration_that_was_named_must_exist(self):
        result = self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes", "--config", "/nowhere/config.toml")
        self.assertIn(result.code, (2, 3), f"\n{result}")
        self.says(result, "/nowhere/config.toml", where="err")
        self.assertFalse(self.h.path(".codex").exists())

    def test_a_damaged_journal_is_an_error_and_not_an_empty_one(self):
        self.h.put(".claude/settings.json", '{"env": {"ANTHROPIC_MODEL": "mine"}}\n')
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        configured = self.h.read(".claude/settings.json")
        damaged = 0
        for folder, _, names in os.walk(self.h.state):
            for name in names:
                path = Path(folder, name)
                if "journal" in str(path):
                    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
                    damaged += 1
        self.assertTrue(damaged, f"no journal found in {list(os.walk(self.h.state))}")
        result = self.h.run("revert", "claude")
        self.assertNotEqual(result.code, 0, f"a journal that is cut in half is no empty journal\n{result}")
        self.same_bytes(self.h.read(".claude/settings.json"), configured, "the user's file")


if __name__ == "__main__":
    main()
