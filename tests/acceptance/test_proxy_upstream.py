"""The proxy's side towards the gateway: credentials and their refresh, its own errors, the model map, TLS, proxies on the way."""

import json
import socket
import ssl
import threading
import time

from harness import PAT, main
from proxy_harness import DIALECT_PATHS, MESSAGES, ProxyTest, changing, scratch_folder
from raw_http import CRLF, LIMIT, SOON, Authority, Client, Step, Tunnel, read_chunk, request_bytes, wait_for

BODY = b'{"model":"databricks-claude-opus-4-6","max_tokens":9,"messages":[]}'
INVALID = b"Invalid Token"


class Credentials(ProxyTest):
    """Whatever a client brings, the upstream gets the Databricks token, once, and nothing else."""

    def places(self, key):
        return {
            "Authorization": ([("Authorization", f"Bearer {key}")], ""),
            "authorization, lower-case scheme": ([("authorization", f"bearer {key}")], ""),
            "x-api-key": ([("x-api-key", key)], ""),
            "X-Goog-Api-Key": ([("X-Goog-Api-Key", key)], ""),
            "?key=": ([], f"?key={key}"),
            "?key= among others": ([], f"?alt=sse&key={key}&beta=true"),
            "everywhere": ([("Authorization", f"Bearer {key}"), ("x-api-key", key), ("x-goog-api-key", key)], f"?key={key}"),
        }

    def test_a_key_is_taken_in_every_place_and_replaced_there(self):
        self.start()
        for agent, key in self.keys.items():
            for name, (headers, query) in self.places(key).items():
                with self.subTest(agent=agent, place=name):
                    self.up.forget()
                    c = self.client()
                    c.send(request_bytes("POST", MESSAGES + query, headers, BODY, host=f"127.0.0.1:{self.p.port}"))
                    self.is_200(c.answer())
                    seen = self.up.seen
                    self.assertEqual(seen.all("authorization"), [f"Bearer {self.TOKEN}"])
                    self.assertEqual(seen.all("x-api-key") + seen.all("x-goog-api-key"), [])
                    self.assertNotIn("key=", seen.target)
                    if "among" in name:
                        self.assertEqual(seen.target, MESSAGES + "?alt=sse&beta=true")
        for key in self.keys.values():
            self.assertNotIn(key.encode(), self.up.bytes(), "a local key reached the upstream")

    def test_foreign_credentials_beside_a_good_key_never_reach_the_upstream(self):
        self.start()
        for name in ("x-api-key", "x-goog-api-key", "Authorization", "Proxy-Authorization", "AUTHORIZATION"):
            with self.subTest(name=name):
                self.ask(headers=[(name, "Bearer foreign-secret")])
        self.assertNotIn(b"foreign-secret", self.up.bytes())
        for seen in self.up.requests:
            self.assertEqual(seen.all("authorization"), [f"Bearer {self.TOKEN}"])

    def test_the_key_that_codex_sends_is_taken(self):
        """Exactly the header that setup wrote into Codex's configuration."""
        import tomllib
        self.start()
        provider = tomllib.loads(self.h.path(".codex/config.toml").read_text())["model_providers"]["databricks"]
        c = self.client()
        c.send(request_bytes("POST", "/openai/v1/responses", list(provider["http_headers"].items()), b"{}",
                             host=f"127.0.0.1:{self.p.port}"))
        self.is_200(c.answer())
        self.assertNotIn(self.keys["codex"].encode(), self.up.bytes())

    def test_a_body_that_holds_the_key_is_the_users_business(self):
        """Promise 7 is stronger than good intentions: bodies pass unchanged."""
        self.start(lambda peer, seen: peer.answer(200, seen.body))
        body = json.dumps({"model": "x", "input": "my key is abc"}).encode()
        self.is_200(self.ask(body=body), body)


class Refresh(ProxyTest):
    """Tokens that change, from a stand-in for the Databricks CLI."""

    def with_tokens(self, answer, *args, read_body=True, behaviour="", **kwargs):
        self.up = self.upstream(answer, read_body=read_body)
        env, self.made, self.behaviour = self.token_source()
        self.behaviour.write_text(behaviour)
        self.p = self.proxy(*args, env=env, **kwargs)
        return self.p

    def refusing(self, old, status=401, body=b'{"error_code":401,"message":"expired"}', kind="application/json"):
        """An upstream to which the tokens in `old` are no good."""

        def answer(peer, seen):
            if seen.token in old:
                peer.answer(status, body, [("x-request-id", "refused")], kind)
            else:
                peer.answer(200, seen.body)

        return answer

    def test_a_401_causes_one_refresh_and_one_retry_that_the_client_does_not_see(self):
        self.with_tokens(self.refusing({changing(1)}))
        c = self.client()
        self.is_200(self.ask(body=BODY, client=c), BODY)
        self.assertEqual([(seen.token, seen.body) for seen in self.up.requests], [(changing(1), BODY), (changing(2), BODY)])
        self.assertEqual([bool(call["force_refresh"]) for call in self.made()], [False, True])
        self.is_200(self.ask(body=BODY, client=c), BODY)
        self.assertEqual(self.up.requests[-1].token, changing(2))
        self.assertEqual(len(self.made()), 2)

    def test_a_400_invalid_token_counts_as_a_401(self):
        self.with_tokens(self.refusing({changing(1)}, 400, INVALID, "text/plain"))
        self.is_200(self.ask(body=BODY), BODY)
        self.assertEqual([seen.token for seen in self.up.requests], [changing(1), changing(2)])

    def test_a_400_invalid_token_in_json_counts_as_well(self):
        self.with_tokens(self.refusing({changing(1)}, 400, b'{"error_code":"INVALID_TOKEN","message":"Invalid Token"}'))
        self.is_200(self.ask(body=BODY), BODY)

    def test_a_400_invalid_token_that_comes_in_pieces_counts_as_well(self):
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
        for name, parts in (("by bytes", [bytes([b]) for b in head + b"Content-Length: 13\r\n\r\nInvalid Token"]),
                            ("in chunks", [head + b"Transfer-Encoding: chunked\r\n\r\n", b"d\r\nInvalid ", b"Token\r\n", b"0\r\n\r\n"]),
                            ("between chunks", [head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nInv\r\n", b"a\r\nalid Token\r\n0\r\n\r\n"]),
                            ("until the end", [head + b"\r\nInvalid ", b"Token", None])):
            with self.subTest(name=name):
                def answer(peer, seen, parts=parts):
                    if seen.token != changing(1):
                        peer.answer(200, seen.body)
                        return
                    for part in parts:
                        if part is None:
                            peer.close()
                            return
                        peer.send(part)
                        threading.Event().wait(0.005)

                self.with_tokens(answer)
                self.is_200(self.ask(body=BODY), BODY)

    def test_any_other_400_is_passed_on_without_a_retry(self):
        for body in (b"Invalid Model", b'{"error":{"message":"max_tokens: too large"}}', b"", b"I", b"x" * 100_000):
            with self.subTest(body=body[:20]):
                self.with_tokens(lambda peer, seen: peer.answer(400, body, [("x-request-id", "r")]))
                got = self.ask(body=BODY)
                self.assertEqual((got.status, got.content.size, got.complete), (400, len(body), True))
                self.assertEqual(got.all("x-request-id"), ["r"])
                self.assertEqual((len(self.up.requests), len(self.made())), (1, 1))

    def test_a_403_is_passed_on_without_a_retry(self):
        self.with_tokens(lambda peer, seen: peer.answer(403, b'{"message":"no scope"}'))
        self.assertEqual(self.ask().status, 403)
        self.assertEqual((len(self.up.requests), len(self.made())), (1, 1))

    def test_a_token_that_stays_refused_is_tried_twice_and_the_gateways_words_are_passed_on(self):
        self.with_tokens(self.refusing({changing(n) for n in range(1, 9)}))
        got = self.ask()
        self.assertEqual((got.status, got.body), (401, b'{"error_code":401,"message":"expired"}'))
        self.assertEqual(got.all("x-request-id"), ["refused"])
        self.assertEqual(len(self.up.requests), 2)

    def test_a_static_token_that_is_refused_is_passed_on_after_one_try(self):
        self.start(lambda peer, seen: peer.answer(401, b"no", kind="text/plain"))
        got = self.ask()
        self.assertEqual((got.status, got.body), (401, b"no"))
        self.assertIsNone(got.ours)
        self.assertLessEqual(len(self.up.requests), 2)

    def test_many_refused_requests_cause_one_refresh(self):
        together = threading.Barrier(12, timeout=LIMIT)

        def answer(peer, seen):
            if seen.token == changing(1):
                together.wait()
                peer.answer(401, b"{}")
            else:
                peer.answer(200, seen.body)

        self.with_tokens(answer)
        clients = [self.client() for _ in range(12)]
        for n, c in enumerate(clients):
            c.send(self.bytes_of("POST", MESSAGES, body=b"n%d" % n))
        for n, c in enumerate(clients):
            self.is_200(c.answer(), b"n%d" % n)
        self.assertEqual(len(self.up.requests), 24)
        self.assertEqual(len(self.made()), 2, "one token at the start, one refresh")

    def test_the_first_requests_share_one_token(self):
        self.with_tokens(None, behaviour="FAKE_DATABRICKS_BEHAVIOUR=slow\nFAKE_DATABRICKS_SLOW=0.5\n")
        clients = [self.client() for _ in range(10)]
        for c in clients:
            c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        for c in clients:
            self.is_200(c.answer())
        self.assertEqual(len(self.made()), 1)

    def test_a_refresh_does_not_hold_up_a_running_stream(self):
        steps = [Step() for _ in range(5)]
        release = Step()

        def answer(peer, seen):
            if "stream" in seen.target:
                peer.stream()
                for n, step in enumerate(steps):
                    peer.chunk(b"data: %d\n\n" % n)
                    step.wait("the stream stands still")
                peer.end()
            elif seen.token == changing(1):
                peer.answer(401, b"{}")
            else:
                release.go()
                peer.answer()

        self.with_tokens(answer)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES + "?stream", body=BODY))
        c.head()
        self.behaviour.write_text("FAKE_DATABRICKS_BEHAVIOUR=slow\nFAKE_DATABRICKS_SLOW=1\n")
        other = self.client()
        other.send(self.bytes_of("POST", MESSAGES, body=BODY))
        wait_for(lambda: len(self.made()) == 2, "no refresh began")
        for n, step in enumerate(steps):
            self.assertEqual(read_chunk(c), b"data: %d\n\n" % n)
            step.go()
        self.assertEqual(read_chunk(c), b"")
        self.assertFalse(release.happened, "the stream waited for the refresh")
        self.is_200(other.answer())

    def test_a_refresh_that_fails_passes_the_gateways_401_on(self):
        self.with_tokens(self.refusing({changing(n) for n in range(1, 9)}))
        self.is_200_or_401 = self.ask()
        self.behaviour.write_text("FAKE_DATABRICKS_BEHAVIOUR=no_login\n")
        got = self.ask()
        self.assertEqual(got.status, 401)
        self.assertNotIn("dapi-", got.text)

    def test_a_body_too_large_to_be_kept_gets_the_401_itself(self):
        size = 48 << 20

        def answer(peer, seen):
            if seen.token == changing(1):
                peer.read_body(seen)
                peer.answer(401, b'{"message":"expired"}')
            else:
                peer.read_body(seen)
                peer.answer(200, str(seen.content.size).encode())

        self.with_tokens(answer, read_body=False)
        c = self.client()
        c.limit = 60
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", size)]))
        for _ in range(48):
            c.send(b"x" * (1 << 20))
        got = c.answer()
        self.assertIn((got.status, got.body), ((401, b'{"message":"expired"}'), (200, str(size).encode())))
        self.assertTrue(got.complete)
        self.assertLess(self.p.memory_kib("VmHWM"), 64 << 10, "the whole body was kept")

    def test_the_retry_of_a_chunked_body_sends_the_same_bytes(self):
        self.with_tokens(self.refusing({changing(1)}))
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked")]))
        for part in (b"3\r\nabc\r\n", b"10000\r\n" + b"z" * 65536 + b"\r\n", b"1\r\n!\r\n0\r\n\r\n"):
            c.send(part)
        self.is_200(c.answer(), b"abc" + b"z" * 65536 + b"!")
        self.assertEqual([seen.body for seen in self.up.requests], [b"abc" + b"z" * 65536 + b"!"] * 2)

    def test_a_401_that_comes_before_the_body_has_ended_is_settled(self):
        """Early refusal: the rest of the body is still to come from the client."""

        def answer(peer, seen):
            if seen.token == changing(1):
                peer.answer(401, b"{}", [("Connection", "close")])
                refused.go()
                peer.finish()
                peer.gone(5)
                peer.close()
            else:
                peer.read_body(seen)
                peer.answer(200, seen.body)

        refused = Step()
        self.with_tokens(answer, read_body=False)
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Content-Length", "10")]) + b"hello")
        refused.wait()
        c.send_quietly(b"world")
        got = c.answer()
        self.assertIn((got.status, got.body), ((200, b"helloworld"), (401, b"{}")))
        self.assertTrue(got.complete)

    def test_a_client_that_leaves_during_the_refresh_does_no_harm(self):
        self.with_tokens(self.refusing({changing(1)}))
        wait_for(lambda: len(self.made()) == 1)
        self.behaviour.write_text("FAKE_DATABRICKS_BEHAVIOUR=slow\nFAKE_DATABRICKS_SLOW=0.5\n")
        clients = [self.client() for _ in range(5)]
        for c in clients:
            c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        wait_for(lambda: len(self.made()) >= 2, "no refresh began")
        for c in clients:
            c.reset()
        self.is_200(self.ask(body=BODY), BODY)

    def test_without_a_login_the_error_says_what_to_do(self):
        env_behaviour = "FAKE_DATABRICKS_BEHAVIOUR=no_login\n"
        self.up = self.upstream()
        env, made, behaviour = self.token_source()
        behaviour.write_text(env_behaviour)
        self.p = self.proxy(env=env)
        for dialect, (method, path, body) in DIALECT_PATHS.items():
            with self.subTest(dialect=dialect):
                got = self.is_ours(self.ask(method, path, body=body), 401, 502, 503, dialect=dialect)
                self.assertIn("auth login", got.text)
        self.no_upstream_request()
        behaviour.write_text("")
        wait_for(lambda: self.ask().status == 200, "a login does not heal the running proxy", limit=40)


class OwnErrors(ProxyTest):
    def test_a_gateway_that_is_not_there_gives_502_in_dialect(self):
        gone = socket.create_server(("127.0.0.1", 0))
        port = gone.getsockname()[1]
        gone.close()
        self.p = self.proxy(up=f"http://127.0.0.1:{port}")
        for dialect, (method, path, body) in DIALECT_PATHS.items():
            with self.subTest(dialect=dialect):
                c = self.client()
                got = self.is_ours(self.ask(method, path, body=body, client=c), 502, 503, dialect=dialect)
                self.assertIn("127.0.0.1", got.text)
                self.is_ours(self.ask(method, path, body=body, client=c), 502, 503)

    def test_a_name_that_does_not_resolve_gives_502(self):
        self.p = self.proxy(up="https://dbx-agents.invalid", env={"HTTPS_PROXY": None})
        got = self.is_ours(self.ask(), 502, 503, 504, dialect="anthropic")
        self.assertIn("dbx-agents.invalid", got.text)

    def test_a_path_without_a_route_gives_404_and_is_not_passed_on(self):
        self.start()
        for target in ("/", "/foo", "/v1/messages", "/api/2.0/sql/statements", "/api/2.0/otel/v1/other", "/api/2.0/otel/v1/metrics/x", "/oidc/v1/token",
                       "/anthropicx/v1", "/Anthropic/v1/messages", "/ai-gateway/anthropic/v1/messages", "/healthz/x", "/openai", "/openai/v2/responses"):
            with self.subTest(target=target):
                got = self.is_ours(self.ask("GET", target), 404)
                self.assertEqual(got.all("x-should-retry"), ["false"])
        self.no_upstream_request()

    def test_an_upgrade_to_websocket_gets_426_and_is_not_passed_on(self):
        self.start()
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
        for variant in (headers, [("upgrade", "WebSocket"), ("connection", "keep-alive, upgrade"), *headers[2:]]):
            got = self.is_ours(self.ask("GET", "/openai/v1/responses", variant, agent="codex"), 426, dialect="openai")
            self.assertEqual([v.lower() for v in got.all("connection") if "close" in v.lower()], ["close"])
        self.no_upstream_request()

    def test_another_upgrade_never_reaches_the_upstream(self):
        self.start()
        got = self.ask(headers=[("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")])
        self.assertIn(got.status, (200, 400, 426))
        for seen in self.up.requests:
            self.assertEqual(seen.all("upgrade") + seen.all("http2-settings") + seen.all("connection"), [v for v in seen.all("connection") if v.lower() == "keep-alive"])

    def test_redirects_are_passed_on_and_never_followed(self):
        elsewhere = self.upstream()
        for status in (301, 302, 303, 307, 308):
            with self.subTest(status=status):
                self.start(lambda peer, seen: peer.answer(status, b"", [("Location", elsewhere.url + "/x")]))
                got = self.ask()
                self.assertEqual((got.status, got.one("location")), (status, elsewhere.url + "/x"))
        self.assertEqual(elsewhere.connections, [])

    def test_the_login_page_of_a_workspace_is_passed_on(self):
        self.start(lambda peer, seen: peer.answer(200, b"<html>login</html>", kind="text/html"))
        self.is_200(self.ask(), b"<html>login</html>")


class ModelMap(ProxyTest):
    """A configured map rewrites the model that a client asks for, and nothing else."""

    CONFIG = "".join(f'[[proxy.model]]\nasked = "{asked}"\nsent = "{sent}"\n' for asked, sent in (
        ("gemini-3.5-flash", "databricks-gemini-2-5-flash"), ("claude-sonnet-5", "system.ai.claude-sonnet-5"), ("long", "m" * 300)))

    def setUp(self):
        super().setUp()
        config = scratch_folder(self) / "config.toml"
        config.write_text(self.CONFIG)
        self.up = self.upstream(lambda peer, seen: peer.answer(200, seen.body))
        self.p = self.proxy(env={"DBX_AGENTS_CONFIG": config})

    def test_the_model_in_geminis_path_is_mapped(self):
        self.ask("POST", "/gemini/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse", body=b'{"contents":[]}')
        self.assertEqual(self.up.seen.target, "/gemini/v1beta/models/databricks-gemini-2-5-flash:streamGenerateContent?alt=sse")
        self.assertEqual(self.up.seen.body, b'{"contents":[]}')

    def test_the_model_in_a_body_is_mapped_and_every_other_byte_stays(self):
        for before, after in ((b'{"model":"claude-sonnet-5","x":[1.0, 1e5]}', b'{"model":"system.ai.claude-sonnet-5","x":[1.0, 1e5]}'),
                              (b' {\n "max_tokens" : 9 , "model"\t:  "claude-sonnet-5" }\n', b' {\n "max_tokens" : 9 , "model"\t:  "system.ai.claude-sonnet-5" }\n'),
                              (b'{"a":{"model":"claude-sonnet-5"},"model":"other"}', b'{"a":{"model":"claude-sonnet-5"},"model":"other"}'),
                              (b'{"s":"\\"model\\":\\"claude-sonnet-5\\"","model":"claude-sonnet-5"}', b'{"s":"\\"model\\":\\"claude-sonnet-5\\"","model":"system.ai.claude-sonnet-5"}'),
                              (b'{"model":"long"}', b'{"model":"' + b"m" * 300 + b'"}'), (b'{"model":7}', b'{"model":7}'), (b'["model","claude-sonnet-5"]', b'["model","claude-sonnet-5"]')):
            with self.subTest(before=before):
                self.up.forget()
                self.is_200(self.ask(body=before), after)

    def test_the_mapped_body_of_a_chunked_request_is_framed_right(self):
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, [("Transfer-Encoding", "chunked")]))
        for part in (b'{"mo', b'del":"clau', b'de-sonnet-5","x":"', b"y" * 5000, b'"}'):
            c.send(b"%x\r\n%s\r\n" % (len(part), part))
        c.send(b"0\r\n\r\n")
        self.is_200(c.answer(), b'{"model":"system.ai.claude-sonnet-5","x":"' + b"y" * 5000 + b'"}')

    def test_a_model_far_behind_in_a_large_body_does_no_harm(self):
        body = b'{"messages":["' + b"x" * 3_000_000 + b'"],"model":"claude-sonnet-5"}'
        self.up.answer = lambda peer, seen: peer.answer(200, str(seen.content.size).encode())
        got = self.is_200(self.ask(body=body))
        self.assertIn(int(got.body), (len(body), len(body) + len("system.ai.")))
        self.assertTrue(self.up.seen.complete)


class Tls(ProxyTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.authority = Authority(cls.home.base / "ca", "gateway.test")

    def tls_upstream(self, answer=None, **kwargs):
        return self.upstream(answer, tls=self.authority.server(), **kwargs)

    def trusting(self, **more):
        return {"SSL_CERT_FILE": self.authority.ca, "NO_PROXY": "127.0.0.1", **more}

    def test_an_untrusted_certificate_gives_502_in_dialect(self):
        self.up = self.tls_upstream()
        self.p = self.proxy(env={"NO_PROXY": "127.0.0.1"})
        for dialect, (method, path, body) in DIALECT_PATHS.items():
            got = self.is_ours(self.ask(method, path, body=body), 502, dialect=dialect)
            self.assertIn("certificate", got.text.lower())
        self.no_upstream_request()

    def test_ssl_cert_file_names_whom_to_trust(self):
        self.up = self.tls_upstream()
        self.p = self.proxy(env=self.trusting())
        c = self.client()
        for _ in range(3):
            self.is_200(self.ask(client=c))
        self.assertEqual(len(self.up.connections), 1)

    def test_the_configuration_names_a_ca_besides_the_systems(self):
        self.up = self.tls_upstream()
        config = scratch_folder(self) / "config.toml"
        config.write_text(f'[network]\nca_file = "{self.authority.ca}"\n')
        self.p = self.proxy(env={"NO_PROXY": "127.0.0.1", "DBX_AGENTS_CONFIG": config})
        self.is_200(self.ask())
        config.write_text('[network]\nca_file = "/nowhere.pem"\n')
        self.p = self.proxy(env={"NO_PROXY": "127.0.0.1", "DBX_AGENTS_CONFIG": config})
        self.assertIn("/nowhere.pem", self.is_ours(self.ask(), 502, dialect="anthropic").text)

    def test_a_certificate_for_another_name_is_refused(self):
        self.up = self.tls_upstream()
        tunnel = Tunnel(self.up.port)
        self.addCleanup(tunnel.close)
        self.p = self.proxy(up="https://other.test", env={"SSL_CERT_FILE": self.authority.ca, "HTTPS_PROXY": tunnel.url})
        self.is_ours(self.ask(), 502, dialect="anthropic")
        self.no_upstream_request()

    def test_nothing_in_the_surroundings_switches_the_verification_off(self):
        self.up = self.tls_upstream()
        tunnel = Tunnel(self.up.port)
        self.addCleanup(tunnel.close)
        self.h.put(".curlrc", "insecure\n")
        config = scratch_folder(self) / "config.toml"
        for text in ("", "[proxy]\ninsecure = true\nverify = false\ntls_verify = false\n", "[network]\nverify_tls = false\ninsecure = true\n"):
            config.write_text(text)
            env = {"HTTPS_PROXY": tunnel.url, "DBX_AGENTS_CONFIG": config, "NODE_TLS_REJECT_UNAUTHORIZED": "0", "PYTHONHTTPSVERIFY": "0",
                   "CURL_INSECURE": "1", "SSL_NO_VERIFY": "1", "DATABRICKS_INSECURE_SKIP_VERIFY": "true", "GIT_SSL_NO_VERIFY": "1"}
            try:
                self.p = self.proxy(up="https://gateway.test", env=env)
            except AssertionError as error:
                self.assertRegex(str(error), r"exit [1-4]\b", "a configuration that is refused is fine as well")
                continue
            self.is_ours(self.ask(), 502, dialect="anthropic")
        self.no_upstream_request()

    def test_https_proxy_leads_to_the_gateway(self):
        self.up = self.tls_upstream()
        tunnel = Tunnel(self.up.port)
        self.addCleanup(tunnel.close)
        for name in ("HTTPS_PROXY", "https_proxy"):
            with self.subTest(name=name):
                env = {"HTTPS_PROXY": None, "SSL_CERT_FILE": self.authority.ca, name: tunnel.url}
                self.p = self.proxy(up="https://gateway.test", env=env)
                self.up.forget()
                c = self.client()
                self.is_200(self.ask(client=c))
                self.is_200(self.ask(client=c))
                self.assertEqual([seen.all("host") for seen in self.up.requests], [["gateway.test"]] * 2)
                self.assertRegex(tunnel.asked[-1], r"^CONNECT gateway\.test:443 HTTP/1\.[01]$")

    def test_the_tunnel_never_sees_token_or_key(self):
        self.up = self.tls_upstream()
        heads = []

        class Listening(Tunnel):
            def _serve(self, sock):
                wire = Client.__new__(Client)
                super(Client, wire).__init__(sock)
                heads.append(wire.until(CRLF + CRLF))
                wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                wire.gone(3)
                wire.close()

        tunnel = Listening(self.up.port)
        self.addCleanup(tunnel.close)
        self.p = self.proxy(up="https://gateway.test", env={"HTTPS_PROXY": tunnel.url, "SSL_CERT_FILE": self.authority.ca})
        self.is_ours(self.ask(), 502, dialect="anthropic")
        self.assertTrue(heads)
        for head in heads:
            self.assertNotIn(b"authorization", head.lower())

    def test_no_proxy_leads_past_the_proxy(self):
        self.up = self.tls_upstream()
        for no_proxy in ("127.0.0.1", "localhost,127.0.0.1", "*"):
            with self.subTest(no_proxy=no_proxy):
                self.p = self.proxy(env={"HTTPS_PROXY": "http://dbx-agents.invalid:9", "NO_PROXY": no_proxy, "SSL_CERT_FILE": self.authority.ca})
                self.is_200(self.ask())

    def test_streams_pass_over_tls_event_by_event(self):
        steps = [Step() for _ in range(10)]

        def answer(peer, seen):
            peer.stream()
            for n, step in enumerate(steps):
                peer.chunk(b"data: %d\n\n" % n)
                step.wait("an event is held back")
            peer.end()

        self.up = self.tls_upstream(answer)
        self.p = self.proxy(env=self.trusting())
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        c.head()
        for n, step in enumerate(steps):
            self.assertEqual(read_chunk(c), b"data: %d\n\n" % n)
            step.go()
        self.assertEqual(read_chunk(c), b"")

    def test_large_bodies_pass_over_tls_both_ways(self):
        self.up = self.tls_upstream(lambda peer, seen: peer.answer(200, b"y" * (8 << 20)) if seen.content.size == 16 << 20 else peer.answer(500))
        self.p = self.proxy(env=self.trusting())
        got = self.is_200(self.ask(body=b"x" * (16 << 20)))
        self.assertEqual(got.content.size, 8 << 20)

    def test_a_record_boundary_in_the_middle_of_everything_does_no_harm(self):
        def answer(peer, seen):
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":
                peer.send(bytes([byte]))

        self.up = self.tls_upstream(answer)
        self.p = self.proxy(env=self.trusting())
        for _ in range(3):
            self.is_200(self.ask(), b"hello")

    def test_a_client_that_leaves_ends_the_upstream_request_over_tls_as_well(self):
        ready, gone = Step(), Step()

        def answer(peer, seen):
            peer.stream()
            peer.chunk(b"data: 1\n\n")
            ready.go()
            peer.gone()
            gone.go()

        self.up = self.tls_upstream(answer)
        self.p = self.proxy(env=self.trusting())
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        ready.wait()
        at = time.monotonic()
        c.close()
        gone.wait()
        self.assertLess(time.monotonic() - at, SOON)

    def test_a_cut_without_close_notify_breaks_an_answer_without_length(self):
        """Truncation: over TLS only close_notify ends an answer that has no length."""

        def answer(peer, seen):
            peer.head(200, [("Content-Type", "text/event-stream"), ("Connection", "close")])
            peer.send(b"data: 1\n\n")
            sent.wait()
            raw = socket.socket(fileno=peer.sock.detach())  # FIN without close_notify
            raw.shutdown(socket.SHUT_WR)
            raw.close()

        sent = Step()
        self.up = self.tls_upstream(answer)
        self.p = self.proxy(env=self.trusting())
        c = self.client()
        c.send(self.bytes_of("POST", MESSAGES, body=BODY))
        head = c.head()
        if head.all("transfer-encoding"):
            self.assertEqual(read_chunk(c), b"data: 1\n\n")
            sent.go()
            self.assertNotIn(b"0\r\n", c.rest()[0], "a clean end of a cut answer")
        else:
            c.take(9)
            sent.go()
            self.assertEqual(c.rest()[1], "reset")

    def test_a_tls_connection_that_was_closed_while_idle_is_not_used(self):
        self.up = self.tls_upstream()
        self.p = self.proxy(env=self.trusting())
        self.is_200(self.ask())
        for peer in self.up.connections:
            try:
                peer.sock.unwrap()
            except (OSError, ssl.SSLError):
                pass
            peer.close()
        for _ in range(3):
            self.is_200(self.ask())


class Addresses(ProxyTest):
    def test_plain_http_to_another_machine_is_refused(self):
        for url in ("http://gateway.test", "http://10.0.0.1:80", "ftp://127.0.0.1/", "https://user:secret@127.0.0.1/"):
            with self.subTest(url=url):
                self.is_error(self.h.run("proxy", "--port", "0", "--upstream", url), 2, unchanged=False)

    def test_without_any_workspace_the_exit_code_is_2(self):
        home = self.fresh()
        self.is_error(home.run("proxy", "--port", "0", env={"DATABRICKS_TOKEN": PAT}), 2, unchanged=False)

    def test_the_token_of_another_host_is_not_sent_to_the_gateway(self):
        """DATABRICKS_HOST ties its token to that host; a loopback --upstream is the tests' and the developers' exception."""
        self.up = self.upstream()
        result = self.h.run("proxy", "--port", "0", "--upstream", "https://gateway.test",
                            env={"DATABRICKS_HOST": "https://other.azuredatabricks.net"}, timeout=20)
        self.assertEqual(result.code, 4, f"\n{result}")


if __name__ == "__main__":
    main()
