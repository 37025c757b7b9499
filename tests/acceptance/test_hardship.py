"""What happens to real machines: mounts, full and read-only disks, a failure in the middle, odd tokens, files that were put back by hand."""

import json
import os
import subprocess
import unittest

import readers
from harness import GATEWAY, PAT, WORKSPACE, Test, binary, main
from test_system import ORIGINAL, REL, ROOT, as_nobody, give_away, setup

TOML = b'model = "gpt-5.5"\n\n[tui]\ntheme = "x"\n'
CODEX = ".codex/config.toml"


def private_mounts():
    return ROOT and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@unittest.skipUnless(private_mounts(), "needs root and mount namespaces")
class Mounts(Test):
    def inside(self, script, *args):
        """Runs `script` and then the program in a mount namespace of its own; $H is the HOME. The exit code is the program's."""
        text = f'set -e; H="$1"; shift; {script}\nset +e; "$@"; echo "[exit $?]"; {getattr(self, "after", "true")}'
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", text, "sh", str(self.h.home), binary(), *args],
                              env=self.h.env, capture_output=True, text=True, timeout=60)
        return done

    def test_a_bind_mounted_file(self):
        """A container's way: rename can't replace the file, so it is written in place, safely."""
        self.h.put(REL, ORIGINAL)
        self.h.put("volume/settings.json", ORIGINAL)
        done = self.inside('mount --bind "$H/volume/settings.json" "$H/.claude/settings.json"', *setup("claude"))
        self.assertIn("[exit 0]", done.stdout, f"{done.stdout}{done.stderr}")
        env = readers.strict_json(self.h.read("volume/settings.json"))["env"]
        self.assertEqual(env["ANTHROPIC_BASE_URL"], GATEWAY + "/anthropic")
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file under the mount")
        done = self.inside('mount --bind "$H/volume/settings.json" "$H/.claude/settings.json"', "revert", "claude")
        self.assertIn("[exit 0]", done.stdout, f"{done.stdout}{done.stderr}")
        self.same_bytes(self.h.read("volume/settings.json"), ORIGINAL, "revert")
        self.assertEqual(os.listdir(self.h.path(".claude")), ["settings.json"])
        self.assertEqual(os.listdir(self.h.path("volume")), ["settings.json"])

    def with_etc(self, files, *args, env=None):
        """Runs the program with an /etc of our own."""
        place = self.h.base / "etc"
        for rel, text in {**files, "passwd": "root:x:0:0::/:/bin/sh\n"}.items():
            (place / rel).parent.mkdir(parents=True, exist_ok=True)
            (place / rel).write_text(text)
        script = 'cp /etc/ld.so.cache "$1/" 2>/dev/null; mount --bind "$1" /etc; shift; exec "$@"'
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(place), binary(), *args],
                              env={**self.h.env, **(env or {})}, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
        return done

    def test_the_organisations_configuration(self):
        """Below the user's configuration, above what is remembered."""
        organisation = {"dbx-agents/config.toml": 'workspace = "https://organisation.example.net"\n'}
        host = lambda: readers.strict_json(self.h.read(REL))["env"]["ANTHROPIC_BASE_URL"].split("/")[2]
        self.ok(self.h.run(*setup("claude")))
        self.with_etc(organisation, "setup", "claude", "--auth", "env", "--yes")
        self.assertEqual(host(), "organisation.example.net")
        done = self.with_etc(organisation, "status")
        self.assertIn("/etc/dbx-agents/config.toml", done.stdout)
        self.h.put(".config/dbx-agents/config.toml", 'workspace = "https://user.example.net"\n')
        self.with_etc(organisation, "setup", "claude", "--auth", "env", "--yes")
        self.assertEqual(host(), "user.example.net")

    def test_managed_settings_that_win_are_shown(self):
        for agent, rel, text, key in (("claude", "claude-code/managed-settings.json", '{"env": {"ANTHROPIC_MODEL": "managed-model"}}', "ANTHROPIC_MODEL"),
                                      ("claude", "claude-code/managed-settings.d/10-x.json", '{"env": {"ANTHROPIC_BASE_URL": "https://managed.example"}}', "ANTHROPIC_BASE_URL"),
                                      ("codex", "codex/managed_config.toml", 'model = "managed-model"\n', "model"),
                                      ("gemini", "gemini-cli/settings.json", '{"security": {"auth": {"selectedType": "vertex-ai"}}}', "selectedType")):
            home = self.h = self.fresh()
            self.ok(home.run(*setup(agent)))
            done = self.with_etc({rel: text}, "status", agent)
            line = next((line for line in done.stdout.splitlines() if rel.rsplit("/", 1)[1] in line), None)
            self.assertIsNotNone(line, f"status {agent} says nothing of /etc/{rel}\n{done.stdout}")

    def test_a_read_only_file_system(self):
        self.h.put(REL, ORIGINAL)
        done = self.inside('mount --bind "$H/.claude" "$H/.claude"; mount -o remount,ro,bind "$H/.claude"', *setup("claude"))
        self.assertIn("[exit 3]", done.stdout, f"{done.stdout}{done.stderr}")
        self.assertIn("read-only", done.stderr.lower())
        self.assertIn("Nothing was changed.", done.stderr)
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file")

    def test_a_read_only_file_system_for_the_second_file(self):
        self.h.put(REL, ORIGINAL)
        self.h.put(CODEX, TOML)
        for folder, other in ((".claude", CODEX), (".codex", REL)):
            before = self.h.snapshot()
            done = self.inside(f'mount --bind "$H/{folder}" "$H/{folder}"; mount -o remount,ro,bind "$H/{folder}"', *setup("claude", "codex"))
            self.assertIn("[exit 3]", done.stdout, f"{done.stdout}{done.stderr}")
            self.same_snapshot(self.h.snapshot(), before, f"{folder} is read-only: {other} is restored\n{done.stderr}")

    def test_a_disk_that_is_really_full(self):
        """A tmpfs of a few pages: at some fill level every write of the program fails once."""
        self.h.put("seed.json", ORIGINAL)
        for free in range(0, 11):
            self.after = 'cat "$H/d/settings.json"; echo; ls -A "$H/d" >&2'
            done = self.inside('mkdir -p "$H/d" && mount -t tmpfs -o size=48k none "$H/d" && cp "$H/seed.json" "$H/d/settings.json" '
                               f'&& export CLAUDE_CONFIG_DIR="$H/d" && dd if=/dev/zero of="$H/d/filler" bs=4096 count={10 - free} 2>/dev/null', *setup("claude"))
            shown, _, rest = done.stdout.partition("[exit ")
            code, _, text = rest.partition("]\n")
            self.assertIn(code, ("0", "3"), f"{done.stdout}{done.stderr}")
            value = json.loads(text)
            if code == "3":
                self.assertEqual(text.strip(), ORIGINAL.decode().strip(), f"{free} pages free\n{done.stderr}")
                self.assertIn("Nothing was changed.", done.stderr)
            else:
                self.assertIn("ANTHROPIC_MODEL", value["env"])
            self.assertEqual(done.stderr.strip().splitlines()[-2:], ["filler", "settings.json"], f"temporary files are left\n{done.stderr}")
            subprocess.run([binary(), "revert", "claude"], env=self.h.env, capture_output=True, timeout=30)

    def test_a_state_directory_on_a_full_disk(self):
        """Without a journal there is no way back: then nothing is written."""
        self.h.put(REL, ORIGINAL)
        done = self.inside('mkdir -p "$H/st" && mount -t tmpfs -o size=4k none "$H/st" && export XDG_STATE_HOME="$H/st" '
                           '&& dd if=/dev/zero of="$H/st/filler" bs=4096 count=1 2>/dev/null', *setup("claude"))
        self.assertIn("[exit 3]", done.stdout, f"{done.stdout}{done.stderr}")
        self.same_bytes(self.h.read(REL), ORIGINAL, "the file", None)


@unittest.skipUnless(ROOT, "needs root to become somebody else")
class Halfway(Test):
    def test_a_failure_at_the_second_file_takes_the_first_one_back(self):
        def close(home, folder, file):
            home.path(file).chmod(0o444)  # a file that may be written is written in place when its folder is closed
            home.path(folder).chmod(0o555)

        def reopen(home, folder, file):
            home.path(folder).chmod(0o755)
            home.path(file).chmod(0o644)

        for closed, file in ((".claude", REL), (".codex", CODEX)):
            home = self.fresh()
            home.put(REL, ORIGINAL)
            home.put(CODEX, TOML)
            give_away(home)
            close(home, closed, file)
            before = home.snapshot()
            result = home.run(*setup("claude", "codex"), preexec_fn=as_nobody)
            self.is_error(result, 3, closed)
            self.same_snapshot(home.snapshot(), before, f"{closed} is closed", result)
            reopen(home, closed, file)
            before = home.snapshot()
            self.ok(home.run(*setup("claude", "codex"), preexec_fn=as_nobody))
            close(home, closed, file)
            result = home.run("revert", "--all", preexec_fn=as_nobody)
            self.assertEqual(result.code, 3, f"\n{result}")
            reopen(home, closed, file)
            self.ok(home.run("revert", "--all", preexec_fn=as_nobody))
            self.same_snapshot(home.snapshot(), before, "revert once the folder is open again")

    def test_a_closed_state_directory_stops_setup_before_the_first_write(self):
        self.h.put(REL, ORIGINAL)
        self.h.state.mkdir(parents=True)
        give_away(self.h)
        os.chown(self.h.state, 0, 0)
        self.h.state.chmod(0o555)
        result = self.h.run(*setup("claude"), preexec_fn=as_nobody)
        self.is_error(result, 3)
        self.same_bytes(self.h.read(REL), ORIGINAL, "no journal, no write", result)


class ByHand(Test):
    def test_the_original_was_put_back_by_hand(self):
        """git checkout in the dotfiles: revert has nothing to do, and setup works again."""
        self.h.put(REL, ORIGINAL)
        self.h.put(CODEX, TOML)
        before = self.h.snapshot()
        self.ok(self.h.run(*setup("claude", "codex")))
        self.h.put(REL, ORIGINAL)
        self.h.put(CODEX, TOML)
        result = self.ok(self.h.run("revert", "--all"))
        self.same_snapshot(self.h.snapshot(), before, "revert of what is reverted", result)
        self.ok(self.h.run(*setup("claude", "codex")))
        self.ok(self.h.run("revert", "--all"))
        self.same_snapshot(self.h.snapshot(), before, "once more")

    def test_the_original_was_put_back_and_setup_runs_again(self):
        self.h.put(REL, ORIGINAL)
        self.ok(self.h.run(*setup("claude")))
        changed = ORIGINAL.replace(b'"A": "1"', b'"A": "2"')
        self.h.put(REL, changed)
        self.ok(self.h.run(*setup("claude")))
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(REL), changed, "the file of before the second setup")

    def test_our_table_in_another_form(self):
        """Somebody tidied up: the same values as an inline table, as dotted keys, in another order."""
        provider = f'name = "Databricks AI Gateway", base_url = "{GATEWAY}/openai/v1", wire_api = "responses", env_key = "DATABRICKS_TOKEN"'
        top = b'model_provider = "databricks"\nmodel = "databricks-gpt-5-2"\n'
        forms = {
            "inline": f"[model_providers]\ndatabricks = {{ {provider} }}\n",
            "dotted": "".join(f"model_providers.databricks.{part.strip()}\n" for part in provider.split(", ")),
        }
        for name, text in forms.items():
            home = self.fresh()
            home.put(CODEX, TOML)
            self.ok(home.run(*setup("codex")))
            rest = b'\n[tui]\ntheme = "x"\n'
            home.put(CODEX, top + (text.encode() + rest if name == "dotted" else rest + text.encode()))
            result = self.ok(home.run("revert", "codex"))
            value = readers.toml(home.read(CODEX))
            value.pop("model_providers", None) if value.get("model_providers") == {} else None
            self.assertEqual(value, {"model": "gpt-5.5", "tui": {"theme": "x"}}, f"{name}\n{home.read(CODEX).decode()}\n{result}")

    def test_somebody_deleted_our_keys(self):
        self.h.put(REL, b'{\n  "env": {\n    "ANTHROPIC_MODEL": "mine",\n    "A": "1"\n  }\n}\n')
        self.ok(self.h.run(*setup("claude")))
        for text in ('{"env": {}}\n', "{}\n", '{"env": {"A": "1"}}\n'):
            self.h.put(REL, text)
            result = self.ok(self.h.run("revert", "claude"))
            readers.strict_json(self.h.read(REL))
            self.assertNotIn(GATEWAY.encode(), self.h.read(REL), f"\n{result}")
            self.ok(self.h.run(*setup("claude")))

    def test_our_line_of_a_merged_value_was_deleted(self):
        self.h.put(REL, b'{\n  "env": {\n    "ANTHROPIC_CUSTOM_HEADERS": "X-A: 1"\n  }\n}\n')
        self.ok(self.h.run(*setup("claude")))
        data = json.loads(self.h.read(REL))
        data["env"]["ANTHROPIC_CUSTOM_HEADERS"] = "X-A: 2"
        self.h.put(REL, json.dumps(data, indent=2) + "\n")
        self.ok(self.h.run("revert", "claude"))
        self.assertEqual(json.loads(self.h.read(REL)), {"env": {"ANTHROPIC_CUSTOM_HEADERS": "X-A: 2"}})

    def test_a_wrong_container_that_came_later(self):
        """After setup somebody made `env` a text: revert can not go on there, and says so."""
        self.h.put(REL, ORIGINAL)
        self.ok(self.h.run(*setup("claude")))
        self.h.put(REL, '{"env": "gone", "verbose": true}\n')
        result = self.h.run("revert", "claude")
        self.assertIn(result.code, (0, 3), f"\n{result}")
        self.same_bytes(self.h.read(REL), b'{"env": "gone", "verbose": true}\n', "revert", result)

    def test_two_places_of_one_agent(self):
        """CODEX_HOME changed in between: revert --all takes back both."""
        for place in ("one", "two"):
            self.h.path(place).mkdir()
            self.ok(self.h.run(*setup("codex"), env={"CODEX_HOME": self.h.path(place)}))
        self.ok(self.h.run("revert", "--all"))
        self.assertEqual([p for p, e in self.h.snapshot().items() if e[0] == "file"], [])

    def test_a_token_that_was_renewed(self):
        self.h.put(REL, ORIGINAL)
        new = "dapi" + "cafe" * 8
        self.h.secrets.append(new)
        self.ok(self.h.run(*setup("claude", "gemini", "codex", form="pat"), env={"DATABRICKS_TOKEN": PAT}))
        self.ok(self.h.run(*setup("claude", "gemini", "codex", form="pat"), "--check", env={"DATABRICKS_TOKEN": new}), 10)
        self.ok(self.h.run(*setup("claude", "gemini", "codex", form="pat"), env={"DATABRICKS_TOKEN": new}))
        for rel, (_, _, data) in self.h.snapshot(with_state=True).items():
            self.assertNotIn(PAT.encode(), data, rel)
        self.assertNotIn(new.encode(), self.h.state_bytes())
        self.ok(self.h.run("revert", "--all"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert")


class OddValues(Test):
    def test_odd_tokens(self):
        """A token of any spelling arrives as it is, or is refused; it never breaks a file or becomes another one."""
        for token in ('abc"def"ghi-0123456789', "abc'def-0123456789", "abc\\def\\n-0123456789", "abc#def-0123456789", "$HOME-`id`-0123456789",
                      "abc def 0123456789", "abc=def==0123456789", "'\"`mixed-0123456789", "ünï-0123456789", "eyJhbGciOi.eyJzdWIi." + "x" * 5000):
            for agent, rel, key in (("claude", REL, "json"), ("gemini", ".gemini/.env", "GEMINI_API_KEY"), ("codex", ".codex/.env", "DATABRICKS_TOKEN")):
                home = self.fresh()
                home.secrets.append(token)
                result = home.run(*setup(agent, form="pat"), env={"DATABRICKS_TOKEN": token})
                if result.code == 0:
                    data = home.read(rel)
                    got = readers.strict_json(data)["env"]["ANTHROPIC_AUTH_TOKEN"] if key == "json" else readers.dotenv(data)[key]
                    self.assertEqual(got, token, f"{agent}")
                    self.ok(home.run(*setup(agent, form="pat"), "--check", env={"DATABRICKS_TOKEN": token}))
                    self.ok(home.run("revert", agent))
                else:
                    self.assertIn(result.code, (2, 3, 4), f"{agent} {token!r}\n{result}")
                    self.says(result, "token", where="err")
                self.assertEqual(home.snapshot(), {}, f"{agent} {token!r}\n{result}")
                home.close()

    def test_a_home_that_is_not_utf8(self):
        """Paths are bytes. JSON output stays valid, files stay right."""
        home = os.fsencode(self.h.base) + b"/h\xff\xfeme"
        os.mkdir(home)
        env = {key: value for key, value in self.h.env.items()}
        env[b"HOME"] = home
        env.pop("HOME")
        env = {os.fsencode(k): os.fsencode(v) for k, v in env.items()}
        for args in (setup("claude", "codex"), ["status"], ["revert", "--all"]):
            done = subprocess.run([binary(), *args, "--json"], env=env, capture_output=True, timeout=30, cwd="/")
            self.assertGreaterEqual(done.returncode, 0, done.stderr)
            document = done.stdout.decode("utf-8")  # valid UTF-8
            json.loads(document)
        self.assertEqual(sorted(os.listdir(home)), [b".local"])

    def test_a_home_that_is_a_link(self):
        real = self.h.base / "real"
        self.h.home.rename(real)
        self.h.home.symlink_to(real)
        self.h.put(REL, ORIGINAL)
        self.ok(self.h.run(*setup("claude")))
        self.ok(self.h.run("revert", "claude"))
        self.same_bytes(self.h.read(REL), ORIGINAL, "revert")
        self.assertTrue(self.h.home.is_symlink())

    def test_a_working_directory_that_is_gone(self):
        gone = self.h.base / "gone"
        gone.mkdir()
        done = subprocess.run(["/bin/sh", "-c", 'cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", str(gone), binary(), *setup("claude", "codex", "gemini")],
                              env=self.h.env, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        gone.mkdir()
        done = subprocess.run(["/bin/sh", "-c", 'cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", str(gone), binary(), "status"],
                              env=self.h.env, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_very_many_arguments_and_long_ones(self):
        self.assertEqual(self.h.run("setup", *["codex"] * 500, "--workspace", WORKSPACE, "--auth", "env", "--yes").code, 0)
        self.ok(self.h.run("revert", "codex", "codex"))
        self.assertEqual(self.h.snapshot(), {})


if __name__ == "__main__":
    main()
