#!/usr/bin/env python3
"""The layer check can fail: each bad include is planted into a copy of the sources, and has to be found."""

import shutil
import tempfile
import unittest
from pathlib import Path

from check_layers import LEVELS, check, check_file, linked_rooms

ROOT = Path(__file__).resolve().parents[2]


class LayersCanFail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.copy = Path(cls.folder.name).resolve() / "copy"
        for top in ("core", "cli", "templates", "tests/unit"):
            shutil.copytree(ROOT / top, cls.copy / top)
        cls.before = set(check(cls.copy))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def complaints(self, path, text):
        """What the check says about a planted file."""
        file = self.copy / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        try:
            found = check_file(self.copy, file, linked_rooms(self.copy)[1])
            return [f"{path}:{line}: {reason}" for line, reason in found]
        finally:
            file.unlink()

    def refused(self, path, include, words):
        found = self.complaints(path, f"// planted\n#include {include}\n")
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{path}:2: "), found)
        self.assertIn(words, found[0])

    def allowed(self, path, include):
        self.assertEqual(self.complaints(path, f"#include {include}\n"), [])

    def test_the_whole_check_finds_what_is_planted(self):
        file = self.copy / "core/base/planted.hpp"
        file.write_text('#pragma once\n#include "core/system/files.hpp"\n', encoding="utf-8")
        found = set(check(self.copy)) - self.before
        file.unlink()
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found.pop().startswith("core/base/planted.hpp:2: "))
        self.assertEqual(set(check(self.copy)), self.before)

    def test_a_room_does_not_include_a_higher_one(self):
        self.refused("core/base/planted.cpp", '"core/system/files.hpp"', "is below core/system")
        self.refused("core/system/planted.hpp", '"core/edit/document.hpp"', "is below core/edit")
        self.refused("core/state/planted.cpp", '"core/edit/document.hpp"', "is below core/edit")
        self.refused("core/databricks/planted.cpp", '"core/agents/plan.hpp"', "is below core/agents")

    def test_siblings_do_not_include_each_other(self):
        self.refused("core/agents/planted.cpp", '"core/proxy/server.hpp"', "siblings")
        self.refused("core/tables/planted.cpp", '"core/agents/plan.hpp"', "siblings")
        self.refused("core/state/planted.cpp", '"core/http/client.hpp"', "siblings")

    def test_every_pair_of_rooms_has_one_direction_at_most(self):
        for room, level in LEVELS.items():
            for other, other_level in LEVELS.items():
                if room != other and other_level >= level:
                    self.refused(f"core/{room}/planted.cpp", f'"core/{other}/anything.hpp"', "core/" + other)

    def test_a_relative_include_is_no_way_around(self):
        self.refused("core/base/planted.cpp", '"../system/files.hpp"', "is below core/system")
        self.refused("core/base/planted.cpp", "<core/system/files.hpp>", "is below core/system")

    def test_core_does_not_include_cli_and_nothing_includes_tests(self):
        self.refused("core/doctor/planted.cpp", '"cli/run.hpp"', "nothing in core includes cli")
        self.refused("core/base/planted.cpp", '"tests/unit/system/sandbox.hpp"', "nothing includes tests")
        self.refused("cli/planted.cpp", '"tests/unit/system/sandbox.hpp"', "nothing includes tests")

    def test_libraries_stay_in_their_rooms(self):
        self.refused("core/databricks/planted.cpp", "<curl/curl.h>", "only core/http")
        self.refused("cli/planted.cpp", "<toml++/toml.h>", "TOML is edited in core/edit")
        self.refused("core/agents/planted.cpp", "<CLI/CLI.hpp>", "only cli")
        for place in ("core/http", "core/usage", "core/doctor", "cli"):
            self.refused(f"{place}/planted.cpp", "<boost/asio.hpp>", "only core/proxy")
        for place in ("core/state", "core/proxy", "core/system", "cli"):
            self.refused(f"{place}/planted.cpp", "<sqlite3.h>", "SQLite")
        self.allowed("core/proxy/planted.cpp", "<boost/beast/http.hpp>")
        self.allowed("core/doctor/planted.cpp", "<sqlite3.h>")
        self.allowed("core/usage/planted.cpp", "<sqlite3.h>")

    def test_posix_stays_in_system(self):
        for header in ("unistd.h", "fcntl.h", "sys/stat.h", "signal.h", "poll.h", "sys/socket.h"):
            self.refused("core/agents/planted.cpp", f"<{header}>", "only core/system calls POSIX")
            self.refused("cli/commands/planted.cpp", f"<{header}>", "only core/system calls POSIX")
        self.allowed("core/system/planted.cpp", "<unistd.h>")
        self.allowed("core/agents/planted.cpp", "<sys/types.h>")

    def test_spelling_does_not_matter(self):
        for text in ('  #  include   "core/system/files.hpp"', '#include\t"core/system/files.hpp" // why',
                     '#if 1\n#include "core/system/files.hpp"\n#endif', '#include "core/system/files.hpp"\r'):
            self.assertEqual(len(self.complaints("core/base/planted.cpp", text + "\n")), 1, text)

    def test_what_is_allowed_is_not_refused(self):
        self.allowed("core/agents/planted.cpp", '"core/edit/document.hpp"')
        self.allowed("cli/planted.cpp", '"core/agents/plan.hpp"')
        self.allowed("tests/unit/planted.cpp", "<unistd.h>")
        self.allowed("core/base/planted.cpp", "<string>")
        commented = '// #include "cli/run.hpp"\n/*\n#include "cli/run.hpp"\n*/\nauto text = "#include <unistd.h>";\n'
        self.assertEqual(self.complaints("core/base/planted.cpp", commented), [])

    def test_a_header_that_is_nowhere_is_named(self):
        self.refused("core/base/planted.cpp", '"nowhere.hpp"', "is not found")

    def test_a_room_without_a_level_is_named(self):
        found = self.complaints("core/cellar/planted.cpp", "#include <string>\n")
        self.assertEqual(len(found), 1, found)
        self.assertIn("has no level", found[0])

    def test_what_is_included_has_to_be_linked(self):
        lists = self.copy / "core/doctor/CMakeLists.txt"
        before = lists.read_text(encoding="utf-8") if lists.is_file() else None
        lists.parent.mkdir(parents=True, exist_ok=True)
        lists.write_text("dbx_room(doctor SOURCES a.cpp PUBLIC dbx_base) # dbx_usage\n", encoding="utf-8")
        try:
            found = self.complaints("core/doctor/planted.cpp", '#include "core/usage/ledger.hpp"\n')
            self.assertEqual(len(found), 1, found)
            self.assertIn("does not link dbx_usage", found[0])
        finally:
            if before is None:
                lists.unlink()
            else:
                lists.write_text(before, encoding="utf-8")

    def test_an_empty_folder_is_no_success(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(len(list(check(empty))), 1)


if __name__ == "__main__":
    unittest.main()
