"""Who may come in, smuggling, sizes, patience, secrets: hostile clients once more."""

import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from harness import main
from proxy_harness import MESSAGES, SMUGGLED, Hostile, ProxyTest, sanitized
from raw_http import CRLF, LIMIT, SOON, Client, Ended, request_bytes, wait_for

BODY = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"stream":true,"messages":[]}'


class Doors(Hostile):
    """Host, Origin and keys: who may come in at all."""

    def with_host(self, *hosts, target=MESSAGES, extra=(), method="POST"):
        lines = [f"{method} {target} HTTP/1.1", *(f"Host: {h}" for h in hosts), f"Authorization: Bearer {self.key}", "Content-Length: 0", *extra]
        with Client(self.p.port) as c:
            c.send("\r\n".join(lines).encode("latin-1") + CRLF + CRLF)
            return c.answer()

    def test_the_proxys_own_names_are_good(self):
        for host in (f"127.0.0.1:{self.p.port}", f"localhost:{self.p.port}", f"LocalHost:{self.p.port}", f"[::1]:{self.p.port}"):
            with self.subTest(host=host):
                self.is_200(self.with_host(host))

    def test_any_other_name_is_refused_also_for_open_pages(self):
        port = self.p.port
        for host in ("evil.test", f"evil.test:{port}", f"127.0.0.1.evil.test:{port}", f"localhost.evil.test:{port}", "127.0.0.1:1", "localhost:80", f"0.0.0.0:{port}", f"127.1:{port}",
                     f"2130706433:{port}", f"0x7f.1:{port}", f"evil.test@127.0.0.1:{port}", f"127.0.0.1:{port}@evil.test", f"127.0.0.1:{port}, evil.test", f"127.0.0.1:{port}/", f"127.0.0.1:{port}x",
                     f"127.0.0.1:0{port}0", f"[::ffff:127.0.0.1]:{port}", f"192.168.0.1:{port}", f"localhost\t.evil:{port}", "", f"127.0.0.1:{port} evil", f"127.0.0.1:-{port}", f"localhost.:{port}1"):
            for target, method in ((MESSAGES, "POST"), ("/healthz", "GET"), ("/status", "GET"), ("/metrics", "GET")):
                with self.subTest(host=host, target=target):
                    got = self.with_host(host, target=target, method=method)
                    self.assertIn(got.status, (400, 403, 421), f"\n{got}")
                    self.assertIsNotNone(got.ours)
        self.no_upstream_request()

    def test_no_host_and_two_hosts_are_refused(self):
        for hosts in ((), (self.host, self.host), (self.host, "evil.test"), ("evil.test", self.host)):
            with self.subTest(hosts=hosts):
                got = self.with_host(*hosts)
                self.assertIn(got.status, (400, 403), f"\n{got}")
        self.no_upstream_request()

    def test_a_wrong_host_cannot_be_mended_by_another_header(self):
        for extra in ("X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"):
            self.assertIn(self.with_host("evil.test", extra=(f"{extra}: {self.host}",)).status, (400, 403, 421))
        self.no_upstream_request()

    def test_any_origin_is_refused_and_no_cors_header_is_sent(self):
        for origin in ("http://evil.test", "null", f"http://127.0.0.1:{self.p.port}", f"http://localhost:{self.p.port}", "", "chrome-extension://abc", "file://"):
            for target, method in ((MESSAGES, "POST"), ("/healthz", "GET"), ("/status", "GET"), (MESSAGES, "OPTIONS")):
                with self.subTest(origin=origin, target=target, method=method):
                    got = self.with_host(self.host, target=target, method=method, extra=(f"Origin: {origin}",))
                    self.assertEqual(got.status, 403, f"\n{got}")
                    self.assertEqual([n for n, _ in got.headers if n.lower().startswith("access-control-")], [])
        self.no_upstream_request()

    def test_a_preflight_is_refused(self):
        got = self.with_host(self.host, method="OPTIONS", extra=("Origin: http://evil.test", "Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true"))
        self.assertEqual(got.status, 403)

    def wrong_keys(self):
        key = self.key
        return ["", "x", key[:-1], key + "x", key[:-1] + ("a" if key[-1] != "a" else "b"), key.swapcase(), key[::-1], " " * 43, "a" * len(key), "\xe9" * 43, key[:10], "null", "undefined", "Bearer",
                self.TOKEN, "a" * 30_000]

    def test_a_missing_or_wrong_key_gets_a_constant_401_and_no_upstream(self):
        bodies = set()
        for wrong in self.wrong_keys():
            for headers in ([("Authorization", f"Bearer {wrong}")], [("Authorization", wrong)], [("x-api-key", wrong)], [("x-goog-api-key", wrong)]):
                with self.subTest(wrong=wrong[:20], name=headers[0][0]):
                    c = self.client()
                    c.send(request_bytes("POST", MESSAGES, headers, BODY, host=self.host))
                    got = self.is_ours(c.answer(), 401, dialect="anthropic")
                    self.assertEqual(got.all("x-should-retry"), ["false"])
                    bodies.add((got.ours, got.body))
        self.assertLessEqual(len(bodies), 2, "a missing one and a wrong one; nothing else may show")
        self.no_upstream_request()
        self.assertEqual(self.up.bytes().count(b"undefined"), 0)

    def test_no_key_gets_a_401_in_each_dialect(self):
        for dialect, path in (("anthropic", MESSAGES), ("openai", "/openai/v1/responses"), ("openai", "/codex/v1/responses"), ("openai", "/cursor/v1/chat/completions"),
                              ("gemini", "/gemini/v1beta/models/x:generateContent")):
            with self.subTest(path=path):
                c = self.client()
                c.send(request_bytes("POST", path, [], BODY, host=self.host))
                got = self.is_ours(c.answer(), 401, dialect=dialect)
                self.assertIn("dbx-agents setup", got.text)
        self.no_upstream_request()

    def test_a_key_in_an_unheard_of_place_is_no_key(self):
        for headers, query in (([("Cookie", f"key={self.key}")], ""), ([("X-Key", self.key)], ""), ([("Proxy-Authorization", f"Bearer {self.key}")], ""), ([], f"?KEY={self.key}"), ([], f"?token={self.key}"),
                               ([("Authorization", f"Basic {self.key}")], ""), ([("Authorization", f"Bearer {self.key} x")], ""), ([("Authorization", f"Bearer{self.key}")], "")):
            with self.subTest(headers=[n for n, _ in headers], query=query[:5]):
                c = self.client()
                c.send(request_bytes("POST", MESSAGES + query, headers, BODY, host=self.host))
                self.assertEqual(c.answer().status, 401)
        self.no_upstream_request()

    def test_a_large_body_without_a_key_is_refused_before_it_is_read(self):
        c = self.client()
        before = self.p.memory_kib()
        c.send(request_bytes("POST", MESSAGES, [("Content-Length", 1 << 30)], host=self.host))
        at = time.monotonic()
        got = c.head()
        self.assertEqual(got.status, 401)
        self.assertLess(time.monotonic() - at, SOON)
        self.assertTrue(c.pushes_in_vain(b"x" * 65536), "the proxy reads on and on what it has refused")
        self.assertLess(self.p.memory_kib() - before, 4 << 10)
        self.no_upstream_request()

    def test_the_401_reaches_a_client_that_sends_its_whole_body_first(self):
        """An agent writes its 130 KB before it reads; a reset instead of the 401 would be retried for minutes."""
        for size in (10_000, 130_000, 1_000_000):
            with self.subTest(size=size):
                ok = 0
                for _ in range(10):
                    c = self.client()
                    c.send_quietly(request_bytes("POST", MESSAGES, [], b"x" * size, host=self.host))
                    try:
                        ok += c.head().status == 401
                    except Ended:
                        pass
                self.assertEqual(ok, 10)

    def test_status_wants_the_key_and_healthz_does_not(self):
        for target, without_key in (("/healthz", 200), ("/status", 401), ("/metrics", None)):
            with self.subTest(target=target):
                c = self.client()
                c.send(request_bytes("GET", target, host=self.host))
                status = c.answer().status
                self.assertEqual(status, without_key) if without_key else self.assertIn(status, (200, 401))
                self.is_200(self.ask("GET", target))

    def test_open_pages_tell_nothing_to_strangers(self):
        c = self.client()
        c.send(request_bytes("GET", "/healthz", host=self.host))
        got = c.answer()
        self.assertLess(len(got.body), 200)
        self.assertNotIn("adb-1.2", got.text)
        self.assertNotIn(str(self.up.port), got.text)


class Smuggling(Hostile):
    def test_a_request_in_a_body_stays_a_body(self):
        for headers, body in (([("Content-Length", len(SMUGGLED))], SMUGGLED), ([("Transfer-Encoding", "chunked")], b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED))):
            with self.subTest(headers=headers):
                self.up.forget()
                self.is_200(self.ask(headers=headers, body=body), SMUGGLED)
                self.assertEqual(self.up.seen.body, SMUGGLED)

    def test_a_get_with_a_body_is_one_request(self):
        for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            with self.subTest(method=method):
                self.up.forget()
                c = self.client()
                self.up.answer = lambda peer, seen: peer.head(200, [("Content-Length", "0")])
                got = self.ask(method, "/anthropic/v1/models", [("Content-Length", len(SMUGGLED))], SMUGGLED, client=c)
                if got.status == 200:
                    self.assertEqual(self.up.seen.body, SMUGGLED)
                else:
                    self.no_upstream_request()
                self.assertNotIn("SMUGGLED", "".join(r.line for r in self.up.requests))

    def test_what_follows_a_refused_request_is_never_looked_at(self):
        """A refused body may hold what looks like the next request."""
        for start in (f"POST {MESSAGES} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {{}}\r\n\r\n",  # no key
                      f"POST /nowhere HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.key}\r\nContent-Length: {{}}\r\n\r\n",
                      f"POST {MESSAGES} HTTP/1.1\r\nHost: evil.test\r\nContent-Length: {{}}\r\n\r\n",
                      f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {{}}\r\n\r\n",
                      f"HEAD /anthropic/api/hello HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {{}}\r\n\r\n"):
            with self.subTest(start=start[:40]):
                self.up.forget()
                inner = self.bytes_of("POST", "/anthropic/v1/INNER", body=b"x")
                got, _ = self.raw(start.format(len(inner)).encode() + inner, limit=3)
                self.assertEqual([r for r in self.up.requests if "INNER" in r.line], [], f"the body was taken for a request\n{got[:500]!r}")

    def test_header_injection_through_values_is_impossible(self):
        for value in (b"a\rX-Evil: 1", b"a\nX-Evil: 1", b"a\x00X-Evil: 1", "a\u560aX-Evil: 1".encode(), b"a%0d%0aX-Evil: 1"):
            with self.subTest(value=value):
                self.up.forget()
                self.raw(self.head_of(b"X-A: " + value, "Connection: close", "Content-Length: 0"))
                for seen in self.up.requests:
                    self.assertEqual(seen.all("x-evil"), [])

    def test_underscores_and_odd_spellings_of_framing_fields_do_no_framing(self):
        self.up.answer = lambda peer, seen: peer.answer(200, seen.body)
        for line in ("Transfer_Encoding: chunked", "Content_Length: 99", "Transfer-Encodin: chunked", "X-Transfer-Encoding: chunked", "Transfer-Encoding2: chunked"):
            with self.subTest(line=line):
                self.up.forget()
                c = self.client()
                c.send(self.head_of("Content-Length: 5", line) + b"hello")
                self.is_200(c.answer(), b"hello")
                self.is_200(self.ask(client=c, body=b"again"), b"again")


class Sizes(Hostile):
    def test_a_header_block_up_to_60_kb_passes_and_one_over_64_kb_is_refused(self):
        self.is_200(self.ask(headers=[("X-Long", "a" * 60_000)], body=BODY))
        self.assertEqual(self.up.seen.all("x-long"), ["a" * 60_000])
        self.up.forget()
        for lines in (["X-Long: " + "a" * 70_000], [f"X-{n}: {'b' * 100}" for n in range(700)], ["X-" + "n" * 70_000 + ": v"], ["X-Long: " + "a" * 5_000_000]):
            with self.subTest(lines=lines[0][:20]):
                self.refused(self.head_of(*lines, "Content-Length: 0"), 431, 400)

    def test_a_header_block_without_end_is_refused_in_time(self):
        c = self.client()
        c.send(self.head_of("X-Long: a")[:-4])
        self.assertTrue(c.pushes_in_vain(b"a" * 65536), "a header block without end is swallowed")
        self.no_upstream_request()

    def test_very_many_header_lines_are_refused_or_pass_quickly(self):
        at = time.monotonic()
        got = self.raw(self.head_of(*["a:"] * 10_000, "Connection: close", "Content-Length: 0"))[0]
        self.assertIn(self.statuses(got)[0], (200, 400, 431))
        self.assertLess(time.monotonic() - at, SOON)

    def test_pipelined_requests_whose_answers_nobody_reads_do_not_pile_up(self):
        before = self.p.memory_kib()
        c = self.client(receive_buffer=4096)
        one = request_bytes("GET", "/healthz", host=self.host) * 100
        c.sock.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += c.sock.send(one)
        except OSError:
            pass
        self.assertLess(sent, 64 << 20, "the proxy reads on although nobody takes its answers")
        self.assertLess(self.p.memory_kib() - before, 8 << 10)

    def test_pipelined_requests_to_the_gateway_whose_answers_nobody_reads_do_not_pile_up(self):
        self.up.answer = lambda peer, seen: peer.answer(200, b"x" * 100_000)
        before = self.p.memory_kib()
        c = self.client(receive_buffer=4096)
        one = self.bytes_of("POST", MESSAGES, body=b"y" * 50_000)
        c.sock.settimeout(1)
        sent = 0
        try:
            while sent < 128 << 20:
                sent += c.sock.send(one)
        except OSError:
            pass
        self.assertLess(sent, 128 << 20)
        self.assertLess(self.p.memory_kib() - before, 8 << 10)

    def test_two_thousand_connections_do_no_harm(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2600
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"only {hard} files may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        early = self.client()
        self.is_200(self.ask(client=early))
        before = self.p.memory_kib()
        crowd = []
        try:
            for n in range(2000):
                sock = socket.socket()
                sock.settimeout(LIMIT)
                sock.connect(("127.0.0.1", self.p.port))
                if n % 2:
                    sock.sendall(b"POST /anthropic/v1/mes")
                crowd.append(sock)
            self.is_200(self.ask(client=early))
            with Client(self.p.port) as late:  # served, or told so at once; never left hanging
                late.send_quietly(self.bytes_of("POST", MESSAGES, body=BODY))
                try:
                    self.assertIn(late.answer().status, (200, 503))
                except Ended:
                    pass
            self.assertLess(self.p.memory_kib() - before, 64 << 10, "2,000 silent connections cost too much")
        finally:
            for sock in crowd:
                sock.close()
        self.assertEqual(wait_for(lambda: self.ask().status == 200 or None), True)
        self.is_200(self.ask(client=early))

    def test_running_out_of_files_is_survived(self):
        up = self.upstream()
        proxy = self.proxy(up=up, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        crowd = []
        try:
            for _ in range(120):
                sock = socket.socket()
                sock.settimeout(LIMIT)
                sock.connect(("127.0.0.1", proxy.port))
                crowd.append(sock)
            used = _cpu_seconds(proxy.pid)
            threading.Event().wait(1)
            self.assertLess(_cpu_seconds(proxy.pid) - used, 0.6, "it spins while it cannot accept")
        finally:
            for sock in crowd:
                sock.close()

        def works():
            try:
                return self.ask(proxy=proxy).status == 200
            except (Ended, OSError, TimeoutError):
                return False

        wait_for(works, "it never recovered")

    def test_connections_that_are_reset_at_once_do_no_harm(self):
        for _ in range(500):
            sock = socket.create_connection(("127.0.0.1", self.p.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        for cut in range(0, 300, 7):
            c = self.client()
            c.send(self.bytes_of("POST", MESSAGES, body=BODY)[:cut])
            c.reset()

    def test_random_damage_to_a_good_request_is_survived(self):
        import random
        rng = random.Random(5)
        good = self.head_of("Transfer-Encoding: chunked", "Connection: close") + b"5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data))
                kind = rng.randrange(3)
                if kind == 0:
                    data[at] = rng.randrange(256)
                elif kind == 1:
                    del data[at:at + rng.randint(1, 5)]
                else:
                    data[at:at] = rng.choice([b"\r\n", b"\n", b"\x00", b" ", b":", b"0\r\n\r\n", b"A" * 1000])
            self.raw(bytes(data), limit=5, half_close=True)
            self.assertIsNone(self.p.process.poll(), f"killed by {bytes(data)!r}")
        for seen in self.up.requests:
            self.assertEqual(seen.all("authorization"), [f"Bearer {self.TOKEN}"], seen.raw_head)


def _cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Patience(Hostile):
    """Slow clients. All the waits run side by side, since they are the product's own time limits."""

    WAIT = 75  # seconds: the longest that a client may hang before its first whole request

    def test_clients_that_dawdle_are_let_go_and_no_one_else_waits(self):
        started = time.monotonic()
        silent = self.client()
        blank = self.client()
        half = self.client()
        half.send(self.head_of("X-A: b")[:60])
        loris = [*(self.client() for _ in range(20)), blank]
        ended = {}
        stop = threading.Event()

        def dribble(n, c):
            data = self.head_of(*["X-A: b"] * 10_000) if c is not blank else CRLF * 1000
            for byte in data:
                if stop.wait(0.5):
                    return
                if not c.send_quietly(bytes([byte])):
                    break
                try:
                    c.fill(0.001)
                except Ended:
                    break
                except OSError:
                    pass
            ended[n] = time.monotonic() - started

        threads = [threading.Thread(target=dribble, args=(n, c), daemon=True) for n, c in enumerate(loris)]
        for t in threads:
            t.start()
        self.addCleanup(stop.set)

        at = time.monotonic()
        self.is_200(self.ask())
        self.assertLess(time.monotonic() - at, SOON, "others wait for the slow ones")

        for name, c in (("a silent client", silent), ("half a header block", half)):
            data, how = c.rest(max(1, self.WAIT - (time.monotonic() - started)))
            self.assertNotEqual(how, "open", f"{name} is kept for more than {self.WAIT} s")
            if data:
                self.assertIn(self.statuses(data), ([408], [400]), f"{name}: {data[:300]!r}")
        wait_for(lambda: len(ended) == len(loris), lambda: f"{len(loris) - len(ended)} of {len(loris)} slow clients are still there", limit=max(1, self.WAIT - (time.monotonic() - started)))


class Secrets(ProxyTest):
    """Nothing secret in logs, errors, status, argv, core files."""

    def levels(self):
        return ("debug", "info", "warn")

    def test_no_secret_is_in_logs_answers_status_metrics_or_argv(self):
        marker = "PROMPT-5f2c-MARKER"
        self.up = self.upstream()
        body = b'{"model":"databricks-claude-opus-4-6","messages":[{"role":"user","content":"%s"}]}' % marker.encode()
        for level in self.levels():
            with self.subTest(level=level):
                proxy = self.proxy("--log-level", level)
                texts = []
                for headers, target in (([], MESSAGES), ([("x-api-key", self.key)], MESSAGES + f"?key={self.key}"), ([("X-Bad", "a\x00")], MESSAGES), ([], "/nowhere?key=" + self.key), ([], "/anthropic/%00?key=" + self.key)):
                    with Client(proxy.port) as c:
                        c.send_quietly(self.bytes_of("POST", target, [*headers, ("Connection", "close")], body, proxy=proxy))
                        texts.append(c.rest()[0])
                for status in (401, 400, 500):
                    self.up.answer = lambda peer, seen: peer.answer(status, b"Invalid Token", kind="text/plain")
                    texts.append(self.ask(proxy=proxy, body=body).body)
                self.up.answer = lambda peer, seen: peer.close()
                texts.append(self.ask(proxy=proxy, body=body).body)
                self.up.answer = lambda peer, seen: peer.answer()
                for page in ("/status", "/metrics", "/healthz"):
                    texts.append(self.ask("GET", page, proxy=proxy).body)
                argv = Path(f"/proc/{proxy.pid}/cmdline").read_bytes()
                proxy.stop()
                for secret in (self.TOKEN, *self.keys.values(), marker):
                    for text in (*texts, argv, proxy.err.encode()):
                        self.assertNotIn(secret.encode(), text)

    def test_a_crash_leaves_no_core_file(self):
        if sanitized():
            self.skipTest("a sanitizer takes the crash")

        def dumping():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        folder = self.h.base / "cores"
        folder.mkdir(exist_ok=True)
        control = subprocess.Popen(["/bin/sleep", "60"], cwd=folder, preexec_fn=dumping)
        control.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(control.pid, 0)
        control.returncode = 0
        if not os.WCOREDUMP(status):
            self.skipTest("no process writes core files here")
        for file in folder.iterdir():
            file.unlink()
        self.up = self.upstream()
        proxy = self.proxy(preexec_fn=dumping, cwd=folder)
        proxy.may_crash = True
        self.is_200(self.ask(proxy=proxy))
        os.kill(proxy.pid, signal.SIGSEGV)
        _, status = os.waitpid(proxy.pid, 0)
        proxy.process.returncode = -11
        if "AddressSanitizer" in proxy.err:
            proxy.err_path.write_text("")  # it reports the signal that we sent
            self.skipTest("AddressSanitizer handles the signal itself")
        self.assertFalse(os.WCOREDUMP(status), "the kernel wrote a core file")
        self.assertEqual([f.name for f in folder.iterdir()], [])

    def test_the_key_files_are_only_the_owners_and_the_keys_are_long(self):
        self.assertEqual(len(set(self.keys.values())), len(self.keys), "each agent has its own key")
        for key in self.keys.values():
            self.assertRegex(key, r"^[A-Za-z0-9_\-]+$")
            bare = key.split("_")[-1]
            self.assertGreaterEqual(len(bare) * (4 if re.fullmatch(r"[0-9a-f]+", bare) else 6), 256, "256 bits")
        for folder, _, names in os.walk(self.h.home):
            for name in names:
                path = Path(folder, name)
                if any(key.encode() in path.read_bytes() for key in self.keys.values()):
                    self.assertEqual(path.stat().st_mode & 0o077, 0, f"{path} can be read by others")

    def test_another_bind_address_needs_allow_remote(self):
        self.up = self.upstream()
        for address in ("0.0.0.0", "::", "192.0.2.1", "example.com"):
            with self.subTest(address=address):
                self.is_error(self.h.run("proxy", "--port", "0", "--bind", address, "--upstream", self.up.url), 2, unchanged=False)

    def test_it_listens_on_loopback_only(self):
        self.up = self.upstream()
        proxy = self.proxy()
        inodes = set()
        for fd in os.listdir(f"/proc/{proxy.pid}/fd"):
            try:
                found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{proxy.pid}/fd/{fd}"))
            except OSError:
                continue
            if found:
                inodes.add(found[1])
        listening = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in Path(f"/proc/{proxy.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                    listening.append(fields[1].split(":")[0])
        self.assertTrue(listening)
        for address in listening:
            self.assertIn(address, ("0100007F", "00000000000000000000000001000000"), "a socket that others can reach")

    def test_no_token_stands_in_the_state_directory_after_a_run_with_a_static_token(self):
        self.up = self.upstream()
        proxy = self.proxy()
        self.is_200(self.ask(proxy=proxy))
        proxy.stop()
        self.assertNotIn(self.TOKEN.encode(), self.h.state_bytes())


if __name__ == "__main__":
    main()
