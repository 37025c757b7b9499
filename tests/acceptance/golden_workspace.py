"""The transcripts that need a workspace: tables, models and credentials against the stand-in, every fault included.

A scenario is (what is done before, steps). A step is arguments, or (arguments, environment), or a function of the scene
that returns the line that the transcript shows for it, or several lines.
"""

import json
import re
import signal
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/workspace"))

import standin  # noqa: E402
from harness import Result  # noqa: E402

STATEMENTS = "/api/2.0/sql/statements"
MODEL_SERVICES = "/api/2.1/unity-catalog/model-services*"
PLACE = ["--catalog", "main", "--schema", "telemetry", "--prefix", "dev"]
CREATE, CHECK, DDL, GRANT = (["tables", word, *PLACE] for word in ("create", "check", "ddl", "grant"))
METRICS, LOGS, SPANS = ("main.telemetry.dev_otel_" + name for name in ("metrics", "logs", "spans"))
GUEST = {"DATABRICKS_TOKEN": standin.GUEST}
CLIENT = "11111111-2222-3333-4444-555555555555"
SECRET = "dose-valid-secret-0123456789abcdef"
M2M = {"DATABRICKS_TOKEN": None, "DATABRICKS_CLIENT_ID": CLIENT, "DATABRICKS_CLIENT_SECRET": SECRET}
BARE = {"DATABRICKS_TOKEN": None, "DATABRICKS_HOST": None}
FAKE_CLI = {**BARE, "PATH": "the folder of the stand-in for the Databricks CLI"}
ETL = {"id": "aaaaaaaaaaaaaaaa", "name": "Etl", "state": "STOPPED"}


def place(schema, catalog="main", prefix="dev"):
    return ["--catalog", catalog, "--schema", schema, "--prefix", prefix]


def said(line, action):
    """A step that does something to the workspace and shows as a comment."""

    def step(scene):
        action(scene)
        return f"# {line}\n"

    return step


def fault(line, **rule):
    rule.setdefault("count", "forever")
    return said(line, lambda s: s.w.fault(**rule))


def no_faults(line="everything works again"):
    return said(line, lambda s: s.w.control("DELETE", "faults"))


def put(line, what, value):
    return said(line, lambda s: s.w.control("PUT", what, value))


def settings(line, **values):
    return said(line, lambda s: s.w.control("POST", "settings", values))


def quietly(*args):
    """A command that only prepares."""

    def step(scene):
        result = scene.run(list(args), {})
        assert result.code == 0, str(result)
        return ""

    return step


def config(*lines):
    text = "\n".join(lines) + "\n"

    def step(scene):
        scene.home.put(".databrickscfg", text.replace("HOST", scene.url), mode=0o600)
        return ""

    return step


def edit_table(name, edit, line):
    def action(scene):
        table = {t["name"]: t for t in scene.w.control("GET", "tables")}[name]
        edit(table)
        scene.w.control("POST", "tables", table)

    return said(line, action)


def make_different(table):
    columns = table["columns"]
    columns[:] = [c for c in columns if c["name"] != "span_id"]
    next(c for c in columns if c["name"] == "time_unix_nano")["type_text"] = "timestamp"
    next(c for c in columns if c["name"] == "resource")["type_text"] = \
        "struct<attributes:map<string,bigint>,dropped_attributes_count:int>"
    columns.insert(0, columns.pop(next(i for i, c in enumerate(columns) if c["name"] == "body")))
    columns.append({"name": "mine", "type_text": "string"})
    table["properties"]["otel.schemaVersion"] = "v2"


def make_external(table):
    table["columns"].insert(0, table["columns"].pop())
    table["table_type"] = "EXTERNAL"


def give_all_privileges(scene):
    grants = scene.w.control("GET", "grants")
    grants[f"table {METRICS}"]["guest@example.com"] = ["ALL_PRIVILEGES"]
    scene.w.control("PUT", "grants", grants)


def failed_inside_200(message, state="FAILED"):
    body = {"statement_id": "01f1-of-the-workspace", "status": {"state": state, "error": {"error_code": "INTERNAL_ERROR", "message": message}}}
    return {"fault": "raw", "path": STATEMENTS, "status": 200, "body": json.dumps(body), "headers": {"content-type": "application/json"}}


def ctrl_c(args, env=None):
    """Interrupts the command once all its statements are known to run."""

    def step(scene):
        scene.w.control("DELETE", "requests")
        process = scene.home.spawn(*args, env=env, exe=scene.exe)
        for _ in range(1500):
            polled = {r["path"] for r in scene.w.requests() if r["method"] == "GET" and r["path"].startswith(STATEMENTS + "/")}
            if len(polled) >= (3 if args[1] == "create" else 1):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return scene.shown(Result(args, process.returncode, out.decode(), err.decode()), env or {}, "# Ctrl-C while it runs\n")

    return step


def statements_left(scene):
    states = sorted(s["state"] for s in scene.w.control("GET", "state")["statements"])
    return f"# the workspace's statements: {', '.join(states)}\n"


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nobody_listens(*args):
    def step(scene):
        return scene.show(list(args), {"DATABRICKS_HOST": f"http://127.0.0.1:{closed_port()}"})

    return step


def workspace_with(fault_rule, *commands, line):
    """The same fault for several commands."""
    return [fault(line, **fault_rule), *commands]


CLI_PROFILE = config("[DEFAULT]", "host = HOST", "auth_type = databricks-cli")


def cli(behaviour):
    return (["auth", "token"], {**FAKE_CLI, "FAKE_DATABRICKS_BEHAVIOUR": behaviour})


SCENARIOS = {
    # --- tables create -----------------------------------------------------------------------------------------------
    "tables-create": [CREATE, CREATE, CHECK],
    "tables-create-json": [[*CREATE, "--json"], [*CREATE, "--json"]],
    "tables-create-dry-run": [[*CREATE, "--signals", "logs", "--dry-run"], [*CREATE, "--signals", "logs", "--dry-run", "--json"]],
    "tables-create-some-signals": [[*CREATE, "--signals", "logs"], CHECK, CREATE],
    "tables-create-schema": [["tables", "create", *place("fresh")], ["tables", "create", *place("fresh"), "--create-schema"],
                             ["tables", "create", *place("fresh"), "--create-schema"]],
    "tables-create-no-catalog": [["tables", "create", *place("telemetry", "mian")]],
    "tables-create-wrong-usage": [["tables", "create"], ["tables", "create", *PLACE[:4]], ["tables", "create", *place("a.b")],
                                  ["tables", "create", *place("x`; DROP TABLE t; --")], ["tables", "create", *place("")],
                                  [*CREATE, "--signals", "metrics,spans"], [*CREATE, "--timeout", "soon"], [*CREATE, "--json", "--timeout", "0s"]],
    "tables-create-warehouse-starting": [put("the only warehouse is stopped", "warehouses", [ETL]),
                                         settings("and takes a while", warehouse_start_polls=3), CREATE, [*CREATE, "--json"]],
    "tables-create-warehouse-verbose": [[*CREATE, "--verbose"]],
    "tables-create-warehouse-not-there": [put("there are two", "warehouses", [ETL, {"id": "b" * 16, "name": "BI"}]),
                                          [*CREATE, "--warehouse", "Elt"], [*CREATE, "--warehouse", "c" * 16], put("there is none", "warehouses", []), CREATE],
    "tables-create-missing-right": [
        (CREATE, GUEST), put("somebody grants USE CATALOG", "grants", {"catalog main": {"guest@example.com": ["USE_CATALOG"]}}), (CREATE, GUEST),
        put("and USE SCHEMA", "grants", {"catalog main": {"guest@example.com": ["USE_CATALOG"]}, "schema main.telemetry": {"guest@example.com": ["USE_SCHEMA"]}}),
        (CREATE, GUEST), ([*CREATE, "--signals", "logs", "--json"], GUEST)],
    "tables-create-missing-right-to-create-the-schema": [
        put("the guest has USE CATALOG", "grants", {"catalog main": {"guest@example.com": ["USE_CATALOG"]}}),
        (["tables", "create", *place("fresh"), "--create-schema"], GUEST)],
    "tables-create-different": [quietly(*CREATE), edit_table(LOGS, make_different, "somebody alters the logs table"), CREATE, CHECK, [*CHECK, "--json"]],
    "tables-create-failed-statement": [
        fault("the workspace fails one statement, inside HTTP 200", match_body="otel_logs", count=1,
              **failed_inside_200("[INTERNAL_ERROR] The storage of the catalog does not answer. SQLSTATE: XX000")), CREATE, CREATE],
    "tables-create-cancelled-by-somebody": [
        fault("somebody cancels it in the workspace", count=1, match_body="otel_logs", **failed_inside_200("", "CANCELED")), CREATE],
    "tables-create-busy": [fault("429, twice, with Retry-After: 1", fault="429", path=STATEMENTS, retry_after=1, count=2),
                           fault("503 with Retry-After: 1", fault="503", path="/api/2.0/sql/warehouses*", retry_after=1, count=1), CREATE],
    "tables-create-unavailable": [fault("503 without end", fault="503", path=STATEMENTS), [*CREATE, "--timeout", "2s"], no_faults(),
                                  fault("429 with Retry-After: 3600", fault="429", path=STATEMENTS, retry_after=3600), CREATE],
    "tables-create-login-page": workspace_with({"fault": "html_login_page", "path": "/api/*"}, CREATE, CHECK, [*CREATE, "--json"], line="a log-in page for everything"),
    "tables-create-private-link": workspace_with({"fault": "private_link_redirect", "path": "/api/*"}, CREATE, ["models"], ["auth", "status"],
                                                 line="the workspace is reachable over Private Link only"),
    "tables-create-private-link-for-sql": workspace_with({"fault": "private_link_redirect", "path": STATEMENTS}, CREATE, line="Private Link for SQL only"),
    "tables-create-redirected": workspace_with(
        {"fault": "raw", "path": "/api/*", "status": 301, "headers": {"location": "https://elsewhere.example.com/api"}, "body": ""}, CREATE,
        line="the workspace has moved"),
    "tables-create-not-a-workspace": workspace_with({"fault": "garbage_json", "path": "/api/*"}, CREATE, CHECK, line="JSON that is cut off"),
    "tables-create-ip-list": workspace_with({"fault": "403_ip_list", "path": "/api/*"}, CREATE, CHECK, line="an IP access list"),
    "tables-create-scope": [(CREATE, {"DATABRICKS_TOKEN": standin.NARROW}), (CHECK, {"DATABRICKS_TOKEN": standin.NARROW})],
    "tables-create-dropped": [fault("connections break before anything is done", fault="cut_before_processing", path=STATEMENTS), [*CREATE, "--timeout", "2s"],
                              no_faults(), fault("answers are lost, the statements run", fault="cut_before_answer", path=STATEMENTS, method="POST"),
                              [*CREATE, "--timeout", "6s"]],
    "tables-create-nobody-listens": [nobody_listens(*CREATE, "--timeout", "2s")],
    "tables-create-timeout": [settings("statements do not end", statement_running_polls=100000), [*CREATE, "--timeout", "1s"],
                              [*CREATE, "--timeout", "1s", "--json"], statements_left],
    "tables-create-timeout-cancel-fails": [settings("statements do not end, and cannot be cancelled", statement_running_polls=100000, cancel_fails=True),
                                           [*CREATE, "--signals", "logs", "--timeout", "1s"]],
    "tables-create-interrupted": [settings("statements do not end", statement_running_polls=100000), ctrl_c(CREATE), statements_left],
    "tables-create-interrupted-json": [settings("statements do not end", statement_running_polls=100000),
                                       ctrl_c([*CREATE, "--json"]), statements_left],
    "tables-create-bad-token": [
        (CREATE, {"DATABRICKS_TOKEN": "dapi" + "0" * 32}), settings("the workspace says 400", invalid_token="400"),
        (CREATE, {"DATABRICKS_TOKEN": "dapi" + "0" * 32}), settings("the workspace says 401", invalid_token="401"),
        (CREATE, {"DATABRICKS_TOKEN": "dapi" + "0" * 32}), ([*CREATE, "--json"], {"DATABRICKS_TOKEN": "dapi" + "0" * 32}),
        (CHECK, {"DATABRICKS_TOKEN": "Bearer dapi0"})],
    "tables-create-revoked-in-between": [
        fault("the token is revoked before the statements run", fault="401", path=STATEMENTS), CREATE],
    "tables-create-no-credential": [(CREATE, {"DATABRICKS_TOKEN": None}), (CREATE, BARE), (CHECK, {"DATABRICKS_TOKEN": None}),
                                    ([*CHECK, "--json"], {"DATABRICKS_TOKEN": None})],

    # --- tables check ------------------------------------------------------------------------------------------------
    "tables-check": [quietly(*CREATE), CHECK, [*CHECK, "--signals", "logs", "--json"]],
    "tables-check-missing": [CHECK, [*CHECK, "--json"], ["tables", "check", *place("nope")], ["tables", "check", *place("s", "nope")]],
    "tables-check-order-and-kind": [quietly(*CREATE), edit_table(SPANS, make_external, "the spans table is made anew elsewhere"), CHECK],
    "tables-check-by-sql": [quietly(*CREATE), fault("the tables API is not allowed", fault="403", path="/api/2.1/unity-catalog/tables/*"), CHECK,
                            [*CHECK, "--verbose"], [*CHECK, "--signals", "logs", "--json"], (CHECK, GUEST)],
    "tables-check-by-sql-timeout": [quietly(*CREATE), fault("the tables API is not allowed", fault="403", path="/api/2.1/unity-catalog/tables/*"),
                                    settings("statements do not end", statement_running_polls=100000), [*CHECK, "--timeout", "1s"],
                                    ctrl_c(CHECK), statements_left],
    "tables-check-rights": [quietly(*CREATE), quietly(*GRANT, "--to", "guest@example.com"), (CHECK, GUEST),
                            said("ALL PRIVILEGES in place of MODIFY and SELECT", give_all_privileges), (CHECK, GUEST)],
    "tables-check-rights-unknown": [quietly(*CREATE), fault("the rights cannot be read", fault="403", path="/api/2.1/unity-catalog/effective-permissions*"), CHECK],

    # --- tables ddl, grant -------------------------------------------------------------------------------------------
    "tables-ddl": [(DDL, BARE)],
    "tables-ddl-schema-and-json": [(["tables", "ddl", *PLACE, "--create-schema", "--signals", "logs"], BARE), (["tables", "ddl", *PLACE, "--signals", "logs", "--json"], BARE)],
    "tables-ddl-wrong-usage": [(["tables", "ddl"], BARE), (["tables", "ddl", *place("a b")], BARE), (["tables", "ddl", *PLACE, "--json", "--signals", ""], BARE)],
    "tables-grant": [quietly(*CREATE), [*GRANT, "--to", "developers"], [*GRANT, "--to", "developers", "--signals", "logs", "--json"],
                     (["tables", "grant", *PLACE, "--to", "o`neil", "--dry-run"], BARE)],
    "tables-grant-refused": [[*GRANT, "--to", "developers"], quietly(*CREATE), [*GRANT, "--to", "nobody@example.com"], ([*GRANT, "--to", "developers"], GUEST),
                             ([*GRANT, "--to", "developers", "--signals", "logs", "--json"], GUEST), [*GRANT, "--to", ""], GRANT],
    "tables-grant-faults": [quietly(*CREATE), settings("statements do not end", statement_running_polls=100000), [*GRANT, "--to", "developers", "--timeout", "1s"],
                            ctrl_c([*GRANT, "--to", "developers"]), settings("they end again", statement_running_polls=0),
                            fault("503 without end", fault="503", path=STATEMENTS), [*GRANT, "--to", "developers", "--timeout", "2s"]],

    # --- models ------------------------------------------------------------------------------------------------------
    "models": [["models"], ["models", "--agent", "gemini"], ["models", "--agent", "gemini", "--json"]],
    "models-none": [put("no models", "models", []), ["models"], put("one", "models", [{"name": "system.ai.m", "api_types": ["anthropic/v1/messages"]}]),
                    ["models", "--agent", "gemini"], ["models", "--agent", "gmini"]],
    "models-older": [fault("no model services here", fault="404_route", path=MODEL_SERVICES), ["models", "--agent", "claude"],
                     fault("nor serving endpoints", fault="404_route", path="/api/2.0/serving-endpoints*"), ["models", "--agent", "claude", "--verbose"],
                     fault("nor anything", fault="404_route", path="*"), ["models"]],
    "models-faults": [(["models"], {"DATABRICKS_TOKEN": "dapi" + "0" * 32}), (["models"], {"DATABRICKS_TOKEN": None}), (["models"], BARE),
                      fault("a log-in page for everything", fault="html_login_page", path="*"), ["models"], ["models", "--json"]],
    "models-busy": [fault("429 with Retry-After: 1", fault="429", path=MODEL_SERVICES, retry_after=1, count=1), ["models", "--agent", "gemini"],
                    fault("429 with Retry-After: 3600", fault="429", path="*", retry_after=3600), ["models"]],

    # --- credentials -------------------------------------------------------------------------------------------------
    "auth-status-workspace": [["auth", "status"], ["auth", "status", "--json"], ["auth", "status", "--offline"], (["auth", "status"], GUEST)],
    "auth-status-client": [(["auth", "status"], M2M), (["auth", "status", "--json"], M2M), (["auth", "token"], M2M),
                           (["auth", "status"], {**M2M, "DATABRICKS_CLIENT_SECRET": "dose-wrong"}), (["auth", "token"], {**M2M, "DATABRICKS_CLIENT_SECRET": "dose-wrong"}),
                           (["auth", "token"], {**M2M, "DATABRICKS_CLIENT_SECRET": None})],
    "auth-status-bad-token": [(["auth", "status"], {"DATABRICKS_TOKEN": "dapi" + "0" * 32}), (["auth", "status", "--json"], {"DATABRICKS_TOKEN": "dapi" + "0" * 32}),
                              (["auth", "status"], {"DATABRICKS_TOKEN": standin.NARROW})],
    "auth-status-faults": [fault("a log-in page for everything", fault="html_login_page", path="*"), ["auth", "status"],
                           no_faults(), fault("no answer", fault="cut_before_processing", path="*"), ["auth", "status"], (["auth", "status"], M2M)],
    "auth-status-nothing": [(["auth", "status"], BARE), (["auth", "status", "--json"], BARE), (["auth", "token"], BARE), (["auth", "token", "--json"], BARE)],
    "auth-token": [["auth", "token"], ["auth", "token", "--json"], (["auth", "token"], {"DATABRICKS_TOKEN": "two words"})],
    "auth-profiles": [config("[DEFAULT]", "host = HOST", f"token = {standin.PAT}", "[staging]", "host = HOST/?o=123", f"token = {standin.GUEST}",
                             "[__settings__]", "default_profile = staging"),
                      (["auth", "status"], BARE), (["--profile", "DEFAULT", "auth", "status"], BARE), (["--profile", "stagin", "auth", "token"], BARE),
                      (["auth", "token"], {**BARE, "DATABRICKS_CONFIG_PROFILE": "prod"}), (["--profile", "stagin", "auth", "status", "--json"], BARE)],
    "auth-profiles-broken": [config("[DEFAULT]", "host = HOST", "what is this"), (["auth", "token"], BARE), (["auth", "status"], BARE),
                             config("[DEFAULT]", "host = HOST/ml/experiments", f"token = {standin.PAT}"), (["auth", "status"], BARE),
                             config("[DEFAULT]", "host = http://adb-1.2.azuredatabricks.net", f"token = {standin.PAT}"), (["auth", "token"], BARE),
                             config("[DEFAULT]", "host = HOST", f"token = {standin.PAT}", "client_id = a", "client_secret = b"), (["auth", "token"], BARE),
                             config("[DEFAULT]", "host = HOST", "auth_type = databricks-cly"), (["auth", "token"], BARE),
                             config("[DEFAULT]", "host = HOST", "username = ada", "password = x"), (["auth", "token"], BARE)],
    "auth-cli": [CLI_PROFILE, cli("ok"), (["auth", "status"], FAKE_CLI), (["auth", "token"], BARE)],
    "auth-cli-faults": [CLI_PROFILE, *(cli(b) for b in ("garbage", "empty", "no_token", "error", "no_login", "m2m", "lock", "crash"))],
    "auth-cli-hangs": [CLI_PROFILE, cli("hang")],
}


class Scene:
    def __init__(self, home):
        self.home = home
        self.w = standin.Workspace(str(home.base / "workspace"))
        self.url = f"http://127.0.0.1:{self.w.port}"
        self.exe = str(home.base / "bin/dbx-agents")
        (home.base / "cli").mkdir()
        (home.base / "cli/databricks").symlink_to(ROOT / "tests/workspace/databricks")
        self.usual = {"DATABRICKS_HOST": self.url, "DATABRICKS_TOKEN": standin.PAT}
        home.env.update(self.usual)
        home.secrets += [standin.PAT, standin.GUEST, standin.NARROW, SECRET]

    def run(self, args, env):
        # A command whose job is to print a token prints it; the transcript masks it.
        if env.get("PATH") == FAKE_CLI["PATH"]:
            env = {**env, "PATH": f"{self.home.base}/cli:/usr/bin:/bin"}
        return self.home.run(*args, env=env, exe=self.exe, may_show_secrets=args[-2:] == ["auth", "token"] or args[-3:-1] == ["auth", "token"])

    def shown(self, result, env, before=""):
        names = "".join(f"{key}=… " for key, value in env.items() if value is not None and not key.startswith("FAKE_") and key != "PATH")
        behaviour = env.get("FAKE_DATABRICKS_BEHAVIOUR")
        before += f"# the Databricks CLI: {behaviour}\n" if behaviour else ""
        unset = [key for key in self.usual if env.get(key, "") is None]
        before += f"# without {' and '.join(unset)}\n" if unset else ""
        words = " ".join(a if re.fullmatch(r"[\w./:@,=-]+", a) else "'" + a.replace("'", "'\\''") + "'" for a in result.argv)
        return f"{before}$ {names}dbx-agents {words}\n--- exit {result.code}\n--- stdout\n{result.out}--- stderr\n{result.err}"

    def show(self, args, env):
        return self.shown(self.run(args, env), env)

    def play(self, steps):
        try:
            for step in steps:
                if callable(step):
                    text = step(self)
                    if text:
                        yield text
                else:
                    args, env = step if isinstance(step, tuple) else (step, {})
                    yield self.show(args, env)
        finally:
            self.w.stop()


def normal(text, home):
    """Ports, ids, seconds and tokens, which differ from run to run."""
    text = re.sub(r"\s+" + re.escape(str(home.base)), " $BASE", text)  # lines break by the length of that path
    text = re.sub(r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:<port>", text)
    text = re.sub(r"\b01f1[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<statement>", text)
    text = re.sub(r'("seconds": )\d+(?:\.\d+)?(?:e-?\d+)?', r"\1<seconds>", text)
    text = re.sub(r"\b\d+(\s+)attempts\b", r"<n>\1attempts", text)
    text = re.sub(r"\bport \d{5}(\s+)after(\s+)\d+ ms\b", r"port <port>\1after\2<n> ms", text)
    text = re.sub(r"\b00000000-0000-4000-8000-[0-9a-f]{12}\b", "<request>", text)
    text = re.sub(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>", text)
    for token in (standin.PAT, standin.GUEST, standin.NARROW):
        text = text.replace(token, "<token>")
    return text
