"""Real coding agents, from npm, complete a scripted turn with what `dbx-agents setup` wrote, against the stand-in workspace;
`dbx-agents revert` then gives the user's files back. Started by scripts/e2e.sh; Python's standard library only.

Every row of the table: a new HOME with realistic user files, setup, setup --check (nothing left to do), one turn of the agent,
the stand-in's record, revert, and the files compared. The auth form "proxy" has `dbx-agents proxy` between the two.

The cases of the proxy (proxy_cases.py) come after that.
"""

import argparse
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import telemetry
from agents import AGENTS, HERE, Unexpected, shape, want
from local_proxy import LocalProxy, free_port
from proxy_cases import CASES, play_cases
from scene import TURN_SECONDS, Scene, check_reverted, clip, run

ROOT = HERE.parent.parent
NPM_SECONDS = 900
OFFLINE_WORDS = ("ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT")


class Offline(Exception):
    """npm or the network is missing."""


def say(text):
    print("==> " + text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- npm


def npm(*words, cwd):
    """npm with a cache of its own and never global. The user's npm settings are read (they may name a registry), never written."""
    environment = {key: value for key, value in os.environ.items() if key.lower() not in ("npm_config_global", "npm_config_prefix")}
    environment["npm_config_cache"] = str(cwd.parent / "npm-cache")
    result = run([shutil.which("npm"), *words, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], environment, cwd, NPM_SECONDS)
    if result.code != 0:
        text = result.out + result.err
        if any(word in text for word in OFFLINE_WORDS):
            raise Offline(f"npm cannot reach its registry\n{clip(text)}")
        raise Unexpected(f"npm {words[0]} failed with {result.code}\n{clip(text)}")
    return result.out


def install(agent, version, options):
    """The prefix that holds that version. Kept between runs; --update asks npm for the newest again. No install scripts are run."""
    prefix = options.agents / f"{agent.name}-{version}"
    if agent.binary(prefix).exists() and not (options.update and version == "latest"):
        return prefix
    prefix.mkdir(parents=True, exist_ok=True)
    say(f"installing {agent.package}@{version}")
    npm("install", "--ignore-scripts", "--prefix", str(prefix), f"{agent.package}@{version}", cwd=options.agents)
    want(agent.binary(prefix).exists(), f"npm installed no {agent.binary(prefix)}")
    return prefix


def installed_version(agent, prefix):
    return json.loads((prefix / "node_modules" / agent.package / "package.json").read_text())["version"]


# ---------------------------------------------------------------- loopback only


def leave_the_network():
    """Moves this process and its children into a network that has only 127.0.0.1. False where the system does not allow it."""
    new_user, new_network, get_flags, set_flags, up = 0x10000000, 0x40000000, 0x8913, 0x8914, 0x1
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(new_network) != 0:
        if libc.unshare(new_user | new_network) != 0:
            return False
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError:
            raise SystemExit("error: this system lets a process into a user namespace but not set it up; use --open-network") from None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, get_flags, request))[1]
        fcntl.ioctl(handle, set_flags, struct.pack("16sh14x", b"lo", flags | up))
    return True


# ---------------------------------------------------------------- one row


def play(agent, scenario, prefix, options, workspace, number, tools):
    """One row; gives the words of its outcome and the seconds of the turn."""
    url = f"http://127.0.0.1:{workspace.port}"
    # A token of its own for each way, so that the record shows which one the agent took.
    token = f"dapi{scenario.form}{number:04}".ljust(36, "e")
    workspace.control("POST", "tokens", {"value": token, "owner": "ada@example.com"})
    files = dict(scenario.files)
    if scenario.form in ("helper", "proxy", "run"):
        files[".databrickscfg"] = f"[DEFAULT]\nhost = {url}\ntoken = {token}\n".encode()
    scene = Scene(options.scenes, agent, prefix, options.program, files)
    proxy = None
    try:
        before = scene.snapshot()
        given = {"DATABRICKS_TOKEN": token} if scenario.form == "pat" else {}
        setup = ["setup", agent.name, "--workspace", url, "--auth", scenario.form]
        if scenario.form == "proxy":
            port = free_port()
            setup.append(f"--via-proxy={port}")
        if scenario.telemetry:
            setup += telemetry.prepare(scene, scenario, url, token, f"row{number}")
        if scenario.form != "run":
            scene.dbx_agents(*setup, "--yes", **given)
        written = scene.snapshot()
        if scenario.form != "run":
            scene.dbx_agents(*setup, "--check", **given)
            status = json.loads(scene.dbx_agents("status", agent.name, "--json").out)["agents"][0]
            want(status["configured"] and status["version"] == installed_version(agent, prefix),
                 f"status says configured {status['configured']}, version {status['version']}")
        if scenario.form == "helper":
            printed = scene.dbx_agents("auth", "token", "--workspace", url).out
            want(printed == token + "\n", f"auth token printed {printed!r}")
        if scenario.form == "proxy":
            proxy = LocalProxy(scene, port)

        text = f"The stand-in answers number {number}."
        workspace.control("POST", "settings", {"text": text})
        workspace.control("DELETE", "faults")
        fault = agent.script(scenario, tools)
        if fault:
            workspace.control("POST", "faults", fault)
        workspace.control("DELETE", "requests")
        exported = {agent.token_variable: token} if scenario.form == "env" else {}
        if scenario.form == "env" and scenario.telemetry:
            exported["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Bearer " + token
        program = agent.binary(prefix)
        environment = scene.environment(**agent.environment(scenario), **exported)
        command = agent.command(program, scene, scenario)
        if scenario.form == "run":
            # What npm links may be a stub until its install script has run.
            (scene.bin / agent.name).unlink()
            (scene.bin / agent.name).symlink_to(command[0])
            command = [scene.bin / "dbx-agents", "run", agent.name, "--workspace", url, "--", *command[1:]]
        start = time.monotonic()
        turn = run(command, environment, scene.project, TURN_SECONDS)
        seconds = time.monotonic() - start
        turn.entries = workspace.requests()
        if scenario.telemetry:
            exports, turn.entries = telemetry.split(turn.entries)
        if scenario.rewrite:
            result = run(agent.rewrite(program), environment, scene.project, TURN_SECONDS)
            want(result.code == 0, f"{agent.title} could not write its file: {clip(result.out + result.err)}")
        last = scene.temporary / "last.txt"
        turn.last = last.read_text() if last.exists() else ""
        used = scene.snapshot()
        try:
            want(turn.code == 0, f"{agent.title} ended with {turn.code}")
            answer = agent.answer(turn)
            want(answer == text, f"{agent.title} printed {answer!r}, not {text!r}")
            if scenario.telemetry:
                telemetry.check(workspace, scenario, exports, token, f"row{number}")
            tools += [name for name in agent.check(turn.entries, token, scenario) if name not in tools]
            if proxy:
                proxy.stop()
                rows, calls = proxy.rows(), [entry for entry in turn.entries if entry["method"] == "POST"]
                want(len(rows) == len(calls), f"{len(rows)} rows in the ledger, {len(calls)} calls upstream")
                want({(row["agent"], row["status"]) for row in rows} == {(agent.name, 200)}, f"the ledger says {rows}")
                proxy.check_secrets(token)
        except (Unexpected, ValueError, KeyError, TypeError) as wrong:
            raise Unexpected(f"{wrong!r}\n--- the workspace saw\n" + "\n".join(map(shape, turn.entries)) +
                             f"\n--- stdout\n{clip(turn.out)}\n--- stderr\n{clip(turn.err)}" + (f"\n--- the proxy told\n{clip(proxy.told())}" if proxy else "")) from wrong

        if scenario.form == "run":
            changed = [name for name in agent.ours if used.get(name) != before.get(name)]
            want(not changed, f"run changed {changed}")
            left = [path.name for path in (scene.home / ".local/state/dbx-agents").glob("proxy-*.lock")]
            want(not left, f"its proxy has left {left}")
            return "ok", seconds
        scene.dbx_agents("revert", agent.name, "--yes")
        by_key = check_reverted(agent, before, written, used, scene.snapshot())
        want(by_key or not scenario.rewrite, f"{agent.title} was to rewrite its file, and did not")
    except Unexpected:
        if options.keep:
            say(f"kept: {scene.base}")
        raise
    finally:
        if proxy:
            proxy.close()
        if not options.keep:
            scene.close()
    return "ok" if not by_key else "ok, by key", seconds


# ---------------------------------------------------------------- the table


def table(rows):
    lines = ["| agent | version | auth | outcome | turn |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {a} | {v} | {f} | {o} | {s} |" for a, v, f, o, s in rows]) + "\n"


BEGIN, END = "<!-- the table of scripts/e2e.sh --readme: begin -->\n", "<!-- the table of scripts/e2e.sh --readme: end -->\n"


def table_of(readme):
    """The text before the table of a README, the table, and the text after it."""
    want(readme.count(BEGIN) == 1 and readme.count(END) == 1, "the README has no place for the table, or several")
    before, rest = readme.split(BEGIN)
    want(END in rest, "the README's table ends before it begins")
    found, after = rest.split(END)
    return before, found, after


def is_whole(options):
    """Whether a run plays every row: only then its table stands for the program."""
    return not (options.agent or options.version or options.quick)


def keep(text, options, failed):
    """Writes the table where it belongs; a run of some rows leaves the table of the last whole run alone."""
    path = options.build / ("table.md" if is_whole(options) else "table-of-some.md")
    path.write_text(text)
    if options.readme and not failed:
        readme = ROOT / "README.md"
        before, _, after = table_of(readme.read_text())
        readme.write_text(before + BEGIN + text + END + after)
    return path


def table_of_cases(rows):
    lines = ["| agent | version | through the proxy | outcome | seconds |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/e2e.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="dbx-agents")
    parser.add_argument("--stand-in", type=Path, required=True, help="dbx-agents-workspace")
    parser.add_argument("--build", type=Path, default=ROOT / "build/e2e", help="holds agents/, table.md, proxy.md and, of runs of some rows only, table-of-some.md, proxy-of-some.md (default: build/e2e)")
    parser.add_argument("--agent", action="append", choices=[agent.name for agent in AGENTS], help="only this one (repeatable)")
    parser.add_argument("--version", action="append", help="only these versions of it: latest, or a number of the list")
    parser.add_argument("--quick", action="store_true", help="the newest version of each, one auth form and the proxy, its main cases")
    parser.add_argument("--part", choices=["turns", "telemetry", "proxy"],
                        help="only the turns of every auth form, only those with telemetry, or only the cases of the proxy")
    parser.add_argument("--case", action="append", choices=[case[0] for case in CASES], help="only this case of the proxy (repeatable)")
    parser.add_argument("--update", action="store_true", help="ask npm for the newest versions again")
    parser.add_argument("--skip-if-offline", action="store_true", help="exit 77 when npm or the network is missing")
    parser.add_argument("--open-network", action="store_true", help="do not cut off the network during the turns")
    parser.add_argument("--keep", action="store_true", help="keep the throw-away homes")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md when every row of a whole run is good")
    options = parser.parse_args()
    if options.readme and (not is_whole(options) or options.part in ("proxy", "telemetry")):
        parser.error("--readme wants every row: leave out --agent, --version, --quick and --part proxy or telemetry")
    if options.case:
        options.part = "proxy"
    return options


def rows_to_play(options, telemetry=False):
    for agent in AGENTS:
        if options.agent and agent.name not in options.agent:
            continue
        for position, version in enumerate(agent.versions):
            if (options.version and version not in options.version) or (options.quick and position > 0):
                continue
            scenarios = [s for s in agent.scenarios() if (s.quick or not options.quick) and (position == 0 or not s.new_only)
                         and bool(s.telemetry) == telemetry]
            yield agent, version, scenarios


def main():
    options = arguments()
    if options.readme:
        table_of((ROOT / "README.md").read_text())  # an hour of turns is not lost on a README without the place
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that agents, the stand-in and the scenes go as well
    options.program, options.stand_in, options.build = (p.resolve() for p in (options.program, options.stand_in, options.build))
    options.agents = options.build / "agents"
    options.agents.mkdir(parents=True, exist_ok=True)
    plan = list(rows_to_play(options))
    want(plan, "nothing to do: --agent and --version leave nothing")
    try:
        if not shutil.which("npm") or not shutil.which("node"):
            raise Offline("npm or node is not installed (fix: apt-get install nodejs npm)")
        prefixes = {(agent, version): install(agent, version, options) for agent, version, _ in plan}
    except Offline as reason:
        say(f"{'skipped' if options.skip_if_offline else 'error'}: {reason}")
        return 77 if options.skip_if_offline else 1

    if not options.open_network and not leave_the_network():
        say("this system gives no network of its own: what agents send to other hosts is not cut off")
    os.environ["DBX_AGENTS_WORKSPACE"] = str(options.stand_in)
    sys.path.insert(0, str(HERE.parent / "workspace"))
    import standin

    rows, exported, cases, failed = [], [], [], 0
    with tempfile.TemporaryDirectory(prefix="dbx-e2e-", ignore_cleanup_errors=True) as base:
        options.scenes = Path(tempfile.mkdtemp(prefix="dbx-e2e-kept-")) if options.keep else Path(base)
        workspace = standin.Workspace(os.path.join(base, "workspace"))
        try:
            turns = plan if options.part in (None, "turns") else []
            exports = list(rows_to_play(options, telemetry=True)) if options.part in (None, "telemetry") else []
            for agent, version, scenarios in turns + exports:
                prefix, tools = prefixes[agent, version], []
                number = installed_version(agent, prefix)
                for scenario in scenarios:
                    name = f"{agent.title} {number}, {scenario.title}"
                    try:
                        outcome, seconds = play(agent, scenario, prefix, options, workspace, len(rows) + len(exported) + 1, tools)
                    except Unexpected as wrong:
                        failed += 1
                        outcome, seconds = "FAILED", None
                        print(f"FAILED {name}: {wrong}\n", file=sys.stderr, flush=True)
                    (exported if scenario.telemetry else rows).append((agent.title, number, scenario.title, outcome, "" if seconds is None else f"{seconds:.1f} s"))
                    say(f"{name}: {outcome}")
            for number, (agent, version, _) in enumerate(plan if options.part != "turns" else [], 1):
                if not getattr(agent, "proxy_cases", True):
                    continue
                prefix = prefixes[agent, version]
                cases += play_cases(agent, installed_version(agent, prefix), agent.versions.index(version), prefix, options, workspace,
                                    number, say)
        finally:
            workspace.stop()
    failed += sum(case[3] == "FAILED" for case in cases)
    if cases:
        text = table_of_cases(cases)
        (options.build / ("proxy.md" if is_whole(options) and not options.case else "proxy-of-some.md")).write_text(text)
        print(text, end="\n" if rows else "")
    if exported:
        text = table(exported)
        (options.build / ("telemetry.md" if is_whole(options) else "telemetry-of-some.md")).write_text(text)
        print(text, end="\n" if rows else "")
    if rows:
        text = table(rows)
        say(f"the table is {keep(text, options, failed)}")
        print(text, end="")
    played = len(rows) + len(exported) + len(cases)
    say(f"{played - failed} of {played} are good")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unexpected as reason:
        sys.exit(f"error: {reason}")
