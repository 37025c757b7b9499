"""Hostile bytes: framing, chunks, request lines, paths. One proxy per class takes it all and must still be well."""

import re

from harness import each, main
from proxy_harness import MESSAGES, SMUGGLED, Hostile
from raw_http import CRLF, Ended, Step, wait_for


FRAMING_CASES = [
    ("both CL and TE", ["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    ("both TE and CL", ["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
    ("two lengths that differ", ["Content-Length: 5", "Content-Length: 6"], b"hello!"),
    ("two lengths that agree", ["Content-Length: 5", "Content-Length: 5"], b"hello"),
    ("two lengths in one field", ["Content-Length: 5, 6"], b"hello!"),
    ("two equal lengths in one field", ["Content-Length: 5, 5"], b"hello"),
    ("a length with plus", ["Content-Length: +5"], b"hello"),
    ("a negative length", ["Content-Length: -5"], b"hello"),
    ("minus zero as a length", ["Content-Length: -0"], b""),
    ("a hexadecimal length", ["Content-Length: 0x5"], b"hello"),
    ("a length with letters", ["Content-Length: 5a"], b"hello"),
    ("a length in words of numbers", ["Content-Length: 5 5"], b"hello"),
    ("a length with a point", ["Content-Length: 5.0"], b"hello"),
    ("a length with an exponent", ["Content-Length: 1e1"], b"hello"),
    ("an empty length", ["Content-Length:"], b"hello"),
    ("a quoted length", ['Content-Length: "5"'], b"hello"),
    ("a length beyond 64 bits", ["Content-Length: 18446744073709551621"], b"hello"),
    ("a length of many digits", ["Content-Length: " + "9" * 400], b"hello"),
    ("a length with a vertical tab", [b"Content-Length: \x0b5"], b"hello"),
    ("an obsolete fold", ["Content-Length: 5", "X-Fold: a", " b"], b"hello"),
    ("an obsolete fold with a tab", ["Content-Length: 5", "X-Fold: a", "\tb"], b"hello"),
    ("a folded length", ["Content-Length:", " 5"], b"hello"),
    ("a folded coding", ["Transfer-Encoding:", " chunked"], b"0\r\n\r\n"),
    ("a first header that begins with a blank", [" X: y", "Content-Length: 5"], b"hello"),
    ("a blank before the colon", ["Content-Length : 5"], b"hello"),
    ("a tab before the colon", ["Content-Length\t: 5"], b"hello"),
    ("a blank before the colon of a coding", ["Transfer-Encoding : chunked"], b"0\r\n\r\n"),
    ("a blank in a name", ["X Y: z", "Content-Length: 5"], b"hello"),
    ("a line without a colon", ["Content-Length: 5", "nonsense"], b"hello"),
    ("an empty name", ["Content-Length: 5", ": x"], b"hello"),
    ("a NUL in a value", [b"X-Nul: a\x00b", "Content-Length: 5"], b"hello"),
    ("a NUL in a name", [b"X-\x00Nul: a", "Content-Length: 5"], b"hello"),
    ("a bare CR in a value", [b"X-Cr: a\rTransfer-Encoding: chunked", "Content-Length: 5"], b"hello"),
    ("a control character in a value", [b"X-Bell: a\x07b", "Content-Length: 5"], b"hello"),
    ("a DEL in a value", [b"X-Del: a\x7fb", "Content-Length: 5"], b"hello"),
    ("a control character in a name", [b"X\x01Y: a", "Content-Length: 5"], b"hello"),
    ("a byte above 127 in a name", [b"X-\xc4: a", "Content-Length: 5"], b"hello"),
    ("a parenthesis in a name", ["X(Y): a", "Content-Length: 5"], b"hello"),
    ("a bare LF after a header", [b"X-A: b\nX-B: c", "Content-Length: 5"], b"hello"),
    ("a bare LF that hides a coding", [b"X-A: b\nTransfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
]

CODINGS = ["identity", "xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked, chunked", "chunked, gzip", '"chunked"',
           "chunked;q=1", "chunkedx", "chunked,", ",chunked", "chunke", "", "\x0bchunked", "chunked\x0b", "chunked \x00", "gzip"]

TE_CASES = [(f"{n:02d} {coding}", coding) for n, coding in enumerate(CODINGS)]

CHUNK_CASES = [
    ("a size with plus", b"+5\r\nhello\r\n0\r\n\r\n"), ("a size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"), ("a negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("a blank before the size", b" 5\r\nhello\r\n0\r\n\r\n"), ("a size of letters", b"zz\r\nhello\r\n0\r\n\r\n"), ("no size", b"\r\nhello\r\n0\r\n\r\n"),
    ("only an extension", b";a=b\r\nhello\r\n0\r\n\r\n"), ("a size of 17 digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a size of 16 times F", b"F" * 16 + b"\r\nhello\r\n0\r\n\r\n"), ("a size with underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF after the size", b"5\nhello\r\n0\r\n\r\n"), ("a bare LF after the data", b"5\r\nhello\n0\r\n\r\n"),
    ("data longer than its size", b"5\r\nhelloX\r\n0\r\n\r\n"), ("no line end after the data", b"5\r\nhello0\r\n\r\n"),
    ("a bare LF at the very end", b"5\r\nhello\r\n0\r\n\n"), ("a bare CR after the size", b"5\rhello\r\n0\r\n\r\n"),
    ("a NUL in the size", b"5\x00\r\nhello\r\n0\r\n\r\n"), ("a bare LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("an extension of 70 KB", b"5;" + b"a" * 70_000 + b"\r\nhello\r\n0\r\n\r\n"), ("a size with 70,000 zeros", b"0" * 70_000 + b"5\r\nhello\r\n0\r\n\r\n"),
    ("a folded trailer", b"0\r\nX: a\r\n b\r\n\r\n"), ("a trailer without a colon", b"0\r\nnonsense\r\n\r\n"),
    ("trailers of 80 KB", b"0\r\n" + b"X-T: " + b"a" * 80_000 + b"\r\n\r\n"),
    ("10,000 trailers", b"0\r\n" + b"X-Trailer: aaaaaa\r\n" * 10_000 + b"\r\n"),
    ("a trailer with a NUL", b"0\r\nX: a\x00b\r\n\r\n"),
]

LINES = [
    ("no version", f"POST {MESSAGES}", (400,)), ("HTTP 0.9", "GET /healthz", (400,)), ("HTTP 1.2", f"POST {MESSAGES} HTTP/1.2", (400, 505)),
    ("HTTP 2.0", f"POST {MESSAGES} HTTP/2.0", (400, 505)), ("HTTP 11.1", f"POST {MESSAGES} HTTP/11.1", (400, 505)), ("http in small letters", f"POST {MESSAGES} http/1.1", (400, 505)),
    ("HTTP 1.1 and a blank", f"POST {MESSAGES} HTTP/1.1 ", (400, 505)), ("HTTP 1.1x", f"POST {MESSAGES} HTTP/1.1x", (400, 505)), ("another protocol", f"POST {MESSAGES} ICY/1.1", (400, 505)),
    ("two blanks before the target", f"POST  {MESSAGES} HTTP/1.1", (400,)), ("two blanks before the version", f"POST {MESSAGES}  HTTP/1.1", (400, 505)),
    ("a blank in the target", f"POST {MESSAGES} x HTTP/1.1", (400, 505)), ("a tab for a blank", f"POST\t{MESSAGES}\tHTTP/1.1", (400,)), ("no method", f" {MESSAGES} HTTP/1.1", (400,)),
    ("a method with odd letters", f"PO(ST {MESSAGES} HTTP/1.1", (400, 405, 501)), ("a method of 70 KB", "X" * 70_000 + f" {MESSAGES} HTTP/1.1", (400, 414, 431, 501)),
    ("a NUL in the target", f"POST {MESSAGES}\x00 HTTP/1.1", (400,)), ("a control character in the target", f"POST {MESSAGES}\x01 HTTP/1.1", (400,)),
    ("a bare CR in the target", f"POST {MESSAGES}\r HTTP/1.1", (400,)), ("a target of 70 KB", f"POST {MESSAGES}?{'a' * 70_000} HTTP/1.1", (400, 414, 431)),
    ("an empty target", "POST  HTTP/1.1", (400,)), ("a blank line with a blank", " ", (400,)),
]


@each([(label, (lines, body)) for label, lines, body in FRAMING_CASES], "framing")
@each(TE_CASES, "coding")
class Framing(Hostile):
    def check_framing(self, case):
        lines, body = case
        self.refused(self.head_of(*lines) + body, 400)

    def check_coding(self, coding):
        self.refused(self.head_of(f"Transfer-Encoding: {coding}") + b"5\r\nhello\r\n0\r\n\r\n", 400, 501)

    def test_two_fields_of_codings_are_refused(self):
        for first, second in (("chunked", "chunked"), ("chunked", "identity"), ("identity", "chunked"), ("chunked", "x")):
            with self.subTest(first=first, second=second):
                self.refused(self.head_of(f"Transfer-Encoding: {first}", f"Transfer-Encoding: {second}") + b"0\r\n\r\n", 400, 501)

    def test_a_coding_from_an_http_1_0_client_is_refused(self):
        self.refused(self.head_of("Transfer-Encoding: chunked", start=f"POST {MESSAGES} HTTP/1.0") + b"5\r\nhello\r\n0\r\n\r\n", 400, 501)

    def test_a_header_block_of_bare_line_feeds_is_refused(self):
        got, how = self.raw(self.head_of("Content-Length: 5").replace(CRLF, b"\n") + b"hello" + SMUGGLED, limit=15)
        self.assertEqual(self.statuses(got), [400], f"{got[:300]!r} {how}")
        self.no_upstream_request()

    def test_a_block_that_ends_with_bare_line_feeds_is_refused(self):
        for end in (b"\n\n", b"\r\n\n", b"\n\r\n"):
            with self.subTest(end=end):
                got, _ = self.raw(self.head_of("Content-Length: 5")[:-4] + end + b"hello" + SMUGGLED, limit=15)
                self.assertEqual(self.statuses(got), [400], f"{got[:300]!r}")
                self.no_upstream_request()

    def test_good_framing_passes_beside_all_that(self):
        for lines, body, wanted in ((["Content-Length: 5"], b"hello", b"hello"), (["Content-Length:5"], b"hello", b"hello"), (["Content-Length: \t 5 \t"], b"hello", b"hello"),
                                    (["Content-Length: 0005"], b"hello", b"hello"), (["transfer-encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
                                    (["Transfer-Encoding: Chunked"], b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
                                    (["Transfer-Encoding: chunked"], b"5;a=b;c=\"d e\"\r\nhello\r\n00000\r\nX: y\r\n\r\n", b"hello"),
                                    (["Content-Length: 0"], b"", b""), ([], b"", b"")):
            with self.subTest(lines=lines):
                self.up.forget()
                c = self.client()
                c.send(self.head_of(*lines) + body)
                self.is_200(c.answer(), wanted)
                self.assertTrue(self.up.seen.complete)
                self.is_200(self.ask(client=c))


@each(CHUNK_CASES, "chunk")
class Chunks(Hostile):
    """The request may have begun upstream when its body turns out to be damaged: then it must be broken there, too."""

    def check_chunk(self, body):
        got, how = self.raw(self.head_of("Transfer-Encoding: chunked") + body + SMUGGLED)
        self.assertNotEqual(how, "open")
        self.assertIn(self.statuses(got), ([400], [413], [431]), f"{got[:400]!r}")
        self.assertEqual([r for r in self.up.requests if r.complete], [], "a damaged body reached the upstream as a whole one")
        self.assertNotIn(b"SMUGGLED", self.up.bytes())

    def test_a_damaged_chunk_in_the_middle_of_a_stream_of_chunks_breaks_the_upstream_request(self):
        gone = Step()
        self.up.read_body = False

        def answer(peer, seen):
            try:
                peer.read_body(seen)
            except (Ended, ValueError):
                gone.go()
                raise Ended("eof") from None
            peer.answer()

        self.addCleanup(setattr, self.up, "read_body", True)
        self.up.answer = answer
        c = self.client()
        c.send(self.head_of("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        wait_for(lambda: self.up.requests)
        c.send_quietly(b"+5\r\nworld\r\n0\r\n\r\n")
        got, how = c.rest()
        self.assertIn(self.statuses(got), ([400], []), f"{got[:300]!r}")
        self.assertNotEqual(how, "open")
        gone.wait("the upstream request lives on")
        self.assertFalse(self.up.seen.complete)
        self.up.read_body = True

    def test_chunk_extensions_without_end_are_refused_in_time(self):
        for endless in (b"5;", b"", b"5\r\nhello\r\n", b"0\r\nX: "):
            with self.subTest(endless=endless):
                c = self.client()
                c.send(self.head_of("Transfer-Encoding: chunked") + endless)
                self.assertTrue(c.pushes_in_vain((b"0" if not endless else b"5\r\nhelloX" if endless.endswith(b"\n") else b"a") * 65536), "an extension, a size or a trailer without end is swallowed")
        self.assertEqual([r for r in self.up.requests if r.complete], [])

    def test_a_thousand_small_chunks_with_small_extensions_cost_little(self):
        c = self.client()
        c.send(self.head_of("Transfer-Encoding: chunked") + b"1;x=y\r\na\r\n" * 1000 + b"0\r\n\r\n")
        self.is_200(c.answer(), b"a" * 1000)


@each([(label, (line, statuses)) for label, line, statuses in LINES], "line")
class RequestLines(Hostile):
    def check_line(self, case):
        line, statuses = case
        got, how = self.raw(self.head_of("Content-Length: 5", start=line) + b"hello" + SMUGGLED)
        self.assertNotEqual(how, "open", f"{got[:300]!r}")
        self.assertIn(len(self.statuses(got)), (0, 1), f"{got[:600]!r}")
        if self.statuses(got):
            self.assertIn(self.statuses(got)[0], statuses, f"{got[:300]!r}")
        self.no_upstream_request()

    def test_other_protocols_on_the_port_are_refused(self):
        for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2, b"\x05\x01\x00" + b"\r\n" * 3, b"\x00" * 500 + b"\r\n\r\n",
                     b"SSH-2.0-x\r\n\r\n", b"*1\r\n$4\r\nPING\r\n\r\n", b"\xff" * 70_000):
            with self.subTest(data=data[:20]):
                got, how = self.raw(data + SMUGGLED)
                self.assertNotEqual(how, "open", f"{got[:200]!r}")
                self.no_upstream_request()

    def test_trace_never_passes(self):
        """An upstream that answers TRACE would show the client the token that the proxy put in."""
        for method in ("TRACE", "TRACK"):
            with self.subTest(method=method):
                self.up.forget()
                got, _ = self.raw(self.head_of("Connection: close", start=f"{method} {MESSAGES} HTTP/1.1"))
                self.assertIn(self.statuses(got)[0], (400, 405, 501), f"{got[:300]!r}")
                self.no_upstream_request()

    def test_connect_is_refused(self):
        for target in ("evil.test:443", "127.0.0.1:22", f"127.0.0.1:{self.p.port}", MESSAGES):
            with self.subTest(target=target):
                got, _ = self.raw(self.head_of("Connection: close", start=f"CONNECT {target} HTTP/1.1"))
                self.assertIn(self.statuses(got), ([405], [400]), f"{got[:300]!r}")
        self.no_upstream_request()

    def test_absolute_form_is_refused(self):
        other = self.upstream()
        for target in (f"{other.url}{MESSAGES}", f"http://evil.test{MESSAGES}", f"http://{self.host}{MESSAGES}", f"HTTP://{self.host}/healthz", f"https://{self.host}{MESSAGES}",
                       "file:///etc/passwd", "*", "evil.test", "anthropic/v1/messages", f"@{self.host}/anthropic/v1/messages"):
            with self.subTest(target=target):
                got, _ = self.raw(self.head_of("Connection: close", "Content-Length: 0", start=f"POST {target} HTTP/1.1"))
                self.assertIn(self.statuses(got), ([400], [404], [405]), f"{got[:300]!r}")
                self.no_upstream_request()
        self.assertEqual(other.connections, [])


# Each must end without the upstream hearing of it, or with a path that still begins with the route it came under.
PATHS = ["/anthropic/../api/2.0/secrets/list", "/anthropic/v1/../../api/2.0/secrets/list", "/anthropic/%2e%2e/api/2.0/secrets/list", "/anthropic/%2E%2E/api/2.0/x", "/anthropic/.%2e/api/2.0/x",
         "/anthropic/%2e./api/2.0/x", "/anthropic/..%2fapi/2.0/x", "/anthropic%2f..%2fapi/2.0/x", "/anthropic/%2e%2e%2fapi", "/anthropic/..\\api", "/anthropic\\..\\api", "/anthropic/%5c..%5capi", "/anthropic/..%5capi",
         "/anthropic/v1/messages%00", "/anthropic/%00/../api", "/anthropic/v1%0d%0aX-Evil:%201", "/anthropic/v1/%0a", "/anthropic/%7f", "/anthropic/%", "/anthropic/%4", "/anthropic/%zz", "/anthropic/%u002e%u002e/api",
         "/anthropic/v1/..", "/anthropic/..", "/..", "/../../etc/passwd", "/anthropic/../../../../api/2.0/x", "//api/2.0/secrets/list", "//evil.test/anthropic/v1/messages", "/./api/2.0/x", "/api/2.0/otel/v1/../../sql/statements",
         "/api/2.0/otel/v1/metrics/../../../sql/statements", "/api/2.0/otel/v1/%2e%2e/%2e%2e/sql", "/anthropic/..;/api/2.0/x", "/anthropic;/../api/2.0/x", "/anthropic/v1/messages#/../api", "/%61nthropic/../api/2.0/x",
         "/anthropic/%252e%252e/api/2.0/x", "/anthropic/%c0%ae%c0%ae/api/2.0/x", "/anthropic/%ef%bc%8e%ef%bc%8e/x", "/openai/v1/../../api/2.0/x", "/openai/v1/%2e%2e/v2/x", "/gemini/../oidc/v1/token", "/healthz/../api/2.0/x"]


@each([(f"{n:02d} {path}", path) for n, path in enumerate(PATHS)], "path")
class Paths(Hostile):
    def check_path(self, path):
        got, _ = self.raw(self.head_of("Connection: close", "Content-Length: 2", start=f"POST {path} HTTP/1.1") + b"{}")
        statuses = self.statuses(got)
        self.assertEqual(len(statuses), 1, f"{got[:400]!r}")
        if statuses[0] == 200:
            target = self.up.seen.target
            route = re.match(r"/(anthropic|gemini|openai/v1|codex/v1|cursor/v1|mlflow/v1|api/2\.0/otel/v1/(metrics|logs|traces)$)(?=/|$)", target)
            self.assertTrue(route, f"{path} went upstream as {target}")
            decoded = target
            for _ in range(3):  # whatever the upstream decodes, and how often
                decoded = re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), decoded)
            if "%25" not in path and "%c0" not in path and "%ef" not in path:
                self.assertNotIn("..", re.split(r"[/\\;]", decoded), f"{path} went upstream as {target}")
                self.assertNotRegex(decoded, r"[\x00-\x1f\x7f\\]")
        else:
            self.assertIn(statuses[0], (400, 404), f"{got[:300]!r}")
            self.no_upstream_request()

    def test_an_escaped_slash_or_backslash_is_refused(self):
        for path in ("/anthropic/v1%2fmessages", "/anthropic/v1%2Fmessages", "/anthropic/v1%5cmessages", "/anthropic/v1\\messages", "/anthropic/v1/%5C"):
            with self.subTest(path=path):
                got, _ = self.raw(self.head_of("Connection: close", "Content-Length: 0", start=f"POST {path} HTTP/1.1"))
                self.assertIn(self.statuses(got), ([400], [404]), f"{got[:300]!r}")
                self.no_upstream_request()

    def test_a_query_cannot_smuggle_a_path_or_a_header(self):
        for query in ("?x=/../../api", "?a=b%0d%0aX-Evil:1", "?key=%0d%0a", "?\\"):
            with self.subTest(query=query):
                self.up.forget()
                got, _ = self.raw(self.head_of("Connection: close", "Content-Length: 0", start=f"POST {MESSAGES}{query} HTTP/1.1"))
                self.assertIn(self.statuses(got)[0], (200, 400))
                for seen in self.up.requests:
                    self.assertTrue(seen.target.startswith(MESSAGES + "?"), seen.target) if seen.target != MESSAGES else None
                    self.assertEqual(seen.all("x-evil"), [])


if __name__ == "__main__":
    main()
