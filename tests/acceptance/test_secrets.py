"""No secret in any output, in argv or in what is kept; and nothing leaves the machine."""

import json
import os
import re
import shutil
import subprocess
import unittest

from cases import CASES
from harness import PAT, WORKSPACE, Test, binary, main
from wants import FORMS

# Every kind of place in which a secret of the user may stand in a file.
SECRETS = {
    ".claude/settings.json": ({
        "env": {"ANTHROPIC_AUTH_TOKEN": "hidden-value-aa-0001", "MY_API_KEY": "hidden-value-aa-0002", "DB_PASSWORD": "hidden-value-aa-0003",
                "client_secret": "hidden-value-aa-0004", "ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer hidden-value-aa-0005\nX-Api-Key: hidden-value-aa-0006\nX-Team: billing",
                "PLAIN": "ghp_hiddenvalue0123456789abcdefghij012345", "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic hidden-value-aa-0007,x-api-key=hidden-value-aa-0008"},
        "apiKeyHelper": "echo sk-ant-hiddenvalue0123456789abcdef",
        "nested": {"deep": [{"token": "hidden-value-aa-0009"}, "eyJhiddenvalue01.eyJhiddenvalue02.c2lnbmF0dXJlaGlkZGVu"]},
    }, "json"),
    ".codex/config.toml": ("""\
note = "dapi00112233445566778899aabbccddeeff is in a text"
[model_providers.databricks]
experimental_bearer_token = "hidden-value-bb-0001"
base_url = "https://user:hidden-value-bb-0006@old.example.net/v1"
http_headers = { Authorization = "Bearer hidden-value-bb-0002", "X-Api-Key" = 'hidden-value-bb-0003' }
[mcp_servers.x.env]
SECRET_THING = \"\"\"
hidden-value-bb-0004\"\"\"
GOOGLE = "AIzaSyHiddenValue0123456789abcdefghijkl"
[mcp_servers.x]
args = ["--token", "x", "--api-key=hidden-value-bb-0005"]
""", "text"),
    ".gemini/.env": ("""\
GEMINI_API_KEY=hidden-value-cc-0001
export my_password='hidden-value-cc-0002'
SOME_TOKEN: "hidden-value-cc-0003"
PRIVATE_KEY="-----BEGIN-----
hidden-value-cc-0004
hidden-value-cc-0005
-----END-----"
""", "text"),
    ".codex/.env": ("DATABRICKS_TOKEN=hidden-value-dd-0001 # hidden\n", "text"),
}
HIDDEN = re.compile(r"hidden-value-\w\w-\d{4}|ghp_hidden\w+|sk-ant-hidden\w+|eyJhidden[\w.]+|dapi0011\w+|AIzaSyHidden\w+", re.I)


class Secrets(Test):
    def fill(self):
        for rel, (content, kind) in SECRETS.items():
            text = json.dumps(content, indent=2) if kind == "json" else content
            self.h.put(rel, text)
            # `--api-key=…` inside a list and a URL's password have no key of their own: nothing promises to mask them.
            self.h.secrets += [s for s in HIDDEN.findall(text) if s not in self.h.secrets and s not in ("hidden-value-bb-0005", "hidden-value-bb-0006")]

    def test_every_command_masks_what_stands_in_the_files(self):
        self.fill()
        env = {"DATABRICKS_TOKEN": PAT}
        for form in ("pat", "env"):
            for more in (["--dry-run"], ["--print"], ["--check"], ["--dry-run", "--json"], ["--print", "--json"], ["--dry-run", "--verbose"], ["--print", "--verbose"], ["--yes", "--json"], ["--yes", "--verbose"]):
                for agents in (["codex", "claude", "gemini"], ["--all"]):
                    auth = "pat" if agents == ["--all"] else form
                    result = self.h.run("setup", *agents, "--workspace", WORKSPACE, "--auth", auth, *more, env=env)
                    self.assertIn(result.code, (0, 10), f"\n{result}")
        for args in (["status"], ["status", "--json"], ["status", "--verbose"], ["revert", "--list"], ["revert", "--list", "--json"], ["auth", "status", "--workspace", WORKSPACE],
                     ["auth", "status", "--json", "--workspace", WORKSPACE], ["revert", "--all", "--verbose"], ["status"]):
            self.ok(self.h.run(*args, env=env))

    def test_status_masks_without_setup(self):
        self.fill()
        for args in (["status"], ["status", "--json"]):
            self.ok(self.h.run(*args))

    def test_errors_show_no_secret(self):
        self.fill()
        for rel in list(SECRETS):
            home = self.h = self.fresh()
            self.fill()
            self.h.put(rel, self.h.read(rel) + b'\n"broken = \x00\n')
            home.run("setup", "codex", "claude", "gemini", "--workspace", WORKSPACE, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": PAT})
            home.run("status")

    def test_what_we_wrote_is_kept_as_a_hash_only(self):
        self.fill()
        for form in ("pat", "env", "pat"):
            self.ok(self.h.run("setup", "codex", "claude", "gemini", "--workspace", WORKSPACE, "--auth", form, "--yes", env={"DATABRICKS_TOKEN": PAT}))
            self.assertNotIn(PAT.encode(), self.h.state_bytes(), f"after --auth {form}")
        self.h.put(".claude/settings.json", self.h.read(".claude/settings.json").replace(b'"nested"', b'"nested2"'), mode=0o600)
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "pat", "--model", "databricks-claude-opus-5", "--yes", env={"DATABRICKS_TOKEN": PAT}))
        self.assertNotIn(PAT.encode(), self.h.state_bytes(), "a backup of a file that held our token")
        self.ok(self.h.run("revert", "--all"))
        self.assertNotIn(PAT.encode(), self.h.state_bytes(), "a backup made by revert")

    def test_a_dry_run_of_a_change_between_two_tokens_shows_neither(self):
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": "dapi" + "ab" * 16}))
        self.h.secrets.append("dapi" + "ab" * 16)
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "pat", "--dry-run", env={"DATABRICKS_TOKEN": PAT}))

    @unittest.skipUnless(shutil.which("strace"), "needs strace")
    def test_no_process_is_started_and_no_connection_made(self):
        trace = self.h.base / "trace"
        probe = subprocess.run(["strace", "-o", "/dev/null", "/bin/true"], capture_output=True)
        if probe.returncode:
            self.skipTest("strace can not trace here")
        for args in (["setup", "--all", "--workspace", WORKSPACE, "--yes"], ["status"], ["revert", "--all"]):
            done = subprocess.run(["strace", "-f", "-s", "4096", "-e", "trace=execve,socket,connect,fork,vfork,clone,clone3", "-o", str(trace), binary(), *args],
                                  env={**self.h.env, "DATABRICKS_TOKEN": PAT}, capture_output=True, text=True, timeout=60, cwd="/")
            if "LeakSanitizer" in done.stderr:
                self.skipTest("the leak check of a sanitizer build does not run under strace")
            self.assertEqual(done.returncode, 0, done.stderr)
            calls = trace.read_text()
            self.assertEqual(calls.count("execve("), 1, f"{args} started a program\n{calls}")
            self.assertNotIn("AF_INET", calls, f"{args} opened a network socket\n{calls}")
            self.assertNotIn(PAT, calls, "the token in argv")

    def test_the_token_is_not_left_in_a_temporary_file(self):
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
        holding = [rel for rel, (_, _, data) in self.h.snapshot(with_state=True).items() if PAT.encode() in data]
        self.assertEqual(holding, [".gemini/.env"])
        self.assertEqual(os.listdir(self.h.base / "tmp"), [])

    def test_every_user_file_in_print_and_diff(self):
        """The secrets that stand in the user files of this suite never come out."""
        for case in CASES:
            if len(self.h.put(case.rel, case.data).read_bytes()) and self.h.secrets[1:]:
                for form in FORMS[case.agent][-2:]:
                    for more in (["--dry-run"], ["--print"]):
                        self.ok(self.h.run("setup", case.agent, "--workspace", WORKSPACE, "--auth", form, *more, env={"DATABRICKS_TOKEN": PAT}))
            self.h.path(case.rel).unlink()


if __name__ == "__main__":
    main()
