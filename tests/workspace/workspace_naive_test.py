"""Every fault of dbx-agents-workspace breaks a client that is written for good weather only: that is what a fault is for.
workspace_naive_test.py PATH-OF-THE-PROGRAM [unittest arguments]"""

import json
import re
import socket
import unittest
import urllib.request
from pathlib import Path

from standin import MESSAGES, NARROW, PAT, TEXT, WAREHOUSE, Base, main, sse

PATH = "/ai-gateway/anthropic/v1/messages"


class Naive(Base):
    """The clients of these tests: each does what a first version of a client does."""

    def ask(self, token=PAT, path=PATH, body=None):
        """Reads the answer of a model without a look at status or type."""
        return json.loads(self.w.call("POST", path, body or MESSAGES, token).body)["content"][0]["text"]

    def status(self, token=PAT):
        return self.w.call("POST", PATH, MESSAGES, token).status

    def stream(self):
        """Everything up to the end of the connection counts as the whole answer."""
        with socket.create_connection(("127.0.0.1", self.w.port), timeout=30) as s:
            body = json.dumps({**MESSAGES, "stream": True})
            s.sendall((f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {PAT}\r\nContent-Length: {len(body)}\r\n"
                       f"Connection: close\r\n\r\n{body}").encode())
            got = b""
            while piece := s.recv(65536):
                got += piece
        text = ""
        for line in got.decode().split("\n"):
            if line.startswith("data: {"):
                try:
                    text += json.loads(line[6:]).get("delta", {}).get("text", "")
                except ValueError:
                    pass  # a first version shrugs
        return text

    def timed(self, seconds, body=None):
        """A client with a time limit that was thought to be generous."""
        connection = self.w.connect()
        connection.timeout = seconds
        try:
            connection.request("POST", PATH, json.dumps(body or MESSAGES), {"Authorization": "Bearer " + PAT})
            return connection.getresponse().read()
        finally:
            connection.close()

    def test_in_good_weather_each_of_them_works(self):
        self.assertEqual(self.ask(), TEXT)
        self.assertEqual(self.stream(), TEXT)
        self.assertIn(TEXT.encode(), self.timed(20))


class EveryFault(Naive):
    def test_401(self):
        self.w.fault(fault="401")
        self.assertRaises(KeyError, self.ask)

    def test_400_invalid_token(self):
        """It waits for 401 to make a new token; and the words are no JSON."""
        self.w.fault(fault="400_invalid_token", count=2)
        self.assertNotEqual(self.status(), 401)
        self.assertRaises(ValueError, self.ask)

    def test_403(self):
        """It takes every 403 for an old token: a new one does not help, by status and code the three are the same."""
        seen = set()
        for fault in ("403", "403_scope", "403_ip_list"):
            self.w.fault(fault=fault, count=2)
            first = self.w.call("POST", PATH, MESSAGES)
            self.assertEqual(self.status(NARROW), 403, "again, with another token")
            seen.add((first.status, first.json["error_code"]))
        self.assertEqual(len(seen), 1)

    test_403_scope = test_403_ip_list = test_403

    def test_404_route(self):
        """It says "no such model", as for this model that is not there: the status is the same."""
        self.w.fault(fault="404_route")
        self.assertEqual(self.status(), 404)
        self.assertEqual(self.w.call("POST", PATH, {**MESSAGES, "model": "databricks-nobody"}).status, 404)

    def test_429(self):
        """It repeats at once, or takes Retry-After for a number that is always there."""
        self.w.fault(fault="429", count=2)
        self.assertEqual([self.status(), self.status()], [429, 429])
        for value in (None, "Fri, 31 Dec 2027 23:59:59 GMT"):
            self.w.fault(**{"fault": "429", **({"retry_after": value} if value else {})})
            self.assertRaises((TypeError, ValueError), int, self.w.call("POST", PATH, MESSAGES).headers["Retry-After"])

    def test_5xx(self):
        """It asks once."""
        for status in (500, 503, 504, 529):
            self.w.fault(fault="5xx", status=status)
            self.assertRaises(KeyError, self.ask)
        self.assertEqual(self.ask(), TEXT, "a second try would have done")

    def test_html_login_page(self):
        """It goes by the status."""
        self.w.fault(fault="html_login_page", count=2)
        self.assertEqual(self.status(), 200)
        self.assertRaises(ValueError, self.ask)

    def test_private_link_redirect(self):
        """It follows: the token goes to a page that is not the gateway."""
        self.w.fault(fault="private_link_redirect")
        request = urllib.request.Request(f"http://127.0.0.1:{self.w.port}{PATH}", json.dumps(MESSAGES).encode(), {"Authorization": "Bearer " + PAT})
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            error.close()
        last = self.w.requests()[-1]
        self.assertEqual(last["path"], "/login.html")
        self.assertIn("Bearer " + PAT, [value for _, value in last["headers"]])

    def test_raw(self):
        self.w.fault(fault="raw", status=200, headers={"content-type": "application/json"}, body="[]")
        self.assertRaises(TypeError, self.ask)

    def test_garbage_json(self):
        self.w.fault(fault="garbage_json")
        self.assertRaises(ValueError, self.ask)

    def test_slow_first_byte(self):
        self.w.fault(fault="slow_first_byte", ms=2000)
        self.assertRaises(TimeoutError, self.timed, 0.2)

    def test_slow_events(self):
        self.w.fault(fault="slow_events", ms=2000)
        self.assertRaises(TimeoutError, self.timed, 0.2, {**MESSAGES, "stream": True})

    def test_cut_stream(self):
        """Half an answer is handed on as a whole one."""
        self.w.fault(fault="cut_stream", events=3)
        self.assertNotEqual(self.stream(), TEXT)

    def test_stream_error(self):
        """Status 200 and a clean end: the error inside is not seen."""
        self.w.fault(fault="stream_error", events=3, code="overloaded_error", message="busy")
        self.assertNotEqual(self.stream(), TEXT)

    def test_hold_stream(self):
        """It waits for the end: without a limit of its own, for ever."""
        self.w.fault(fault="hold_stream", events=2)
        self.assertRaises(TimeoutError, self.timed, 0.5, {**MESSAGES, "stream": True})

    def test_hang(self):
        self.w.fault(fault="hang")
        self.assertRaises(TimeoutError, self.timed, 0.5)

    def test_split_bytes(self):
        """It takes what one read gives for one event."""
        self.w.fault(fault="split_bytes", bytes=7)
        connection = self.w.connect()
        connection.request("POST", PATH, json.dumps({**MESSAGES, "stream": True}), {"Authorization": "Bearer " + PAT})
        first = connection.getresponse().read1(65536)
        connection.close()
        self.assertRaises((AssertionError, ValueError), lambda: [json.loads(data) for data in sse(first.decode())])

    def test_cut_before_answer(self):
        """It repeats what it got no answer to: this time the table is there."""
        self.w.fault(fault="cut_before_answer")
        create = {"warehouse_id": WAREHOUSE, "statement": "CREATE TABLE main.telemetry.lost (a INT)", "wait_timeout": "30s"}
        self.assertRaises(OSError, self.w.call, "POST", "/api/2.0/sql/statements", create)
        again = self.w.call("POST", "/api/2.0/sql/statements", create).json
        self.assertEqual(again["status"]["state"], "FAILED")
        self.assertIn("ALREADY_EXISTS", json.dumps(again))

    def test_cut_before_processing(self):
        """It takes the lost answer for a done deed, as above."""
        self.w.fault(fault="cut_before_processing")
        create = {"warehouse_id": WAREHOUSE, "statement": "CREATE TABLE main.telemetry.never (a INT)", "wait_timeout": "30s"}
        self.assertRaises(OSError, self.w.call, "POST", "/api/2.0/sql/statements", create)
        self.assertFalse(self.w.call("GET", "/api/2.1/unity-catalog/tables/main.telemetry.never/exists").json["table_exists"])


class NoneIsLeftOut(unittest.TestCase):
    def test_each_preset_has_its_client_and_its_source(self):
        source = (Path(__file__).resolve().parent / "faults.cpp").read_text()
        presets = re.findall(r'(//[^\n]*\n)?    Preset\{"(\w+)"', source)
        self.assertGreater(len(presets), 15)
        for comment, name in presets:
            self.assertTrue(comment, f"{name} says nothing of where it is seen")
            self.assertTrue(hasattr(EveryFault, "test_" + name), name)


if __name__ == "__main__":
    main()
