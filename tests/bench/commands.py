#!/usr/bin/env python3
"""How long the commands take that agents and onboarding scripts call, beside `curl --version`: one run, interleaved, medians.

    tests/bench/commands.py [--binary FILE] [--workspace FILE] [--rounds N]

Wall time and processor time of each, as ratios to curl's. Exit 1 when a goal is missed.
"""

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENT = {"DATABRICKS_CLIENT_ID": "11111111-2222-3333-4444-555555555555", "DATABRICKS_CLIENT_SECRET": "dose-valid-secret-0123456789abcdef"}


def timed(argv, env):
    before, at = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True)
    wall = time.perf_counter() - at
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{argv} ended with {done.returncode}\n{done.stderr.decode()}")
    return wall * 1e3, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/release/cli/dbx-agents", type=Path)
    parser.add_argument("--workspace", default=ROOT / "build/release/tests/workspace/dbx-agents-workspace", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    if not shutil.which("curl"):
        print("curl is not installed; nothing is measured", file=sys.stderr)
        return 77
    binary = str(options.binary.resolve())
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([options.workspace.resolve(), "--port", "0", "--state", f"{folder}/w"], stdout=subprocess.PIPE, text=True)
        try:
            url = re.search(r"http\S+", server.stdout.readline())[0]
            Path(folder, "home").mkdir()
            env = {"HOME": f"{folder}/home", "PATH": os.environ["PATH"], "DATABRICKS_HOST": url, **CLIENT}
            subprocess.run([binary, "setup", "--all", "--yes", "--workspace", url, "--auth", "proxy"], env=env, check=True, capture_output=True)
            subprocess.run([binary, "auth", "token"], env=env, check=True, capture_output=True)  # from here on it is cached
            commands = {
                "curl --version": (["curl", "--version"], None),
                "dbx-agents --version": ([binary, "--version"], None),
                "auth token, cached": ([binary, "auth", "token"], 1.5),
                "status": ([binary, "status"], None),
                "setup --all again": ([binary, "setup", "--all", "--yes", "--workspace", url, "--auth", "proxy"], None),
            }
            wall, cpu = ({name: [] for name in commands} for _ in range(2))
            for n in range(options.rounds):
                for name in commands if n % 2 == 0 else reversed(commands):
                    a, b = timed(commands[name][0], env)
                    wall[name].append(a)
                    cpu[name].append(b)
        finally:
            server.terminate()
            server.wait()
    base, failed = statistics.median(wall["curl --version"]), False
    print("| command | ms | ÷ curl --version | CPU ms | goal | |\n|---|--:|--:|--:|---|---|")
    for name, (_, goal) in commands.items():
        ratio = statistics.median(wall[name]) / base
        bad = goal is not None and ratio > goal
        failed = failed or bad
        print(f"| {name} | {statistics.median(wall[name]):.1f} | {ratio:.2f} | {statistics.median(cpu[name]):.1f} | "
              f"{f'≤ {goal:g}×' if goal else ''} | {'FAIL' if bad else 'pass' if goal else ''} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
