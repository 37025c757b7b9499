"""What real agents make of the proxy in good and in bad weather: each case is a turn or several, of one agent of one version.

A case that can be had without the proxy is played twice, straight to the stand-in workspace and through the proxy, and exit
code, output and what the workspace recorded are compared. After each one the ledger is compared with the workspace's record.
"""

import json
import socket
import time

from agents import HERE, Unexpected, header_values, shape, want
from local_proxy import wait_for
from proxy_stage import Play
from scene import check_reverted, clip
from telemetry_case import case_telemetry

COMMAND_LINE_TOOL = HERE.parent / "workspace" / "databricks"  # stands in for the Databricks CLI
CLIENT_ID, CLIENT_SECRET = "11111111-2222-3333-4444-555555555555", "dose-valid-secret-0123456789abcdef"  # the stand-in's own


def same_tokens(stage, turn, rows):
    told = stage.player.usage(turn)
    if stage.player.sums_up:
        rows = [row for row in stage.thread if row["output_tokens"] is not None]
    booked = {key: sum(row[key] or 0 for row in rows) for key in told}
    want(told == booked and any(told.values()), f"{stage.play.agent.title} tells {told}, the ledger {booked}")
    return told


def case_good(play):
    stage, turn = play.both(True)
    rows = stage.new_rows(len(stage.calls()))
    told = same_tokens(stage, turn, rows)
    want(all(row["status"] == 200 and not row["partial"] and row["streamed"] for row in rows), f"{rows}")
    return f"{sum(told.values())} tokens"


def case_429(play):
    stage, turn = play.both(False, faults=[{"fault": "429", "count": "forever", "message": "the workspace is busy"}])
    rows = stage.new_rows(len(stage.calls()))
    want(all(row["status"] == 429 and not row["limit_hit"] for row in rows), f"{rows}")
    return f"exit {turn.code}, {len(rows)} tries, each"


def case_429_then_good(play):
    """A Retry-After reaches the agent."""
    stage, turn = play.both(outlasts_a_429(play), faults=[{"fault": "429", "count": 1, "retry_after": 1}])
    rows = stage.new_rows(len(stage.calls()))
    return f"exit {turn.code}, {len(rows)} tries, each"


def outlasts_a_429(play):
    # Codex up to 0.158 gives up at a 429, whatever Retry-After says.
    return not (play.agent.name == "codex" and "codex-latest" not in play.prefix.name)


def case_503(play):
    stage, turn = play.both(False, faults=[{"fault": "503", "count": "forever", "message": "the workspace is down"}])
    rows = stage.new_rows(len(stage.calls()))
    want(all(row["status"] == 503 for row in rows), f"{rows}")
    return f"exit {turn.code}, {len(rows)} tries, each"


def cut(play, **fault):
    again = play.player.asks_again
    stage, turn = play.both(again, counts=False, faults=[{"fault": "cut_stream", "count": 1, **fault}])
    rows = stage.new_rows(len(stage.calls()))
    want([bool(row["partial"]) for row in rows] == ([True, False] if again else [True]), f"{rows}")
    return f"exit {turn.code}, {len(rows)} tries, each"


def case_cut_once(play):
    return cut(play, events=2, bytes=20)


def case_reset_once(play):
    return cut(play, events=2, bytes=0, reset=True)


def case_cut_always(play):
    """No agent may take the rest for complete."""
    stage, turn = play.both(False, counts=False, faults=[{"fault": "cut_stream", "count": "forever", "events": 2, "bytes": 20}])
    rows = stage.new_rows(len(stage.calls()))
    want(all(row["partial"] for row in rows), f"{rows}")
    return f"exit {turn.code}, {len(rows)} tries, each"


def bearers(calls):
    return [header_values(entry, "authorization") for entry in calls]


def dies(stage, status):
    """The second turn of a session, whose token has died: one refresh, one more try, and the agent sees nothing of it."""
    turn = stage.go(resume=True)
    stage.good(turn)
    calls = stage.calls()
    want([entry["status"] for entry in calls] == [status, 200], f"the workspace answered {[shape(entry) for entry in calls]}")
    want(bearers(calls)[0] != bearers(calls)[1], "the same token again")
    want(calls[0]["body"] == calls[1]["body"], "the second try is another body")
    others = [[pair for pair in entry["headers"] if pair[0].lower() != "authorization"] for entry in calls]
    want(others[0] == others[1], f"the second try has other headers: {others}")
    want(stage.proxy.status()["token_retries"] == 1, "not exactly one retry")
    rows = stage.new_rows(1)  # the agent asked once
    want(rows[0]["status"] == 200, f"{rows}")
    same_tokens(stage, turn, rows)
    return turn


def case_token_oauth(play):
    """OAuth of a service principal; the token grows old at the workspace, which says 401."""
    stage = play.stage("proxy")
    stage.start_proxy(DATABRICKS_HOST=play.url, DATABRICKS_CLIENT_ID=CLIENT_ID, DATABRICKS_CLIENT_SECRET=CLIENT_SECRET)
    play.workspace.control("POST", "settings", {"invalid_token": "401"})
    stage.good(stage.go())
    first = bearers(stage.calls())[0]
    stage.new_rows(len(stage.calls()))
    play.workspace.control("POST", "clock", {"advance_seconds": 7200})
    turn = dies(stage, 401)
    want(bearers(stage.calls())[0] == first, "the second turn began with another token")
    refreshes = [entry for entry in turn.entries if entry["path"] == "/oidc/v1/token"]
    want(len(refreshes) == 1, f"{len(refreshes)} refreshes")
    return "1 refresh, 1 retry"


def case_token_cli(play):
    """The Databricks CLI's token is taken back; the gateway says 400 "Invalid Token". Before it, the proxy is started anew."""
    stage = play.stage("proxy")
    (stage.scene.home / ".databrickscfg").write_text(f"[DEFAULT]\nhost = {play.url}\nauth_type = databricks-cli\n")
    calls = stage.scene.base / "cli-calls"
    calls.unlink(missing_ok=True)
    pattern = f"dapicli-{play.token[9:13]}-{{n}}-cccccccccccccccccccc"
    tokens = [pattern.replace("{n}", str(n)) for n in range(1, 9)]
    for token in tokens:
        play.workspace.control("POST", "tokens", {"value": token, "owner": "ada@example.com"})
    play.workspace.control("POST", "settings", {"invalid_token": "400"})
    stage.start_proxy(DATABRICKS_CLI_PATH=str(COMMAND_LINE_TOOL), FAKE_DATABRICKS_CALLS=str(calls),
                      FAKE_DATABRICKS_TOKEN=pattern)
    told = stage.go(resume=True)  # the session goes on behind the new proxy
    stage.good(told)
    used = bearers(stage.calls())[0][0].removeprefix("Bearer ")
    stage.new_rows(len(stage.calls()))
    asked = len(calls.read_text().splitlines())
    play.workspace.control("POST", "tokens/revoke", {"value": used})
    dies(stage, 400)
    new = [json.loads(line) for line in calls.read_text().splitlines()][asked:]
    want(len(new) == 1 and new[0]["force_refresh"], f"the Databricks CLI was asked {new}")
    stage.proxy.check_secrets(*tokens)
    return "1 refresh, 1 retry"


def case_restart_between(play):
    stage = play.stage("proxy")
    stage.start_proxy()
    stage.good(stage.go())
    stage.new_rows(1)
    stage.proxy.stop()
    stage.proxy.start()
    stage.good(stage.go(resume=True))
    stage.new_rows(1)


def case_restart_drain(play):
    """SIGTERM in mid-stream: the stream comes to its end, then the proxy; the next one is there for the next turn."""
    stage = play.stage("proxy")
    stage.start_proxy()
    stage.begin(faults=[{"fault": "hold_stream", "events": 2, "count": 1}])
    stage.held()
    stage.proxy.terminate()
    wait_for(lambda: not answers(stage.port), "the proxy still takes connections", 10)
    play.workspace.control("POST", "release")
    turn = stage.end()
    stage.good(turn)
    want(len(stage.calls()) == 1, "asked again")
    stage.proxy.wait()
    same_tokens(stage, turn, stage.new_rows(1))
    stage.proxy.start()
    stage.good(stage.go(resume=True))
    stage.new_rows(1)


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2):
            return True
    except OSError:
        return False


def case_restart_kill(play):
    """kill -9 in mid-stream, and a new one: the agent asks again and takes nothing for complete."""
    stage = play.stage("proxy")
    stage.start_proxy()
    stage.begin(faults=[{"fault": "hold_stream", "events": 2, "count": 1}], patient=True)
    stage.held()
    stage.proxy.kill()
    stage.proxy.start()
    turn = stage.end()
    calls = stage.calls()
    rows = stage.new_rows(len(calls))
    if not play.player.asks_again:
        want(turn.code != 0 and len(calls) == 1, f"exit {turn.code} after {len(calls)} requests")
        want(rows[0]["error_class"] == "killed", f"{rows}")
        stage.good(stage.go())
        stage.new_rows(1)
        return f"exit {turn.code}, as straight when a stream is cut; the next turn is good"
    stage.good(turn)
    want(len(calls) == 2, f"{len(calls)} requests")
    want(sum(1 for row in rows if row["partial"] or row["error_class"]) == 1, f"{rows}")
    if play.agent.name != "claude":  # which adds what the killed answer had said when it began
        same_tokens(stage, turn, [row for row in rows if not row["partial"] and not row["error_class"]])
    return "asked again"


class Occupant:
    """Another client of the same agent's, whose stream fills the only place until it is let go."""

    def __init__(self, stage):
        self.stage = stage
        stage.workspace.control("POST", "release")
        stage.workspace.control("DELETE", "faults")
        stage.workspace.control("POST", "faults", {"path": stage.player.faults, "fault": "hold_stream", "events": 1, "count": 1})
        self.connection, self.answer = stage.proxy.ask("POST", stage.player.route, stage.player.body)
        want(self.answer.status == 200, f"the other client got {self.answer.status}")

    def leave(self):
        self.stage.workspace.control("POST", "release")
        self.answer.read()
        self.connection.close()


def case_held(play):
    """Over a limit, with the default hold: the turn waits and goes well."""
    stage = play.stage("proxy")
    stage.start_proxy("--max-concurrent", "1")
    occupant = Occupant(stage)
    stage.begin(beside=True)
    wait_for(lambda: any(limit["waiting"] for limit in stage.proxy.status()["limits"]), "nobody waits", 120)
    time.sleep(3)  # the agent is really kept waiting
    occupant.leave()
    turn = stage.end()
    stage.good(turn)
    rows = stage.new_rows(2)
    want(rows[1]["queued_ms"] > 2500 and rows[1]["limit_hit"] and rows[1]["status"] == 200, f"{rows}")
    want(len(stage.calls()) == 1, "asked again")
    stage.thread = rows[1:]  # the first is the other client's
    same_tokens(stage, turn, stage.thread)
    return f"after {rows[1]['queued_ms'] / 1000:.1f} s"


def case_rpm(play):
    """The same with a number of requests per minute: the third waits until the first is a minute old."""
    stage = play.stage("proxy")
    stage.start_proxy("--rpm", "2", "--hold", "90")
    play.workspace.control("DELETE", "faults")
    for _ in range(2):
        connection, answer = stage.proxy.ask("POST", stage.player.route, stage.player.body)
        want(answer.status == 200, f"the other client got {answer.status}")
        answer.read()
        connection.close()
    turn = stage.go()
    stage.good(turn)
    rows = stage.new_rows(3)
    want(rows[2]["queued_ms"] > 0 and rows[2]["limit_hit"] and rows[2]["status"] == 200, f"{rows}")
    want(len(stage.calls()) == 1, "asked again")
    stage.thread = rows[2:]  # the others are another client's
    same_tokens(stage, turn, stage.thread)
    return f"after {rows[2]['queued_ms'] / 1000:.1f} s"


def shown(stage, turn, words):
    told = turn.out + turn.err
    want(words in told, f"the agent does not show {words!r}")


def case_refused(play):
    """Over a limit and nothing is held: 429 in the agent's dialect."""
    stage = play.stage("proxy")
    stage.start_proxy("--max-concurrent", "1", "--hold", "0")
    occupant = Occupant(stage)
    turn = stage.begin(beside=True).end()
    occupant.leave()
    want(turn.code != 0, "the turn went well")
    tries = len(wait_for(lambda: (rows := stage.proxy.rows()) and rows[-1]["status"] != 0 and rows, "rows", 10)) - stage.rows_seen - 1
    rows = stage.new_rows(tries + 1)
    refused = [row for row in rows if row["status"] == 429]
    want(len(refused) == tries >= 1 and all(row["limit_hit"] and row["error_class"] == "limit" for row in refused), f"{rows}")
    want(not stage.calls(), "a refused request went upstream")
    shown(stage, turn, "The local proxy of dbx-agents holds you back")
    shown(stage, turn, "--max-concurrent: 1 requests at a time (the command line)")
    return f"exit {turn.code}, {tries} tries"


def case_budget(play):
    """A spent budget of the day."""
    stage = play.stage("proxy")
    config = stage.scene.home / ".config/dbx-agents/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[[proxy.budget]]\nname = "pocket money"\ntokens_per_day = 1\n')
    try:
        stage.start_proxy("--hold", "0")
        turn = stage.go()
        want(turn.code != 0, "the turn went well")
        rows = stage.new_rows(len(stage.proxy.rows()) - stage.rows_seen)
        want(rows and all(row["status"] == 429 and row["limit_hit"] == "pocket money" for row in rows), f"{rows}")
        want(not stage.calls(), "a refused request went upstream")
        shown(stage, turn, "pocket money: 1 tokens per day (~/.config/dbx-agents/config.toml:2)")
    finally:
        config.unlink()
    return f"exit {turn.code}, {len(rows)} tries"


def case_secrets_and_revert(play):
    """At the end of it all: no secret in log and ledger, and the files are the user's again."""
    stage = play.stage("proxy")
    if stage.proxy:
        stage.proxy.check_secrets(play.token, CLIENT_SECRET)
    (stage.scene.home / ".databrickscfg").unlink(missing_ok=True)
    used = stage.scene.snapshot()
    stage.scene.dbx_agents("revert", play.agent.name, "--yes")
    check_reverted(play.agent, stage.before, stage.written, used, stage.scene.snapshot())


# name, what the table says, the function, played with --quick as well, and with older versions
CASES = [
    ("good", "the same turn straight and through the proxy; the ledger's tokens", case_good, True, True),
    ("429", "429 from upstream", case_429, False, True),
    ("retry-after", "one 429 with Retry-After", case_429_then_good, False, True),
    ("503", "503 from upstream", case_503, True, True),
    ("cut", "a stream cut once", case_cut_once, True, True),
    ("reset", "a stream reset once", case_reset_once, False, False),
    ("cut-always", "every stream cut", case_cut_always, False, True),
    ("oauth", "the token expires in the session: 401", case_token_oauth, True, True),
    ("cli", "the proxy started anew; the token is taken back: 400 Invalid Token", case_token_cli, False, False),
    ("restart", "a restart between two turns", case_restart_between, False, True),
    ("drain", "SIGTERM in mid-stream, then the next proxy", case_restart_drain, True, False),
    ("kill", "kill -9 in mid-stream, and a new proxy", case_restart_kill, True, True),
    ("held", "over a limit, held", case_held, True, True),
    ("rpm", "over requests per minute, held", case_rpm, False, False),
    ("refused", "over a limit, refused", case_refused, True, True),
    ("budget", "a spent budget, refused", case_budget, False, True),
    ("telemetry", "telemetry into the tables; an outage, and kill -9", case_telemetry, True, False),
    ("revert", "no secret told; the files given back", case_secrets_and_revert, True, True),
]


def play_cases(agent, version, position, prefix, options, workspace, number, say):
    """Rows of (agent, version, case, outcome, seconds); the failures are told as they come."""
    rows, play = [], Play(agent, prefix, options, workspace, number)
    try:
        for name, title, case, quick, older in CASES:
            if (options.case and name not in options.case) or (options.quick and not quick) or (position > 0 and not older):
                continue
            start, stage = time.monotonic(), None
            try:
                note = case(play)
                outcome = "ok" + (f", {note}" if note else "")
            except (Unexpected, ValueError, KeyError, TypeError, IndexError, OSError) as wrong:
                outcome = "FAILED"
                parts = [f"FAILED {agent.title} {version}, {title}: {wrong!r}"]
                for form, stage in play.stages.items():
                    stage.end_agent()
                    turn = stage.turn
                    if turn:
                        parts += [f"--- {form}: the workspace saw", *map(shape, turn.entries), f"--- {form}: exit {turn.code}, stdout",
                                  clip(turn.out), f"--- {form}: stderr", clip(turn.err)]
                    if stage.proxy:
                        parts += ["--- the proxy told", clip(stage.proxy.told()[-3000:])]
                        stage.start_proxy() if stage.proxy.process.poll() is None else stage.proxy.start()
                        stage.rows_seen = len(stage.proxy.rows())
                say("\n".join(parts))
            finally:
                workspace.control("POST", "release")
                workspace.control("POST", "settings", {"usage": None, "invalid_token": "auto", "event_gap_ms": 0})
            rows.append((agent.title, version, title, outcome, f"{time.monotonic() - start:.1f} s"))
            say(f"{agent.title} {version}, {title}: {outcome}")
    finally:
        play.close()
    return rows
