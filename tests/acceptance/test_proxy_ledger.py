"""The books of the real proxy: every accepted request is one row, with the upstream's counts to the token, in the database before the client
has its last byte; also when everything goes wrong, and after kill -9. And limits that hold, then refuse in the caller's words.

DBX_SEED chooses other random requests."""

import collections
import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import threading
import time

import ledger_answers as answers
from harness import main
from proxy_harness import MESSAGES, ProxyTest, scratch_folder
from raw_http import LIMIT, Ended, Step, read_chunk, wait_for

PRICE = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75, "cache_write_1h": 6.0}
TARGETS = {"messages": ("claude", "/anthropic/v1/messages"), "responses": ("codex", "/openai/v1/responses"), "chat": ("codex", "/mlflow/v1/chat/completions"),
           "gemini": ("gemini", "/gemini/v1beta/models/{name}:{action}")}
GONE = (Ended, TimeoutError, OSError)


def body_of(name, **more):
    return json.dumps({"model": name, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}], **more}).encode()


class Book:
    """A reader of the ledger, as any other program would be one."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=LIMIT, check_same_thread=False)
        self.db.row_factory = sqlite3.Row

    def rows(self, where="1", *values):
        return [dict(row) for row in self.db.execute(f"SELECT * FROM requests WHERE {where}", values)]

    def of(self, name):
        return self.rows("model_asked = ? OR upstream_request_id = ?", name, name)

    def count(self):
        return self.db.execute("SELECT count(*) FROM requests").fetchone()[0]


class LedgerTest(ProxyTest):
    def setUp(self):
        super().setUp()
        self.folder = scratch_folder(self)
        self.path = self.folder / "usage.db"

    def with_ledger(self, answer, *args, config="", **kwargs):
        if config:
            (self.folder / "config" / "dbx-agents").mkdir(parents=True, exist_ok=True)
            (self.folder / "config" / "dbx-agents" / "config.toml").write_text(config)
            kwargs["env"] = {"XDG_CONFIG_HOME": self.folder / "config"}
        if getattr(self, "up", None) is None:
            self.up = self.upstream(answer)
        else:
            self.up.answer = answer
        self.p = self.proxy("--ledger", self.path, *args, **kwargs)
        return self.p

    def book(self):
        book = Book(self.path)
        self.addCleanup(book.db.close)
        return book

    def status(self):
        return self.ask("GET", "/status").json

    def limit(self, name):
        return next(one for one in self.status()["limits"] if one["limit"] == name)

    def waiting(self, name, count):
        wait_for(lambda: self.limit(name)["waiting"] == count, lambda: f"not {count} wait: {self.status()['limits']}")

    def one_row(self, book, name):
        rows = book.of(name)
        self.assertEqual(len(rows), 1, f"rows of {name}: {rows}")
        return rows[0]


# --- one row, to the token -------------------------------------------------------------------------------------------


class Case:
    """One request, what the upstream answers to it, and what the ledger must say."""

    KINDS = {"whole": 6, "stream": 8, "failed": 2, "error": 2, "cut early": 2, "cut late": 2, "client leaves": 2, "silent": 1, "count_tokens": 1, "models": 1,
             "head": 1, "retrieve": 1}

    def __init__(self, r, number):
        self.r, self.kind = r, r.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        self.name = f"{r.choice('pu')}-{number}"
        self.dialect = r.choice(list(TARGETS))
        if self.kind == "cut late":
            self.dialect = r.choice(["messages", "chat"])
        elif self.kind == "count_tokens":
            self.dialect = r.choice(["messages", "gemini"])
        elif self.kind in ("models", "head", "retrieve"):
            self.dialect = "responses"
        self.told = answers.Told(r, self.dialect)
        self.agent, self.target = TARGETS[self.dialect]
        self.method, self.body = "POST", body_of(self.name, stream=True, padding="x" * r.choice([0, 0, 0, 0, 1_500, 70_000, 900_000]))
        self.chunked = r.random() < 0.2
        self.status, self.error, self.partial, self.columns = 200, None, 0, {}
        self.headers, self.data, self.broken = [], b"", False
        self.ready = threading.Event()  # of one whose client leaves: everything was sent
        getattr(self, "make_" + self.kind.replace(" ", "_"))()
        action = "countTokens" if self.kind == "count_tokens" else r.choice(["generateContent", "streamGenerateContent"])
        self.target = self.target.format(name=self.name, action=action) + r.choice(["", "?alt=sse"])
        self.framing = "chunked" if self.broken else r.choice(["chunked", "chunked", "length", "close"])
        if self.data and self.kind not in ("cut early", "cut late", "client leaves") and r.random() < 0.25:
            self.headers.append(("Content-Encoding", "gzip"))
            self.data = answers.compressed(self.data)
        self.pieces = list(answers.pieces(r, self.data))

    def type(self, word):
        self.headers = [("Content-Type", word)]

    def make_whole(self):
        self.type("application/json")
        self.data, self.columns = answers.body(self.r, self.told, self.name), self.told.columns()

    def make_stream(self):
        self.type("text/event-stream")
        self.data, self.columns = answers.stream(self.r, self.told, self.name), self.told.columns()

    def make_failed(self):
        self.type("text/event-stream")
        self.data, self.error = answers.failed_stream(self.r, self.told, self.name)
        self.columns, self.partial = None, int(self.dialect == "messages")  # of the part before the error: there output is a placeholder

    def make_error(self):
        self.type("application/json")
        self.status = self.r.choice([400, 403, 404, 413, 429, 500, 503, 529])
        self.data, self.error = json.dumps(answers.error_body(self.dialect, self.status)).encode(), ""

    def make_cut_early(self):
        self.type("text/event-stream")
        self.data, self.broken, self.error = answers.stream(self.r, self.told, self.name, upto=""), True, "upstream_cut"
        self.partial, self.columns = 1, None

    def make_cut_late(self):
        self.make_cut_early()
        # The count of message_delta is the last; a chat's might have been followed by a greater one.
        self.data, self.partial = answers.stream(self.r, self.told, self.name, upto="count"), int(self.dialect == "chat")
        self.columns = self.told.columns()

    def make_client_leaves(self):
        self.make_cut_early()
        self.error = "client_gone"

    def make_silent(self):
        self.broken, self.status, self.error = True, 502, "upstream_closed"

    def make_count_tokens(self):
        self.type("application/json")
        if self.dialect == "messages":
            self.target += "/count_tokens"
        self.data = json.dumps({"input_tokens": 4_711} if self.dialect == "messages" else {"totalTokens": 4_711}).encode()

    def make_models(self):
        self.type("application/json")
        self.method, self.body, self.target = "GET", None, self.r.choice(["/openai/v1/models", "/openai/v1/models/x", "/gemini/v1beta/models"])
        self.data = b'{"object":"list","data":[{"id":"m","usage":{"input_tokens":9,"output_tokens":9}}]}'

    def make_head(self):
        self.method, self.body, self.target = "HEAD", None, "/anthropic"

    def make_retrieve(self):
        """An answer that is looked at again: its tokens were counted when it was made."""
        self.type("application/json")
        self.method, self.body, self.target = "GET", None, "/openai/v1/responses/resp_1"
        self.data = answers.body(self.r, self.told, self.name)

    def answer(self, peer):
        if self.kind == "silent":
            peer.reset()
            return
        headers = [*self.headers, ("x-request-id", self.name)]
        if self.kind == "head":
            peer.head(200, [*headers, ("Content-Length", 77)])
            return
        framing = self.framing
        headers += {"chunked": [("Transfer-Encoding", "chunked")], "length": [("Content-Length", len(self.data))], "close": [("Connection", "close")]}[framing]
        peer.head(self.status, headers)
        for piece in self.pieces:
            peer.chunk(piece) if framing == "chunked" else peer.send(piece)
        if self.kind == "client leaves":
            peer.gone()
        elif self.broken:
            peer.close()
        elif framing == "chunked":
            peer.end()
        elif framing == "close":
            peer.close()


class ToTheToken(LedgerTest):
    def ask_case(self, worker, case, book):
        if worker.get("client") is None:
            worker["client"] = self.client()
        client = worker["client"]
        headers, body = [("x-case", case.name)], case.body
        if body and case.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in answers.pieces(case.r, body)) + b"0\r\n\r\n"
        client.send(self.bytes_of(case.method, case.target, headers, body, agent=case.agent))
        if case.kind == "client leaves":
            head = client.head()
            self.assertEqual(head.status, 200)
            got = 0
            while got < len(case.data):
                got += len(read_chunk(client))
            client.close()
            worker["client"] = None
            wait_for(lambda: book.of(case.name), f"no row of {case.name}, whose client left")
            return
        answer = client.answer(case.method)
        rows = book.of(case.name)  # at once: it was committed before the last byte
        self.assertEqual(len(rows), 1, f"{case.kind} {case.dialect} {case.name}: rows {rows} after\n{answer}")
        self.assertEqual(answer.status, case.status, f"{case.kind}\n{answer}")
        self.assertEqual(answer.complete, not case.broken or case.kind == "silent", f"{case.kind}\n{answer}")
        if case.kind not in ("silent", "head"):
            self.assertEqual(answer.body, case.data, f"{case.kind}: the body passes unchanged")
        if not answer.complete or answer.how or any("close" in value.lower() for value in answer.all("connection")):
            client.close()
            worker["client"] = None

    def judge_row(self, case, row):
        what = f"{case.kind} {case.dialect} {case.target} {case.headers} {case.framing}: {row}"
        self.assertEqual(row["agent"], case.agent, what)
        self.assertEqual(row["status"], case.status, what)
        self.assertEqual(row["partial"], case.partial, what)
        if case.error == "":
            self.assertTrue(row["error_class"] is None or re.fullmatch(r"[A-Za-z_]+", row["error_class"]), what)
        else:
            self.assertEqual(row["error_class"], case.error, what)
        got = {name: row[name] for name in answers.TOKENS if row[name] is not None}
        if case.columns is not None:
            self.assertEqual(got, case.columns, what)
        elif case.dialect == "messages":
            want = {**case.told.columns(), "output_tokens": got.get("output_tokens")}
            self.assertEqual(got, want, what)
            self.assertGreaterEqual(got["output_tokens"], 1, what)
        elif "input_tokens" in got:
            self.assertEqual((case.dialect, got["input_tokens"]), ("gemini", case.told.plain), what)
        if case.columns and case.name.startswith("p-"):
            self.assertAlmostEqual(row["cost_usd"], answers.cost(case.told, PRICE), 9, what)
            self.assertIn("config.toml", row["price"], what)
        elif case.name.startswith("u-"):
            self.assertIsNone(row["cost_usd"], what)
        if case.body:
            self.assertEqual(row["model_asked"], case.name, what)
        if case.kind not in ("silent", "head"):
            self.assertEqual(row["bytes_out"], len(case.data), what)
        self.assertEqual(row["bytes_in"], len(case.body or b""), what)

    def run_cases(self, seed, count, *args):
        r = random.Random(seed)
        cases = {}
        for number in range(count):
            case = Case(r, number)
            cases[case.name] = case
        price = "".join(f"{key} = {value}\n" for key, value in PRICE.items())
        self.with_ledger(lambda peer, seen: cases[seen.one("x-case")].answer(peer), *args, config=f'[[price]]\nmodel = "p-*"\n{price}')
        queue, problems, lock = collections.deque(cases.values()), [], threading.Lock()

        def work():
            worker, book = {}, Book(self.path)
            try:
                while not problems:
                    with lock:
                        if not queue:
                            return
                        case = queue.popleft()
                    self.ask_case(worker, case, book)
            except BaseException as error:  # noqa: BLE001 told by the test's own thread
                problems.append(f"{type(error).__name__}: {error} ({case.kind} {case.dialect} {case.framing} {case.headers})")
            finally:
                book.db.close()
                if worker.get("client"):
                    worker["client"].close()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [], f"seed {seed}\n{self.p.err[-2000:]}")
        self.assertEqual(self.up.problems, [], f"seed {seed}")
        book = self.book()
        rows = {}
        for row in book.rows():
            name = row["model_asked"] or row["upstream_request_id"]
            self.assertNotIn(name, rows, f"seed {seed}: a second row")
            rows[name] = row
        self.assertEqual(set(rows), set(cases), f"seed {seed}")
        for name, case in cases.items():
            self.judge_row(case, rows[name])
        # The sums, as a report makes them: exactly what the upstream told for answers that were whole.
        whole = [case for case in cases.values() if case.columns]
        names = ",".join(f"'{case.name}'" for case in whole)
        for column in answers.TOKENS:
            told = sum(case.columns.get(column, 0) for case in whole)
            self.assertEqual(book.db.execute(f"SELECT total({column}) FROM requests WHERE model_asked IN ({names})").fetchone()[0], told, column)
        self.assertEqual(book.count(), self.status()["accepted"])

    def test_sums_and_rows_are_the_upstreams(self):
        self.run_cases(int(os.environ.get("DBX_SEED", "1")), 260)

    def test_also_behind_limits_and_with_lines(self):
        self.run_cases(int(os.environ.get("DBX_SEED", "2")) + 1_000, 200, "--rpm", "100000", "--tpm", "1000000000", "--max-concurrent", "3")

    def test_what_is_not_accepted_makes_no_row(self):
        self.with_ledger(lambda peer, seen: peer.answer())
        for data in (self.bytes_of("POST", MESSAGES, body=body_of("m"), host="evil.example"), self.bytes_of("POST", "/nowhere", body=body_of("m")),
                     self.bytes_of("POST", MESSAGES, [("Origin", "https://evil.example")], body_of("m")),
                     self.bytes_of("POST", "/api/2.0/otel/v1/logs", [("Content-Type", "application/json")], b"{}"), self.bytes_of("GET", "/healthz"), self.bytes_of("GET", "/status"),
                     self.bytes_of("GET", "/metrics")):
            client = self.client()
            client.send(data)
            client.answer()
            client.close()
        wrong = self.client()
        wrong.send(self.bytes_of("POST", MESSAGES, body=body_of("m")).replace(self.key.encode(), b"x" * len(self.key)))
        self.assertEqual(wrong.answer().status, 401)
        self.is_200(self.ask(body=body_of("last")))
        self.assertEqual([row["model_asked"] for row in self.book().rows()], ["last"])

    def test_a_refusal_by_a_limit_and_an_upstream_that_is_not_there_are_rows(self):
        self.with_ledger(lambda peer, seen: peer.answer(), "--rpm", "1", "--hold", "0")
        self.is_200(self.ask(body=body_of("first")))
        refused = self.ask(body=body_of("second"))
        row = self.one_row(self.book(), "second")
        self.assertEqual((refused.status, row["status"], row["error_class"], row["limit_hit"]), (429, 429, "limit", refused.one("x-dbx-agents-limit")))
        self.assertEqual([row[name] for name in answers.TOKENS], [None] * len(answers.TOKENS))
        self.p.stop()
        self.up.close()
        self.p = self.proxy("--ledger", self.path)
        answer = self.is_ours(self.ask(body=body_of("third")), 502)
        row = self.one_row(self.book(), "third")
        self.assertEqual((row["status"], row["error_class"]), (502, answer.ours.replace("-", "_")))


# --- kill -9 ---------------------------------------------------------------------------------------------------------


class Killed(LedgerTest):
    def test_what_a_client_saw_whole_is_in_the_ledger_once_after_any_kill(self):
        r = random.Random(int(os.environ.get("DBX_SEED", "3")))
        seed, number, lock = r.random(), [0], threading.Lock()
        whole, heard, stuck = set(), set(), set()

        def answer(peer, seen):
            name = json.loads(seen.body)["model"]
            one = random.Random(f"{seed} {name}")
            with lock:
                heard.add(name)
            told = answers.Told(one, "messages")
            peer.stream()
            whole_stream = answers.stream(one, told, name)
            parts = list(answers.pieces(one, whole_stream)) if one.random() < 0.2 else [whole_stream[:99], whole_stream[99:]]
            for part in parts[:-1]:
                peer.chunk(part)
            if one.random() < 0.03:
                with lock:
                    stuck.add(name)
                peer.gone()
                return
            peer.chunk(parts[-1])
            peer.end()

        def load(stop):
            client = None
            while not stop.is_set():
                with lock:
                    number[0] += 1
                    name = f"k-{number[0]}"
                try:
                    client = client or self.client()
                    client.send(self.bytes_of("POST", MESSAGES, body=body_of(name)))
                    if client.answer("POST").complete:
                        with lock:
                            whole.add(name)
                except GONE:
                    return
                except AssertionError:
                    return

        for _ in range(6):
            self.with_ledger(answer)
            stop = threading.Event()
            threads = [threading.Thread(target=load, args=(stop,)) for _ in range(8)]
            hung = len(stuck)
            goal = len(whole) + r.randrange(20, 300)
            for thread in threads:
                thread.start()
            wait_for(lambda: len(whole) >= goal or len(stuck) - hung >= 6, lambda: f"no load: {len(whole)} answers of {goal}", LIMIT * 3)
            self.p.kill()
            stop.set()
            for peer in list(self.up.connections):
                peer.reset()
            for thread in threads:
                thread.join(LIMIT)
                self.assertFalse(thread.is_alive())
        self.with_ledger(answer)
        book = self.book()
        rows = collections.Counter(row["model_asked"] for row in book.rows())
        killed = {row["model_asked"] for row in book.rows("error_class = 'killed'")}
        rows.pop("", None)  # killed before the model was known
        self.assertEqual({name: count for name, count in rows.items() if count > 1}, {}, "rows that are there twice")
        self.assertEqual(whole - set(rows), set(), "answers that a client saw whole, and that are not in the ledger")
        self.assertEqual(heard - set(rows), set(), "requests that the upstream got, and that are not in the ledger")
        self.assertEqual(killed & whole, set(), "answers that a client saw whole are not killed ones")
        self.assertLessEqual(stuck, killed, "what was in flight is marked")
        self.assertEqual(book.rows("error_class = 'killed' AND partial = 0"), [])
        for row in book.rows("error_class IS NULL"):
            one = random.Random(f"{seed} {row['model_asked']}")
            self.assertEqual({name: row[name] for name in answers.TOKENS if row[name] is not None}, answers.Told(one, "messages").columns())
        self.assertEqual(book.db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertGreater(len(whole), 50)


# --- limits ----------------------------------------------------------------------------------------------------------


class Limits(LedgerTest):
    def in_thread(self, *args, **kwargs):
        """A request of a thread; call the result for the answer."""
        got = {}

        def work():
            try:
                got["answer"] = self.ask(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 told by the test's own thread
                got["error"] = error

        thread = threading.Thread(target=work)
        thread.start()

        def result():
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive(), "no answer")
            if "error" in got:
                raise got["error"]
            return got["answer"]

        return result

    def test_whoever_goes_at_once_is_read_to_the_end_and_seen_to_leave(self):
        """Behind a limit the model is read first; the rest of the body, and the client's end, come after it has gone."""
        gate, gone = Step(), Step()

        def answer(peer, seen):
            if b'"stays"' in seen.body[:40]:
                gate.go()
                if peer.gone():
                    gone.go()
            else:
                peer.answer(200, str(seen.content.size).encode())

        self.with_ledger(answer, "--rpm", "1000")
        self.is_200(self.ask(body=body_of("first")))  # now the upstream's connection is there
        long = body_of("long", padding="x" * 900_000)
        self.is_200(self.ask(body=long), str(len(long)).encode())
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (long[:50], long[50:])) + b"0\r\n\r\n"
        self.is_200(self.ask(headers=[("Transfer-Encoding", "chunked")], body=pieces), str(len(long)).encode())
        leaver = self.client()
        leaver.send(self.bytes_of("POST", MESSAGES, body=body_of("stays")))
        gate.wait()
        leaver.close()
        gone.wait("the upstream is not left when the client has left")
        book = self.book()
        wait_for(lambda: book.of("stays"), "the one that left has no row")

    def test_requests_over_the_rate_wait_and_then_go(self):
        """In no 60 seconds more than the number: the one too many goes when the first is a minute old, and says so before."""
        self.with_ledger(lambda peer, seen: peer.answer(), "--rpm", "20", "--hold", "120")
        client = self.client()
        began = time.monotonic()
        for number in range(20):
            self.is_200(self.ask(body=body_of(f"r-{number}"), client=client))
        self.assertLess(time.monotonic() - began, 30, "the first minute's requests go at once")
        late = self.client()
        late.send(self.bytes_of("POST", MESSAGES, body=body_of("late")))
        name = self.status()["limits"][0]["limit"]
        self.waiting(name, 1)
        frees = self.limit(name)["frees_in_ms"] / 1000
        self.assertAlmostEqual(time.monotonic() - began + frees, 60, delta=8)
        wait_for(lambda: len(self.up.requests) == 21, "it does not go", 90)
        self.is_200(late.answer("POST"))
        took = time.monotonic() - began
        self.assertGreaterEqual(took, 59.9, "more went than the rate allows")
        self.assertEqual([row["model_asked"] for row in self.book().rows("queued_ms > 0")], ["late"])
        row = self.one_row(self.book(), "late")
        self.assertEqual((row["limit_hit"], row["status"], row["error_class"]), (name, 200, None))
        self.assertEqual(len(self.up.requests), 21)

    def test_those_who_wait_go_in_their_order(self):
        gates = {f"w-{n}": Step() for n in range(4)}
        self.with_ledger(lambda peer, seen: (gates[json.loads(seen.body)["model"]].wait(), peer.answer()), "--max-concurrent", "1", "--hold", "60")
        results = [self.in_thread(body=body_of("w-0"))]
        wait_for(lambda: self.up.requests)
        name = self.status()["limits"][0]["limit"]
        for n in range(1, 4):
            results.append(self.in_thread(body=body_of(f"w-{n}")))
            self.waiting(name, n)
        for n in range(4):
            wait_for(lambda: len(self.up.requests) == n + 1, f"{n} does not go")
            gates[f"w-{n}"].go()
            self.is_200(results[n]())
        self.assertEqual([json.loads(seen.body)["model"] for seen in self.up.requests], list(gates))
        level = self.limit(name)
        self.assertEqual((level["waiting"], level["held"], level["refused"], level["used"]), (0, 3, 0, 0))

    def test_a_client_that_leaves_leaves_the_line(self):
        gate = Step()
        self.with_ledger(lambda peer, seen: (b"first" not in seen.body or gate.wait(), peer.answer()), "--max-concurrent", "1", "--hold", "60")
        first = self.in_thread(body=body_of("first"))
        wait_for(lambda: self.up.requests)
        name = self.status()["limits"][0]["limit"]
        leaver = self.client()
        leaver.send(self.bytes_of("POST", MESSAGES, body=body_of("leaver")))
        self.waiting(name, 1)
        last = self.in_thread(body=body_of("last"))
        self.waiting(name, 2)
        leaver.close()
        self.waiting(name, 1)
        gate.go()
        self.is_200(first())
        self.is_200(last())
        book = self.book()
        self.assertEqual([json.loads(seen.body)["model"] for seen in self.up.requests], ["first", "last"])
        row = self.one_row(book, "leaver")
        self.assertEqual((row["status"], row["error_class"]), (0, "client_gone"))
        self.assertEqual(book.count(), 3)

    def test_a_hold_that_is_over_is_a_refusal(self):
        gate = Step()
        self.with_ledger(lambda peer, seen: (gate.wait(), peer.answer()), "--max-concurrent", "1", "--hold", "1")
        first = self.in_thread(body=body_of("first"))
        wait_for(lambda: self.up.requests)
        began = time.monotonic()
        refused = self.is_ours(self.ask(body=body_of("second")), 429, dialect="anthropic")
        self.assertGreaterEqual(time.monotonic() - began, 0.95)
        self.assertEqual(refused.ours, "over-limit")
        gate.go()
        self.is_200(first())
        row = self.one_row(self.book(), "second")
        self.assertEqual((row["error_class"], row["limit_hit"]), ("limit", refused.one("x-dbx-agents-limit")))
        self.assertGreaterEqual(row["queued_ms"], 950)

    def test_a_refusal_speaks_the_callers_dialect_and_some_requests_never_count(self):
        self.with_ledger(lambda peer, seen: peer.answer(), "--rpm", "1", "--hold", "0")
        gemini = "/gemini/v1beta/models/m:generateContent"
        for agent, target in (("claude", "/anthropic/v1/messages/count_tokens"), ("gemini", "/gemini/v1beta/models/m:countTokens")):
            for _ in range(3):
                self.is_200(self.ask(target=target, body=body_of("m"), agent=agent))
        self.is_200(self.ask(body=body_of("m")))
        for target, agent, dialect in ((MESSAGES, "claude", "anthropic"), ("/openai/v1/responses", "codex", "openai"),
                                       ("/mlflow/v1/chat/completions", "codex", "openai"), (gemini, "gemini", "gemini")):
            answer = self.is_ours(self.ask(target=target, body=body_of("m"), agent=agent), 429, dialect=dialect)
            self.assertEqual(answer.ours, "over-limit")
            seconds = int(answer.one("retry-after"))
            self.assertTrue(1 <= seconds <= 60, f"\n{answer}")
            self.assertIn(answer.one("x-dbx-agents-limit"), answer.json["error"]["message"])
            self.assertIn("--rpm", answer.json["error"]["message"], "it names the rule and where it stands")
            if dialect == "anthropic":
                self.assertEqual(answer.json["error"]["type"], "rate_limit_error")
            elif dialect == "openai":
                self.assertNotEqual(answer.json["error"]["type"], "usage_limit_reached", "a short wait is no end of the turn")
            else:
                self.assertEqual(answer.json["error"]["status"], "RESOURCE_EXHAUSTED")
                self.assertIn({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}, answer.json["error"]["details"])
        level = self.status()["limits"][0]
        self.assertEqual((level["refused"], level["waiting"], level["allowed"]), (4, 0, 1))
        self.assertGreater(level["frees_in_ms"], 0)
        for method, target in (("GET", "/openai/v1/models"), ("GET", "/healthz"), ("HEAD", "/anthropic"), ("POST", "/anthropic/v1/messages/count_tokens")):
            self.assertEqual(self.ask(method, target).status, 200, f"{method} {target}")

    def test_codex_waits_once_and_then_tells_our_words(self):
        """It shows the words of x-codex-promo-message, and only of an answer that ends the turn; older ones end it at any 429."""
        name = "fünf\r\nx-evil: 1"
        self.with_ledger(lambda peer, seen: peer.answer(), "--hold", "0",
                         config=f'[[proxy.limit]]\nname = {json.dumps(name)}\nconcurrent = 1\n')
        responses = "/openai/v1/responses"

        def ask(version, target=responses, agent="codex"):
            return self.ask(target=target, body=body_of("m"), agent=agent, headers=[("User-Agent", f"codex_exec/{version} (Debian 12.0.0; x86_64)")])

        def occupied():
            gate = Step()
            self.up.answer = lambda peer, seen: (gate.wait(), peer.answer())
            busy = self.in_thread(body=body_of("first"), target=responses, agent="codex")
            wait_for(lambda: self.status()["limits"][0]["used"] == 1)
            return lambda: (gate.go(), self.is_200(busy()))

        leave = occupied()
        waits = self.is_ours(ask("0.169.0"), 429, dialect="openai")
        self.assertEqual((waits.json["error"]["type"], waits.all("x-codex-promo-message")), ("rate_limit_error", []))
        self.assertGreaterEqual(int(waits.one("retry-after")), 1)
        told = self.is_ours(ask("0.169.0"), 429, dialect="openai")
        self.assertEqual(told.json["error"]["type"], "usage_limit_reached")
        self.assertAlmostEqual(told.json["error"]["resets_at"], time.time() + int(told.one("retry-after")), delta=5)
        words = told.one("x-codex-promo-message")
        self.assertTrue(words.startswith("The local proxy of dbx-agents holds you back: f"), words)
        self.assertIn("1 requests at a time (", words)
        self.assertIn("config.toml:2)", words)
        self.assertFalse(words.endswith("."), words)
        self.assertEqual((told.all("x-evil"), told.one("x-dbx-agents-limit")), ([], "f??nf??x-evil: 1"))
        leave()
        leave = occupied()  # one that went: it begins anew
        self.assertEqual(ask("0.159.1").json["error"]["type"], "rate_limit_error")
        leave()
        leave = occupied()
        self.assertEqual(ask("0.133.0").json["error"]["type"], "usage_limit_reached")
        for _ in range(2):
            other = ask("0.133.0", target="/mlflow/v1/chat/completions")
            self.assertEqual((other.json["error"]["type"], other.all("x-codex-promo-message")), ("rate_limit_error", []), "no other API's")
        leave()

    def test_a_budget_is_refused_for_good_and_survives_a_restart(self):
        told = answers.Told(random.Random(5), "responses")
        document = json.dumps(answers.document(told, "m")).encode()
        config = '[[proxy.budget]]\nname = "daily bread"\nagent = "codex"\ntokens_per_day = 1\n'
        self.with_ledger(lambda peer, seen: peer.answer(200, document), "--hold", "30", config=config)
        ask = lambda: self.ask(target="/openai/v1/responses", body=body_of("m"), agent="codex")
        self.is_200(ask())
        for _ in range(2):
            answer = self.is_ours(ask(), 429, dialect="openai")
            error = answer.json["error"]
            self.assertEqual((error["type"], answer.one("x-dbx-agents-limit")), ("usage_limit_reached", "daily bread"))
            self.assertTrue(time.time() < error["resets_at"] <= time.time() + 25 * 3600, error)
            self.assertIn("config.toml", error["message"])
            self.assertEqual(answer.one("x-codex-promo-message") + ".", error["message"])
            level = self.limit("daily bread")
            self.assertEqual(level["used"], told.plain + told.output)
            self.p.stop()
            self.with_ledger(self.up.answer, "--hold", "30", config=config)
        self.is_200(self.ask(body=body_of("m")))  # another agent's

    def test_a_configuration_read_again_forgets_nothing(self):
        """What went stays gone, what is under way is settled by the new rules, and who waits does so by them."""
        told = answers.Told(random.Random(7), "responses")
        document = json.dumps(answers.document(told, "m")).encode()
        gate = Step()
        rules = '[[proxy.limit]]\nname = "rate"\nrequests_per_minute = {}\n[[proxy.budget]]\nname = "bread"\ntokens_per_day = 1000000\n'
        self.with_ledger(lambda peer, seen: (b"slow" not in seen.body or gate.wait(), peer.answer(200, document)), "--hold", "60",
                         config=rules.format(2))
        ask = {"target": "/openai/v1/responses", "agent": "codex"}
        slow = self.in_thread(body=body_of("slow"), **ask)
        wait_for(lambda: self.up.requests)
        self.is_200(self.ask(body=body_of("m"), **ask))
        third = self.in_thread(body=body_of("m"), **ask)
        self.waiting("rate", 1)

        def read_again(number):
            (self.folder / "config/dbx-agents/config.toml").write_text(rules.format(number))
            self.p.signal(signal.SIGHUP)
            wait_for(lambda: self.limit("rate")["allowed"] == number)

        read_again(1)
        self.assertEqual(self.limit("rate")["used"], 2)
        self.waiting("rate", 1)
        read_again(3)
        self.is_200(third())
        self.assertEqual(self.limit("rate")["used"], 3)
        gate.go()
        self.is_200(slow())
        self.assertEqual(self.limit("bread")["used"], 3 * (told.plain + told.output))
        self.assertEqual(self.book().count(), 3)

    def test_a_429_of_the_upstream_is_the_upstreams(self):
        self.with_ledger(lambda peer, seen: peer.answer(429, b'{"type":"error","error":{"type":"rate_limit_error","message":"theirs"}}',
                                                        [("Retry-After", "7")]), "--rpm", "100")
        answer = self.ask(body=body_of("m"))
        self.assertEqual((answer.status, answer.ours, answer.all("x-dbx-agents-limit"), answer.one("retry-after")), (429, None, [], "7"))
        row = self.one_row(self.book(), "m")
        self.assertEqual((row["status"], row["error_class"], row["limit_hit"]), (429, "rate_limit_error", None))


if __name__ == "__main__":
    main()
