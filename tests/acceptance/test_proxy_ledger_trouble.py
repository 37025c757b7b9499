"""The ledger when others are at it: another writer's lock, two proxies, a newer version's file, a corrupt one, kill -9 between a budget and its
period's end. No request is lost, and none waits for the disk."""

import json
import sqlite3
import threading
import time

from harness import main
from raw_http import LIMIT, Step, wait_for
from test_proxy_ledger import LedgerTest, body_of

MODELS = "/openai/v1/models"


def used(plain, output):
    return json.dumps({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                       "usage": {"input_tokens": plain, "output_tokens": output}}).encode()


class Trouble(LedgerTest):
    def ledger(self):
        return self.status()["ledger"]

    def test_another_writer_holds_the_lock_for_seconds(self):
        self.with_ledger(lambda peer, seen: peer.answer(200, used(3, 4)))
        self.is_200(self.ask(body=body_of("before")))
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        names, client = [], self.client()
        while time.monotonic() - begun < 5:
            names.append(f"during-{len(names)}")
            self.is_200(self.ask(body=body_of(names[-1]), client=client))
            if len(names) == 40:
                self.assertEqual(self.ledger()["health"], "locked")
            time.sleep(0.02)
        self.assertGreater(len(names), 40, "requests waited for the lock again and again")
        self.assertEqual(self.ledger()["waiting"], len(names))
        other.execute("ROLLBACK")
        self.is_200(self.ask(body=body_of("after")))
        book = self.book()
        want = sorted(["before", *names, "after"])
        wait_for(lambda: book.count() == len(want), lambda: f"{book.count()} rows of {len(want)}: {self.ledger()}", LIMIT * 2)
        self.assertEqual(sorted(row["model_asked"] for row in book.rows()), want)
        wait_for(lambda: self.ledger()["health"] == "good", self.ledger)
        self.assertEqual((self.ledger()["waiting"], self.ledger()["lost"]), (0, 0))

    def test_two_proxies_of_two_threads_share_one_ledger(self):
        first = self.with_ledger(lambda peer, seen: peer.answer(200, used(3, 4)), "--threads", "2")
        second = self.with_ledger(self.up.answer, "--threads", "2")
        problems, names = [], [[] for _ in range(6)]

        def work(number):
            book = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=LIMIT)
            try:
                for i in range(60):
                    name = f"n-{number}-{i}"
                    answer = self.ask(body=body_of(name), proxy=(first, second)[number % 2])
                    rows = book.execute("SELECT count(*) FROM requests WHERE model_asked = ?", (name,)).fetchone()[0]
                    if answer.status != 200 or rows != 1:
                        problems.append(f"{name}: status {answer.status}, {rows} rows")
                    names[number].append(name)
            except BaseException as error:  # noqa: BLE001 told by the test's own thread
                problems.append(f"{type(error).__name__}: {error}")
            finally:
                book.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(names))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        book = self.book()
        self.assertEqual(sorted(row["model_asked"] for row in book.rows()), sorted(sum(names, [])))
        book.db.close()
        self.assertEqual(len(list(self.folder.glob("usage.db.flight-*"))), 2)
        for proxy in (first, second):
            self.assertEqual(proxy.stop(), 0)
        self.assertEqual(sorted(path.name for path in self.folder.glob("usage.db*")), ["usage.db"], "nothing is left beside it")

    def test_a_newer_versions_file_is_not_touched(self):
        self.with_ledger(lambda peer, seen: peer.answer(200, used(3, 4)))
        self.is_200(self.ask(body=body_of("old")))
        self.p.stop()
        with sqlite3.connect(self.path) as db:
            db.execute("PRAGMA user_version = 99")
            db.execute("ALTER TABLE requests ADD COLUMN mood TEXT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        before = self.path.read_bytes()
        self.with_ledger(self.up.answer)
        self.is_200(self.ask(body=body_of("new")))
        wait_for(lambda: self.ledger()["waiting"] == 1, self.ledger)
        self.assertEqual(self.ledger()["health"], "from a newer version")
        self.assertIn("schema 99", self.ledger()["why"])
        self.assertIn("schema 99", self.p.err)
        self.p.stop()
        self.assertEqual(self.path.read_bytes(), before)

    def test_a_corrupt_file_is_set_aside_with_its_bytes(self):
        self.path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
        before = self.path.read_bytes()
        self.with_ledger(lambda peer, seen: peer.answer(200, used(3, 4)))
        self.is_200(self.ask(body=body_of("m")))
        self.one_row(self.book(), "m")
        [aside] = self.folder.glob("usage.db.corrupt-*")
        self.assertEqual(aside.read_bytes(), before)
        self.assertEqual((self.ledger()["health"], self.ledger()["set_aside"]), ("good", str(aside)))
        self.assertIn("was set aside as", self.p.err)

    def test_budgets_of_weeks_and_months_hold_after_kill_9(self):
        config = """[[proxy.budget]]
name = "week's tokens"
model = "w-*"
tokens_per_week = 10

[[proxy.budget]]
name = "month's dollars"
model = "?-usd"
usd_per_month = 0.5

[[price]]
model = "d-*"
input = 100000
output = 100000
"""
        self.with_ledger(lambda peer, seen: peer.answer(200, used(6, 4)), "--hold", "0", config=config)
        for name in ("w-1", "d-usd", "n-usd", "n-usd"):
            self.is_200(self.ask(body=body_of(name)))
        for _ in range(2):
            for name, limit in (("w-2", "week's tokens"), ("d-usd", "month's dollars")):
                answer = self.is_ours(self.ask(body=body_of(name)), 429)
                self.assertEqual(answer.one("x-dbx-agents-limit"), limit)
                self.assertIn("config.toml:", answer.json["error"]["message"])
                self.assertGreater(int(answer.one("retry-after")), 0)
            self.is_200(self.ask(body=body_of("n-usd")))  # it has no price: no budget of dollars counts it
            self.assertEqual((self.limit("week's tokens")["used"], self.limit("month's dollars")["used"]), (10, 1))
            self.assertGreaterEqual(self.limit("month's dollars")["unpriced"], 3)
            self.p.kill()
            self.with_ledger(self.up.answer, "--hold", "0", config=config)

    def test_every_rule_that_matches_applies_and_no_other(self):
        config = """[[proxy.limit]]
name = "claude's"
agent = "claude"
requests_per_minute = 3

[[proxy.limit]]
name = "small ones"
model = "*-haiku-*"
requests_per_minute = 2
"""
        self.with_ledger(lambda peer, seen: peer.answer(200, used(6, 4)), "--hold", "0", config=config)
        haiku, opus = "x-haiku-4", "x-opus-4"

        def limit_of(agent, model):
            answer = self.ask(body=body_of(model), agent=agent)
            return None if answer.status == 200 else (answer.status, answer.one("x-dbx-agents-limit"))

        self.assertEqual([limit_of("claude", haiku), limit_of("codex", haiku), limit_of("codex", haiku)], [None, None, (429, "small ones")])
        self.assertEqual(limit_of("claude", haiku), (429, "small ones"))
        self.assertEqual([limit_of("claude", opus) for _ in range(3)], [None, None, (429, "claude's")])
        self.assertIsNone(limit_of("codex", opus))
        self.is_200(self.ask("GET", MODELS))

    def test_pages_of_the_proxy_itself_are_not_under_way(self):
        gate, there = Step(), Step()

        def answer(peer, seen):
            there.go()
            gate.wait()
            peer.answer(200, used(1, 1))

        self.with_ledger(answer)
        self.assertEqual(self.status()["active"], 0)
        client = self.client()
        client.send(self.bytes_of("POST", "/anthropic/v1/messages", body=body_of("m")))
        there.wait()
        self.assertEqual(self.status()["active"], 1)
        self.assertIn("dbx_agents_proxy_active_requests 1\n", self.ask("GET", "/metrics").text)
        gate.go()
        self.is_200(client.answer())
        self.assertEqual(self.status()["active"], 0)


if __name__ == "__main__":
    main()
