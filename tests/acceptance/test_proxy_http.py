"""The proxy as an HTTP relay: framing, connections, and what passes unchanged."""

import threading
import time

from harness import main
from proxy_harness import MESSAGES, ProxyTest
from raw_http import (ANSWER_MAY_DIFFER, CRLF, LIMIT, REQUEST_MAY_DIFFER, Client, Step, read_chunk, request_bytes, wait_for,
                      without)

BODY = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"stream":true,"messages":[]}'
EVENTS = [b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n", b": ping\n\n",
          b"event: content_block_delta\r\ndata: {\"delta\":{\"text\":\"\xc3\xa4\"}}\r\n\r\n",
          b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"]


def patterned(size):
    """Bytes in which a lost, doubled or moved block shows."""
    block = b"".join(b"%08x" % n for n in range(8192))
    return (block * (size // len(block) + 1))[:size]


class Framing(ProxyTest):
    def test_an_answer_until_the_end_of_the_connection_arrives_whole(self):
        def answer(peer, seen):
            peer.head(200, [("Content-Type", "text/plain"), ("Connection", "close")])
            peer.send(patterned(200_000))
            peer.close()

        self.start(answer)
        got = self.is_200(self.ask())
        self.assertEqual((got.content.size, got.body), (200_000, patterned(200_000)))

    def test_an_answer_of_http_1_0_arrives_whole(self):
        def answer(peer, seen):
            peer.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")
            peer.close()

        self.start(answer)
        self.is_200(self.ask(), b"old")

    def test_answers_without_a_body_end_at_their_header(self):
        for status, headers in ((204, []), (304, [("ETag", '"x"')]), (304, [("Content-Length", "1234")]), (205, [("Content-Length", "0")])):
            with self.subTest(status=status, headers=headers):
                self.start(lambda peer, seen, s=status, h=headers: peer.head(s, h))
                c = self.client()
                for _ in range(2):
                    got = self.ask("GET", "/anthropic/v1/models", client=c)
                    self.assertEqual((got.status, got.body), (status, b""))

    def test_head_answers_keep_their_header_and_have_no_body(self):
        def answer(peer, seen):
            if seen.method == "HEAD":
                peer.head(200, [("Content-Type", "application/json"), ("Content-Length", "1234")])
            else:
                peer.answer()

        self.start(answer)
        c = self.client()
        got = self.ask("HEAD", "/openai/v1/responses", client=c)
        self.assertEqual((got.status, got.all("content-length")), (200, ["1234"]))
        self.assertEqual(self.up.seen.method, "HEAD")
        self.is_200(self.ask("GET", "/openai/v1/models", client=c), b'{"ok":true}')

    def test_a_head_without_a_key_is_answered_and_never_passed_on(self):
        """Claude Code 2.1.330 begins with HEAD /api/hello, without any credential."""
        self.start()
        c = self.client()
        c.send(request_bytes("HEAD", "/anthropic/api/hello", [("User-Agent", "Bun/1.4.4")], host=f"127.0.0.1:{self.p.port}"))
        got = c.answer("HEAD")
        self.assertIn(got.status, (200, 204, 401, 404))
        self.assertEqual(bytes(c.buffer), b"")
        self.no_upstream_request()

    def test_models_and_count_tokens_pass_with_their_query(self):
        self.start()
        for method, target in (("GET", "/anthropic/v1/models?limit=1000"), ("GET", "/openai/v1/models"),
                               ("POST", "/anthropic/v1/messages/count_tokens?beta=true"),
                               ("POST", "/codex/v1/responses"), ("POST", "/cursor/v1/chat/completions"),
                               ("POST", "/mlflow/v1/chat/completions"), ("DELETE", "/openai/v1/responses/resp_1"),
                               ("POST", "/gemini/v1beta/models/databricks-gemini-2-5-flash:streamGenerateContent?alt=sse"),
                               ("POST", "/gemini/v1/models/system.ai.gemini-2-5-flash:generateContent")):
            with self.subTest(target=target):
                self.up.forget()
                self.is_200(self.ask(method, target))
                self.assertEqual((self.up.seen.method, self.up.seen.target), (method, target))
                self.assertEqual(self.up.seen.token, self.TOKEN)

    def test_the_gateways_root_may_have_a_path(self):
        self.up = self.upstream()
        self.p = self.proxy("--upstream", self.up.url + "/ai-gateway")
        self.is_200(self.ask("POST", MESSAGES + "?beta=true"))
        self.assertEqual(self.up.seen.target, "/ai-gateway" + MESSAGES + "?beta=true")

    def test_informational_answers_do_not_confuse_the_relay(self):
        def answer(peer, seen):
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            peer.answer()

        self.start(answer)
        c = self.client()
        self.is_200(self.ask(client=c), b'{"ok":true}')
        self.is_200(self.ask(client=c), b'{"ok":true}')

    def test_an_unasked_switch_of_protocols_is_refused(self):
        def answer(peer, seen):
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw bytes")
            peer.gone(3)

        self.start(answer)
        self.is_ours(self.ask(), 502, dialect="anthropic")

    def test_an_upstream_that_does_not_speak_http_gives_an_error(self):
        for raw in (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 abc OK\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
                    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 300_000 + b"\r\n\r\n"):
            with self.subTest(raw=raw[:60]):
                def answer(peer, seen, raw=raw):
                    peer.send_quietly(raw)
                    peer.finish()
                    peer.gone(3)
                    peer.close()

                self.start(answer)
                got = self.is_ours(self.ask(), 502, dialect="anthropic")
                self.assertNotIn("aaaaaaaaaa", got.text)

    def test_an_http_1_0_client_gets_an_answer_that_it_can_read(self):
        def answer(peer, seen):
            peer.stream()
            for event in EVENTS:
                peer.chunk(event)
            peer.end()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY, version="HTTP/1.0"))
        got = c.head()
        self.assertEqual(got.status, 200)
        self.assertEqual(got.all("transfer-encoding"), [], "HTTP/1.0 knows no chunks")
        data, how = c.rest()
        self.assertEqual((data, how), (b"".join(EVENTS), "eof"))

    def test_connection_close_is_honoured_and_the_answer_says_so(self):
        self.start()
        c = self.client()
        got = self.ask(headers=[("Connection", "close")], client=c)
        self.is_200(got)
        self.assertEqual([v.lower() for v in got.all("connection")], ["close"])
        self.assertEqual(c.rest()[1], "eof")

    def test_three_pipelined_requests_get_three_answers_in_order(self):
        self.start(lambda peer, seen: peer.answer(200, seen.target.encode() + b"|" + seen.body))
        c = self.client()
        c.send(b"".join(self.bytes_of("POST", f"{MESSAGES}?n={n}", body=b"body %d" % n) for n in range(3)))
        for n in range(3):
            self.is_200(c.answer(), b"%s?n=%d|body %d" % (MESSAGES.encode(), n, n))
        self.assertEqual(bytes(c.buffer), b"")

    def test_pipelined_requests_of_mixed_kinds_get_their_own_answers(self):
        def answer(peer, seen):
            if "stream" in seen.target:
                peer.stream()
                peer.chunk(EVENTS[0])
                peer.end()
            elif seen.method == "HEAD":
                peer.head(200, [("Content-Length", "77")])
            else:
                peer.answer(200, seen.body)

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES + "?stream", [("Transfer-Encoding", "chunked")], b"2\r\nab\r\n0\r\n\r\n")
               + self.bytes_of("HEAD", "/anthropic/v1/models") + request_bytes("GET", "/healthz", host=f"127.0.0.1:{self.p.port}")
               + self.bytes_of("POST", MESSAGES, body=b"last"))
        self.is_200(c.answer(), EVENTS[0])
        self.assertEqual(c.answer("HEAD").one("content-length"), "77")
        self.is_200(c.answer())
        self.is_200(c.answer(), b"last")

    def test_blank_lines_between_requests_are_no_request(self):
        self.start()
        c = self.client()
        self.is_200(self.ask(client=c))
        c.send(CRLF)
        self.is_200(self.ask(client=c))


class Connections(ProxyTest):
    def test_the_upstream_connection_is_used_again(self):
        self.start()
        c = self.client()
        for _ in range(5):
            self.is_200(self.ask(client=c))
        for _ in range(5):
            self.is_200(self.ask())
        self.assertEqual(len(self.up.connections), 1)

    def test_an_idle_upstream_connection_that_was_closed_is_not_used(self):
        self.start()
        for how in ("close", "reset", "finish"):
            with self.subTest(how=how):
                self.is_200(self.ask())
                getattr(self.up.connections[-1], how)()
                for _ in range(3):
                    self.is_200(self.ask())

    def test_many_idle_upstream_connections_that_were_closed_are_not_used(self):
        barrier = threading.Barrier(8, timeout=LIMIT)

        def answer(peer, seen):
            barrier.wait()
            peer.answer()

        self.start(answer)
        clients = [self.client() for _ in range(8)]
        for c in clients:
            c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        for c in clients:
            self.is_200(c.answer())
        self.assertEqual(len(self.up.connections), 8)
        self.up.answer = lambda peer, seen: peer.answer()
        for peer in list(self.up.connections):
            peer.close()
        for c in clients:
            self.is_200(self.ask(client=c))

    def test_bytes_behind_an_answer_never_become_another_clients_answer(self):
        """Response queue poisoning: whatever an upstream adds belongs to nobody."""
        poison = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned'
        for late in (False, True):
            with self.subTest(late=late):
                sent = Step()

                def answer(peer, seen, late=late, sent=sent):
                    good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
                    if not late:
                        peer.send(good + poison)
                    else:
                        peer.send(good)
                        got.wait()
                        peer.send_quietly(poison)
                        sent.go()

                got = Step()
                self.start(answer)
                self.is_200(self.ask(), b"good")
                got.go()
                if late:
                    sent.wait()
                    self.up.answer = lambda peer, seen: peer.answer(200, b"good")
                for _ in range(3):
                    self.is_200(self.ask(), b"good")

    def test_an_answer_to_head_with_a_body_never_becomes_the_next_answer(self):
        def answer(peer, seen):
            if seen.method == "HEAD":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned")
            else:
                peer.answer(200, b"good")

        self.start(answer)
        self.assertEqual(self.ask("HEAD", "/anthropic/v1/models").status, 200)
        for _ in range(3):
            self.is_200(self.ask(), b"good")

    def test_a_cut_upload_never_becomes_the_beginning_of_the_next_request(self):
        self.start()
        for _ in range(5):
            c = self.client()
            c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", "100")]) + b"GET /evil HTTP/1.1\r\n")
            wait_for(lambda: self.up.requests)
            c.close()
            self.is_200(self.ask())
        self.assertEqual([r for r in self.up.requests if "evil" in r.line], [])
        self.assertEqual(self.up.problems, [])

    def test_a_connection_whose_answer_was_abandoned_is_not_used_again(self):
        def answer(peer, seen):
            if "long" in seen.target:
                peer.head(200, [("Content-Length", "1000000")])
                peer.send(b"a" * 1000)
                go.wait()
                peer.send_quietly(b"b" * 999_000)
            else:
                peer.answer(200, b"mine")

        go = Step()
        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES + "?long", body=BODY))
        c.head()
        c.close()
        go.go()
        for _ in range(5):
            self.is_200(self.ask(), b"mine")

    def test_a_hundred_clients_at_once_get_their_own_answers(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body * 100))
        wrong = []

        def work(n):
            try:
                with Client(self.p.port) as c:
                    for k in range(5):
                        body = b"[%d.%d]" % (n, k)
                        c.send(self.bytes_of("POST", MESSAGES, body=body))
                        got = c.answer()
                        if got.status != 200 or got.body != body * 100:
                            wrong.append(str(got)[:200])
            except Exception as error:  # noqa: BLE001 reported below
                wrong.append(repr(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(100)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(wrong, [])

    def test_nothing_is_left_open_when_the_clients_have_gone(self):
        self.start()
        self.is_200(self.ask())
        before = self.p.open_files()
        clients = [self.client() for _ in range(50)]
        for c in clients:
            self.is_200(self.ask(client=c))
        for c in clients:
            c.close()
        wait_for(lambda: self.p.open_files() <= before + 2, lambda: f"{self.p.open_files()} files are open, before: {before}")

    def test_several_threads_serve_alike(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body), "--threads", "3")
        for n in range(30):
            self.is_200(self.ask(body=b"n%d" % n), b"n%d" % n)
        self.assertEqual(self.p.stop(), 0)

    def test_both_sides_have_no_delay(self):
        """Two small writes in a row leave as two packets; with Nagle the second waits 40 ms for an acknowledgement."""
        gaps = []

        def answer(peer, seen):
            peer.stream()
            for n in range(20):
                peer.chunk(b"data: %d\n\n" % n)
                threading.Event().wait(0.004)
            peer.end()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        c.head()
        last = None
        while read_chunk(c):
            now = time.monotonic()
            if last:
                gaps.append(now - last)
            last = now
        self.assertLess(sorted(gaps)[len(gaps) // 2], 0.03, f"gaps between events: {gaps}")


class Unchanged(ProxyTest):
    """Promise 7: what passes is the same, header by header."""

    HEADERS = [("Accept", "application/json"), ("Content-Type", "application/json"), ("User-Agent", "claude-cli/2.1.330 (external, cli)"),
               ("X-Claude-Code-Session-Id", "0b7c"), ("X-Stainless-Retry-Count", "0"), ("anthropic-version", "2023-06-01"),
               ("anthropic-beta", "claude-code-20250219,effort-2025-11-24"), ("anthropic-beta", "second-line"),
               ("anthropic-dangerous-direct-browser-access", "true"), ("x-app", "cli"),
               ("x-databricks-use-coding-agent-mode", "true"), ("x-codex-turn-metadata", '{"a":"b, c","d":[1]}'),
               ("X-Empty", ""), ("x-MiXeD-CaSe", "KeEp"), ("X-Latin", "caf\xe9 \xff"), ("X-Tab", "a\tb"), ("X-Long", "v" * 20_000),
               ("Cookie", "a=b; c=d"), ("X-Forwarded-For", "10.0.0.1"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
               ("X-Databricks-UC-Table-Name", "main.telemetry.dev_otel_logs"), ("Content-Encoding", "gzip"), ("Range", "bytes=0-"),
               ("originator", "codex_exec"), ("If-None-Match", '"abc"'), ("Date", "Sat, 21 Nov 2026 10:00:00 GMT")]

    def test_request_headers_pass_unchanged_and_in_order(self):
        self.start()
        self.is_200(self.ask(headers=[*self.HEADERS, ("Accept-Encoding", "gzip, deflate, br, zstd")], body=BODY))
        seen = self.up.seen
        self.assertEqual(without(seen.headers, REQUEST_MAY_DIFFER), without(self.HEADERS, REQUEST_MAY_DIFFER))
        self.assertEqual(seen.body, BODY)
        self.assertIn([v.lower() for v in seen.all("accept-encoding")], ([], ["identity"]))
        self.assertEqual(seen.all("host"), [f"127.0.0.1:{self.up.port}"])
        self.assertEqual(seen.all("authorization"), [f"Bearer {self.TOKEN}"])
        self.assertEqual(seen.all("x-api-key") + seen.all("x-goog-api-key"), [])

    def test_header_names_keep_their_spelling(self):
        self.start()
        self.is_200(self.ask(headers=self.HEADERS, body=BODY))
        names = lambda headers: [name for name, _ in headers if name.lower() not in REQUEST_MAY_DIFFER]
        self.assertEqual(names(self.up.seen.headers), names(self.HEADERS))

    def test_answer_headers_pass_unchanged_and_in_order(self):
        headers = [("Date", "Sat, 21 Nov 2026 10:00:00 GMT"), ("Server", "databricks"), ("Content-Type", "application/json; charset=utf-8"),
                   ("x-request-id", "req-1"), ("request-id", "req_011"), ("anthropic-ratelimit-requests-remaining", "12"),
                   ("x-ratelimit-reset-tokens", "1s"), ("Retry-After", "17"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"),
                   ("x-databricks-org-id", "42"), ("Vary", "Accept, Accept-Encoding"), ("X-Empty", ""), ("x-MiXeD", "Case"),
                   ("X-Latin", "\xe9"), ("Strict-Transport-Security", "max-age=31536000"), ("Content-Encoding", "gzip"),
                   ("Location", "/elsewhere"), ("alt-svc", 'h3=":443"'), ("openai-processing-ms", "7")]
        self.start(lambda peer, seen: peer.answer(200, b"\x1f\x8b not really gzip", headers, kind=None))
        got = self.is_200(self.ask(), b"\x1f\x8b not really gzip")
        names = lambda pairs: [(n, v) for n, v in pairs if n.lower() not in ANSWER_MAY_DIFFER]
        self.assertEqual(names(got.headers), headers)

    def test_statuses_of_the_gateway_pass_with_body_and_headers(self):
        cases = [(400, "text/plain", b"Some other complaint", []), (403, "application/json", b'{"error_code":"PERMISSION_DENIED"}', []),
                 (404, "text/html", b"<html>no</html>", []), (409, "application/json", b"{}", []), (413, "application/json", b"{}", []),
                 (418, "text/plain", b"", []), (422, "application/json", b"{}", []), (429, "application/json", b'{"error":{}}', [("Retry-After", "7")]),
                 (429, "application/json", b'{"error":{}}', []), (500, "application/json", b'{"error_code":"INTERNAL"}', []),
                 (502, "text/html", b"<html>", []), (503, "application/json", b"{}", [("Retry-After", "Sat, 21 Nov 2026 10:00:00 GMT")]),
                 (529, "application/json", b'{"type":"error","error":{"type":"overloaded_error"}}', []), (302, "text/plain", b"", [("Location", "https://elsewhere/")])]
        self.start()
        for status, kind, body, headers in cases:
            with self.subTest(status=status):
                self.up.forget()
                self.up.answer = lambda peer, seen: peer.answer(status, body, [("x-request-id", "r1"), *headers], kind)
                got = self.ask()
                self.assertEqual((got.status, got.body, got.complete), (status, body, True))
                self.assertIsNone(got.ours)
                self.assertEqual(without(got.headers, ANSWER_MAY_DIFFER), [("content-type", kind), ("x-request-id", "r1"),
                                                                          *((n.lower(), v) for n, v in headers)])
                self.assertEqual(len(self.up.requests), 1, "a proxy does not retry for the client")

    def test_bodies_of_any_bytes_pass_unchanged(self):
        for body in (b"", b"\x00\xff" * 5000, b'{"model":"x"', b"{" * 10_000, b'{"a":"\\u0000"}', b"\xef\xbb\xbf{}", b'{"model": 5}',
                     b'{"model":"a","model":"b"}', b"[]", b'{"stream":true}' * 3, patterned(100_000)):
            with self.subTest(body=body[:30]):
                self.start(lambda peer, seen: peer.answer(200, seen.body))
                self.is_200(self.ask(body=body), body)

    def test_hop_by_hop_fields_stop_at_the_proxy(self):
        self.start()
        self.is_200(self.ask(headers=[("Connection", "X-Hop, x-other"), ("X-Hop", "secret"), ("x-OTHER", "secret"), ("Keep-Alive", "timeout=5"),
                                      ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic c2VjcmV0"), ("TE", "trailers"),
                                      ("X-Stays", "yes")]))
        names = {name.lower() for name, _ in self.up.seen.headers}
        self.assertEqual(names & {"x-hop", "x-other", "keep-alive", "proxy-connection", "proxy-authorization", "te"}, set())
        self.assertEqual(self.up.seen.all("x-stays"), ["yes"])

    def test_hop_by_hop_fields_of_an_answer_stop_at_the_proxy(self):
        self.start(lambda peer, seen: peer.answer(200, b"x", [("Connection", "X-Hop, keep-alive"), ("X-Hop", "s"), ("Keep-Alive", "timeout=5"), ("X-Stays", "yes")]))
        got = self.is_200(self.ask(), b"x")
        self.assertEqual([got.all(n) for n in ("x-hop", "keep-alive", "x-stays")], [[], [], ["yes"]])

    def test_a_connection_field_cannot_take_away_what_the_proxy_needs(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body))
        for nominated in ("authorization", "content-length", "host", "transfer-encoding", "content-length, authorization, host"):
            with self.subTest(nominated=nominated):
                self.up.forget()
                self.is_200(self.ask(headers=[("Connection", nominated)], body=b"hello"), b"hello")
                self.assertEqual(self.up.seen.token, self.TOKEN)
                self.assertEqual(self.up.seen.all("host"), [f"127.0.0.1:{self.up.port}"])

    def test_the_target_passes_unchanged(self):
        self.start()
        for target in ("/gemini/v1beta/models/system.ai.gemini-3-1-pro:countTokens?alt=sse&x=%20%2B+y", "/anthropic/v1/messages?beta=true&beta=",
                       "/openai/v1/responses/resp_1?include[]=a&include[]=b", "/anthropic/v1/models/a%20b", "/anthropic/v1/models/%C3%A4?q=%C3%A4",
                       "/anthropic/v1/messages?a=/../b", "/anthropic/v1/models/a.b..c", "/anthropic/v1/models/~x@y,z;p=1"):
            with self.subTest(target=target):
                self.up.forget()
                self.is_200(self.ask("GET", target))
                self.assertEqual(self.up.seen.target, target)


if __name__ == "__main__":
    main()
