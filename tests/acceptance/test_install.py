"""scripts/install.sh into a folder and out of it again.

The compiler is left out: a cmake on PATH skips configuring and building, and installs what this build tree has built.
"""

import shutil
import subprocess
from pathlib import Path

from harness import Test, binary, main

ROOT = Path(__file__).resolve().parents[2]
CMAKE = """#!/bin/sh
case "$1" in
-S | --build) mkdir -p build/install ;;
--install)
    # Other tests install from this tree at the same time: its own list of files may be theirs.
    "$REAL_CMAKE" -DCMAKE_INSTALL_PREFIX="$PREFIX" -DCMAKE_INSTALL_COMPONENT= -P "$BUILD/cmake_install.cmake" &&
        (cd "$DESTDIR$PREFIX" && find . -type f ! -path ./share/dbx-agents/\\* ! -name mine\\* | sed "s|^\\.|$PREFIX|") >build/install/install_manifest.txt
    ;;
esac
"""


def tree(folder):
    """Every path below, with the bytes of files."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


class Install(Test):
    def setUp(self):
        super().setUp()
        self.build = Path(binary()).resolve().parents[1]
        if not (self.build / "cmake_install.cmake").exists() or not shutil.which("cmake"):
            self.skipTest("not a build tree")
        self.checkout = self.h.base / "checkout"
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts")
        tools = self.h.base / "tools"
        tools.mkdir()
        (tools / "cmake").write_text(CMAKE)
        (tools / "cmake").chmod(0o755)
        self.env = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(self.h.home), "DBX_NO_DEPS": "1", "REAL_CMAKE": shutil.which("cmake"), "BUILD": str(self.build)}
        self.outer = self.h.base / "outer"
        self.outer.mkdir()

    def script(self, prefix, *args, code=0):
        done = subprocess.run([self.checkout / "scripts/install.sh", *args, "--prefix", prefix], env={**self.env, "PREFIX": str(prefix)},
                              cwd=self.h.base, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def test_the_tree_is_as_before(self):
        """A folder that was not there goes with the last file in it; what was there stays, empty folders included."""
        prefix = self.outer / "a" / "prefix"
        self.script(prefix)
        for rel in ("bin/dbx-agents", "share/bash-completion/completions/dbx-agents", "share/zsh/site-functions/_dbx-agents",
                    "share/fish/vendor_completions.d/dbx-agents.fish", "share/man/man1/dbx-agents.1"):
            self.assertTrue((prefix / rel).is_file(), rel)
        done = subprocess.run([prefix / "bin/dbx-agents", "--version"], capture_output=True, text=True, timeout=30)
        self.assertRegex(done.stdout, r"^dbx-agents \d")
        self.script(prefix, "--uninstall")
        self.assertEqual(tree(self.outer), {})

        (prefix / "share/fish/vendor_completions.d").mkdir(parents=True)
        (prefix / "share/bash-completion").mkdir()
        (prefix / "bin").mkdir()
        (prefix / "bin/mine").write_text("mine")
        before = tree(self.outer)
        self.script(prefix)
        self.script(prefix)  # an upgrade does not forget what the first one made
        self.assertNotEqual(tree(self.outer), before)
        self.script(prefix, "--uninstall")
        self.assertEqual(tree(self.outer), before)

    def test_a_folder_with_something_of_somebody_else_stays(self):
        prefix = self.outer / "prefix"
        self.script(prefix)
        (prefix / "share/zsh/site-functions/_mine").write_text("mine")
        self.script(prefix, "--uninstall")
        self.assertEqual([rel for rel, data in tree(prefix).items() if data is not None], ["share/zsh/site-functions/_mine"])
        self.assertIn("nothing to remove", self.script(prefix, "--uninstall", code=1))


if __name__ == "__main__":
    main()
