"""`usage` on ledgers of known content: every form tells the same sums, unknown prices are never 0, nothing is written."""

import csv
import io
import json
import sqlite3
import time

from harness import Home, Test, main
from terminal import CTRL_C, Terminal, at_a_terminal

NOW = int(time.time() * 1000)
APPLICATION = 0x64627861
COLUMNS = ("started_at", "agent", "model_asked", "status", "error_class", "input_tokens", "output_tokens", "cache_read_tokens",
           "cache_write_tokens", "cost_usd", "first_byte_ms")
ROWS = [
    (NOW - 1_000, "claude", "databricks-claude-opus-4-6", 200, None, 100, 50, 900, 10, 0.25, 500.0),
    (NOW - 2_000, "claude", "databricks-claude-opus-4-6", 429, "limit", None, None, None, None, None, None),
    (NOW - 3_000, "codex", "my-<b>model</b>,\"x\"", 200, None, 30, 7, 0, 0, None, 900.0),
    (NOW - 40 * 86_400_000, "gemini", "old", 200, None, 1, 1, 0, 0, 1.0, 1.0),
]


def ledger(home, rows=ROWS, version=1, application=APPLICATION):
    path = home.home / ".local/state/dbx-agents/usage.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE requests (id INTEGER PRIMARY KEY, started_at INTEGER, agent TEXT, dialect TEXT DEFAULT '', model_asked TEXT, status INTEGER, "
               "error_class TEXT, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER, "
               "cost_usd REAL, partial INTEGER DEFAULT 0, queued_ms REAL DEFAULT 0, first_byte_ms REAL, total_ms REAL DEFAULT 1000)")
    db.executemany(f"INSERT INTO requests ({','.join(COLUMNS)}) VALUES ({','.join('?' * len(COLUMNS))})", rows)
    db.execute(f"PRAGMA application_id = {application}")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    return path


class UsageReports(Test):
    def test_json_and_csv_tell_the_same_sums(self):
        with Home() as home:
            path = ledger(home)
            before = path.read_bytes()
            result = home.run("usage", "--json")
            self.assertEqual(result.code, 0, result)
            document = json.loads(result.out)
            by_model = {group["model"]: group for group in document["groups"]}
            claude = by_model["databricks-claude-opus-4-6"]
            self.assertEqual((claude["requests"], claude["errors"], claude["input_tokens"], claude["cache_read_tokens"], claude["cost_usd"]), (2, 1, 100, 900, 0.25))
            unpriced = by_model["my-<b>model</b>,\"x\""]
            self.assertIsNone(unpriced["cost_usd"])
            self.assertEqual(unpriced["unpriced_requests"], 1)
            self.assertNotIn("old", by_model)
            rows = list(csv.DictReader(io.StringIO(home.run("usage", "--csv").out)))
            self.assertEqual({row["model"]: int(row["input_tokens"]) for row in rows}, {name: group["input_tokens"] for name, group in by_model.items()})
            self.assertEqual([row["cost_usd"] for row in rows if row["agent"] == "codex"], [""])
            self.assertEqual(path.read_bytes(), before)

    def test_the_table_says_unpriced(self):
        with Home() as home:
            ledger(home)
            out = home.run("usage").out
            self.assertRegex(out, r"(?m)^codex .* unpriced ")
            self.assertRegex(out, r"(?m)^today .* \$0\.2500 \+ 1 unpriced ")

    def test_a_narrow_terminal_leaves_columns_out_and_says_which(self):
        """Lines never break; who, which model, requests, output and cost stay; wide enough, and to a pipe, everything is there."""
        heads = ["requests", "input", "cache read", "cache write", "cached", "output", "cost", "errors", "first byte p50", "p95"]
        with Home() as home:
            ledger(home, [row for row in ROWS if row[1] == "claude"])
            for columns in (60, 80, 100, 120, 200):
                text, code, _ = at_a_terminal(home, ["usage", "--no-color"], {}, columns=columns)
                lines = text.replace("\r\n", "\n").split("\n")
                self.assertEqual(code, 0, text)
                self.assertLessEqual(max(map(len, lines)), columns, text)
                table = lines[lines.index("By agent and model, 30 days") + 1:]
                for head in ("agent", "model", "requests", "output", "cost"):
                    self.assertIn(head, table[0])
                self.assertRegex(table[1], r"^claude  " + (r"…\S*" if columns == 60 else "databricks-claude-") + r"opus-4-6 .*\$0.2500")
                for head in heads:
                    self.assertEqual(head in table[0], head not in " ".join(table[2:]), f"{columns}: {head}\n{text}")
                self.assertEqual("no room" in text, columns < 150, text)
            self.assertTrue(all(head in home.run("usage").out for head in heads))
            self.assertNotIn("no room", home.run("usage").out)

    def test_watch_on_a_narrow_terminal(self):
        with Home() as home:
            ledger(home, [row for row in ROWS if row[1] == "claude"])
            with Terminal(home, "usage", "--watch", "--no-color", columns=60) as terminal:
                terminal.expect("Today").expect("took").expect("no room here for").expect("Today").expect("no room").expect("no room")
                terminal.send(CTRL_C)
                self.assertEqual(terminal.end(), 0)
            page = terminal.text.split("\x1b[2J")[-1].split("^C")[0]
            self.assertLessEqual(max(map(len, page.split("\n"))), 60, page)
            self.assertRegex(page, r"\d\d:\d\d:\d\d  claude  …\S+4-6 +200 ")

    def test_filters_and_dimensions(self):
        with Home() as home:
            ledger(home)
            total = lambda *flags: json.loads(home.run("usage", "--json", *flags).out)["total"]["requests"]
            self.assertEqual(total("--since", "60d"), 4)
            self.assertEqual(total("--agent", "claude"), 2)
            self.assertEqual(total("--model", "databricks-*"), 2)
            self.assertEqual(total("--until", "30d", "--since", "60d"), 1)
            groups = json.loads(home.run("usage", "--json", "--by", "status").out)["groups"]
            self.assertEqual({group["status"]: group["requests"] for group in groups}, {"200": 2, "429": 1})
            for flags in (["--by", "modl"], ["--since", "soon"], ["--since", "2026-13-01"], ["--csv", "--html", "x"]):
                self.assertEqual(home.run("usage", *flags).code, 2, flags)

    def test_the_page_is_self_contained_and_safe(self):
        with Home() as home:
            ledger(home)
            self.assertEqual(home.run("usage", "--html", str(home.home / "page.html")).code, 0)
            page = (home.home / "page.html").read_text()
            self.assertNotIn("<b>model</b>", page)
            self.assertNotRegex(page, r"(?:src|href)\s*=|@import|url\(")
            self.assertIn("prefers-color-scheme: dark", page)

    def test_no_ledger_newer_ledger_and_somebody_elses(self):
        with Home() as home:
            result = home.run("usage", "--json")
            self.assertEqual((result.code, json.loads(result.out)["groups"]), (0, []))
        with Home() as home:
            ledger(home, version=99)
            self.assertEqual(home.run("usage").code, 3)
        with Home() as home:
            ledger(home, application=7)
            self.assertEqual(home.run("usage").code, 3)


if __name__ == "__main__":
    main()
