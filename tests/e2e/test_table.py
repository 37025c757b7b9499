"""The README's table of real agents is the one that scripts/e2e.sh writes: its form, its rows, all of them good. No agent is run."""

import argparse
import re
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import e2e  # noqa: E402
from agents import AGENTS  # noqa: E402

ROW = re.compile(r"\| ([^|]+) \| (\d+\.\d+\.\d+) \| ([^|]+) \| (ok|ok, by key) \| (\d+\.\d s) \|")


def options(**given):
    return argparse.Namespace(**{"agent": None, "version": None, "quick": False, "readme": False, **given})


class Table(unittest.TestCase):
    def rows(self):
        text = e2e.table_of((e2e.ROOT / "README.md").read_text())[1]
        rows = [ROW.fullmatch(line) for line in text.splitlines()[2:]]
        self.assertNotIn(None, rows, "a row that the script does not write, or a turn that failed\n" + text)
        rows = [row.groups() for row in rows]
        self.assertEqual(text, e2e.table(rows), "the form is the script's")
        return rows

    def test_every_row_of_a_whole_run_is_there_in_its_order(self):
        wanted = [(agent.title, version, scenario.title) for agent, version, scenarios in e2e.rows_to_play(options()) for scenario in scenarios]
        rows = self.rows()
        self.assertEqual([(row[0], row[2]) for row in rows], [(title, scenario) for title, _, scenario in wanted])
        for row, (_, version, _) in zip(rows, wanted):
            if version != "latest":
                self.assertEqual(row[1], version, row)

    def test_one_version_is_the_newest_of_an_agent(self):
        for agent in AGENTS:
            if "latest" in agent.versions:
                numbers = {row[1] for row in self.rows() if row[0] == agent.title}
                self.assertEqual(len(numbers), len(agent.versions), numbers)

    def test_a_run_of_some_rows_leaves_the_whole_table_alone(self):
        for some in ({"agent": ["codex"]}, {"version": ["latest"]}, {"quick": True}):
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                e2e.keep("whole\n", options(build=folder), 0)
                e2e.keep("some\n", options(build=folder, **some), 0)
                self.assertEqual((folder / "table.md").read_text(), "whole\n")
                self.assertEqual((folder / "table-of-some.md").read_text(), "some\n")

    def test_a_readme_without_one_place_for_it_is_refused(self):
        for text in ("", e2e.BEGIN, e2e.END + e2e.BEGIN, (e2e.BEGIN + e2e.END) * 2):
            with self.assertRaises(e2e.Unexpected):
                e2e.table_of(text)


if __name__ == "__main__":
    unittest.main()
