"""Links, modes, owners, odd places, many processes at once, kill -9, Ctrl-C, full disks and closed outputs."""

import concurrent.futures
import json
import os
import random
import resource
import signal
import socket
import stat
import time
import unittest

import readers
from harness import PAT, WORKSPACE, Test, main

ORIGINAL = b'{\n  "env": {\n    "A": "1"\n  },\n  "verbose": true\n}\n'
REL = ".claude/settings.json"
ROOT = os.geteuid() == 0


def setup(*agents, form="env"):
    return ["setup", *agents, "--workspace", WORKSPACE, "--auth", form, "--yes"]


def as_nobody():
    """Rights mean nothing to root: these tests run as somebody else."""
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


class Links(Test):
    def through(self, target_rel):
        """setup and revert through the link at REL, whose file is at target_rel."""
        link_before = os.readlink(self.h.path(REL))
        self.ok(self.h.run(*setup("claude")))
        self.assertTrue(self.h.path(REL).is_symlink(), "the link is still a link")
        self.assertEqual(os.readlink(self.h.path(REL)), link_before)
        self.assertEqual(readers.strict_json(self.h.read(target_rel))["env"]["ANTHROPIC_MODEL"], "databricks-claude-opus-4-6")
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(target_rel), ORIGINAL, "revert through the link")
        self.assertEqual(os.readlink(self.h.path(REL)), link_before)

    def link(self, target, at=REL):
        self.h.path(at).parent.mkdir(parents=True, exist_ok=True)
        self.h.path(at).symlink_to(target)

    def test_an_absolute_link(self):
        self.h.put("dotfiles/claude.json", ORIGINAL)
        self.link(self.h.path("dotfiles/claude.json"))
        self.through("dotfiles/claude.json")

    def test_a_relative_link(self):
        self.h.put("dotfiles/claude.json", ORIGINAL)
        self.link("../dotfiles/claude.json")
        self.through("dotfiles/claude.json")

    def test_a_chain_of_links(self):
        self.h.put("store/claude.json", ORIGINAL)
        self.link("../dotfiles/second.json")
        self.link("third.json", at="dotfiles/second.json")
        self.link(self.h.path("store/claude.json"), at="dotfiles/third.json")
        self.through("store/claude.json")

    def test_a_link_of_the_folder(self):
        self.h.put("dotfiles/claude/settings.json", ORIGINAL)
        self.h.path(".claude").symlink_to("dotfiles/claude")
        self.ok(self.h.run(*setup("claude")))
        self.assertTrue(self.h.path(".claude").is_symlink())
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read("dotfiles/claude/settings.json"), ORIGINAL, "revert")

    def test_a_link_that_hangs_in_an_existing_folder(self):
        """stow and friends: the file may not be there yet. Through the link or a clear refusal, never a replaced link."""
        self.h.path("dotfiles").mkdir()
        self.link("../dotfiles/later.json")
        before = self.h.snapshot()
        result = self.h.run(*setup("claude"))
        self.assertTrue(self.h.path(REL).is_symlink(), f"the link is gone\n{result}")
        if result.code == 0:
            self.assertTrue(self.h.path("dotfiles/later.json").is_file())
            self.ok(self.h.run("revert", "claude"))
        else:
            self.is_error(result, 3, "settings.json")
        self.same_snapshot(self.h.snapshot(), before, "after revert or refusal", result)

    def test_a_link_that_hangs_in_a_missing_folder(self):
        self.link("../nowhere/at/all.json")
        before = self.h.snapshot()
        result = self.h.run(*setup("claude"))
        self.assertTrue(self.h.path(REL).is_symlink())
        if result.code == 0:
            self.ok(self.h.run("revert", "claude"))
        else:
            self.is_error(result, 3)
        self.same_snapshot(self.h.snapshot(), before, "after revert or refusal", result)

    def test_a_loop_of_links(self):
        self.link("settings2.json")
        self.link("settings.json", at=".claude/settings2.json")
        before = self.h.kept()
        result = self.is_error(self.h.run(*setup("claude")), 3, "settings.json", ("loop", "too many", "circle"))
        self.same_snapshot(self.h.kept(), before, "a loop", result)

    def test_two_agents_behind_one_file_by_hard_link(self):
        """A hard link: the name that setup was given is written; the plan may warn. The other name never holds half a file."""
        self.h.put(REL, ORIGINAL)
        os.link(self.h.path(REL), self.h.path("other-name.json"))
        self.ok(self.h.run(*setup("claude")))
        self.assertIn(b"ANTHROPIC_MODEL", self.h.read(REL))
        self.assertIn(self.h.read("other-name.json"), (ORIGINAL, self.h.read(REL)))
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert")
        self.same_bytes(self.h.read("other-name.json"), ORIGINAL, "revert, other name")

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_a_link_into_a_read_only_store_says_so(self):
        """home-manager: the file is a link into a store nobody writes."""
        store = self.h.base / "store"
        store.mkdir()
        (store / "settings.json").write_bytes(ORIGINAL)
        (store / "settings.json").chmod(0o444)
        store.chmod(0o555)
        self.link(store / "settings.json")
        give_away(self.h)
        os.chown(store, 0, 0)
        os.chown(store / "settings.json", 0, 0)
        result = self.is_error(self.h.run(*setup("claude"), preexec_fn=as_nobody), 3, "settings.json")
        self.says(result, str(store), where="err")
        self.same_bytes((store / "settings.json").read_bytes(), ORIGINAL, "the store")


def give_away(home):
    os.chmod(home.base, 0o755)
    for folder, folders, names in os.walk(home.base):
        os.lchown(folder, 65534, 65534)
        for name in folders + names:
            os.lchown(os.path.join(folder, name), 65534, 65534)


class Rights(Test):
    def test_a_new_file_is_for_the_user_alone_when_it_holds_a_token(self):
        self.ok(self.h.run(*setup("claude", form="pat"), env={"DATABRICKS_TOKEN": PAT}))
        self.assertEqual(self.h.mode(REL), 0o600)

    def test_a_loose_umask_opens_nothing(self):
        self.ok(self.h.run(*setup("claude", "gemini", "codex", form="pat"), env={"DATABRICKS_TOKEN": PAT}, preexec_fn=lambda: os.umask(0)))
        for rel, (kind, mode, data) in self.h.kept().items():
            if kind == "file":
                self.assertEqual(mode & 0o022, 0, f"{rel} {mode:o}")
                if PAT.encode() in data or "/dbx-agents/" in rel:
                    self.assertEqual(mode, 0o600, rel)

    def test_a_tight_umask_is_no_obstacle(self):
        self.ok(self.h.run(*setup("claude"), preexec_fn=lambda: os.umask(0o777)))
        self.ok(self.h.run("revert", "claude"))

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_a_folder_that_can_not_be_written(self):
        self.h.put(REL, ORIGINAL)
        give_away(self.h)
        self.h.path(".claude").chmod(0o555)
        self.h.path(REL).chmod(0o444)
        result = self.is_error(self.h.run(*setup("claude"), preexec_fn=as_nobody), 3, ".claude", ("permission", "not writable", "read-only", "write"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file", result)
        self.assertEqual(os.listdir(self.h.path(".claude")), ["settings.json"])

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_a_file_that_can_not_be_written_in_a_folder_that_can(self):
        """A mode of 0444 is a wish of the user: refused, or replaced with mode and revert kept."""
        self.h.put(REL, ORIGINAL)
        give_away(self.h)
        self.h.path(REL).chmod(0o444)
        result = self.h.run(*setup("claude"), preexec_fn=as_nobody)
        if result.code == 0:
            self.assertEqual(self.h.mode(REL), 0o444)
            self.ok(self.h.run("revert", "claude", preexec_fn=as_nobody))
            self.assertEqual(self.h.mode(REL), 0o444)
        else:
            self.is_error(result, 3, "settings.json")
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file")

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_a_file_that_can_not_be_read(self):
        self.h.put(REL, ORIGINAL)
        give_away(self.h)
        self.h.path(REL).chmod(0)
        result = self.is_error(self.h.run(*setup("claude"), preexec_fn=as_nobody), 3, "settings.json", ("permission", "read"))
        self.h.path(REL).chmod(0o600)
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file", result)

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_a_home_that_can_not_be_written(self):
        give_away(self.h)
        os.chown(self.h.home, 0, 0)
        result = self.is_error(self.h.run(*setup("claude"), preexec_fn=as_nobody), 3)
        self.assertEqual(self.h.kept(), {}, f"\n{result}")

    @unittest.skipUnless(ROOT, "needs root to become somebody else")
    def test_the_owner_stays(self):
        """sudo dbx-agents setup: the user's file stays the user's."""
        self.h.put(REL, ORIGINAL)
        os.chown(self.h.path(REL), 65534, 65534)
        self.ok(self.h.run(*setup("claude")))
        info = os.stat(self.h.path(REL))
        self.assertEqual((info.st_uid, info.st_gid), (65534, 65534))
        self.ok(self.h.run("revert", "claude"))
        info = os.stat(self.h.path(REL))
        self.assertEqual((info.st_uid, info.st_gid), (65534, 65534))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert")

    def test_odd_mode_bits_stay(self):
        for mode in (0o600, 0o640, 0o755, 0o666):
            home = self.fresh()
            home.put(REL, ORIGINAL, mode=mode)
            self.ok(home.run(*setup("claude")))
            self.assertEqual(home.mode(REL), mode)
            self.ok(home.run("revert", "claude"))
            self.assertEqual(home.mode(REL), mode)


class Places(Test):
    def refused(self, *words, **kwargs):
        before = self.h.kept()
        result = self.is_error(self.h.run(*setup("claude"), **kwargs), 3, "settings.json", *words)
        self.same_snapshot(self.h.kept(), before, "refused", result)

    def test_a_directory_in_the_files_place(self):
        self.h.path(REL).mkdir(parents=True)
        self.refused(("directory", "folder"))

    def test_a_fifo_in_the_files_place(self):
        self.h.path(".claude").mkdir()
        os.mkfifo(self.h.path(REL))
        self.refused()

    def test_a_socket_in_the_files_place(self):
        self.h.path(".claude").mkdir()
        with socket.socket(socket.AF_UNIX) as place:
            here = os.getcwd()
            os.chdir(self.h.path(".claude"))
            place.bind("settings.json")
            os.chdir(here)
            self.refused()

    def test_a_link_to_a_device(self):
        self.h.path(".claude").mkdir()
        self.h.path(REL).symlink_to("/dev/zero")
        self.refused()

    def test_a_file_in_the_folders_place(self):
        self.h.put(".claude", "a file\n")
        before = self.h.kept()
        result = self.is_error(self.h.run(*setup("claude")), 3, ".claude")
        self.same_snapshot(self.h.kept(), before, "refused", result)

    def test_a_file_of_65_megabytes_is_refused_with_the_limit(self):
        self.h.put(REL, b'{"a": "' + b"x" * (65 * 1024 * 1024) + b'"}')
        result = self.is_error(self.h.run(*setup("claude")), 3, "64")
        self.assertEqual(os.path.getsize(self.h.path(REL)), 65 * 1024 * 1024 + 9, f"\n{result}")

    def test_the_cost_grows_with_the_file_and_not_with_its_square(self):
        """Four times the file, about four times the work: by processor time, so that a busy machine does not matter."""

        def used():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        for fmt, rel, agent in (("json", REL, "claude"), ("toml", ".codex/config.toml", "codex"), ("dotenv", ".gemini/.env", "gemini")):
            spent = []
            for size in (1, 4):
                home = self.fresh()
                count = size * 1024 * 1024 // 40
                if fmt == "json":
                    data = "{\n" + "".join(f'  "key-{i:09}": "value value {i:09}",\n' for i in range(count)) + '  "last": 1\n}\n'
                elif fmt == "toml":
                    data = "".join(f"[projects.\"/p/{i:09}\"]\ntrust = \"yes\"\n" for i in range(count))
                else:
                    data = "".join(f'KEY_{i:09}="value value {i:09}"\n' for i in range(count))
                home.put(rel, data)
                start = used()
                self.ok(home.run(*setup(agent)))
                spent.append(used() - start)
                self.ok(home.run("revert", agent))
                self.same_bytes(home.read(rel)[:200], data.encode()[:200], "revert")
                self.assertEqual(home.read(rel), data.encode())
                home.close()
            self.assertLess(spent[1], max(4 * spent[0] * 2, 1.0), f"{fmt}: {spent[0]:.2f} s for 1 MB, {spent[1]:.2f} s for 4 MB")

    def test_deep_nesting_is_refused_or_edited_but_never_a_crash(self):
        for text in ('{"a": ' + "[" * 100000 + "]" * 100000 + "}", '{"a": ' * 20000 + "1" + "}" * 20000):
            self.h.put(REL, text)
            result = self.h.run(*setup("claude"))
            self.assertIn(result.code, (0, 3), f"\n{result}"[:2000])
            if result.code:
                self.same_bytes(self.h.read(REL), text.encode(), "refused")
        self.h.put(".codex/config.toml", "a = " + "[" * 20000 + "]" * 20000 + "\n")
        self.assertIn(self.h.run(*setup("codex")).code, (0, 3))


class Environment(Test):
    def test_codex_home(self):
        self.h.path("elsewhere/codex").mkdir(parents=True)
        env = {"CODEX_HOME": self.h.path("elsewhere/codex")}
        self.ok(self.h.run(*setup("codex", form="pat"), env={**env, "DATABRICKS_TOKEN": PAT}))
        self.assertTrue(self.h.path("elsewhere/codex/config.toml").is_file())
        self.assertTrue(self.h.path("elsewhere/codex/.env").is_file())
        self.assertFalse(self.h.path(".codex").exists())
        self.ok(self.h.run("revert", "codex", env=env))
        self.assertEqual([p for p, e in self.h.snapshot().items() if e[0] == "file"], [])

    def test_revert_finds_the_place_of_setup_without_the_variable(self):
        self.h.path("elsewhere").mkdir()
        self.ok(self.h.run(*setup("codex"), env={"CODEX_HOME": self.h.path("elsewhere")}))
        result = self.h.run("revert", "codex")
        if result.code == 0 and self.h.path("elsewhere/config.toml").exists():
            self.says(result, "elsewhere")
        self.ok(self.h.run("revert", "codex", env={"CODEX_HOME": self.h.path("elsewhere")}))
        self.assertFalse(self.h.path("elsewhere/config.toml").exists())

    def test_a_codex_home_that_is_missing_is_named(self):
        """Codex itself exits with an error then."""
        env = {"CODEX_HOME": self.h.path("missing")}
        result = self.h.run(*setup("codex"), env=env)
        self.says(result, "CODEX_HOME")
        self.assertFalse(self.h.path(".codex").exists())
        if result.code == 0:
            self.assertTrue(self.h.path("missing/config.toml").is_file())
            self.ok(self.h.run("revert", "codex", env=env))
        self.assertEqual(self.h.snapshot(), {})

    def test_an_empty_codex_home_counts_as_unset(self):
        self.ok(self.h.run(*setup("codex"), env={"CODEX_HOME": ""}))
        self.assertTrue(self.h.path(".codex/config.toml").is_file())

    def test_a_relative_codex_home(self):
        self.h.path("work/rel").mkdir(parents=True)
        self.ok(self.h.run(*setup("codex"), env={"CODEX_HOME": "rel"}, cwd=self.h.path("work")))
        self.assertTrue(self.h.path("work/rel/config.toml").is_file())
        self.ok(self.h.run("revert", "codex", env={"CODEX_HOME": "rel"}, cwd=self.h.path("work")))
        self.assertFalse(self.h.path("work/rel/config.toml").exists())

    def test_claude_config_dir(self):
        self.h.path("elsewhere").mkdir()
        env = {"CLAUDE_CONFIG_DIR": self.h.path("elsewhere")}
        self.ok(self.h.run(*setup("claude"), env=env))
        self.assertTrue(self.h.path("elsewhere/settings.json").is_file())
        self.assertFalse(self.h.path(".claude").exists())
        self.ok(self.h.run("revert", "claude", env=env))
        self.assertEqual(set(self.h.snapshot()), {"elsewhere"})

    def test_gemini_cli_home(self):
        env = {"GEMINI_CLI_HOME": self.h.path("elsewhere")}
        self.h.path("elsewhere").mkdir()
        self.ok(self.h.run(*setup("gemini"), env=env))
        self.assertTrue(self.h.path("elsewhere/.gemini/.env").is_file())
        self.assertFalse(self.h.path(".gemini").exists())
        self.ok(self.h.run("revert", "gemini", env=env))
        self.assertEqual(set(self.h.snapshot()), {"elsewhere"})

    def test_xdg_directories(self):
        env = {"XDG_CONFIG_HOME": self.h.path("cfg"), "XDG_STATE_HOME": self.h.path("st")}
        self.ok(self.h.run("setup", "cursor", "codex", "--workspace", WORKSPACE, "--auth", "env", "--yes", env=env))
        self.assertTrue(self.h.path("cfg/dbx-agents/cursor.md").is_file())
        self.assertTrue(self.h.path("st/dbx-agents").is_dir())
        self.assertFalse(self.h.path(".config").exists())
        self.assertFalse(self.h.path(".local").exists())
        self.ok(self.h.run("revert", "--all", env=env))
        self.assertFalse(self.h.path(".codex").exists())

    def test_a_relative_xdg_directory_is_ignored(self):
        """The base directory specification: a relative path is invalid and ignored."""
        self.ok(self.h.run(*setup("codex"), env={"XDG_STATE_HOME": "rel", "XDG_CONFIG_HOME": "rel"}))
        self.assertTrue(self.h.state.is_dir())

    def test_home_unset(self):
        for home in (None, ""):
            result = self.h.run(*setup("claude"), env={"HOME": home})
            self.assertIn(result.code, (1, 2, 3), f"\n{result}")
            self.says(result, "HOME", where="err")
            self.assertEqual(os.listdir(self.h.base / "tmp"), [])

    def test_a_home_that_does_not_exist(self):
        result = self.h.run(*setup("claude"), env={"HOME": str(self.h.base / "nobody")})
        self.assertIn(result.code, (0, 1, 2, 3), f"\n{result}")
        if result.code:
            self.assertFalse((self.h.base / "nobody").exists())

    def test_a_home_with_odd_characters(self):
        home = self.h.base / "it's \"a\" $HOME\nünïcödé"
        home.mkdir()
        self.ok(self.h.run(*setup("claude", "codex", form="helper"), env={"HOME": str(home)}))
        readers.strict_json((home / REL).read_bytes())
        readers.toml((home / ".codex/config.toml").read_bytes())
        self.ok(self.h.run("revert", "--all", env={"HOME": str(home)}))
        self.assertFalse((home / ".codex").exists())


class AtOnce(Test):
    def test_many_setups_at_once(self):
        """Many processes, different workspaces: the files are whole, revert gives the original."""
        self.h.put(REL, ORIGINAL)
        self.h.put(".codex/config.toml", '[tui]\ntheme = "x"\n')
        before = self.h.snapshot()
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            runs = [pool.submit(self.h.run, "setup", "claude", "codex", "--workspace", f"https://n{n}.example.net", "--auth", "env", "--yes") for n in range(36)]
            runs += [pool.submit(self.h.run, "status") for _ in range(6)]
            results = [r.result() for r in runs]
        for result in results:
            self.assertEqual(result.code, 0, f"\n{result}")
        host = readers.strict_json(self.h.read(REL))["env"]["ANTHROPIC_BASE_URL"].split("/")[2]
        self.assertRegex(host, r"^n\d+\.example\.net$")
        self.assertIn(host, readers.toml(self.h.read(".codex/config.toml"))["model_providers"]["databricks"]["base_url"], "one setup's values, not a mixture")
        self.ok(self.h.run("revert", "--all"))
        self.same_snapshot(self.h.snapshot(), before, "revert after many setups at once")

    def test_setups_and_reverts_at_once(self):
        self.h.put(REL, ORIGINAL)
        before = self.h.snapshot()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = [pool.submit(self.h.run, *(setup("claude") if n % 2 else ["revert", "claude"])) for n in range(30)]
            for run in runs:
                self.assertEqual(run.result().code, 0, f"\n{run.result()}")
        readers.strict_json(self.h.read(REL))
        self.ok(self.h.run("revert", "claude"))
        self.same_snapshot(self.h.snapshot(), before, "revert at the end")


class Killed(Test):
    def loop(self, kill, rounds, steps):
        self.h.put(REL, ORIGINAL, mode=0o640)
        self.h.put(".codex/config.toml", b'model = "gpt-5.5"\n[tui]\ntheme = "x"\n')
        self.h.put(".gemini/.env", b"A=1\n")
        before = self.h.snapshot()
        env = {"DATABRICKS_TOKEN": PAT}
        everything = setup("claude", "codex", "gemini", form="pat")
        self.ok(self.h.run(*everything, env=env))
        after = self.h.snapshot()
        self.ok(self.h.run("revert", "--all"))
        start = time.monotonic()
        self.ok(self.h.run(*everything, "--check", env=env), 10)
        whole = max(time.monotonic() - start, 0.004)
        rng = random.Random(steps)
        ends = set()
        for number in range(rounds):
            forward = number % 2 == 0
            process = self.h.spawn(*(everything if forward else ["revert", "--all"]), env=env)
            time.sleep(rng.random() * whole * 2.5)
            try:
                process.send_signal(kill)
            except ProcessLookupError:
                pass
            out, err = process.communicate(timeout=30)
            ends.add(process.returncode)
            self.assertNotIn(PAT.encode(), out + err)
            for rel in (REL, ".codex/config.toml", ".gemini/.env"):
                data, mode = self.h.read(rel), self.h.mode(rel)
                self.assertIn(data, (before[rel][2], after[rel][2]), f"round {number}: {rel} is neither old nor new:\n{data!r}")
                if PAT.encode() in data:
                    self.assertEqual(mode, 0o600, f"round {number}: {rel} holds the token with mode {mode:o}")
            if kill == signal.SIGINT:
                self.assertIn(process.returncode, (0, 130, -signal.SIGINT), f"round {number}\n{out.decode()}{err.decode()}")
                if process.returncode != 0:  # a shell calls both 130
                    state = [self.h.read(rel) == after[rel][2] for rel in (REL, ".codex/config.toml", ".gemini/.env")]
                    self.assertIn(sum(state), (0, 3), f"round {number}: Ctrl-C between two files takes the written ones back: {state}\n{err.decode()}")
            if number % 4 == 1:
                result = self.ok(self.h.run(*everything, env=env))
                self.same_snapshot(self.h.snapshot(), after, f"round {number}: setup after being killed", result)
            if number % 4 == 3:
                result = self.ok(self.h.run("revert", "--all"))
                self.same_snapshot(self.h.snapshot(), before, f"round {number}: revert after being killed", result)
        self.ok(self.h.run("revert", "--all"))
        self.same_snapshot(self.h.snapshot(), before, "revert at the end")
        return ends

    def test_kill_9_at_any_moment(self):
        ends = self.loop(signal.SIGKILL, 60, 7)
        self.assertIn(-9, ends, "no round was killed: the loop shows nothing")

    def test_ctrl_c_at_any_moment(self):
        self.loop(signal.SIGINT, 40, 8)


class FullDisk(Test):
    def limited(self, size):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return limit

    def test_no_room_for_a_file(self):
        """Whatever write fails, the files stay old; afterwards setup works."""
        big = b'{\n  "env": {},\n  "note": "' + b"x" * 6000 + b'"\n}\n'
        for size in (0, 1, 100, 1000, 3000, 5000, 6100, 6400):
            home = self.fresh()
            home.put(REL, big)
            home.put(".codex/config.toml", '[tui]\ntheme = "x"\n')
            before = home.snapshot()
            result = home.run(*setup("codex", "claude"), preexec_fn=self.limited(size))
            if result.code != 0:
                self.is_error(result, 3)
                self.same_snapshot(home.snapshot(), before, f"a limit of {size} bytes", result)
            self.ok(home.run(*setup("codex", "claude")))
            self.ok(home.run("revert", "--all"))
            self.same_snapshot(home.snapshot(), before, f"revert after a limit of {size} bytes")
            home.close()

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_stdout_is_full(self):
        with open("/dev/full", "wb") as full:
            result = self.h.run(*setup("claude"), "--print", stdout=full)
            self.assertNotEqual(result.code, 0, f"the output was lost and nobody says so\n{result}")
            result = self.h.run("--version", stdout=full)
            self.assertNotEqual(result.code, 0, f"\n{result}")
            result = self.h.run("auth", "token", env={"DATABRICKS_TOKEN": PAT, "DATABRICKS_HOST": WORKSPACE}, stdout=full)
            self.assertNotEqual(result.code, 0, f"a helper that lost the token did not fail\n{result}")

    def test_stdout_is_closed(self):
        self.h.put(REL, ORIGINAL)
        result = self.h.run(*setup("claude"), stdout=None, preexec_fn=lambda: os.close(1))
        self.assertIn(result.code, (0, 1, 3), f"\n{result}")
        for rel, (kind, _, data) in self.h.kept().items():
            if rel.endswith("settings.json"):
                readers.strict_json(data)
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert: no output went into a file")

    def test_all_three_are_closed(self):
        """Files opened by the program get the numbers 0, 1, 2: its messages must not end up in them."""
        self.h.put(REL, ORIGINAL)

        def close():
            for number in (0, 1, 2):
                os.close(number)

        result = self.h.run(*setup("claude"), stdin=None, stdout=None, stderr=None, preexec_fn=close)
        self.assertIn(result.code, (0, 1, 3))
        for rel, (kind, _, data) in self.h.kept().items():
            if rel.endswith("settings.json"):
                readers.strict_json(data)
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert")

    def test_a_reader_that_goes_away(self):
        """dbx-agents … | head -1"""
        process = self.h.spawn("setup", "--all", "--workspace", WORKSPACE, "--print", env={"DATABRICKS_TOKEN": PAT})
        process.stdout.close()
        process.wait(timeout=30)
        err = process.stderr.read().decode()
        process.stderr.close()
        self.assertNotIn("terminate", err)
        self.assertIn(process.returncode, (0, 1, -13, 141), err)


if __name__ == "__main__":
    main()
