"""A client of dbx-agents-workspace for tests: starts it, asks it, controls it. The path of the program is the first
argument of the script that imports this, or DBX_AGENTS_WORKSPACE."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

PROGRAM = os.environ.get("DBX_AGENTS_WORKSPACE") or (sys.argv[1] if len(sys.argv) > 1 else "")
PAT = "dapi-valid-token-0123456789abcdef"
NARROW = "dapi-gateway-only-0123456789abcdef"
GUEST = "dapi-guest-token-0123456789abcdef0"
WAREHOUSE = "0123456789abcdef"
TEXT = "Hello from the stand-in."


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.text = body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


class Workspace:
    """One running program."""

    def __init__(self, state):
        self.state = state
        self.process = subprocess.Popen([PROGRAM, "--port", "0", "--state", state], stdout=subprocess.PIPE,
                                        text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method, path, body=None, token=PAT, headers=None, connection=None):
        fields = dict(headers or {})
        if token:
            fields["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            if own:
                connection.close()

    def control(self, method, path, body=None):
        answer = self.call(method, "/_control/" + path, body, token=None)
        assert answer.status == 200, answer.text
        return answer.json

    def fault(self, **rule):
        return self.control("POST", "faults", rule)

    def requests(self):
        return self.control("GET", "requests")


MESSAGES = {"model": "databricks-claude-opus-4-6", "max_tokens": 100,
            "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "databricks-gpt-5-2", "input": [{"role": "user", "content": "hi"}]}
CHAT = {"model": "databricks-gpt-5-2", "messages": [{"role": "user", "content": "hi"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
GEMINI_PATH = "/ai-gateway/gemini/v1beta/models/databricks-gemini-2-5-flash:"


def sse(text):
    """Data of each event, in order; a strict reader: every event ends with a blank line."""
    text = text.replace("\r\n", "\n")
    assert text.endswith("\n\n"), text[-80:]
    return [line[6:] for event in text.split("\n\n") for line in event.split("\n") if line.startswith("data: ")]


def header_map(entry):
    return {name.lower(): value for name, value in entry["headers"]}


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="dbx-standin-")
        self.w = Workspace(os.path.join(self.folder, "state"))

    def tearDown(self):
        if self.w.process.poll() is None:
            self.assertEqual(self.w.stop(), 0)
        shutil.rmtree(self.folder)

    def statement(self, text, token=PAT, **more):
        body = {"warehouse_id": WAREHOUSE, "statement": text, "wait_timeout": "30s"}
        body.update(more)
        return self.w.call("POST", "/api/2.0/sql/statements", body, token)

    def ok(self, text, token=PAT, **more):
        answer = self.statement(text, token, **more)
        self.assertEqual(answer.json["status"]["state"], "SUCCEEDED", answer.text)
        return answer.json

    def failed(self, text, token=PAT, **more):
        answer = self.statement(text, token, **more)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["status"]["state"], "FAILED", answer.text)
        return answer.json["status"]

    def wait_for(self, condition):
        for _ in range(2000):
            if condition():
                return
            threading.Event().wait(0.01)
        self.fail("it did not happen")


def main():
    """Runs the tests of the calling script: PROGRAM [unittest arguments]."""
    if not os.access(PROGRAM, os.X_OK):
        sys.exit("usage: " + sys.argv[0] + " PATH-OF-dbx-agents-workspace [unittest arguments]")
    if len(sys.argv) > 1 and sys.argv[1] == PROGRAM:
        del sys.argv[1]
    unittest.main(module="__main__")
