"""Templates: list, show, export; a user's folder wins; a broken one is an error with file and line; a fifth agent is a folder."""

import json

import readers
from harness import GATEWAY, PAT, WORKSPACE, Test, main

USER = ".config/dbx-agents/templates"

FIFTH = {
    "agent.toml": """\
format = 1
display_name = "My Agent"
route = "/mlflow/v1"
auth = ["pat", "env"]
token_variable = "MYAGENT_TOKEN"

[program]
name = "myagent"

[home]
path = "~/.myagent"

[models]
main = "databricks-my-model"

[[file]]
name = "config"
path = "config.toml"
format = "toml"

[[part]]
file = "config"
document = "config.toml"
""",
    "config.toml": 'model = "{{model}}"\n\n[endpoint]\nurl = "{{gateway}}/mlflow/v1"\n',
}


class Templates(Test):
    def template(self, name, **files):
        for file, text in files.items():
            self.h.put(f"{USER}/{name}/{file}", text)

    def fifth(self, name="myagent", **changes):
        for file, text in {**FIFTH, **changes}.items():
            self.h.put(f"{USER}/{name}/{file}", text)

    def export(self, name):
        """Whatever way the export takes: files under a folder that it names, or a given one."""
        result = self.ok(self.h.run("templates", "export", name))
        return result

    def test_list(self):
        result = self.ok(self.h.run("templates", "list"))
        for name in ("codex", "claude", "gemini", "cursor"):
            self.says(result, name, where="out")
        self.says(result, "built-in", where="out")
        document = json.loads(self.ok(self.h.run("templates", "list", "--json")).out)
        for name in ("codex", "claude", "gemini", "cursor"):
            self.assertIn(name, json.dumps(document))
        self.assertEqual(self.h.snapshot(with_state=True), {})

    def test_show(self):
        for name, word in (("codex", "model_providers"), ("claude", "ANTHROPIC_BASE_URL"), ("gemini", "selectedType"), ("cursor", "/cursor/v1")):
            result = self.ok(self.h.run("templates", "show", name))
            self.says(result, word, "format = 1", where="out")

    def test_an_unknown_name_gets_a_suggestion(self):
        for verb in ("show", "export"):
            result = self.h.run("templates", verb, "codx")
            self.is_error(result, 2, "codx", "codex", unchanged=False)

    def test_export_gives_a_template_that_works(self):
        result = self.ok(self.h.run("templates", "export", "codex"))
        exported = self.h.path(f"{USER}/codex/agent.toml")
        self.assertTrue(exported.is_file(), f"export puts the template where a user's own one wins\n{result}")
        self.says(result, USER)
        text = exported.read_text()
        self.assertIn("format = 1", text)
        listed = self.ok(self.h.run("templates", "list"))
        self.says(listed, USER, where="out")
        config = self.h.path(f"{USER}/codex/config.toml")
        config.write_text(config.read_text().replace("Databricks AI Gateway", "Our own name"))
        self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.assertEqual(readers.toml(self.h.read(".codex/config.toml"))["model_providers"]["databricks"]["name"], "Our own name")

    def test_export_overwrites_nothing(self):
        self.ok(self.h.run("templates", "export", "claude"))
        path = self.h.path(f"{USER}/claude/settings.json")
        path.write_text('{"env": {"MINE": "1"}}\n')
        result = self.h.run("templates", "export", "claude")
        self.assertNotEqual(result.code, 0, f"\n{result}")
        self.assertEqual(path.read_text(), '{"env": {"MINE": "1"}}\n')

    def test_an_exported_template_changes_nothing(self):
        for agent in ("codex", "claude", "gemini", "cursor"):
            home = self.h = self.fresh()
            args = ("setup", agent, "--workspace", WORKSPACE, *(() if agent == "cursor" else ("--auth", "env")))
            self.ok(home.run(*args, "--yes"))
            self.ok(home.run("templates", "export", agent))
            self.ok(home.run(*args, "--check"), 0)

    def test_a_fifth_agent_is_a_folder(self):
        self.fifth()
        self.h.put(".myagent/config.toml", "# mine\n[endpoint]\nretries = 3\n")
        before = self.h.snapshot()
        result = self.ok(self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.says(result, "MYAGENT_TOKEN")
        self.assertEqual(readers.toml(self.h.read(".myagent/config.toml")),
                         {"model": "databricks-my-model", "endpoint": {"retries": 3, "url": GATEWAY + "/mlflow/v1"}})
        self.assertIn(b"# mine", self.h.read(".myagent/config.toml"))
        self.says(self.ok(self.h.run("status", "myagent")), "config.toml", where="out")
        self.ok(self.h.run("revert", "myagent"))
        self.same_snapshot(self.h.snapshot(), before, "revert of a fifth agent")

    def test_all_takes_a_fifth_agent_only_when_it_is_found(self):
        self.fifth()
        env = {"DATABRICKS_TOKEN": PAT}
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env=env))
        self.assertFalse(self.h.path(".myagent").exists())
        place = self.h.base / "bin"
        place.mkdir()
        (place / "myagent").write_text("#!/bin/sh\nexit 1\n")
        (place / "myagent").chmod(0o755)
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env={**env, "PATH": f"{place}:/usr/bin:/bin"}))
        self.assertTrue(self.h.path(".myagent/config.toml").is_file())
        self.ok(self.h.run("revert", "--all"))
        self.assertFalse(self.h.path(".myagent").exists())
        self.assertFalse(self.h.path(".codex").exists())

    def test_revert_works_without_the_template(self):
        """What setup wrote can be taken back even when the template is gone."""
        import shutil

        self.fifth()
        self.ok(self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        shutil.rmtree(self.h.path(f"{USER}/myagent"))
        result = self.ok(self.h.run("revert", "myagent"))
        self.assertFalse(self.h.path(".myagent").exists(), f"\n{result}")

    def test_a_template_that_changed_leaves_no_old_keys(self):
        """What an older template wrote and the new one does not is taken back by the next setup, or at the latest by revert."""
        self.fifth()
        self.ok(self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.fifth(**{"config.toml": 'other = "{{model}}"\n'})
        self.ok(self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.ok(self.h.run("revert", "myagent"))
        self.assertFalse(self.h.path(".myagent").exists())

    def broken(self, name, line, **changes):
        self.fifth(**changes)
        before = self.h.kept()
        for args in (("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes"), ("templates", "show", "myagent")):
            result = self.h.run(*args)
            self.assertIn(result.code, (2, 3), f"\n{result}")
            self.says(result, name, where="err")
            if line:
                self.assertTrue(f"line {line}" in result.err or f":{line}" in result.err, f"the error names line {line}\n{result}")
        self.same_snapshot(self.h.kept(), before, "a broken template", result)

    def test_broken_toml(self):
        self.broken("agent.toml", 2, **{"agent.toml": FIFTH["agent.toml"].replace('display_name = "My Agent"', "display_name = ")})

    def test_an_unknown_key(self):
        self.broken("agent.toml", 3, **{"agent.toml": FIFTH["agent.toml"].replace('route = ', 'rute = ')})

    def test_an_unknown_key_in_a_table(self):
        self.broken("agent.toml", 9, **{"agent.toml": FIFTH["agent.toml"].replace('name = "myagent"', 'name = "myagent"\ncolour = "red"')})

    def test_an_unknown_format_number(self):
        for number in ("2", '"1"', "0"):
            self.broken("agent.toml", 1, **{"agent.toml": FIFTH["agent.toml"].replace("format = 1", f"format = {number}", 1)})

    def test_a_missing_document(self):
        self.broken("nothing.toml", None, **{"agent.toml": FIFTH["agent.toml"].replace('document = "config.toml"', 'document = "nothing.toml"')})

    def test_a_broken_document(self):
        self.broken("config.toml", 2, **{"config.toml": 'model = "{{model}}"\n[endpoint\n'})

    def test_an_unknown_placeholder(self):
        self.broken("config.toml", 1, **{"config.toml": 'model = "{{modell}}"\n'})

    def test_a_document_outside_of_the_folder(self):
        self.h.put("outside.toml", 'model = "x"\n')
        self.broken("agent.toml", None, **{"agent.toml": FIFTH["agent.toml"].replace('document = "config.toml"', 'document = "../../../../outside.toml"')})

    def test_an_unknown_form_of_auth(self):
        self.broken("agent.toml", 4, **{"agent.toml": FIFTH["agent.toml"].replace('["pat", "env"]', '["pat", "magic"]')})

    def test_a_file_that_no_part_knows(self):
        self.broken("agent.toml", None, **{"agent.toml": FIFTH["agent.toml"].replace('file = "config"', 'file = "confg"')})

    def test_a_broken_template_of_a_user_does_not_fall_back_to_the_built_in(self):
        self.h.put(f"{USER}/codex/agent.toml", "format = 1\nnonsense\n")
        result = self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes")
        self.assertIn(result.code, (2, 3), f"\n{result}")
        self.says(result, "agent.toml", ("line 2", ":2"), where="err")
        self.assertFalse(self.h.path(".codex").exists())

    def test_a_broken_template_of_one_agent_does_not_stop_another(self):
        self.h.put(f"{USER}/zzz/agent.toml", "format = 1\nnonsense\n")
        self.ok(self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        result = self.h.run("templates", "list")
        self.says(result, "zzz")
        self.says(result, "codex")

    def test_a_folder_without_agent_toml(self):
        self.h.path(f"{USER}/codex").mkdir(parents=True)
        result = self.h.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes")
        if result.code != 0:
            self.says(result, "agent.toml", where="err")

    def test_a_value_of_the_user_can_not_break_out_of_a_document(self):
        self.fifth()
        name = 'x"\nevil = "1'
        result = self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes", f"--model={name}")
        self.assertEqual(result.code, 2, f"\n{result}")
        name = "{{token}}"
        result = self.h.run("setup", "myagent", "--workspace", WORKSPACE, "--auth", "env", "--yes", f"--model={name}", env={"DATABRICKS_TOKEN": PAT})
        if result.code == 0:
            self.assertEqual(readers.toml(self.h.read(".myagent/config.toml"))["model"], name)


if __name__ == "__main__":
    main()
