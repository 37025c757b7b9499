"""The views of `tables create --views` mean the same to somebody else's engine: DuckDB (npm package @duckdb/node-api, kept in
build/e2e/duckdb) gets the rows that the stand-in workspace holds, and has to say what the stand-in says. Three Spark functions and
the spelling of names and types are mapped; the queries are as the program prints them.

    DBX_AGENTS_BIN=… DBX_AGENTS_WORKSPACE=… python3 tests/e2e/views_duckdb.py

Needs node, npm and, the first time, a network: without them it ends with 77 (skipped).
"""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/acceptance"), str(ROOT / "tests/workspace")]
PACKAGE = "@duckdb/node-api@1.5.6-r.1"

import npm  # noqa: E402
import test_tables_views as views  # noqa: E402

MAPPED = ["CREATE SCHEMA telemetry", "CREATE MACRO to_date(t) AS CAST(t AS DATE)", "CREATE MACRO timestamp_micros(n) AS make_timestamp(n)"]


def duckdb_type(text):
    """struct<a:bigint,b:map<string,string>> in DuckDB's spelling."""
    words = {"string": "VARCHAR", "bigint": "BIGINT", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}
    kind = text.split("<", 1)[0]
    if kind in words:
        return words[kind]
    inner, parts, depth = text[len(kind) + 1:-1], [""], 0
    for char in inner:
        depth += {"<": 1, ">": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    if kind == "array":
        return duckdb_type(inner) + "[]"
    if kind == "map":
        return f"MAP({', '.join(map(duckdb_type, parts))})"
    return "STRUCT(" + ", ".join(f'"{p.split(":", 1)[0]}" {duckdb_type(p.split(":", 1)[1])}' for p in parts) + ")"


def cell(text):
    """One spelling for numbers, times and truths of both engines."""
    if text is None:
        return None
    if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", text):
        return f"{float(text):.9g}"
    time = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?Z?", text)
    return f"{time[1]} {time[2]}" if time else text


class Same(views.Meaning):
    """Every test of the meaning of the views, with a second opinion at its end."""

    compared = 0

    def tearDown(self):
        place = "main.telemetry.dev_otel_v_"
        names = [name[len(place):] for name in views.VIEWS]
        wanted = {name: ", ".join(c["name"] for c in self.there()[place + name]["columns"] if not c["type_text"].startswith("map")) for name in names}
        ours = {}
        for name in names:
            answer = self.w.call("POST", "/api/2.0/sql/statements", {"warehouse_id": "0123456789abcdef", "wait_timeout": "30s",
                                                                     "statement": f"SELECT {wanted[name]} FROM {place}{name}"})
            ours[name] = answer.json["result"].get("data_array", [])
        statements = list(MAPPED)
        for full in views.NAMES[:2]:
            columns = {c["name"]: duckdb_type(c["type_text"]) for c in self.there()[full]["columns"]}
            file = self.h.base / (full + ".json")
            file.write_text(json.dumps(self.w.control("GET", "rows?table=" + full)))
            listed = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
            statements.append(f"CREATE TABLE telemetry.{full.split('.')[2]} AS SELECT * FROM read_json('{file}', format = 'array', columns = {{{listed}}})")
        ddl = self.ok(self.tables("ddl", "--views", "--signals", "metrics,logs")).out
        for text in re.split(r";\s*\n", ddl):
            if "CREATE OR REPLACE VIEW" in text:
                statements.append(re.sub(r"\nCOMMENT '[^']*'", "", text.replace("`main`.", "").replace("`", '"')))
        first = len(statements)
        statements += [f"SELECT {wanted[name]} FROM telemetry.dev_otel_v_{name}" for name in names]
        done = subprocess.run(["node", "--no-warnings", HERE / "duckdb.mjs", Same.packages], input=json.dumps(statements), capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        for name, theirs in zip(names, json.loads(done.stdout)[first:]):
            order = lambda rows: sorted([[cell(c) for c in row] for row in rows], key=str)  # noqa: E731
            self.assertEqual(order(ours[name]), order(theirs), name)
            Same.compared += len(theirs)
        super().tearDown()


def main():
    Same.packages = npm.packages("duckdb", PACKAGE)
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Same)
    result = unittest.TextTestRunner().run(suite)
    if not result.wasSuccessful() or Same.compared == 0:
        sys.exit(1)
    print(f"{Same.compared} rows of views are the same in both engines")


if __name__ == "__main__":
    main()
