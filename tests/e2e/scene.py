"""A throw-away HOME in which a real agent runs, and what its files must be after revert."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

from agents import Turn, Unexpected, readers, want

COMMAND_SECONDS = 60
TURN_SECONDS = 300  # far more than any turn needs: a hang is a failure, not a stuck build
MISSING = object()


def run(argv, environment, cwd, seconds):
    """A command in a process group of its own, all of which ends with it: agents leave helpers behind."""
    process = subprocess.Popen([str(word) for word in argv], env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise Unexpected(f"no end after {seconds} s: {argv[0]}\n{clip(out)}\n{clip(err)}") from late
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return Turn(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def clip(text, limit=3000):
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return text if len(text) <= limit else text[:limit] + f"\n… ({len(text)} characters)"


class Scene:
    """A throw-away HOME with the user's files, and the programs by name on PATH."""

    def __init__(self, base, agent, prefix, program, files):
        self.base = Path(tempfile.mkdtemp(prefix=f"{agent.name}-", dir=base))
        self.home, self.temporary, self.project, self.bin = (self.base / name for name in ("home", "tmp", "project", "bin"))
        for folder in (self.home, self.temporary, self.project, self.bin):
            folder.mkdir()
        self.agent = agent
        (self.bin / agent.name).symlink_to(prefix / "node_modules/.bin" / agent.name)  # as npm leaves it on PATH
        (self.bin / "dbx-agents").symlink_to(program)
        (self.bin / "node").symlink_to(shutil.which("node"))
        for name, data in files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o644)

    def close(self):
        shutil.rmtree(self.base, ignore_errors=True)

    def environment(self, **more):
        return {"HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(self.temporary), "LANG": "C.UTF-8",
                "TERM": "dumb", **more}

    def dbx_agents(self, *words, code=0, **more):
        result = run([self.bin / "dbx-agents", *words], self.environment(**more), self.project, COMMAND_SECONDS)
        want(result.code == code, f"dbx-agents {' '.join(words)} ended with {result.code}, not {code}\n{clip(result.out + result.err)}")
        return result

    def snapshot(self):
        """path -> (mode, bytes) of every file of the HOME; not dbx-agents' own state."""
        seen = {}
        for folder, folders, names in os.walk(self.home):
            inside = os.path.relpath(folder, self.home)
            if inside == ".local/state":
                folders[:] = [name for name in folders if name != "dbx-agents"]
            for name in names:
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink():
                    seen[os.path.normpath(os.path.join(inside, name))] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        return seen


def check_reverted(agent, before, written, used, after):
    """Bytes and mode where nobody wrote after setup; key by key where the agent did."""
    touched = {name for name in before.keys() | written.keys() if before.get(name) != written.get(name)}
    want(touched and touched <= agent.ours, f"setup wrote {sorted(touched)}")
    by_key = []
    for name in sorted(touched):
        if used.get(name) == written.get(name):
            want(after.get(name) == before.get(name),
                 f"{name} is not as before:\n--- before\n{before.get(name)}\n--- after revert\n{after.get(name)}")
            continue
        by_key.append(name)
        want(name in agent.parse, f"{agent.title} rewrote {name}, which has no keys to compare")
        flat = [readers.flatten(agent.parse[name](state[name][1])) if name in state else {} for state in (before, written, used, after)]
        for key in set().union(*flat):
            old, ours, theirs, now = (values.get(key, MISSING) for values in flat)
            wanted = old if theirs == ours else theirs
            want(now == wanted, f"{name}: {'.'.join(key)} is not as before ({agent.title} had rewritten the file)")
    others = [name for name in before if name not in touched and after.get(name) != used.get(name)]
    want(not others, f"revert changed {others}")
    return by_key
