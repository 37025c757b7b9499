"""setup on every user file and every form of credential: only our keys differ, and a second setup changes nothing."""

import difflib
import os
import re
import subprocess

import readers
from cases import CASES
from harness import GATEWAY, PAT, WORKSPACE, Test, binary, byte_diff, each, main
from unified import apply_diff, diff_of, maskable
from wants import FORMS, OWN_LINE, STRUCTURE, Check, wants


def setup_args(agent, form, *more):
    return ["setup", agent, "--workspace", WORKSPACE, "--auth", form, *more]


def setup_env(form):
    return {"DATABRICKS_TOKEN": PAT} if form in ("pat", "helper") else {}


ALL = [(f"{case.label}_{form}", (case, form)) for case in CASES for form in FORMS[case.agent]]


@each(ALL, "setup")
class Setup(Test):
    def check_setup(self, case_form):
        case, form = case_form
        self.h.put(case.rel, case.data)
        before = {case.rel: case.data}
        at_first = self.h.snapshot(with_state=True)

        self.check_only(case, form, at_first)
        diff = self.ok(self.h.run(*setup_args(case.agent, form, "--dry-run"), env=setup_env(form)))
        self.same_snapshot(self.h.snapshot(with_state=True), at_first, "--dry-run wrote something", diff)

        result = self.ok(self.h.run(*setup_args(case.agent, form, "--yes"), env=setup_env(form)))
        after = self.h.snapshot()
        expected_files = set(before) | {w.rel for w in wants(case.agent, form, before) if w.must}
        self.assertEqual({p for p, e in after.items() if e[0] == "file"}, expected_files, f"files under HOME\n{result}")
        for want in wants(case.agent, form, before):
            old, new = before.get(want.rel), after[want.rel][2]
            self.check_values(want, old, new, result)
            if old is not None:
                self.check_lines(case, want, old, new)
                self.check_ends(case, old, new)
            self.check_mode(want, form, old, after[want.rel][1])
        self.check_diff(diff, before, after)
        self.check_no_secret_kept()

        stamp = {p: (os.lstat(self.h.path(p)).st_mtime_ns, os.lstat(self.h.path(p)).st_ino) for p in after}
        again = self.ok(self.h.run(*setup_args(case.agent, form, "--yes"), env=setup_env(form)))
        self.same_snapshot(self.h.snapshot(), after, "a second setup changed something", again)
        self.assertEqual(stamp, {p: (os.lstat(self.h.path(p)).st_mtime_ns, os.lstat(self.h.path(p)).st_ino) for p in after},
                         f"a second setup wrote a file again\n{again}")
        self.ok(self.h.run(*setup_args(case.agent, form, "--check"), env=setup_env(form)), 0)

    def check_only(self, case, form, at_first):
        """--check writes nothing and answers 10."""
        result = self.ok(self.h.run(*setup_args(case.agent, form, "--check"), env=setup_env(form)), 10)
        self.same_snapshot(self.h.snapshot(with_state=True), at_first, "--check wrote something", result)

    def check_values(self, want, old, new, result):
        """Our keys have their values, every other value, its spelling and its order are as before."""
        try:
            flat = want.flat(new)
        except Exception as fault:
            self.fail(f"{want.rel} does not parse any more: {fault}\n{new.decode(errors='replace')}\n{result}")
        for path, value in want.must.items():
            name = ".".join(path)
            self.assertIn(path, flat, f"{want.rel}: {name} is missing\n{new.decode()}")
            if isinstance(value, Check):
                self.assertTrue(value.rule(flat[path]), f"{want.rel}: {name} = {flat[path]!r}, wanted {value}")
            else:
                self.assertEqual(flat[path], value, f"{want.rel}: {name}")
        for path in want.gone:
            left = [p for p in flat if p[: len(path)] == path]
            self.assertFalse(left, f"{want.rel}: {left} should be gone\n{new.decode()}")
        others = readers.without(flat, want.owned)
        old_others = readers.without(want.flat(old), want.owned) if old is not None else {}
        self.assertEqual(others, old_others, f"{want.rel}: keys that are not ours")
        if old is None:
            return
        if want.fmt in ("json", "jsonc"):
            old_spelling, old_comments = readers.json_spelling(old)
            spelling, comments = readers.json_spelling(new)
            mine = lambda path: any(path[: len(p)] == p for p in want.owned)
            self.assertEqual([s for s in spelling if not mine(s[0])], [s for s in old_spelling if not mine(s[0])],
                             f"{want.rel}: order or spelling of members that are not ours")
            self.assertEqual(comments, old_comments, f"{want.rel}: comments")
        if want.fmt == "dotenv":
            self.assertEqual(drop_last(readers.dotenv_pairs(new), want), drop_last(readers.dotenv_pairs(old), want),
                             f"{want.rel}: lines that are not ours, earlier duplicates included")

    def check_lines(self, case, want, old, new):
        """Every line that went away is one of ours or named in the index; the same for every line that came."""
        if not old:
            return
        own = OWN_LINE[want.fmt]
        old_lines, new_lines = old.split(b"\n"), new.split(b"\n")
        matcher = difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False)
        faults = []
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag == "equal":
                continue
            gone, come = old_lines[a:b], new_lines[c:d]
            for line in gone:
                with_comma = line.rstrip(b"\r") + b"," + (b"\r" if line.endswith(b"\r") else b"")
                without_cr = line.rstrip(b"\r")
                if own.search(line) or not line.strip() or any(re.search(t, line) for t in case.touch):
                    continue
                if want.fmt.startswith("json") and (with_comma in come or STRUCTURE.match(line) and without_cr + b"," in come):
                    continue
                if b == len(old_lines) and not old.endswith(b"\n") and (line + b"\r" in come or line in come):
                    continue  # the last line had no end; it got one
                faults.append(b"gone: " + line)
            for line in come:
                plain = line.rstrip(b"\r")
                if own.search(line) or STRUCTURE.match(plain):
                    continue
                if plain in [g.rstrip(b"\r") for g in gone] or plain.rstrip(b",") in [g.rstrip(b"\r") for g in gone]:
                    continue
                if any(re.search(t, g) for g in gone for t in case.touch):
                    continue
                faults.append(b"came: " + line)
        if faults:
            self.fail(f"{case.file}: lines beside ours were touched:\n" + "\n".join(f.decode(errors="replace") for f in faults)
                      + "\n" + byte_diff(old, new))

    def check_ends(self, case, old, new):
        """Line ends, byte-order mark, final newline; the indentation and the place of what is new."""
        shown = byte_diff(old, new)
        self.assertEqual(new.startswith(b"\xef\xbb\xbf"), old.startswith(b"\xef\xbb\xbf"), f"byte-order mark\n{shown}")
        if old.strip():
            self.assertEqual(new.endswith(b"\n"), old.endswith(b"\n"), f"final newline\n{shown}")
        if case.ends == b"\r\n":
            self.assertEqual(new.count(b"\n"), new.count(b"\r\n"), f"a line of ours ends in LF in a CRLF file\n{shown}")
        elif case.ends == b"\n":
            self.assertNotIn(b"\r", new, shown)
        if case.indent:
            for line in new.split(b"\n"):
                if re.match(rb'\s*"ANTHROPIC_BASE_URL"', line):
                    self.assertEqual(re.match(rb"\s*", line).group(), case.indent, f"indentation\n{shown}")
        if case.after:
            place = new.index(b"[model_providers.databricks]")
            self.assertLess(new.index(case.after), place, f"the table belongs after its siblings\n{shown}")
            if case.before:
                self.assertLess(place, new.index(case.before), f"the table belongs beside its siblings\n{shown}")

    def check_mode(self, want, form, old, mode):
        if PAT.encode() in self.h.read(want.rel):
            self.assertEqual(mode, 0o600, f"{want.rel} holds a token")
        elif old is not None:
            self.assertEqual(mode, 0o644, f"{want.rel} holds no token: its mode stays")
        else:
            self.assertEqual(mode & 0o077 & ~0o044, 0, f"{want.rel} is new: nobody else may write it")

    def check_diff(self, diff, before, after):
        """The diff of the dry run is the change that setup makes."""
        for rel, (kind, _, new) in after.items():
            if kind != "file" or new == before.get(rel):
                continue
            section = diff_of(diff.out, rel)
            self.assertIsNotNone(section, f"the dry run shows no diff of {rel}\n{diff}")
            made, fault = apply_diff(before.get(rel, b""), section, blanked=b"PRIVATE_KEY" in before.get(rel, b""))
            self.assertIsNone(fault, f"the diff of {rel} can not be applied: {fault}\n{diff}")
            for made_line, line in zip(made.split(b"\n"), new.split(b"\n")):
                if made_line != line and not maskable(line):
                    self.fail(f"the dry run's diff of {rel} gives another result\n{byte_diff(new, made, 'setup', 'diff applied')}\n{diff}")
            self.assertEqual(made.count(b"\n"), new.count(b"\n"), f"{rel}\n{byte_diff(new, made, 'setup', 'diff applied')}\n{diff}")

    def check_no_secret_kept(self):
        kept = self.h.state_bytes()
        self.assertTrue(kept, "the journal is somewhere in the state directory")
        self.assertNotIn(PAT.encode(), kept, "the journal or a backup holds the token that we wrote")
        self.assertNotIn(PAT.encode().hex().encode(), kept)
        for folder, folders, names in os.walk(self.h.state):
            self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700, folder)
            for name in names:
                self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, 0o600, name)


def drop_last(pairs, want):
    """The assignments without the last one of each of our keys."""
    left = list(pairs)
    for (key,) in want.owned:
        for index in range(len(left) - 1, -1, -1):
            if left[index][0] == key:
                del left[index]
                break
    return left


class Fresh(Test):
    """On a machine without any configuration, setup writes our keys and nothing else."""

    def fresh_setup(self, agent, form, *more, env=None, **wanted):
        result = self.ok(self.h.run(*setup_args(agent, form, "--yes", *more), env={**setup_env(form), **(env or {})}))
        snapshot = self.h.snapshot()
        for want in wants(agent, form, {}, **wanted):
            if not want.must:
                continue
            self.assertIn(want.rel, snapshot, f"\n{result}")
            kind, mode, data = snapshot[want.rel]
            flat = want.flat(data)
            for path, value in want.must.items():
                self.assertIn(path, flat, f"{want.rel}\n{data.decode()}")
                if isinstance(value, Check):
                    self.assertTrue(value.rule(flat[path]), f"{path} = {flat[path]!r}, wanted {value}")
                else:
                    self.assertEqual(flat[path], value, f"{want.rel}: {path}")
            self.assertEqual(readers.without(flat, want.owned), {}, f"{want.rel}: keys nobody asked for")
            self.assertTrue(data.endswith(b"\n"))
            if want.fmt == "json":
                self.assertIsInstance(readers.strict_json(data), dict)
        return result, snapshot

    def test_codex_helper(self):
        self.fresh_setup("codex", "helper")

    def test_codex_pat(self):
        _, snapshot = self.fresh_setup("codex", "pat")
        self.assertEqual(snapshot[".codex/.env"][1], 0o600)
        self.assertNotIn(PAT.encode(), snapshot[".codex/config.toml"][2])

    def test_codex_env(self):
        result, snapshot = self.fresh_setup("codex", "env")
        self.says(result, "DATABRICKS_TOKEN")
        self.assertNotIn(".codex/.env", snapshot)

    def test_claude_helper(self):
        self.fresh_setup("claude", "helper")

    def test_claude_pat(self):
        _, snapshot = self.fresh_setup("claude", "pat")
        self.assertEqual(snapshot[".claude/settings.json"][1], 0o600)

    def test_claude_env(self):
        result, _ = self.fresh_setup("claude", "env")
        self.says(result, "ANTHROPIC_AUTH_TOKEN")

    def test_gemini_pat(self):
        _, snapshot = self.fresh_setup("gemini", "pat")
        self.assertEqual(snapshot[".gemini/.env"][1], 0o600)
        self.assertIn(b'GEMINI_API_KEY_AUTH_MECHANISM="bearer"', snapshot[".gemini/.env"][2])
        self.assertNotIn(PAT.encode(), snapshot[".gemini/settings.json"][2])

    def test_gemini_env(self):
        result, snapshot = self.fresh_setup("gemini", "env")
        self.says(result, "GEMINI_API_KEY")
        self.assertNotIn("GEMINI_API_KEY", readers.dotenv(snapshot[".gemini/.env"][2]))

    def test_gemini_never_trusts_a_folder_and_says_what_to_do(self):
        result, snapshot = self.fresh_setup("gemini", "pat")
        self.assertNotIn(".gemini/trustedFolders.json", snapshot)
        self.assertNotIn(b"folderTrust", snapshot[".gemini/settings.json"][2])
        self.says(result, "trust")

    def test_env_ignores_a_token_that_is_there(self):
        for agent in FORMS:
            home = self.fresh()
            self.ok(home.run(*setup_args(agent, "env", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
            for rel, (kind, _, data) in home.snapshot(with_state=True).items():
                self.assertNotIn(PAT.encode(), data, rel)

    def test_betas_on_leaves_the_variable_out(self):
        self.fresh_setup("claude", "helper", "--claude-betas", "on", betas=True)
        self.ok(self.h.run(*setup_args("claude", "helper", "--claude-betas", "off", "--yes")))
        self.assertIn(b"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", self.h.read(".claude/settings.json"))
        self.ok(self.h.run(*setup_args("claude", "helper", "--claude-betas", "on", "--yes")))
        self.assertNotIn(b"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", self.h.read(".claude/settings.json"))

    def test_a_model_of_claude_sets_its_own_family(self):
        self.fresh_setup("claude", "helper", "--model", "databricks-claude-sonnet-4-6", model="databricks-claude-sonnet-4-6")

    def test_both_spellings_of_a_model_are_written_as_given(self):
        for agent, model in (("codex", "system.ai.gpt-5-5"), ("claude", "system.ai.claude-haiku-5"), ("gemini", "system.ai.gemini-3-1-pro")):
            self.h.close()
            self.h = self.fresh()
            self.fresh_setup(agent, "env", "--model", model, model=model)

    def test_a_gateway_is_used_as_it_is(self):
        gateway = "https://1234567890123456.ai-gateway.cloud.databricks.com"
        for agent in FORMS:
            home = self.fresh()
            self.ok(home.run("setup", agent, "--gateway", gateway, "--auth", "env", "--yes"))
            for want in wants(agent, "env", {}, gateway=gateway):
                if want.must:
                    flat = want.flat(home.read(want.rel))
                    for path, value in want.must.items():
                        if isinstance(value, str):
                            self.assertEqual(flat[path], value)

    def test_a_token_without_a_host_is_enough_with_a_gateway(self):
        gateway = "https://1234567890123456.ai-gateway.cloud.databricks.com"
        self.ok(self.h.run("setup", "claude", "--gateway", gateway, "--auth", "pat", "--yes", env={"DATABRICKS_TOKEN": PAT}))
        env = readers.strict_json(self.h.read(".claude/settings.json"))["env"]
        self.assertEqual((env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_AUTH_TOKEN"]), (gateway + "/anthropic", PAT))

    def test_a_gateway_is_remembered(self):
        gateway = "https://1234567890123456.ai-gateway.cloud.databricks.com"
        self.ok(self.h.run("setup", "codex", "--gateway", gateway, "--auth", "env", "--yes"))
        self.ok(self.h.run("setup", "claude", "--auth", "env", "--yes"))
        self.assertIn(gateway.encode() + b"/anthropic", self.h.read(".claude/settings.json"))
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.assertIn(GATEWAY.encode() + b"/anthropic", self.h.read(".claude/settings.json"), "a workspace of the flag is stronger than a remembered gateway")

    def test_no_proxy_is_written_for_a_loopback_gateway_only(self):
        local = "http://127.0.0.1:8790"
        self.ok(self.h.run("setup", "claude", "--gateway", local, "--auth", "env", "--yes"))
        env = readers.strict_json(self.h.read(".claude/settings.json"))["env"]
        self.assertIn("127.0.0.1", env["NO_PROXY"])
        self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--yes"))
        self.assertNotIn("NO_PROXY", readers.strict_json(self.h.read(".claude/settings.json"))["env"],
                         "the entry belongs to the loopback URL and goes with it")

    def test_no_proxy_is_merged_by_entry_and_taken_back_by_entry(self):
        original = b'{\n  "env": {\n    "NO_PROXY": ".corp.example,localhost"\n  }\n}\n'
        self.h.put(".claude/settings.json", original)
        self.ok(self.h.run("setup", "claude", "--gateway", "http://127.0.0.1:8790", "--auth", "env", "--yes"))
        value = readers.strict_json(self.h.read(".claude/settings.json"))["env"]["NO_PROXY"]
        self.assertTrue(value.startswith(".corp.example,localhost"), value)
        self.assertIn("127.0.0.1", value.split(","))
        edited = self.h.read(".claude/settings.json").replace(value.encode(), value.encode() + b",.more.example")
        self.h.put(".claude/settings.json", edited)
        self.ok(self.h.run("revert", "claude"))
        self.assertEqual(readers.strict_json(self.h.read(".claude/settings.json")),
                         {"env": {"NO_PROXY": ".corp.example,localhost,.more.example"}})

    def test_custom_headers_are_taken_back_by_line(self):
        self.h.put(".claude/settings.json", '{\n  "env": {\n    "ANTHROPIC_CUSTOM_HEADERS": "X-A: 1"\n  }\n}\n')
        self.ok(self.h.run(*setup_args("claude", "env", "--yes")))
        data = self.h.read(".claude/settings.json")
        value = readers.strict_json(data)["env"]["ANTHROPIC_CUSTOM_HEADERS"]
        escaped = value.replace("\n", "\\n").encode()
        self.h.put(".claude/settings.json", data.replace(escaped, escaped + b"\\nX-B: 2"))
        self.ok(self.h.run("revert", "claude"))
        self.assertEqual(readers.strict_json(self.h.read(".claude/settings.json")),
                         {"env": {"ANTHROPIC_CUSTOM_HEADERS": "X-A: 1\nX-B: 2"}})

    def test_enforced_type_is_named(self):
        self.h.put(".gemini/settings.json", '{"security": {"auth": {"enforcedType": "vertex-ai"}}}\n')
        result = self.h.run(*setup_args("gemini", "pat", "--yes"), env={"DATABRICKS_TOKEN": PAT})
        self.says(result, "enforcedType")

    def test_the_plan_names_the_profile_that_goes(self):
        self.h.put(".codex/config.toml", 'profile = ""\n\n[profiles.work]\nmodel = "x"\n')
        result = self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.says(result, "profile")
        data = readers.toml(self.h.read(".codex/config.toml"))
        self.assertNotIn("profile", data)
        self.assertEqual(data["profiles"], {"work": {"model": "x"}})
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(".codex/config.toml"), b'profile = ""\n\n[profiles.work]\nmodel = "x"\n', "revert")

    def test_the_plan_says_that_a_mode_changes(self):
        self.h.put(".claude/settings.json", "{}\n", mode=0o644)
        result = self.ok(self.h.run(*setup_args("claude", "pat", "--yes"), env={"DATABRICKS_TOKEN": PAT}))
        self.says(result, "600")
        self.assertNotIn("****", result.err, f"our own sentence is masked\n{result}")

    def test_auto_takes_the_helper_and_says_why(self):
        for agent in ("codex", "claude"):
            home = self.fresh()
            result = self.ok(home.run("setup", agent, "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
            self.says(result, "helper")
            self.assertIn(b"auth", home.read(".codex/config.toml" if agent == "codex" else ".claude/settings.json"))

    def test_auto_takes_the_token_for_gemini_and_says_why(self):
        result = self.ok(self.h.run("setup", "gemini", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
        self.says(result, "pat")
        self.assertEqual(readers.dotenv(self.h.read(".gemini/.env"))["GEMINI_API_KEY"], PAT)

    def test_auto_for_gemini_without_a_credential_takes_the_proxy(self):
        result = self.ok(self.h.run("setup", "gemini", "--workspace", WORKSPACE, "--yes"))
        self.says(result, "auth proxy", "can't run a command", "DATABRICKS_TOKEN is not set")
        self.assertEqual(readers.dotenv(self.h.read(".gemini/.env"))["GOOGLE_GEMINI_BASE_URL"], "http://127.0.0.1:8790/gemini")

    def test_an_old_codex_gets_no_helper(self):
        """Codex up to 0.100 ignores `auth` silently; the version is read from the package's files."""
        for version, helper in (("0.100.0", False), ("0.117.9", False), ("0.118.0", True), ("0.169.0", True)):
            home = self.fresh()
            package = home.base / "npm/lib/node_modules/@openai/codex"
            (package / "bin").mkdir(parents=True)
            (package / "package.json").write_text('{"name": "@openai/codex", "version": "%s", "bin": {"codex": "bin/codex.js"}}' % version)
            (package / "bin/codex.js").write_text("#!/bin/sh\necho started > \"$HOME/STARTED\"\n")
            (package / "bin/codex.js").chmod(0o755)
            (home.base / "npm/bin").mkdir()
            (home.base / "npm/bin/codex").symlink_to("../lib/node_modules/@openai/codex/bin/codex.js")
            env = {"DATABRICKS_TOKEN": PAT, "PATH": f"{home.base}/npm/bin:/usr/bin:/bin"}
            result = self.ok(home.run("setup", "codex", "--workspace", WORKSPACE, "--yes", env=env))
            provider = readers.toml(home.read(".codex/config.toml"))["model_providers"]["databricks"]
            self.assertEqual("auth" in provider, helper, f"Codex {version}\n{result}")
            self.assertEqual("env_key" in provider, not helper, f"Codex {version}\n{result}")
            self.assertFalse(home.path("STARTED").exists(), "setup started the agent")
            if not helper:
                self.says(result, version)
                refused = home.run("setup", "codex", "--workspace", WORKSPACE, "--auth", "helper", "--yes", env=env)
                self.assertNotEqual(refused.code, 0, f"Codex {version} has no helper\n{refused}")
            status = self.ok(home.run("status", "codex", env=env))
            self.says(status, version)

    def test_helper_for_gemini_is_refused(self):
        before = self.h.snapshot()
        result = self.h.run(*setup_args("gemini", "helper", "--yes"), env={"DATABRICKS_TOKEN": PAT})
        self.assertIn(result.code, (2, 4), f"\n{result}")
        self.says(result, "gemini", "helper")
        self.same_snapshot(self.h.snapshot(), before, "nothing is written", result)

    def test_the_helper_without_a_credential_warns(self):
        for agent in ("codex", "claude"):
            home = self.fresh()
            result = self.ok(home.run(*setup_args(agent, "helper", "--yes")))
            self.says(result, ("warning", "warn"), where="err")
            self.says(result, ("credential", "token"), where="err")

    def test_all_configures_the_four(self):
        result = self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
        for rel in (".codex/config.toml", ".claude/settings.json", ".gemini/.env", ".gemini/settings.json", ".config/dbx-agents/cursor.md"):
            self.assertTrue(self.h.path(rel).is_file(), f"{rel}\n{result}")
        self.says(result, "codex", "claude", "gemini", "cursor")
        at = self.h.snapshot()
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT}))
        self.same_snapshot(self.h.snapshot(), at, "a second setup --all")
        self.ok(self.h.run("setup", "--all", "--workspace", WORKSPACE, "--check", env={"DATABRICKS_TOKEN": PAT}), 0)
        self.ok(self.h.run("revert", "--all"))
        left = [p for p in self.h.snapshot() if not p.startswith(".config")]
        self.assertEqual(left, [], "revert --all leaves nothing")
        self.assertFalse(self.h.path(".config/dbx-agents/cursor.md").exists())

    def test_one_file_that_does_not_parse_stops_all(self):
        self.h.put(".gemini/settings.json", "{ broken")
        before = self.h.kept()
        result = self.h.run("setup", "--all", "--workspace", WORKSPACE, "--yes", env={"DATABRICKS_TOKEN": PAT})
        self.is_error(result, 3, "settings.json")
        self.same_snapshot(self.h.kept(), before, "nothing is written", result)

    def test_what_was_used_is_remembered_below_the_configuration(self):
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.ok(self.h.run("setup", "claude", "--auth", "env", "--yes"))
        self.assertEqual(readers.strict_json(self.h.read(".claude/settings.json"))["env"]["ANTHROPIC_BASE_URL"], GATEWAY + "/anthropic")
        self.h.put(".config/dbx-agents/config.toml", 'workspace = "https://from-config.azuredatabricks.net"\n')
        self.ok(self.h.run("setup", "claude", "--auth", "env", "--yes"))
        self.assertEqual(readers.strict_json(self.h.read(".claude/settings.json"))["env"]["ANTHROPIC_BASE_URL"],
                         "https://from-config.azuredatabricks.net/ai-gateway/anthropic")

    def test_order_of_settings(self):
        """flag, DBX_AGENTS_*, DATABRICKS_*, user configuration, remembered."""

        def base(*args, **env):
            self.ok(self.h.run("setup", "claude", "--auth", "env", "--yes", *args, env=env))
            return readers.strict_json(self.h.read(".claude/settings.json"))["env"]["ANTHROPIC_BASE_URL"].split("/")[2]

        self.h.put(".config/dbx-agents/config.toml", 'workspace = "https://a-config.example.net"\n')
        self.assertEqual(base(), "a-config.example.net")
        self.assertEqual(base(DATABRICKS_HOST="https://b-standard.example.net"), "b-standard.example.net")
        self.assertEqual(base(DATABRICKS_HOST="https://b-standard.example.net", DBX_AGENTS_WORKSPACE="https://c-own.example.net"),
                         "c-own.example.net")
        self.assertEqual(base("--workspace", "https://d-flag.example.net", DATABRICKS_HOST="https://b-standard.example.net",
                              DBX_AGENTS_WORKSPACE="https://c-own.example.net"), "d-flag.example.net")

    def test_models_of_the_configuration(self):
        self.h.put(".config/dbx-agents/config.toml", '[agents.codex]\nmodel = "system.ai.gpt-5-4"\n\n[agents.claude]\nmodel = "databricks-claude-opus-5"\n')
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        self.assertEqual(readers.toml(self.h.read(".codex/config.toml"))["model"], "system.ai.gpt-5-4")
        self.ok(self.h.run(*setup_args("claude", "env", "--yes")))
        self.assertEqual(readers.strict_json(self.h.read(".claude/settings.json"))["env"]["ANTHROPIC_MODEL"], "databricks-claude-opus-5")

    def test_a_configuration_file_of_the_users_choice(self):
        self.h.put("elsewhere.toml", 'workspace = "https://elsewhere.example.net"\n')
        self.ok(self.h.run("setup", "claude", "--auth", "env", "--yes", "--config", str(self.h.path("elsewhere.toml"))))
        self.assertIn(b"elsewhere.example.net", self.h.read(".claude/settings.json"))

    def test_print_shows_the_whole_file_masked(self):
        self.h.put(".claude/settings.json", b'{\n  "verbose": true,\n  "env": {\n    "MY_PASSWORD": "swordfish-1",\n    "EDITOR": "vi"\n  }\n}\n')
        self.h.secrets.append("swordfish-1")
        before = self.h.snapshot(with_state=True)
        result = self.ok(self.h.run(*setup_args("claude", "pat", "--print"), env={"DATABRICKS_TOKEN": PAT}))
        self.assertIn('"verbose": true', result.out)
        self.assertIn('"EDITOR": "vi"', result.out)
        self.assertIn(GATEWAY + "/anthropic", result.out)
        self.assertIn("MY_PASSWORD", result.out)
        self.same_snapshot(self.h.snapshot(with_state=True), before, "--print writes nothing", result)

    def test_patch_understands_the_dry_run(self):
        case = next(c for c in CASES if c.file == "codex/27-indented-tables.toml")
        self.h.put(case.rel, case.data)
        diff = self.ok(self.h.run(*setup_args("codex", "env", "--dry-run")))
        work = self.h.base / "work.toml"
        work.write_bytes(case.data)
        (self.h.base / "change.diff").write_bytes(diff_of(diff.out, case.rel))
        done = subprocess.run(["patch", "--binary", "-s", str(work), str(self.h.base / "change.diff")], capture_output=True)
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}\n{diff}")
        self.ok(self.h.run(*setup_args("codex", "env", "--yes")))
        masked = re.compile(rb"(?m)^\s*env_key.*$")
        self.same_bytes(masked.sub(b"", work.read_bytes()), masked.sub(b"", self.h.read(case.rel)), "patch gives what setup writes")


class Helper(Test):
    """The command that setup writes is the one that works."""

    def link(self, folder):
        place = self.h.base / folder
        place.mkdir(parents=True)
        (place / "dbx-agents").symlink_to(binary())
        return place

    def test_it_is_the_path_on_PATH_with_links_not_resolved(self):
        place = self.link("opt/bin")
        env = {"PATH": f"{place}:/usr/bin:/bin", "DATABRICKS_TOKEN": PAT}
        self.ok(self.h.run(*setup_args("codex", "helper", "--yes"), env=env, exe=str(place / "dbx-agents")))
        auth = readers.toml(self.h.read(".codex/config.toml"))["model_providers"]["databricks"]["auth"]
        self.assertEqual(auth["command"], str(place / "dbx-agents"))

    def test_another_program_of_that_name_on_PATH_is_not_taken(self):
        place = self.h.base / "other"
        place.mkdir()
        (place / "dbx-agents").write_text("#!/bin/sh\necho other\n")
        (place / "dbx-agents").chmod(0o755)
        self.ok(self.h.run(*setup_args("codex", "helper", "--yes"), env={"PATH": f"{place}:/usr/bin:/bin"}))
        auth = readers.toml(self.h.read(".codex/config.toml"))["model_providers"]["databricks"]["auth"]
        self.assertNotEqual(auth["command"], str(place / "dbx-agents"))

    def run_helper(self, agent, env):
        env = {**self.h.env, **env}
        if agent == "codex":
            auth = readers.toml(self.h.read(".codex/config.toml"))["model_providers"]["databricks"]["auth"]
            argv = [auth["command"], *auth["args"]]
        else:
            argv = ["/bin/sh", "-c", readers.strict_json(self.h.read(".claude/settings.json"))["apiKeyHelper"]]
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=20, cwd="/")

    def test_the_written_command_prints_the_token(self):
        for folder in ("plain", "with blank", "it's \"quoted\" $HOME"):
            for agent in ("codex", "claude"):
                self.h.close()
                self.h = self.fresh()
                place = self.link(folder)
                env = {"PATH": f"{place}:/usr/bin:/bin"}
                self.ok(self.h.run(*setup_args(agent, "helper", "--yes"), env=env, exe=str(place / "dbx-agents")))
                done = self.run_helper(agent, {"DATABRICKS_TOKEN": PAT})
                self.assertEqual((done.returncode, done.stdout), (0, PAT + "\n"), f"{agent} in {folder!r}: {done.stderr}")

    def test_the_written_command_takes_the_profile_that_setup_was_given(self):
        other = "dapi" + "0f" * 16
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = {WORKSPACE}\ntoken = {other}\n\n[team]\nhost = {WORKSPACE}\ntoken = {PAT}\n", mode=0o600)
        for agent in ("codex", "claude"):
            self.ok(self.h.run(*setup_args(agent, "helper", "--profile", "team", "--yes")))
            done = self.run_helper(agent, {})
            self.assertEqual((done.returncode, done.stdout), (0, PAT + "\n"), f"{agent}: {done.stderr}")


if __name__ == "__main__":
    main()
