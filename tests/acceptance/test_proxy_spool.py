#!/usr/bin/env python3
"""The relay's spool: every acknowledged batch arrives once and in order, whatever happens to the workspace, the token and the proxy."""

import contextlib
import resource
import shutil
import socket
import stat
import threading
import unittest
from pathlib import Path

from proxy_harness import changing
from raw_http import Client, Ended
from relay_harness import LIMIT, PROTOBUF, TABLES, RelayTest, json, log, metric, os, otlp, route, signal, time, wait_for

DENIED = b'{"error_code":"PERMISSION_DENIED","message":"User does not have MODIFY on Table \'main.telemetry.dev_otel_metrics\'."}'
MISSING = b'{"error_code":"TABLE_DOES_NOT_EXIST","message":"Table \'main.telemetry.dev_otel_metrics\' does not exist."}'


class SpoolTest(RelayTest):
    def export_all(self, what, bodies, **kwargs):
        client = self.client()
        for body in bodies:
            self.taken_200(self.export(what, body, client=client, **kwargs))

    def settled(self, what, **expected):
        """The counters of a signal, once they say so."""
        wait_for(lambda: all(self.signal(what)[name] == value for name, value in expected.items()),
                 lambda: f"{self.signal(what)} is not {expected}\n{self.p.err}")


class Sender(SpoolTest):
    def test_it_rests_when_what_waited_is_gone(self):
        """A batch that grew too old while the workspace was away leaves nothing to wait for."""
        self.configure(proxy='spool_age = "1s"')
        self.relay()
        self.up.trouble = lambda peer, seen: peer.answer(503, b"{}") or True
        self.export_all("logs", [log("lost")])
        self.settled("logs", dropped=1, waiting=0)

        def processor_seconds():
            fields = Path(f"/proc/{self.p.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        time.sleep(1.2)  # until the next try would have been
        before = processor_seconds()
        time.sleep(2)
        self.assertLess(processor_seconds() - before, 0.5)
        self.configure(tables=None)
        self.p.signal(signal.SIGHUP)
        wait_for(lambda: "configuration read again" in self.p.err)
        before = processor_seconds()
        time.sleep(2)
        self.assertLess(processor_seconds() - before, 0.5)


class AfterOutage(SpoolTest):
    def test_one_error_of_the_server_behind_a_long_outage_rejects_nothing(self):
        self.relay()
        answers = [503] * 12 + [500]
        given = []

        def trouble(peer, seen):
            if not answers:
                return False
            given.append(answers[0])
            peer.answer(answers.pop(0), b"{}")
            return True
        self.up.trouble = trouble
        self.export_all("logs", [log("kept")])
        begun = time.monotonic()
        for count in range(1, 14):
            wait_for(lambda: len(given) >= count, lambda: f"{given}\n{self.p.err}")
            self.p.signal(signal.SIGHUP)  # at once again, also when the answer is still on its way
        self.arrives("logs", [log("kept")])
        self.assertLess(time.monotonic() - begun, LIMIT * 1.5, "a configuration that is read again is a reason to try at once")
        self.assertEqual(self.signal("logs")["rejected"], 0)


class Outage(SpoolTest):
    def outlast(self, trouble, times=1, between=lambda: None, limit=LIMIT * 3):
        """`trouble` answers so many requests; what was sent before, during and behind it arrives once, in order."""
        left = [times]

        def answer(peer, seen):
            if left[0] <= 0:
                return False
            left[0] -= 1
            trouble(peer, seen)
            return True

        self.relay()
        self.up.trouble = answer
        bodies = [metric(f"m{n}", 300) for n in range(12)]
        self.export_all("metrics", bodies[:6])
        wait_for(lambda: left[0] < times, lambda: self.p.err)
        between()
        self.export_all("metrics", bodies[6:])
        self.arrives("metrics", bodies, limit)
        self.settled("metrics", accepted=12, delivered=12, waiting=0, dropped=0, rejected=0)

    def test_503_with_retry_after(self):
        asked = []

        def trouble(peer, seen):
            asked.append(time.monotonic())
            peer.answer(503, b'{"error_code":"TEMPORARILY_UNAVAILABLE","message":"later"}', [("Retry-After", "2")])

        def status():
            wait_for(lambda: "503" in self.telemetry()["trouble"])
            self.assertGreater(self.signal("metrics")["waiting"], 0)
            self.assertRegex(self.h.run("proxy", "status", "--port", self.p.port).out, r"waits +HTTP 503")

        self.outlast(trouble, 1, status)
        behind = self.up.requests[1]
        self.assertIsNotNone(behind)
        self.assertEqual(self.telemetry()["trouble"], "")

    def test_retry_after_is_kept(self):
        times = []
        self.relay()
        self.up.trouble = lambda peer, seen: times.append(time.monotonic()) or (len(times) == 1 and (peer.answer(429, b"", [("Retry-After", "2")]) or True))
        self.export_all("metrics", [metric("m")])
        self.arrives("metrics", [metric("m")])
        self.assertGreaterEqual(times[1] - times[0], 1.9)

    def test_statuses_that_pass(self):
        for status, body in ((429, b""), (502, b"<html>bad gateway</html>"), (504, b""), (500, b"{}"), (408, b"")):
            with self.subTest(status=status):
                self.outlast(lambda peer, seen, status=status, body=body: peer.answer(status, body))

    def test_answers_that_are_none(self):
        def login_page(peer, seen):
            peer.answer(200, b"<!doctype html><html>log in</html>", kind="text/html")

        def redirect(peer, seen):
            peer.answer(302, b"", [("Location", self.up.url + "/elsewhere")])

        for trouble in (login_page, redirect, lambda peer, seen: peer.reset(), lambda peer, seen: peer.send(b"garbage\r\n\r\n") or peer.close()):
            with self.subTest(trouble=trouble):
                self.outlast(trouble)
        self.assertFalse([seen for seen in self.up.requests if seen.path == "/elsewhere"], "a redirect was followed")

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
        self.up = None
        self.p = self.proxy("--upstream", f"http://127.0.0.1:{port}")
        bodies = [metric(f"m{n}") for n in range(8)]
        self.export_all("metrics", bodies[:5])
        wait_for(lambda: self.telemetry()["trouble"], lambda: self.p.err)
        self.export_all("metrics", bodies[5:])
        self.up = self.table(port)
        self.arrives("metrics", bodies)

    def test_a_workspace_that_hangs_stalls_nobody(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.relay()
        self.up.trouble = lambda peer, seen: not gate.is_set() and (gate.wait(30) and False)
        bodies = [metric(f"m{n}") for n in range(20)]
        begun = time.monotonic()
        self.export_all("metrics", bodies)
        self.is_200(self.ask("GET", "/healthz"))
        self.assertLess(time.monotonic() - begun, 8)
        gate.set()
        self.arrives("metrics", bodies)

    def test_trouble_of_one_table_does_not_hold_the_others(self):
        self.relay()
        self.up.trouble = lambda peer, seen: seen.path.endswith("metrics") and (peer.answer(503, b"") or True)
        self.export_all("metrics", [metric("m")])
        logs = [log(f"e{n}") for n in range(5)]
        self.export_all("logs", logs)
        self.arrives("logs", logs)
        self.up.trouble = None
        self.arrives("metrics", [metric("m")])


class Death(SpoolTest):
    def test_kill_9_under_load_loses_nothing_that_was_acknowledged(self):
        """Killed again and again while agents export: what was acknowledged is there, in order; only the batch that was being
        answered by the workspace may be there twice."""
        self.up = self.table()
        acknowledged, number = {"metrics": [], "logs": []}, 0
        kills = 5
        for round_ in range(kills):
            self.p = self.proxy()
            self.p.may_crash = True
            stop = threading.Event()
            lock = threading.Lock()

            def work(what, port=self.p.port, proxy=self.p, stop=stop, lock=lock):
                nonlocal number
                with contextlib.suppress(OSError, Ended, AssertionError), Client(port) as client:
                    while not stop.is_set():
                        with lock:
                            number += 1
                            mine = number
                        body = metric(f"m{mine:06}", 500) if what == "metrics" else log(f"e{mine:06}", {"padding": "x" * 500})
                        client.send(self.bytes_of("POST", route(what), [("Content-Type", PROTOBUF)], body, proxy=proxy))
                        if client.answer().status == 200:
                            acknowledged[what].append(body)

            # One agent per signal: its batches have an order.
            workers = [threading.Thread(target=work, args=(what,)) for what in acknowledged]
            for worker in workers:
                worker.start()
            before = len(acknowledged["metrics"])
            wait_for(lambda before=before: len(acknowledged["metrics"]) > before + 20 + 7 * round_, lambda: self.p.err)
            self.p.kill()
            stop.set()
            for worker in workers:
                worker.join()
            self.assertTrue(all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in self.spool().glob("*.otlp")))
        self.p = self.proxy()
        for what, bodies in acknowledged.items():
            wait_for(lambda what=what, bodies=bodies: set(bodies) <= set(self.up.of(what)), lambda: f"lost\n{self.p.err}", LIMIT * 3)
            came = self.up.of(what)
            twice = len(came) - len(set(came))
            self.assertLessEqual(twice, kills, "one batch per kill may come twice")
            first = [body for at, body in enumerate(came) if body not in came[:at]]
            self.assertEqual([body for body in first if body in set(bodies)], bodies, "the order")
        wait_for(lambda: self.spooled() == [])

    def test_what_waits_at_sigterm_goes_with_the_next_proxy(self):
        self.relay()
        self.up.trouble = lambda peer, seen: peer.answer(503, b"") or True
        bodies = [metric(f"m{n}") for n in range(5)]
        self.export_all("metrics", bodies)
        self.assertEqual(self.p.stop(), 0)
        self.assertEqual(len(self.spooled()), 5)
        folder = self.spool()
        for path in (folder, folder.parent, folder / "rejected"):
            if path.exists():
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700, path)
        document = self.h.run("doctor", "--json", "--offline")
        finding = next(one for one in json.loads(document.out)["findings"] if one["id"] == "telemetry-waits" and one["file"] == str(folder))
        self.assertIn("5 batches", finding["what"])
        self.up.trouble = None
        self.p = self.proxy()
        self.arrives("metrics", bodies)

    def test_sigterm_while_the_workspace_hangs(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.relay()
        self.up.trouble = lambda peer, seen: gate.wait(30) and False
        self.export_all("metrics", [metric("m")])
        wait_for(lambda: self.up.requests)
        begun = time.monotonic()
        self.p.signal(signal.SIGTERM)
        self.assertEqual(self.p.wait(), 0)
        self.assertLess(time.monotonic() - begun, 8)
        self.assertEqual(len(self.spooled()), 1)

    def test_a_body_half_in_at_the_end(self):
        self.relay()
        client = self.client()
        client.send(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF), ("Content-Length", "100000")]) + b"x" * 50_000)
        wait_for(lambda: self.ask("GET", "/status").json["accepted"] == 1)
        self.p.signal(signal.SIGTERM)
        self.assertIsNone(self.p.wait(0.3), "it waits for the request under way")
        self.p.signal(signal.SIGTERM)
        self.assertEqual(self.p.wait(), 0)
        self.assertEqual(self.spooled(), [])

    def test_two_proxies_share_the_spool_and_one_sends(self):
        first = self.relay()
        wait_for(lambda: self.telemetry(first)["sends"])
        second = self.proxy()
        self.assertFalse(self.telemetry(second)["sends"])
        bodies = [metric(f"m{n}") for n in range(10)]
        for n, body in enumerate(bodies):
            self.taken_200(self.export("metrics", body, proxy=(first, second)[n % 2]))
        wait_for(lambda: len(self.up.of("metrics")) == 10, lambda: first.err + second.err)
        came = self.up.of("metrics")
        for mine in (bodies[0::2], bodies[1::2]):  # each proxy's own in their order
            self.assertEqual([body for body in came if body in mine], mine)
        first.may_crash = True
        first.kill()
        self.p = second
        self.taken_200(self.export("metrics", metric("behind"), proxy=second))
        self.arrives("metrics", [*came, metric("behind")])
        self.assertTrue(self.telemetry(second)["sends"])


class Tokens(SpoolTest):
    def test_a_dead_token_is_exchanged(self):
        self.up = self.table()
        env, made, _ = self.token_source()
        dead = set()

        def trouble(peer, seen):
            if seen.token in dead:
                peer.answer(400, b"Invalid Token", kind="text/plain")
                return True
            return False

        self.up.trouble = trouble
        self.p = self.proxy(env=env)
        self.h_state = env["XDG_STATE_HOME"]
        self.taken_200(self.export("metrics", metric("first")))
        self.arrives("metrics", [metric("first")])
        dead.add(changing(1))
        self.taken_200(self.export("metrics", metric("second")))
        self.arrives("metrics", [metric("first"), metric("second")])
        self.assertEqual(self.up.taken[-1][2].token, changing(2))
        self.assertEqual(len(made()), 2)

    def test_without_a_good_token_it_waits(self):
        self.relay()
        refuse = [True]
        self.up.trouble = lambda peer, seen: refuse[0] and (peer.answer(401, b'{"error_code":"UNAUTHENTICATED","message":"expired"}') or True)
        self.export_all("metrics", [metric("m")])
        wait_for(lambda: "token" in self.telemetry()["trouble"], lambda: f"{self.telemetry()}\n{self.p.err}")
        self.settled("metrics", rejected=0, waiting=1)
        refuse[0] = False
        self.arrives("metrics", [metric("m")])


class Rejected(SpoolTest):
    def reject(self, status, body, which=b"bad"):
        def trouble(peer, seen):
            if which not in seen.body:
                return False
            peer.answer(status, body)
            return True

        self.up.trouble = trouble

    def test_a_rejected_batch_steps_aside_with_its_reason(self):
        cases = ((403, DENIED, "MODIFY"), (404, MISSING, "tables create"), (400, b'{"error_code":"INVALID_PARAMETER_VALUE","message":"schema mismatch"}', "tables check"),
                 (413, b"too large", ""))
        for status, body, fix in cases:
            with self.subTest(status=status):
                self.relay()
                self.reject(status, body)
                bodies = [metric("one"), metric("bad"), metric("two")]
                self.export_all("metrics", bodies)
                self.arrives("metrics", [bodies[0], bodies[2]])
                self.settled("metrics", delivered=2, rejected=1, waiting=0)
                name, = self.rejected()
                self.assertEqual((self.spool() / "rejected" / name).read_bytes(), bodies[1])
                reason = json.loads((self.spool() / "rejected" / (name + ".why")).read_text())
                self.assertEqual((reason["status"], reason["table"]), (status, TABLES["metrics"]))
                self.assertIn(str(status), self.telemetry()["rejected"]["why"])
                self.assertIn("set aside", self.p.err)
                # doctor explains it, with the proxy and without.
                found = [one for one in json.loads(self.h.run("doctor", "--json").out)["findings"] if one["id"] == "telemetry-rejected" and one["file"] == str(self.spool() / "rejected")]
                self.assertEqual(len(found), 1, found)
                self.assertIn(str(status), found[0]["evidence"])
                self.assertIn(fix, found[0]["fix"])
                self.assertIn(f"kill -HUP {self.p.pid}", found[0]["fix"])
                # After the fix: once more.
                self.up.trouble = None
                self.p.signal(signal.SIGHUP)
                self.arrives("metrics", [bodies[0], bodies[2], bodies[1]])
                wait_for(lambda: self.rejected() == [] and list((self.spool() / "rejected").iterdir()) == [])

    def test_a_start_tries_again_too(self):
        self.relay()
        self.reject(403, DENIED)
        self.export_all("metrics", [metric("bad")])
        self.settled("metrics", rejected=1)
        self.p.stop()
        found = [one for one in json.loads(self.h.run("doctor", "--json", "--offline").out)["findings"] if one["id"] == "telemetry-rejected" and one["file"] == str(self.spool() / "rejected")]
        self.assertIn("MODIFY", found[0]["fix"])
        self.p = self.proxy()
        self.settled("metrics", rejected=1)  # still refused: aside again
        self.assertEqual(len(self.rejected()), 1)
        self.up.trouble = None
        self.p.stop()
        self.p = self.proxy()
        self.arrives("metrics", [metric("bad")])

    def test_items_that_the_workspace_did_not_take_are_said(self):
        self.relay()
        partial = otlp.message((1, "b", otlp.message((1, "v", 3), (2, "b", "three points are too old"))))
        self.up.trouble = lambda peer, seen: peer.answer(200, partial, kind=PROTOBUF) or True
        self.export_all("metrics", [metric("m")])
        wait_for(lambda: self.signal("metrics")["not_taken"] == 3)
        self.assertIn("three points are too old", self.p.err)


class Bounds(SpoolTest):
    def away(self, **bounds):
        self.configure(proxy="\n".join(f'{name} = "{value}"' for name, value in bounds.items()))
        self.relay()
        self.up.trouble = lambda peer, seen: peer.answer(503, b"", [("Retry-After", "1")]) or True

    def test_the_oldest_make_room(self):
        self.away(spool_size="20KB")
        bodies = [metric(f"m{n:02}", 900) for n in range(40)]
        self.export_all("metrics", bodies)
        self.assertLessEqual(sum(path.stat().st_size for path in self.spool().glob("*.otlp")), 20 << 10)
        counts = self.signal("metrics")
        self.assertEqual(counts["accepted"], 40)
        self.assertEqual(counts["dropped"] + counts["waiting"], 40)
        self.assertGreater(counts["waiting"], 15)
        self.assertIn("the spool is full", self.p.err)
        found = {one["id"] for one in json.loads(self.h.run("doctor", "--json").out)["findings"]}
        self.assertLessEqual({"telemetry-spool-full", "telemetry-dropped"}, found)
        self.up.trouble = None
        wait_for(lambda: self.up.of("metrics") and self.up.of("metrics")[-1] == bodies[-1])
        came = self.up.of("metrics")
        self.assertEqual(came[-counts["waiting"] + 1:], bodies[-counts["waiting"] + 1:])

    def test_a_batch_larger_than_the_room_is_dropped_and_said(self):
        self.away(spool_size="2KB")
        self.taken_200(self.export("metrics", metric("m", 5000)))
        self.settled("metrics", accepted=0, dropped=1)
        self.assertIn("does not fit", self.telemetry()["dropped_why"])

    def test_what_is_too_old_is_dropped(self):
        self.away(spool_age="2s")
        self.export_all("metrics", [metric("old")])
        wait_for(lambda: self.signal("metrics")["dropped"] == 1, lambda: self.p.err)
        self.up.trouble = None
        self.export_all("metrics", [metric("new")])
        self.arrives("metrics", [metric("new")])
        self.assertIn("older than 2 s", self.p.err)

    def test_torn_and_foreign_files(self):
        self.relay()
        self.up.trouble = lambda peer, seen: peer.answer(503, b"") or True
        self.export_all("metrics", [metric("a"), metric("b"), metric("c")])
        self.p.stop()
        folder = self.spool()
        a, b, _ = (folder / name for name in self.spooled())
        link, pipe = f"logs-{time.time_ns()}-1-5.otlp", f"logs-{time.time_ns()}-2-5.otlp"
        a.write_bytes(b"")  # a power cut
        b.write_bytes(metric("b")[:20])
        (folder / "notes.txt").write_text("not ours")
        (folder / link).symlink_to("/etc/hostname")
        (folder / "metrics-99999999999999999999-1-5.otlp").write_text("12345")
        (folder / "a-folder").mkdir()
        os.mkfifo(folder / pipe)
        (folder / ".tmp-1-1").write_text("half")
        os.utime(folder / ".tmp-1-1", (1, 1))
        self.up.trouble = None
        self.p = self.proxy()
        self.arrives("metrics", [metric("c")])
        wait_for(lambda: not (folder / "notes.txt").exists(), lambda: self.p.err)
        wanted = {a.name, b.name, "notes.txt", "notes.txt.why", link, pipe}
        wait_for(lambda: wanted <= {path.name for path in (folder / "rejected").iterdir()}, lambda: self.p.err)
        self.assertFalse((folder / ".tmp-1-1").exists())
        self.assertTrue((folder / "a-folder").is_dir())
        self.taken_200(self.export("logs", log("e")))
        self.arrives("logs", [log("e")])
        self.p.signal(signal.SIGHUP)  # torn ones are not tried again
        self.taken_200(self.export("metrics", metric("d")))
        self.arrives("metrics", [metric("c"), metric("d")])

    def test_a_folder_that_goes_away_comes_back(self):
        self.relay()
        self.export_all("metrics", [metric("a")])
        self.arrives("metrics", [metric("a")])
        shutil.rmtree(self.spool())
        self.export_all("metrics", [metric("b")])
        self.arrives("metrics", [metric("a"), metric("b")])

    def test_a_disk_without_room(self):
        """The system's limit on the size of files stands in for it: small batches go on, a large one is dropped and said."""
        self.up = self.table()
        self.p = self.proxy("--no-ledger", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10)))
        self.taken_200(self.export("metrics", metric("large", 200_000)))
        self.taken_200(self.export("metrics", metric("small")))
        self.arrives("metrics", [metric("small")])
        self.settled("metrics", accepted=1, delivered=1, dropped=1)
        self.assertIn("limit on the size of files", self.telemetry()["dropped_why"])
        self.assertEqual([name for name in os.listdir(self.spool()) if name.startswith(".tmp")], [])

    def test_a_state_folder_that_cannot_be_written(self):
        self.up = self.table()
        self.spool().parent.mkdir(mode=0o700, exist_ok=True)
        self.spool().write_text("in the way")
        self.addCleanup(lambda: self.spool().is_file() and self.spool().unlink())
        self.p = self.proxy()
        self.taken_200(self.export("metrics", metric("m")))
        self.settled("metrics", accepted=0, dropped=1)
        self.is_200(self.ask())
        self.assertIn("telemetry is dropped", self.p.err)
        self.assertIn("telemetry-dropped", self.h.run("doctor", "--json").out)
        self.spool().unlink()
        self.taken_200(self.export("metrics", metric("n")))
        self.arrives("metrics", [metric("n")])

    def test_no_secret_is_written(self):
        self.relay()
        self.up.trouble = lambda peer, seen: b"bad" in seen.body and (peer.answer(403, DENIED[:-2] + f" for {self.TOKEN}\"}}".encode()) or True)
        self.export_all("metrics", [metric("m"), metric("bad")])
        self.settled("metrics", rejected=1)
        everything = b"".join(path.read_bytes() for path in self.spool().rglob("*") if path.is_file()) + self.ask("GET", "/status").body
        for secret in self.h.secrets:
            self.assertNotIn(secret.encode(), everything)


class OwnUsage(SpoolTest):
    def test_what_the_ledger_books_goes_the_same_way(self):
        self.configure(proxy='export_usage = true\nexport_every = "1s"')
        self.relay()
        usage = b'{"id":"x","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":11,"output_tokens":7}}'
        self.up.trouble = lambda peer, seen: not seen.path.startswith("/api/") and (peer.answer(200, usage) or True)
        self.is_200(self.ask())
        wait_for(lambda: self.up.of("metrics"), lambda: self.p.err)
        body = self.up.of("metrics")[0]
        for part in (b"gen_ai.client.token.usage", b"databricks-claude-opus-4-6", b"claude", b"dbx-agents"):
            self.assertIn(part, body)
        # Nothing new: nothing is sent. At the end: what is left.
        count = len(self.up.of("metrics"))
        self.is_200(self.ask())
        self.p.stop()
        self.p = self.proxy()
        wait_for(lambda: len(self.up.of("metrics")) == count + 1)


if __name__ == "__main__":
    unittest.main()
