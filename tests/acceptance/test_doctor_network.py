"""doctor and the gateway: each agent's route, token and model are tried against the stand-in workspace (DBX_AGENTS_WORKSPACE; skipped
without it), through proxies and certificates of these tests' own where a case is about them."""

import fcntl
import json
import os
import re
import socket
import sqlite3
import subprocess
import time
import unittest

import between
from doctor_base import CONFIG, DATABASE, KEY, OTHER, SETTINGS, Base, standin
from harness import binary, main


@unittest.skipUnless(os.access(os.environ.get("DBX_AGENTS_WORKSPACE", ""), os.X_OK), "needs DBX_AGENTS_WORKSPACE")
class Network(Base):
    network = ()

    def setUp(self):
        super().setUp()
        self.w = standin.Workspace(str(self.h.base / "workspace"))
        self.addCleanup(self.w.stop)
        self.url = f"http://127.0.0.1:{self.w.port}"
        self.env = {"DATABRICKS_TOKEN": standin.PAT, "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def configure(self, agent=None, form="pat", *more, env=None):
        args = ["setup", agent or self.agent, "--workspace", self.url, "--yes", *more]
        return self.ok(self.h.run(*args, *(["--auth", form] if form else []), env={"DATABRICKS_TOKEN": standin.PAT, **(env or {})}))

    def three(self, form="pat"):
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent, form)

    def cursor(self):
        path = self.h.path(DATABASE)
        path.parent.mkdir(parents=True)
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE ItemTable (key TEXT UNIQUE ON CONFLICT REPLACE, value BLOB)")
            db.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps({"openAIBaseUrl": self.url + "/ai-gateway/cursor/v1"})))
        db.close()

    def asked(self):
        return [entry for entry in self.w.requests() if entry["method"] == "POST"]

    def test_all_is_well(self):
        self.three()
        self.cursor()
        started = time.monotonic()
        findings = self.doctor("codex", "claude", "gemini")
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(set(findings), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        self.assertEqual({p["outcome"] for p in self.document["probes"]}, {"ok"})
        self.assertEqual({(e["path"], e["model"]["asked"]) for e in self.asked()},
                         {("/ai-gateway/openai/v1/responses", "databricks-gpt-5-2"), ("/ai-gateway/anthropic/v1/messages", "databricks-claude-opus-4-6"),
                          ("/ai-gateway/gemini/v1beta/models/databricks-gemini-2-5-flash:generateContent", "databricks-gemini-2-5-flash")})
        for entry in self.asked():
            self.assertEqual(standin.header_map(entry)["authorization"], "Bearer " + standin.PAT)
        self.assertIn("✓ codex: POST", self.shell(":", "doctor", "--verbose").stdout)

    def test_helpers_are_run(self):
        for agent in ("codex", "claude"):
            self.configure(agent, "helper")
        self.assertEqual(set(self.doctor("codex", "claude")), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        finding = self.sick("helper-failed", "broken", "codex", env={"DATABRICKS_TOKEN": None})
        self.assertIn("DATABRICKS_TOKEN", self.shell(finding["fix"], env={"DATABRICKS_TOKEN": None}).stdout, "where it looked")
        self.healthy("helper-failed", "codex")
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper="printf 'a\\nb\\n'"))
        self.sick("helper-output", "broken", "claude")
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper="true"))
        self.sick("helper-output", "broken", "claude")
        self.json_file(SETTINGS, lambda v: v.update(apiKeyHelper=f"echo '{OTHER}'; echo noise >&2"))
        self.sick("token-refused", "broken", "claude")
        self.configure("claude", "helper")
        self.assertEqual(set(self.doctor("claude")), {"claude-betas-off"})

    def test_a_helper_that_hangs(self):
        self.configure("codex", "helper")
        self.edit(CONFIG, "timeout_ms = 5000", "timeout_ms = 300")
        slow = self.h.base / "slow"
        slow.write_text("#!/bin/sh\nsleep 60\n")
        slow.chmod(0o755)
        self.edit(CONFIG, f'command = "{self.h.base}/bin/dbx-agents"' if f'"{self.h.base}/bin/dbx-agents"' in self.h.read(CONFIG).decode() else f'command = "{binary()}"', f'command = "{slow}"')
        self.sick("helper-slow", "broken", "codex")
        self.configure("codex", "helper")
        self.healthy("helper-slow", "codex")

    def test_each_class_of_failure(self):
        """Each has its own id, sentence and fix, for each agent; it goes when the workspace is well again."""
        self.three()
        sentences = {}
        for fault, name, severity in (({"fault": "401"}, "token-not-taken", "broken"), ({"fault": "400_invalid_token"}, "token-refused", "broken"),
                                      ({"fault": "403_scope"}, "token-scope", "broken"), ({"fault": "403_ip_list"}, "ip-blocked", "broken"),
                                      ({"fault": "403"}, "no-permission", "broken"), ({"fault": "404_route"}, "route-missing", "broken"),
                                      ({"fault": "429"}, "rate-limited", "warning"), ({"fault": "500"}, "server-error", "broken"),
                                      ({"fault": "503"}, "unavailable", "broken"), ({"fault": "html_login_page"}, "login-page", "broken"),
                                      ({"fault": "private_link_redirect"}, "private-link", "broken"),
                                      ({"fault": "raw", "status": 400, "body": '{"error_code":"INVALID_PARAMETER_VALUE","message":"no"}'}, "request-refused", "broken"),
                                      ({"fault": "raw", "status": 302, "headers": {"Location": "https://elsewhere.example/x"}, "body": ""}, "redirected", "broken"),
                                      ({"fault": "cut_before_processing"}, "connection-dropped", "broken")):
            self.w.control("POST", "faults", {**fault, "path": "*", "method": "POST", "count": "forever"})
            findings = self.doctor("codex", "claude", "gemini")
            hits = [f for f in self.document["findings"] if f["id"] == name]
            self.assertEqual({f["agent"] for f in hits}, {"codex", "claude", "gemini"}, f"{fault}\n{json.dumps(self.document, indent=1)}")
            self.assertEqual({f["severity"] for f in hits}, {severity})
            sentences[name] = (findings[name]["what"], findings[name]["fix"])
            self.w.control("DELETE", "faults")
        self.assertEqual(len({s[0] for s in sentences.values()}), len(sentences), "a sentence of its own for each class")
        self.assertEqual(set(self.doctor("codex", "claude", "gemini")), {"claude-betas-off"})

    def test_a_bad_token_and_its_fix(self):
        for agent in ("claude", "gemini", "codex"):
            self.ok(self.h.run("setup", agent, "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": OTHER}))
            finding = self.sick("token-refused", "broken", agent)
            command = finding["fix"].split(", then ")[1]
            self.assertEqual(self.shell(command + " --yes").returncode, 0)
            self.healthy("token-refused", agent)

    def test_a_token_without_rights(self):
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.GUEST}))
        findings = self.doctor("claude")
        self.assertNotIn("token-refused", findings)

    def test_a_narrow_token_is_enough(self):
        """The scope ai-gateway reaches the routes, not the list of models: that is no trouble."""
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.NARROW}))
        findings = self.doctor("claude", env={"DATABRICKS_TOKEN": standin.NARROW})
        self.assertEqual([f for f in findings.values() if f["severity"] != "info"], [], json.dumps(self.document, indent=1))

    def test_codex_finds_the_other_route(self):
        self.configure("codex")
        self.w.control("POST", "settings", {"disabled_routes": ["/openai/*"]})
        finding = self.sick("codex-route", "broken", "codex", file=self.h.path(CONFIG))
        self.assertIn(self.url + "/ai-gateway/codex/v1", finding["what"])
        self.set_as_told(finding)
        self.assertEqual(self.doctor("codex"), {}, json.dumps(self.document, indent=1))
        self.configure("codex")  # the next setup keeps it
        self.assertEqual(self.doctor("codex"), {}, json.dumps(self.document, indent=1))
        # And the other way round.
        self.w.control("POST", "settings", {"disabled_routes": ["/codex/*"]})
        finding = self.sick("codex-route", "broken", "codex")
        self.assertIn("/openai/v1 answers", finding["what"])
        self.set_as_told(finding)
        self.assertEqual(self.doctor("codex"), {}, json.dumps(self.document, indent=1))
        self.w.control("POST", "settings", {"disabled_routes": ["/openai/*", "/codex/*"]})
        self.sick("route-missing", "broken", "codex")
        self.w.control("POST", "settings", {"disabled_routes": []})  # what the administrator does
        self.healthy("route-missing", "codex")

    def test_the_other_route_written_by_hand(self):
        """It works: no drift, although setup would undo it."""
        self.configure("codex")
        self.w.control("POST", "settings", {"disabled_routes": ["/openai/*"]})
        self.edit(CONFIG, "/openai/v1", "/codex/v1")
        self.assertEqual(self.doctor("codex"), {}, json.dumps(self.document, indent=1))

    def test_a_model_that_is_not_there(self):
        self.configure("claude", "pat", "--model", "databricks-claude-opus-4-66")
        finding = self.sick("model-missing", "broken", "claude", file=self.h.path(SETTINGS))
        self.assertIn("--model databricks-claude-opus-4-6", finding["fix"])
        self.cured("model-missing", "broken", "claude", token=standin.PAT)

    def test_a_side_model_that_is_not_there(self):
        self.configure("claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="databricks-claude-haiku-4-4"))
        finding = self.sick("model-missing", "broken", "claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="system.ai.claude-haiku-4-5"))
        self.healthy("model-missing", "claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="databricks-claude-haiku-4-4"))
        self.assertEqual(self.sick("model-missing", "broken", "claude"), finding)
        self.set_as_told(finding)
        self.healthy("model-missing", "claude")

    def test_a_side_model_of_another_dialect(self):
        self.configure("claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_DEFAULT_HAIKU_MODEL="databricks-gpt-5-2"))
        finding = self.sick("model-unsuitable", "broken", "claude", file=self.h.path(SETTINGS))
        self.assertIn("dbx-agents models --agent claude", finding["fix"])
        names = {m["name"] for m in json.loads(self.ok_shell("dbx-agents models --agent claude --json").stdout)["models"]}
        name = next(name for name in sorted(names) if "haiku" in name)
        finding["fix"] = finding["fix"].replace(" (names: dbx-agents models --agent claude)", "").replace('"NAME"', f'"{name}"')
        self.set_as_told(finding)
        self.healthy("model-unsuitable", "claude")
        self.assertEqual(set(self.doctor("claude")), {"claude-betas-off"}, json.dumps(self.document, indent=1))

    def test_nobody_listens(self):
        """A loopback gateway is the local proxy: it does not run."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        for agent in ("codex", "claude", "gemini"):
            self.ok(self.h.run("setup", agent, "--gateway", f"http://127.0.0.1:{port}", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        self.doctor("codex", "claude", "gemini")
        self.assertEqual({f["agent"] for f in self.document["findings"] if f["id"] == "proxy-not-running"}, {"codex", "claude", "gemini"})
        for agent in ("codex", "claude", "gemini"):
            finding = self.sick("proxy-not-running", "broken", agent)
            self.follow_the_address(finding)
            self.healthy("proxy-not-running", agent)

    def start_proxy(self, command, *more):
        """Starts the proxy as a fix says."""
        words = command.split()
        self.assertEqual(words[:2], ["dbx-agents", "proxy"])
        process = self.h.spawn(*words[1:], *more, env=self.env, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn(b"listening on", process.stdout.readline())

    def set_up_for_the_proxy(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        for agent in ("codex", "claude", "gemini"):
            self.configure(agent, "proxy", f"--via-proxy={port}")
        self.h.secrets += re.findall(r"dbxl_[0-9a-f]{64}", (self.h.state / "local_keys.json").read_text())
        return port

    def test_the_local_proxy_does_not_run(self):
        port = self.set_up_for_the_proxy()
        self.doctor("codex", "claude", "gemini")
        hits = [f for f in self.document["findings"] if f["id"] == "proxy-not-running"]
        self.assertEqual({f["agent"] for f in hits}, {"codex", "claude", "gemini"})
        self.assertEqual({f["fix"] for f in hits}, {f"start it: dbx-agents proxy --port {port}"})
        self.start_proxy(hits[0]["fix"].removeprefix("start it: "))
        self.assertEqual(set(self.doctor("codex", "claude", "gemini")), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        self.assertEqual({p["outcome"] for p in self.document["probes"]}, {"ok"})

    def test_the_running_proxy_cannot_write_its_ledger(self):
        port = self.set_up_for_the_proxy()
        notes = self.h.base / "notes.txt"
        notes.write_text("not a database\n" * 100)
        self.start_proxy(f"dbx-agents proxy --port {port}", "--ledger", str(notes))
        finding = self.sick("proxy-ledger", "warning", "claude", file=notes)
        self.assertIn(str(port), finding["what"])
        self.assertIn("move away", finding["fix"])
        self.assertEqual(self.shell(":", "doctor", "--offline", "claude").stdout.count("ledger"), 0, "nobody is asked")
        notes.rename(self.h.base / "notes-elsewhere.txt")
        deadline = time.monotonic() + 30
        while '"proxy-ledger"' in self.shell(":", "doctor", "--json", "claude").stdout:  # the proxy tries again by itself
            self.assertLess(time.monotonic(), deadline)
        self.healthy("proxy-ledger", "claude")

    def follow_the_address(self, finding):
        """Runs the setup command inside a fix, with the address of the right workspace."""
        command = re.search(r"dbx-agents setup \w+( --auth \w+)? --workspace https://YOUR-WORKSPACE", finding["fix"]).group()
        self.ok_shell(command.replace("https://YOUR-WORKSPACE", self.url) + " --auth pat --yes")

    def test_an_unknown_host(self):
        self.ok(self.h.run("setup", "claude", "--workspace", "https://no-such-host.invalid", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        self.follow_the_address(self.sick("host-unknown", "broken", "claude"))
        self.healthy("host-unknown", "claude")

    def test_a_host_that_refuses(self):
        """0.0.0.0 is this machine by another name, and no loopback address as far as addresses go."""
        authority = between.Authority(self.h.base / "ca", "IP:0.0.0.0")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.ok(self.h.run("setup", "claude", "--workspace", f"https://0.0.0.0:{port}", "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        finding = self.sick("connection-refused", "broken", "claude")
        self.assertIn("firewall", finding["fix"])
        server = between.Tls(authority, self.w.port, port)  # the firewall lets it through now
        self.addCleanup(server.stop)
        self.assertEqual(set(self.doctor("claude", env={"SSL_CERT_FILE": str(authority.bundle)})), {"claude-betas-off"},
                         json.dumps(self.document, indent=1))

    def behind_a_proxy(self, agent="claude"):
        """A real workspace's name; a proxy leads there, through TLS of the company's own authority."""
        host = "adb-1.2.azuredatabricks.net"
        authority = between.Authority(self.h.base / "ca", "DNS:" + host)
        server = between.Tls(authority, self.w.port)
        proxy = between.Proxy(server.port)
        self.addCleanup(server.stop)
        self.addCleanup(proxy.stop)
        self.ok(self.h.run("setup", agent, "--workspace", "https://" + host, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
        return authority, proxy

    def test_a_certificate_of_the_companys_own(self):
        authority, proxy = self.behind_a_proxy()
        finding = self.sick("tls", "broken", "claude", env={"HTTPS_PROXY": proxy.url})
        self.assertIn("SSL_CERT_FILE", finding["fix"])
        nothing = self.h.base / "nothing.pem"
        self.sick("tls", "broken", "claude", env={"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(nothing)})
        findings = self.doctor("claude", env={"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(authority.bundle)})
        self.assertEqual(set(findings), {"claude-betas-off"}, json.dumps(self.document, indent=1))
        self.assertEqual(set(proxy.asked), {"CONNECT adb-1.2.azuredatabricks.net:443 HTTP/1.1"})

    def test_a_proxy_that_does_not_let_through(self):
        authority, good = self.behind_a_proxy()
        trust = {"SSL_CERT_FILE": str(authority.bundle)}
        for refusal in (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
                        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"):
            bad = between.Proxy(refusal=refusal)
            finding = self.sick("http-proxy", "broken", "claude", env={**trust, "HTTPS_PROXY": f"http://user:hunter2@127.0.0.1:{bad.port}"})
            bad.stop()
            self.assertIn("HTTPS_PROXY", finding["fix"])
            self.assertNotIn("hunter2", json.dumps(self.document))
        self.sick("http-proxy", "broken", "claude", env={**trust, "HTTPS_PROXY": "http://no-such-proxy.invalid:3128"})
        self.assertEqual(set(self.doctor("claude", env={**trust, "HTTPS_PROXY": good.url})), {"claude-betas-off"})

    def test_servers_that_are_no_workspace(self):
        for server, name in ((between.Answering(b"HTTP/1.1 405 Not Allowed\r\nServer: nginx\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"), "route-missing"),
                             (between.Answering(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nIt works!"), "not-databricks"),
                             (between.Answering(b"HTTP/1.1 204 No Content\r\n\r\n"), "not-databricks"),
                             (between.Answering(b"HTTP/1.1 405 Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"), "route-missing"),
                             (between.Greeting(), "network"), (between.Answering(b"\x15\x03\x03\x00\x02\x02\x46"), "network")):
            self.addCleanup(server.stop)
            self.ok(self.h.run("setup", "claude", "--workspace", server.url, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": standin.PAT}))
            finding = self.sick(name, "broken", "claude")
            self.follow_the_address(finding)
            self.healthy(name, "claude")

    def test_a_token_that_cannot_be_sent(self):
        self.configure("claude")
        self.json_file(SETTINGS, lambda v: v["env"].update(ANTHROPIC_AUTH_TOKEN=standin.PAT + "\nX-Evil: 1"))
        self.cured("token-unusable", "broken", "claude", token=standin.PAT)
        self.assertFalse([e for e in self.w.requests() if "x-evil" in standin.header_map(e)])

    def test_a_credential_that_gives_no_token(self):
        """A service principal with a wrong secret: found once, for all agents that run our helper."""
        client = {"DATABRICKS_TOKEN": None, "DATABRICKS_HOST": self.url, "DATABRICKS_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
                  "DATABRICKS_CLIENT_SECRET": "dose-valid-secret-0123456789abcdef"}
        self.h.secrets.append(client["DATABRICKS_CLIENT_SECRET"])
        for agent in ("codex", "claude"):
            self.ok(self.h.run("setup", agent, "--workspace", self.url, "--auth", "helper", "--yes", env=client))
        wrong = {**client, "DATABRICKS_CLIENT_SECRET": "dose-wrong-secret-0123456789abcdef"}
        self.doctor("codex", "claude", before=": first", env=wrong)
        self.assertEqual([f["agent"] for f in self.document["findings"] if f["id"] == "credential-unusable"], [None])
        self.assertEqual({f["agent"] for f in self.document["findings"] if f["id"] == "helper-failed"}, {"codex", "claude"})
        self.assertIn("DATABRICKS_CLIENT_SECRET", self.shell("dbx-agents auth status", env=wrong).stdout, "what the fix shows")
        self.doctor("codex", "claude", before=": right", env=client)
        self.assertEqual({f["id"] for f in self.document["findings"]}, {"claude-betas-off"}, json.dumps(self.document, indent=1))

    def test_another_process_that_holds_the_token_for_ever(self):
        """Doctor does not wait the minute that helpers wait for a refresh."""
        client = {"DATABRICKS_TOKEN": None, "DATABRICKS_HOST": self.url, "DATABRICKS_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
                  "DATABRICKS_CLIENT_SECRET": "dose-valid-secret-0123456789abcdef"}
        self.h.secrets.append(client["DATABRICKS_CLIENT_SECRET"])
        self.ok(self.h.run("setup", "codex", "--workspace", self.url, "--auth", "helper", "--yes", env=client))
        self.ok_shell("dbx-agents auth token >/dev/null", env=client)
        tokens = self.h.state / "tokens"
        for path in tokens.glob("*.json"):
            path.unlink()
        locks = [open(path) for path in tokens.glob("*.lock")]
        self.assertTrue(locks)
        for lock in locks:
            self.addCleanup(lock.close)
            fcntl.flock(lock, fcntl.LOCK_EX)
        started = time.monotonic()
        done = self.shell(":", "doctor", "--json", "codex", env=client)
        self.assertLess(time.monotonic() - started, 15)
        names = {f["id"] for f in json.loads(done.stdout)["findings"]}
        self.assertEqual(names, {"helper-slow"}, "the token itself could be had; Codex's helper waits too long for Codex")
        for lock in locks:
            lock.close()
        self.doctor("codex", before=": free again", env=client)
        self.assertEqual(self.document["findings"], [])

    def test_a_list_of_models_that_cannot_be_had(self):
        self.configure("claude")
        self.w.control("POST", "faults", [{"fault": "500", "path": path, "method": "GET", "count": "forever"} for path in ("/api/*", "*/models")])
        self.sick("models-unknown", "info", "claude")
        self.w.control("DELETE", "faults")
        self.healthy("models-unknown", "claude")

    def test_cursor_without_a_credential_of_ours(self):
        """Cursor's own key is encrypted and stays so: its route can only be tried with a token of the user's shell."""
        self.cursor()
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "env", "--yes"))
        finding = self.sick("probe-impossible", "info", "cursor", env={"DATABRICKS_TOKEN": None})
        self.assertTrue(finding["fix"].startswith("export DATABRICKS_TOKEN"), finding)
        self.healthy("probe-impossible", "cursor", env={"DATABRICKS_TOKEN": standin.PAT})

    def test_bounded_in_time(self):
        self.three()
        self.w.control("POST", "faults", {"fault": "hang", "path": "*", "count": "forever"})
        started = time.monotonic()
        done = self.shell(":", "doctor", "--json")
        took = time.monotonic() - started
        self.assertLess(took, 25)
        names = {f["id"] for f in json.loads(done.stdout)["findings"]}
        self.assertIn("timeout", names)
        self.w.control("DELETE", "faults")
        self.w.control("POST", "release")
        self.assertEqual(set(self.doctor("codex", "claude", "gemini")), {"claude-betas-off"}, json.dumps(self.document, indent=1))

    def test_offline_asks_nobody(self):
        self.three()
        self.shell(":", "doctor", "--offline")
        self.assertEqual(self.w.requests(), [])

    def test_cursor_sends_both_bodies(self):
        self.cursor()
        self.ok(self.h.run("setup", "claude", "--workspace", self.url, "--auth", "env", "--yes"))  # the gateway is remembered
        self.doctor("cursor")
        probes = [p for p in self.document["probes"] if p["agent"] == "cursor"]
        self.assertEqual([p["outcome"] for p in probes], ["ok", "ok"], json.dumps(self.document, indent=1))
        bodies = [json.loads(e["body"]) for e in self.asked() if e["path"].endswith("/cursor/v1/chat/completions")]
        self.assertTrue(any("messages" in b for b in bodies) and any("input" in b for b in bodies))

    def test_the_token_of_one_address_goes_to_no_other(self):
        """Cursor's own base URL is another host: our credential is not tried there."""
        self.cursor()
        self.configure("claude")
        other = standin.Workspace(str(self.h.base / "other"))
        self.addCleanup(other.stop)
        db = sqlite3.connect(self.h.path(DATABASE))
        db.execute("INSERT INTO ItemTable VALUES (?, ?)", (KEY, json.dumps({"openAIBaseUrl": f"http://127.0.0.1:{other.port}/ai-gateway/cursor/v1"})))
        db.commit()
        db.close()
        self.doctor("cursor")
        self.assertEqual(other.requests(), [])


if __name__ == "__main__":
    main()
