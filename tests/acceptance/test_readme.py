"""What README.md and the other guides show is what the program does.

Each block of ```console runs in a throw-away HOME beside the stand-in workspace: every line that begins with "$ ", in order.
Where a block shows output, the program's has to be the same; "…" stands for anything within a line, and a line that is
nothing but "…" for any lines. Words in `backticks` that call the program have to be commands and flags that it has.
"""

import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import golden_workspace
import standin
from harness import PAT, Test, binary, case_file, clip, each, main
from test_completion import ROOT, tree

GUIDES = sorted([ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *ROOT.glob("docs/**/*.md")])

# Blocks that do not run here, by how their first command begins, and where they are covered instead.
ELSEWHERE = {
    "dbx-agents run codex": "it wants the agent itself: test_run.py, and scripts/e2e.sh with the real ones",
    "dbx-agents proxy install": "it wants a service manager: test_service.py compares the block",
    "cmake -S . -B build/release": "building takes minutes: scripts/test.sh and scripts/install.sh do it",
}

# What stands in the HOME before a block, by how its first command begins.
BEFORE = {
    "dbx-agents setup codex --workspace https://adb-1234567890123456.7.azuredatabricks.net":
        {".codex/config.toml": b'profile = "work"\n[profiles.work]\nmodel = "gpt-5"\n'},
}

# Commands that may end otherwise than with 0, and why.
EXITS = {
    "doctor": (0, 1),  # 1: it has found something broken, as it may in an empty HOME
}

PLACEHOLDER = "https://YOUR-WORKSPACE"
LOOKS_REAL = "https://adb-1234567890123456.7.azuredatabricks.net"


def blocks():
    for guide in GUIDES:
        text = guide.read_text()
        for match in re.finditer(r"(?m)^```console\n(.*?)^```$", text, re.S):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{guide.stem}_{line}", match[1]


def steps_of(block):
    """(command, lines of output shown) of each command; a line that ends with a backslash goes on."""
    steps = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines).removeprefix("> ").strip()
            steps.append((command, []))
        else:
            assert steps, f"a console block begins with a command: {line!r}"
            steps[-1][1].append(line)
    return steps


def matches(want, have):
    """Whether lines of output are as shown, with "…" for what is left out."""
    pattern = ""
    for line in want:
        pattern += r"(?:[^\n]*\n)*?" if line.strip() == "…" else ".*?".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in have)) is not None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def known(command, table):
    return next((value for prefix, value in table.items() if command.startswith(prefix)), None)


@each(blocks(), "block")
class Blocks(Test):
    def check_block(self, block):
        steps = steps_of(block)
        if known(steps[0][0], ELSEWHERE):
            return
        h = self.h
        programs = h.base / "bin"
        programs.mkdir()
        (programs / "dbx-agents").symlink_to(binary())
        w = standin.Workspace(str(h.base / "workspace"))
        self.addCleanup(w.stop)
        url, port = f"http://127.0.0.1:{w.port}", free_port()
        for name, data in (known(steps[0][0], BEFORE) or {}).items():
            h.put(name, data)
        real = LOOKS_REAL in block
        h.env.update({"PATH": f"{programs}:/usr/bin:/bin", "DBX_AGENTS_PROXY_PORT": str(port),
                      "DATABRICKS_HOST": LOOKS_REAL if real else url, "DATABRICKS_TOKEN": PAT if real else standin.PAT})
        for command, shown in steps:
            code, text = self.perform(command.replace(PLACEHOLDER, url))
            text = text.replace(str(programs), "/usr/local/bin").replace(str(h.home), "~").replace(url, PLACEHOLDER)
            text = text.replace(f":{port}", ":8790")
            words = shlex.split(command, comments=True)
            wanted = next((codes for word, codes in EXITS.items() if word in words[1:3]), (0,))
            self.assertIn(code, wanted, f"$ {command}\n{clip(text)}")
            want = [line.rstrip() for line in shown]
            while want and not want[-1]:
                want.pop()
            have = [line.rstrip() for line in text.rstrip("\n").split("\n")]
            if want and not matches(want, have):
                self.same_bytes("\n".join(have).encode(), "\n".join(want).encode(), f"README shows other words for: $ {command}")

    def perform(self, command):
        """(exit code, what it prints). A command that stays is ended as soon as it has said something."""
        process = subprocess.Popen(["bash", "-c", command], env=self.h.env, cwd=self.h.base / "tmp", stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        words = shlex.split(command, comments=True)
        if words == ["dbx-agents", "proxy"] or words[1:] == ["usage", "--watch"]:
            line = process.stdout.readline()
            time.sleep(0.2)
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=60)
            return 0, line.decode()
        try:
            out, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(f"no end after 120 s: $ {command}") from None
        return process.returncode, out.decode("utf-8", "replace")


class Troubleshooting(Test):
    """Each heading of the chapter is word for word what the program says, in the situation that the text below it is about."""

    def situations(self):
        h, w = self.h, ["--workspace", LOOKS_REAL]
        port = free_port()
        h.put(".codex/config.toml", "model = \n")
        h.put(".claude/settings.json", '{"a": 1,}\n')
        yield h.run("setup", "codex", *w, "--yes").text
        yield h.run("setup", "claude", *w, "--yes").text
        h.path(".codex/config.toml").unlink()
        yield h.run("setup", "codex").text
        yield h.run("setup", "codex", *w, "--yes").text
        yield h.run("proxy", "status").text
        self.ok(h.run("setup", "codex", *w, f"--via-proxy={port}", "--yes"))
        proxy = h.spawn("proxy", "--port", port, *w, env={"DATABRICKS_TOKEN": PAT})
        try:
            proxy.stdout.readline()
            yield h.run("proxy", "--port", port, *w, env={"DATABRICKS_TOKEN": PAT}).text.replace(str(port), "8790")
            request = urllib.request.Request(f"http://127.0.0.1:{port}/openai/v1/responses", b"{}", {"Authorization": "Bearer old"})
            try:
                urllib.request.urlopen(request, timeout=30)
            except urllib.error.HTTPError as refused:
                yield refused.read().decode()
        finally:
            proxy.terminate()
            proxy.communicate(timeout=60)

    def test_the_headings_are_what_is_said(self):
        text = (ROOT / "README.md").read_text()
        chapter = text[text.index("\n## Troubleshooting\n"):]
        chapter = chapter[:chapter.index("\n## ", 1)]
        headings = re.findall(r"(?m)^### (.*)$", chapter)
        said = [" ".join(words.split()) for words in self.situations()]
        for heading in headings:
            self.assertTrue(any(heading in words for words in said), f"nobody says: {heading}\n" + "\n".join(said))
        self.assertEqual(len(headings), len(said), "a situation for each heading")


@functools.cache
def takes_words(name):
    """Whether a command has arguments, by its usage line."""
    text = subprocess.run([binary(), *name.split(), "--help"], capture_output=True, text=True, check=True).stdout
    usage = re.search(r"(?m)^Usage: (.*)$", text)[1]
    return usage.split("[OPTIONS]")[1].strip() not in ("", "COMMAND", "[COMMAND]")


class Words(Test):
    """Inline code that names commands and flags."""

    # Flags of our scripts and of other programs.
    OTHERS = {"--uninstall", "--prefix", "--readme", "--update", "--build-only"}

    def test_the_matcher_can_fail(self):
        self.assertTrue(matches(["a … c", "…", "z"], ["a b c", "x", "y", "z"]))
        self.assertTrue(matches(["a", "…"], ["a"]))
        self.assertFalse(matches(["a … c"], ["a b d"]))
        self.assertFalse(matches(["a"], ["a", "b"]))
        self.assertFalse(matches(["a", "b"], ["a"]))

    def test_blocks_that_do_not_run_are_there(self):
        firsts = [steps_of(block)[0][0] for _, block in blocks()]
        for prefix in (*ELSEWHERE, *BEFORE):
            self.assertTrue(any(first.startswith(prefix) for first in firsts), f"no block begins so any more: {prefix}")

    def test_a_wrong_word_is_found(self):
        commands = {" ".join(words): (below, set(flags)) for words, below, flags in tree(self.h)}
        for call, count in (("dbx-agents proxy start", 1), ("dbx-agents setup codex --auht pat", 1), ("dbx-agents tables drop --to x", 2),
                            ("dbx-agents revert codex --force", 0), ("dbx-agents tables create|check --prefix dev --json", 0)):
            self.assertEqual(len(list(self.wrong(call, commands, commands[""][1]))), count, call)

    def test_commands_and_flags_exist(self):
        commands = {" ".join(words): (below, set(flags)) for words, below, flags in tree(self.h)}
        everywhere = commands[""][1]
        all_flags = set().union(*(flags for _, flags in commands.values())) | self.OTHERS
        problems = []
        for guide in GUIDES:
            text = guide.read_text()
            calls = [command for _, block in blocks() for command, _ in steps_of(block) if command.startswith("dbx-agents ")]
            text = re.sub(r"(?ms)^```.*?^```$", "", text)
            for span in re.findall(r"`([^`\n]+)`", text):
                if span.startswith("dbx-agents "):
                    calls.append(span)
                elif span.split()[0] in commands and " " in span:
                    calls.append("dbx-agents " + span)
                for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span):
                    if flag not in all_flags and not span.startswith(("systemctl", "curl", "npm", "apt", "docker", "ctest ", "claude ", "codex ")):
                        problems.append(f"{guide.name}: `{span}`: no command has {flag}")
            for call in calls:
                problems += [f"{guide.name}: `{call}`: {what}" for what in self.wrong(call, commands, everywhere)]
        self.assertFalse(problems, "\n" + "\n".join(problems))

    @staticmethod
    def wrong(call, commands, everywhere):
        """What a call names that does not exist. Words in capitals, and what follows a flag, are values."""
        name, before = "", ""
        for word in call.split(" #")[0].split()[1:]:
            word = word.strip("[],;…")
            if word in ("--", "|", ">", "&&"):
                return
            names = [f"{name} {each}".strip() for each in word.split("|")]
            if word.startswith("--"):
                if word.split("=")[0] not in commands[name][1] | everywhere:
                    yield f"{name or 'dbx-agents'} has no {word}"
            elif all(each in commands for each in names):
                name = names[0]
            elif not takes_words(name) and not before.startswith("--") and re.fullmatch(r"[a-z][a-z-]*", word):
                yield f"there is no {names[0]}"
            before = word


if __name__ == "__main__":
    main()
