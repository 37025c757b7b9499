"""Raw HTTP for tests of the proxy: an upstream that does exactly what a test says, and clients that speak raw bytes.

Nothing here sleeps: what has to happen is waited for, with a limit, and the order of events is forced by lock step.
"""

import contextlib
import hashlib
import json
import re
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

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

    def __init__(self, answer=None, read_body=True, tls=None, host="127.0.0.1", port=0):
        self.answer = answer or (lambda peer, seen: peer.answer())
        self.read_body = read_body
        self.requests, self.connections, self.problems = [], [], []
        self._tls = tls
        self._stopped = False
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, port), backlog=2048)
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
