"""What the tests of doctor share: states of a machine, doctor as a user starts it, and fixes applied as they stand there."""

import json
import os
import pathlib
import re
import subprocess
import sys

from harness import HERE, PAT, WORKSPACE, Test, binary

sys.path.insert(0, str(HERE.parent / "workspace"))
import standin  # noqa: E402

OTHER = "dapi" + "0f1e2d3c" * 4
CONFIG, CODEX_ENV = ".codex/config.toml", ".codex/.env"
SETTINGS = ".claude/settings.json"
GEMINI, GEMINI_ENV = ".gemini/settings.json", ".gemini/.env"
DATABASE = ".config/Cursor/User/globalStorage/state.vscdb"
URL = WORKSPACE
KEY = "src.vs.platform.reactivestorage.browser.reactiveStorageServiceImpl.persistentStorage.applicationUser"


def private_mounts():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Base(Test):
    agent = ""
    network = ("--offline",)

    def setUp(self):
        super().setUp()
        self.h.secrets += [OTHER, standin.PAT, standin.NARROW, standin.GUEST]
        self.env = {}
        self.cwd = self.h.base / "tmp"
        self.etc = None
        for name in [name for name in self.h.env if name.lower().endswith("_proxy")]:
            del self.h.env[name]  # they are a finding
        bin_folder = self.h.base / "bin"
        bin_folder.mkdir()
        (bin_folder / "dbx-agents").symlink_to(binary())
        self.h.env["PATH"] = f"{bin_folder}:{self.h.base}/npm/bin:/usr/bin:/bin"

    def install(self, package, name, version):
        folder = self.h.base / "npm/lib/node_modules" / package
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"name": package, "version": version}))
        (folder / "bin/run").write_text("#!/bin/sh\necho started > \"$HOME/STARTED\"\n")
        (folder / "bin/run").chmod(0o755)
        link = self.h.base / "npm/bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"../lib/node_modules/{package}/bin/run")

    def configure(self, agent=None, form="pat", *more, env=None):
        agent = agent or self.agent
        args = ["setup", agent, "--yes", *more]
        if "--workspace" not in more and "--gateway" not in more:
            args += ["--workspace", URL]
        if form:
            args += ["--auth", form]
        return self.ok(self.h.run(*args, env={"DATABRICKS_TOKEN": PAT, **(env or {})}))

    def shell(self, command, *args, env=None):
        """Runs a command line as a user's shell would, then doctor in the same shell if `args` are given."""
        full = {**self.h.env, **self.env, **(env or {})}
        full = {name: value for name, value in full.items() if value is not None}
        text = command + ('\nexec dbx-agents "$@"' if args else "")
        argv = ["sh", "-c", text, "sh", *args]
        if self.etc:
            script = 'cp /etc/ld.so.cache "$1/" 2>/dev/null; mount --bind "$1" /etc; shift; exec "$@"'
            argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", str(self.etc), *argv]
        done = subprocess.run(argv, env=full, cwd=self.cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        for secret in self.h.secrets:
            self.assertNotIn(secret, done.stdout + done.stderr, "a secret is shown")
        return done

    def doctor(self, *agents, before=":", env=None):
        agents = agents or ((self.agent,) if self.agent else ())
        state = self.h.snapshot()
        done = self.shell(before, "doctor", "--json", *self.network, *agents, env=env)
        self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
        document = json.loads(done.stdout)
        broken = [f for f in document["findings"] if f["severity"] == "broken"]
        self.assertEqual(done.returncode, 1 if broken else 0, done.stdout)
        self.assertEqual(document["broken"], len(broken))
        if before == ":":
            self.same_snapshot(self.h.snapshot(), state, "doctor writes nothing")
        text = self.shell(before, "doctor", *self.network, *agents, env=env)
        for finding in document["findings"]:
            for member in ("id", "severity", "what", "fix"):
                self.assertTrue(finding[member], f"{member} is empty: {finding}")
        self.assertEqual(text.stdout.count("fix: "), len(document["findings"]), text.stdout)
        self.document = document
        return {f["id"]: f for f in document["findings"]}

    def sick(self, name, severity="broken", *agents, env=None, file=None, line=None):
        findings = self.doctor(*agents, env=env)
        self.assertIn(name, findings, json.dumps(self.document, indent=1))
        finding = findings[name]
        self.assertEqual(finding["severity"], severity, finding)
        if file:
            self.assertEqual(finding["file"], str(file))
        if line:
            self.assertEqual(finding["line"], line)
        return finding

    def healthy(self, name, *agents, before=":", env=None):
        findings = self.doctor(*agents, before=before, env=env)
        self.assertNotIn(name, findings, json.dumps(self.document, indent=1))
        return findings

    def cured(self, name, severity="broken", *agents, env=None, token=None, file=None, line=None):
        """Sees the finding, runs its fix as a command, and sees it gone."""
        finding = self.sick(name, severity, *agents, env=env, file=file, line=line)
        fix = finding["fix"].split(", also in your shell")[0].removeprefix("to try them: ").removeprefix("if that happens: ")
        words = fix.split()
        self.assertIn(words[0], ("dbx-agents", "chmod", "mkdir", "export", "unset"), finding)
        if words[:2] == ["dbx-agents", "setup"]:
            fix += " --yes"
        fix = fix.replace("https://YOUR-WORKSPACE", URL)
        if words[0] in ("export", "unset"):
            self.healthy(name, *agents, before=fix, env=env)
        else:
            done = self.shell(fix, env={**(env or {}), "DATABRICKS_TOKEN": token or PAT})
            self.assertEqual(done.returncode, 0, f"{fix}\n{done.stdout}{done.stderr}")
            self.healthy(name, *agents, env=env)
        return finding

    def set_as_told(self, finding, env=None):
        """Applies a fix that names a setting of dbx-agents' own configuration and the command that then takes it up."""
        told = re.fullmatch(r'set (\w+) = "([^"]+)" under \[([\w.]+)\] in ~/(\S+?), then (dbx-agents setup .+)', finding["fix"])
        self.assertTrue(told, finding)
        setting, value, table, file, command = told.groups()
        self.h.put(file, f'[{table}]\n{setting} = "{value}"\n')
        self.ok_shell(command + " --yes", env=env)

    def ok_shell(self, command, env=None):
        done = self.shell(command, env=env)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done

    def edit(self, rel, old, new):
        text = self.h.read(rel).decode()
        self.assertIn(old, text)
        mode = self.h.mode(rel)
        self.h.put(rel, text.replace(old, new, 1), mode=mode)

    def lines_gone(self, path, number):
        path = pathlib.Path(path)
        lines = path.read_text().split("\n")
        del lines[number - 1]
        path.write_text("\n".join(lines))  # the mode stays

    def json_file(self, rel, change=None):
        value = json.loads(self.h.read(rel))
        if change:
            change(value)
            self.h.put(rel, json.dumps(value, indent=2) + "\n", mode=self.h.mode(rel))
        return value

    def with_etc(self, **files):
        if not private_mounts():
            self.skipTest("needs root and mount namespaces")
        self.etc = self.h.base / "etc"
        for name, text in {**files, "passwd": "root:x:0:0::/:/bin/sh\n"}.items():
            path = self.etc / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
