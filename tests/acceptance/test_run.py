"""`dbx-agents run AGENT -- ARGS`: an agent for one run, through the proxy, and nothing written. The agents are small programs here;
scripts/e2e.sh does the same with the real ones."""

import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest
from pathlib import Path

import harness
from harness import binary, case_file

# Stands in for every agent: shows what it was started with, and asks the gateway that it was told to.
AGENT = r'''#!/usr/bin/python3
import json, os, signal, sys, time, urllib.request
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
seen = {"argv": words, "env": dict(os.environ), "stdin": None, "files": {}, "parent_argv": open(f"/proc/{os.getppid()}/cmdline").read()}
for word in words:
    if word.startswith("/") and os.path.isfile(word):
        seen["files"][word] = open(word).read()
home = os.environ.get("GEMINI_CLI_HOME")
if home:
    seen["home"] = sorted(os.listdir(home + "/.gemini"))
    seen["settings"] = open(home + "/.gemini/settings.json").read()
    os.makedirs(home + "/.gemini/tmp/session", exist_ok=True)
    open(home + "/.gemini/fresh.json", "w").write("{}")
task = os.environ.get("TASK", "")
if task == "cat":
    sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.exit(0)
if task.startswith("exit"):
    sys.exit(int(task[4:]))
if task == "die":
    os.kill(os.getpid(), signal.SIGKILL)
count = 0
def note(number, frame):
    global count
    count += 1
    open(os.environ["SEEN"] + ".signals", "a").write(signal.Signals(number).name + "\n")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, note)
url = {"codex": None, "claude": None, "gemini": os.environ.get("GOOGLE_GEMINI_BASE_URL")}[name]
key = os.environ.get("GEMINI_API_KEY") or os.environ.get("DBX_AGENTS_LOCAL_KEY")
if name == "codex":
    url = next(w.split("=", 1)[1].strip('"') for w in words if w.startswith("model_providers.databricks_run.base_url="))
if name == "claude":
    settings = json.loads(seen["files"][words[words.index("--settings") + 1]])
    url, key = settings["env"]["ANTHROPIC_BASE_URL"], settings["env"]["ANTHROPIC_AUTH_TOKEN"]
seen["url"] = url
path = {"codex": "/responses", "claude": "/v1/messages", "gemini": "/v1beta/models/databricks-gemini-2-5-flash:generateContent"}[name]
body = {"codex": {"model": "databricks-gpt-5-2", "input": "hi"},
        "claude": {"model": "databricks-claude-opus-4-6", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}}[name]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
request = urllib.request.Request(url + path, json.dumps(body).encode(), {"content-type": "application/json", "authorization": "Bearer " + key})
with opener.open(request, timeout=30) as answer:
    seen["status"] = answer.status
json.dump(seen, open(os.environ["SEEN"], "w"))
open(os.environ["SEEN"] + ".ready", "w").close()
if task == "wait":
    end = time.time() + 60
    while count == 0 and time.time() < end and not os.path.exists(os.environ["SEEN"] + ".go"):
        time.sleep(0.02)
    time.sleep(0.3)
'''
TOKEN = "dapi-valid-token-0123456789abcdef"  # the one that the stand-in knows from its start


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class RunTest(harness.Test):
    @classmethod
    def setUpClass(cls):
        import sys
        sys.path.insert(0, str(harness.HERE.parent / "workspace"))
        import standin
        cls.base = harness.Home()
        cls.workspace = standin.Workspace(str(cls.base.base / "workspace"))
        cls.url = f"http://127.0.0.1:{cls.workspace.port}"

    @classmethod
    def tearDownClass(cls):
        cls.workspace.stop()
        cls.base.close()

    def setUp(self):
        super().setUp()
        programs = self.h.base / "bin"
        programs.mkdir()
        for name in ("codex", "claude", "gemini"):
            (programs / name).write_text(AGENT)
            (programs / name).chmod(0o755)
        self.seen = self.h.base / "seen"
        self.h.env.update(PATH=f"{programs}:/usr/bin:/bin", DATABRICKS_TOKEN=TOKEN, DATABRICKS_HOST=self.url, SEEN=str(self.seen),
                          HTTP_PROXY="http://127.0.0.1:9")
        self.h.secrets.append(TOKEN)
        self.addCleanup(self.no_proxy_is_left)

    def pids(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            if "--for-runs" in words and str(self.h.state) in words and not gone(pid):
                found.append(int(pid))
        return found

    def no_proxy_is_left(self, seconds=20):
        end = time.monotonic() + seconds
        while self.pids() and time.monotonic() < end:
            time.sleep(0.05)
        left = self.pids()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(left, [], "a proxy of a run is left behind")

    def wait_ready(self, process, seconds=60):
        end = time.monotonic() + seconds
        while not os.path.exists(str(self.seen) + ".ready"):
            self.assertIsNone(process.poll(), "it ended before the agent had asked")
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def look(self):
        return json.loads(self.seen.read_text())

    def files_of_a_user(self):
        self.h.put(".codex/config.toml", case_file("codex/25-model-and-provider.toml"))
        self.h.put(".claude/settings.json", case_file("claude/16-old-token-and-helper.json"))
        self.h.put(".gemini/settings.json", case_file("gemini-settings/02-comments.json"))
        self.h.put(".gemini/GEMINI.md", "remember\n")

    def test_each_agent_asks_through_a_proxy_of_its_own_and_nothing_is_written(self):
        self.files_of_a_user()
        for name in ("codex", "claude"):
            with self.subTest(name):
                before = self.h.snapshot()
                self.ok(self.h.run("run", name, "--", "say", "--flag", "a b", "--", "--json"))
                seen = self.look()
                self.assertEqual(seen["status"], 200)
                self.assertEqual(seen["argv"][-5:], ["say", "--flag", "a b", "--", "--json"])
                self.same_snapshot(self.h.snapshot(), before, f"run {name} wrote files")
                self.no_proxy_is_left()

    def test_no_secret_stands_in_an_argument(self):
        for name in ("codex", "claude", "gemini"):
            self.ok(self.h.run("run", name))
            seen = self.look()
            key = json.loads((self.h.state / "local_keys.json").read_text())
            self.assertIn("dbxl_", json.dumps(key))
            words = " ".join(seen["argv"]) + seen["parent_argv"]
            self.assertNotIn("dbxl_", words)
            self.assertNotIn(TOKEN, words)
            self.assertEqual(self.h.mode(".local/state/dbx-agents/local_keys.json"), 0o600)

    def test_gemini_has_a_home_of_the_run_in_which_only_its_settings_differ(self):
        self.files_of_a_user()
        before = self.h.snapshot()
        self.ok(self.h.run("run", "gemini"))
        seen = self.look()
        self.assertIn('"selectedType": "gemini-api-key"', seen["settings"])
        self.assertEqual(seen["home"], ["GEMINI.md", "settings.json"])
        after = self.h.snapshot()
        # What the agent itself made is where it would have been.
        made = {path for path in after if path not in before}
        self.assertEqual(made, {".gemini/tmp", ".gemini/tmp/session", ".gemini/fresh.json"})
        self.same_snapshot({path: after[path] for path in before}, before, "run gemini changed files")
        self.assertEqual(os.listdir(self.h.state / "run"), [])

    def test_the_agents_exit_code_is_ours(self):
        self.ok(self.h.run("run", "codex", env={"TASK": "exit37"}), 37)
        self.ok(self.h.run("run", "codex", env={"TASK": "die"}), 128 + 9)

    def test_a_pipe_goes_through_untouched(self):
        data = bytes(range(256)) * 4096
        process = self.h.spawn("run", "codex", env={"TASK": "cat"}, stdin=subprocess.PIPE)
        out, err = process.communicate(data, timeout=harness.TIMEOUT)
        self.assertEqual((process.returncode, err), (0, b""))
        self.assertTrue(out == data, "the bytes differ")

    def test_a_signal_to_us_reaches_the_agent(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            for path in (".ready", ".signals"):
                if os.path.exists(str(self.seen) + path):
                    os.remove(str(self.seen) + path)
            process = self.h.spawn("run", "codex", env={"TASK": "wait"})
            self.wait_ready(process)
            process.send_signal(number)
            process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual(process.returncode, 0)
            self.assertEqual(Path(str(self.seen) + ".signals").read_text(), signal.Signals(number).name + "\n")

    def test_control_c_on_the_terminal_reaches_the_agent_once(self):
        leader, follower = pty.openpty()
        env = dict(self.h.env, TASK="wait")

        def own_terminal():
            import fcntl
            import termios
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        process = subprocess.Popen([binary(), "run", "codex"], env=env, stdin=follower, stdout=follower, stderr=follower,
                                   start_new_session=True, preexec_fn=own_terminal)
        os.close(follower)
        self.wait_ready(process)
        os.write(leader, b"\x03")
        code = process.wait(harness.TIMEOUT)
        os.close(leader)
        self.assertEqual(code, 0)
        self.assertEqual(Path(str(self.seen) + ".signals").read_text(), "SIGINT\n")

    def test_control_z_gives_the_terminal_back_and_fg_goes_on(self):
        leader, follower = pty.openpty()
        # A shell with job control: the program must stop as a whole, and go on as one.
        script = f'set -m; "{binary()}" run codex; echo "stopped $?"; touch "{self.seen}.go"; fg >/dev/null; echo "ended $?"'
        env = dict(self.h.env, TASK="wait")

        def own_terminal():
            import fcntl
            import termios
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(["/bin/bash", "-c", script], env=env, stdin=follower, stdout=follower, stderr=follower,
                                   start_new_session=True, preexec_fn=own_terminal)
        os.close(follower)
        self.wait_ready(process)
        os.write(leader, b"\x1a")
        text, end = b"", time.monotonic() + harness.TIMEOUT
        while b"ended" not in text and time.monotonic() < end:
            if select.select([leader], [], [], 0.2)[0]:
                try:
                    text += os.read(leader, 4096)
                except OSError:
                    break
        process.kill()
        process.wait()
        os.close(leader)
        self.assertIn(f"stopped {128 + signal.SIGSTOP}".encode(), text)
        self.assertIn(b"ended 0", text)

    def test_two_runs_share_a_proxy_and_the_last_one_ends_it(self):
        first = self.h.spawn("run", "codex", env={"TASK": "wait"})
        self.wait_ready(first)
        port = self.look()["url"]
        started = self.pids()
        self.assertEqual(len(started), 1)
        self.ok(self.h.run("run", "codex"))
        self.assertEqual(self.look()["url"], port)
        self.assertEqual(self.pids(), started, "the first run still uses it")
        open(str(self.seen) + ".go", "w").close()
        first.communicate(timeout=harness.TIMEOUT)
        self.no_proxy_is_left()
        self.assertEqual([name for name in os.listdir(self.h.state) if name.startswith("proxy-")], [])

    def test_a_killed_run_leaves_no_proxy(self):
        process = self.h.spawn("run", "codex", env={"TASK": "wait"})
        self.wait_ready(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        open(str(self.seen) + ".go", "w").close()
        self.no_proxy_is_left()
        process.stdout.close()
        process.stderr.close()

    def test_a_proxy_that_runs_anyway_is_used_and_stays(self):
        self.ok(self.h.run("setup", "codex", "--auth", "proxy", "--yes"))
        proxy = self.h.spawn("proxy", "--port", "0")
        try:
            line = proxy.stdout.readline().decode()
            port = line.strip().rpartition(":")[2]
            self.ok(self.h.run("run", "codex"))
            self.assertIn(f":{port}/", self.look()["url"])
            # An agent that has no key yet gets one, and the running proxy learns it.
            self.ok(self.h.run("run", "claude"))
            self.assertIn(f":{port}/", self.look()["url"])
            self.assertEqual(self.pids(), [])
            self.assertIsNone(proxy.poll(), "nobody ends a proxy that he has not started")
            # Another gateway's proxy is no use.
            self.ok(self.h.run("run", "codex", "--gateway", self.url + "/ai-gateway/", "--dry-run"))
        finally:
            proxy.terminate()
            proxy.communicate(timeout=harness.TIMEOUT)

    def test_dry_run_starts_nothing_and_masks_the_key(self):
        before = self.h.snapshot(with_state=True)
        result = self.ok(self.h.run("run", "gemini", "--dry-run", "--", "-p", "hi"))
        self.says(result, "proxy: started for this run", "set GEMINI_API_KEY='****'", "-p hi", where="out")
        document = json.loads(self.ok(self.h.run("run", "codex", "--dry-run", "--json", "--", "exec")).out)
        self.assertEqual(document["arguments"][-1], "exec")
        self.assertEqual(document["environment"]["DBX_AGENTS_LOCAL_KEY"], "****")
        self.assertEqual(document["proxy"], {"port": None, "started": True})
        self.same_snapshot(self.h.snapshot(with_state=True), before, "a dry run wrote something")
        self.assertFalse(self.seen.exists())

    def test_the_model_can_be_named(self):
        document = json.loads(self.ok(self.h.run("run", "codex", "--model", 'odd"name', "--dry-run", "--json")).out)
        self.assertIn('model="odd\\"name"', document["arguments"])

    def test_what_cannot_be_run_says_why(self):
        self.is_error(self.h.run("run"), 2, "which agent", unchanged=False)
        self.is_error(self.h.run("run", "codxe"), 2, "did you mean 'codex'", unchanged=False)
        self.is_error(self.h.run("run", "cursor"), 2, "its servers make the calls", unchanged=False)
        self.is_error(self.h.run("run", "codex", "exec"), 2, "stands before --", unchanged=False)
        self.is_error(self.h.run("run", "claude", "--", "--settings", "{}"), 2, "--settings", unchanged=False)
        self.is_error(self.h.run("run", "codex", env={"PATH": "/usr/bin:/bin"}), 1, "no program 'codex'", unchanged=False)
        self.is_error(self.h.run("run", "codex", env={"DATABRICKS_TOKEN": None}), 4, unchanged=False)
        self.is_error(self.h.run("run", "codex", env={"DATABRICKS_HOST": None}), 2, "workspace", unchanged=False)

    def test_a_template_that_would_show_the_key_is_refused(self):
        folder = ".config/dbx-agents/templates/codex"
        self.ok(self.h.run("templates", "export", "codex"))
        text = self.h.read(folder + "/agent.toml").decode()
        self.h.put(folder + "/agent.toml", text.replace("[run.options]", "[run]\narguments = [\"--key={{local_key}}\"]\n\n[run.options]"))
        self.is_error(self.h.run("run", "codex"), 2, "is a secret", unchanged=False)


if __name__ == "__main__":
    binary()
    unittest.main(verbosity=1)
