"""What the proxy's tests need: the real proxy in a throw-away HOME, an upstream that does exactly what a test says, and
clients that speak raw bytes.

Nothing here sleeps: what has to happen is waited for, with a limit, and the order of events is forced by lock step.
"""

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

from harness import PAT, WORKSPACE, Home, Test, scratch

LIMIT = 10  # seconds for anything that should happen at once; only a hang meets it
SOON = 2.0  # "at once", on a busy machine
CRLF = b"\r\n"

# What may differ between what the client sent and what the upstream got (promise 7 of the contract).
CREDENTIALS = {"authorization", "x-api-key", "x-goog-api-key"}
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer",
              "upgrade"}
FRAMING = {"content-length", "transfer-encoding"}
REQUEST_MAY_DIFFER = CREDENTIALS | HOP_BY_HOP | FRAMING | {"host", "accept-encoding", "expect"}
ANSWER_MAY_DIFFER = HOP_BY_HOP | FRAMING


class Ended(Exception):
    """The other side closed ("eof") or broke ("reset") the connection."""

    def __init__(self, how, got=b""):
        super().__init__(f"{how} after {bytes(got[-200:])!r}")
        self.how, self.got = how, bytes(got)


def wait_for(condition, what="it did not happen", limit=LIMIT):
    """Waits until condition() is true and returns its value; fails after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what} (waited {limit} s)")
        threading.Event().wait(0.005)


class Wire:
    """A socket with a buffer: what both sides of the tests read with."""

    def __init__(self, sock, limit=LIMIT):
        self.sock, self.buffer, self.limit = sock, bytearray(), limit
        self.raw = bytearray()  # everything that was read, up to 4 MB
        sock.settimeout(limit)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.sock.sendall(data)

    def send_quietly(self, data):
        """Sends as much as the other side takes; returns whether that was all."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def fill(self, limit=None):
        """Reads once. Raises Ended, or TimeoutError."""
        self.sock.settimeout(self.limit if limit is None else limit)
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            raise Ended("reset", self.buffer) from None
        except ssl.SSLError as error:
            if isinstance(error, TimeoutError):
                raise
            raise Ended("reset", self.buffer) from None
        if not data:
            raise Ended("eof", self.buffer)
        self.buffer += data
        if len(self.raw) < 4 << 20:
            self.raw += data

    def take(self, size):
        while len(self.buffer) < size:
            self.fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def until(self, mark, limit=1 << 20):
        start = 0
        while True:
            at = self.buffer.find(mark, start)
            if at >= 0:
                return self.take(at + len(mark))
            start = max(0, len(self.buffer) - len(mark))
            if len(self.buffer) > limit:
                raise AssertionError(f"no {mark!r} within {limit} bytes")
            self.fill()

    def rest(self, limit=LIMIT):
        """Everything up to the end of the connection: (bytes, "eof" | "reset" | "open")."""
        end = time.monotonic() + limit
        while True:
            try:
                self.fill(max(0.01, end - time.monotonic()))
            except Ended as ended:
                data = bytes(self.buffer)
                self.buffer.clear()
                return data, ended.how
            except TimeoutError:
                data = bytes(self.buffer)
                self.buffer.clear()
                return data, "open"

    def gone(self, limit=LIMIT):
        """Waits until the other side has left, dropping what it sends; "eof", "reset" or None."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            self.buffer.clear()
            try:
                self.fill(max(0.01, end - time.monotonic()))
            except Ended as ended:
                return ended.how
            except (TimeoutError, OSError):
                return None
        return None

    def pushes_in_vain(self, block, limit=LIMIT):
        """Sends the block again and again until the other side breaks the connection; False: it took all for so long."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if not self.send_quietly(block):
                return True
        return False

    def quiet(self, seconds):
        """Whether nothing comes for so long."""
        return not self.buffer and not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        """FIN at once, also while another thread waits in a read (whose poll would keep the socket open)."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self):
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RD)  # wakes a thread that reads; sends nothing
        with contextlib.suppress(OSError):
            self.sock.close()

    def finish(self):
        """FIN: nothing more will be sent."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)


def parse_head(data):
    """The first line and the (name, value) pairs of a header block, as they were written."""
    lines = data.split(CRLF)
    headers = []
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(b":")
            headers.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return lines[0].decode("latin-1"), headers


def values(headers, name):
    return [value for key, value in headers if key.lower() == name.lower()]


def without(headers, names):
    return [(name.lower(), value) for name, value in headers if name.lower() not in names]


class Body:
    """A body as it is read: kept up to a megabyte, hashed and counted as a whole."""

    KEPT = 1 << 20

    def __init__(self):
        self.kept, self.size, self._hash = bytearray(), 0, hashlib.sha256()

    def add(self, data):
        self.size += len(data)
        self._hash.update(data)
        if len(self.kept) < self.KEPT:
            self.kept += data[:self.KEPT - len(self.kept)]

    @property
    def digest(self):
        return self._hash.hexdigest()


def read_sized(wire, size, body):
    while size:
        if not wire.buffer:
            wire.fill()
        part = bytes(wire.buffer[:size])
        del wire.buffer[:len(part)]
        body.add(part)
        size -= len(part)


def read_chunk(wire):
    """One chunk's data; b"" for the last."""
    size = int(wire.until(CRLF).split(b";")[0].strip(), 16)
    data = wire.take(size)
    if size and wire.take(2) != CRLF:
        raise AssertionError("a chunk does not end with CRLF")
    return data


def read_chunked(wire, body):
    """Reads a chunked body to its end; returns the trailers."""
    while True:
        size = int(wire.until(CRLF).split(b";")[0].strip(), 16)
        if size == 0:
            break
        read_sized(wire, size, body)
        if wire.take(2) != CRLF:
            raise AssertionError("a chunk does not end with CRLF")
    trailers = []
    while True:
        line = wire.until(CRLF)
        if line == CRLF:
            return trailers
        name, _, value = line[:-2].partition(b":")
        trailers.append((name.decode("latin-1"), value.strip().decode("latin-1")))


# --- the upstream ----------------------------------------------------------------------------------------------------


class Seen:
    """One request as the upstream got it, byte for byte."""

    def __init__(self, connection, raw_head):
        self.connection, self.raw_head = connection, raw_head
        line, self.headers = parse_head(raw_head)
        self.line = line
        self.method, self.target, self.version = (line.split(" ") + ["", ""])[:3]
        self.content = Body()
        self.trailers = []
        self.complete = False  # the whole body was read

    @property
    def path(self):
        return self.target.split("?")[0]

    @property
    def body(self):
        return bytes(self.content.kept)

    def all(self, name):
        return values(self.headers, name)

    def one(self, name):
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} fields {name} in {self.headers}")
        return found[0]

    @property
    def token(self):
        return self.one("authorization").removeprefix("Bearer ")

    def __repr__(self):
        return f"<{self.line!r} {len(self.headers)} headers, {self.content.size} bytes, complete={self.complete}>"


class Peer(Wire):
    """The upstream's side of one connection, with the usual ways to answer."""

    def __init__(self, sock, number):
        super().__init__(sock, limit=LIMIT * 3)
        self.number = number

    def read_body(self, seen):
        if any(value.lower() == "100-continue" for value in seen.all("expect")):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if seen.all("transfer-encoding"):
            seen.trailers = read_chunked(self, seen.content)
        elif seen.all("content-length"):
            read_sized(self, int(seen.all("content-length")[0]), seen.content)
        seen.complete = True

    def head(self, status=200, headers=(), reason="Whatever"):
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def answer(self, status=200, body=b'{"ok":true}', headers=(), kind="application/json"):
        all_headers = [*headers, ("Content-Length", len(body))]
        if kind:
            all_headers.insert(0, ("Content-Type", kind))
        lines = [f"HTTP/1.1 {status} Whatever"] + [f"{name}: {value}" for name, value in all_headers]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def stream(self, headers=()):
        self.head(200, [("Content-Type", "text/event-stream"), *headers, ("Transfer-Encoding", "chunked")])

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self, trailers=()):
        self.send(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in trailers) + CRLF)


class Upstream:
    """An HTTP server that records exact bytes and answers as it is told.

    `answer(peer, seen)` is called in a thread per connection once a request was read. With read_body=False it is called
    after the header block and reads the body itself. It may leave the connection closed.
    """

    def __init__(self, answer=None, read_body=True, tls=None, host="127.0.0.1"):
        self.answer = answer or (lambda peer, seen: peer.answer())
        self.read_body = read_body
        self.requests, self.connections, self.problems = [], [], []
        self._tls = tls
        self._stopped = False
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, 0), backlog=2048)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        if self._tls:
            try:
                sock.settimeout(LIMIT)
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        with self._lock:
            peer = Peer(sock, len(self.connections))
            self.connections.append(peer)
            if self._stopped:
                peer.reset()
                return
        try:
            while True:
                peer.limit = 600  # idle
                seen = Seen(peer.number, peer.until(CRLF + CRLF))
                peer.limit = LIMIT * 3
                with self._lock:
                    self.requests.append(seen)
                if self.read_body:
                    peer.read_body(seen)
                self.answer(peer, seen)
                if peer.sock.fileno() < 0 or any("close" in v.lower() for v in seen.all("connection")):
                    return
        except (Ended, OSError):
            pass
        except Exception as error:  # noqa: BLE001 a mistake in a test, or bytes that no client may send
            self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            peer.close()

    @property
    def seen(self):
        """The only request."""
        if len(self.requests) != 1:
            raise AssertionError(f"{len(self.requests)} requests came: {self.requests}")
        return self.requests[0]

    def bytes(self):
        return b"".join(bytes(peer.raw) for peer in list(self.connections))

    def forget(self):
        with self._lock:
            self.requests.clear()
            for peer in self.connections:
                peer.raw.clear()

    def close(self):
        self._stopped = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in list(self.connections):
            peer.reset()


class Step:
    """Lock step between a test and the upstream's thread: `go` in one, `wait` in the other."""

    def __init__(self):
        self._event = threading.Event()

    def go(self):
        self._event.set()

    def wait(self, what="the other side did not get so far", limit=LIMIT):
        if not self._event.wait(limit):
            raise AssertionError(what)

    @property
    def happened(self):
        return self._event.is_set()


class Authority:
    """A certificate authority for one test run, made with the openssl command."""

    def __init__(self, folder, *names):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=dbx-agents test CA",
                      "-keyout", "ca.key", "-out", "ca.pem", "-addext", "keyUsage=keyCertSign")
        alternatives = ",".join([f"DNS:{name}" for name in names] + ["IP:127.0.0.1", "DNS:localhost"])
        (self.folder / "ext").write_text(f"subjectAltName={alternatives}\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=gateway", "-keyout", "key.pem", "-out", "csr.pem")
        self._openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                      "-extfile", "ext", "-out", "cert.pem")

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context


class Tunnel:
    """A proxy that knows CONNECT; leads every name to one port. `asked` holds its request lines."""

    def __init__(self, port):
        self.asked, self._to = [], port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        wire = Wire(sock, limit=600)
        try:
            self.asked.append(wire.until(CRLF + CRLF).split(CRLF)[0].decode("latin-1"))
            other = socket.create_connection(("127.0.0.1", self._to), timeout=LIMIT)
            wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                ready, _, _ = select.select([sock, other], [], [], 60)
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (other if one is sock else sock).sendall(data)
                if not ready:
                    return
        except (OSError, Ended):
            pass
        finally:
            wire.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


# --- the client ------------------------------------------------------------------------------------------------------


class Answer:
    """An answer as the client got it. `complete`: it ended as its framing says; else `how` the connection ended."""

    def __init__(self, line, headers, raw_head):
        self.line, self.headers, self.raw_head = line, headers, raw_head
        self.version, self.status = line.split(" ")[0], int(line.split(" ")[1])
        self.content = Body()
        self.trailers = []
        self.complete, self.how, self.framing = False, "", ""

    @property
    def body(self):
        return bytes(self.content.kept)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def all(self, name):
        return values(self.headers, name)

    def one(self, name):
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} fields {name} in the answer {self}")
        return found[0]

    @property
    def ours(self):
        """The name of an error that the proxy made itself, or None."""
        found = self.all("x-dbx-agents-error")
        return found[0] if found else None

    def __str__(self):
        return f"{self.line}\n{self.headers}\n{self.text[:600]}\n[complete={self.complete} {self.how}]"


class Client(Wire):
    def __init__(self, port, limit=LIMIT, host="127.0.0.1", receive_buffer=None):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(limit)
        sock.connect((host, port))
        super().__init__(sock, limit)
        self.port = port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def head(self):
        """The next header block, 100 Continue included; the body is still to be read."""
        raw = self.until(CRLF + CRLF)
        line, headers = parse_head(raw)
        if not re.match(r"HTTP/1\.[01] [1-5]\d\d( |$)", line):
            raise AssertionError(f"not an answer: {raw[:200]!r}")
        return Answer(line, headers, raw)

    def body(self, answer, method="GET"):
        try:
            if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
                answer.framing = "none"
            elif [v for v in answer.all("transfer-encoding") if "chunked" in v.lower()]:
                answer.framing = "chunked"
                answer.trailers = read_chunked(self, answer.content)
            elif answer.all("content-length"):
                answer.framing = "length"
                read_sized(self, int(answer.one("content-length")), answer.content)
            else:
                answer.framing = "close"
                data, answer.how = self.rest()
                answer.content.add(data)
                answer.complete = answer.how == "eof"
                return answer
            answer.complete = True
        except Ended as ended:
            answer.how = ended.how
            answer.content.add(ended.got)
        return answer

    def answer(self, method="GET"):
        """The next final answer, whole or broken."""
        while True:
            answer = self.head()
            if answer.status >= 200 or answer.status == 101:
                return self.body(answer, method)


def request_bytes(method, target, headers=(), body=None, host=None, version="HTTP/1.1"):
    """A request as it goes over the wire. A body gets a Content-Length unless the headers frame it."""
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    names = {name.lower() for name, _ in headers}
    if body is not None and not names & FRAMING:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


# --- the proxy -------------------------------------------------------------------------------------------------------


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
