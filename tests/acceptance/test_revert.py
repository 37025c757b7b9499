"""revert: byte for byte directly after setup; by key when somebody wrote in between."""

import json
import os
from pathlib import Path

import readers
from cases import CASES
from edits import as_claude_writes, as_codex_writes, edits, parses
from harness import GATEWAY, PAT, WORKSPACE, Test, byte_diff, each, main
from test_setup import setup_args, setup_env
from wants import FORMS, wants

EACH_FORM = [(f"{case.label}_{form}", (case, form)) for case in CASES for form in FORMS[case.agent]]
# One form for each file, in turn: what happens to the user's own edits does not depend on the form.
ONE_FORM = [(case.label, (case, FORMS[case.agent][i % len(FORMS[case.agent])])) for i, case in enumerate(CASES)]
# A value that setup wrote and somebody changes afterwards.
OURS = {"toml": (GATEWAY + "/openai/v1", "https://mine.example.net/v1"),
        "json": (GATEWAY + "/anthropic", "https://mine.example.net/anthropic"),
        "dotenv": (GATEWAY + "/gemini", "https://mine.example.net/gemini"),
        "jsonc": ("gemini-api-key", "cloud-shell")}


class Base(Test):
    def configured(self, case, form, home=None):
        home = home or self.h
        home.put(case.rel, case.data)
        before = home.snapshot()
        self.ok(home.run(*setup_args(case.agent, form, "--yes"), env=setup_env(form)))
        return before


@each(EACH_FORM, "directly")
class Directly(Base):
    def check_directly(self, case_form):
        case, form = case_form
        before = self.configured(case, form)
        result = self.ok(self.h.run("revert", case.agent))
        self.same_snapshot(self.h.snapshot(), before, "revert directly after setup gives everything back", result)
        self.assertNotIn(PAT.encode(), self.h.state_bytes())
        again = self.h.run("revert", case.agent)
        self.same_snapshot(self.h.snapshot(), before, "a second revert changes nothing", again)


@each([(case.label, case) for case in CASES], "forms")
class Forms(Base):
    def check_forms(self, case):
        """One form after another, with another model, then revert: the original."""
        before = self.configured(case, FORMS[case.agent][-1])
        for form in FORMS[case.agent]:
            self.ok(self.h.run(*setup_args(case.agent, form, "--yes", "--model", f"databricks-model-of-{form}"), env=setup_env(form)))
            for want in wants(case.agent, form, {case.rel: case.data}):
                if want.must or want.gone:
                    self.assertTrue(parses(want.fmt, self.h.read(want.rel)), f"{want.rel} after --auth {form}")
            if form != "pat":
                for path, (_, _, data) in self.h.snapshot().items():
                    self.assertNotIn(PAT.encode(), data, f"{path}: the token of --auth pat is left after --auth {form}")
        result = self.ok(self.h.run("revert", case.agent))
        self.same_snapshot(self.h.snapshot(), before, "setup in every form, then revert", result)


@each(ONE_FORM, "edited")
class Edited(Base):
    def check_edited(self, case_form):
        """Each edit alone and all together: revert keeps them and takes back only what is ours."""
        case, form = case_form
        self.configured(case, form)
        current = self.h.read(case.rel)
        mode = 0o600 if PAT.encode() in current else 0o644
        possible = edits(case.fmt, case.data, current)
        faults = []
        together = lambda data: apply_all(possible, data)
        for what, edit in possible + [("all edits together", together)]:
            home = self.fresh()
            self.configured(case, form, home)
            home.put(case.rel, edit(current), mode=mode)
            result = self.ok(home.run("revert", case.agent))
            got, want = home.read(case.rel), edit(case.data)
            if got != want and not (edit is together and same_but_for_order(case.fmt, got, want)):
                faults.append(f"somebody {what}\n{byte_diff(want, got, 'the original with that edit', 'after revert')}\n{result}")
            elif home.mode(case.rel) != 0o644:
                faults.append(f"somebody {what}: the mode is {home.mode(case.rel):o} after revert")
            left = {p for p, e in home.snapshot().items() if e[0] == "file"}
            if left != {case.rel}:
                faults.append(f"somebody {what}: files after revert: {sorted(left)}")
            home.close()
        if faults:
            self.fail(f"{len(faults)} of {len(possible) + 1} edits:\n" + "\n".join(faults))


def same_but_for_order(fmt, got, want):
    """When both neighbours of a key changed too, its place is anybody's guess: the values and the lines must still be the same."""
    lines = lambda data: sorted(line for line in data.split(b"\n") if line.strip())
    read = {"toml": readers.toml, "json": readers.strict_json, "jsonc": readers.commented_json, "dotenv": readers.dotenv}[fmt]
    return lines(got) == lines(want) and read(got) == read(want)


def apply_all(possible, data):
    for _, edit in possible:
        data = edit(data)
    return data


@each(ONE_FORM, "rewritten")
class Rewritten(Base):
    def check_rewritten(self, case_form):
        """The agent itself wrote the file again: revert works by key and says that the bytes had changed."""
        case, form = case_form
        self.configured(case, form)
        rel = case.rel
        current = self.h.read(rel)
        if case.fmt == "toml":
            changed, want = as_codex_writes(current), as_codex_writes(case.data)
            if changed == current:
                self.skipTest("Codex would keep every byte of this one")
            self.h.put(rel, changed, mode=0o600)
            result = self.ok(self.h.run("revert", case.agent))
            self.same_bytes(self.h.read(rel), want, "CRLF and byte-order mark were dropped in between", result)
        elif case.fmt == "json":
            if as_claude_writes(current) == current:
                self.skipTest("Claude Code would keep every byte of this one")
            self.h.put(rel, as_claude_writes(current), mode=self.h.mode(rel))
            result = self.ok(self.h.run("revert", case.agent))
            got, want = json.loads(self.h.read(rel)), json.loads(as_claude_writes(case.data))
            self.assertEqual(got, want, f"\n{byte_diff(as_claude_writes(current), self.h.read(rel))}\n{result}")
            self.same_bytes(self.h.read(rel), self.h.read(rel).replace(b"\r", b""), "LF stays LF", result)
        elif case.fmt == "jsonc":
            value = readers.commented_json(current)
            self.h.put(rel, json.dumps(json.loads(readers.strip_comments(current.decode())), indent=3).encode(), mode=self.h.mode(rel))
            result = self.ok(self.h.run("revert", case.agent))
            self.assertEqual(clean(readers.commented_json(self.h.read(rel))), clean(readers.commented_json(case.data)),
                             f"{value}\n{result}")
        else:
            self.skipTest("no agent writes this file")
        self.says(result, "change")


def clean(value):
    """Without empty objects: a container that somebody wrote again may stay behind empty."""
    if isinstance(value, dict):
        return {k: clean(v) for k, v in value.items() if clean(v) != {}}
    return value


@each(ONE_FORM, "taken")
class Taken(Base):
    def check_taken(self, case_form):
        """Somebody changed one of our keys: revert leaves it and says so; --force takes it."""
        case, form = case_form
        if case.file.startswith("codex-env"):
            self.skipTest("covered by config.toml")
        mine, theirs = OURS[case.fmt]
        before = self.configured(case, form)
        current = self.h.read(case.rel)
        if mine.encode() in case.data:
            self.skipTest("the value stood there before")
        spelled = mine.encode() if current.count(mine.encode()) else mine.replace("/", "\\/").encode()
        self.assertEqual(current.count(spelled), 1, "our value stands once in the file")
        mode = self.h.mode(case.rel)
        changed = current.replace(spelled, theirs.encode())
        self.h.put(case.rel, changed, mode=mode)
        want = next(w for w in wants(case.agent, form, {case.rel: case.data}) if w.rel == case.rel)
        path = next(p for p, v in want.must.items() if v == mine)

        result = self.ok(self.h.run("revert", case.agent))
        self.says(result, path[-1])
        flat = want.flat(self.h.read(case.rel))
        self.assertEqual(flat.pop(path, None), theirs, f"{path} belongs to somebody else now\n{result}")
        original = want.flat(case.data)
        original.pop(path, None)
        self.assertEqual(flat, original, f"every other key is back\n{result}")

        self.h.close()
        self.h = self.fresh()
        self.configured(case, form)
        self.h.put(case.rel, changed, mode=mode)
        result = self.ok(self.h.run("revert", case.agent, "--force"))
        self.same_snapshot(self.h.snapshot(), before, "revert --force takes it all back", result)


class Other(Base):
    def test_force_takes_what_a_first_revert_left(self):
        """The first revert says that --force takes the key back: then it must."""
        original = b'model = "gpt-5.5"\n'
        self.h.put(".codex/config.toml", original)
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.h.put(".codex/config.toml", self.h.read(".codex/config.toml").replace(b"databricks-gpt-5-2", b"gpt-6-sol"))
        self.says(self.ok(self.h.run("revert", "codex")), "model", "--force")
        self.assertEqual(readers.toml(self.h.read(".codex/config.toml")), {"model": "gpt-6-sol"})
        self.ok(self.h.run("revert", "codex", "--force"))
        self.same_bytes(self.h.read(".codex/config.toml"), original, "revert --force after revert")

    def test_revert_without_setup_says_so(self):
        self.h.put(".codex/config.toml", "[tui]\n")
        before = self.h.snapshot()
        result = self.ok(self.h.run("revert", "codex"))
        self.says(result, ("nothing", "not set up", "no setup", "not configured"))
        self.same_snapshot(self.h.snapshot(), before, "revert without setup", result)
        self.ok(self.h.run("revert", "--all"))
        self.same_snapshot(self.h.snapshot(), before, "revert --all without setup")

    def test_revert_of_one_agent_leaves_the_others(self):
        self.ok(self.h.run("setup", "codex", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        kept = self.h.read(".claude/settings.json")
        self.ok(self.h.run("revert", "codex"))
        self.assertFalse(self.h.path(".codex").exists())
        self.same_bytes(self.h.read(".claude/settings.json"), kept, "the other agent's file")
        self.ok(self.h.run("revert", "--all"))
        self.assertEqual(self.h.snapshot(), {})

    def test_a_created_file_that_somebody_else_uses_stays(self):
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        data = self.h.read(".codex/config.toml")
        self.h.put(".codex/config.toml", data + b'\n[projects."/home/ana"]\ntrust_level = "trusted"\n')
        self.h.put(".codex/history.jsonl", "{}\n")
        result = self.ok(self.h.run("revert", "codex"))
        self.assertEqual(readers.toml(self.h.read(".codex/config.toml")), {"projects": {"/home/ana": {"trust_level": "trusted"}}}, f"\n{result}")
        self.assertTrue(self.h.path(".codex/history.jsonl").exists())

    def test_a_created_folder_that_somebody_else_uses_stays(self):
        self.ok(self.h.run(*setup_args("gemini", "env", "--yes")))
        self.h.put(".gemini/trustedFolders.json", "{}")
        self.ok(self.h.run("revert", "gemini"))
        self.assertEqual(set(self.h.snapshot()), {".gemini", ".gemini/trustedFolders.json"})

    def test_a_created_table_that_somebody_else_uses_stays(self):
        original = b'[tui]\ntheme = "x"\n'
        self.h.put(".codex/config.toml", original)
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        data = self.h.read(".codex/config.toml")
        self.h.put(".codex/config.toml", data.replace(b'wire_api = "responses"', b'wire_api = "responses"\nrequest_max_retries = 9'))
        self.ok(self.h.run("revert", "codex"))
        self.assertEqual(readers.toml(self.h.read(".codex/config.toml")),
                         {"tui": {"theme": "x"}, "model_providers": {"databricks": {"request_max_retries": 9}}})

    def test_a_file_that_somebody_deleted_stays_away(self):
        self.h.put(".claude/settings.json", "{}\n")
        self.ok(self.h.run(*setup_args("claude", "env", "--yes")))
        self.h.path(".claude/settings.json").unlink()
        result = self.h.run("revert", "claude")
        self.assertIn(result.code, (0, 1), f"\n{result}")
        self.assertNotIn("terminate", result.err)

    def test_a_file_that_does_not_parse_any_more_is_left(self):
        self.h.put(".claude/settings.json", '{"env": {"A": "1"}}\n')
        self.ok(self.h.run(*setup_args("claude", "env", "--yes")))
        broken = self.h.read(".claude/settings.json")[:-4] + b", // oops\n"
        self.h.put(".claude/settings.json", broken)
        result = self.h.run("revert", "claude")
        self.is_error(result, 3, "settings.json", "line")
        self.same_bytes(self.h.read(".claude/settings.json"), broken, "a broken file")

    def test_the_own_entries_of_an_array_go_and_others_stay(self):
        self.h.put(".gemini/settings.json", '{\n  "modelConfigs": {\n    "customOverrides": [\n      {"match": {"model": "a"}, "modelConfig": {"model": "b"}}\n    ]\n  }\n}\n')
        self.ok(self.h.run(*setup_args("gemini", "env", "--yes")))
        data = json.loads(self.h.read(".gemini/settings.json"))
        data["modelConfigs"]["customOverrides"].append({"match": {"model": "c"}, "modelConfig": {"model": "d"}})
        self.h.put(".gemini/settings.json", json.dumps(data, indent=2))
        self.ok(self.h.run("revert", "gemini"))
        self.assertEqual(json.loads(self.h.read(".gemini/settings.json")), {"modelConfigs": {"customOverrides": [
            {"match": {"model": "a"}, "modelConfig": {"model": "b"}}, {"match": {"model": "c"}, "modelConfig": {"model": "d"}}]}})

    def test_an_old_token_comes_back_with_revert(self):
        original = b'{\n  "env": {\n    "ANTHROPIC_AUTH_TOKEN": "sk-ant-old-token-000000000000",\n    "A": "1"\n  }\n}\n'
        self.h.put(".claude/settings.json", original)
        result = self.ok(self.h.run(*setup_args("claude", "helper", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
        env = readers.strict_json(self.h.read(".claude/settings.json"))["env"]
        self.assertEqual(env.get("ANTHROPIC_AUTH_TOKEN", ""), "", f"\n{result}")
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(".claude/settings.json"), original, "revert")

    def test_list_shows_at_most_ten_backups_of_a_file_and_no_secret(self):
        self.h.put(".claude/settings.json", '{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-ant-old-token-000000000000"}}\n')
        for number in range(13):
            self.ok(self.h.run(*setup_args("claude", "env", "--yes", "--model", f"databricks-claude-opus-{number}")))
        result = self.ok(self.h.run("revert", "--list"))
        self.says(result, "settings.json", where="out")
        document = json.loads(self.ok(self.h.run("revert", "--list", "--json")).out)
        self.assertIsInstance(document, (dict, list))
        copies = [n for folder, _, names in os.walk(self.h.state) for n in names if b'"env"' in Path(folder, n).read_bytes()]
        self.assertLessEqual(len(copies), 10 + 2, f"the last 10 backups: {copies}")
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(".claude/settings.json"), b'{"env": {"ANTHROPIC_AUTH_TOKEN": "sk-ant-old-token-000000000000"}}\n', "after 13 setups")

    def test_revert_restores_the_mode(self):
        for mode in (0o644, 0o640, 0o600, 0o664):
            home = self.fresh()
            home.put(".claude/settings.json", "{}\n", mode=mode)
            self.ok(home.run(*setup_args("claude", "pat", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
            self.assertEqual(home.mode(".claude/settings.json"), 0o600)
            self.ok(home.run("revert", "claude"))
            self.assertEqual(home.mode(".claude/settings.json"), mode)

    def test_the_mode_comes_back_when_the_token_goes(self):
        self.h.put(".claude/settings.json", "{}\n", mode=0o644)
        self.ok(self.h.run(*setup_args("claude", "pat", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
        self.ok(self.h.run(*setup_args("claude", "helper", "--yes")))
        self.ok(self.h.run("revert", "claude"))
        self.assertEqual((self.h.read(".claude/settings.json"), self.h.mode(".claude/settings.json")), (b"{}\n", 0o644))

    def test_the_gateway_never_stays_without_its_credential(self):
        """Claude Code would send a stored login's token to a base URL that stands alone."""
        self.ok(self.h.run(*setup_args("claude", "pat", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
        data = json.loads(self.h.read(".claude/settings.json"))
        data["env"]["ANTHROPIC_MODEL"] = "mine"
        self.h.put(".claude/settings.json", json.dumps(data), mode=0o600)
        self.ok(self.h.run("revert", "claude"))
        env = json.loads(self.h.read(".claude/settings.json"))["env"]
        self.assertEqual(env, {"ANTHROPIC_MODEL": "mine"})

    def test_setup_after_revert_works_again(self):
        case = CASES[0]
        for _ in range(3):
            before = self.configured(case, "helper")
            self.ok(self.h.run("revert", "codex"))
            self.same_snapshot(self.h.snapshot(), before, "round after round")

    def test_a_foreign_edit_between_two_setups_survives(self):
        """The first setup's journal counts, not the state between the two."""
        self.h.put(".codex/config.toml", 'model = "gpt-5.5"\n\n[tui]\ntheme = "x"\n')
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.h.put(".codex/config.toml", self.h.read(".codex/config.toml").replace(b'theme = "x"', b'theme = "y"'))
        self.ok(self.h.run(*setup_args("codex", "helper", "--yes")))
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(".codex/config.toml"), b'model = "gpt-5.5"\n\n[tui]\ntheme = "y"\n', "revert")

    def test_a_value_that_was_ours_already_is_not_taken(self):
        """What stood there before setup, with the very value, is the user's."""
        original = b'model = "databricks-gpt-5-2"\nmodel_provider = "databricks"\n'
        self.h.put(".codex/config.toml", original)
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.h.put(".codex/config.toml", self.h.read(".codex/config.toml") + b"\n[tui]\n")
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(".codex/config.toml"), original + b"\n[tui]\n", "revert")

    def test_dry_run_of_revert_where_it_exists(self):
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        before = self.h.snapshot(with_state=True)
        result = self.h.run("revert", "codex", "--dry-run")
        self.assertIn(result.code, (0, 2), f"\n{result}")
        self.same_snapshot(self.h.snapshot(with_state=True), before, "revert --dry-run", result)


if __name__ == "__main__":
    main()
