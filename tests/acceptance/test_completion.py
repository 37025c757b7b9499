"""Completions in the real shells, and the manual page in mandoc.

`test_completion.py --update` writes completions/ and man/ anew from the program (DBX_AGENTS_BIN). Exit 77: a shell, the
bash-completion package or mandoc is missing.
"""

import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path

import golden_workspace
from harness import Test, binary, clip, main

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"completions/dbx-agents.bash": ["completion", "bash"], "completions/_dbx-agents": ["completion", "zsh"],
             "completions/dbx-agents.fish": ["completion", "fish"], "man/dbx-agents.1": ["manual"]}
PACKAGE = Path("/usr/share/bash-completion/bash_completion")
SHELLS = ("bash", "zsh", "fish")
MODELS = ["databricks-claude-opus-4-6", "databricks-gpt-5-2", "system.ai.gemini-2-5-flash"]

# (the line up to the cursor, what is offered, exactly). The last word is what completes.
CASES = [
    ("ta", ["tables"]),
    ("c", ["completion"]),  # "complete" and "manual" are for programs
    ("manu", []),
    ("tables ", ["check", "create", "ddl", "grant"]),
    ("--quiet tables cr", ["create"]),
    ("--profile prod tables cr", ["create"]),
    ("tables create --prefix create --si", ["--signals"]),
    ("completion ", ["bash", "fish", "zsh"]),
    ("completion bash ", []),
    ("help ex", ["exit-codes"]),
    ("setup --auth ", ["auto", "env", "helper", "pat", "proxy"]),
    ("setup --auth h", ["helper"]),
    ("setup --auth=h", ["helper"]),
    ("setup --auth=", ["auto", "env", "helper", "pat", "proxy"]),
    ("setup --claude-betas o", ["off", "on"]),
    ("setup cod", ["codex"]),
    ("setup --auth helper cod", ["codex"]),
    ("setup codex cl", ["claude"]),
    ("setup codex --y", ["--yes"]),
    ("setup my", ["my-agent"]),
    ("templates export ge", ["gemini"]),
    ("models --agent cu", ["cursor"]),
    ("models --agent co", ["codex", "copilot"]),
    ("models --agent my", ["my-agent"]),
    ("--profile ", ["DEFAULT", "prod", "staging"]),
    ("setup --profile st", ["staging"]),
    ("setup --profile=st", ["staging"]),
    ("setup --model databricks-", [m for m in MODELS if m.startswith("databricks-")]),
    ("setup --model sys", ["system.ai.gemini-2-5-flash"]),
    ("usage --by ", ["agent", "day", "model", "status"]),
    ("usage --by agent,mo", ["agent,model"]),
    ("proxy st", ["status", "stop"]),
    ("proxy --log-level d", ["debug"]),
    ("proxy --rpm ", []),
    ("tables create --signals metrics,l", ["metrics,logs"]),
    ("--config my", ["my file.toml"]),
    ("usage --html pag", ["page.html"]),
]


def missing(program):
    return shutil.which(program) is None


def listed(home, command):
    """Commands and flags as --help tells them: (below, flags)."""
    text = home.run(*command, "--help").out
    section, below, flags = "", [], []
    for line in text.splitlines():
        if re.match(r"\S", line):
            section = line.split(":")[0]
        match = re.match(r"  (-?\S.*?)(?:  .*)?$", line)
        if not match or line.startswith("   "):
            continue
        if section == "Commands":
            below.append(match[1])
        elif section == "Options":
            flags += re.findall(r"--[a-z][a-z-]*", match[1])
    return below, flags


def tree(home):
    """Every command: (words, below, flags)."""
    found, todo = [], [[]]
    while todo:
        words = todo.pop()
        below, flags = listed(home, words)
        found.append((words, below, flags))
        todo += [words + [name] for name in below]
    return found


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, argv, env, cwd):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], argv, env)
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def until(self, done, what, seconds=60):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise AssertionError(f"no {what} after {seconds} s:\n{clip(self.text[-3000:])}")
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"ended before {what}:\n{clip(self.text[-3000:])}") from None

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def split_as_readline(line):
    """COMP_WORDS of a line: blanks separate, and '=' is a word of its own."""
    words = [""]
    for part in re.split(r"([ =])", line):
        if part == " ":
            words.append("")
        elif part == "=":
            words += ["=", ""] if words[-1] else []
        elif part:
            words[-1] = part
    if words[-1] == "" and words[-2:-1] == ["="]:
        words.pop()
    return words


class Shell(Test):
    def setUp(self):
        super().setUp()
        h = self.h
        bin_folder = h.base / "bin"
        bin_folder.mkdir()
        (bin_folder / "dbx-agents").symlink_to(binary())
        h.env["PATH"] = f"{bin_folder}:/usr/bin:/bin"
        h.env["TERM"] = "xterm"
        h.put(".databrickscfg", "[DEFAULT]\nhost = https://a.example\n[staging]\nhost = https://b.example\n[prod]\n", mode=0o600)
        self.ok(h.run("templates", "export", "codex"))
        own = h.path(".config/dbx-agents/templates")
        (own / "codex").rename(own / "my-agent")
        h.put(".local/state/dbx-agents/models.json",
              json.dumps({"format": 1, "models": [{"name": name, "api_types": []} for name in MODELS]}), mode=0o600)
        self.cwd = h.base / "tmp"
        for name in ("my file.toml", "page.html"):
            (self.cwd / name).write_text("")

    def install(self, shell):
        """Where an installation puts the script."""
        place = {"bash": "share/bash-completion/completions/dbx-agents", "zsh": "share/zsh/site-functions/_dbx-agents",
                 "fish": "share/fish/vendor_completions.d/dbx-agents.fish"}[shell]
        path = self.h.base / place
        path.parent.mkdir(parents=True)
        path.write_text(self.ok(self.h.run("completion", shell)).out)
        return path

    def check_all(self, offered):
        """offered(lines) gives a list of candidates for each line; a value's "--flag=" before it is dropped."""
        wanted = [(line, words) for line, words in CASES]
        everything = tree(self.h)
        for words, below, flags in everything:
            start = " ".join(words) + (" " if words else "")
            if below:
                wanted.append((start, below))
            wanted.append((start + "--", flags))
        got = offered([line for line, _ in wanted])
        problems = []
        for (line, want), have in zip(wanted, got, strict=True):
            have = {re.sub(r"^--[a-z-]+=(?=.)", "", word) for word in have}
            if not want:  # zsh goes on with flags where no argument is left
                have = {word for word in have if not word.startswith("-")}
            # A command's flags come with those that every command has.
            bad = not set(want) <= have if line.endswith("--") else set(want) != have
            if bad:
                problems.append(f"{line!r}: wanted {sorted(want)}, offered {sorted(have)}")
        self.assertFalse(problems, "\n" + "\n".join(problems))
        self.assertGreater(len(everything), 15)

    @unittest.skipIf(missing("bash"), "no bash")
    def test_bash(self):
        script = self.install("bash")

        def offered(lines):
            text = [f"source {script}", "compopt() { REPLIES+=(\"$@\"); }", "complete -p dbx-agents"]
            for line in lines:
                words = split_as_readline("dbx-agents " + line)
                quoted = " ".join("'" + w.replace("'", "'\\''") + "'" for w in words)
                text.append(f"REPLIES=() COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}; _dbx_agents dbx-agents")
                # readline completes files itself when the function asks for that: a pseudo-terminal shows it below
                text.append("if [[ ${REPLIES[*]} == '-o default' ]]; then compgen -f -- \"$cur_word\"; fi"
                            .replace("$cur_word", words[-1]))
                text.append('printf "%s\\n" "${COMPREPLY[@]}"; echo "--- end"')
            done = subprocess.run(["bash", "--norc", "-u", "-c", "\n".join(text)], env=self.h.env, cwd=self.cwd, text=True,
                                  capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
            self.assertEqual(done.stderr, "")
            self.assertTrue(done.stdout.startswith("complete -F _dbx_agents dbx-agents\n"), clip(done.stdout))
            parts = done.stdout.split("\n", 1)[1].split("--- end\n")[:-1]
            return [[word for word in part.split("\n") if word] for part in parts]

        self.check_all(offered)

    # What is typed, with <Tab>, and the arguments that the program would get.
    TYPED = [
        ("setup --auth he\t", ["setup", "--auth", "helper"]),
        ("setup --auth=he\t", ["setup", "--auth=helper"]),
        ("setup --model sys\t", ["setup", "--model", "system.ai.gemini-2-5-flash"]),
        ("setup my\t--y\t", ["setup", "my-agent", "--yes"]),
        ("--config my\t", ["--config", "my file.toml"]),
        ("--config 'my\t", ["--config", "my file.toml"]),
        ("usage --by agent,mo\t", ["usage", "--by", "agent,model"]),
        ("tab\tcr\t", ["tables", "create"]),
    ]

    def check_typed(self, terminal, out):
        for line, want in self.TYPED:
            out.unlink(missing_ok=True)
            terminal.send("dbx-agents " + line)
            time.sleep(0.1)
            terminal.send("\n")
            terminal.until(lambda: out.exists() and out.read_text().endswith("end\n"), f"answer to {line!r}")
            self.assertEqual(out.read_text().split("\0")[:-1], want, f"{line!r}\n{clip(terminal.text[-2000:])}")

    def bash_in_a_terminal(self, *start):
        out = self.h.base / "arguments"
        terminal = Terminal(["/usr/bin/bash", "--norc", "--noprofile", "-i"], {**self.h.env, "PS1": "ready> "}, self.cwd)
        self.addCleanup(terminal.close)
        terminal.until(lambda: "ready> " in terminal.text, "prompt")
        for line in start:
            terminal.send(line + "\n")
        terminal.send(f"dbx-agents() {{ printf '%s\\0' \"$@\" >{out}; echo end >>{out}; }}; echo rea''dy\n")
        terminal.until(lambda: re.search(r"[\r\n]ready\r", terminal.text), "start")
        self.check_typed(terminal, out)

    @unittest.skipIf(missing("bash"), "no bash")
    def test_bash_at_a_terminal_without_the_package(self):
        self.bash_in_a_terminal(f"source {self.install('bash')}")

    @unittest.skipIf(missing("bash") or not PACKAGE.exists(), "no bash-completion")
    def test_bash_at_a_terminal_with_the_package(self):
        self.install("bash")  # found by its name, when it is needed
        self.bash_in_a_terminal(f"export XDG_DATA_DIRS={self.h.base}/share:/usr/share", f"source {PACKAGE}")

    @unittest.skipIf(missing("zsh"), "no zsh")
    def test_zsh(self):
        functions = self.install("zsh").parent
        out = self.h.base / "offered"
        self.h.put(".zshrc", f"""
fpath=({functions} $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' completer _complete
PS1='ready> '
unsetopt zle_bracketed_paste prompt_sp beep
# Every candidate also goes to a file.
compadd() {{
  if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then
    builtin compadd "$@"
    return $?
  fi
  local -a hits
  local -i at=$@[(I)-p]
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- "${{(@)hits/#/${{IPREFIX##*[ =]}}}}" >>{out}
  builtin compadd "$@"
}}
capture() {{
  zle list-choices
  print -r -- '--- end' >>{out}
}}
zle -N capture
bindkey '^T' capture
""")
        terminal = Terminal([shutil.which("zsh"), "-i"], {**self.h.env, "ZDOTDIR": str(self.h.home)}, self.cwd)
        self.addCleanup(terminal.close)
        terminal.until(lambda: "ready> " in terminal.text, "prompt")

        def offered(lines):
            result = []
            for line in lines:
                out.unlink(missing_ok=True)
                terminal.send("dbx-agents " + line + "\x14")
                terminal.until(lambda: out.exists() and out.read_text().endswith("--- end\n"), f"candidates of {line!r}")
                terminal.send("\x15")
                result.append([word.replace("\\ ", " ") for word in out.read_text().split("\n")[:-2]])
            return result

        self.check_all(offered)

    @unittest.skipIf(missing("fish"), "no fish")
    def test_fish(self):
        self.install("fish")
        text = []

        def offered(lines):
            for line in lines:
                text.append(f"complete --do-complete='dbx-agents {line}'")
                text.append("echo '--- end'")
            done = subprocess.run(["fish", "-c", "\n".join(text)], env={**self.h.env, "XDG_DATA_DIRS": f"{self.h.base}/share:/usr/share"},
                                  cwd=self.cwd, text=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
            self.assertEqual(done.stderr, "")
            parts = done.stdout.split("--- end\n")[:-1]
            return [[row.split("\t")[0] for row in part.split("\n") if row] for part in parts]

        self.check_all(offered)


class Lookup(Test):
    """The hidden command behind the dynamic candidates."""

    def test_unusable_files_are_silent(self):
        h = self.h
        h.put(".databrickscfg", "[DEFAULT\nwhat", mode=0o600)
        h.put(".local/state/dbx-agents/models.json", "{", mode=0o600)
        h.put(".config/dbx-agents/templates/broken/agent.toml", "format = 7\n")
        h.put(".config/dbx-agents/config.toml", "= broken")
        for kind in ("agents", "profiles", "models", "nonsense"):
            result = self.ok(h.run("complete", kind))
            self.assertEqual(result.err, "")
        for env in ({"HOME": None}, {"HOME": "/nowhere/at/all"}):
            for kind in ("agents", "profiles", "models"):
                self.assertEqual(self.ok(h.run("complete", kind, env=env)).err, "")

    def test_models_without_a_cache_are_the_templates_defaults(self):
        names = [line.split("\t")[0] for line in self.ok(self.h.run("complete", "models")).out.splitlines()]
        self.assertIn("databricks-gpt-5-2", names)
        self.assertEqual(len(names), len(set(names)))

    def test_never_the_network_and_quick(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            times = []
            for kind in ("agents", "profiles", "models") * 5:
                start = time.monotonic()
                self.ok(self.h.run("complete", kind, env={"DATABRICKS_HOST": url, "DATABRICKS_TOKEN": "dapi" + "0" * 32}))
                times.append(time.monotonic() - start)
            server.settimeout(0)
            with self.assertRaises(BlockingIOError):
                server.accept()
        self.assertLess(min(times), 0.2)  # a debug build on a busy machine; a release build takes a few milliseconds
        self.assertFalse(self.h.state.exists(), "a completion writes nothing")


class Cache(Test):
    def test_models_keeps_what_it_listed(self):
        w = golden_workspace.standin.Workspace(str(self.h.base / "workspace"))
        self.addCleanup(w.stop)
        env = {"DATABRICKS_HOST": f"http://127.0.0.1:{w.port}", "DATABRICKS_TOKEN": golden_workspace.standin.PAT}
        listed = [model["name"] for model in json.loads(self.ok(self.h.run("models", "--json", env=env)).out)["models"]]
        w.fault(fault="html_login_page", path="*", count="forever")
        self.assertNotEqual(self.h.run("models", env=env).code, 0)  # a failure keeps the names of before
        offered = [line.split("\t") for line in self.ok(self.h.run("complete", "models")).out.splitlines()]
        self.assertEqual([words[0] for words in offered], listed)
        self.assertIn("claude", dict(offered)["system.ai.claude-opus-4-6"].split(", "))
        self.assertEqual(self.h.mode(".local/state/dbx-agents/models.json"), 0o600)
        # A folder that takes no file does not spoil the list.
        self.h.state.chmod(0o500)
        w.control("DELETE", "faults")
        self.ok(self.h.run("models", env=env))


class Installed(Test):
    PLACES = {"share/bash-completion/completions/dbx-agents": "completions/dbx-agents.bash",
              "share/zsh/site-functions/_dbx-agents": "completions/_dbx-agents",
              "share/fish/vendor_completions.d/dbx-agents.fish": "completions/dbx-agents.fish",
              "share/man/man1/dbx-agents.1": "man/dbx-agents.1"}

    def test_an_installation_brings_them(self):
        build = Path(binary()).resolve().parents[1]
        if not (build / "cmake_install.cmake").exists() or missing("cmake"):
            self.skipTest("not a build tree")
        prefix = self.h.base / "prefix"
        subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True, timeout=300,
                       env={**os.environ, "DESTDIR": ""})
        for place, source in self.PLACES.items():
            self.same_bytes((prefix / place).read_bytes(), (ROOT / source).read_bytes(), place)


class Generated(Test):
    def test_what_is_in_the_repository_is_what_the_program_prints(self):
        for name, arguments in GENERATED.items():
            with self.subTest(name):
                self.same_bytes((ROOT / name).read_bytes(), self.ok(self.h.run(*arguments)).out.encode(),
                                f"{name}: test_completion.py --update writes it anew")


class Manual(Test):
    PAGE = ROOT / "man/dbx-agents.1"

    @unittest.skipIf(missing("mandoc"), "no mandoc")
    def test_mandoc_has_nothing_to_say(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", str(self.PAGE)], text=True, capture_output=True, timeout=60)
        self.assertEqual(done.stdout, "")

    @unittest.skipIf(missing("mandoc"), "no mandoc")
    def test_it_says_what_help_says(self):
        page = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=300", str(self.PAGE)], text=True, capture_output=True,
                              check=True, timeout=60).stdout
        page = re.sub(r".\x08", "", page)
        flat = re.sub(r"\s+", " ", page)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES",
                        "SECURITY", "SEE ALSO"):
            self.assertRegex(page, rf"(?m)^{section}$")
        for words, below, flags in tree(self.h):
            start = page.find("COMMANDS")
            if words and not below:
                at = re.search(rf"(?m)^ +{re.escape(' '.join(words))}\b", page[start:])
                self.assertIsNotNone(at, words)
                for flag in flags:
                    if flag not in ("--help",):
                        self.assertIn(flag, page[start + at.start():], words)
        for topic in ("environment", "exit-codes", "files", "security"):
            for line in self.ok(self.h.run("help", topic)).out.replace("\n\n", "\n").split("\n"):
                for word in line.split():
                    self.assertIn(word, flat, topic)


class Help(Test):
    def test_help_of_a_command_is_its_help_flag(self):
        for words, _, _ in tree(self.h):
            with self.subTest(words):
                self.assertEqual(self.ok(self.h.run("help", *words)).out, self.ok(self.h.run(*words, "--help")).out)
                for line in self.h.run("help", *words).out.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_topics(self):
        top = self.ok(self.h.run("--help")).out
        for topic in ("environment", "exit-codes", "files", "security"):
            self.assertIn(topic, top)
            text = self.ok(self.h.run("help", topic)).out
            self.assertGreater(len(text.splitlines()), 5)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)

    def test_every_variable_that_the_program_reads_as_its_own_is_told(self):
        told = self.ok(self.h.run("help", "environment")).out
        names = set()
        for folder in ("core", "cli"):
            for path in (ROOT / folder).rglob("*.cpp"):
                names |= set(re.findall(r'"(DBX_AGENTS_[A-Z_]+)"', path.read_text()))
        self.assertGreater(len(names), 4)
        for name in names:
            self.assertIn(name, told)

    def test_every_exit_code_is_told(self):
        text = self.ok(self.h.run("help", "exit-codes")).out
        self.assertEqual(re.findall(r"(?m)^  (\d+) ", text), ["0", "1", "2", "3", "4", "5", "6", "10", "11", "12", "130"])

    def test_unknown(self):
        self.is_error(self.h.run("help", "exitcodes"), 2, "did you mean 'exit-codes'", unchanged=False)
        self.is_error(self.h.run("completion", "csh"), 2, "bash, zsh, fish", unchanged=False)


if __name__ == "__main__":
    if "--update" in sys.argv:
        for target, command in GENERATED.items():
            (ROOT / target).parent.mkdir(exist_ok=True)
            (ROOT / target).write_text(subprocess.run([binary(), *command], check=True, text=True, capture_output=True).stdout)
        sys.exit(0)
    if any(missing(name) for name in (*SHELLS, "mandoc")) or not PACKAGE.exists():
        print("some tests are skipped: zsh, fish, bash-completion and mandoc are not all installed (scripts/deps.sh)")
        code = 0 if unittest.main(module="__main__", exit=False).result.wasSuccessful() else 1
        sys.exit(77 if code == 0 else code)
    main()
