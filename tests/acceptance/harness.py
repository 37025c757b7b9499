"""What every acceptance test needs: a throw-away HOME, the real binary in a bare environment, and readable differences.

The binary comes from DBX_AGENTS_BIN. Nothing here reads the real HOME, the network or the program's own code.
"""

import difflib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

# A test runner in the background ignores interrupts, and its children would as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"

WORKSPACE = "https://adb-1.2.azuredatabricks.net"
GATEWAY = WORKSPACE + "/ai-gateway"
PAT = "dapi" + "5ec4e7" * 5 + "42"  # the token of these tests: must never be seen in any output
HEADER = "x-databricks-use-coding-agent-mode: true"

TIMEOUT = 60  # for one command; far more than any needs, so that a hang is a failure and not a stuck build

_TOKEN_SHAPES = re.compile(rb"\b(?:dapi|ghp_|sk-|AIza|eyJ)[A-Za-z0-9_.\-]{12,}")


def binary():
    path = os.environ.get("DBX_AGENTS_BIN", "")
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"DBX_AGENTS_BIN={path!r} is not an executable file: build the program first")
    return os.path.abspath(path)


def case_file(name):
    return (FILES / name).read_bytes()


def tokens_in(data):
    """Strings in a user's file that look like secrets; no output may show them."""
    return sorted({m.group().decode() for m in _TOKEN_SHAPES.finditer(data)})


class Result:
    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    @property
    def text(self):
        return self.out + self.err

    def __str__(self):
        return (f"$ dbx-agents {' '.join(self.argv)}\n[exit {self.code}]\n--- stdout\n{clip(self.out)}\n"
                f"--- stderr\n{clip(self.err)}")


def clip(text, limit=4000):
    return text if len(text) <= limit else text[:limit] + f"\n… ({len(text)} characters)"


def byte_diff(before, after, before_name="before", after_name="after"):
    """A unified diff of two byte strings in which every odd byte is visible."""

    def lines(data):
        return [repr(line)[2:-1] for line in data.splitlines(keepends=True)]

    text = "\n".join(difflib.unified_diff(lines(before), lines(after), before_name, after_name, lineterm="", n=2))
    return clip(text) or "(equal)"


class Home:
    """A throw-away HOME. `run` starts the real program in it with nothing of our own environment."""

    def __init__(self, base=None):
        self.base = Path(tempfile.mkdtemp(prefix="dbx-acc-", dir=base or scratch()))
        self.home = self.base / "home"
        self.home.mkdir(mode=0o755)
        (self.base / "tmp").mkdir()
        self.secrets = [PAT]
        self.env = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(self.base / "tmp"),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            # Nothing may leave this machine: what does ask a workspace (auth status) meets a proxy that cannot exist.
            "HTTPS_PROXY": "http://dbx-agents.invalid:9",
        }

    def close(self):
        for path, folders, names in os.walk(self.base):
            for name in folders:
                full = os.path.join(path, name)
                if not os.path.islink(full):
                    os.chmod(full, 0o700)
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def state(self):
        return self.home / ".local/state/dbx-agents"

    def path(self, rel):
        return self.home / rel

    def put(self, rel, data, mode=0o644):
        path = self.path(rel)
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, str):
            data = data.encode()
        path.write_bytes(data)
        path.chmod(mode)
        self.secrets += [s for s in tokens_in(data) if s not in self.secrets]
        return path

    def read(self, rel):
        return self.path(rel).read_bytes()

    def mode(self, rel):
        return stat.S_IMODE(self.path(rel).stat().st_mode)

    def spawn(self, *args, env=None, **kwargs):
        full = dict(self.env)
        for key, value in (env or {}).items():
            if value is None:
                full.pop(key, None)
            else:
                full[key] = str(value)
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("cwd", self.base / "tmp")
        exe = kwargs.pop("exe", None) or binary()
        return subprocess.Popen([exe, *map(str, args)], env=full, start_new_session=True, **kwargs)

    def run(self, *args, env=None, may_show_secrets=False, timeout=TIMEOUT, **kwargs):
        process = self.spawn(*args, env=env, **kwargs)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"no end after {timeout} s: dbx-agents {' '.join(map(str, args))}\n"
                                 f"{(out or b'').decode(errors='replace')}{(err or b'').decode(errors='replace')}")
        result = Result([str(a) for a in args], process.returncode,
                        (out or b"").decode("utf-8", "surrogateescape"), (err or b"").decode("utf-8", "surrogateescape"))
        if result.code < 0:
            raise AssertionError(f"killed by signal {-result.code}\n{result}")
        if not may_show_secrets:
            for secret in self.secrets:
                if secret in result.out or secret in result.err:
                    shown = str(result).replace(secret, "<<<SECRET SHOWN>>>")
                    raise AssertionError(f"a secret is shown ({secret[:4]}…)\n{shown}")
        return result

    def snapshot(self, with_state=False):
        """Everything under HOME: path -> (kind, mode, content). Our own state directory only on request."""
        seen = {}
        for folder, folders, names in os.walk(self.home):
            rel = os.path.relpath(folder, self.home)
            for name in list(folders):
                path = os.path.normpath(os.path.join(rel, name))
                full = os.path.join(folder, name)
                if not with_state and (path == ".local" or path == ".local/state" or path == ".local/state/dbx-agents"):
                    if path == ".local/state/dbx-agents":
                        folders.remove(name)
                    continue
                if os.path.islink(full):
                    seen[path] = ("link", 0, os.readlink(full).encode())
                else:
                    seen[path] = ("dir", stat.S_IMODE(os.lstat(full).st_mode), b"")
            for name in names:
                path = os.path.normpath(os.path.join(rel, name))
                full = os.path.join(folder, name)
                info = os.lstat(full)
                if stat.S_ISLNK(info.st_mode):
                    seen[path] = ("link", 0, os.readlink(full).encode())
                elif stat.S_ISREG(info.st_mode):
                    seen[path] = ("file", stat.S_IMODE(info.st_mode), Path(full).read_bytes())
                else:
                    seen[path] = ("special", stat.S_IFMT(info.st_mode), b"")
        return seen

    def kept(self):
        """The snapshot with our state, but without the lock and the folders it needs: a refused command may leave those."""
        folders = (".local", ".local/state", ".local/state/dbx-agents")
        return {path: entry for path, entry in self.snapshot(with_state=True).items()
                if path not in folders and not (path.startswith(folders[2]) and path.endswith("lock") and entry[2] == b"")}

    def state_bytes(self):
        """Every byte of the state directory, names included."""
        parts = []
        for folder, _, names in os.walk(self.state):
            for name in names:
                parts.append(name.encode() + b"\n")
                parts.append(Path(folder, name).read_bytes())
        return b"\n".join(parts)


def scratch():
    """Where the throw-away homes live: memory when there is some, since every write is synced to disk."""
    wanted = os.environ.get("DBX_AGENTS_TEST_TMP")
    if wanted:
        return wanted
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) and os.path.isdir("/dev/shm") else None


class Test(unittest.TestCase):
    """A test case with a fresh HOME as `self.h`."""

    maxDiff = None
    longMessage = True

    def setUp(self):
        self.h = Home()
        self.addCleanup(self.h.close)

    def fresh(self):
        home = Home()
        self.addCleanup(home.close)
        return home

    def ok(self, result, code=0):
        self.assertEqual(result.code, code, f"\n{result}")
        return result

    def same_bytes(self, got, want, what, result=None):
        if got != want:
            self.fail(f"{what}\n{byte_diff(want, got, 'expected', 'found')}" + (f"\n{result}" if result else ""))

    def same_snapshot(self, got, want, what, result=None):
        if got == want:
            return
        text = [what]
        for path in sorted(set(got) | set(want)):
            a, b = want.get(path), got.get(path)
            if a == b:
                continue
            if a is None:
                text.append(f"  new: {path} {b[0]} {b[1]:o}")
            elif b is None:
                text.append(f"  gone: {path} {a[0]} {a[1]:o}")
            else:
                if a[:2] != b[:2]:
                    text.append(f"  {path}: {a[0]} {a[1]:o} -> {b[0]} {b[1]:o}")
                if a[2] != b[2]:
                    text.append(f"  {path}:\n{byte_diff(a[2], b[2], 'expected', 'found')}")
        self.fail("\n".join(text) + (f"\n{result}" if result else ""))

    def says(self, result, *words, where="text"):
        """Each word (any of the alternatives in a tuple) stands in the output, whatever its case."""
        text = getattr(result, where).lower()
        for word in words:
            options = word if isinstance(word, tuple) else (word,)
            if not any(option.lower() in text for option in options):
                self.fail(f"the {where} says nothing of {' or '.join(map(repr, options))}\n{result}")

    def is_error(self, result, code, *words, unchanged=True):
        """Exit code, nothing on stdout, and the four lines of an error on stderr."""
        self.assertEqual(result.code, code, f"\n{result}")
        self.assertEqual(result.out, "", f"an error leaves stdout empty\n{result}")
        self.assertRegex(result.err, r"(?m)^error: \S", f"\n{result}")
        self.assertRegex(result.err, r"(?m)^  fix: \S", f"the error says what to do\n{result}")
        if unchanged:
            self.assertIn("Nothing was changed.", result.err, f"\n{result}")
        self.says(result, *words, where="err")
        return result


def each(cases, name):
    """Class decorator: for every case a method test_<name of the case>, calling self.check_<name>(case)."""

    def decorate(cls):
        for label, case in cases:
            safe = re.sub(r"[^A-Za-z0-9]+", "_", f"{name}_{label}").strip("_")

            def method(self, case=case):
                getattr(self, f"check_{name}")(case)

            method.__name__ = f"test_{safe}"
            method.__doc__ = None
            if hasattr(cls, method.__name__):
                raise ValueError(f"two cases are named {method.__name__}")
            setattr(cls, method.__name__, method)
        return cls

    return decorate


def main():
    binary()
    unittest.main(module="__main__", verbosity=1, buffer=False)
