"""npm packages that an opt-in suite compares with: installed once, into a folder of build/e2e."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def skip(why):
    print("skipped: " + why, file=sys.stderr)
    sys.exit(77)


def packages(name, *wanted):
    """The folder build/e2e/NAME, with these packages ("dt-sql-parser@4.5.1") below its node_modules. Ends with 77 (skipped)
    without node and npm, and without a network when something is missing."""
    folder = ROOT / "build/e2e" / name
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    if all((folder / "node_modules" / package.rsplit("@", 1)[0] / "package.json").exists() for package in wanted):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *wanted], cwd=folder, capture_output=True,
                          text=True, timeout=600, check=False)
    if done.returncode != 0:
        skip("npm cannot install " + " ".join(wanted))
    return folder
