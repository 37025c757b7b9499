"""The agents' telemetry through the relay: what an agent sent and heard 200 for is in the stand-in's tables once, also across an outage
of the workspace and a kill -9 of the proxy in the middle. What was sent is told by a recorder between agent and proxy."""

import http.client
import http.server
import json
import struct
import threading
import time
from collections import Counter

from agents import want
from local_proxy import wait_for

PLACE = "main.telemetry.relayed"
TABLES = {"metrics": PLACE + "_otel_metrics", "logs": PLACE + "_otel_logs"}
OTLP = "/api/2.0/otel/v1/"
OUTAGE = 4  # refusals


# ---------------------------------------------------------------- what a batch holds


def fields(data):
    """(number, value) of a protobuf message; nested ones and strings are bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
        elif kind == 1:
            yield number, struct.unpack_from("<Q", data, at)[0]
            at += 8
        elif kind == 5:
            yield number, struct.unpack_from("<I", data, at)[0]
            at += 4
        else:
            want(kind == 2, f"wire type {kind} in an agent's protobuf")
            size = varint()
            yield number, data[at:at + size]
            at += size


def inside(data, *numbers):
    if not numbers:
        yield data
        return
    for number, value in fields(data):
        if number == numbers[0]:
            yield from inside(value, *numbers[1:])


def first(data, number, default=0):
    return next((value for found, value in fields(data) if found == number), default)


def items(signal, kind, body):
    """Counter of what becomes rows: (time) of a log record, (metric, time) of a point."""
    if kind.startswith("application/json"):
        root = json.loads(body)
        if signal == "logs":
            return Counter(int(record.get("timeUnixNano", 0)) for resource in root["resourceLogs"] for scope in resource["scopeLogs"]
                           for record in scope["logRecords"])
        return Counter((metric["name"], int(point["timeUnixNano"])) for resource in root["resourceMetrics"] for scope in resource["scopeMetrics"]
                       for metric in scope["metrics"] for form in ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
                       for point in metric.get(form, {}).get("dataPoints", ()))
    if signal == "logs":
        return Counter(first(record, 1) for record in inside(body, 1, 2, 2))
    return Counter((first(metric, 1, b"").decode(), first(point, 3)) for metric in inside(body, 1, 2, 2) for form in (5, 7, 9, 10, 11)
                   for point in inside(metric, form, 1))


def rows_of(workspace, signal):
    rows = workspace.control("GET", "rows?table=" + TABLES[signal])
    if signal == "logs":
        return Counter(row["time_unix_nano"] for row in rows)
    forms = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
    return Counter((row["name"], next(row[form] for form in forms if row.get(form))["time_unix_nano"]) for row in rows)


# ---------------------------------------------------------------- the recorder


class Recorder:
    """Listens where the agent thinks that the proxy is, passes everything on, and keeps each batch with the answer to it."""

    def __init__(self, target):
        self.batches = []  # [signal, content type, body, status or None]
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def body(self):
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    parts = []
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def pass_on(self):
                body = self.body()
                batch = None
                if self.path.startswith(OTLP):
                    batch = [self.path.removeprefix(OTLP), self.headers.get("Content-Type", ""), body, None]
                    recorder.batches.append(batch)
                own = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", target, timeout=120)
                    connection.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in own})
                    answer = connection.getresponse()
                    if batch:
                        batch[3] = answer.status
                    self.send_response(answer.status)
                    for name, value in answer.getheaders():
                        if name.lower() not in own:
                            self.send_header(name, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    while self.command != "HEAD" and (part := answer.read1(65536)):
                        self.wfile.write(part)
                        self.wfile.flush()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True
                    self.connection.close()  # the proxy is gone: so are we

            do_GET = do_POST = do_HEAD = pass_on

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that left

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def acknowledged(self):
        return [batch for batch in self.batches if batch[3] == 200]


# ---------------------------------------------------------------- the case


def relayed(stage):
    """Everything acknowledged has left the spool."""
    def done():
        signals = stage.proxy.status()["telemetry"]["signals"]
        return all(signals[name]["waiting"] == 0 for name in TABLES)
    wait_for(done, "the relay has not delivered everything", 60)


def compare(stage, kills):
    """Each acknowledged item is a row; a row is of a batch that was sent, once; after a kill one batch may be there twice."""
    seen = []
    for signal in TABLES:
        batches = [(batch, items(*batch[:3])) for batch in stage.recorder.batches if batch[0] == signal]
        acknowledged = sum((found for batch, found in batches if batch[3] == 200), Counter())
        other = sum((found for batch, found in batches if batch[3] != 200), Counter())
        rows = rows_of(stage.workspace, signal)
        want(not acknowledged - rows, f"{signal}: {acknowledged - rows} was acknowledged and is in no row")
        extra = rows - acknowledged - other
        want(not extra or (kills and any(extra == found for _, found in batches)), f"{signal}: {extra} is there too often")
        seen.append(f"{sum(rows.values())} {'points' if signal == 'metrics' else 'records'}")
    return seen


def case_telemetry(play):
    for table in TABLES.values():
        play.workspace.control("DELETE", "rows?table=" + table)
    stage = play.stage("telemetry")
    stage.start_proxy()
    # 1. a turn like any other
    stage.good(stage.go())
    relayed(stage)
    want(rows_of(stage.workspace, "logs"), f"no log of {play.agent.title} arrived: {[batch[:2] + batch[3:] for batch in stage.recorder.batches]}")
    compare(stage, 0)
    # 2. the workspace is away meanwhile
    stage.begin()
    stage.workspace.control("POST", "faults", {"fault": "503", "path": OTLP + "*", "count": OUTAGE, "retry_after": 1})
    stage.good(stage.end())
    relayed(stage)
    refused = [entry for entry in stage.workspace.requests() if entry["path"].startswith(OTLP) and entry["status"] == 503]
    want(len(refused) == OUTAGE, f"the workspace was away for {len(refused)} requests")
    compare(stage, 0)
    # 3. the proxy is killed while the agent exports
    before = len(stage.recorder.acknowledged())
    stage.begin(patient=True)
    end = time.monotonic() + 60
    while len(stage.recorder.acknowledged()) == before and stage.process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    stage.proxy.kill()
    stage.proxy.start()
    stage.end()
    # 4. and one more
    stage.good(stage.go())
    relayed(stage)
    seen = compare(stage, 1)
    stage.proxy.check_secrets(play.token)
    stage.rows_seen = len(stage.proxy.rows())
    return " and ".join(seen) + f" in {len(stage.recorder.acknowledged())} batches"
