"""What `tables ddl` and `tables create --dry-run` print is Spark SQL by somebody else's grammar: the npm package
dt-sql-parser, kept in build/e2e/sql. The same grammar refuses each of them when it is broken, or it would prove nothing.

    DBX_AGENTS_BIN=build/dev/cli/dbx-agents python3 tests/e2e/ddl_grammar.py

Needs node, npm and, the first time, a network: without them it ends with 77 (skipped).
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import npm

HERE = Path(__file__).resolve().parent
PACKAGE = "dt-sql-parser@4.5.1"
PLACE = ("--catalog", "main", "--schema", "my-schema", "--prefix", "dev_1")
# GRANT is not in Apache Spark's grammar (it has no privileges of its own): only the DDL is asked about.
COMMANDS = (("ddl", *PLACE), ("ddl", *PLACE, "--views"), ("create", *PLACE, "--views", "--dry-run"), ("ddl", *PLACE, "--create-schema"), ("create", *PLACE, "--create-schema", "--dry-run"),
            ("ddl", "--catalog", "a-b", "--schema", "1st", "--prefix", "select", "--signals", "logs"))
# Every way to break a statement: what is replaced, and by what.
BREAKS = (("IF NOT EXISTS", "IF NOT EXIST"), ("CREATE TABLE", "CREATE TABEL"), ("USING DELTA", "USING"), ("attributes: MAP<STRING, STRING>", "attributes: MAP<STRING STRING>"),
          ("  trace_id STRING,", "  trace_id STRING STRING,"), ("TBLPROPERTIES (", "TBLPROPERTIES"), ("` (", " ("), ("STRUCT<", "STRUCT<<"), (",\n", "\n"), ("'v1'", "v1'"),
          ("CREATE OR REPLACE VIEW", "CREATE OR REPLACE VIEWS"), ("COMMENT '", "COMMENT "), ("\nAS\n", "\n"), ("GROUP BY", "GROUP"), (" OVER (", " OVER "), ("CASE\n", "\n"), ("AS BIGINT)", "BIGINT)"),
          ("FROM `", "FORM `"), (" THEN ", " "), ("WHERE ", "WHERE WHERE "), ("PARTITION BY", "PARTITION"))


def complaints(statements):
    done = subprocess.run(["node", "--no-warnings", HERE / "spark_grammar.mjs", npm.packages("sql", PACKAGE)], input=json.dumps(statements), capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        sys.exit("the grammar does not run:\n" + done.stderr)
    return json.loads(done.stdout)


def printed(program, *words):
    # Nothing of our own environment: neither a credential nor a workspace is wanted.
    done = subprocess.run([program, "tables", *words], env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}, capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        sys.exit(f"dbx-agents tables {' '.join(words)} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def without_catalog(text):
    """This grammar is of a Spark before catalogs: a table's name has two parts there. The third, in its quotes, goes."""
    return re.sub(r"`[\w-]+`\.(`[\w-]+`\.`[\w-]+`)", r"\1", text)


def main():
    program = os.environ.get("DBX_AGENTS_BIN", "")
    if not os.access(program, os.X_OK):
        sys.exit("DBX_AGENTS_BIN is not an executable file: build the program first")
    texts = [without_catalog(printed(os.path.abspath(program), *words)) for words in COMMANDS]
    single = sorted({s.strip() for text in texts for s in re.split(r";\s*\n", text) if s.strip()})
    broken = []
    for statement in single:
        for old, new in BREAKS:
            if old in statement:
                broken.append(statement.replace(old, new, 1))
    answers = complaints(texts + single + broken)
    good, bad = answers[:len(texts) + len(single)], answers[len(texts) + len(single):]
    failed = [(text, found) for text, found in zip(texts + single, good) if found]
    missed = [text for text, found in zip(broken, bad) if not found]
    for text, found in failed:
        print("refused, but must be accepted:\n" + text + "\n" + "\n".join(found), file=sys.stderr)
    for text in missed:
        print("accepted, but is broken:\n" + text, file=sys.stderr)
    if failed or missed:
        sys.exit(1)
    print(f"{len(single)} statements in {len(texts)} scripts accepted, {len(broken)} broken ones refused")


if __name__ == "__main__":
    main()
