"""Wrong usage, odd values, and what goes to stdout and what to stderr."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import readers
from harness import GATEWAY, PAT, WORKSPACE, Result, Test, each, main

AGENTS = ("codex", "claude", "gemini")


def base_url(home, agent):
    """The URL that setup wrote, read back."""
    if agent == "codex":
        return readers.toml(home.read(".codex/config.toml"))["model_providers"]["databricks"]["base_url"]
    if agent == "claude":
        return readers.strict_json(home.read(".claude/settings.json"))["env"]["ANTHROPIC_BASE_URL"]
    return readers.dotenv(home.read(".gemini/.env"))["GOOGLE_GEMINI_BASE_URL"]


def model(home, agent):
    if agent == "codex":
        return readers.toml(home.read(".codex/config.toml"))["model"]
    if agent == "claude":
        return readers.strict_json(home.read(".claude/settings.json"))["env"]["ANTHROPIC_MODEL"]
    return readers.dotenv(home.read(".gemini/.env"))["GEMINI_MODEL"]


class Untouched(Test):
    def refused(self, code, *args, words=(), env=None):
        before = self.h.kept()
        result = self.h.run(*args, env=env)
        self.is_error(result, code, *words)
        self.same_snapshot(self.h.kept(), before, "refused", result)
        return result


class Usage(Untouched):
    def test_an_unknown_agent_gets_a_suggestion(self):
        for wrong, right in (("codx", "codex"), ("cluade", "claude"), ("claude-code", "claude"), ("Gemini", "gemini"), ("curser", "cursor")):
            self.refused(2, "setup", wrong, "--workspace", WORKSPACE, words=(wrong, right))
        self.is_error(self.h.run("status", "codx"), 2, "codex", unchanged=False)
        self.refused(2, "revert", "codx", words=("codex",))

    def test_an_unknown_agent_that_is_near_nothing_lists_the_known(self):
        self.refused(2, "setup", "zzzzzzzzz", "--workspace", WORKSPACE, words=("codex", "claude", "gemini", "cursor"))

    def test_one_unknown_agent_stops_all(self):
        self.refused(2, "setup", "claude", "codx", "--workspace", WORKSPACE, "--auth", "env", "--yes")

    def test_an_agent_named_like_a_path(self):
        for wrong in ("../codex", "/etc", "a/b", ".", "..", "", "codex\n", "x" * 5000):
            result = self.h.run("setup", wrong, "--workspace", WORKSPACE, "--auth", "env", "--yes")
            self.assertEqual(result.code, 2, f"{wrong[:20]!r}\n{str(result)[:1500]}")
        self.assertEqual(self.h.snapshot(), {})

    def test_no_agent(self):
        self.assertEqual(self.h.run("setup", "--workspace", WORKSPACE).code, 2)
        self.assertEqual(self.h.run("revert").code, 2)

    def test_no_workspace(self):
        for agent in AGENTS + ("cursor", "--all"):
            self.refused(2, "setup", agent, "--auth", "env", words=("workspace",))

    def test_no_command(self):
        result = self.h.run()
        self.assertEqual(result.code, 2, f"\n{result}")
        self.says(result, "setup", "status", "revert")

    def test_an_unknown_command_and_an_unknown_flag(self):
        for args in (("stup",), ("setup", "codex", "--wrkspace", WORKSPACE), ("--nope",), ("status", "--dry-runn")):
            result = self.h.run(*args)
            self.assertEqual(result.code, 2, f"\n{result}")
            self.assertEqual(result.out, "", f"\n{result}")
            self.says(result, args[-1] if args[-1] != WORKSPACE else "--wrkspace", where="err")
        for args, fix in ((("setup", "--al"), "did you mean '--all'?"), (("setup", "codex", "--wrkspace=x"), "did you mean '--workspace'?"),
                          (("tables", "create", "--shcema", "x"), "did you mean '--schema'?"), (("tables", "creat"), "did you mean 'create'?"),
                          (("status", "--jsno"), "did you mean '--json'?"), (("proxy", "stauts"), "did you mean 'status'?"), (("completion", "fisch"), "did you mean 'fish'?"),
                          (("setup", "--qqqqqqqq"), "see dbx-agents setup --help")):
            self.says(self.h.run(*args), fix, where="err")

    def test_help_and_version(self):
        for args in (("--help",), ("setup", "--help"), ("revert", "--help"), ("status", "--help"), ("auth", "--help"),
                     ("auth", "token", "--help"), ("templates", "--help"), ("templates", "list", "--help")):
            result = self.ok(self.h.run(*args))
            self.assertTrue(result.out.strip(), f"\n{result}")
            self.assertEqual(result.err, "", f"\n{result}")
        result = self.ok(self.h.run("--version"))
        self.assertRegex(result.out, r"\d+\.\d+\.\d+")
        help_text = self.ok(self.h.run("setup", "--help")).out
        for flag in ("--model", "--gateway", "--auth", "--claude-betas", "--dry-run", "--check", "--print", "--yes", "--all", "--workspace", "--profile", "--json"):
            self.assertIn(flag, help_text)
        self.assertEqual(self.h.snapshot(with_state=True), {})

    def test_wrong_values_of_flags(self):
        for args in (("--auth", "magic"), ("--claude-betas", "maybe"), ("--auth",)):
            result = self.h.run("setup", "codex", "--workspace", WORKSPACE, *args)
            self.assertEqual(result.code, 2, f"\n{result}")
            self.says(result, args[0], where="err")
        self.assertEqual(self.h.snapshot(), {})

    def test_a_flag_with_an_empty_value_is_a_scripts_unset_variable(self):
        """In both spellings, and never with the next word as its value."""
        for flag in ("--auth", "--model", "--gateway", "--claude-betas", "--workspace", "--profile", "--config"):
            where = () if flag == "--workspace" else ("--workspace", WORKSPACE)
            self.refused(2, "setup", "codex", *where, flag, "", words=(flag, "empty"))
            self.refused(2, "setup", "codex", flag + "=", "claude", *where, words=(flag, "empty"))
        for args in (("--via-proxy=",), ("--via-proxy=", "--auth", "proxy"), ("--dry-run=",)):
            self.refused(2, "setup", "codex", "--workspace", WORKSPACE, *args, words=(args[0][:-1], "empty"))
        for args in (("proxy", "status", "--port", ""), ("proxy", "status", "--port="), ("proxy", "--ledger", ""), ("usage", "--since", ""),
                     ("doctor", "--gateway=")):
            result = self.h.run(*args)
            self.assertEqual(result.code, 2, f"\n{result}")
            self.says(result, "is empty", where="err")
        document = json.loads(self.h.run("--json", "setup", "codex", "--model=").out)
        self.assertEqual((document["error"]["kind"], document["error"]["exit_code"]), ("usage", 2))
        self.assertEqual(self.h.snapshot(with_state=True), {})

    def test_conflicting_flags_are_both_named(self):
        for one, other in ((["--dry-run"], ["--check"]), (["--print"], ["--check"]), (["--dry-run"], ["--print"])):
            result = self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", *one, *other)
            self.assertEqual(result.code, 2, f"\n{result}")
            self.says(result, one[0], other[0], where="err")
        for args, words in ((["setup", "codex", "--all", "--workspace", WORKSPACE, "--auth", "env"], ("--all",)),
                            (["revert", "codex", "--all"], ("--all",))):
            result = self.h.run(*args)
            self.assertEqual(result.code, 2, f"\n{result}")
            self.says(result, *words, where="err")
        self.assertEqual(self.h.snapshot(), {})

    def test_auth_pat_without_a_token(self):
        for agent in AGENTS:
            self.refused(4, "setup", agent, "--workspace", WORKSPACE, "--auth", "pat", "--yes", words=("token",))

    def test_a_token_of_another_workspace_is_not_written(self):
        """With DATABRICKS_HOST the token goes only to that host."""
        for agent in AGENTS:
            self.refused(4, "setup", agent, "--workspace", WORKSPACE, "--auth", "pat", "--yes",
                         env={"DATABRICKS_TOKEN": PAT, "DATABRICKS_HOST": "https://other.azuredatabricks.net"})
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = https://other.azuredatabricks.net\ntoken = {PAT}\n", mode=0o600)
        self.refused(4, "setup", "claude", "--workspace", WORKSPACE, "--auth", "pat", "--yes")

    def test_the_host_of_the_environment_is_workspace_enough(self):
        for host in (WORKSPACE, WORKSPACE + "/", WORKSPACE.removeprefix("https://"), WORKSPACE + "/?o=4711"):
            home = self.fresh()
            self.ok(home.run("setup", "claude", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": PAT, "DATABRICKS_HOST": host}))
            self.assertEqual(base_url(home, "claude"), GATEWAY + "/anthropic")

    def test_proxy_is_refused_as_long_as_there_is_none(self):
        result = self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "proxy", "--yes")
        self.assertIn(result.code, (0, 4), f"\n{result}")
        if result.code == 4:
            self.is_error(result, 4, "proxy")
            self.assertEqual(self.h.snapshot(), {})

    def test_a_token_with_a_line_end(self):
        """In a header it would be a second header: trimmed at the ends, refused inside."""
        for token in ("dapi12345678901234\ndapi5678901234567890", "dapi1234567890123456\r\nX-Evil: 1", "dapi1234\x01567890123456"):
            for agent in AGENTS:
                home = self.fresh()
                home.secrets += [part for part in re.split(r"[\r\n\x01]+", token) if len(part) > 12]
                result = home.run("setup", agent, "--workspace", WORKSPACE, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": token})
                self.assertIn(result.code, (2, 4), f"{agent}\n{result}")
                self.assertEqual(home.snapshot(), {}, f"\n{result}")
            result = self.h.run("auth", "token", env={"DATABRICKS_TOKEN": token, "DATABRICKS_HOST": WORKSPACE})
            self.assertEqual(result.code, 4, f"more than one line\n{result}")
        result = self.h.run("auth", "token", env={"DATABRICKS_TOKEN": PAT + "\n", "DATABRICKS_HOST": WORKSPACE}, may_show_secrets=True)
        self.assertIn((result.code, result.out), ((0, PAT + "\n"), (4, "")), f"\n{result}")


GOOD_URLS = {  # what is pasted -> the gateway root that comes out
    "--workspace": {
        "https://adb-1.2.azuredatabricks.net": GATEWAY,
        "https://adb-1.2.azuredatabricks.net/": GATEWAY,
        "HTTPS://ADB-1.2.AzureDatabricks.NET": GATEWAY,
        "https://adb-1.2.azuredatabricks.net:443": (GATEWAY, "https://adb-1.2.azuredatabricks.net:443/ai-gateway"),
        "https://adb-1.2.azuredatabricks.net/ai-gateway": GATEWAY,
        "https://adb-1.2.azuredatabricks.net/ai-gateway/anthropic/v1/messages": GATEWAY,
        "https://adb-1.2.azuredatabricks.net/ai-gateway/openai/v1": GATEWAY,
        "https://adb-1.2.azuredatabricks.net/?o=1234567890": GATEWAY,
        "https://adb-1.2.azuredatabricks.net/browse?o=1234567890#folder/1": GATEWAY,
        "adb-1.2.azuredatabricks.net": GATEWAY,
        "  https://adb-1.2.azuredatabricks.net \n": GATEWAY,
        "http://127.0.0.1:8790": "http://127.0.0.1:8790/ai-gateway",
        "http://localhost:8790/": "http://localhost:8790/ai-gateway",
        "http://[::1]:8790": "http://[::1]:8790/ai-gateway",
        "https://[2001:db8::1]:8443": "https://[2001:db8::1]:8443/ai-gateway",
    },
    "--gateway": {
        "https://123.ai-gateway.cloud.databricks.com": "https://123.ai-gateway.cloud.databricks.com",
        "https://123.ai-gateway.cloud.databricks.com/": "https://123.ai-gateway.cloud.databricks.com",
        "https://123.ai-gateway.cloud.databricks.com/openai/v1/responses": "https://123.ai-gateway.cloud.databricks.com",
        "https://123.ai-gateway.cloud.databricks.com/anthropic": "https://123.ai-gateway.cloud.databricks.com",
        "https://123.ai-gateway.cloud.databricks.com/cursor/v1": "https://123.ai-gateway.cloud.databricks.com",
        "https://123.ai-gateway.cloud.databricks.com/gemini/v1beta/models": "https://123.ai-gateway.cloud.databricks.com",
        "https://adb-1.2.azuredatabricks.net/ai-gateway/gemini": GATEWAY,
        "http://127.0.0.1:8790": "http://127.0.0.1:8790",
        "http://127.8.9.10:8790/": "http://127.8.9.10:8790",
    },
}

BAD_URLS = {
    "http://adb-1.2.azuredatabricks.net": "http",
    "http://127.0.0.1.example.net": "http",
    "http://localhost.example.net": "http",
    "http://127.0.0.1@example.net": "",
    "http://0.0.0.0:80": "http",
    "ftp://adb-1.2.azuredatabricks.net": "",
    "file:///etc/passwd": "",
    "javascript:alert(1)": "",
    "https://": "",
    "https://user:swordfish@adb-1.2.azuredatabricks.net": "",
    "https://token@adb-1.2.azuredatabricks.net": "",
    "https://adb 1.2.azuredatabricks.net": "",
    "https://adb-1.2.azuredatabricks.net/a b": "",
    "https://adb-1.2.azuredatabricks.net\nX: y": "",
    'https://adb-1.2"].azuredatabricks.net': "",
    "https://adb-1.2.azuredatabricks.net:99999": "",
    "https://adb-1.2.azuredatabricks.net:abc": "",
    "https://[::1": "",
    "https://[zz::1]": "",
    "": "",
    "   ": "",
    "<ai-gateway-url>": "",
    "https://<workspace-url>": "",
    "https://exa$mple.net": "",
    "https://-.": "",
    "https://" + "a" * 3000 + ".net": "",
}


@each([(f"{flag}_{n:02}", (flag, url, root)) for flag, urls in GOOD_URLS.items() for n, (url, root) in enumerate(urls.items())], "good")
@each([(f"{flag}_{n:02}", (flag, url, word)) for flag in GOOD_URLS for n, (url, word) in enumerate(BAD_URLS.items())], "bad")
class Urls(Untouched):
    def check_good(self, case):
        flag, url, root = case
        for agent, tail in (("codex", "/openai/v1"), ("claude", "/anthropic"), ("gemini", "/gemini")):
            self.ok(self.h.run("setup", agent, flag, url, "--auth", "env", "--yes"))
            roots = root if isinstance(root, tuple) else (root,)
            self.assertIn(base_url(self.h, agent), [r + tail for r in roots])

    def check_bad(self, case):
        flag, url, word = case
        self.h.secrets.append("swordfish")
        result = self.refused(2, "setup", "codex", flag, url, "--auth", "env", "--yes", words=(word,) if word else ())
        self.assertNotIn("\nX: y", result.err)


MODELS = ['a"b', "a'b", "a\\b", 'x"]', "a]b", "a$HOME`id`", "${X:-y}", "a#b", "a b", "a=b", "ü-модель", "system.ai.gpt-5-5", "m[1m]", "a\tb", "/", "{}", "a//b", "-lead"]
BAD_MODELS = ["", "a\nb", "a\r\nb", "a\x01b", "a\x1b[31mb", "x" * 100000]


@each([(f"{n:02}_{agent}", (agent, name)) for n, name in enumerate(MODELS) for agent in AGENTS], "odd")
@each([(f"{n:02}_{agent}", (agent, name)) for n, name in enumerate(BAD_MODELS) for agent in AGENTS], "unfit")
class Models(Untouched):
    def check_odd(self, case):
        """Written so that the agent reads exactly this name, or refused with a sentence; never a broken file."""
        agent, name = case
        result = self.h.run("setup", agent, "--workspace", WORKSPACE, "--auth", "env", "--yes", f"--model={name}")
        if result.code == 0:
            self.assertEqual(model(self.h, agent), name, f"\n{result}")
            self.ok(self.h.run("setup", agent, "--workspace", WORKSPACE, "--auth", "env", "--check", f"--model={name}"))
            self.ok(self.h.run("revert", agent))
        else:
            self.is_error(result, 2, "model")
        self.assertEqual(self.h.snapshot(), {})

    def check_unfit(self, case):
        agent, name = case
        result = self.h.run("setup", agent, "--workspace", WORKSPACE, "--auth", "env", "--yes", f"--model={name}")
        if result.code == 0 and name and "\n" not in name and "\r" not in name:
            self.assertEqual(model(self.h, agent), name)
        else:
            self.assertEqual(result.code, 2, f"{name[:20]!r}\n{str(result)[:3000]}")
            self.assertEqual(self.h.snapshot(), {})
        self.assertNotIn("\x1b[31m", result.text)


class Output(Test):
    def one_document(self, result):
        try:
            return json.loads(result.out)
        except ValueError as fault:
            self.fail(f"stdout is not one JSON document: {fault}\n{result}")

    def test_json_is_one_document_in_success(self):
        env = {"DATABRICKS_TOKEN": PAT, "DATABRICKS_HOST": WORKSPACE}
        for args in (["setup", "--all", "--dry-run"], ["setup", "--all", "--print"], ["setup", "codex", "claude", "--yes"], ["setup", "codex", "--yes"],
                     ["status"], ["status", "codex"], ["auth", "status"], ["templates", "list"], ["templates", "show", "codex"],
                     ["revert", "--list"], ["revert", "codex"], ["revert", "--all"], ["--version"]):
            result = self.ok(self.h.run(*args, "--json", env=env))
            self.one_document(result)
        result = self.ok(self.h.run("setup", "codex", "--check", "--json", env=env), 10)
        self.one_document(result)
        result = self.ok(self.h.run("--json", "status", env=env))
        self.one_document(result)

    def test_json_is_one_document_in_failure(self):
        self.h.put(".claude/settings.json", "{ broken\n")
        for code, args, env in ((3, ["setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"], {}),
                                (2, ["setup", "codx", "--workspace", WORKSPACE], {}),
                                (2, ["setup", "codex"], {}),
                                (2, ["setup", "codex", "--workspace", "http://x.example"], {}),
                                (4, ["setup", "codex", "--workspace", WORKSPACE, "--auth", "pat"], {}),
                                (4, ["auth", "token", "--workspace", WORKSPACE], {}),
                                (4, ["auth", "status", "--workspace", WORKSPACE], {})):
            result = self.h.run(*args, "--json", env=env)
            self.assertEqual(result.code, code, f"\n{result}")
            document = self.one_document(result)
            text = json.dumps(document)
            self.assertIn("error", text, f"\n{result}")
        result = self.h.run("setup", "codex", "--nope", "--json")
        self.assertEqual(result.code, 2)
        self.one_document(result)

    def test_json_of_setup_tells_the_plan(self):
        result = self.ok(self.h.run("setup", "codex", "claude", "--workspace", WORKSPACE, "--auth", "env", "--dry-run", "--json"))
        text = result.out
        for word in (".codex/config.toml", ".claude/settings.json", "model_provider", "ANTHROPIC_BASE_URL"):
            self.assertIn(word, text)

    def test_quiet_says_nothing_in_success(self):
        result = self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes", "--quiet"))
        self.assertEqual(result.err, "", f"\n{result}")
        result = self.ok(self.h.run("revert", "codex", "--quiet"))
        self.assertEqual(result.err, "", f"\n{result}")

    def test_quiet_still_shows_errors(self):
        result = self.h.run("setup", "codx", "--workspace", WORKSPACE, "--quiet")
        self.assertEqual(result.code, 2)
        self.says(result, "error", where="err")

    def test_no_colour_without_a_terminal(self):
        env = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "DATABRICKS_TOKEN": PAT}
        for args in (["setup", "--all", "--workspace", WORKSPACE, "--dry-run"], ["status"], ["setup", "codx", "--workspace", WORKSPACE], ["--help"]):
            result = self.h.run(*args, env=env)
            self.assertNotIn("\x1b", result.text, f"\n{result}")

    def test_no_question_without_a_terminal(self):
        self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env"))
        self.assertTrue(self.h.path(".codex/config.toml").is_file())

    def test_results_go_to_stdout_and_warnings_to_stderr(self):
        result = self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "helper", "--yes"))
        self.assertNotIn("warning", result.out.lower(), f"\n{result}")
        result = self.ok(self.h.run("status", "claude"))
        self.assertIn("ANTHROPIC_BASE_URL", result.out)
        result = self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--dry-run"))
        self.assertRegex(result.out, r"(?m)^--- ")
        self.assertRegex(result.out, r"(?m)^\+\+\+ ")
        self.assertRegex(result.out, r"(?m)^@@ -\d")

    def test_every_error_has_four_parts(self):
        self.h.put(".claude/settings.json", '{\n  "a": 1,\n}\n')
        for code, args in ((3, ["setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"]),
                           (2, ["setup", "codex"]),
                           (4, ["setup", "codex", "--workspace", WORKSPACE, "--auth", "pat"])):
            result = self.is_error(self.h.run(*args), code)
            lines = [line for line in result.err.splitlines() if line.strip()]
            block = lines[next(n for n, line in enumerate(lines) if line.startswith("error: ")):]
            self.assertRegex(block[1], r"^  why: ", f"\n{result}")
            self.assertTrue(any(line.startswith("  fix: ") for line in block), f"\n{result}")
            self.assertEqual(block[-1], "Nothing was changed.", f"\n{result}")

    def test_control_characters_of_a_file_never_reach_the_terminal(self):
        self.h.put(".codex/config.toml", 'model = "a\\u001b[31mred"\n')
        for args in (["status", "codex"], ["setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--dry-run"]):
            self.assertNotIn("\x1b[31m", self.h.run(*args).text)

    def test_verbose_shows_no_secret(self):
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--auth", "auto", "--yes", "--verbose", env={"DATABRICKS_TOKEN": PAT}))
        self.ok(self.h.run("status", "--verbose", env={"DATABRICKS_TOKEN": PAT}))
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--auth", "auto", "--print", "--verbose", env={"DATABRICKS_TOKEN": PAT}))


class Terminal(Test):
    def on_terminal(self, *args, columns=80, answer=None, env=None, interrupt=False):
        """Runs the program with a terminal of that width as its three streams."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.h.spawn(*args, env={"TERM": "xterm-256color", **(env or {})}, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        seen, answered, start = b"", False, time.monotonic()
        while time.monotonic() - start < 20:
            ready, _, _ = select.select([master], [], [], 0.05)
            if ready:
                try:
                    chunk = os.read(master, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                seen += chunk
            elif process.poll() is not None:
                break
            if not answered and re.search(rb"\?[^\n]*\Z|\[[yYnN/]+\]", seen) and not ready:
                answered = True
                if interrupt:
                    process.send_signal(signal.SIGINT)
                elif answer is not None:
                    os.write(master, answer)
        code = process.wait(timeout=10)
        os.close(master)
        text = seen.decode("utf-8", "replace")
        self.assertNotIn(PAT, text)
        return Result(list(map(str, args)), code, text, "")

    SETUP = ("setup", "codex", "claude", "--workspace", WORKSPACE, "--auth", "env")

    def test_yes_writes(self):
        result = self.ok(self.on_terminal(*self.SETUP, answer=b"y\n"))
        self.assertTrue(self.h.path(".codex/config.toml").is_file(), f"\n{result}")

    def test_no_writes_nothing(self):
        result = self.on_terminal(*self.SETUP, answer=b"n\n")
        self.assertNotIn(result.code, (2, 3, 4), f"\n{result}")
        self.assertEqual(self.h.snapshot(), {}, f"\n{result}")

    def test_the_end_of_input_writes_nothing(self):
        self.on_terminal(*self.SETUP, answer=b"\x04")
        self.assertEqual(self.h.snapshot(), {})

    def test_an_empty_answer_is_not_a_surprise(self):
        result = self.on_terminal(*self.SETUP, answer=b"\n")
        default_yes = re.search(r"\[Y/n\]|\(Y/n\)", result.out)
        self.assertEqual(self.h.path(".codex/config.toml").exists(), bool(default_yes), f"\n{result}")

    def test_ctrl_c_at_the_question(self):
        result = self.on_terminal(*self.SETUP, interrupt=True)
        self.assertIn(result.code, (130, -signal.SIGINT), f"a shell calls both 130\n{result}")
        self.assertEqual(self.h.snapshot(), {})

    def test_yes_flag_asks_nothing(self):
        result = self.ok(self.on_terminal(*self.SETUP, "--yes"))
        self.assertTrue(self.h.path(".codex/config.toml").is_file(), f"\n{result}")

    def test_nothing_to_do_asks_nothing(self):
        self.ok(self.h.run(*self.SETUP, "--yes"))
        self.ok(self.on_terminal(*self.SETUP))

    def test_colour_only_where_wanted(self):
        self.assertIn("\x1b[", self.on_terminal(*self.SETUP, "--dry-run").out)
        self.assertNotIn("\x1b", self.on_terminal(*self.SETUP, "--dry-run", "--no-color").out)
        self.assertNotIn("\x1b", self.on_terminal(*self.SETUP, "--dry-run", env={"NO_COLOR": "1"}).out)
        self.assertIn("\x1b[", self.on_terminal(*self.SETUP, "--dry-run", env={"NO_COLOR": ""}).out)
        self.assertNotIn("\x1b", self.on_terminal(*self.SETUP, "--dry-run", env={"TERM": "dumb"}).out)

    def test_twenty_columns(self):
        for columns in (20, 1, 0):
            for args in (["setup", "--all", "--workspace", WORKSPACE, "--dry-run"], ["status"], ["setup", "codx", "--workspace", WORKSPACE],
                         ["--help"], ["setup", "--help"], ["setup", "cursor", "--workspace", WORKSPACE, "--yes"], ["status"]):
                result = self.on_terminal(*args, columns=columns, env={"DATABRICKS_TOKEN": PAT})
                self.assertIn(result.code, (0, 2), f"\n{result}")
                self.assertTrue(result.out.strip(), f"{args} at {columns} columns shows nothing")


if __name__ == "__main__":
    main()
