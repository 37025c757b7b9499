"""What the relay's tests need: batches of telemetry that can be told apart, and a workspace's OTLP endpoint that keeps them."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from proxy_harness import LIMIT, Proxy, ProxyTest
from raw_http import Upstream, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workspace"))
import otlp_bytes as otlp  # noqa: E402

PLACE = "main.telemetry.dev"
TABLES = {"metrics": PLACE + "_otel_metrics", "logs": PLACE + "_otel_logs", "traces": PLACE + "_otel_spans"}
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def route(what):
    return "/api/2.0/otel/v1/" + what


def metric(name, padding=0):
    """A whole request of one counter; `padding` bytes in an attribute."""
    attributes = {"padding": "x" * padding} if padding else {}
    return otlp.request([otlp.sum_metric(name, [otlp.number_point(1, 1_700_000_000_000_000_000, attrs=attributes)])])


def log(name, attributes=None, resource=None):
    """A whole request of one event; the field event_name is there already."""
    return otlp.request([otlp.log(1_700_000_000_000_000_000, "text", attributes or {}, name)], resource)


def logs_json(name, attributes=(), resource=()):
    def pairs(items):
        return [{"key": key, "value": {"stringValue": value}} for key, value in items]

    return json.dumps({"resourceLogs": [{"resource": {"attributes": pairs(resource)}, "scopeLogs": [{"scope": {"name": "test"}, "logRecords": [
        {"timeUnixNano": "1700000000000000000", "body": {"stringValue": "text"},
         "attributes": pairs([("event.name", name), *attributes])}]}]}]}).encode()


class Table(Upstream):
    """An OTLP endpoint. It takes what comes, in order, unless `trouble(peer, seen)` has answered (True)."""

    def __init__(self, port=0, tls=None):
        self.taken, self.trouble = [], None
        super().__init__(self.take, port=port, tls=tls)

    def take(self, peer, seen):
        if self.trouble and self.trouble(peer, seen):
            return
        # Before the answer: a proxy that is killed behind it has delivered.
        self.taken.append((seen.path.rsplit("/", 1)[1], seen.body, seen))
        peer.answer(200, b"", kind=PROTOBUF)

    def of(self, what):
        return [body for signal_name, body, _ in list(self.taken) if signal_name == what]


class RelayTest(ProxyTest):
    CONFIG = ""  # further lines of [otel] and [proxy]

    def setUp(self):
        super().setUp()
        self.configure()

    def configure(self, otel="", proxy="", tables=PLACE):
        line = f'tables = "{tables}"\n' if tables else ""
        self.h.put(".config/dbx-agents/config.toml", f"[otel]\n{line}{otel}\n[proxy]\n{proxy}\n")

    def table(self, port=0):
        table = Table(port)
        self.addCleanup(table.close)
        return table

    def relay(self, *args, up=None, **kwargs):
        self.up = up or self.table()
        self.p = self.proxy(*args, **kwargs)
        return self.p

    def export(self, what, body, kind=PROTOBUF, headers=(), **kwargs):
        return self.ask("POST", route(what), [("Content-Type", kind), *headers], body, **kwargs)

    def taken_200(self, answer, kind=PROTOBUF):
        self.is_200(answer, b"{}" if kind == JSON else b"")
        self.assertEqual(answer.one("content-type"), kind)

    def telemetry(self, proxy=None):
        return self.ask("GET", "/status", proxy=proxy).json["telemetry"]

    def signal(self, what, proxy=None):
        return self.telemetry(proxy)["signals"][what]

    def arrives(self, what, bodies, limit=LIMIT * 2):
        """Exactly these, once each, in this order."""
        wait_for(lambda: len(self.up.of(what)) >= len(bodies), lambda: f"{len(self.up.of(what))} of {len(bodies)} came\n{self.p.err}", limit)
        came = self.up.of(what)
        if came != bodies:
            self.fail(f"not these in this order: {[bodies.index(body) if body in bodies else body for body in came]}")

    def spool(self, up=None):
        return self.h.state / "spool" / f"127.0.0.1_{(up or self.up).port}"

    def spooled(self):
        return sorted(path.name for path in self.spool().glob("*.otlp"))

    def rejected(self):
        return sorted(path.name for path in (self.spool() / "rejected").glob("*.otlp"))


def ones(condition, proxy):
    return wait_for(condition, lambda: proxy.err)


__all__ = ["JSON", "LIMIT", "PLACE", "PROTOBUF", "TABLES", "Proxy", "RelayTest", "Table", "json", "log", "logs_json", "metric", "ones", "os", "otlp",
           "route", "signal", "threading", "time", "wait_for"]
