"""Claude Code and Codex CLI, the real ones, with what `setup --scope managed --otel` wrote to /etc, in a mount and network namespace of
their own: a turn goes to the gateway with an empty HOME, and also over a user's other gateway; the telemetry goes to the tables,
over a user's other collector, or with `--auth env` by the user's own variable; revert gives /etc back.

    tests/e2e/managed.py --agents FOLDER     the folder that scripts/e2e.sh installs into; 77: it cannot run here

DBX_AGENTS_BIN and DBX_AGENTS_WORKSPACE name the programs.
"""

import argparse
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import telemetry
from agents import AGENTS, HERE, Unexpected, header_values, user_file, want
from scene import TURN_SECONDS, Scene, clip, run

sys.path.insert(0, str(HERE.parent / "workspace"))
import standin  # noqa: E402

PLACE = Path("/opt/dbx-agents/bin/dbx-agents")
SEEDS = {"claude": {"etc/claude-code/managed-settings.json": b'{\n\t"permissions": {"deny": ["WebFetch"]},\n\t"env": {"HTTPS_PROXY": ""}\n}\n'},
         "codex": {"etc/codex/managed_config.toml": b'# by the administrators\nmodel = "other"\n\n[tools]\nweb_search = false\n'}}
# What a user may have: another gateway with its own token; our own provider's name with another form of the token.
SIGNED_ON = {".claude.json": b'{"hasCompletedOnboarding": true}\n'}
# A user's own collector: its key must not reach Databricks, its table and token must not win.
COLLECTOR = "x-collector-key=theirs,X-Databricks-UC-Table-Name=theirs.t,Authorization=Bearer theirs"
USERS = {"claude": {".claude/settings.json": user_file("claude/16-old-token-and-helper.json"), **SIGNED_ON},
         "codex": {".codex/config.toml": b'model = "mine"\nmodel_provider = "databricks"\n[model_providers.databricks]\nname = "x"\n'
                                         b'base_url = "http://127.0.0.1:9"\nenv_key = "OTHER_TOKEN"\n[analytics]\nenabled = false\n'}}


def own_namespaces():
    if os.geteuid() != 0 or os.environ.get("DBX_MANAGED_INSIDE") == "1":
        return
    os.environ["DBX_MANAGED_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-m", "-n", "--propagation", "private", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh",
                          sys.executable, "-B", *sys.argv])


def snapshot(folder):
    return {str(path.relative_to(folder)): (stat.S_IMODE(path.lstat().st_mode), path.read_bytes() if path.is_file() else b"")
            for path in sorted(folder.rglob("*"))}


class Form:
    """How the managed files bring the token, and which signals they export then."""

    def __init__(self, auth, signals, variables, users):
        self.auth, self.telemetry, self.variables, self.users = auth, signals, variables, users


def forms(agent):
    both = ("metrics", "logs")
    token_variables = lambda token: {agent.token_variable: token, "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer " + token}
    helper = Form("helper", both if agent.name == "claude" else (), lambda token: {"OTEL_EXPORTER_OTLP_HEADERS": COLLECTOR}, USERS[agent.name])
    return [helper, Form("env", both, token_variables, None)]


def story(agent, prefix, base, etc, workspace, seeds, form, place):
    url = f"http://127.0.0.1:{workspace.port}"
    token = f"dapimanaged{agent.name}".ljust(36, "e")
    workspace.control("POST", "tokens", {"value": token, "owner": "ada@example.com"})
    for name, data in seeds.items():
        path = etc / name.removeprefix("etc/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    before = snapshot(etc)
    root = Scene(base, agent, prefix, PLACE, {})

    def administer(*words, code=0):
        result = run([PLACE, *words], {**root.environment(), "PATH": f"{PLACE.parent}:{root.bin}:/usr/bin:/bin"}, root.project, 60)
        want(result.code == code, f"dbx-agents {' '.join(words)}: {result.code}\n{clip(result.out + result.err)}")
        return result

    where = ("--catalog", "main", "--schema", "telemetry", "--prefix", place, "--workspace", url)
    for words in (("create", *where, "--create-schema"), ("grant", *where, "--to", "ada@example.com")):
        run([PLACE, "tables", *words], {**root.environment(), "DATABRICKS_TOKEN": token}, root.project, 60)
    setup = ("setup", agent.name, "--scope", "managed", "--workspace", url, "--auth", form.auth, "--otel", f"{telemetry.PLACE}.{place}")
    administer(*setup, "--yes")
    administer(*setup, "--check")
    written = snapshot(etc)
    changed = [name for name in written if written[name] != before.get(name)]
    for name in changed:
        want(written[name][0] & 0o444 == 0o444, f"{name} cannot be read by everybody: {written[name][0]:o}")
        want(token.encode() not in written[name][1], f"a token in {name}")
    for title, files in (("an empty HOME", SIGNED_ON if agent.name == "claude" else {}), ("a user's own gateway", form.users)):
        if files is None:
            continue
        scene = Scene(base, agent, prefix, PLACE, files)
        text = f"The stand-in answers {agent.name} with {title}."
        workspace.control("POST", "settings", {"text": text})
        workspace.control("DELETE", "requests")
        scenario = agent.scenarios()[0]
        # No company's proxy: that a loopback address stays away from one is the user scope's affair.
        around = {name: value for name, value in agent.environment(scenario).items() if not name.lower().endswith("s_proxy") and name != "HTTP_PROXY"}
        environment = {**scene.environment(**around, DATABRICKS_HOST=url, DATABRICKS_TOKEN=token), **form.variables(token)}
        turn = run(agent.command(agent.binary(prefix), scene, scenario), environment, scene.project, TURN_SECONDS)
        want(turn.code == 0, f"{agent.title} ended with {turn.code}\n{clip(turn.out + turn.err)}")
        last = scene.temporary / "last.txt"
        turn.last = last.read_text() if last.exists() else ""
        want(agent.answer(turn).strip() == text, f"the answer was {agent.answer(turn)!r}")
        exports, calls = telemetry.split(workspace.requests())
        agent.check(calls, token, scenario)
        telemetry.check(workspace, form, exports, token, place)
        want(not any(header_values(entry, "x-collector-key") for entry in exports), "the collector's key went to Databricks")
        print(f"{agent.title}: {form.auth}: {title}: ok, exported {', '.join(form.telemetry) or 'nothing'}", flush=True)
        scene.close()
    administer("revert", agent.name, "--yes")
    after = snapshot(etc)
    want(after == before, f"revert left {sorted(name for name in after.keys() | before.keys() if after.get(name) != before.get(name))}")
    root.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=Path, default=HERE.parent.parent / "build/e2e/agents")
    options = parser.parse_args()
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "-n", "true"], capture_output=True).returncode != 0:
        print("skipped: needs root and mount namespaces", file=sys.stderr)
        return 77
    own_namespaces()
    found = {"codex": options.agents.resolve() / "codex-latest", "claude": options.agents.resolve() / "claude-2.1.330"}
    chosen = [(agent, found[agent.name]) for agent in AGENTS if agent.name in found and agent.binary(found[agent.name]).exists()]
    if len(chosen) < len(found):
        print(f"skipped: no agents in {options.agents}; scripts/e2e.sh installs them", file=sys.stderr)
        return 77
    program = os.path.abspath(os.environ["DBX_AGENTS_BIN"])
    base = Path(tempfile.mkdtemp(prefix="dbx-managed-"))
    etc = base / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    for name in ("ld.so.cache", "hosts", "nsswitch.conf"):
        if Path("/etc", name).exists():
            (etc / name).write_bytes(Path("/etc", name).read_bytes())
    for words in (["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/opt"], ["mkdir", "-p", PLACE.parent], ["touch", PLACE],
                  ["mount", "--bind", program, PLACE], ["mount", "--bind", etc, "/etc"]):
        subprocess.run([str(word) for word in words], check=True)
    workspace = standin.Workspace(str(base / "workspace"))
    failed = False
    try:
        for agent, prefix in chosen:
            for form in forms(agent):
                for title, seeds in (("new files", {}), ("over the administrators' files", SEEDS[agent.name])):
                    place = f"{agent.name}_{form.auth}_{'over' if seeds else 'new'}"
                    try:
                        story(agent, prefix, base, etc, workspace, seeds, form, place)
                        print(f"{agent.title}: {form.auth}: {title}: reverted byte for byte", flush=True)
                    except Unexpected as problem:
                        failed = True
                        print(f"{agent.title}: {form.auth}: {title}: FAILED: {problem}", flush=True)
    finally:
        workspace.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
