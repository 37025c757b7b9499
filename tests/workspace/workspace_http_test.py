"""Drives dbx-agents-workspace over HTTP: workspace_http_test.py PATH-OF-THE-PROGRAM [unittest arguments]

Every dialect, and that it is as strict as the real workspace: a client that is careless there must fail here.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

from standin import (CHAT, GEMINI, GEMINI_PATH, GUEST, MESSAGES, NARROW, PAT, PROGRAM, RESPONSES, TEXT, Base, Workspace,
                     header_map, main, sse)

FOLDER = os.path.dirname(os.path.abspath(__file__))


class GatewayTest(Base):
    def test_each_route_answers_whole_and_streamed_at_both_places(self):
        for root in ("/ai-gateway", ""):
            for path, body in (("/anthropic/v1/messages", MESSAGES), ("/anthropic/v1/messages?beta=true", MESSAGES),
                               ("/openai/v1/responses", RESPONSES), ("/codex/v1/responses", RESPONSES),
                               ("/openai/v1/chat/completions", CHAT), ("/mlflow/v1/chat/completions", CHAT),
                               ("/cursor/v1/chat/completions", CHAT), ("/cursor/v1/chat/completions", RESPONSES)):
                with self.subTest(path=root + path):
                    whole = self.w.call("POST", root + path, body)
                    self.assertEqual(whole.status, 200, whole.text)
                    self.assertIn(TEXT, whole.text)
                    self.assertIn("usage", whole.json)
                    stream = self.w.call("POST", root + path, {**body, "stream": True})
                    self.assertTrue(stream.headers["Content-Type"].startswith("text/event-stream"))
                    self.assertGreater(len(sse(stream.text)), 3)

    def test_the_anthropic_stream_has_placeholder_then_final_output(self):
        text = self.w.call("POST", "/ai-gateway/anthropic/v1/messages", {**MESSAGES, "stream": True}).text
        events = [json.loads(data) for data in sse(text)]
        self.assertEqual([e["type"] for e in events if e["type"] != "content_block_delta"],
                         ["message_start", "content_block_start", "ping", "content_block_stop", "message_delta",
                          "message_stop"])
        self.assertEqual(text.count("event: "), len(events))
        self.assertEqual(events[0]["message"]["usage"]["output_tokens"], 1)
        self.assertEqual(events[-2]["usage"]["output_tokens"], 6)
        self.assertEqual("".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta"), TEXT)

    def test_usage_can_be_computed_from_the_request(self):
        body = json.dumps(MESSAGES)
        usage = self.w.call("POST", "/anthropic/v1/messages", body).json["usage"]
        total = len(body) // 4
        self.assertEqual(usage["cache_read_input_tokens"], total // 2)
        self.assertEqual(usage["cache_creation_input_tokens"], total // 10)
        self.assertEqual(usage["input_tokens"], total - total // 2 - total // 10)
        self.assertEqual(usage["output_tokens"], (len(TEXT) + 3) // 4)

    def test_given_usage_has_the_same_meaning_in_each_dialect(self):
        given = {"input": 200, "cache_read": 1000, "cache_write": 0, "output": 34, "reasoning": 12}
        self.w.control("POST", "settings", {"usage": given})
        usage = self.w.call("POST", "/anthropic/v1/messages", MESSAGES).json["usage"]
        self.assertEqual((usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]),
                         (200, 1000, 34))
        usage = self.w.call("POST", "/openai/v1/responses", RESPONSES).json["usage"]
        self.assertEqual((usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"],
                          usage["output_tokens"], usage["total_tokens"]), (1200, 1000, 34, 1234))
        usage = self.w.call("POST", "/mlflow/v1/chat/completions", CHAT).json["usage"]
        self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (1200, 34))
        usage = self.w.call("POST", GEMINI_PATH + "generateContent", GEMINI).json["usageMetadata"]
        self.assertEqual((usage["promptTokenCount"], usage["cachedContentTokenCount"], usage["candidatesTokenCount"],
                          usage["thoughtsTokenCount"], usage["totalTokenCount"]), (1200, 1000, 22, 12, 1234))
        self.assertTrue(all(entry["usage"] == given for entry in self.w.requests()))

    def test_responses_stream_ends_with_the_completed_response(self):
        text = self.w.call("POST", "/codex/v1/responses", {**RESPONSES, "stream": True}).text
        events = [json.loads(data) for data in sse(text)]
        self.assertEqual(events[-1]["type"], "response.completed")
        self.assertIn("input_tokens", events[-1]["response"]["usage"])
        self.assertEqual(events[-2]["item"]["content"][0]["text"], TEXT)
        self.assertEqual([e["sequence_number"] for e in events], list(range(len(events))))

    def test_chat_streams_tell_usage_only_when_asked(self):
        for ask in (True, False):
            body = {**RESPONSES, "stream": True}
            if ask:
                body["stream_options"] = {"include_usage": True}
            data = sse(self.w.call("POST", "/ai-gateway/cursor/v1/chat/completions", body).text)
            self.assertEqual(data[-1], "[DONE]")
            chunks = [json.loads(item) for item in data[:-1]]
            self.assertEqual({c["object"] for c in chunks}, {"chat.completion.chunk"})
            self.assertEqual(bool(chunks[-1].get("usage")), ask)

    def test_gemini_in_its_three_forms(self):
        whole = self.w.call("POST", GEMINI_PATH + "generateContent", GEMINI).json
        self.assertEqual(whole["candidates"][0]["content"]["parts"][0]["text"], TEXT)
        stream = self.w.call("POST", GEMINI_PATH + "streamGenerateContent?alt=sse", GEMINI)
        self.assertIn("\r\n\r\n", stream.text)
        events = [json.loads(data) for data in sse(stream.text)]
        self.assertEqual([e["candidates"][0].get("finishReason") for e in events], [None] * (len(events) - 1) + ["STOP"])
        self.assertEqual(events[-1]["usageMetadata"], whole["usageMetadata"])
        array = self.w.call("POST", GEMINI_PATH + "streamGenerateContent", GEMINI).json
        self.assertEqual(len(array), len(events))
        other = GEMINI_PATH.replace("v1beta", "v1") + "generateContent"
        self.assertEqual(self.w.call("POST", other, GEMINI).status, 200)

    def test_both_spellings_are_one_model_and_others_are_unknown(self):
        for model in ("databricks-claude-opus-4-6", "system.ai.claude-opus-4-6"):
            self.assertEqual(self.w.call("POST", "/anthropic/v1/messages", {**MESSAGES, "model": model}).json["model"],
                             model)
        for model in ("claude-opus-4-6", "databricks-nope", "system.ai.nope", "databricks-claude-opus-4-6[1m]"):
            answer = self.w.call("POST", "/anthropic/v1/messages", {**MESSAGES, "model": model})
            self.assertEqual(answer.status, 404)
            self.assertIn("error_code", answer.json)
        self.w.control("POST", "settings", {"error_shape": "native"})
        answer = self.w.call("POST", "/anthropic/v1/messages", {**MESSAGES, "model": "x"})
        self.assertEqual((answer.status, answer.json["error"]["type"]), (404, "not_found_error"))

    def test_a_model_only_answers_the_apis_it_supports(self):
        answer = self.w.call("POST", "/openai/v1/responses", {**RESPONSES, "model": MESSAGES["model"]})
        self.assertEqual(answer.status, 400)
        self.assertIn("does not support the API", answer.text)

    def test_fields_that_the_gateway_does_not_take_are_refused(self):
        cases = [
            ("/anthropic/v1/messages", {**MESSAGES, "context_management": {}}, "context_management: Extra inputs"),
            ("/anthropic/v1/messages", {**MESSAGES, "system": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "scope": "global"}}]},
             "system.1.cache_control.ephemeral.scope: Extra inputs are not permitted"),
            ("/anthropic/v1/messages", {**MESSAGES, "tools": [{"type": "web_search_20250305", "name": "w"}]},
             "web_search_20250305"),
            ("/anthropic/v1/messages", {**MESSAGES, "tools": [{"name": "t", "eager_input_streaming": True}]},
             "eager_input_streaming"),
            ("/anthropic/v1/messages", {**MESSAGES, "max_tokens": 1000000}, "maximum allowed"),
            ("/anthropic/v1/messages", {k: v for k, v in MESSAGES.items() if k != "max_tokens"}, "max_tokens"),
            ("/mlflow/v1/chat/completions", {**CHAT, "model": "databricks-gemini-2-5-flash", "stream_options": {}},
             "stream_options"),
            ("/mlflow/v1/chat/completions", {**CHAT, "model": "databricks-gpt-oss-120b", "store": False}, "store"),
            ("/openai/v1/responses", CHAT, "input: Field required"),
        ]
        for path, body, words in cases:
            with self.subTest(words=words):
                answer = self.w.call("POST", path, body)
                self.assertEqual(answer.status, 400)
                self.assertIn(words, answer.json["message"])
        self.w.control("POST", "settings", {"reject_unsupported_fields": False})
        self.assertEqual(self.w.call("POST", cases[0][0], cases[0][1]).status, 200)

    def test_a_broken_body_is_refused(self):
        for body in ("{", "[]", "", '{"model":7}', "\xff"):
            self.assertEqual(self.w.call("POST", "/openai/v1/responses", body.encode("latin-1")).status, 400)

    def test_count_tokens_and_model_lists(self):
        body = json.dumps(MESSAGES)
        answer = self.w.call("POST", "/anthropic/v1/messages/count_tokens?beta=true", body)
        self.assertEqual(answer.json, {"input_tokens": len(body) // 4})
        ids = [m["id"] for m in self.w.call("GET", "/ai-gateway/anthropic/v1/models?limit=1000").json["data"]]
        self.assertIn("databricks-claude-opus-4-6", ids)
        self.assertNotIn("databricks-gpt-5-2", ids)
        ids = [m["id"] for m in self.w.call("GET", "/ai-gateway/openai/v1/models").json["data"]]
        self.assertIn("databricks-gpt-5-2", ids)

    def test_routes_can_be_missing(self):
        self.w.control("POST", "settings", {"disabled_routes": ["/codex/*"]})
        self.assertEqual(self.w.call("POST", "/ai-gateway/codex/v1/responses", RESPONSES).status, 404)
        self.assertEqual(self.w.call("POST", "/ai-gateway/openai/v1/responses", RESPONSES).status, 200)
        self.assertEqual(self.w.call("HEAD", "/anthropic/api/hello", token=None).status, 404)
        self.assertEqual(self.w.call("GET", "/ai-gateway/openai/v1/responses").status, 405)

    def test_scripted_answers_come_in_order_then_the_usual_text(self):
        self.w.control("POST", "answers", [{"text": "one", "usage": {"output": 99}}, {"text": "two"}])
        said = [self.w.call("POST", "/anthropic/v1/messages", MESSAGES).json for _ in range(3)]
        self.assertEqual([s["content"][0]["text"] for s in said], ["one", "two", TEXT])
        self.assertEqual(said[0]["usage"]["output_tokens"], 99)


class CredentialTest(Base):
    def test_only_a_bearer_token_is_a_credential(self):
        path = "/ai-gateway/anthropic/v1/messages"
        for headers in ({}, {"x-api-key": PAT}, {"x-goog-api-key": PAT}, {"Authorization": "Basic " + PAT}):
            answer = self.w.call("POST", path, MESSAGES, token=None, headers=headers)
            self.assertEqual((answer.status, answer.json["error_code"]), (401, 401))
        relayed = {"Authorization": "Bearer own", "X-Databricks-AI-Gateway-Token": PAT}
        self.assertEqual(self.w.call("POST", path, MESSAGES, token=None, headers=relayed).status, 200)

    def test_a_bad_token_is_a_400_in_plain_text_or_a_403(self):
        for path in ("/ai-gateway/openai/v1/responses", "/api/2.0/preview/scim/v2/Me"):
            answer = self.w.call("POST" if "respons" in path else "GET", path, token="dapi-bad")
            self.assertEqual((answer.status, answer.text), (400, "Invalid Token"))
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        answer = self.w.call("GET", "/api/2.0/sql/warehouses", token="dapi-bad")
        self.assertEqual((answer.status, answer.json["error_code"]), (403, 403))
        self.w.control("POST", "settings", {"invalid_token": "401"})
        self.assertEqual(self.w.call("GET", "/api/2.0/sql/warehouses", token="x").status, 401)

    def test_client_credentials_by_basic_and_by_form(self):
        client, secret = "11111111-2222-3333-4444-555555555555", "dose-valid-secret-0123456789abcdef"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        basic = {**form, "Authorization": "Basic " + base64.b64encode((client + ":" + secret).encode()).decode()}
        grant = {"grant_type": "client_credentials", "scope": "all-apis"}

        def ask(fields, headers):
            return self.w.call("POST", "/oidc/v1/token", urllib.parse.urlencode(fields), None, headers)

        for answer in (ask(grant, basic), ask({**grant, "client_id": client, "client_secret": secret}, form)):
            self.assertEqual(answer.status, 200, answer.text)
            token = answer.json["access_token"]
            self.assertEqual((answer.json["token_type"], answer.json["expires_in"]), ("Bearer", 3600))
            self.assertEqual(self.w.call("GET", "/api/2.0/preview/scim/v2/Me", token=token).json["userName"], client)
        bad = ask({**grant, "client_id": client, "client_secret": "no"}, form)
        self.assertEqual((bad.status, bad.json["error"]), (401, "invalid_client"))
        self.assertEqual(ask({"grant_type": "password", "scope": "x"}, basic).json["error"], "unsupported_grant_type")
        self.assertEqual(ask(grant, {**basic, "Content-Type": "application/json"}).status, 400)
        self.w.control("POST", "clients", {"client_id": client, "client_secret": secret, "scopes": ["sql"]})
        self.assertEqual(ask(grant, basic).json["error"], "access_denied")

        # The token dies with its hour, and by revocation.
        self.w.control("POST", "clock", {"advance_seconds": 3601})
        self.assertEqual(self.w.call("GET", "/api/2.0/preview/scim/v2/Me", token=token).text, "Invalid Token")
        self.w.control("POST", "tokens/revoke", {"value": PAT})
        self.assertEqual(self.w.call("GET", "/api/2.0/preview/scim/v2/Me").status, 400)

    def test_a_gateway_token_opens_the_gateway_only(self):
        self.assertEqual(self.w.call("POST", "/ai-gateway/openai/v1/responses", RESPONSES, NARROW).status, 200)
        legacy = self.w.call("POST", "/openai/v1/responses", RESPONSES, NARROW)
        self.assertEqual(legacy.status, 403)
        self.assertIn("all-apis", legacy.json["message"])
        for path, scope in (("/api/2.0/sql/warehouses", "sql"),
                            ("/api/2.1/unity-catalog/catalogs", "unity-catalog")):
            answer = self.w.call("GET", path, token=NARROW)
            self.assertEqual((answer.status, answer.json["error_code"]), (403, "PERMISSION_DENIED"))
            self.assertIn("required scopes: " + scope, answer.json["message"])
        self.assertEqual(self.w.call("GET", "/api/2.0/preview/scim/v2/Me", token=NARROW).json["status"], "403")

    def test_who_am_i_and_where(self):
        me = self.w.call("GET", "/api/2.0/preview/scim/v2/Me")
        self.assertEqual(me.json["userName"], "ada@example.com")
        self.assertEqual(me.headers["X-Databricks-Org-Id"], "1234567890123456")
        config = self.w.call("GET", "/.well-known/databricks-config", token=None).json
        self.assertEqual(config["workspace_id"], "1234567890123456")
        self.assertTrue(config["oidc_endpoint"].endswith("/oidc"))


class ModelListTest(Base):
    path = "/api/2.1/unity-catalog/model-services"

    def test_pages_hold_every_model_once(self):
        names, token = [], ""
        while True:
            page = self.w.call("GET", self.path + "?parent=schemas/system.ai&page_size=5&page_token=" + token).json
            names += [service["name"] for service in page["model_services"]]
            token = page.get("next_page_token")
            if not token:
                break
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), len(self.w.control("GET", "models")))
        self.assertTrue(all(name.startswith("model-services/system.ai.") for name in names))

    def test_quirks(self):
        self.assertEqual(self.w.call("GET", self.path).status, 499)
        for query in ("?parent=system.ai", "?parent=schemas/system.ai&page_size=101",
                      "?parent=schemas/system.ai&page_size=x", "?parent=schemas/system.ai&page_token=zzz"):
            self.assertEqual(self.w.call("GET", self.path + query).status, 400, query)
        self.assertEqual(self.w.call("GET", self.path + "?parent=schemas/main.nope").status, 404)
        self.w.control("POST", "settings", {"require_org_id": True})
        answer = self.w.call("GET", self.path + "?parent=schemas/system.ai")
        self.assertEqual((answer.status, answer.json["message"]), (400, "Invalid MetastoreId"))
        headers = {"X-Databricks-Org-Id": "1234567890123456"}
        self.assertEqual(self.w.call("GET", self.path + "?parent=schemas/system.ai", headers=headers).status, 200)

    def test_a_list_omits_the_api_types_of_a_user_made_service(self):
        self.w.control("POST", "schemas", {"name": "main.team"})
        self.w.control("POST", "models", {"name": "main.team.router", "api_types": ["anthropic/v1/messages"]})
        listed = self.w.call("GET", self.path + "?parent=schemas/main.team").json["model_services"][0]
        self.assertNotIn("supported_api_types", listed)
        self.assertEqual(self.w.call("GET", self.path + "/main.team.router").json["supported_api_types"],
                         ["anthropic/v1/messages"])
        body = {**MESSAGES, "model": "main.team.router"}
        self.assertEqual(self.w.call("POST", "/ai-gateway/anthropic/v1/messages", body).status, 200)

    def test_older_lists(self):
        first = self.w.call("GET", "/api/2.0/serving-endpoints:foundation-models").json["endpoints"][0]
        entity = first["served_entities"][0]["foundation_model"]
        self.assertTrue(entity["ai_gateway_v2_supported"])
        self.assertIn("anthropic/v1/messages", entity["api_types"])
        first = self.w.call("GET", "/api/2.0/serving-endpoints").json["endpoints"][0]
        self.assertEqual(first["config"]["served_entities"][0]["foundation_model"]["name"],
                         "system.ai.claude-opus-4-6")


class ServerTest(Base):
    def test_keep_alive_pipelining_head_and_chunked_bodies(self):
        connection = self.w.connect()
        for _ in range(3):
            self.assertEqual(self.w.call("POST", "/codex/v1/responses", RESPONSES, connection=connection).status, 200)
        head = self.w.call("HEAD", "/ai-gateway/openai/v1/models", connection=connection)
        self.assertEqual(head.body, b"")
        self.assertGreater(int(head.headers["Content-Length"]), 0)
        body = json.dumps(RESPONSES).encode()
        connection.request("POST", "/codex/v1/responses", iter([body[:10], body[10:]]),
                           {"Authorization": "Bearer " + PAT}, encode_chunked=True)
        self.assertEqual(connection.getresponse().read().count(TEXT.encode()), 1)
        connection.close()
        self.assertEqual(json.loads(self.w.requests()[-1]["body"]), RESPONSES)
        with socket.create_connection(("127.0.0.1", self.w.port), timeout=30) as s:
            one = b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"
            s.sendall(one + one + one.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            got = b""
            while piece := s.recv(65536):
                got += piece
        self.assertEqual(got.count(b"HTTP/1.1 404"), 3)

    def test_expect_100_continue(self):
        body = json.dumps(RESPONSES)
        with socket.create_connection(("127.0.0.1", self.w.port), timeout=30) as s:
            s.sendall(("POST /codex/v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                       "Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (PAT, len(body))).encode())
            first = s.recv(25)
            self.assertEqual(first, b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(body.encode())
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200 OK"))

    def test_what_is_not_http_is_refused(self):
        for text, status in ((b"nonsense\r\n\r\n", b" 400 "), (b"GET / HTTP/1.1\r\nx: " + b"a" * 70000, b" 431 "),
                             (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", b" 413 "),
                             (b"GET / HTTP/1.1\r\n\r\n", b" 400 "), (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b" 400 "),
                             (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", b" 501 ")):
            with socket.create_connection(("127.0.0.1", self.w.port), timeout=30) as s:
                s.sendall(text)
                self.assertIn(status, s.recv(1000))

    def test_many_at_once_are_each_recorded_once(self):
        def work():
            connection = self.w.connect()
            for _ in range(10):
                self.w.call("POST", "/codex/v1/responses", RESPONSES, connection=connection)
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([entry["n"] for entry in self.w.requests()], list(range(1, 161)))

    def test_the_record_tells_a_request_as_it_came(self):
        self.w.call("POST", "/ai-gateway/anthropic/v1/messages?beta=true", MESSAGES,
                    headers={"X-Databricks-Use-Coding-Agent-Mode": "true"})
        self.w.call("POST", "/api/nope", b"\xff\x00")
        first, second = self.w.requests()
        self.assertEqual((first["n"], first["method"], first["path"], first["query"], first["status"], first["owner"]),
                         (1, "POST", "/ai-gateway/anthropic/v1/messages", "beta=true", 200, "ada@example.com"))
        self.assertEqual(header_map(first)["x-databricks-use-coding-agent-mode"], "true")
        self.assertEqual(json.loads(first["body"]), MESSAGES)
        self.assertEqual(first["model"], {"asked": MESSAGES["model"], "answered": MESSAGES["model"]})
        self.assertEqual((base64.b64decode(second["body_base64"]), second["status"]), (b"\xff\x00", 404))
        with open(os.path.join(self.w.state, "requests.jsonl")) as file:
            self.assertEqual([json.loads(line)["n"] for line in file], [1, 2])
        self.w.control("DELETE", "requests")
        self.w.control("POST", "settings", {"record_bodies": False})
        self.w.call("POST", "/api/nope", b"12345")
        self.assertEqual([("body" in e, e["body_bytes"]) for e in self.w.requests()], [(False, 5)])

    def test_a_restart_keeps_what_was_made(self):
        self.ok("CREATE TABLE main.telemetry.kept (a STRUCT<b: LONG>) TBLPROPERTIES ('k' = 'v')")
        self.ok("GRANT SELECT ON TABLE main.telemetry.kept TO developers")
        self.w.control("POST", "settings", {"text": "Still here."})
        before, state = self.w.control("GET", "state"), self.w.state
        self.w.kill()  # nothing may depend on a kind end
        with open(os.path.join(state, "requests.jsonl"), "a") as file:
            file.write('{"n": 3, "torn')
        self.w = Workspace(state)
        self.assertEqual(self.w.control("GET", "state"), before)
        self.assertEqual([entry["n"] for entry in self.w.requests()], [1, 2])
        self.assertIn("Still here.", self.w.call("POST", "/codex/v1/responses", RESPONSES).text)
        self.assertEqual(self.w.requests()[-1]["n"], 3)
        self.w.control("DELETE", "state")
        self.assertEqual(self.w.control("GET", "tables"), [])

    def test_a_folder_serves_one_program_and_a_damaged_one_none(self):
        second = subprocess.run([PROGRAM, "--port", "0", "--state", self.w.state], capture_output=True, text=True)
        self.assertEqual(second.returncode, 1)
        self.assertIn("in use", second.stderr)
        other = os.path.join(self.folder, "damaged")
        os.mkdir(other)
        with open(os.path.join(other, "state.json"), "w") as file:
            file.write("{")
        damaged = subprocess.run([PROGRAM, "--port", "0", "--state", other], capture_output=True, text=True)
        self.assertEqual(damaged.returncode, 1)
        self.assertIn("damaged", damaged.stderr)

    def test_sigterm_ends_it_while_requests_hang(self):
        self.w.fault(fault="hang", count="forever")
        with socket.create_connection(("127.0.0.1", self.w.port)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_for(lambda: len(self.w.requests()) == 1)
            self.assertEqual(self.w.stop(), 0)

    def test_control_refuses_what_it_does_not_know(self):
        for method, path, body in (("POST", "settings", {"txt": "x"}), ("POST", "tokens", {"valeu": "x"}),
                                   ("POST", "settings", []), ("POST", "clock", {}), ("POST", "models", "x")):
            self.assertEqual(self.w.call(method, "/_control/" + path, body, token=None).status, 400, path)
        self.assertEqual(self.w.call("GET", "/_control/nope", token=None).status, 404)


class FakeCommandTest(unittest.TestCase):
    program = os.path.join(FOLDER, "databricks")

    def run_it(self, *arguments, **settings):
        environment = {**os.environ, **{"FAKE_DATABRICKS_" + k: v for k, v in settings.items()}}
        return subprocess.run([sys.executable, self.program, *arguments], env=environment, capture_output=True,
                              text=True, timeout=30)

    def test_a_token_with_its_expiry_and_each_call_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            calls = os.path.join(folder, "calls")
            for n in ("1", "2"):
                done = self.run_it("auth", "token", "--profile", "P", "--force-refresh", "-o", "json",
                                   CALLS=calls, TOKEN="t-{n}")
                token = json.loads(done.stdout)
                self.assertEqual((token["access_token"], token["token_type"]), ("t-" + n, "Bearer"))
                self.assertRegex(token["expiry"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
            with open(calls) as file:
                entries = [json.loads(line) for line in file]
            self.assertEqual([(e["profile"], e["force_refresh"]) for e in entries], [("P", True)] * 2)

    def test_behaviours(self):
        self.assertRaises(ValueError, json.loads, self.run_it("auth", "token", BEHAVIOUR="garbage").stdout)
        self.assertIn("auth login", self.run_it("auth", "token", BEHAVIOUR="no_login").stderr)
        self.assertEqual(self.run_it("auth", "token", BEHAVIOUR="lock").returncode, 45)
        self.assertEqual(self.run_it("auth", "token", BEHAVIOUR="empty").stdout, "")
        self.assertIn("unknown flag", self.run_it("auth", "token", "--force-refresh", VERSION="0.200.0").stderr)
        self.assertEqual(self.run_it("--version").stdout, "Databricks CLI v1.13.0\n")
        profiles = json.loads(self.run_it("auth", "profiles", "-o", "json", PROFILES="A,B").stdout)["profiles"]
        self.assertEqual([p["name"] for p in profiles], ["A", "B"])
        with self.assertRaises(subprocess.TimeoutExpired):
            subprocess.run([sys.executable, self.program, "auth", "token"], timeout=1,
                           env={**os.environ, "FAKE_DATABRICKS_BEHAVIOUR": "hang"}, capture_output=True)


if __name__ == "__main__":
    main()
