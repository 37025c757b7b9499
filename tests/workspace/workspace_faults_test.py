"""Every fault of dbx-agents-workspace, over HTTP: workspace_faults_test.py PATH-OF-THE-PROGRAM [unittest arguments]"""

import http.client
import json
import socket
import threading
import unittest

from standin import GEMINI, GEMINI_PATH, MESSAGES, PAT, RESPONSES, WAREHOUSE, Base, main, sse


class FaultTest(Base):
    path = "/ai-gateway/anthropic/v1/messages"

    def ask(self, stream=False, **more):
        return self.w.call("POST", self.path, {**MESSAGES, "stream": stream}, **more)

    def raw(self, body, close=False):
        """Everything up to the end of the connection, and whether it was a reset."""
        text = json.dumps(body)
        with socket.create_connection(("127.0.0.1", self.w.port), timeout=30) as s:
            s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n%s"
                       % (self.path, PAT, len(text), "Connection: close\r\n" if close else "", text)).encode())
            got = b""
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    return got, True
                if not piece:
                    return got, False
                got += piece

    def test_status_presets(self):
        cases = {
            "401": (401, "Credential was not sent"), "400_invalid_token": (400, "Invalid Token"),
            "403": (403, "EXECUTE"), "403_scope": (403, "required scopes"), "403_ip_list": (403, "IP ACL"),
            "404_route": (404, "No API found"), "429": (429, "REQUEST_LIMIT_EXCEEDED"), "5xx": (503, "unavailable"),
            "500": (500, "INTERNAL_ERROR"), "529": (529, "unavailable"), "html_login_page": (200, "<html>"),
            "private_link_redirect": (302, ""),
        }
        for name, (status, words) in cases.items():
            with self.subTest(fault=name):
                self.w.fault(fault=name)
                answer = self.ask()
                self.assertEqual(answer.status, status)
                self.assertIn(words, answer.text)
                self.assertEqual(self.ask().status, 200)
        entries = self.w.requests()
        self.assertEqual([e["processed"] for e in entries], [False, True] * len(cases))
        self.assertEqual(entries[0]["fault"], "401")

    def test_redirect_and_login_page_are_what_they_look_like(self):
        self.w.fault(fault="private_link_redirect")
        self.assertEqual(self.ask().headers["Location"], "/login.html?error=private-link-validation-error")
        self.w.fault(fault="html_login_page")
        self.assertTrue(self.ask().headers["Content-Type"].startswith("text/html"))

    def test_retry_after_is_there_only_when_given(self):
        for value, seen in ((None, None), (2, "2"), ("Fri, 31 Dec 2027 23:59:59 GMT", "Fri, 31 Dec 2027 23:59:59 GMT")):
            rule = {"fault": 429} if value is None else {"fault": "429", "retry_after": value}
            self.w.fault(**rule)
            self.assertEqual(self.ask().headers["Retry-After"], seen)

    def test_native_shapes(self):
        self.w.fault(fault="429", shape="native", path="*gemini*")
        answer = self.w.call("POST", GEMINI_PATH + "generateContent", GEMINI)
        self.assertEqual(answer.json["error"]["status"], "RESOURCE_EXHAUSTED")
        self.w.fault(fault="429", shape="native", message="slow down")
        self.assertEqual(self.ask().json["error"], {"type": "rate_limit_error", "message": "slow down"})
        self.w.fault(fault="401", shape="native")
        self.assertEqual(self.w.call("POST", "/codex/v1/responses", RESPONSES).json["error"]["code"], "invalid_api_key")

    def test_which_requests_are_hit(self):
        self.w.fault(fault="500", path="*/responses", method="POST", match_body="needle", count=2, after=1)
        seen = [self.w.call("POST", "/codex/v1/responses", {**RESPONSES, "note": "needle"}).status for _ in range(4)]
        self.assertEqual(seen, [200, 500, 500, 200])
        self.w.control("DELETE", "faults")
        self.w.fault(fault="500", path="*/responses", match_body="needle", count="forever")
        self.assertEqual(self.w.call("POST", "/codex/v1/responses", RESPONSES).status, 200)
        self.assertEqual(self.ask().status, 200)
        for _ in range(3):
            self.assertEqual(self.w.call("POST", "/codex/v1/responses", {**RESPONSES, "n": "needle"}).status, 500)
        rule = self.w.control("GET", "faults")[0]
        self.w.control("DELETE", "faults/%d" % rule["id"])
        self.assertEqual(self.w.control("GET", "faults"), [])

    def test_a_wrong_rule_is_refused(self):
        for rule in ({"fault": "nope"}, {}, {"fault": "429", "retry-after": 2}, {"fault": "hang", "count": "often"},
                     {"fault": "raw", "status": 99}, {"fault": "cut_stream", "reset": 1}, {"fault": "5zz"}, [7]):
            self.assertEqual(self.w.call("POST", "/_control/faults", rule, token=None).status, 400, rule)
        self.assertEqual(self.w.control("GET", "faults"), [])

    def test_slow_first_byte_and_slow_events_still_complete(self):
        self.w.fault(fault="slow_first_byte", ms=50)
        self.assertIn("message_stop", self.ask(stream=True).text)
        self.w.fault(fault="slow_events", ms=2)
        self.assertIn("message_stop", self.ask(stream=True).text)

    def test_a_cut_stream_has_no_end(self):
        self.w.fault(fault="cut_stream", events=2, bytes=5)
        got, _ = self.raw({**MESSAGES, "stream": True})
        self.assertEqual(got.count(b"data: "), 2)
        self.assertTrue(got.endswith(b"5\r\nevent\r\n"), got[-40:])
        self.w.fault(fault="cut_stream", events=0)
        got, _ = self.raw({**MESSAGES, "stream": True})
        self.assertTrue(got.endswith(b"\r\n\r\n") and b"data: " not in got)
        self.w.fault(fault="cut_stream", events=1)
        with self.assertRaises(http.client.IncompleteRead):
            self.ask(stream=True)
        self.w.fault(fault="cut_stream")
        with self.assertRaises(http.client.IncompleteRead):
            self.ask(stream=False)
        self.assertEqual([e["outcome"] for e in self.w.requests()], ["cut"] * 4)

    def test_a_cut_may_be_a_reset(self):
        self.w.fault(fault="cut_before_answer", reset=True)
        self.assertEqual(self.raw(MESSAGES), (b"", True))

    def test_cut_before_answer_processed_the_request_and_before_processing_did_not(self):
        create = {"warehouse_id": WAREHOUSE, "statement": "CREATE TABLE main.telemetry.%s (a INT)", "wait_timeout": "30s"}
        for fault, name, exists in (("cut_before_answer", "lost", True), ("cut_before_processing", "never", False)):
            self.w.fault(fault=fault)
            body = {**create, "statement": create["statement"] % name}
            with self.assertRaises((http.client.RemoteDisconnected, ConnectionError)):
                self.w.call("POST", "/api/2.0/sql/statements", body)
            answer = self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.%s/exists" % name)
            self.assertEqual(answer.json["table_exists"], exists)
        lost = self.w.requests()[0]
        self.assertEqual((lost["status"], lost["processed"]), (None, True))

    def test_garbage_json(self):
        self.w.fault(fault="garbage_json")
        answer = self.ask()
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertRaises(ValueError, lambda: answer.json)

    def test_a_hang_ends_when_the_client_leaves_or_with_a_release(self):
        self.w.fault(fault="hang", count=2)
        with socket.create_connection(("127.0.0.1", self.w.port)) as s:
            s.sendall(b"GET /ai-gateway/openai/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            self.wait_for(lambda: len(self.w.requests()) == 1)
        self.wait_for(lambda: self.w.requests()[0]["outcome"] == "client_left")
        result = []
        thread = threading.Thread(target=lambda: result.append(self.raw(MESSAGES)))
        thread.start()
        self.wait_for(lambda: len(self.w.requests()) == 2)
        self.assertIsNone(self.w.requests()[1]["status"])
        self.w.control("POST", "release")
        thread.join(20)
        self.assertEqual(result[0][0], b"")

    def test_a_held_stream_delivers_what_came_before(self):
        self.w.fault(fault="hold_stream", events=2)
        connection = self.w.connect()
        connection.request("POST", self.path, json.dumps({**MESSAGES, "stream": True}),
                           {"Authorization": "Bearer " + PAT})
        response = connection.getresponse()
        seen = b""
        while seen.count(b"\n\n") < 2:
            seen += response.read1(1)
        self.assertIn(b"content_block_start", seen)
        self.assertIsNone(self.w.requests()[0]["outcome"])
        self.w.control("POST", "release")
        self.assertIn(b"message_stop", response.read())
        connection.close()
        self.wait_for(lambda: self.w.requests()[0]["outcome"] == "complete")

    def test_a_client_that_leaves_a_stream_is_noticed(self):
        self.w.fault(fault="hold_stream", events=1)
        with socket.create_connection(("127.0.0.1", self.w.port)) as s:
            body = json.dumps({**MESSAGES, "stream": True})
            s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
                       % (self.path, PAT, len(body), body)).encode())
            s.recv(1)
        self.wait_for(lambda: self.w.requests()[0]["outcome"] == "client_left")

    def test_stream_errors_and_slices(self):
        self.w.fault(fault="stream_error", events=3, code="overloaded_error", message="busy")
        answer = self.ask(stream=True)
        self.assertEqual(json.loads(sse(answer.text)[-1])["error"]["message"], "busy")
        self.w.fault(fault="stream_error", code="server_error")
        last = json.loads(sse(self.w.call("POST", "/codex/v1/responses", {**RESPONSES, "stream": True}).text)[-1])
        self.assertEqual((last["type"], last["response"]["error"]["code"]), ("response.failed", "server_error"))
        self.w.fault(fault="split_bytes", bytes=3)
        got, _ = self.raw({**MESSAGES, "stream": True}, close=True)
        self.assertIn(b"\r\n3\r\neve\r\n3\r\nnt:\r\n", got)

    def test_raw_answers(self):
        self.w.fault(fault="raw", status=418, headers={"x-a": "b"}, body="tea")
        answer = self.ask()
        self.assertEqual((answer.status, answer.headers["x-a"], answer.text), (418, "b", "tea"))


if __name__ == "__main__":
    main()
