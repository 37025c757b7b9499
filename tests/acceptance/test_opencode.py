"""OpenCode: an agent beyond the four that is a template only. Its files come back byte for byte, whichever of their two names they have."""

import json
import unittest

import harness
import readers
from harness import GATEWAY, PAT, WORKSPACE, binary, case_file

JSON, JSONC = ".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"
FILES = {
    "none": {},
    "json": {JSON: "opencode/01-other-provider.json"},
    "jsonc": {JSONC: "opencode/02-comments.jsonc"},
    "both": {JSON: "opencode/01-other-provider.json", JSONC: "opencode/02-comments.jsonc"},
}


class OpenCodeTest(harness.Test):
    def setUp(self):
        super().setUp()
        self.h.env["DATABRICKS_TOKEN"] = PAT
        self.h.env["DATABRICKS_HOST"] = WORKSPACE

    def test_setup_twice_then_revert_gives_every_byte_back(self):
        for label, files in FILES.items():
            for auth in ("pat", "env", "proxy"):
                with self.subTest(label=label, auth=auth):
                    self.h = self.fresh()
                    self.h.env.update(DATABRICKS_TOKEN=PAT, DATABRICKS_HOST=WORKSPACE)
                    for path, name in files.items():
                        self.h.put(path, case_file(name))
                    before = self.h.snapshot()
                    self.ok(self.h.run("setup", "opencode", "--auth", auth, "--yes"))
                    written = self.h.snapshot()
                    # OpenCode reads both names, and what is in the second wins.
                    ours = JSONC if JSONC in files else JSON
                    changed = {path for path in written if before.get(path) != written[path] and written[path][0] == "file"}
                    self.assertEqual(changed, {ours})
                    text = self.h.read(ours)
                    value = readers.commented_json(text)
                    self.assertEqual(value["model"], "databricks-claude/databricks-claude-opus-4-6")
                    claude, chat = value["provider"]["databricks-claude"], value["provider"]["databricks-chat"]
                    root = "http://127.0.0.1:8790" if auth == "proxy" else GATEWAY
                    self.assertEqual((claude["options"]["baseURL"], chat["options"]["baseURL"]), (root + "/anthropic/v1", root + "/mlflow/v1"))
                    self.assertEqual(claude["models"]["databricks-claude-opus-4-6"]["options"], {"toolStreaming": False})
                    key = claude["options"]["authToken"]
                    self.assertEqual(key, chat["options"]["apiKey"])
                    self.assertTrue({"pat": key == PAT, "env": key == "{env:DATABRICKS_TOKEN}", "proxy": key.startswith("dbxl_")}[auth])
                    self.ok(self.h.run("setup", "opencode", "--auth", auth, "--check"))
                    self.ok(self.h.run("setup", "opencode", "--auth", auth, "--yes"))
                    self.same_snapshot(self.h.snapshot(), written, "the second setup changed something")
                    self.ok(self.h.run("revert", "opencode", "--yes"))
                    self.same_snapshot(self.h.snapshot(), before, "revert does not give everything back")

    def test_another_model_takes_the_place_of_the_first(self):
        self.h.put(JSON, case_file("opencode/01-other-provider.json"))
        before = self.h.snapshot()
        self.ok(self.h.run("setup", "opencode", "--yes"))
        self.ok(self.h.run("setup", "opencode", "--model", "databricks-claude-sonnet-4-5", "--yes"))
        value = json.loads(self.h.read(JSON))
        self.assertEqual(sorted(value["provider"]["databricks-claude"]["models"]), ["databricks-claude-haiku-4-5", "databricks-claude-sonnet-4-5"])
        self.assertEqual(value["model"], "databricks-claude/databricks-claude-sonnet-4-5")
        self.ok(self.h.run("revert", "opencode", "--yes"))
        self.same_snapshot(self.h.snapshot(), before, "revert does not give everything back")

    def test_all_takes_it_along_only_when_it_is_installed(self):
        document = json.loads(self.ok(self.h.run("setup", "--all", "--dry-run", "--json")).out)
        self.assertNotIn("opencode", [agent["agent"] for agent in document["agents"]])
        programs = self.h.base / "bin"
        programs.mkdir()
        (programs / "opencode").write_text("#!/bin/sh\n")
        (programs / "opencode").chmod(0o755)
        document = json.loads(self.ok(self.h.run("setup", "--all", "--dry-run", "--json", env={"PATH": f"{programs}:/usr/bin:/bin"})).out)
        self.assertIn("opencode", [agent["agent"] for agent in document["agents"]])

    def test_a_helper_is_refused_and_the_reason_said(self):
        self.is_error(self.h.run("setup", "opencode", "--auth", "helper", "--yes"), 2, "no setting for it", "pat, env, proxy")

    def test_what_wins_over_it_is_named(self):
        self.h.put(JSON, '{"enabled_providers": ["lmstudio"]}\n')
        result = self.ok(self.h.run("setup", "opencode", "--yes", env={"OPENCODE_CONFIG_CONTENT": "{}"}))
        self.says(result, "enabled_providers", "OPENCODE_CONFIG_CONTENT", where="err")


if __name__ == "__main__":
    binary()
    unittest.main(verbosity=1)
