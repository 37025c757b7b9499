"""setup in the proxy form: the agents' files point at the local proxy and hold a local key; rotation; revert."""

import json
import os
import random
import re
import resource
import signal
import stat
import time

import readers
from cases import CASES
from harness import PAT, WORKSPACE, Test, each, main

CODEX, CODEX_ENV, CLAUDE = ".codex/config.toml", ".codex/.env", ".claude/settings.json"
GEMINI, GEMINI_SETTINGS = ".gemini/.env", ".gemini/settings.json"
MAIN = {"codex": CODEX, "gemini": GEMINI, "claude": CLAUDE}
KEY = re.compile(rb"dbxl_[0-9a-f]{64}")
OTHERS = {"codex": ("helper", "pat", "env"), "claude": ("helper", "pat", "env"), "gemini": ("pat", "env")}


def setup(*args):
    return ["setup", *args, "--workspace", WORKSPACE, "--yes"]


def proxy(*args):
    return setup(*args, "--via-proxy")


class Base(Test):
    def keys(self):
        path = self.h.state / "local_keys.json"
        if not path.exists():
            return {}
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        keys = json.loads(path.read_text())["keys"]
        self.h.secrets += [key for key in keys.values() if key not in self.h.secrets]
        return keys

    def in_file(self, agent):
        """The one local key in the agent's file."""
        found = set(KEY.findall(self.h.read(MAIN[agent])))
        self.assertEqual(len(found), 1, f"{agent} holds one local key")
        return found.pop().decode()

    def base_url(self, agent):
        data = self.h.read(MAIN[agent])
        if agent == "codex":
            return readers.toml(data)["model_providers"]["databricks"]["base_url"]
        if agent == "gemini":
            return readers.dotenv(data)["GOOGLE_GEMINI_BASE_URL"]
        return readers.strict_json(data)["env"]["ANTHROPIC_BASE_URL"]

    def told(self, result, *sentences):
        """On stderr, wherever its lines break."""
        text = " ".join(result.err.split())
        for sentence in sentences:
            self.assertIn(sentence, text, f"\n{result}")

    def kept(self):
        return {p: e for p, e in self.h.snapshot(with_state=True).items() if not p.endswith("/lock")}


class Forms(Base):
    def test_each_agent_gets_the_local_address_and_its_own_key(self):
        result = self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
        keys = self.keys()
        self.assertEqual(sorted(keys), ["claude", "codex", "gemini"])
        self.assertEqual(len(set(keys.values())), 3, "each agent has a key of its own")
        for agent, key in keys.items():
            self.assertTrue(KEY.fullmatch(key.encode()), agent)
            self.assertEqual(self.in_file(agent), key)
            self.assertEqual(self.h.mode(MAIN[agent]), 0o600)
            self.assertNotIn(key, result.text)
            self.assertNotIn(key.encode(), (self.h.state / "journal.json").read_bytes())
        provider = readers.toml(self.h.read(CODEX))["model_providers"]["databricks"]
        self.assertEqual(provider["base_url"], "http://127.0.0.1:8790/openai/v1")
        self.assertEqual(provider["http_headers"], {"Authorization": "Bearer " + keys["codex"]})
        self.assertFalse({"env_key", "auth", "experimental_bearer_token", "requires_openai_auth"} & set(provider))
        self.assertEqual(readers.dotenv(self.h.read(CODEX_ENV)), {"NO_PROXY": "127.0.0.1,localhost"})
        env = readers.dotenv(self.h.read(GEMINI))
        self.assertEqual((env["GOOGLE_GEMINI_BASE_URL"], env["GEMINI_API_KEY"], env["GEMINI_API_KEY_AUTH_MECHANISM"]),
                         ("http://127.0.0.1:8790/gemini", keys["gemini"], "bearer"))
        self.assertEqual(env["NO_PROXY"], "127.0.0.1,localhost")
        self.assertNotIn("no_proxy", env)
        env = readers.strict_json(self.h.read(CLAUDE))["env"]
        self.assertEqual((env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_AUTH_TOKEN"], env["NO_PROXY"]),
                         ("http://127.0.0.1:8790/anthropic", keys["claude"], "127.0.0.1,localhost"))
        self.assertNotIn("apiKeyHelper", readers.strict_json(self.h.read(CLAUDE)))
        self.says(result, "dbx-agents proxy --port 8790", where="out")
        self.says(result, "will need a credential", where="err")

    def test_auth_proxy_is_the_same_and_both_together_are_fine(self):
        self.ok(self.h.run(*proxy("claude")))
        at = self.kept()
        for flags in (["--auth", "proxy"], ["--auth", "proxy", "--via-proxy"], ["--via-proxy=8790"], ["--via-proxy", "--auth=proxy"]):
            result = self.ok(self.h.run(*setup("claude"), *flags))
            self.same_snapshot(self.kept(), at, f"{flags}", result)
            self.ok(self.h.run("setup", "claude", "--workspace", WORKSPACE, *flags, "--check"), 0)

    def test_another_form_beside_it_is_refused(self):
        for form in ("pat", "env", "helper", "auto"):
            for flag in ("--via-proxy", "--via-proxy=9000"):
                result = self.h.run(*setup("claude"), flag, "--auth", form, env={"DATABRICKS_TOKEN": PAT})
                self.is_error(result, 2, "--via-proxy", "--auth " + form)
        self.assertEqual(self.h.snapshot(), {})

    def test_the_dry_run_shows_no_key_and_keeps_none(self):
        for flag in ("--dry-run", "--print", "--check"):
            result = self.ok(self.h.run("setup", "codex", "gemini", "claude", "--workspace", WORKSPACE, "--via-proxy", flag),
                             10 if flag == "--check" else 0)
            self.assertEqual(KEY.findall(result.text.encode()), [], f"\n{result}")
            self.assertEqual(self.h.kept(), {}, "nothing is written")
        self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
        self.keys()
        for args in (["status"], ["status", "--json"], ["revert", "--all", "--dry-run"],
                     ["setup", "claude", "--workspace", WORKSPACE, "--auth", "env", "--dry-run"],
                     ["setup", "--all", "--workspace", WORKSPACE, "--via-proxy", "--print"], ["--json", *proxy("claude")]):
            self.ok(self.h.run(*args))  # run() looks for the keys

    def test_json_names_the_next_step(self):
        result = self.ok(self.h.run(*proxy("gemini"), "--json"))
        self.assertEqual(json.loads(result.out)["next"], "dbx-agents proxy --port 8790")
        self.assertNotIn("next", json.loads(self.ok(self.h.run(*setup("gemini"), "--auth", "env", "--json")).out))

    def test_cursor_is_told_plainly(self):
        result = self.ok(self.h.run(*proxy("cursor")))
        self.says(result, "proxy cannot serve cursor", where="err")
        guide = self.h.read(".config/dbx-agents/cursor.md").decode()
        self.assertIn(WORKSPACE + "/ai-gateway/cursor/v1", guide)
        self.assertNotIn("8790", guide)
        self.assertEqual(self.keys(), {})
        self.assertNotIn("dbx-agents proxy --port", result.text)
        result = self.ok(self.h.run(*proxy("--all")))
        self.says(result, "proxy cannot serve cursor", where="err")
        self.assertEqual(sorted(self.keys()), ["claude", "codex", "gemini"])

    def test_an_old_codex_without_a_personal_token_goes_through_the_proxy(self):
        place = self.h.base / "npm/lib/node_modules/@openai/codex"
        (place / "bin").mkdir(parents=True)
        (place / "package.json").write_text('{"name": "@openai/codex", "version": "0.100.0"}')
        (place / "bin/codex.js").write_text("#!/bin/sh\n")
        (place / "bin/codex.js").chmod(0o755)
        (self.h.base / "npm/bin").mkdir()
        (self.h.base / "npm/bin/codex").symlink_to("../lib/node_modules/@openai/codex/bin/codex.js")
        result = self.ok(self.h.run(*setup("codex"), env={"PATH": f"{self.h.base}/npm/bin:/usr/bin:/bin"}))
        self.says(result, "auth proxy", "0.118.0")
        self.assertEqual(self.base_url("codex"), "http://127.0.0.1:8790/openai/v1")

    def test_a_template_without_a_proxy_form_is_refused(self):
        self.ok(self.h.run("templates", "export", "claude"))
        own = self.h.path(".config/dbx-agents/templates/claude/agent.toml")
        own.write_text(own.read_text().replace('auth = ["helper", "pat", "env", "proxy"]', 'auth = ["pat", "env"]'))
        before = self.h.kept()
        self.is_error(self.h.run(*proxy("claude")), 2, "--auth proxy")
        self.is_error(self.h.run(*setup("claude")), 4, "proxy")
        self.same_snapshot(self.h.kept(), before, "nothing is written")

    def test_the_shells_entries_come_along(self):
        for name, value in (("NO_PROXY", ".corp.example"), ("no_proxy", ".lower.example")):
            home = self.h = self.fresh()
            self.ok(home.run(*proxy("codex", "gemini", "claude"), env={name: value}))
            for values in (readers.dotenv(home.read(CODEX_ENV)), readers.dotenv(home.read(GEMINI)), readers.strict_json(home.read(CLAUDE))["env"]):
                self.assertEqual(values["NO_PROXY"], value + ",127.0.0.1,localhost")
                self.assertEqual(values.get("no_proxy"), value + ",127.0.0.1,localhost" if name == "no_proxy" else None)
            self.ok(home.run("revert", "--all"))
            self.assertEqual(home.snapshot(), {})

    def test_an_exported_gemini_key_is_named(self):
        self.says(self.ok(self.h.run(*proxy("gemini"), env={"GEMINI_API_KEY": "AIza" + "x" * 30})), "GEMINI_API_KEY in the environment", where="err")

    def test_a_provider_with_credentials_of_its_own(self):
        self.h.put(CODEX, '[model_providers.databricks]\nname = "x"\nenv_key = "MY_KEY"\nhttp_headers = { "X-A" = "1", authorization = "Basic abc" } # keep\n')
        before = self.h.read(CODEX)
        self.ok(self.h.run(*proxy("codex")))
        provider = readers.toml(self.h.read(CODEX))["model_providers"]["databricks"]
        self.assertNotIn("env_key", provider)
        self.assertEqual(provider["http_headers"], {"X-A": "1", "Authorization": "Bearer " + self.keys()["codex"]})
        self.assertIn(b"# keep", self.h.read(CODEX))
        self.ok(self.h.run("revert", "codex"))
        self.same_bytes(self.h.read(CODEX), before, "revert")


class Port(Base):
    def port(self, *args, env=None, config=None):
        if config is not None:
            self.h.put(".config/dbx-agents/config.toml", config)
        result = self.ok(self.h.run(*setup("claude"), *args, env=env))
        found = re.search(r"dbx-agents proxy --port (\d+)", result.out)
        self.assertTrue(found, f"\n{result}")
        self.assertEqual(self.base_url("claude"), f"http://127.0.0.1:{found[1]}/anthropic")
        return int(found[1])

    def test_order(self):
        """flag, environment, configuration, remembered, default."""
        self.assertEqual(self.port("--via-proxy"), 8790)
        self.assertEqual(self.port("--via-proxy=9001"), 9001)
        self.assertEqual(self.port("--auth", "proxy"), 9001, "remembered")
        self.assertEqual(self.port("--via-proxy", config="[proxy]\nport = 9002\n"), 9002)
        self.assertEqual(self.port("--via-proxy", env={"DBX_AGENTS_PROXY_PORT": "9003"}), 9003)
        self.assertEqual(self.port("--via-proxy=1", env={"DBX_AGENTS_PROXY_PORT": "9003"}), 1)
        self.assertEqual(json.loads((self.h.state / "remembered.json").read_text())["proxy.port"], "1")

    def test_it_stays_remembered_when_another_agent_goes_directly(self):
        self.port("--via-proxy=9001")
        self.ok(self.h.run(*setup("codex"), "--auth", "env"))
        self.assertEqual(self.port("--via-proxy"), 9001)

    def test_what_is_no_port_is_refused(self):
        for text in ("0", "65536", "-1", "+80", "80x", " 80", "8790.0", "99999999999999999999", "http"):
            self.is_error(self.h.run(*setup("claude"), f"--via-proxy={text}"), 2, "--via-proxy")
        self.is_error(self.h.run(*setup("claude"), "--via-proxy", "9000"), 2, "--via-proxy=9000")
        for config in ("[proxy]\nport = 0\n", '[proxy]\nport = "x"\n', "[proxy]\nport = 1.5\n"):
            self.h.put(".config/dbx-agents/config.toml", config)
            self.is_error(self.h.run(*proxy("claude")), 2, "config.toml:2")
        self.ok(self.h.run(*setup("claude"), "--auth", "env"))  # nobody asks for the port

    def test_agents_left_on_the_old_port_are_named(self):
        self.ok(self.h.run(*setup("codex", "claude"), "--via-proxy=9001"))
        result = self.ok(self.h.run(*setup("codex"), "--via-proxy=9002"))
        self.told(result, "set up for port 9001", "dbx-agents setup claude --via-proxy=9002")
        self.ok(self.h.run(*setup("claude"), "--via-proxy=9002"))
        self.assertEqual((self.base_url("codex"), self.base_url("claude")), ("http://127.0.0.1:9002/openai/v1", "http://127.0.0.1:9002/anthropic"))


@each([(f"{c.agent}_{c.file}", c) for c in CASES], "files")
class Files(Base):
    def check_files(self, case):
        """setup twice, then revert, on the files of real people."""
        self.h.put(case.rel, case.data)
        before = self.h.snapshot()
        result = self.ok(self.h.run(*proxy(case.agent)))
        self.keys()
        self.assertEqual(self.in_file(case.agent), self.keys()[case.agent])
        self.assertEqual(self.h.mode(MAIN[case.agent]), 0o600)
        at = self.kept()
        self.same_snapshot((self.ok(self.h.run(*proxy(case.agent))), self.kept())[1], at, "a second setup", result)
        self.ok(self.h.run("proxy", "rotate-keys"))
        self.assertNotEqual(self.kept(), at)
        self.assertEqual(self.in_file(case.agent), self.keys()[case.agent])
        self.ok(self.h.run("setup", case.agent, "--workspace", WORKSPACE, "--via-proxy", "--check"), 0)
        result = self.ok(self.h.run("revert", case.agent))
        self.told(result, "dbx-agents proxy rotate-keys")
        self.same_snapshot(self.h.snapshot(), before, "revert", result)


class Switching(Base):
    def setup_in(self, home, agent, form):
        flags = ["--via-proxy"] if form == "proxy" else ["--auth", form]
        self.ok(home.run(*setup(agent), *flags, env={"DATABRICKS_TOKEN": PAT}))

    def test_back_and_forth_leaves_nothing(self):
        for agent, forms in OTHERS.items():
            case = next(c for c in CASES if c.agent == agent and c.rel == MAIN[agent])
            for form in forms:
                self.h = self.fresh()
                self.h.put(case.rel, case.data)
                before = self.h.snapshot()
                self.setup_in(self.h, agent, form)
                direct = self.h.snapshot()
                self.setup_in(self.h, agent, "proxy")
                through = self.h.snapshot()
                for _ in range(2):
                    self.setup_in(self.h, agent, form)
                    self.same_snapshot(self.h.snapshot(), direct, f"{agent}: proxy, then {form}")
                    self.setup_in(self.h, agent, "proxy")
                    self.same_snapshot(self.h.snapshot(), through, f"{agent}: {form}, then proxy")
                self.ok(self.h.run("revert", agent))
                self.same_snapshot(self.h.snapshot(), before, f"{agent}: revert")

    def test_back_and_forth_in_a_file_that_was_edited_meanwhile(self):
        edits = {"codex": lambda d: d.replace(b"[model_providers.databricks]", b'[tui]\ntheme = "x"\n\n[model_providers.databricks]', 1),
                 "gemini": lambda d: b"MINE=1\n" + d, "claude": lambda d: d.replace(b"{", b'{\n  "theme": "dark",', 1)}
        read = {"codex": readers.toml, "gemini": readers.dotenv, "claude": readers.strict_json}
        for agent, forms in OTHERS.items():
            for form in forms:
                self.h = self.fresh()
                self.setup_in(self.h, agent, form)
                self.h.put(MAIN[agent], edits[agent](self.h.read(MAIN[agent])), mode=self.h.mode(MAIN[agent]))
                edited = read[agent](self.h.read(MAIN[agent]))
                self.setup_in(self.h, agent, "proxy")
                self.assertEqual(self.in_file(agent), self.keys()[agent])
                self.setup_in(self.h, agent, form)
                self.assertEqual(read[agent](self.h.read(MAIN[agent])), edited, f"{agent}, {form}: {self.h.read(MAIN[agent])}")
                self.assertNotIn(b"http_headers", self.h.read(MAIN[agent]), "no empty table is left")
                self.assertFalse(self.h.path(CODEX_ENV).exists() and agent == "codex" and form != "pat", "the file we made is gone")
                self.ok(self.h.run("revert", agent))
                mine = {"codex": {"tui": {"theme": "x"}}, "gemini": {"MINE": "1"}, "claude": {"theme": "dark"}}[agent]
                self.assertEqual(read[agent](self.h.read(MAIN[agent])), mine)

    def test_status_shows_the_form(self):
        def form(agent):
            return {a["agent"]: a["auth"] for a in json.loads(self.ok(self.h.run("status", "--json")).out)["agents"]}[agent]

        for agent, forms in OTHERS.items():
            self.assertIsNone(form(agent))
            for wanted in ("proxy", *forms, "proxy"):
                self.setup_in(self.h, agent, wanted)
                self.assertEqual(form(agent), wanted, agent)
                self.says(self.ok(self.h.run("status", agent)), "configured, auth " + wanted, where="out")
            self.ok(self.h.run("revert", agent))
            self.assertIsNone(form(agent))


class Rotation(Base):
    def test_all_agents_get_new_keys_and_the_old_ones_are_nowhere(self):
        self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
        old = self.keys()
        result = self.ok(self.h.run("proxy", "rotate-keys"))
        new = self.keys()
        self.assertEqual(sorted(new), sorted(old))
        self.assertFalse(set(new.values()) & set(old.values()))
        for agent in new:
            self.assertEqual(self.in_file(agent), new[agent])
        everything = b"".join(e[2] for e in self.h.snapshot(with_state=True).values())
        for key in old.values():
            self.assertNotIn(key.encode(), everything)
        self.says(result, "config.toml", ".env", "settings.json", "start", where="out")
        for line in self.ok(self.h.run("status")).out.splitlines():
            self.assertNotIn("since setup", line)
        self.ok(self.h.run("revert", "--all"))
        self.assertEqual(self.h.snapshot(), {})

    def test_an_edited_file_keeps_its_edits_and_can_still_be_reverted(self):
        for agent, original in (("codex", b'[tui]\ntheme = "x"\n'), ("claude", b'{\n  "theme": "dark"\n}\n'), ("gemini", b"MINE=1\n")):
            self.h = self.fresh()
            self.h.put(MAIN[agent], original)
            self.ok(self.h.run(*proxy(agent)))
            self.h.put(MAIN[agent], self.h.read(MAIN[agent]).replace(b'"x"', b'"y"').replace(b"dark", b"pale").replace(b"MINE=1", b"MINE=2"), mode=0o600)
            self.ok(self.h.run("proxy", "rotate-keys"))
            self.assertEqual(self.in_file(agent), self.keys()[agent])
            self.ok(self.h.run("revert", agent))
            self.same_bytes(self.h.read(MAIN[agent]), original.replace(b'"x"', b'"y"').replace(b"dark", b"pale").replace(b"MINE=1", b"MINE=2"), agent)

    def test_a_file_that_others_can_read_is_closed(self):
        self.ok(self.h.run(*proxy("claude")))
        self.h.path(CLAUDE).chmod(0o644)
        self.ok(self.h.run("proxy", "rotate-keys"))
        self.assertEqual(self.h.mode(CLAUDE), 0o600)

    def test_keys_of_agents_that_went_away_end(self):
        self.ok(self.h.run(*proxy("codex", "claude")))
        self.ok(self.h.run("revert", "claude"))
        self.assertEqual(sorted(self.keys()), ["claude", "codex"], "a key stays until it is rotated")
        result = self.ok(self.h.run("proxy", "rotate-keys", "--json"))
        self.assertEqual(json.loads(result.out)["dropped"], ["claude"])
        self.assertEqual(sorted(self.keys()), ["codex"])

    def test_without_keys_there_is_nothing_to_do(self):
        result = self.ok(self.h.run("proxy", "rotate-keys"))
        self.says(result, "no local keys", where="out")
        self.assertEqual(self.h.kept(), {})

    def test_a_file_that_does_not_parse_stops_all(self):
        self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
        self.keys()
        self.h.put(CLAUDE, self.h.read(CLAUDE) + b"}", mode=0o600)
        before = self.kept()
        self.is_error(self.h.run("proxy", "rotate-keys"), 3, "settings.json")
        self.same_snapshot(self.kept(), before, "nothing is changed")

    def test_a_write_that_fails_puts_everything_back(self):
        """The last file is larger than the process may write: the keys and the other files are back as they were."""
        self.h.put(CLAUDE, json.dumps({"permissions": {"allow": [f"Bash(x{i})" for i in range(20000)]}}))
        self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
        self.keys()
        before = self.kept()
        limit = 200_000
        self.assertGreater(len(self.h.read(CLAUDE)), limit)
        self.assertLess((self.h.state / "journal.json").stat().st_size, limit)
        result = self.h.run("proxy", "rotate-keys", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.is_error(result, 3, "settings.json")
        self.same_snapshot(self.kept(), before, "everything is as before")

    def test_kill_9_at_any_moment(self):
        """Whatever is half done, the next rotation is whole, and revert exact."""
        originals = {CODEX: b'model = "x"\n\n[tui]\ntheme = "x"\n', CLAUDE: b'{\n  "theme": "dark"\n}\n', GEMINI: b"MINE=1\n"}
        for rel, data in originals.items():
            self.h.put(rel, data)
        before = self.h.snapshot()
        chance = random.Random(7)
        killed = 0
        for number in range(int(os.environ.get("DBX_AGENTS_TEST_ROUNDS", 25))):
            self.ok(self.h.run(*proxy("codex", "gemini", "claude")))
            process = self.h.spawn("proxy", "rotate-keys")
            time.sleep(chance.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += process.returncode < 0
            if number % 3 == 0:
                self.ok(self.h.run("proxy", "rotate-keys"))
                keys = self.keys()
                for agent in MAIN:
                    self.assertEqual(self.in_file(agent), keys[agent], f"round {number}")
            self.ok(self.h.run("revert", "--all"))
            self.same_snapshot(self.h.snapshot(), before, f"round {number}: revert")
        self.assertGreater(killed, 0, "no round was killed: the loop shows nothing")

    def test_lost_and_damaged_keys(self):
        self.ok(self.h.run(*proxy("codex", "claude")))
        path = self.h.state / "local_keys.json"
        path.write_text("{")
        before = self.h.snapshot()
        for args in (["proxy", "rotate-keys"], proxy("claude")):
            self.is_error(self.h.run(*args), 3, "local_keys.json")
        self.same_snapshot(self.h.snapshot(), before, "nothing is changed")
        path.unlink()
        self.ok(self.h.run("proxy", "rotate-keys"))
        for agent in ("codex", "claude"):
            self.assertEqual(self.in_file(agent), self.keys()[agent])
        path.unlink()
        self.ok(self.h.run(*proxy("claude")))
        self.assertEqual(self.in_file("claude"), self.keys()["claude"])

    def test_a_file_whose_key_was_taken_out_is_named(self):
        self.ok(self.h.run(*proxy("codex")))
        self.h.put(CODEX, KEY.sub(b"nothing", self.h.read(CODEX)), mode=0o600)
        result = self.ok(self.h.run("proxy", "rotate-keys"))
        self.told(result, "dbx-agents setup codex --via-proxy")


if __name__ == "__main__":
    main()
