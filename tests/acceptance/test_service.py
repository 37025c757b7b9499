"""`dbx-agents proxy install|uninstall`: the unit that it writes, judged by systemd's own reader where there is one, what it asks of
systemctl (a stand-in that records), and the readiness that the proxy tells."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
from harness import PAT, WORKSPACE, binary
from proxy_harness import Proxy, sanitized

README = harness.HERE.parent.parent / "README.md"
UNIT = ".config/systemd/user/dbx-agents-proxy.service"
# Says that a manager runs, or not (NO_MANAGER), and keeps what it was asked.
SYSTEMCTL = r'''#!/bin/sh
echo "$*" >>"$HOME/../systemctl.log"
[ ! -e "$HOME/../no-manager" ] || { echo "Failed to connect to bus: No medium found" >&2; exit 1; }
case "$*" in
*enable*--now*)
    [ ! -e "$HOME/../broken" ] || { echo "Job for dbx-agents-proxy.service failed." >&2; exit 1; }
    mkdir -p "$HOME/.config/systemd/user/default.target.wants"
    ln -sf "$HOME/.config/systemd/user/dbx-agents-proxy.service" "$HOME/.config/systemd/user/default.target.wants/" ;;
*disable*) rm -f "$HOME/.config/systemd/user/default.target.wants/dbx-agents-proxy.service" ;;
*MainPID*) echo 0 ;;
esac
'''


# A user's own systemd in a mount namespace of its own: the machine needs no systemd that runs.
MANAGER = r'''
set -eu
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/test
chmod 700 /run/user/test
export XDG_RUNTIME_DIR=/run/user/test
/lib/systemd/systemd --user --log-target=null >/dev/null 2>&1 &
manager=$!
trap 'kill -KILL $manager 2>/dev/null || true' EXIT
for _ in $(seq 300); do
    systemctl --user show-environment >/dev/null 2>&1 && break
    kill -0 $manager 2>/dev/null || exit 77
    sleep 0.1
done
systemctl --user show-environment >/dev/null 2>&1 || exit 77
main() { systemctl --user show --property=MainPID --value dbx-agents-proxy.service; }
"$DBX" proxy install --port "$PORT"
echo "active: $(systemctl --user is-active dbx-agents-proxy.service), $(systemctl --user is-enabled dbx-agents-proxy.service)"
systemctl --user show --property=StatusText --value dbx-agents-proxy.service
"$DBX" proxy status --port "$PORT" | head -n 1 | sed "s/process $(main),/process MAIN,/; s/up .*/up/"
first=$(main)
grep -E "^(NoNewPrivs|Seccomp):" /proc/$first/status
[ "$(readlink /proc/$first/ns/mnt)" = "$(readlink /proc/self/ns/mnt)" ] || echo "a file system view of its own"
nsenter -t "$first" -m sh -c 'touch /etc/x 2>/dev/null || echo "/etc is closed"; touch "$0/x" && echo "state is open"' "$HOME/.local/state/dbx-agents"
systemctl --user reload dbx-agents-proxy.service && echo "reloaded: $(systemctl --user is-active dbx-agents-proxy.service)"
kill -KILL "$first"
for _ in $(seq 200); do
    [ "$(systemctl --user is-active dbx-agents-proxy.service)" = active ] && [ "$(main)" != "$first" ] && break
    sleep 0.1
done
[ "$(main)" != "$first" ] && echo "started again: $(systemctl --user is-active dbx-agents-proxy.service)"
"$DBX" proxy uninstall
echo "after: $(systemctl --user is-active dbx-agents-proxy.service || true)"
systemctl --user exit
'''


class ServiceTest(harness.Test):
    def setUp(self):
        super().setUp()
        programs = self.h.base / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text(SYSTEMCTL)
        (programs / "systemctl").chmod(0o755)
        self.h.env["PATH"] = f"{programs}:/usr/bin:/bin"
        self.h.env.pop("HTTPS_PROXY")
        self.h.put(".databrickscfg", f"[DEFAULT]\nhost = {WORKSPACE}\ntoken = {PAT}\n", 0o600)

    def asked(self):
        log = self.h.base / "systemctl.log"
        words = [line.replace("--user --no-pager --no-ask-password ", "") for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return words

    def test_install_and_uninstall_leave_everything_as_it_was(self):
        for folders in ((), (".config",), (".config/systemd/user",), (".config/systemd/user/default.target.wants",)):
            with self.subTest(folders):
                for folder in folders:
                    (self.h.home / folder).mkdir(parents=True, exist_ok=True)
                before = self.h.snapshot()
                result = self.ok(self.h.run("proxy", "install"))
                shown = re.search(r"```console\n\$ dbx-agents proxy install\n(.*?)```", README.read_text(), re.S)[1]
                self.assertEqual(result.out, shown, "the README's transcript")
                self.assertEqual(self.asked(), ["show-environment", "daemon-reload", "enable --now dbx-agents-proxy.service"])
                again = self.ok(self.h.run("proxy", "install"))
                self.says(again, "as it should be")
                self.asked()
                self.ok(self.h.run("proxy", "uninstall"))
                self.assertEqual(self.asked(), ["show-environment", "disable --now dbx-agents-proxy.service", "daemon-reload"])
                self.same_snapshot(self.h.snapshot(), before, "uninstall does not give everything back")
        self.says(self.ok(self.h.run("proxy", "uninstall")), "is no service")

    def test_the_unit_holds_no_token_and_says_what_it_should(self):
        token = "dapi" + "0f" * 16
        self.ok(self.h.run("proxy", "install", env={"DATABRICKS_TOKEN": token, "DATABRICKS_HOST": WORKSPACE}))
        text = self.h.read(UNIT).decode()
        for secret in (PAT, token, "DATABRICKS_TOKEN"):
            self.assertNotIn(secret, text)
        for line in ("Type=notify", "Restart=on-failure", "ExecReload=/bin/kill -HUP $MAINPID", "NoNewPrivileges=yes", "UMask=0077",
                     "LimitCORE=0", "TimeoutStopSec=40", "WantedBy=default.target", f"EnvironmentFile=-{self.h.home}/.config/dbx-agents/proxy.env"):
            self.assertIn("\n" + line + "\n", text)
        if "ProtectSystem" in text:
            self.assertIn(f"\nReadWritePaths={self.h.state}\n", text)
        self.assertEqual(self.h.mode(UNIT), 0o644)
        self.assertEqual(self.h.mode(".local/state/dbx-agents"), 0o700)

    def test_systemd_itself_accepts_the_unit(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        odd = self.h.home / "odd folder %h $HOME;#"
        odd.mkdir()
        program = odd / "dbx-agents"
        program.symlink_to(binary())
        for words, more in (((), {}), (("--port", "9000", "--gateway", WORKSPACE + "/ai-gateway"), {}),
                            ((), {"XDG_STATE_HOME": str(odd / "state"), "PATH": f"{odd}:{self.h.env['PATH']}"})):
            with self.subTest(words=words, more=more):
                self.ok(self.h.run("proxy", "install", *words, env=more, exe=str(program) if more else None))
                # What is verified must be found: the unit is named by its path.
                verified = subprocess.run(["systemd-analyze", "--user", "--man=no", "verify", str(self.h.path(UNIT))], capture_output=True,
                                          text=True, env={**self.h.env, "XDG_RUNTIME_DIR": str(self.h.base), "SYSTEMD_LOG_LEVEL": "warning"})
                ours = [line for line in (verified.stdout + verified.stderr).splitlines() if "dbx-agents" in line or "odd" in line]
                self.assertEqual((verified.returncode, ours), (0, []), verified.stdout + verified.stderr)
                self.ok(self.h.run("proxy", "uninstall", env=more))

    def test_a_real_user_manager_starts_it_keeps_it_up_and_gives_it_back(self):
        if sanitized():
            self.skipTest("the leak check of a sanitizer build does not run in a hardened service")
        if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "systemctl"))) or not os.path.exists("/lib/systemd/systemd"):
            self.skipTest("needs root, unshare, nsenter and systemd")
        self.ok(self.h.run("setup", "claude", "--auth", "proxy", "--yes"))  # a key for `proxy status`
        before = self.h.snapshot()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        env = {**self.h.env, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBX": binary(), "PORT": str(port)}
        ran = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", MANAGER],
                             capture_output=True, text=True, env=env, timeout=240)
        if ran.returncode == 77 or "Operation not permitted" in ran.stderr or ran.stderr.startswith("unshare: "):
            self.skipTest("no user manager can be started here")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        for words in ("active: active, enabled", f"listening on http://127.0.0.1:{port}", f"port {port}, process MAIN, up", "NoNewPrivs:\t1",
                      "reloaded: active", "started again: active", "after: inactive"):
            self.assertIn(words, ran.stdout, ran.stderr)
        if "a file system view of its own" in ran.stdout:
            self.assertIn("/etc is closed\nstate is open", ran.stdout)
        self.same_snapshot(self.h.snapshot(), before, "uninstall does not give everything back")

    def test_a_program_that_systemd_cannot_start_is_refused(self):
        odd = self.h.home / 'odd"folder'
        odd.mkdir()
        (odd / "dbx-agents").symlink_to(binary())
        result = self.h.run("proxy", "install", env={"PATH": f"{odd}:{self.h.env['PATH']}"}, exe=str(odd / "dbx-agents"))
        self.is_error(result, 2, "quote or backslash")

    def test_without_a_manager_it_says_what_to_run(self):
        (self.h.base / "no-manager").touch()
        result = self.ok(self.h.run("proxy", "install"))
        self.says(result, "systemctl --user daemon-reload", "systemctl --user enable --now dbx-agents-proxy.service", where="out")
        self.assertEqual(self.asked(), ["show-environment"])
        document = json.loads(self.ok(self.h.run("proxy", "install", "--json")).out)
        self.assertEqual((document["changed"], document["started"], document["port"]), (False, False, 8790))
        self.assertEqual(len(document["next"]), 2)
        self.ok(self.h.run("proxy", "uninstall"))
        self.assertFalse(self.h.path(".config").exists())

    def test_without_systemd_it_refuses_and_names_another_way(self):
        empty = self.h.base / "empty"
        empty.mkdir()
        before = self.h.snapshot(with_state=True)
        for word in ("install", "uninstall"):
            self.is_error(self.h.run("proxy", word, env={"PATH": str(empty)}), 1, "no systemd", "dbx-agents proxy")
        self.same_snapshot(self.h.snapshot(with_state=True), before, "it wrote something")

    def test_dry_run_prints_the_unit_and_writes_nothing(self):
        before = self.h.snapshot(with_state=True)
        result = self.ok(self.h.run("proxy", "install", "--dry-run"))
        self.says(result, "[Service]", "ExecStart=", where="out")
        self.says(result, "would be written", where="err")
        self.same_snapshot(self.h.snapshot(with_state=True), before, "a dry run wrote something")
        self.assertEqual(self.asked(), [])
        text = result.out
        self.ok(self.h.run("proxy", "install"))
        self.assertEqual(self.h.read(UNIT).decode(), text)
        before = self.h.snapshot(with_state=True)
        self.says(self.ok(self.h.run("proxy", "uninstall", "--dry-run")), "would be removed")
        self.same_snapshot(self.h.snapshot(with_state=True), before, "a dry run wrote something")

    def test_a_credential_of_the_shell_does_not_reach_a_service(self):
        (self.h.home / ".databrickscfg").unlink()
        shell = {"DATABRICKS_TOKEN": PAT, "DATABRICKS_HOST": WORKSPACE}
        self.is_error(self.h.run("proxy", "install", env=shell), 4, "what your shell exports", "proxy.env")
        self.assertFalse(self.h.path(UNIT).exists())
        # As the message says: a file of its own.
        self.h.put(".config/dbx-agents/proxy.env", f"# mine\nDATABRICKS_HOST={WORKSPACE}\nDATABRICKS_TOKEN=\"{PAT}\"\n", 0o600)
        self.ok(self.h.run("proxy", "install"))
        self.assertNotIn(PAT, self.h.read(UNIT).decode())
        self.h.path(".config/dbx-agents/proxy.env").chmod(0o644)
        self.says(self.ok(self.h.run("proxy", "install")), "can be read by others", where="err")

    def test_somebody_elses_unit_stays(self):
        self.h.put(UNIT, "[Service]\nExecStart=/bin/true\n")
        self.is_error(self.h.run("proxy", "install"), 3, "has not written it")
        self.is_error(self.h.run("proxy", "uninstall"), 3, "has not written it")
        self.h.path(UNIT).unlink()
        self.ok(self.h.run("proxy", "install"))
        self.h.put(UNIT, self.h.read(UNIT) + b"# mine\n")
        self.is_error(self.h.run("proxy", "install", "--port", "9000"), 3, "changed since")
        self.is_error(self.h.run("proxy", "uninstall"), 3, "changed since")

    def test_a_changed_unit_restarts_the_service(self):
        self.ok(self.h.run("proxy", "install"))
        self.asked()
        self.ok(self.h.run("proxy", "install", "--port", "9000"))
        self.assertEqual(self.asked()[-1], "restart dbx-agents-proxy.service")
        self.assertIn("proxy --port 9000", self.h.read(UNIT).decode())

    def test_a_start_that_fails_says_where_to_look(self):
        (self.h.base / "broken").touch()
        result = self.h.run("proxy", "install")
        self.is_error(result, 1, "Job for dbx-agents-proxy.service failed", "journalctl", "proxy uninstall", unchanged=False)

    def test_a_running_proxy_on_that_port_is_named(self):
        proxy = Proxy(self.h, "--port", "0")
        self.addCleanup(proxy.kill)
        self.is_error(self.h.run("proxy", "install", "--port", str(proxy.port)), 1, "already running", "proxy stop")
        proxy.stop()

    def test_a_password_in_a_proxys_address_stays_out(self):
        result = self.ok(self.h.run("proxy", "install", env={"HTTPS_PROXY": "http://ada:pa55w0rd@proxy.example:3128", "NO_PROXY": "a.example"}))
        self.says(result, "HTTPS_PROXY may hold a password", where="err")
        text = self.h.read(UNIT).decode()
        self.assertNotIn("pa55w0rd", text)
        self.assertIn("Environment=NO_PROXY=a.example\n", text)

    def test_the_proxy_tells_that_it_is_ready_and_that_it_ends(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                path = str(self.h.base / "notify")
                name = "@dbx-agents-test-%d" % os.getpid() if abstract else path
                manager.bind("\0" + name[1:] if abstract else path)
                manager.settimeout(harness.TIMEOUT)
                proxy = Proxy(self.h, env={"NOTIFY_SOCKET": name})
                self.addCleanup(proxy.kill)
                self.assertEqual(manager.recv(4096).decode(), f"READY=1\nSTATUS=listening on http://127.0.0.1:{proxy.port}")
                proxy.signal(signal.SIGTERM)
                self.assertEqual(manager.recv(4096), b"STOPPING=1")
                self.assertEqual(proxy.wait(), 0)
        for bad in ("relative", "", "/no/such/socket", "/" + "x" * 200):
            proxy = Proxy(self.h, env={"NOTIFY_SOCKET": bad})
            self.assertEqual(proxy.stop(), 0)


if __name__ == "__main__":
    binary()
    unittest.main(verbosity=1)
