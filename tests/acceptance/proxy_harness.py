"""What the proxy's tests need: the real proxy in a throw-away HOME between an upstream and clients of raw_http."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from harness import PAT, WORKSPACE, Home, Test, binary, scratch
from raw_http import CRLF, LIMIT, Client, Upstream, request_bytes

MESSAGES = "/anthropic/v1/messages"
SMUGGLED = b"GET /anthropic/v1/SMUGGLED HTTP/1.1\r\nHost: evil\r\n\r\n"


# --- the proxy -------------------------------------------------------------------------------------------------------


def sanitized():
    """Whether the program is one of the sanitizers' builds."""
    code = Path(binary()).read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


class Proxy:
    """One running `dbx-agents proxy`."""

    def __init__(self, home, *args, env=None, json_line=False, wait=True, preexec_fn=None, cwd=None):
        self.home = home
        self.err_path = Path(tempfile.mkstemp(prefix="proxy-", suffix=".err", dir=home.base)[1])
        argv = (["--json"] if json_line else []) + ["proxy", *args]
        if "--port" not in args:
            argv += ["--port", "0"]
        self.argv = argv
        self.started = time.monotonic()
        with open(self.err_path, "wb") as err:
            self.process = home.spawn(*argv, env=env, stderr=err, preexec_fn=preexec_fn,
                                      **({"cwd": cwd} if cwd else {}))
        self.pid = self.process.pid
        self.line, self.port = "", 0
        if wait:
            try:
                self.ready()
            except AssertionError:
                self.kill()
                self.process.stdout.close()
                raise

    def ready(self, limit=LIMIT):
        end = time.monotonic() + limit
        data = b""
        out = self.process.stdout.fileno()
        while b"\n" not in data:
            if not select.select([out], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"no ready line within {limit} s: {data!r}\n{self.err}")
            part = os.read(out, 4096)
            if not part:
                code = self.process.wait(LIMIT)
                raise AssertionError(f"dbx-agents {' '.join(map(str, self.argv))}: exit {code}\n{data.decode()}{self.err}")
            data += part
        self.ready_after = time.monotonic() - self.started
        self.line = data.decode().split("\n")[0]
        self.after_line = data.split(b"\n", 1)[1]
        found = re.search(r"http://(127\.0\.0\.1|localhost|\[::1\]|0\.0\.0\.0):(\d+)", self.line)
        if not found:
            raise AssertionError(f"the ready line has no address: {self.line!r}")
        self.port = int(found[2])
        return self

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=LIMIT):
        """The exit code, or None while it runs."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            if self.wait(3) is None:
                self.signal(signal.SIGTERM)
            if self.wait() is None:
                self.kill()
                raise AssertionError(f"the proxy did not end on two SIGTERMs\n{self.err}")
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def output(self):
        """All that it wrote to stdout, once it has ended."""
        return self.line.encode() + b"\n" + self.after_line + self.process.stdout.read()

    def memory_kib(self, field="VmRSS"):
        if sanitized():
            return 0  # a sanitizer keeps freed memory: its size says nothing about the proxy
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of a running proxy")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def local_keys(home):
    """The keys that setup gave to the agents, from the agents' own files."""
    keys = {}
    claude = home.path(".claude/settings.json")
    if claude.exists():
        keys["claude"] = json.loads(claude.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"]
    gemini = home.path(".gemini/.env")
    if gemini.exists():
        found = re.search(r'(?m)^GEMINI_API_KEY=["\']?([^"\'\n]+)', gemini.read_text())
        if found:
            keys["gemini"] = found[1]
    codex = home.path(".codex/config.toml")
    if codex.exists():
        provider = tomllib.loads(codex.read_text())["model_providers"]["databricks"]
        for value in provider.get("http_headers", {}).values():
            found = re.fullmatch(r"(?:Bearer )?([A-Za-z0-9_\-]{32,})", value)
            if found:
                keys["codex"] = found[1]
    return keys


DIALECT_PATHS = {
    "anthropic": ("POST", "/anthropic/v1/messages?beta=true", b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"messages":[]}'),
    "openai": ("POST", "/openai/v1/responses", b'{"model":"databricks-gpt-5-2","input":"hi"}'),
    "gemini": ("POST", "/gemini/v1beta/models/databricks-gemini-2-5-flash:generateContent", b'{"contents":[]}'),
}


class ProxyTest(Test):
    """A HOME in which setup gave the three agents their keys (one for the class), and for each test an upstream and a proxy."""

    AGENTS = ("claude", "codex", "gemini")
    TOKEN = PAT

    @classmethod
    def setUpClass(cls):
        cls.home = Home()
        cls.addClassCleanup(cls.home.close)
        cls.home.env["DATABRICKS_TOKEN"] = cls.TOKEN
        done = cls.home.run("setup", *cls.AGENTS, "--auth", "proxy", "--workspace", WORKSPACE, "--yes",
                            may_show_secrets=True)
        if done.code != 0:
            raise AssertionError(f"setup --auth proxy failed\n{done}")
        cls.keys = local_keys(cls.home)
        if set(cls.keys) != set(cls.AGENTS):
            raise AssertionError(f"the agents' files hold keys of {sorted(cls.keys)} only")
        cls.key = cls.keys["claude"]
        cls.home.secrets += cls.keys.values()

    def setUp(self):
        self.h = self.home
        self.started = []

    def upstream(self, *args, **kwargs):
        up = Upstream(*args, **kwargs)
        self.addCleanup(up.close)
        return up

    def proxy(self, *args, up=None, **kwargs):
        """A proxy in front of `up` (self.up when it is there). It is stopped, and what it said judged, after the test."""
        up = up or getattr(self, "up", None)
        if up is not None and "--upstream" not in args:
            args = (*args, "--upstream", up if isinstance(up, str) else up.url)
        proxy = Proxy(self.h, *args, **kwargs)
        self.started.append(proxy)
        self.addCleanup(self.judge, proxy)
        return proxy

    def judge(self, proxy):
        """It ends when asked, with 0 unless the test ended it; it showed no secret and broke no rule of memory."""
        ended_before = proxy.process.poll() is not None
        code = proxy.stop()
        err = proxy.err
        said = proxy.output().decode("utf-8", "replace") + err
        proxy.process.stdout.close()
        if "Sanitizer" in err or "runtime error" in err:
            self.fail(f"a sanitizer reports:\n{err[-6000:]}")
        for secret in self.h.secrets:
            if secret in said:
                self.fail(f"the proxy shows a secret ({secret[:4]}…):\n{said.replace(secret, '<<<SECRET>>>')[-3000:]}")
        if code < 0 and -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL) and not getattr(
                proxy, "may_crash", False):
            self.fail(f"the proxy crashed with signal {-code}:\n{err[-3000:]}")
        if not ended_before:
            self.assertEqual(code, 0, f"the exit code after SIGTERM\n{err[-3000:]}")

    def start(self, answer=None, *args, read_body=True, **kwargs):
        """self.up and self.p: an upstream that answers so, and a proxy in front of it."""
        self.up = self.upstream(answer, read_body=read_body)
        self.p = self.proxy(*args, **kwargs)
        return self.p

    def client(self, proxy=None, **kwargs):
        client = Client((proxy or self.p).port, **kwargs)
        self.addCleanup(client.close)
        return client

    def auth(self, agent="claude"):
        return [("Authorization", f"Bearer {self.keys[agent]}")]

    def bytes_of(self, method, target, headers=(), body=None, proxy=None, agent="claude", **kwargs):
        """A good request: right Host, right key."""
        kwargs.setdefault("host", f"127.0.0.1:{(proxy or self.p).port}")
        return request_bytes(method, target, [*self.auth(agent), *headers], body, **kwargs)

    def ask(self, method="POST", target="/anthropic/v1/messages", headers=(), body=None, client=None, proxy=None, **kwargs):
        """One good request and its answer, on a connection of its own unless a client is given."""
        if body is None and method == "POST":
            body = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"messages":[]}'
        own = client is None
        client = client or self.client(proxy)
        client.send(self.bytes_of(method, target, headers, body, proxy=proxy, **kwargs))
        answer = client.answer(method)
        if own:
            client.close()
        return answer

    def is_200(self, answer, body=None):
        self.assertEqual(answer.status, 200, f"\n{answer}")
        self.assertTrue(answer.complete, f"the answer is broken\n{answer}")
        if body is not None:
            self.assertEqual(answer.body, body)
        return answer

    def is_ours(self, answer, *statuses, dialect=None):
        """An error that the proxy made: named, in the caller's dialect, with words."""
        self.assertIn(answer.status, statuses, f"\n{answer}")
        self.assertIsNotNone(answer.ours, f"x-dbx-agents-error is missing\n{answer}")
        self.assertRegex(answer.ours, r"^[a-z][a-z0-9_\-]+$", f"\n{answer}")
        self.assertTrue(answer.complete, f"\n{answer}")
        if dialect:
            self.in_dialect(answer, dialect)
        return answer

    def in_dialect(self, answer, dialect):
        self.assertIn("application/json", answer.one("content-type"), f"\n{answer}")
        document = answer.json
        error = document["error"]
        self.assertIsInstance(error["message"], str)
        self.assertGreater(len(error["message"]), 15, f"the message says what to do\n{answer}")
        if dialect == "anthropic":
            self.assertEqual(document["type"], "error", f"\n{answer}")
            self.assertRegex(error["type"], r"^[a-z_]+_error$", f"\n{answer}")
        elif dialect == "openai":
            self.assertEqual({"message", "type", "code"} - set(error), set(), f"\n{answer}")
        elif dialect == "gemini":
            self.assertEqual(error["code"], answer.status, f"\n{answer}")
            self.assertRegex(error["status"], r"^[A-Z_]+$", f"\n{answer}")

    def no_upstream_request(self, up=None):
        up = up or self.up
        self.assertEqual(up.requests, [], "the upstream must not hear of it")

    def token_source(self, home=None, up=None):
        """A fake Databricks CLI whose token differs from call to call: dapi-…-1, -2. Returns (environment, calls())."""
        home = home or self.h
        folder = home.base / "fake-cli"
        folder.mkdir(exist_ok=True)
        tools = Path(__file__).resolve().parents[1] / "workspace"
        calls = Path(tempfile.mkstemp(prefix="calls-", dir=home.base)[1])
        behaviour = calls.with_suffix(".env")
        behaviour.write_text("")
        script = folder / "databricks"
        script.write_text(f"#!/bin/sh\nset -a\n. \"$FAKE_DATABRICKS_ENV\"\nset +a\n"
                          f"exec /usr/bin/env python3 '{tools}/databricks' \"$@\"\n")
        script.chmod(0o755)
        config = calls.with_suffix(".cfg")
        config.write_text(f"[DEFAULT]\nhost = {(up or self.up).url}\nauth_type = databricks-cli\n")
        config.chmod(0o600)
        python = os.path.dirname(os.path.realpath(sys.executable))
        home.secrets += [s for s in (f"dapi-changing-{n}-0123456789abcdef" for n in range(1, 4)) if s not in home.secrets]
        state = Path(tempfile.mkdtemp(prefix="state-", dir=home.base))  # tokens are remembered there: never another test's
        shutil.copytree(home.state, state / "dbx-agents", dirs_exist_ok=True, symlinks=True,
                        ignore=shutil.ignore_patterns("tokens", "*.lock"))
        env = {
            "PATH": f"{folder}:{python}:/usr/bin:/bin",
            "DATABRICKS_TOKEN": None,
            "DATABRICKS_CONFIG_FILE": config,
            "XDG_STATE_HOME": state,
            "FAKE_DATABRICKS_ENV": behaviour,
            "FAKE_DATABRICKS_CALLS": calls,
            "FAKE_DATABRICKS_TOKEN": "dapi-changing-{n}-0123456789abcdef",
        }

        def made():
            return [json.loads(line) for line in calls.read_text().splitlines() if '"token"' in line]

        return env, made, behaviour


def changing(number):
    return f"dapi-changing-{number}-0123456789abcdef"


def scratch_folder(test):
    folder = tempfile.mkdtemp(prefix="dbx-proxy-", dir=scratch())
    test.addCleanup(shutil.rmtree, folder, True)
    return Path(folder)


class Hostile(ProxyTest):
    """One proxy and one upstream for the whole class; every test must leave them well."""

    ARGS = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared_up = Upstream()
        cls.addClassCleanup(cls.shared_up.close)
        cls.shared = Proxy(cls.home, *cls.ARGS, "--upstream", cls.shared_up.url)
        cls.addClassCleanup(cls.shared.kill)

    def setUp(self):
        super().setUp()
        self.p, self.up = self.shared, self.shared_up
        self.up.answer = lambda peer, seen: peer.answer(200, seen.body)
        self.up.forget()
        self.up.problems.clear()

    def tearDown(self):
        self.assertIsNone(self.p.process.poll(), f"the proxy has died\n{self.p.err[-3000:]}")
        self.up.answer = lambda peer, seen: peer.answer()
        self.is_200(self.ask())

    @classmethod
    def tearDownClass(cls):
        code = cls.shared.stop()
        err = cls.shared.err
        for secret in cls.home.secrets:
            if secret in err:
                raise AssertionError(f"the proxy shows a secret ({secret[:4]}…)")
        if "Sanitizer" in err or code != 0:
            raise AssertionError(f"exit {code}\n{err[-6000:]}")
        cls.shared.process.stdout.close()

    @property
    def host(self):
        return f"127.0.0.1:{self.p.port}"

    def head_of(self, *lines, start=f"POST {MESSAGES} HTTP/1.1"):
        """A header block with the right Host and key, and these lines, byte for byte."""
        auth = f"Authorization: Bearer {self.key}"
        encoded = [line if isinstance(line, bytes) else line.encode("latin-1") for line in (start, f"Host: {self.host}", auth, *lines)]
        return CRLF.join(encoded) + CRLF + CRLF

    def raw(self, data, limit=LIMIT, half_close=False):
        """Sends bytes; all that comes back until the proxy closes, and how it closed."""
        with Client(self.p.port) as c:
            c.send_quietly(data)
            if half_close:
                c.finish()
            return c.rest(limit)

    def statuses(self, data):
        return [int(s) for s in re.findall(rb"(?:^|(?<=\n)|(?<=\}))HTTP/1\.[01] (\d\d\d)", data)]

    def refused(self, data, *statuses, contact=False):
        """One refusal, then the connection is closed; the upstream saw no whole request, and nothing of what follows."""
        got, how = self.raw(data + SMUGGLED)
        self.assertNotEqual(how, "open", f"the connection stays open after {data[:300]!r}\nand {got[:400]!r}")
        seen = self.statuses(got)
        self.assertEqual(len(seen), 1, f"answers: {got[:600]!r}")
        self.assertIn(seen[0], statuses or (400,), f"{got[:600]!r}")
        self.assertIn(b"x-dbx-agents-error:", got, "the refusal is ours")
        whole = [r for r in self.up.requests if r.complete]
        if contact:
            self.assertEqual(whole, [], "a damaged request reached the upstream as a whole one")
        else:
            self.assertEqual(self.up.requests, [], "the upstream heard of it")
        self.assertNotIn(b"SMUGGLED", self.up.bytes())
        return got
