"""`dbx-agents proxy` as a user starts it: in the scene's HOME, in the foreground, with what setup has remembered."""

import http.client
import json
import select
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing

from agents import Unexpected, want

READY_SECONDS = 30
STOP_SECONDS = 45


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=60):
    """The first true value of condition(), which is asked until then."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        want(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return value


class LocalProxy:
    """One HOME's proxy. start() again after stop() or kill() is the same one on the same port."""

    def __init__(self, scene, port, *flags, **environment):
        self.scene, self.port, self.flags, self.environment = scene, port, flags, environment
        self.log = scene.base / "proxy.err"
        self.process = None
        self.start()

    def start(self):
        words = [self.scene.bin / "dbx-agents", "proxy", "--port", str(self.port), "--log-level", "debug", *self.flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([str(word) for word in words], env=self.scene.environment(**self.environment),
                                            cwd=self.scene.project, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        ready = select.select([self.process.stdout], [], [], READY_SECONDS)[0]
        line = self.process.stdout.readline().strip() if ready else ""
        if line != f"listening on http://127.0.0.1:{self.port}":
            self.kill()
            raise Unexpected(f"the proxy did not start: {line!r}\n{self.told()}")

    def told(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise Unexpected(f"the proxy did not end within {STOP_SECONDS} s of SIGTERM\n{self.told()}") from late
        self.process.stdout.close()
        want(code == 0, f"the proxy ended with {code}\n{self.told()}")

    def stop(self):
        self.terminate()
        self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        if self.process.poll() is None:
            self.kill()

    def keys(self):
        return json.loads((self.scene.home / ".local/state/dbx-agents/local_keys.json").read_text())["keys"]

    def ask(self, method, path, body=None):
        """Another client with the agent's key; the open connection and the answer, whose body is unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        fields = {"Authorization": "Bearer " + self.keys()[self.scene.agent.name], "Content-Type": "application/json"}
        connection.request(method, path, body, fields)
        return connection, connection.getresponse()

    def status(self):
        connection, answer = self.ask("GET", "/status")
        with closing(connection):
            return json.loads(answer.read())

    def rows(self):
        """The ledger, by any reader's SQLite."""
        path = self.scene.home / ".local/state/dbx-agents/usage.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM requests ORDER BY started_at, id")]

    def check_secrets(self, *secrets):
        """Neither the tokens nor the local keys are in what the proxy told, or in its ledger."""
        state = self.scene.home / ".local/state/dbx-agents"
        kept = b"".join(path.read_bytes() for path in state.glob("usage.db*")) + self.told().encode()
        for secret in [*secrets, *self.keys().values()]:
            want(secret.encode() not in kept, "a secret is in the proxy's log or ledger")
