"""The proxy as a relay of streams: events at once, both ways at once, broken ends, bodies of any size in little memory."""

import hashlib
import threading
import time

from harness import main
from proxy_harness import DIALECT_PATHS, MESSAGES, ProxyTest
from raw_http import CRLF, LIMIT, SOON, Ended, Step, read_chunk, read_sized, request_bytes, wait_for

BODY = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"stream":true,"messages":[]}'
EVENTS = [b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n", b": ping\n\n",
          b"event: content_block_delta\r\ndata: {\"delta\":{\"text\":\"\xc3\xa4\"}}\r\n\r\n",
          b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"]


def patterned(size):
    """Bytes in which a lost, doubled or moved block shows."""
    block = b"".join(b"%08x" % n for n in range(8192))
    return (block * (size // len(block) + 1))[:size]


class Streams(ProxyTest):
    def test_every_event_leaves_before_the_upstream_sends_the_next(self):
        got = [Step() for _ in EVENTS]

        def answer(peer, seen):
            peer.stream()
            for event, step in zip(EVENTS, got):
                peer.chunk(event)
                step.wait("the client did not get the event")
            peer.end()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        head = c.head()
        self.assertEqual(head.status, 200)
        self.assertEqual(head.one("content-type"), "text/event-stream")
        for event, step in zip(EVENTS, got):
            data = b""
            while len(data) < len(event):
                data += read_chunk(c)
            self.assertEqual(data, event)
            step.go()
        self.assertEqual(read_chunk(c), b"")
        self.assertEqual(self.up.problems, [])

    def test_an_answers_header_leaves_before_its_first_event(self):
        seen_head = Step()

        def answer(peer, seen):
            peer.stream()
            seen_head.wait("the header was held back")
            peer.chunk(EVENTS[0])
            peer.end()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        self.assertEqual(c.head().status, 200)
        seen_head.go()
        self.assertEqual(read_chunk(c), EVENTS[0])

    def test_events_cut_into_single_bytes_arrive_whole(self):
        text = b"".join(EVENTS)

        def answer(peer, seen):
            for byte in (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                         + b"".join(b"1\r\n%c\r\n" % b for b in text) + b"0\r\n\r\n"):
                peer.send(bytes([byte]))

        self.start(answer)
        self.is_200(self.ask(body=BODY), text)

    def test_the_request_is_streamed_while_it_is_being_sent(self):
        first = Step()

        def answer(peer, seen):
            data = peer.take(5)
            first.go()
            data += peer.take(5)
            peer.answer(200, data)

        self.start(answer, read_body=False)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", "10")]) + b"hello")
        first.wait("the upstream got nothing of the body before its end")
        c.send(b"world")
        self.is_200(c.answer(), b"helloworld")

    def test_an_answer_may_begin_while_the_request_is_still_running(self):
        """Full duplex: neither way waits for the other."""

        def answer(peer, seen):
            peer.stream()
            while data := read_chunk(peer):
                peer.chunk(data.upper())
            peer.until(CRLF)
            peer.end()

        self.start(answer, read_body=False)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked")]))
        for number, word in enumerate((b"one", b"two", b"three")):
            c.send(b"%x\r\n%s\r\n" % (len(word), word))
            if number == 0:
                self.assertEqual(c.head().status, 200)
            self.assertEqual(read_chunk(c), word.upper())
        c.send(b"0\r\n\r\n")
        self.assertEqual(read_chunk(c), b"")

    def left(self, leave, answering):
        """The client leaves: how long until the upstream sees it."""
        ready, gone = Step(), Step()

        def answer(peer, seen):
            if answering:
                peer.stream()
                peer.chunk(EVENTS[0])
            ready.go()
            self.how = peer.gone()
            self.after = time.monotonic()
            gone.go()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        ready.wait()
        if answering:
            c.head()
            read_chunk(c)
        left_at = time.monotonic()
        leave(c)
        gone.wait("the upstream never heard that the client left")
        self.assertIsNotNone(self.how)
        self.assertLess(self.after - left_at, SOON)
        self.up.answer = lambda peer, seen: peer.answer()
        self.is_200(self.ask())

    def test_a_client_that_closes_in_mid_stream_ends_the_upstream_request_at_once(self):
        self.left(lambda c: c.close(), answering=True)

    def test_a_client_that_resets_in_mid_stream_ends_the_upstream_request_at_once(self):
        self.left(lambda c: c.reset(), answering=True)

    def test_a_client_that_closes_while_it_waits_ends_the_upstream_request_at_once(self):
        self.left(lambda c: c.close(), answering=False)

    def test_a_client_that_resets_while_it_waits_ends_the_upstream_request_at_once(self):
        self.left(lambda c: c.reset(), answering=False)

    def test_a_client_that_leaves_in_mid_upload_ends_the_upstream_request(self):
        done = Step()

        def answer(peer, seen):
            try:
                peer.read_body(seen)
            except Ended as ended:
                self.how = ended.how
            done.go()
            raise Ended("eof")

        self.start(answer, read_body=False)
        for framing in ([("Content-Length", "1000")], [("Transfer-Encoding", "chunked")]):
            with self.subTest(framing=framing):
                done = Step()
                self.up.forget()
                c = self.client()
                c.send(self.bytes_of("POST", MESSAGES, framing) + b"5\r\nhello\r\n")
                wait_for(lambda: self.up.requests, "the request did not begin upstream")
                c.close()
                done.wait("the upstream waits for ever")
                self.assertFalse(self.up.seen.complete, "half a request must not look like a whole one")

    def broken(self, answer, wanted=None):
        """An upstream that breaks: the client gets what came, then a broken connection."""
        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        got = c.answer()
        self.assertEqual(got.status, 200)
        self.assertFalse(got.complete, f"a clean end of a broken answer\n{got}")
        self.assertIn(got.how, ("eof", "reset"))
        raw = bytes(c.raw)
        self.assertNotIn(b"\r\n0\r\n", raw, "a last chunk was made up")
        self.assertNotIn(b"x-dbx-agents-error", raw.lower())
        if wanted is not None:
            self.assertIn(wanted, raw, "bytes that had come are lost")
        self.up.answer = lambda peer, seen: peer.answer()
        self.is_200(self.ask())
        return got

    def test_an_upstream_that_closes_in_mid_stream_breaks_the_client(self):
        def answer(peer, seen):
            peer.stream()
            peer.chunk(EVENTS[0])
            peer.close()

        self.broken(answer, EVENTS[0])

    def test_an_upstream_that_closes_inside_a_chunk_breaks_the_client(self):
        def answer(peer, seen):
            peer.stream()
            peer.send(b"40\r\nevent: message_start\n")
            peer.close()

        self.broken(answer)

    def test_an_upstream_that_closes_before_the_last_chunks_blank_line_breaks_the_client(self):
        def answer(peer, seen):
            peer.stream()
            peer.chunk(EVENTS[0])
            peer.send(b"0\r\n")
            peer.close()

        self.start(answer)
        got = self.ask(body=BODY)
        self.assertFalse(got.complete, f"the answer had no end\n{got}")

    def test_an_upstream_that_resets_in_mid_stream_breaks_the_client(self):
        got_it = Step()

        def answer(peer, seen):
            peer.stream()
            peer.chunk(EVENTS[0])
            got_it.wait()
            peer.reset()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        c.head()
        self.assertEqual(read_chunk(c), EVENTS[0])
        at = time.monotonic()
        got_it.go()
        data, how = c.rest()
        self.assertIn(how, ("eof", "reset"))
        self.assertEqual(data, b"", "nothing may follow the break")
        self.assertLess(time.monotonic() - at, SOON)

    def test_an_upstream_that_sends_less_than_its_content_length_breaks_the_client(self):
        def answer(peer, seen):
            peer.head(200, [("Content-Length", "1000")])
            peer.send(b"x" * 500)
            peer.close()

        self.start(answer)
        got = self.ask()
        self.assertFalse(got.complete, f"\n{got}")
        self.assertEqual(got.one("content-length"), "1000")

    def test_an_upstream_with_a_bad_chunk_size_breaks_the_client(self):
        for bad in (b"zz\r\n", b"-1\r\n", b"FFFFFFFFFFFFFFFFFF\r\n", b"5\r\nhelloX\r\n"):
            with self.subTest(bad=bad):
                def answer(peer, seen, bad=bad):
                    peer.stream()
                    peer.chunk(EVENTS[0])
                    peer.send(bad + b"tail" * 50)
                    peer.gone(3)

                self.start(answer)
                got = self.ask(body=BODY)
                self.assertFalse(got.complete, f"\n{got}")

    def test_an_until_close_answer_that_is_reset_breaks_the_client(self):
        got_it = Step()

        def answer(peer, seen):
            peer.head(200, [("Content-Type", "text/event-stream")])
            peer.send(EVENTS[0])
            got_it.wait()
            peer.reset()

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        head = c.head()
        if head.all("transfer-encoding"):
            read_chunk(c)
            got_it.go()
            self.assertEqual(c.rest()[0], b"", "a clean end of a broken answer")
        else:
            c.take(len(EVENTS[0]))
            got_it.go()
            self.assertEqual(c.rest()[1], "reset", "only a reset tells that an until-close answer is broken")

    def test_an_upstream_that_never_answers_gives_an_error_in_dialect(self):
        for dialect, (method, path, body) in DIALECT_PATHS.items():
            with self.subTest(dialect=dialect):
                self.start(lambda peer, seen: peer.close())
                self.is_ours(self.ask(method, path, body=body), 502, 504, dialect=dialect)
                self.assertLessEqual(len(self.up.requests), 2)


class Bodies(ProxyTest):
    def echo_size(self, peer, seen):
        peer.answer(200, f"{seen.content.size} {seen.content.digest}".encode())

    def test_a_body_of_64_mb_passes_and_is_never_held_whole(self):
        self.start(self.echo_size)
        before = self.p.memory_kib("VmHWM")
        size, block = 64 << 20, patterned(1 << 20)
        digest = hashlib.sha256()
        c = self.client()
        c.limit = 60
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", size)]))
        for _ in range(64):
            c.send(block)
            digest.update(block)
        self.is_200(c.answer(), f"{size} {digest.hexdigest()}".encode())
        grown = self.p.memory_kib("VmHWM") - before
        self.assertLess(grown, 24 << 10, f"the proxy grew by {grown} KiB")

    def test_an_answer_of_64_mb_passes_and_is_never_held_whole(self):
        block = patterned(1 << 20)
        for framing in ("length", "chunked"):
            with self.subTest(framing=framing):
                def answer(peer, seen, framing=framing):
                    if framing == "length":
                        peer.head(200, [("Content-Length", 64 << 20)])
                    else:
                        peer.stream()
                    for _ in range(64):
                        peer.send(block) if framing == "length" else peer.chunk(block)
                    if framing == "chunked":
                        peer.end()

                self.start(answer)
                before = self.p.memory_kib("VmHWM")
                c = self.client()
                c.limit = 60
                c.send(self.bytes_of("POST", MESSAGES, body=BODY))
                got = self.is_200(c.answer())
                self.assertEqual((got.content.size, got.content.digest),
                                 (64 << 20, hashlib.sha256(block * 64).hexdigest()))
                self.assertLess(self.p.memory_kib("VmHWM") - before, 24 << 10)

    def test_a_reader_that_stands_still_holds_the_upstream_back(self):
        sent, block = [0], b"x" * 65536
        full = Step()

        def answer(peer, seen):
            peer.head(200, [("Content-Length", 256 << 20)])
            peer.sock.settimeout(1)
            try:
                while sent[0] < 256 << 20:
                    sent[0] += peer.sock.send(block)
            except OSError:
                pass
            full.go()

        self.start()
        self.is_200(self.ask())
        self.up.answer = answer
        before = self.p.memory_kib()
        c = self.client(receive_buffer=65536)
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        c.head()
        full.wait("the upstream could send on and on", LIMIT * 3)
        self.assertLess(sent[0], 64 << 20, "nothing held the upstream back")
        self.assertLess(self.p.memory_kib() - before, 2 << 10, "what was not read is kept in the proxy")

    def test_an_upstream_that_does_not_read_holds_the_client_back(self):
        release = Step()

        def answer(peer, seen):
            release.wait()
            peer.read_body(seen)
            self.echo_size(peer, seen)

        self.start(answer, read_body=False)
        before = self.p.memory_kib()
        c = self.client()
        size, sent, block = 128 << 20, 0, b"x" * 65536
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", size)]))
        c.sock.settimeout(1)
        with self.assertRaises(OSError):
            while sent < size:
                sent += c.sock.send(block)
        self.assertLess(sent, 64 << 20, "nothing held the client back")
        self.assertLess(self.p.memory_kib() - before, 12 << 10, "the body piles up in the proxy")
        c.sock.settimeout(60)
        release.go()
        while sent < size:
            sent += c.sock.send(block[:size - sent])
        self.is_200(c.answer())

    def test_a_chunked_upload_arrives_byte_for_byte(self):
        self.start(self.echo_size)
        data = patterned(300_000)
        parts, at, size = [], 0, 1
        while at < len(data):
            parts.append(data[at:at + size])
            at, size = at + size, size * 3 % 40_009 + 1
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked")]))
        for part in parts:
            c.send(b"%X;note=\"a b\"\r\n%s\r\n" % (len(part), part))
        c.send(b"0\r\n\r\n")
        self.is_200(c.answer(), f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode())

    def test_a_request_sent_byte_by_byte_arrives_whole(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body))
        c = self.client()
        for byte in self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked")], b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"):
            c.send(bytes([byte]))
        self.is_200(c.answer(), b"abcde")

    def test_expect_100_continue_gets_its_continue_before_the_body(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body))
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", "5"), ("Expect", "100-continue")]))
        self.assertEqual(c.head().status, 100, "a client with Expect waits for this")
        c.send(b"hello")
        got = c.head()
        self.assertEqual(got.status, 200, "one 100 Continue is enough")
        self.assertEqual(c.body(got).body, b"hello")
        self.is_200(self.ask(client=c))

    def test_expect_100_continue_without_a_key_is_refused_without_a_continue(self):
        self.start()
        c = self.client()
        c.send(request_bytes("POST", MESSAGES, [("Content-Length", "5"), ("Expect", "100-continue")],
                             host=f"127.0.0.1:{self.p.port}"))
        self.assertEqual(c.head().status, 401)
        self.no_upstream_request()

    def test_trailers_of_a_request_do_no_harm(self):
        self.start(lambda peer, seen: peer.answer(200, seen.body))
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")],
                             b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nAuthorization: Bearer stolen\r\n\r\n"))
        self.is_200(c.answer(), b"hello")
        self.is_200(self.ask(client=c))
        self.assertNotIn(b"stolen", self.up.bytes())

    def test_trailers_of_an_answer_do_no_harm(self):
        def answer(peer, seen):
            peer.stream([("Trailer", "X-Sum")])
            peer.chunk(b"hello")
            peer.end([("X-Sum", "1"), ("X-Other", "a b")])

        self.start(answer)
        c = self.client()
        self.is_200(self.ask(client=c), b"hello")
        self.is_200(self.ask(client=c), b"hello")

    def test_an_early_413_reaches_a_client_that_is_still_uploading(self):
        def answer(peer, seen):
            peer.answer(413, b'{"error":"too large"}', [("Connection", "close")])
            peer.finish()
            peer.gone(20)
            peer.close()

        self.start(answer, read_body=False)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", 30 << 20)]))
        block = b"x" * 65536
        sender = threading.Thread(target=lambda: [c.send_quietly(block) for _ in range(480)], daemon=True)
        at = time.monotonic()
        sender.start()
        got = c.head()
        self.assertEqual(got.status, 413)
        self.assertLess(time.monotonic() - at, SOON)
        self.assertEqual(c.body(got).body, b'{"error":"too large"}')
        self.assertIsNone(got.ours)
        c.gone()
        sender.join(LIMIT)

    def test_an_early_413_of_an_upstream_that_resets_afterwards_is_still_passed_on(self):
        """Many servers close without reading the rest: the reset follows the answer closely."""
        good = 0
        for _ in range(10):
            def answer(peer, seen):
                read_sized(peer, 100_000, seen.content)
                peer.answer(413, b'{"error":"too large"}', [("Connection", "close")])
                peer.finish()
                peer.sock.settimeout(0.2)
                try:
                    peer.sock.recv(1)
                except OSError:
                    pass
                peer.close()  # with unread bytes: a reset

            if not hasattr(self, "p"):
                self.start(answer, read_body=False)
            c = self.client()
            c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", 8 << 20)]))
            threading.Thread(target=lambda c=c: [c.send_quietly(b"x" * 65536) for _ in range(128)], daemon=True).start()
            try:
                good += c.head().status == 413
            except (Ended, TimeoutError):
                pass
        self.assertGreaterEqual(good, 9)


if __name__ == "__main__":
    main()
