#!/usr/bin/env python3
"""The relay's door: what it takes from agents, what it makes of it, what it refuses, and that it says so."""

import gzip
import hashlib
import re
import select
import sqlite3
import unittest
import zlib
from pathlib import Path

from harness import PAT
from proxy_harness import sanitized
from raw_http import LIMIT, Authority
from relay_harness import JSON, PLACE, PROTOBUF, TABLES, RelayTest, Table, json, log, logs_json, metric, otlp, route, signal, wait_for

RELAYED = ("metrics", "logs", "traces")


def span(name):
    return otlp.request([otlp.span(name, b"t" * 16, b"s" * 8, 1_700_000_000_000_000_000, 1_700_000_000_000_000_001)])


class Door(RelayTest):
    def test_protobuf_goes_to_the_tables_byte_for_byte(self):
        self.configure(otel="traces = true")
        self.relay()
        for what, body in (("metrics", metric("a.metric")), ("logs", log("an.event", {}, None)), ("traces", span("a.span"))):
            with self.subTest(what):
                self.taken_200(self.export(what, body, headers=[("X-Databricks-UC-Table-Name", "evil.evil.evil"), ("User-Agent", "an-agent/1")]))
                self.arrives(what, [body])
                _, _, seen = self.up.taken[-1]
                self.assertEqual((seen.method, seen.target), ("POST", route(what)))
                self.assertEqual(seen.one("content-type"), PROTOBUF)
                self.assertEqual(seen.one("x-databricks-uc-table-name"), TABLES[what])
                self.assertEqual(seen.token, self.TOKEN)
                self.assertEqual(seen.all("content-encoding") + seen.all("transfer-encoding") + seen.all("x-api-key"), [])
                self.assertNotIn("an-agent", seen.one("user-agent"))
        counts = self.signal("metrics")
        self.assertEqual((counts["accepted"], counts["delivered"], counts["waiting"]), (1, 1, 0), counts)
        wait_for(lambda: self.spooled() == [], "the spool is not empty")

    def test_json_arrives_as_protobuf_with_the_event_name(self):
        self.relay()
        self.taken_200(self.export("logs", logs_json("gemini_cli.api_request"), JSON), JSON)
        expected = otlp.message((1, "b", otlp.message((1, "b", b""), (2, "b", otlp.message(
            (1, "b", otlp.message((1, "b", "test"))),
            (2, "b", otlp.message((1, "q", 1_700_000_000_000_000_000), (5, "b", otlp.value("text")), (6, "b", otlp.message(
                (1, "b", "event.name"), (2, "b", otlp.value("gemini_cli.api_request")))), (12, "b", "gemini_cli.api_request"))))))))
        wait_for(lambda: self.up.taken)
        self.assertEqual(self.up.of("logs"), [expected])

    def test_compressed_and_chunked_bodies(self):
        self.relay()
        body = metric("compressed", 5000)
        bare = zlib.compressobj(wbits=-15)
        forms = [("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)), ("deflate", bare.compress(body) + bare.flush()), ("identity", body),
                 ("gzip", gzip.compress(body[:100]) + gzip.compress(body[100:]))]
        sent = 0
        for coding, data in forms:
            for chunks in (None, [1, 7, len(data)]):
                with self.subTest(coding=coding, chunks=chunks):
                    headers = [("Content-Type", PROTOBUF), ("Content-Encoding", coding)]
                    client = self.client()
                    if chunks:
                        client.send(self.bytes_of("POST", route("metrics"), [*headers, ("Transfer-Encoding", "chunked")]))
                        at = 0
                        for size in chunks:
                            piece = data[at:at + size]
                            at += len(piece)
                            if piece:
                                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                        client.send(b"0\r\n\r\n")
                    else:
                        client.send(self.bytes_of("POST", route("metrics"), headers, data))
                    self.taken_200(client.answer())
                    sent += 1
        self.arrives("metrics", [body] * sent)

    def test_one_connection_carries_many(self):
        self.relay()
        client = self.client()
        bodies = [metric(f"m{n}") for n in range(50)]
        for body in bodies:
            self.taken_200(self.export("metrics", body, client=client))
        client.send(b"".join(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF)], body) for body in bodies))
        for _ in bodies:
            self.taken_200(client.answer())
        self.arrives("metrics", bodies * 2)

    def test_two_megabytes(self):
        self.relay()
        body = metric("large", 2_000_000)
        self.taken_200(self.export("metrics", body))
        self.taken_200(self.export("logs", logs_json("large", [("padding", "y" * 2_000_000)]), JSON), JSON)
        wait_for(lambda: len(self.up.taken) == 2, lambda: self.p.err)
        seen = next(seen for what, _, seen in self.up.taken if what == "metrics")
        self.assertEqual((seen.content.size, seen.content.digest), (len(body), hashlib.sha256(body).hexdigest()))

    def test_attributes_of_the_configuration(self):
        self.configure(otel='resource_attributes = { team = "storage", "cost.centre" = "4711" }\ndrop_attributes = ["gen_ai.system_instructions"]')
        self.relay()
        secret = "you are a helpful assistant " * 1000
        self.taken_200(self.export("logs", logs_json("e", [("gen_ai.system_instructions", secret), ("kept", "this")], [("service.name", "gemini-cli")]), JSON), JSON)
        wait_for(lambda: self.up.taken)
        body = self.up.of("logs")[0]
        for part in (b"team", b"storage", b"cost.centre", b"4711", b"kept", b"gemini-cli"):
            self.assertIn(part, body)
        self.assertNotIn(b"system_instructions", body)
        self.assertLess(len(body), 1000)
        # The configuration may change.
        self.configure(otel='resource_attributes = { team = "compute" }')
        self.p.signal(signal.SIGHUP)
        wait_for(lambda: "configuration read again" in self.p.err)
        self.taken_200(self.export("logs", log("e")))
        wait_for(lambda: len(self.up.of("logs")) == 2)
        self.assertIn(b"compute", self.up.of("logs")[1])

    def test_a_request_of_nothing_but_resources_does_not_fill_the_memory(self):
        self.configure(otel='resource_attributes = { team = "storage", "cost.centre" = "4711" }')
        self.relay()
        bomb = gzip.compress(b"\x0a\x00" * 7_000_000)
        answer = self.is_ours(self.export("logs", bomb, headers=[("Content-Encoding", "gzip")]), 400)
        self.assertIn(b"too many resources", answer.body)
        if not sanitized():  # they take memory of their own
            peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.p.pid}/status").read_text())
            self.assertLess(int(peak[1]), 400_000, peak[0])

    def test_a_companys_certificates(self):
        """network.ca_file counts for the relay and for the commands, from the next reload on."""
        authority = Authority(self.h.base / "ca", "gateway.test")
        up = Table(tls=authority.server())
        self.addCleanup(up.close)
        environment = {"NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": None}
        self.relay(up=up, env=environment)
        self.taken_200(self.export("logs", log("e")))
        wait_for(lambda: "certificate" in self.p.err, lambda: self.p.err)
        for file, words in (("/nowhere.pem", "/nowhere.pem"), (authority.folder / "key.pem", "there is no certificate in it")):
            self.h.put(".config/dbx-agents/config.toml", f'[otel]\ntables = "{PLACE}"\n[network]\nca_file = "{file}"\n')
            self.p.signal(signal.SIGHUP)
            wait_for(lambda: words in self.ask("GET", "/status").text, lambda: self.ask("GET", "/status").text)
        self.assertEqual(up.taken, [])
        self.h.put(".config/dbx-agents/config.toml", f'[otel]\ntables = "{PLACE}"\n[network]\nca_file = "{authority.ca}"\n')
        self.p.signal(signal.SIGHUP)
        self.arrives("logs", [log("e")])
        models = lambda: self.h.run("models", "--workspace", up.url, env={**environment, "DATABRICKS_TOKEN": PAT}).err
        self.assertNotIn("certificate", models())
        self.h.put(".config/dbx-agents/config.toml", "")
        self.assertIn("certificate", models())

    def test_what_cannot_be_read_is_refused_in_otlps_words(self):
        self.relay()
        good = metric("good")
        cases = [("metrics", b"not protobuf at all", PROTOBUF, ()), ("metrics", good[:-3], PROTOBUF, ()), ("logs", b'{"resourceLogs": [', JSON, ()),
                 ("logs", b'{"resourceLogs": 7}', JSON, ()), ("metrics", gzip.compress(good)[:-9], PROTOBUF, [("Content-Encoding", "gzip")]),
                 ("metrics", good, PROTOBUF, [("Content-Encoding", "gzip")]), ("metrics", gzip.compress(good) + b"behind", PROTOBUF, [("Content-Encoding", "gzip")]),
                 ("logs", b"[" * 100_000, JSON, ())]
        for what, body, kind, headers in cases:
            with self.subTest(body=body[:30]):
                answer = self.is_ours(self.export(what, body, kind, headers), 400)
                self.assertEqual(answer.one("content-type"), kind)
                if kind == JSON:
                    self.assertEqual(answer.json["code"], 3)
                    self.assertIn("cannot be read", answer.json["message"])
                else:
                    self.assertTrue(answer.body.startswith(b"\x08\x03\x12"), answer.body)
                    self.assertIn(b"cannot be read", answer.body)
        self.no_upstream_request()
        self.assertEqual(self.signal("metrics")["refused"] + self.signal("logs")["refused"], len(cases))
        found = {one["id"]: one for one in json.loads(self.h.run("doctor", "--json").out)["findings"]}
        self.assertIn(f"{len(cases)} batches", found["telemetry-unreadable"]["what"])
        self.assertEqual(self.spooled(), [])
        self.taken_200(self.export("metrics", good))
        self.arrives("metrics", [good])

    def test_bombs_and_giants(self):
        self.relay()
        bomb = gzip.compress(b"\0" * (512 << 20), 9)
        twice = zlib.compress(b"\0" * (17 << 20))
        before = self.p.memory_kib()
        self.is_ours(self.export("metrics", bomb, headers=[("Content-Encoding", "gzip")]), 413)
        self.is_ours(self.export("metrics", twice, headers=[("Content-Encoding", "deflate")]), 413)
        client = self.client()
        client.send(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF), ("Content-Length", str((16 << 20) + 1))]))
        self.is_ours(client.answer(), 413)
        client = self.client()
        client.send(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF), ("Transfer-Encoding", "chunked")]))
        client.send_quietly((b"%x\r\n" % (17 << 20)) + b"\0" * ((16 << 20) + 100))
        self.is_ours(client.answer(), 413)
        self.assertLess(self.p.memory_kib() - before, 120_000)
        self.no_upstream_request()

    def test_bodies_on_their_way_are_bounded_together(self):
        self.relay()
        clients = []
        for _ in range(5):
            client = self.client()
            client.send(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF), ("Content-Length", str(16 << 20))]))
            client.send_quietly(b"\0" * (15 << 20))
            clients.append(client)
        # Whose bytes come over the bound, as they are read.
        refused = select.select([client.sock for client in clients], [], [], LIMIT)[0]
        answer = next(client for client in clients if client.sock in refused).answer()
        self.assertEqual((answer.status, answer.one("retry-after")), (503, "1"), answer)
        for client in clients:
            client.close()
        wait_for(lambda: self.export("metrics", metric("after")).status == 200)

    def test_other_types_methods_paths_and_people(self):
        self.relay()
        body = metric("m")
        self.is_ours(self.export("metrics", body, "text/plain"), 415)
        self.is_ours(self.ask("POST", route("metrics"), [], body), 415)
        self.is_ours(self.export("metrics", body, headers=[("Content-Encoding", "br")]), 415)
        self.is_ours(self.export("metrics", body, headers=[("Content-Encoding", "gzip, gzip")]), 415)
        self.is_ours(self.ask("GET", route("metrics")), 405)
        for path in ("profiles", "metrics/x", "Metrics", ""):
            self.is_ours(self.ask("POST", route(path), [("Content-Type", PROTOBUF)], body), 404)
        self.is_ours(self.export("metrics", body, headers=[("Origin", "http://evil.example")]), 403)
        client = self.client()
        client.send(self.bytes_of("POST", route("metrics"), [("Content-Type", PROTOBUF)], body).replace(self.key.encode(), b"x" * len(self.key)))
        self.is_ours(client.answer(), 401)
        self.no_upstream_request()
        self.taken_200(self.export("metrics", body, PROTOBUF + "; charset=utf-8"))
        self.arrives("metrics", [body])

    def test_an_empty_batch_is_taken_and_not_sent(self):
        self.relay()
        self.taken_200(self.export("metrics", b""))
        self.taken_200(self.export("logs", b"{}", JSON), JSON)
        self.taken_200(self.export("metrics", metric("m")))
        self.arrives("metrics", [metric("m")])
        self.assertEqual(len(self.up.requests), 1)

    def test_traces_that_nobody_wants_are_swallowed(self):
        self.relay()
        self.taken_200(self.export("traces", span("s")))
        self.assertEqual(self.signal("traces")["unwanted"], 1)
        self.assertEqual(self.spooled(), [])
        self.no_upstream_request()

    def test_without_tables_the_agent_is_not_bothered_and_the_user_is_told(self):
        self.configure(tables=None)
        self.relay()
        self.taken_200(self.export("metrics", metric("m")))
        self.taken_200(self.export("logs", logs_json("e"), JSON), JSON)
        self.assertEqual(self.signal("metrics")["dropped"], 1)
        self.assertIn("no tables", self.telemetry()["dropped_why"])
        self.assertEqual(self.p.err.count("no tables are named"), 1, self.p.err)
        self.no_upstream_request()
        found = json.loads(self.h.run("doctor", "--json").out)["findings"]
        finding = next(one for one in found if one["id"] == "telemetry-no-tables")
        self.assertIn("--otel", finding["fix"])
        text = self.h.run("proxy", "status", "--port", self.p.port).out
        self.assertIn("no tables are named", text)

    def test_a_bad_place_is_no_configuration(self):
        self.configure(tables="main.telemetry")
        done = self.h.run("proxy", "--port", "0", "--upstream", "http://127.0.0.1:9")
        self.assertEqual(done.code, 2)
        self.assertIn("config.toml:2", done.err)
        for line in ('spool_size = "many"', 'spool_age = "0s"', 'export_usage = "maybe"'):
            self.configure(proxy=line)
            done = self.h.run("proxy", "--port", "0", "--upstream", "http://127.0.0.1:9")
            self.assertEqual(done.code, 2, line)
            self.assertIn(line.split()[0], done.err)

    def test_telemetry_makes_no_row_and_no_request_counts_as_a_models(self):
        ledger = self.h.base / "relay-rows.db"
        self.relay("--ledger", ledger)
        self.taken_200(self.export("metrics", metric("m")))
        self.arrives("metrics", [metric("m")])
        with sqlite3.connect(ledger) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM requests").fetchone(), (0,))

    def test_status_and_metrics_name_each_signal(self):
        self.relay()
        self.taken_200(self.export("metrics", metric("m")))
        self.arrives("metrics", [metric("m")])
        wait_for(lambda: self.signal("metrics")["delivered"] == 1)
        page = self.ask("GET", "/metrics").body.decode()
        self.assertIn('dbx_agents_proxy_otlp_batches_total{signal="metrics",outcome="delivered"} 1\n', page)
        for name in ("batches", "bytes", "oldest_seconds"):
            for what in RELAYED:
                self.assertIn(f'dbx_agents_proxy_spool_{name}{{signal="{what}"}} 0\n', page)
        text = self.h.run("proxy", "status", "--port", self.p.port).out
        self.assertRegex(text, rf"telemetry +to the tables {PLACE}\n +metrics +1 accepted, 1 delivered\n")


if __name__ == "__main__":
    unittest.main()
