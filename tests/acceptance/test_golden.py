"""Transcripts of typical commands: output, exit code and resulting files, compared exactly.

`test_golden.py --update [NAME...]` writes them anew (with DBX_AGENTS_BIN and DBX_AGENTS_WORKSPACE); paths, times and the version
are normalised. Those that need a workspace are in golden_workspace.py.
"""

import difflib
import re
import sys

import golden_workspace
from harness import HERE, PAT, WORKSPACE, Home, Test, binary, case_file, clip, each, main

GOLDEN = HERE / "golden"
W = ["--workspace", WORKSPACE]
TOKEN = {"DATABRICKS_TOKEN": PAT}
CODEX, CLAUDE, ENV, SETTINGS = ".codex/config.toml", ".claude/settings.json", ".gemini/.env", ".gemini/settings.json"

# name: (files at first, steps). A step is arguments, or (arguments, environment), or a function of the home.
SCENARIOS = {
    "help": ({}, [["--help"]]),
    "version": ({}, [["--version"]]),
    "setup-all-first-time": ({}, [(["setup", "--all", *W], TOKEN)]),
    "setup-all-dry-run": ({CODEX: "codex/01-comments-and-tables.toml", CLAUDE: "claude/01-dotfiles.json", ENV: "gemini-env/02-company.env",
                           SETTINGS: "gemini-settings/02-comments.json"}, [(["setup", "--all", *W, "--dry-run"], TOKEN)]),
    "setup-all-check": ({}, [(["setup", "--all", *W, "--check"], TOKEN), (["setup", "--all", *W, "--yes", "--quiet"], TOKEN), (["setup", "--all", *W, "--check"], TOKEN)]),
    "setup-codex-helper-without-a-credential": ({CODEX: "codex/25-model-and-provider.toml"}, [["setup", "codex", *W, "--yes"]]),
    "setup-codex-old-document": ({CODEX: "codex/19-old-databricks-document.toml"}, [(["setup", "codex", *W, "--auth", "pat", "--yes"], TOKEN), ["revert", "codex"]]),
    "setup-codex-env": ({}, [["setup", "codex", *W, "--auth", "env", "--yes"]]),
    "setup-claude-pat": ({CLAUDE: "claude/02-portal-crlf.json"}, [(["setup", "claude", *W, "--auth", "pat", "--yes"], TOKEN)]),
    "setup-claude-print": ({CLAUDE: "claude/01-dotfiles.json"}, [(["setup", "claude", *W, "--auth", "pat", "--print"], TOKEN)]),
    "setup-claude-helper-takes-the-old-token": ({CLAUDE: "claude/16-old-token-and-helper.json"}, [(["setup", "claude", *W, "--yes"], TOKEN), ["revert", "claude"]]),
    "setup-gemini-auto": ({SETTINGS: "gemini-settings/03-enterprise.json"}, [(["setup", "gemini", *W, "--yes"], TOKEN)]),
    "setup-gemini-without-a-credential": ({}, [["setup", "gemini", *W]]),
    "setup-cursor": ({}, [["setup", "cursor", *W, "--yes"]]),
    "setup-json": ({}, [(["setup", "codex", *W, "--auth", "env", "--dry-run", "--json"], TOKEN)]),
    "setup-twice": ({}, [["setup", "claude", *W, "--auth", "env", "--yes"], ["setup", "claude", *W, "--auth", "env", "--yes"]]),
    "setup-all-otel": ({}, [(["setup", "--all", *W, "--otel", "main.telemetry.dev", "--yes"], TOKEN)]),
    "setup-claude-otel-pat": ({CLAUDE: "claude/03-other-gateway-tabs.json"}, [(["setup", "claude", *W, "--auth", "pat", "--otel", "main.telemetry.dev", "--dry-run"], TOKEN)]),
    "setup-codex-otel-over-another-exporter": ({CODEX: "codex/26-otel-inline.toml"}, [
        (["setup", "codex", *W, "--auth", "pat", "--otel", "main.telemetry.dev", "--yes"], TOKEN), ["status", "codex"],
        (["setup", "codex", *W, "--auth", "pat", "--no-otel", "--yes"], TOKEN), ["revert", "codex"]]),
    "setup-otel-through-the-proxy": ({}, [(["setup", "codex", "gemini", "claude", *W, "--via-proxy", "--otel", "main.telemetry.dev", "--otel-traces", "--yes"], TOKEN)]),
    "error-otel": ({}, [["setup", "claude", *W, "--otel", "main.telemetry"], ["setup", "claude", "--gateway", "https://gateway.example.com", "--auth", "env", "--otel", "main.telemetry.dev"],
                        ["setup", "claude", *W, "--otel-traces"], ["setup", "claude", *W, "--otel", "a.b.c", "--no-otel"]]),
    "templates-show-otel": ({}, [["templates", "show", "otel"], ["templates", "show", "otel", *W, "--otel", "main.telemetry.dev", "--json"]]),
    "error-unknown-agent": ({}, [["setup", "codx", *W]]),
    "error-no-workspace": ({}, [["setup", "codex"]]),
    "error-http": ({}, [["setup", "codex", "--workspace", "http://adb-1.2.azuredatabricks.net"]]),
    "error-conflicting-flags": ({}, [["setup", "codex", *W, "--dry-run", "--check"]]),
    "error-invalid-json": ({CLAUDE: "invalid/claude-trailing-comma.json"}, [["setup", "claude", *W, "--auth", "env"], ["setup", "claude", *W, "--auth", "env", "--json"]]),
    "error-invalid-toml": ({CODEX: "invalid/codex-duplicate-key.toml"}, [["setup", "codex", *W, "--auth", "env"]]),
    "error-no-token": ({}, [["setup", "claude", *W, "--auth", "pat"]]),
    "status-nothing": ({}, [["status"]]),
    "status-after-setup": ({CODEX: "codex/01-comments-and-tables.toml"}, [(["setup", "--all", *W, "--yes", "--quiet"], TOKEN), ["status"]]),
    "status-drift": ({}, [["setup", "codex", *W, "--auth", "env", "--yes", "--quiet"],
                          lambda h: h.put(CODEX, h.read(CODEX).replace(b"databricks-gpt-5-2", b"gpt-6-sol"), mode=h.mode(CODEX)), ["status", "codex"], ["revert", "codex"],
                          ["revert", "codex", "--force"]]),
    "revert-by-key": ({CODEX: "codex/13-crlf.toml"}, [["setup", "codex", *W, "--auth", "env", "--yes", "--quiet"],
                                                     lambda h: h.put(CODEX, h.read(CODEX).replace(b"\r\n", b"\n")), ["revert", "codex"]]),
    "revert-nothing": ({}, [["revert", "--all"]]),
    "revert-list": ({CLAUDE: "claude/06-four-blanks.json"}, [["setup", "claude", *W, "--auth", "env", "--yes", "--quiet"], ["revert", "--list"]]),
    "auth-status": ({}, [(["auth", "status"], {**TOKEN, "DATABRICKS_HOST": WORKSPACE}), ["auth", "status", *W]]),
    "templates-list": ({}, [["templates", "list"]]),
}


def normal(text, home):
    for path, name in ((str(home.home), "$HOME"), (str(home.base), "$BASE")):
        text = text.replace(path, name)
    text = re.sub(r"(\$(?:BASE|HOME)\S*) {2,}", r"\1  ", text)  # a column is as wide as the path that is replaced
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d[:-]?\d\d[:-]?\d\d(?:[.,]\d+)?(?:Z| ?UTC|[+-]\d\d:?\d\d)?", "<time>", text)
    text = re.sub(r"\d{8}[T-]\d{6}(?:[.-]\d+)?Z?", "<time>", text)
    text = re.sub(r"dbxl_[0-9a-f]{64}", "<local key>", text)  # random
    return re.sub(r"dbx-agents \d+\.\d+\.\d+", "dbx-agents <version>", text).replace("\r", "\\r")


def visible(data):
    text = data.decode("utf-8", "backslashreplace").replace("\ufeff", "\\ufeff")
    if text and not text.endswith("\n"):
        text += "\n\\ no final newline\n"
    return text


def transcript(name):
    with Home() as home:
        if name in golden_workspace.SCENARIOS:
            (home.base / "bin").mkdir()
            (home.base / "bin/dbx-agents").symlink_to(binary())
            parts = list(golden_workspace.Scene(home).play(golden_workspace.SCENARIOS[name]))
            return normal(golden_workspace.normal("\n".join(parts), home), home)
        files, steps = SCENARIOS[name]
        # Called by a path of its own, so that nothing depends on where it was built.
        (home.base / "bin").mkdir()
        (home.base / "bin/dbx-agents").symlink_to(binary())
        home.env["PATH"] = f"{home.base}/bin:/usr/bin:/bin"
        for rel, file in files.items():
            home.put(rel, case_file(file))
        parts = []
        for step in steps:
            if callable(step):
                step(home)
                parts.append("# somebody edits the file\n")
                continue
            args, env = step if isinstance(step, tuple) else (step, {})
            result = home.run(*args, env=env, exe=str(home.base / "bin/dbx-agents"))
            shown = "".join(f"{key}=… " for key in env)
            parts.append(f"$ {shown}dbx-agents {' '.join(args)}\n--- exit {result.code}\n--- stdout\n{result.out}--- stderr\n{result.err}")
        for rel, (kind, mode, data) in sorted(home.snapshot().items()):
            if kind == "file":
                text = visible(data.replace(PAT.encode(), b"<token>"))
                parts.append(f"--- file {rel} {mode:04o}\n{text}")
        return normal("\n".join(parts), home)


ALL = [*SCENARIOS, *golden_workspace.SCENARIOS]


@each([(name, name) for name in ALL], "transcript")
class Golden(Test):
    def check_transcript(self, name):
        path = GOLDEN / f"{name}.txt"
        self.assertTrue(path.exists(), f"{path.name} is missing: run test_golden.py --update")
        want, got = path.read_text(), transcript(name)
        if want != got:
            diff = "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "recorded", "now", lineterm=""))
            self.fail(f"{name} (test_golden.py --update records it anew)\n{clip(diff, 8000)}")

    def test_no_stray_recordings(self):
        self.assertEqual({p.stem for p in GOLDEN.glob("*.txt")}, set(ALL))


if __name__ == "__main__":
    if "--update" in sys.argv:
        binary()
        GOLDEN.mkdir(exist_ok=True)
        names = sys.argv[sys.argv.index("--update") + 1:] or ALL
        for stale in GOLDEN.glob("*.txt"):
            if stale.stem not in ALL:
                stale.unlink()
        for scenario in names:
            (GOLDEN / f"{scenario}.txt").write_text(transcript(scenario))
    else:
        main()
