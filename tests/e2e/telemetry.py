"""A row of the table with telemetry: the tables are made before, and the agent's own metrics, logs and traces are in them after."""

from agents import header_values, shape, want

PLACE = "main.telemetry"
TABLES = {"metrics": "otel_metrics", "logs": "otel_logs", "traces": "otel_spans"}
ROUTE = "/api/2.0/otel/v1/"


def prepare(scene, scenario, url, token, prefix):
    """Makes the tables as a user does; gives setup's flags."""
    where = ["--catalog", "main", "--schema", "telemetry", "--prefix", prefix, "--workspace", url]
    scene.dbx_agents("tables", "create", *where, "--create-schema", DATABRICKS_TOKEN=token)
    scene.dbx_agents("tables", "grant", *where, "--to", "ada@example.com", DATABRICKS_TOKEN=token)
    return ["--otel", f"{PLACE}.{prefix}", *(["--otel-traces"] if "traces" in scenario.telemetry else [])]


def split(entries):
    """The exports, and everything else, of the stand-in's record."""
    exports = [entry for entry in entries if entry["path"].startswith(ROUTE)]
    return exports, [entry for entry in entries if entry not in exports]


def check(workspace, scenario, exports, token, prefix):
    want({entry["path"].removeprefix(ROUTE) for entry in exports} == set(scenario.telemetry),
         f"exported {sorted({entry['path'] for entry in exports})}, wanted {scenario.telemetry}")
    for entry in exports:
        signal = entry["path"].removeprefix(ROUTE)
        want(entry["status"] == 200, f"refused: {shape(entry)} {entry}")
        want(header_values(entry, "authorization") == ["Bearer " + token], f"not the expected token: {shape(entry)}")
        want(header_values(entry, "x-databricks-uc-table-name") == [f"{PLACE}.{prefix}_{TABLES[signal]}"], f"not the expected table: {shape(entry)}")
        want(header_values(entry, "content-type") == ["application/x-protobuf"], f"not protobuf: {shape(entry)}")
    for signal in scenario.telemetry:
        rows = workspace.control("GET", f"rows?table={PLACE}.{prefix}_{TABLES[signal]}")
        want(rows, f"no row of {signal}")
        text = str(rows)
        want("say hi" not in text, f"the prompt is in the {signal}")
        want(token not in text, f"the token is in the {signal}")
