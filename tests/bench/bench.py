#!/usr/bin/env python3
"""How much the proxy costs, beside nginx and HAProxy: one run, peers interleaved, medians, a Markdown table.

    tests/bench/bench.py                      everything (about ten minutes)
    tests/bench/bench.py --only post,sse      some scenarios: post, big, tls, sse, idle, start, million, otlp
    tests/bench/bench.py --quick              seconds: shows that the bench runs; its figures mean nothing
    tests/bench/bench.py --subject nginx      nginx in the proxy's place: every ratio must be about 1

The proxy runs on core 0, the load and the upstream on core 1, in a network namespace of its own with TCP reno where that
is allowed (BBR paces even the loopback device). The figure to trust is processor time per request, as a ratio to nginx in the same
run; nginx has the same work: it checks the key, puts the token in, streams both ways, keeps connections, writes no log.

Needs nginx, wrk, openssl; haproxy if there is one (Debian: nginx-light, wrk, haproxy). Without nginx or wrk: exit code 77.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/acceptance"))

TARGET = "/anthropic/v1/messages"
TOKEN = "dapi" + "be9c" * 8
PROXY_CORE, LOAD_CORE = "0", "1"
LONG = 1_000_000_000
BOOKS = "dbx-agents+books"  # with limits and the ledger


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_listening(port, process=None, limit=10):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process and process.poll() is not None:
            break
        time.sleep(0.001)
    raise SystemExit(f"bench: nothing listens on port {port}")


# --- processes and what they cost ------------------------------------------------------------------------------------


def family(pid):
    """A process and its descendants."""
    found = [pid]
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid):
    """Run time of all threads, to the nanosecond where the kernel tells (schedstat), else in clock ticks."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                try:
                    total += int(Path(f"/proc/{one}/task/{task}/schedstat").read_text().split()[0]) / 1e9
                except OSError:
                    fields = Path(f"/proc/{one}/task/{task}/stat").read_text().rsplit(")", 1)[1].split()
                    total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_kib(pid, field):
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1])
    return total


class Process:
    def __init__(self, argv, core, env=None, ready=None, **kwargs):
        self.process = subprocess.Popen(["taskset", "-c", core, *map(str, argv)], env=env, **kwargs)
        self.pid = self.process.pid
        self.ready = ready

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


# --- the peers -------------------------------------------------------------------------------------------------------


class World:
    """Folders, keys, certificates, the upstreams: what all peers of a run share."""

    def __init__(self, options):
        from proxy_harness import local_keys
        from raw_http import Authority
        from harness import WORKSPACE, Home
        self.options = options
        os.environ["DBX_AGENTS_BIN"] = str(options.binary)
        self.home = Home()
        self.folder = Path(tempfile.mkdtemp(prefix="dbx-bench-", dir=self.home.base))
        self.key = "k" * 43
        if options.subject == "dbx-agents":
            done = self.home.run("setup", "claude", "--auth", "proxy", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": TOKEN},
                                 may_show_secrets=True)
            if done.code:
                raise SystemExit(f"bench: setup failed\n{done}")
            self.key = local_keys(self.home)["claude"]
        self.authority = Authority(self.folder / "ca")
        self.processes = []
        self.ports = {}

    def run(self, argv, core, **kwargs):
        process = Process(argv, core, **kwargs)
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        self.home.close()

    def stop(self, process):
        process.stop()
        self.processes.remove(process)

    def nginx(self, name, body, core):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for sub in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            (folder / sub).mkdir(exist_ok=True)
        temp = "".join(f"{directive}_temp_path {folder}/{sub};" for directive, sub in (
            ("client_body", "body"), ("proxy", "proxy"), ("fastcgi", "fastcgi"), ("uwsgi", "uwsgi"), ("scgi", "scgi")))
        text = f"""
user root;
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  {temp}
  client_max_body_size 0;
  keepalive_requests {LONG};
  keepalive_timeout 3600s;
  {body}
}}
"""
        if os.geteuid() != 0:
            text = text.replace("user root;\n", "")
        (folder / "nginx.conf").write_text(text)
        return self.run(["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], core)

    def start_upstreams(self):
        """nginx with a ready answer, plain and TLS; our own that streams and reads whole bodies; TLS in front of that."""
        plain, tls, stream_tls = free_port(), free_port(), free_port()
        answer = '{"id":"' + "x" * 591 + '"}'
        own = self.run([self.options.peer, "upstream", "--port", "0"], LOAD_CORE, stdout=subprocess.PIPE, text=True)
        stream = int(own.process.stdout.readline().rsplit(":", 1)[1])
        folder = self.authority.folder
        certificate = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_session_cache shared:S:1m;"
        self.nginx("upstream", f"""
  server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ default_type application/json; return 200 '{answer}'; }} }}
  server {{ listen 127.0.0.1:{tls} ssl backlog=4096; {certificate} location / {{ default_type application/json; return 200 '{answer}'; }} }}
  upstream own {{ server 127.0.0.1:{stream}; keepalive 64; }}
  server {{ listen 127.0.0.1:{stream_tls} ssl backlog=4096; {certificate}
    location / {{ proxy_pass http://own; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 3600s; }} }}
""", LOAD_CORE)
        self.ports = {"plain": plain, "tls": tls, "stream": stream, "stream_tls": stream_tls}
        for port in self.ports.values():
            wait_listening(port)


def nginx_proxy(world, name, upstream, extra=""):
    port, tls = free_port(), upstream.endswith("tls")
    scheme = "https" if tls else "http"
    verify = (f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {world.authority.ca}; proxy_ssl_name localhost; proxy_ssl_server_name on;"
              if tls else "")
    process = world.nginx(f"{name}-{upstream}", f"""
  upstream up {{ server 127.0.0.1:{world.ports[upstream]}; keepalive 1024; keepalive_requests {LONG}; keepalive_timeout 3600s; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      if ($http_authorization != "Bearer {world.key}") {{ return 401; }}
      proxy_pass {scheme}://up;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_set_header Authorization "Bearer {TOKEN}";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 3600s;
      {verify} {extra}
    }}
  }}
""", PROXY_CORE)
    wait_listening(port, process.process)
    return process, port


def nginx_64k(world, name, upstream):
    return nginx_proxy(world, name, upstream, "client_body_buffer_size 64k; proxy_buffer_size 64k; proxy_buffers 8 64k;")


def haproxy(world, name, upstream):
    port = free_port()
    tls = f" ssl verify required ca-file {world.authority.ca} sni str(localhost) verifyhost localhost" if upstream.endswith("tls") else ""
    config = world.folder / f"{name}-{upstream}.cfg"
    config.write_text(f"""
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 10s
  timeout client 3600s
  timeout server 3600s
  option http-no-delay
  http-reuse always
frontend front
  bind 127.0.0.1:{port} backlog 4096
  http-request deny deny_status 401 unless {{ req.hdr(authorization) -m str "Bearer {world.key}" }}
  http-request set-header Authorization "Bearer {TOKEN}"
  default_backend back
backend back
  server up 127.0.0.1:{world.ports[upstream]}{tls} pool-max-conn 1024
""")
    process = world.run(["haproxy", "-q", "-db", "-f", config], PROXY_CORE)
    wait_listening(port, process.process)
    return process, port


def ours(world, name, upstream):
    scheme = "https://localhost" if upstream.endswith("tls") else "http://127.0.0.1"
    env = {**world.home.env, "DATABRICKS_TOKEN": TOKEN, "SSL_CERT_FILE": str(world.authority.ca), "NO_PROXY": "127.0.0.1,localhost",
           "HOME": str(world.home.home)}
    started = time.monotonic()
    # Limits that never hold anybody, so that every request takes their whole way.
    books = ["--rpm", str(LONG), "--tpm", str(LONG), "--max-concurrent", "100000"] if name == BOOKS else ["--no-ledger"]
    process = world.run([world.options.binary, "proxy", "--port", "0", "--upstream", f"{scheme}:{world.ports[upstream]}", *books], PROXY_CORE,
                        env=env, stdout=subprocess.PIPE, stderr=open(world.folder / f"{name}-{upstream}.err", "ab"), text=True)
    if not select.select([process.process.stdout], [], [], 20)[0]:
        raise SystemExit("bench: the proxy does not say that it is ready")
    line = process.process.stdout.readline()
    process.ready = time.monotonic() - started
    found = re.search(r":(\d+)\s*$", line)
    if not found:
        raise SystemExit(f"bench: the proxy did not start: {line!r}\n" + (world.folder / f"{name}-{upstream}.err").read_text())
    return process, int(found[1])


def start_peer(world, name, upstream):
    kind = name
    if name == "dbx-agents" and world.options.subject != "dbx-agents":
        kind = world.options.subject
    maker = {"dbx-agents": ours, BOOKS: ours, "nginx": nginx_proxy, "nginx-64k": nginx_64k, "haproxy": haproxy}[kind]
    return maker(world, name, upstream)


# --- telemetry -------------------------------------------------------------------------------------------------------


def attributes_of(record):
    return [("event.name", "claude_code.api_request"), ("session.id", "0b6c1f5e-0000-4000-8000-00000000beef"), ("model", "databricks-claude-opus-4-6"),
            ("input_tokens", str(record)), ("output_tokens", "345"), ("cost_usd", "0.01234"), ("duration_ms", "4321")]


def otlp_batch(size):
    """A batch of log records as agents send them, about `size` bytes of protobuf: (protobuf, JSON)."""
    sys.path.insert(0, str(ROOT / "tests/workspace"))
    import otlp_bytes
    one = otlp_bytes.log(1_700_000_000_000_000_000, "claude_code.api_request", dict(attributes_of(1)))
    count = size // (len(one) + 3)
    protobuf = otlp_bytes.request([otlp_bytes.log(1_700_000_000_000_000_000 + n, "claude_code.api_request", dict(attributes_of(n))) for n in range(count)])
    records = [{"timeUnixNano": str(1_700_000_000_000_000_000 + n), "body": {"stringValue": "claude_code.api_request"},
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes_of(n)]} for n in range(count)]
    return protobuf, json.dumps({"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"scope": {"name": "test"}, "logRecords": records}]}]}).encode()


def otlp_scenario(world, table, size, count):
    """A batch from the agent to the workspace's answer: taken in, amended, spooled, sent. nginx only forwards the same bytes."""
    from raw_http import Client, request_bytes
    world.home.put(".config/dbx-agents/config.toml", '[otel]\ntables = "main.telemetry.dev"\n')
    started = with_peers(world, ["dbx-agents", "nginx"], "stream")  # it reads whole bodies
    protobuf, as_json = otlp_batch(size)
    try:
        for label, body, kind in (("protobuf", protobuf, "application/x-protobuf"), ("JSON", as_json, "application/json")):
            cost = {"dbx-agents": [], "nginx": []}
            for name in interleaved(tuple(cost), world.options.rounds):
                process, port = started[name]
                auth = [("Authorization", f"Bearer {world.key}")]
                data = request_bytes("POST", "/api/2.0/otel/v1/logs", [*auth, ("Content-Type", kind)], body, host=f"127.0.0.1:{port}")

                def delivered(port=port, auth=auth):
                    with Client(port) as asker:
                        asker.send(request_bytes("GET", "/status", auth, host=f"127.0.0.1:{port}"))
                        return asker.answer("GET").json["telemetry"]["signals"]["logs"]["delivered"]

                own = name == "dbx-agents" and world.options.subject == "dbx-agents"
                goal = delivered() + count if own else 0
                before = cpu_seconds(process.pid)
                with Client(port) as client:
                    for _ in range(count):
                        client.send(data)
                        answer = client.answer()
                        if answer.status != 200:
                            raise SystemExit(f"bench: {name} answers a batch of telemetry with {answer}")
                end = time.monotonic() + 60
                while own and delivered() < goal and time.monotonic() < end:
                    time.sleep(0.05)
                if own and delivered() != goal:
                    raise SystemExit("bench: the relay has not delivered every batch")
                cost[name].append((cpu_seconds(process.pid) - before) / count * 1e6)
            table.add(f"telemetry, {len(body) // 1000} KB of {label}", "CPU µs / batch", {name: median(values) for name, values in cost.items()})
    finally:
        stop_peers(world, started)


# --- measuring -------------------------------------------------------------------------------------------------------


def wrk(world, port, size, connections, seconds, target=TARGET):
    done = subprocess.run(["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", HERE / "post.lua",
                           f"http://127.0.0.1:{port}", "--", str(size), world.key, target], capture_output=True, text=True,
                          timeout=seconds + 60)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.M)
    if not found:
        raise SystemExit(f"bench: wrk failed\n{done.stdout}{done.stderr}")
    return json.loads(found[1])


def streams(world, port, count, seconds, events, gap_us):
    done = subprocess.run(["taskset", "-c", LOAD_CORE, world.options.peer, "streams", "--port", str(port), "--streams", str(count), "--seconds",
                           str(seconds), "--target", f"{TARGET}?events={events}&gap_us={gap_us}", "--header", f"Authorization: Bearer {world.key}"],
                          capture_output=True, text=True, timeout=seconds + 60)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"bench: the streams failed\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def interleaved(names, rounds):
    """A B C C B A, again and again: a drift of the machine hits all alike."""
    for n in range(rounds):
        yield from names if n % 2 == 0 else reversed(names)


def median(values):
    return statistics.median(values) if values else float("nan")


class Table:
    """Rows of the result: scenario, a figure for each peer, ratio to nginx, goal."""

    def __init__(self, peers):
        self.peers, self.rows, self.failed = peers, [], []

    def add(self, scenario, unit, figures, goal=None, better="lower", absolute=None, aim=False, note=""):
        """goal: at least (better=higher) or at most (lower) so many times nginx's figure; absolute: at most so much."""
        mine, base = figures.get("dbx-agents"), figures.get("nginx")
        ratio = mine / base if mine is not None and base else None
        verdict = ""
        if absolute is not None and mine is not None:
            verdict = "pass" if mine <= absolute else "FAIL"
            shown_goal = f"≤ {absolute:g} {unit}"
        elif goal is not None and ratio is not None:
            good = ratio >= goal if better == "higher" else ratio <= goal
            verdict = "pass" if good else "FAIL"
            shown_goal = f"{'≥' if better == 'higher' else '≤'} {goal:g}×"
        else:
            shown_goal = ""
        if aim and verdict == "FAIL":
            verdict = "aim missed"
        if aim:
            shown_goal = f"aim {shown_goal}"
        if verdict == "FAIL":
            self.failed.append(scenario)
        self.rows.append((scenario, unit, figures, ratio, shown_goal, verdict, note))

    @staticmethod
    def number(value):
        if value is None or value != value:
            return "–"
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

    def markdown(self):
        names = [p for p in ("dbx-agents", BOOKS, "nginx", "nginx-64k", "haproxy", "direct") if p in self.peers or p == "direct"]
        lines = ["| scenario | figure | " + " | ".join(names) + " | ÷ nginx | goal | |", "|---|---|" + "--:|" * len(names) + "--:|---|---|"]
        for scenario, unit, figures, ratio, goal, verdict, note in self.rows:
            cells = [self.number(figures.get(name)) for name in names]
            lines.append(f"| {scenario} | {unit} | " + " | ".join(cells) + f" | {'' if ratio is None else f'{ratio:.2f}'} | {goal} | {verdict} {note}|")
        return "\n".join(lines)


def with_peers(world, names, upstream):
    """All peers of a scenario at once: {name: (process, port)}."""
    started = {name: start_peer(world, name, upstream) for name in names}
    for process, port in started.values():
        wait_listening(port, process.process)
    return started


def stop_peers(world, started):
    for process, _ in started.values():
        world.stop(process)


def post_scenario(world, table, label, upstream, size, connections, goal, direct=False, latency=False, target=TARGET, aim=False):
    """Requests per processor second, and at one connection the added latency."""
    options = world.options
    started = with_peers(world, options.peers, upstream)
    per_cpu, rate, busy, p50 = ({name: [] for name in (*options.peers, "direct")} for _ in range(4))
    errors = 0
    try:
        for name in options.peers:
            wrk(world, started[name][1], size, connections, options.warm, target)
        order = (*options.peers, "direct") if direct else options.peers
        for name in interleaved(order, options.rounds):
            if name == "direct":
                p50["direct"].append(wrk(world, world.ports[upstream], size, connections, options.seconds, target)["p50_us"])
                continue
            process, port = started[name]
            before, at = cpu_seconds(process.pid), time.monotonic()
            result = wrk(world, port, size, connections, options.seconds, target)
            used, wall = cpu_seconds(process.pid) - before, time.monotonic() - at
            errors += result["errors"]
            if result["requests"] == 0 or used == 0:
                raise SystemExit(f"bench: {name} served nothing in {label}: {result}")
            per_cpu[name].append(result["requests"] / used)
            rate[name].append(result["requests"] / result["seconds"])
            busy[name].append(used / wall)
            p50[name].append(result["p50_us"])
    finally:
        stop_peers(world, started)
    if errors:
        table.failed.append(label)
    cost = {name: 1e6 / median(values) for name, values in per_cpu.items() if values}
    table.add(label, "req / CPU s", {n: median(v) for n, v in per_cpu.items() if v}, goal, "higher", aim=aim,
              note=f"{errors} errors " if errors else "")
    table.add(label, "CPU µs / req", cost)
    if BOOKS in per_cpu and per_cpu[BOOKS]:
        table.add(f"{label}, with books", "req / CPU s", {"dbx-agents": median(per_cpu[BOOKS]), "nginx": median(per_cpu["nginx"])}, 0.75, "higher", aim=aim)
    table.add(label, "req / s", {n: median(v) for n, v in rate.items() if v}, note=f"core busy {median(busy['dbx-agents']):.0%} ")
    if latency:
        base = median(p50["direct"])
        added = {n: median(v) - base for n, v in p50.items() if v and n != "direct"}
        table.add(label, "added p50 µs", {**added, "direct": base}, 1.0, "lower", aim=True)
    say(f"  {label}: {', '.join(f'{n} {cost[n]:.1f} µs' for n in cost)}")


def sse_scenario(world, table, label, upstream, count, events, gap_us, goals):
    options = world.options
    started = with_peers(world, options.peers, upstream)
    seconds = max(options.seconds, 0.5 if options.quick else 3)
    delay, tail, cost = ({name: [] for name in (*options.peers, "direct")} for _ in range(3))
    errors = 0
    try:
        order = (*options.peers, "direct") if upstream == "stream" else options.peers
        for name in interleaved(order, options.rounds):
            process, port = started.get(name, (None, world.ports[upstream]))
            before = cpu_seconds(process.pid) if process else 0
            result = streams(world, port, count, seconds, events, gap_us)
            errors += result["errors"]
            if result["events"] == 0:
                raise SystemExit(f"bench: no event came through {name}")
            delay[name].append(result["p50_us"])
            tail[name].append(result["p99_us"])
            if process:
                cost[name].append((cpu_seconds(process.pid) - before) * 1e6 / result["events"])
    finally:
        stop_peers(world, started)
    if errors:
        table.failed.append(label)
    medians = lambda values: {n: median(v) for n, v in values.items() if v}
    table.add(label, "delay p50 µs", medians(delay), goals[0], "lower", note=f"{errors} errors " if errors else "")
    table.add(label, "delay p99 µs", medians(tail))
    table.add(label, "CPU µs / event", medians(cost), goals[1], "lower")
    say(f"  {label}: {', '.join(f'{n} {median(delay[n]):.0f} µs' for n in delay if delay[n])}")


def first_event_scenario(world, table, label, count, events, gap_us, aim):
    """From a request to its first event, over that without a proxy. Streams are short, so that there are many."""
    options = world.options
    started = with_peers(world, options.peers, "stream")
    first = {name: [] for name in (*options.peers, "direct")}
    try:
        for name in interleaved(tuple(first), options.rounds):
            port = started[name][1] if name in started else world.ports["stream"]
            first[name].append(streams(world, port, count, 0.5 if options.quick else 2, events, gap_us)["first_p50_us"])
    finally:
        stop_peers(world, started)
    added = {name: median(values) - median(first["direct"]) for name, values in first.items() if name != "direct"}
    table.add(label, "first event, added p50 µs", added, 1.1, "lower")
    if BOOKS in added:
        # At one stream every core sleeps between two events: what waking costs on this machine is in nginx's figure too.
        table.add(f"{label}, with books", "first event, added p50 µs", {"dbx-agents": added[BOOKS], "nginx": added.get("nginx")}, absolute=150, aim=aim)
    say(f"  {label}: {', '.join(f'{n} {v:.0f} µs' for n, v in added.items())}")


def idle_scenario(world, table, label, upstream, count, absolute):
    figures = {}
    for name in world.options.peers:
        process, port = start_peer(world, name, upstream)
        try:
            streams_client = lambda n: subprocess.Popen(
                ["taskset", "-c", LOAD_CORE, world.options.peer, "idle", "--port", str(port), "--streams", str(n), "--target", TARGET + "?idle",
                 "--header", f"Authorization: Bearer {world.key}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            warm = streams_client(1)
            warm.stdout.readline()
            before = memory_kib(process.pid, "Pss")
            client = streams_client(count)
            line = client.stdout.readline()
            after = memory_kib(process.pid, "Pss")
            for one in (client, warm):
                one.communicate("", timeout=30)
            if line.strip() != "ready":
                raise SystemExit(f"bench: {count} idle streams through {name} did not work")
            figures[name] = (after - before) / count
        finally:
            world.stop(process)
    table.add(label, "KiB", figures, absolute=absolute)
    say(f"  {label}: {', '.join(f'{n} {v:.1f} KiB' for n, v in figures.items())}")


def start_scenario(world, table):
    if world.options.subject != "dbx-agents":
        return
    times, rss, private = [], [], []
    for _ in range(3 if world.options.quick else 15):
        process, _ = ours(world, "start", "plain")
        times.append(process.ready * 1000)
        rss.append(memory_kib(process.pid, "Rss") / 1024)
        private.append((memory_kib(process.pid, "Private_Clean") + memory_kib(process.pid, "Private_Dirty")) / 1024)
        world.stop(process)
    table.add("start to listening", "ms", {"dbx-agents": median(times)}, absolute=15, note="(with taskset) ")
    table.add("resident, idle", "MB", {"dbx-agents": median(rss)}, absolute=15, aim=True, note=f"(private {median(private):.1f}) ")


def million_scenario(world, table, requests):
    """Resident size after a tenth, and after all of the requests."""
    process, port = start_peer(world, "dbx-agents", "plain")
    try:
        done, first = 0, None
        while done < requests:
            done += wrk(world, port, 1000, 16, 2)["requests"]
            if first is None and done >= requests / 10:
                first = memory_kib(process.pid, "Rss")
        last = memory_kib(process.pid, "Rss")
    finally:
        world.stop(process)
    table.add(f"resident after {done:,} requests", "MB", {"dbx-agents": last / 1024}, note=f"({first / 1024:.2f} after a tenth) ")
    table.add("growth over nine tenths of them", "KiB", {"dbx-agents": float(last - first)}, absolute=512)


def report(world, table):
    options = world.options
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
    version = lambda *argv: (subprocess.run(argv, capture_output=True, text=True).stdout + subprocess.run(argv, capture_output=True, text=True).stderr
                             ).strip().splitlines()[0] if shutil.which(argv[0]) else "none"
    load = os.getloadavg()[0]
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    print(f"""## Proxy benchmark, {datetime.date.today()}

{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, TCP {congestion}{', own network namespace' if options.inside else ''}. Proxy on core {PROXY_CORE}, load and upstream on core {LOAD_CORE}. Load average {load:.1f}{' at the end: **other work disturbed this run; only the ratios count**' if load > 3 else ''}.
{version('nginx', '-v')}; {version('haproxy', '-v')}; {options.rounds} interleaved rounds of {options.seconds} s, medians. Key check and token injection are on in all.
""")
    if options.quick:
        print("**Quick run: it shows that the bench works; the figures mean nothing.**\n")
    if options.subject != "dbx-agents":
        print(f"**{options.subject} stands in for the proxy.**\n")
    print(table.markdown())
    print()
    if options.quick:
        return
    print("FAILED: " + ", ".join(dict.fromkeys(table.failed)) if table.failed else "All goals are met.")


def isolated(options):
    """Runs itself again in a network namespace with TCP reno, where that is allowed."""
    if options.inside or options.no_namespace or not shutil.which("unshare"):
        return
    script = 'ip link set lo up && { echo reno > /proc/sys/net/ipv4/tcp_congestion_control || true; } 2>/dev/null; exec "$@"'
    if subprocess.run(["unshare", "-n", "sh", "-c", "ip link set lo up"], capture_output=True).returncode == 0:
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, "-B", __file__, *sys.argv[1:], "--inside"])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/release/cli/dbx-agents", type=Path)
    parser.add_argument("--peer", type=Path, help="dbx-bench-peer (default: beside the binary's build)")
    parser.add_argument("--only", default="", help="scenarios, separated by commas")
    parser.add_argument("--subject", default="dbx-agents", choices=["dbx-agents", "nginx", "nginx-64k", "haproxy"])
    parser.add_argument("--peers", default="nginx,nginx-64k,haproxy")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--books", action="store_true", help="our proxy a second time, with limits and the ledger")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-namespace", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.binary = options.binary.resolve()
    options.peer = (options.peer or options.binary.parents[1] / "tests/bench/dbx-bench-peer").resolve()
    options.warm = 1
    if options.quick:
        options.rounds = 1
    return options


def main():
    options = arguments()
    for tool in ("nginx", "wrk", "openssl", "taskset"):
        if not shutil.which(tool):
            say(f"bench: {tool} is not installed; nothing is measured (Debian: apt-get install nginx-light wrk haproxy)")
            return 77
    for program in (options.peer, *([options.binary] if options.subject == "dbx-agents" else [])):
        if not os.access(program, os.X_OK):
            say(f"bench: {program} is not there: build it first (cmake --preset release && cmake --build --preset release)")
            return 2
    if (os.cpu_count() or 1) < 2:
        say("bench: two cores are needed")
        return 77
    isolated(options)
    others = [p for p in options.peers.split(",") if p and (p != "haproxy" or shutil.which("haproxy"))]
    options.peers = ["dbx-agents", *([BOOKS] if options.books else []), *(others[:1] if options.quick else others)]
    wanted = set(filter(None, options.only.split(","))) or ({"post", "sse", "idle", "start", "otlp"} if options.quick else
                                                            {"post", "big", "tls", "sse", "idle", "start", "million", "otlp"})
    unknown = wanted - {"post", "big", "tls", "sse", "idle", "start", "million", "otlp"}
    if unknown:
        say(f"bench: unknown scenarios: {', '.join(sorted(unknown))}")
        return 2
    world, table = World(options), Table(options.peers)
    try:
        world.start_upstreams()
        run(world, table, wanted)
        report(world, table)
    finally:
        world.close()
    return 1 if table.failed and not options.quick else 0


def run(world, table, wanted):
    quick = world.options.quick
    if "start" in wanted:
        start_scenario(world, table)
    if "post" in wanted:
        for size, connections in ((20_000, 16),) if quick else ((1_000, 1), (1_000, 16), (1_000, 64), (20_000, 1), (20_000, 16), (20_000, 64)):
            post_scenario(world, table, f"{size // 1000} KB POST, {connections} conn.", "plain", size, connections, 0.85, direct=connections == 1,
                          latency=connections == 1)
    if "tls" in wanted:
        for size, connections in ((1_000, 16), (20_000, 1), (20_000, 16), (20_000, 64)):
            post_scenario(world, table, f"TLS, {size // 1000} KB POST, {connections} conn.", "tls", size, connections, 0.85, direct=False)
    if "big" in wanted:
        post_scenario(world, table, "500 KB POST, 16 conn.", "stream", 500_000, 16, 1.0)
        post_scenario(world, table, "5 MB POST, 4 conn.", "stream", 5_000_000, 4, 1.0, aim=True)
        post_scenario(world, table, "TLS, 500 KB POST, 16 conn.", "stream_tls", 500_000, 16, 0.85, aim=True)
    if "sse" in wanted:
        sse_scenario(world, table, "SSE, 64 × 64 events, 20 ms", "stream", 64, 64, 20_000, (1.1, 1.35))
        first_event_scenario(world, table, "SSE, 64 × 4 events, 20 ms", 64, 4, 20_000, False)
        if not quick:
            sse_scenario(world, table, "SSE, 1 stream, 5 ms", "stream", 1, 64, 5_000, (1.1, 1.35))
            first_event_scenario(world, table, "SSE, 1 stream, 2 events, 5 ms", 1, 2, 5_000, True)
            sse_scenario(world, table, "SSE over TLS, 64 × 64 events, 20 ms", "stream_tls", 64, 64, 20_000, (1.1, 1.35))
    if "idle" in wanted:
        count = 50 if quick else 1000
        idle_scenario(world, table, f"{count:,} idle streams, each", "stream", count, None if quick else 24)
        if not quick:
            idle_scenario(world, table, f"{count:,} idle TLS streams, each", "stream_tls", count, 64)
    if "otlp" in wanted:
        otlp_scenario(world, table, 128_000, 20 if quick else 500)
    if "million" in wanted:
        million_scenario(world, table, 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
