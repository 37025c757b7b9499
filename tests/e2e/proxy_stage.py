"""A stage for the cases of the proxy: what each agent needs for them, a HOME straight to the workspace or behind the proxy, a turn
on it, and what two turns must have in common."""

import json
import os
import re
import signal
import subprocess

from agents import Turn, shape, want
from local_proxy import LocalProxy, free_port, wait_for
from scene import TURN_SECONDS, Scene
from telemetry_case import PLACE, Recorder

USAGE = {"input": 1111, "cache_read": 222, "cache_write": 33, "output": 44, "reasoning": 5}

# What may differ between the same request sent straight and through the proxy; everything else is the same, in the same order.
MAY_DIFFER = {
    "authorization": "the proxy's token for the local key",
    "x-goog-api-key": "Gemini CLI's second copy of its key is taken out",
    "x-api-key": "the same",
    "accept-encoding": "identity: usage is read from the passing answer",
    "host": "the workspace for 127.0.0.1",
    "connection": "of one connection only",
    "content-length": "framing",
    "transfer-encoding": "framing",
}

# ---------------------------------------------------------------- the agents, as these cases need them


class Codex:
    name, route = "codex", "/openai/v1/responses"
    faults = "/ai-gateway/openai/v1/responses"
    body = json.dumps({"model": "databricks-gpt-5-2", "stream": True, "input": [{"role": "user", "content": "hi"}]})
    quick = {}
    patient = {}
    sums_up = True  # after `resume` it tells the whole thread's tokens
    asks_again = True  # after an answer that broke off

    def files(self, agent):
        return agent.seeds("codex/25-model-and-provider.toml", "codex-env/01-other-keys.env")

    def command(self, program, scene, resume):
        retries = [word for key in ("request_max_retries", "stream_max_retries")
                   for word in ("-c", f"model_providers.databricks.{key}=1")]
        rest = ["resume", "--last", "go on"] if resume else ["say hi"]
        return [program, "exec", "--json", "--skip-git-repo-check", "--color", "never", "--sandbox", "read-only", *retries,
                "--output-last-message", scene.temporary / "last.txt", *rest]

    def text(self, turn):
        return turn.last

    def usage(self, turn):
        used = [json.loads(line)["usage"] for line in turn.out.splitlines() if '"turn.completed"' in line][-1]
        cached = used["cached_input_tokens"]
        return {"input_tokens": used["input_tokens"] - cached, "cache_read_tokens": cached, "output_tokens": used["output_tokens"],
                "reasoning_tokens": used["reasoning_output_tokens"]}


class Claude:
    name, route = "claude", "/anthropic/v1/messages"
    faults = "/ai-gateway/anthropic/v1/messages"
    body = json.dumps({"model": "databricks-claude-opus-4-6", "max_tokens": 64, "stream": True,
                       "messages": [{"role": "user", "content": "hi"}]})
    quick = {"CLAUDE_CODE_MAX_RETRIES": "2"}
    patient = {"CLAUDE_CODE_MAX_RETRIES": "6"}
    sums_up = False
    asks_again = True

    def files(self, agent):
        return agent.seeds("claude/16-old-token-and-helper.json")

    def command(self, program, scene, resume):
        return [program, "-p", "go on" if resume else "say hi", *(["--continue"] if resume else []), "--output-format", "json",
                "--strict-mcp-config"]

    def text(self, turn):
        return json.loads(turn.out)["result"]

    def usage(self, turn):
        used = json.loads(turn.out)["usage"]
        return {"input_tokens": used["input_tokens"], "cache_read_tokens": used["cache_read_input_tokens"],
                "cache_write_tokens": used["cache_creation_input_tokens"], "output_tokens": used["output_tokens"]}


class Gemini:
    name, route = "gemini", "/gemini/v1beta/models/databricks-gemini-2-5-flash:streamGenerateContent?alt=sse"
    faults = "/ai-gateway/gemini/*"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    quick = {}
    patient = {}
    sums_up = False
    asks_again = False  # 0.61 ends the turn with 1 once it has shown something

    def files(self, agent):
        files = agent.seeds("gemini-env/01-personal.env", "gemini-settings/02-comments.json")
        return {name: data.replace(b'"maxAttempts": 1', b'"maxAttempts": 2') for name, data in files.items()}

    def command(self, program, scene, resume):
        return [program, "-p", "go on" if resume else "say hi", *(["--resume", "latest"] if resume else []), "--output-format", "json"]

    def text(self, turn):
        return json.loads(turn.out)["response"]

    def usage(self, turn):
        models = json.loads(turn.out)["stats"]["models"].values()
        total = {key: sum(model["tokens"][key] for model in models) for key in ("prompt", "cached", "candidates", "thoughts")}
        return {"input_tokens": total["prompt"] - total["cached"], "cache_read_tokens": total["cached"],
                "output_tokens": total["candidates"] + total["thoughts"], "reasoning_tokens": total["thoughts"]}


PLAYERS = {player.name: player for player in (Codex(), Claude(), Gemini())}

# ---------------------------------------------------------------- what is compared

NOISE = [  # of every run anew, whatever lies between
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"127\.0\.0\.1:\d+(/ai-gateway)?"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r'("[a-z_]*(?:duration|latency|ttft|ms|time)[a-z_]*\\*":\s*)[\d.]+', re.I), r"\1N"),
]


def without_noise(text, stage):
    base = str(stage.scene.base)
    for name in (base, re.sub(r"[^A-Za-z0-9]", "-", base)):  # as Claude Code names a project's folder
        text = text.replace(name, "SCENE")
    for pattern, word in NOISE:
        text = pattern.sub(word, text)
    return text


def plain(entry, stage):
    """A recorded request as it is compared. Codex writes the members of client_metadata in any order."""
    headers = [(name, without_noise(value, stage)) for name, value in entry["headers"] if name.lower() not in MAY_DIFFER]
    body = json.dumps(json.loads(entry["body"]), sort_keys=True, ensure_ascii=False) if entry.get("body") else ""
    return {"line": shape(entry), "headers": headers, "body": without_noise(body, stage)}


def first_difference(a, b):
    at = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {at}: straight {a[max(0, at - 120):at + 200]!r}, through the proxy {b[max(0, at - 120):at + 200]!r}"


COUNTS = re.compile(r'("(?:\w*tokens|\w*Tokens|\w*cost_usd|costUSD)":\s*)[\d.]+')


def compare(straight, through, counts=True):
    """(stage, turn) of each: the same exit code, the same output, and the same requests but for MAY_DIFFER. Claude Code counts
    what a cut answer began with, or not, as time wills, also straight: then its counts are left out."""
    (a_stage, a), (b_stage, b) = straight, through
    want(a.code == b.code, f"exit {a.code} straight, {b.code} through the proxy")
    out = [without_noise(turn.out, stage) for stage, turn in (straight, through)]
    if not counts:
        out = [COUNTS.sub(r"\1N", text) for text in out]
    want(out[0] == out[1], "the output differs " + first_difference(*out))
    requests = [[plain(entry, stage) for entry in turn.entries] for stage, turn in (straight, through)]
    lines = [[request["line"] for request in side] for side in requests]
    want(lines[0] == lines[1], f"the workspace saw {lines[0]} straight, {lines[1]} through the proxy")
    for number, (one, other) in enumerate(zip(*requests)):
        want(one["headers"] == other["headers"],
             f"headers of request {number}: only straight {[h for h in one['headers'] if h not in other['headers']]}, only through the "
             f"proxy {[h for h in other['headers'] if h not in one['headers']]}, or their order")
        want(one["body"] == other["body"], f"the body of request {number} differs " + first_difference(one["body"], other["body"]))


# ---------------------------------------------------------------- a stage


class Stage:
    """A HOME for one agent, set up straight to the workspace or through a proxy."""

    def __init__(self, play, form):
        self.play, self.form, self.player, self.workspace = play, form, play.player, play.workspace
        self.scene = Scene(play.options.scenes, play.agent, play.prefix, play.options.program, play.player.files(play.agent))
        self.before = self.scene.snapshot()
        self.proxy, self.process, self.turn, self.turns, self.rows_seen, self.token = None, None, None, 0, 0, play.token
        self.thread = []  # the ledger's rows of the agent's session
        self.recorder = None
        words = ["setup", play.agent.name, "--workspace", play.url, "--yes"]
        if form == "proxy":
            self.port = free_port()
            self.scene.dbx_agents(*words, "--auth", "proxy", f"--via-proxy={self.port}")
        elif form == "telemetry":  # the same, with tables, and somebody between who keeps what the agent sends
            self.port = free_port()
            self.recorder = Recorder(self.port)
            place = ["--catalog", "main", "--schema", "telemetry", "--prefix", PLACE.rsplit(".", 1)[1], "--workspace", play.url]
            self.scene.dbx_agents("tables", "create", *place, DATABRICKS_TOKEN=play.token)
            self.scene.dbx_agents("tables", "grant", *place, "--to", "ada@example.com", DATABRICKS_TOKEN=play.token)
            self.scene.dbx_agents(*words, "--auth", "proxy", f"--via-proxy={self.recorder.port}", "--otel", PLACE)
        else:
            self.scene.dbx_agents(*words, "--auth", "pat", DATABRICKS_TOKEN=play.token)
        self.written = self.scene.snapshot()

    def close(self):
        self.end_agent()
        if self.proxy:
            self.proxy.close()
        if self.recorder:
            self.recorder.close()
        if not self.play.options.keep:
            self.scene.close()

    def end_agent(self):
        """Nothing of a turn is left, however the case ended."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def start_proxy(self, *flags, **environment):
        """A proxy with the workspace's token, or with the credential that the environment names."""
        if self.proxy:
            self.proxy.stop()
        given = environment or {"DATABRICKS_HOST": self.play.url, "DATABRICKS_TOKEN": self.token}
        self.proxy = LocalProxy(self.scene, self.port, *flags, **given)

    def begin(self, *, faults=(), resume=False, patient=False, beside=False):
        """Starts a turn; the record and the faults are only its own. `beside`: a held stream stays as it is."""
        self.turns += 1
        if not resume:
            self.thread = []
        self.sentence = f"The stand-in answers number {self.turns}."
        if not beside:
            self.workspace.control("POST", "release")
        self.workspace.control("DELETE", "faults")
        # Events that come apart: an agent sees the one before a cut, or not at all, as time wills, when they come together.
        gap = 100 if any(fault["fault"] == "cut_stream" for fault in faults) else 0
        self.workspace.control("POST", "settings", {"text": self.sentence, "usage": USAGE, "event_gap_ms": gap})
        for fault in faults:
            self.workspace.control("POST", "faults", {"path": self.player.faults, **fault})
        self.workspace.control("DELETE", "requests")
        agent, scene = self.play.agent, self.scene
        self.environment = scene.environment(**{**agent.environment(self.play.scenario), **self.player.quick,
                                                **(self.player.patient if patient else {})})
        last = scene.temporary / "last.txt"
        last.unlink(missing_ok=True)
        command = self.player.command(agent.binary(self.play.prefix), scene, resume)
        self.process = subprocess.Popen([str(word) for word in command], env=self.environment, cwd=scene.project,
                                        stdin=subprocess.DEVNULL, stdout=(scene.base / "out").open("wb"),
                                        stderr=(scene.base / "err").open("wb"), start_new_session=True)
        return self

    def end(self):
        """The turn, when the agent has ended; its helpers end with it."""
        try:
            code = self.process.wait(TURN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            self.end_agent()
        read = lambda name: (self.scene.base / name).read_text(errors="replace")  # noqa: E731
        turn = Turn(code, read("out"), read("err"))
        last = self.scene.temporary / "last.txt"
        turn.last = last.read_text() if last.exists() else ""
        turn.entries = self.workspace.requests()
        self.turn = turn
        want(code is not None, f"no end after {TURN_SECONDS} s")
        return turn

    def go(self, **how):
        return self.begin(**how).end()

    def calls(self):
        return [entry for entry in self.workspace.requests() if entry["method"] == "POST" and entry["path"].startswith("/ai-gateway/")]

    def held(self):
        """Waits until the workspace stands still in the middle of an answer."""
        wait_for(lambda: [e for e in self.calls() if e["fault"] == "hold_stream" and e["outcome"] is None], "no stream that is held", 120)

    def good(self, turn):
        want(turn.code == 0, f"{self.play.agent.title} ended with {turn.code}")
        text = self.player.text(turn)
        want(text == self.sentence, f"{self.play.agent.title} printed {text!r}, not {self.sentence!r}")

    def new_rows(self, count):
        """The rows since the last look, which are exactly so many."""
        rows = wait_for(lambda: (r := self.proxy.rows()) and len(r) >= self.rows_seen + count and r, "rows of the ledger are missing", 15) \
            if count else self.proxy.rows()
        new, self.rows_seen = rows[self.rows_seen:], len(rows)
        want(len(new) == count, f"{len(new)} rows in the ledger, not {count}: {new}")
        want({row["agent"] for row in new} <= {self.player.name}, f"rows of {new}")
        self.thread += new
        return new


class Play:
    """One agent of one version, and its stages."""

    def __init__(self, agent, prefix, options, workspace, number):
        self.agent, self.prefix, self.options, self.workspace = agent, prefix, options, workspace
        self.player, self.scenario = PLAYERS[agent.name], agent.scenarios()[0]
        self.url = f"http://127.0.0.1:{workspace.port}"
        self.token = f"dapicases{number:04}".ljust(36, "e")
        workspace.control("POST", "tokens", {"value": self.token, "owner": "ada@example.com"})
        self.stages = {}

    def stage(self, form):
        if form not in self.stages:
            self.stages[form] = Stage(self, form)
        return self.stages[form]

    def close(self):
        for stage in self.stages.values():
            stage.close()

    def both(self, good, counts=True, **how):
        """The same turn straight and through the proxy; gives the stage behind the proxy and its turn."""
        straight, through = self.stage("pat"), self.stage("proxy")
        through.turns = straight.turns = max(straight.turns, through.turns)
        if not through.proxy:
            through.start_proxy()
        turns = [(stage, stage.go(**how)) for stage in (straight, through)]
        for stage, turn in turns:
            if good:
                stage.good(turn)
            else:
                want(turn.code != 0, f"{self.agent.title} ended with 0 ({stage.form}) although nothing came to an end")
        compare(*turns, counts)
        return turns[1]
