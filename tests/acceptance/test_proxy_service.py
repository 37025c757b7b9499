"""The proxy as a service: the ready line, its own pages, signals, reload, status and stop, rotated keys."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from harness import main
from proxy_harness import MESSAGES, ProxyTest, local_keys, scratch_folder
from raw_http import LIMIT, SOON, Client, Step, read_chunk, request_bytes, wait_for

BODY = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"messages":[]}'


class Service(ProxyTest):
    def streaming(self, events=3):
        """An upstream whose streams go on when the test says so: steps[n] releases event n."""
        self.steps = [Step() for _ in range(events)]

        def answer(peer, seen):
            if "stream" not in seen.target:
                peer.answer(200, seen.body)
                return
            peer.stream()
            for n, step in enumerate(self.steps):
                step.wait("the test did not go on")
                peer.chunk(b"data: %d\n\n" % n)
            peer.end()

        return answer

    def begin_stream(self, proxy=None):
        c = self.client(proxy)
        c.send(self.bytes_of("POST", MESSAGES + "?stream", body=BODY, proxy=proxy))
        self.assertEqual(c.head().status, 200)
        self.steps[0].go()
        self.assertEqual(read_chunk(c), b"data: 0\n\n")
        return c

    def finish_stream(self, c):
        for n, step in enumerate(self.steps[1:], 1):
            step.go()
            self.assertEqual(read_chunk(c), b"data: %d\n\n" % n)
        self.assertEqual(read_chunk(c), b"")

    def cannot_connect(self, port):
        try:
            with Client(port, limit=2) as c:
                c.send_quietly(request_bytes("GET", "/healthz", host=f"127.0.0.1:{port}"))
                return c.rest(2)[0] == b""
        except OSError:
            return True

    def state_env(self):
        """A state directory of its own, so that status and stop see only this test's proxy."""
        import shutil
        state = scratch_folder(self) / "state"
        shutil.copytree(self.h.state, state / "dbx-agents", ignore=shutil.ignore_patterns("*.lock"))
        return {"XDG_STATE_HOME": state}


class Ready(Service):
    def test_one_line_says_that_it_listens(self):
        self.start()
        self.assertEqual(self.p.line, f"listening on http://127.0.0.1:{self.p.port}")
        self.is_200(self.ask())
        self.p.stop()
        self.assertEqual(self.p.output().decode().strip(), self.p.line, "nothing else goes to stdout")

    def test_the_line_comes_as_json_with_json(self):
        self.start(None, json_line=True)
        document = json.loads(self.p.line)
        self.assertIn(f"http://127.0.0.1:{self.p.port}", json.dumps(document))
        self.is_200(self.ask())

    def test_it_answers_as_soon_as_the_line_is_there(self):
        for _ in range(5):
            self.start()
            self.is_200(self.ask("GET", "/healthz"))

    def test_the_port_of_the_flag_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.start(None, "--port", port)
        self.assertEqual(self.p.port, port)

    def test_the_port_of_the_configuration_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        config = scratch_folder(self) / "config.toml"
        config.write_text(f"[proxy]\nport = {port}\n")
        self.up = self.upstream()
        process = self.h.spawn("proxy", "--upstream", self.up.url, env={"DBX_AGENTS_CONFIG": config})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertEqual(process.stdout.readline().decode().strip(), f"listening on http://127.0.0.1:{port}")

    def test_wrong_numbers_are_wrong_usage(self):
        for args in (("--port", "65536"), ("--port", "-1"), ("--port", "x"), ("--threads", "0"), ("--threads", "x"), ("--drain", "-1"), ("--log-level", "loud"), ("--port",), ("--unknown",)):
            with self.subTest(args=args):
                self.assertEqual(self.h.run("proxy", *args, timeout=10).code, 2)

    def test_a_closed_stdout_does_not_kill_it(self):
        self.up = self.upstream()
        read, write = os.pipe()
        os.close(read)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        process = self.h.spawn("proxy", "--port", port, "--upstream", self.up.url, stdout=write, stderr=subprocess.DEVNULL)
        os.close(write)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def healthy():
            try:
                with Client(port) as c:
                    c.send(request_bytes("GET", "/healthz", host=f"127.0.0.1:{port}"))
                    return c.answer().status == 200
            except OSError:
                return process.poll() is not None

        wait_for(healthy)
        self.assertIsNone(process.poll(), "it died of its ready line")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(LIMIT), 0)

    def test_a_second_proxy_on_the_same_port_names_the_first(self):
        self.start()
        result = self.h.run("proxy", "--port", self.p.port, "--upstream", self.up.url, timeout=20)
        self.is_error(result, 1, str(self.p.pid), str(self.p.port), unchanged=False)
        self.is_200(self.ask())

    def test_a_port_that_another_program_has_is_an_error_that_says_so(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            result = self.h.run("proxy", "--port", port, "--upstream", "http://127.0.0.1:9", timeout=20)
        self.is_error(result, 1, str(port), unchanged=False)

    def test_a_port_left_in_time_wait_is_taken_again_at_once(self):
        self.start()
        port = self.p.port
        self.is_200(self.ask(headers=[("Connection", "close")]))
        c = self.client()
        self.is_200(self.ask(client=c))
        self.p.stop()
        self.start(None, "--port", port)
        self.is_200(self.ask())


class Pages(Service):
    def test_status_counts_in_json(self):
        self.start()
        for _ in range(3):
            self.is_200(self.ask())
        got = self.is_200(self.ask("GET", "/status"))
        self.assertIn("application/json", got.one("content-type"))
        self.assertIsInstance(got.json, dict)
        self.assertIn(3, list(self.numbers(got.json)), f"three requests are counted somewhere\n{got}")

    def numbers(self, value):
        if isinstance(value, dict):
            for inner in value.values():
                yield from self.numbers(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from self.numbers(inner)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield value

    def test_metrics_are_prometheus_text(self):
        self.start()
        for _ in range(3):
            self.is_200(self.ask())
        got = self.is_200(self.ask("GET", "/metrics"))
        self.assertTrue(got.one("content-type").startswith("text/plain"), got.one("content-type"))
        self.assertTrue(got.text.endswith("\n"))
        types, samples = {}, {}
        for line in got.text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, types)
                self.assertIn(kind, ("counter", "gauge", "histogram", "summary"))
                types[name] = kind
            elif line and not line.startswith("#"):
                found = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+\-]+|NaN|[+-]Inf)', line)
                self.assertTrue(found, f"not a sample: {line!r}")
                self.assertNotIn((found[1], found[2]), samples, "a sample twice")
                samples[found[1], found[2]] = float(found[3])
        self.assertTrue(types)
        for name, _ in samples:
            self.assertTrue(name in types or re.sub(r"_(bucket|sum|count|total)$", "", name) in types, f"{name} has no TYPE")
        self.assertIn(3.0, samples.values())

    def test_head_and_other_methods_of_the_own_pages(self):
        self.start()
        for page in ("/healthz", "/status", "/metrics"):
            c = self.client()
            got = self.ask("HEAD", page, client=c)
            self.assertEqual((got.status, bytes(c.buffer)), (200, b""))
            self.assertIn(self.ask("POST", page, body=b"{}").status, (400, 404, 405))
            self.assertIn(self.ask("DELETE", page).status, (400, 404, 405))

    def test_the_own_pages_answer_while_the_gateway_is_down(self):
        self.p = self.proxy(up="http://127.0.0.1:9")
        for page in ("/healthz", "/status", "/metrics"):
            self.is_200(self.ask("GET", page))


class Signals(Service):
    def test_sigterm_lets_a_stream_finish_and_takes_no_new_clients(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                self.start(self.streaming())
                c = self.begin_stream()
                self.p.signal(number)
                wait_for(lambda: self.cannot_connect(self.p.port), "it still accepts")
                self.assertIsNone(self.p.process.poll(), "it did not wait for the stream")
                self.finish_stream(c)
                self.assertEqual(self.p.wait(), 0 if number == signal.SIGTERM else self.p.process.returncode)
                self.assertIn(self.p.process.returncode, (0, 130))

    def test_sigterm_without_work_ends_at_once_also_with_idle_clients(self):
        self.start()
        c = self.client()
        self.is_200(self.ask(client=c))
        self.client()
        at = time.monotonic()
        self.p.signal(signal.SIGTERM)
        self.assertEqual(self.p.wait(), 0)
        self.assertLess(time.monotonic() - at, SOON)
        self.assertIn(c.rest()[1], ("eof", "reset"))

    def test_an_answer_during_the_drain_closes_its_connection(self):
        go = Step()

        def answer(peer, seen):
            go.wait()
            peer.answer(200, b"late")

        self.start(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        wait_for(lambda: self.up.requests)
        self.p.signal(signal.SIGTERM)
        wait_for(lambda: self.cannot_connect(self.p.port))
        go.go()
        self.is_200(c.answer(), b"late")
        self.assertEqual(c.rest()[1], "eof")
        self.assertEqual(self.p.wait(), 0)

    def test_a_signal_right_after_the_ready_line_is_honoured(self):
        for _ in range(5):
            self.start()
            self.p.signal(signal.SIGHUP)
            self.is_200(self.ask())
            self.start()
            self.p.signal(signal.SIGTERM)
            self.assertEqual(self.p.wait(), 0)

    def test_signals_are_honoured_while_and_after_the_databricks_cli_makes_a_token(self):
        """A child process must not take the signals away from the proxy that waits for it."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            for when in ("while", "after"):
                with self.subTest(signal=number.name, when=when):
                    self.up = self.upstream()
                    env, made, behaviour = self.token_source()
                    behaviour.write_text("FAKE_DATABRICKS_BEHAVIOUR=slow\nFAKE_DATABRICKS_SLOW=1.5\n" if when == "while" else "")
                    self.p = self.proxy(env=env)
                    wait_for(made, "no token is made at the start")
                    if when == "after":
                        self.is_200(self.ask())
                    self.p.signal(number)
                    if number == signal.SIGTERM:
                        self.assertEqual(self.p.wait(), 0)
                    else:
                        self.is_200(self.ask())
                        wait_for(lambda: "SIGHUP" in self.p.err, "the reload was lost")

    def test_a_second_signal_ends_at_once(self):
        self.start(self.streaming())
        c = self.begin_stream()
        self.p.signal(signal.SIGTERM)
        wait_for(lambda: self.cannot_connect(self.p.port))
        self.assertIsNone(self.p.process.poll())
        at = time.monotonic()
        self.p.signal(signal.SIGTERM)
        self.assertIsNotNone(self.p.wait())
        self.assertLess(time.monotonic() - at, SOON)
        data, _ = c.rest()
        self.assertNotIn(b"0\r\n\r\n", data, "a cut stream got a clean end")

    def test_the_drain_has_an_end(self):
        self.start(self.streaming(), "--drain", "1")
        c = self.begin_stream()
        at = time.monotonic()
        self.p.signal(signal.SIGTERM)
        code = self.p.wait()
        self.assertIsNotNone(code, "it waits for ever")
        took = time.monotonic() - at
        self.assertTrue(0.8 <= took < 4, f"it took {took:.2f} s")
        self.assertNotIn(b"0\r\n\r\n", c.rest()[0], "a cut stream got a clean end")

    def test_a_vanished_reader_of_stderr_and_sigpipe_do_no_harm(self):
        self.start()
        self.p.signal(signal.SIGPIPE)
        self.is_200(self.ask())

    def test_a_killed_proxy_can_be_started_again(self):
        env = self.state_env()
        self.up = self.upstream()
        first = self.proxy(env=env)
        first.kill()
        second = self.proxy("--port", first.port, env=env)
        self.is_200(self.ask(proxy=second))


class Reload(Service):
    def setUp(self):
        super().setUp()
        self.config = scratch_folder(self) / "config.toml"
        self.config.write_text('[[proxy.model]]\nasked = "asked"\nsent = "mapped-by-one"\n')
        self.start(self.streaming(4), env={"DBX_AGENTS_CONFIG": self.config})
        self.is_200(self.ask("GET", "/healthz"))

    def model(self):
        """What becomes of the model "asked" in Gemini's path."""
        self.is_200(self.ask("POST", "/gemini/v1beta/models/asked:generateContent"))
        return self.up.requests[-1].target.split("/")[-1].split(":")[0]

    def test_sighup_rereads_the_configuration_without_dropping_a_stream(self):
        c = self.begin_stream()
        kept = self.client()
        self.is_200(self.ask(client=kept))
        self.assertEqual(self.model(), "mapped-by-one")
        self.config.write_text('[[proxy.model]]\nasked = "asked"\nsent = "mapped-by-two"\n')
        self.p.signal(signal.SIGHUP)
        wait_for(lambda: self.model() == "mapped-by-two", "the new configuration is not used")
        self.is_200(self.ask(client=kept))
        self.finish_stream(c)

    def test_a_broken_new_configuration_keeps_the_old_one_and_says_so(self):
        for text in ("[proxy\nbroken", '[[proxy.model]]\nasked = "x"\n', "\xff\xfe"):
            with self.subTest(text=text):
                before = len(self.p.err)
                self.config.write_bytes(text.encode("latin-1"))
                self.p.signal(signal.SIGHUP)
                wait_for(lambda: "config.toml" in self.p.err[before:], lambda: f"it says nothing\n{self.p.err[before:]}")
                self.assertEqual(self.model(), "mapped-by-one")

    def test_a_new_configuration_with_which_no_proxy_would_start_keeps_the_old_one(self):
        for text in ('[proxy]\nmax_connections = "x"\n', "[proxy]\nthreads = 0\n", '[proxy]\ndrain = "soon"\n'):
            with self.subTest(text=text):
                before = len(self.p.err)
                self.config.write_text(text)
                self.p.signal(signal.SIGHUP)
                wait_for(lambda: self.p.err[before:], "it says nothing")
                self.assertEqual(self.model(), "mapped-by-one", self.p.err[before:])

    def test_a_broken_new_configuration_is_told_of_at_every_level(self):
        for args in (("--log-level", "warn"), ("--quiet",)):
            with self.subTest(args=args):
                proxy = self.proxy(*args, env={"DBX_AGENTS_CONFIG": self.config})
                self.is_200(self.ask("GET", "/healthz", proxy=proxy))
                good = self.config.read_text()
                self.config.write_text("[proxy\nbroken")
                proxy.signal(signal.SIGHUP)
                try:
                    wait_for(lambda: "config.toml" in proxy.err, "it says nothing", limit=5)
                finally:
                    self.config.write_text(good)

    def test_a_configuration_that_vanished_keeps_the_old_one_and_says_so(self):
        before = len(self.p.err)
        self.config.unlink()
        self.p.signal(signal.SIGHUP)
        wait_for(lambda: "config.toml" in self.p.err[before:])
        self.assertEqual(self.model(), "mapped-by-one")

    def test_many_reloads_in_a_row_do_no_harm(self):
        self.is_200(self.ask())
        c = self.begin_stream()
        for n in range(50):
            self.config.write_text(f'[[proxy.model]]\nasked = "asked"\nsent = "number-{n}"\n')
            self.p.signal(signal.SIGHUP)
            self.is_200(self.ask())
        wait_for(lambda: self.model() == "number-49")
        self.finish_stream(c)

    def test_a_changed_port_does_not_disturb_the_running_proxy(self):
        self.config.write_text("[proxy]\nport = 1\n")
        self.p.signal(signal.SIGHUP)
        self.is_200(self.ask())


class Commands(Service):
    def test_status_and_stop_work_on_the_running_proxy(self):
        env = self.state_env()
        self.up = self.upstream(self.streaming())
        self.p = self.proxy(env=env)
        port = str(self.p.port)
        shown = self.ok(self.h.run("proxy", "status", env=env))
        self.assertIn(port, shown.out)
        self.assertIn(str(self.p.pid), shown.out)
        document = json.loads(self.ok(self.h.run("proxy", "status", "--json", env=env)).out)
        self.assertIn(port, json.dumps(document))
        c = self.begin_stream()
        stopping = self.h.spawn("proxy", "stop", env=env)
        wait_for(lambda: self.cannot_connect(self.p.port), "stop does not stop")
        self.finish_stream(c)
        out, err = stopping.communicate(timeout=LIMIT)
        self.assertEqual(stopping.returncode, 0, out + err)
        self.assertEqual(self.p.wait(), 0)

    def test_status_shows_the_limits_and_the_ledger(self):
        env = self.state_env()
        config = scratch_folder(self) / "config.toml"
        config.write_text('[[proxy.limit]]\nagent = "claude"\nrequests_per_minute = 2\n[[proxy.limit]]\nconcurrent = 3\n'
                          '[[proxy.budget]]\ntokens_per_day = 1000000\n')
        self.up = self.upstream()
        self.p = self.proxy("--hold", "0", "--config", config, env=env)
        for expected in (200, 200, 429):
            self.assertEqual(self.ask().status, expected)
        status = json.loads(self.ok(self.h.run("proxy", "status", "--json", env=env)).out)["proxies"][0]["status"]
        first = status["limits"][0]
        self.assertEqual((first["allowed"], first["refused"], first["agent"]), (2, 1, "claude"))
        self.assertGreater(first["frees_in_ms"], 0)
        self.assertEqual(status["ledger"]["health"], "good")
        self.assertEqual(status["ledger_file"], str(env["XDG_STATE_HOME"] / "dbx-agents/usage.db"))
        shown = self.ok(self.h.run("proxy", "status", env=env)).out
        self.assertRegex(shown, r"limits +limit 1 \(claude\): \S+ of 2 requests per minute, 1 refused, free in (?:\d+ s|1 min)\n")
        self.assertRegex(shown, r"limit 2: 0 of 3 concurrent requests\n")
        self.assertRegex(shown, r"budget 1: \d+ of 1000000 tokens per day, starts anew \d{4}-")
        self.assertRegex(shown, r"ledger +good, 3 rows written\n")

    def test_status_without_limits_or_ledger_says_so(self):
        env = self.state_env()
        self.up = self.upstream()
        self.p = self.proxy("--no-ledger", env=env)
        shown = self.ok(self.h.run("proxy", "status", env=env)).out
        self.assertRegex(shown, r"limits +none\n")
        self.assertRegex(shown, r"ledger +off\n")

    def test_status_of_an_ill_ledger_says_why(self):
        env = self.state_env()
        notes = scratch_folder(self) / "notes.txt"
        notes.write_text("not a database, and not to be touched\n" * 50)
        self.up = self.upstream()
        self.p = self.proxy("--ledger", notes, env=env)
        self.is_200(self.ask())
        shown = self.ok(self.h.run("proxy", "status", env=env)).out
        self.assertRegex(shown, r"ledger +unavailable \(.*not a database.*\), 0 rows written, 1 row waiting in memory\n")
        self.assertEqual(notes.read_text(), "not a database, and not to be touched\n" * 50)

    def test_status_and_stop_without_a_proxy_say_so(self):
        env = self.state_env()
        for command in ("status", "stop"):
            result = self.h.run("proxy", command, env=env)
            self.assertIn(result.code, (0, 1), f"\n{result}")
            self.assertIn("no proxy", result.text.lower().replace("not running", "no proxy"), f"\n{result}")
        self.assertEqual(self.h.run("proxy", "status", env=env).code, 1)

    def test_status_after_a_kill_is_not_fooled_by_what_is_left(self):
        env = self.state_env()
        self.up = self.upstream()
        self.p = self.proxy(env=env)
        self.p.kill()
        self.assertEqual(self.h.run("proxy", "status", env=env).code, 1)
        innocent = subprocess.Popen(["/bin/sleep", "60"])
        self.addCleanup(innocent.wait)
        self.addCleanup(innocent.kill)
        for path in Path(env["XDG_STATE_HOME"]).rglob("*"):  # its number may belong to somebody else by now
            if path.is_file() and path.stat().st_size < 4096:
                data = path.read_bytes()
                if str(self.p.pid).encode() in data:
                    path.write_bytes(data.replace(str(self.p.pid).encode(), str(innocent.pid).encode()))
        self.h.run("proxy", "stop", env=env)
        self.assertIsNone(innocent.poll(), "stop killed somebody else")

    def test_rotate_keys_gives_new_ones_and_the_old_ones_die(self):
        home = self.fresh()
        home.env["DATABRICKS_TOKEN"] = self.TOKEN
        self.ok(home.run("setup", "claude", "codex", "gemini", "--auth", "proxy", "--workspace", "https://adb-1.2.azuredatabricks.net", "--yes", may_show_secrets=True))
        old = local_keys(home)
        home.secrets += old.values()
        self.up = self.upstream()
        before, self.h = self.h, home
        self.addCleanup(setattr, self, "h", before)
        self.p = self.proxy()

        def status(key):
            with Client(self.p.port) as c:
                c.send(request_bytes("POST", MESSAGES, [("Authorization", f"Bearer {key}")], BODY, host=f"127.0.0.1:{self.p.port}"))
                return c.answer().status

        self.assertEqual(status(old["claude"]), 200)
        result = self.ok(home.run("proxy", "rotate-keys"))
        new = local_keys(home)
        for agent in old:
            self.assertNotIn(old[agent], result.text)
            self.assertNotIn(new[agent], result.text)
            self.assertNotEqual(new[agent], old[agent], f"the file of {agent} still holds the old key")
        home.secrets += new.values()
        wait_for(lambda: status(new["claude"]) == 200 and status(old["claude"]) == 401, "the running proxy does not know the new keys")
        for agent in new:
            self.assertEqual((status(new[agent]), status(old[agent])), (200, 401))

    def test_a_key_made_by_a_later_setup_is_known_to_the_running_proxy(self):
        home = self.fresh()
        home.env["DATABRICKS_TOKEN"] = self.TOKEN
        setup = lambda agent: self.ok(home.run("setup", agent, "--auth", "proxy", "--workspace", "https://adb-1.2.azuredatabricks.net", "--yes", may_show_secrets=True))
        setup("claude")
        self.up = self.upstream()
        before, self.h = self.h, home
        self.addCleanup(setattr, self, "h", before)
        self.p = self.proxy()
        setup("codex")
        key = local_keys(home)["codex"]
        home.secrets.append(key)

        def status():
            with Client(self.p.port) as c:
                c.send(request_bytes("POST", "/openai/v1/responses", [("Authorization", f"Bearer {key}")], BODY, host=f"127.0.0.1:{self.p.port}"))
                return c.answer().status

        wait_for(lambda: status() == 200, "a proxy must not have to be restarted for a new agent")

    def test_a_proxy_without_any_key_says_what_to_do(self):
        home = self.fresh()
        self.up = self.upstream()
        process = home.spawn("proxy", "--port", "0", "--upstream", self.up.url, env={"DATABRICKS_TOKEN": self.TOKEN})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        line = process.stdout.readline()  # it may start and say so, or refuse
        process.terminate()
        err = process.stderr.read().decode()
        self.assertIn("dbx-agents setup", err, f"{line!r}\n{err}")


if __name__ == "__main__":
    main()
