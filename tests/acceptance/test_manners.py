"""How every command speaks: --json, --quiet, NO_COLOR, lines that fit, and a line of progress on terminals only."""

import json
import re
import unittest

import golden_workspace
from harness import HERE, WORKSPACE, Test, each, main
from terminal import at_a_terminal
from test_completion import tree

PLACE = ["--catalog", "main", "--schema", "telemetry", "--prefix", "dev"]
W = ["--workspace", WORKSPACE]

# A call of each command that does its work, or fails as it may here. Every command of the table has to be in it.
CALLS = {
    "setup": ["codex", *W, "--auth", "env", "--yes"],
    "status": [],
    "revert": ["--all", "--yes"],
    "doctor": ["--offline"],
    "auth token": [],
    "auth status": ["--offline"],
    "models": [],
    "tables create": [*PLACE],
    "tables check": [*PLACE],
    "tables ddl": [*PLACE],
    "tables grant": [*PLACE, "--to", "developers"],
    "proxy": ["--port", "no-port"],
    "proxy status": [],
    "proxy stop": [],
    "proxy rotate-keys": [],
    "proxy install": ["--dry-run", "--gateway", "http://127.0.0.1:9"],
    "proxy uninstall": ["--dry-run"],
    "run": ["codex", *W],
    "usage": [],
    "templates list": [],
    "templates show": ["codex"],
    "templates export": ["gemini"],
    "completion": ["bash"],
    "help": ["files"],
    "complete": ["agents"],
    "manual": [],
}

# Further errors that a person makes, for every command: the words after the command, and the exit code.
MISTAKES = {"an unknown flag": ["--no-such-flag"], "an empty value": ["--workspace="], "an empty flag": ["--profile", ""]}

# What --quiet leaves on stdout: the result that was asked for. Of the other commands nothing is left.
RESULTS = {"status", "doctor", "auth token", "auth status", "models", "tables check", "tables create", "tables ddl", "proxy status", "usage",
           "templates list", "templates show", "completion", "help", "complete", "manual"}

HIDDEN = ["complete", "manual"]


def documents(text):
    """Every JSON document in a text, one after the other."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


class Base(Test):
    def setUp(self):
        super().setUp()
        self.w = golden_workspace.standin.Workspace(str(self.h.base / "workspace"))
        self.addCleanup(self.w.stop)
        self.h.env.update({"DATABRICKS_HOST": f"http://127.0.0.1:{self.w.port}", "DATABRICKS_TOKEN": golden_workspace.standin.PAT})

    def call(self, command, *flags, arguments=None, **more):
        words = CALLS[command] if arguments is None else arguments
        return self.h.run(*command.split(), *words, *flags, may_show_secrets=command == "auth token", **more)


class EveryCommand(Base):
    def test_the_table_is_whole(self):
        acting = {" ".join(words) for words, below, _ in tree(self.h) if words}
        groups = {name for name in acting if self.h.run(*name.split(), env={"DATABRICKS_TOKEN": None}).err.startswith("The ")
                  or name in ("auth", "tables", "templates")}
        self.assertEqual(acting - groups | set(HIDDEN), set(CALLS))

    def one_document(self, result, what):
        try:
            found = documents(result.out)
        except ValueError as error:
            self.fail(f"{what}: stdout is not JSON: {error}\n{result}")
        self.assertEqual(len(found), 1, f"{what}: one document\n{result}")
        return found[0]

    def test_json(self):
        for command in CALLS:
            with self.subTest(command):
                result = self.call(command, "--json")
                document = self.one_document(result, command)
                if result.code in (2, 3, 4, 5, 6):
                    self.assertEqual(document["error"]["exit_code"], result.code, str(result))

    def test_json_of_errors(self):
        for command in CALLS:
            for name, words in MISTAKES.items():
                with self.subTest(f"{command}: {name}"):
                    result = self.call(command, *words, "--json")
                    self.assertEqual(result.code, 2, str(result))
                    error = self.one_document(result, command)["error"]
                    self.assertEqual((error["kind"], error["exit_code"]), ("usage", 2))
            with self.subTest(f"{command}: no home"):
                result = self.call(command, "--json", env={"HOME": None, "DATABRICKS_TOKEN": None})
                document = self.one_document(result, command)
                if result.code in (2, 3, 4, 5, 6):
                    self.assertEqual(document["error"]["exit_code"], result.code, str(result))
            with self.subTest(f"{command}: help"):
                self.assertIn("Usage", self.one_document(self.call(command, "--help", "--json"), command)["help"])
        for group in ([], ["auth"], ["tables"], ["templates"], ["no-such-command"]):
            with self.subTest(group):
                result = self.h.run(*group, "--json")
                self.assertEqual((result.code, self.one_document(result, group)["error"]["kind"]), (2, "usage"))
        self.assertEqual(self.one_document(self.h.run("--version", "--json"), "version")["name"], "dbx-agents")

    def test_quiet(self):
        for command in CALLS:
            with self.subTest(command):
                result = self.call(command, "--quiet")
                if command not in RESULTS:
                    self.assertEqual(result.out, "", str(result))
                if result.code == 0:
                    self.assertEqual(result.err, "", str(result))

    def test_no_colour_where_none_is_wanted(self):
        for env, flags, coloured in (({"TERM": "xterm"}, [], True), ({"TERM": "xterm", "NO_COLOR": "1"}, [], False),
                                     ({"TERM": "dumb"}, [], False), ({"TERM": "xterm"}, ["--no-color"], False)):
            seen = ""
            for command in CALLS:
                text = at_a_terminal(self.h, [*command.split(), *CALLS[command], *flags], env)[0]
                seen += text
                if not coloured:
                    self.assertNotIn("\x1b[", text, f"{command} {env} {flags}")
            if coloured:
                self.assertIn("\x1b[", seen)
        for command in CALLS:
            self.assertNotIn("\x1b", self.call(command, env={"TERM": "xterm"}).text, "to a pipe")


# What waits for the workspace, and what its line of progress says.
LONG = [("models", ["models"], "asking for the models"), ("auth status", ["auth", "status"], "asking whose token it is"),
        ("doctor", ["doctor", "codex"], "asking the gateway"), ("tables check", ["tables", "check", *PLACE], "looking at the tables")]


@each([(name, (arguments, words)) for name, arguments, words in LONG], "progress")
class Progress(Base):
    XTERM = {"TERM": "xterm"}

    def check_progress(self, case):
        arguments, words = case
        if "doctor" in arguments:
            self.ok(self.h.run("setup", "codex", "--yes"))
        self.w.fault(path="*", fault="slow_first_byte", ms=1600, count="forever")
        seen, _, out = at_a_terminal(self.h, arguments, self.XTERM, err_only=True)
        lines = seen.split("\r")
        shown = [line for line in lines if words in line]
        self.assertTrue(shown, repr(seen))
        self.assertTrue(any(re.search(r", 1 s *$", line) for line in shown), f"the seconds go on: {seen!r}")
        self.assertGreater(len({line.strip()[:1] for line in shown}), 2, f"the mark turns: {seen!r}")
        # Afterwards it is gone: blanks over it before anything else stands there.
        last = max(i for i, line in enumerate(lines) if words in line)
        self.assertTrue(lines[last + 1].strip(" ") == "" and len(lines[last + 1]) > 10, repr(lines[last:]))
        self.assertNotIn("\r", out)
        for flags, env in ((["--quiet"], self.XTERM), (["--json"], self.XTERM), ([], {"TERM": "dumb"})):
            seen, *_ = at_a_terminal(self.h, [*arguments, *flags], env, err_only=True)
            self.assertNotIn(words, seen, f"{flags} {env}")
            self.assertNotRegex(seen, r"\r(?!\n)", f"{flags} {env}")
        self.assertNotIn(words, self.h.run(*arguments, env=self.XTERM).text, "to a pipe")

    def test_quick_work_shows_none(self):
        seen, *_ = at_a_terminal(self.h, ["models"], self.XTERM, err_only=True)
        self.assertNotRegex(seen, r"\r(?!\n)")


class Width(unittest.TestCase):
    """Prose in the recorded transcripts fits 80 columns.

    Longer may be: rows of a table (two blanks between columns), a line with a word that alone is longer than half of
    it (a URL, a path, a name to be copied), SQL (it ends with a semicolon), files and diffs (the user's own lines), JSON.
    """

    def test_transcripts(self):
        long, looked_at = [], 0
        for path in sorted((HERE / "golden").glob("*.txt")):
            section, command = "", ""
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if line.startswith("$ "):
                    section, command = "command", line
                elif line.startswith("--- "):
                    section = line.split()[1]
                    continue
                if section not in ("stdout", "stderr") or line.startswith("# ") or (section == "stdout" and "--json" in command):
                    continue
                looked_at += 1
                if section == "stdout" and re.search(r"--(dry-run|print)\b", command) and " setup" in command:
                    continue
                if len(line) > 80 and not self.may_be_long(line):
                    long.append(f"{path.name}:{number}: {len(line)} columns: {line}")
        self.assertFalse(long, "\n" + "\n".join(long))
        self.assertGreater(looked_at, 1000)

    @staticmethod
    def may_be_long(line):
        return (re.search(r"\S {2,}\S", line) is not None or line.endswith(";")
                or any(len(word) > 40 for word in line.split()))

    def test_the_rule_can_fail(self):
        self.assertFalse(self.may_be_long("error: " + "some words of prose " * 5))
        self.assertTrue(self.may_be_long("name  " + "x " * 50))


if __name__ == "__main__":
    main()
