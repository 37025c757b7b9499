"""The program with an /etc of its own: a mount namespace in which a folder stands in the place of /etc."""

import os
import subprocess

from harness import Result, binary

# The program stands where one for everybody would: in a folder of root's, on a way that everybody may go.
PLACE = "/opt/dbx-agents/bin/dbx-agents"
SCRIPT = f"""set -e; umask 077
mount -t tmpfs -o mode=755 tmpfs /opt; mkdir -p -m 755 /opt/dbx-agents /opt/dbx-agents/bin; touch {PLACE}; mount --bind "$2" {PLACE}
cp /etc/ld.so.cache "$1/" 2>/dev/null || true; mount --bind "$1" /etc; shift 2; exec "$@\""""


def possible():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Etc:
    def __init__(self, home):
        self.home = home
        self.path = home.base / "etc"
        self.put("passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")

    def put(self, rel, data, mode=0o644):
        path = self.path / rel
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)

    def run(self, *args, env=None, exe=None, secrets=()):
        full = {**self.home.env, "PATH": f"{os.path.dirname(PLACE)}:/usr/bin:/bin", **(env or {})}
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", SCRIPT, "sh", str(self.path), binary(), *(exe or [PLACE]), *map(str, args)],
                              env=full, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=self.home.base / "tmp")
        for secret in [*self.home.secrets, *secrets]:
            assert secret not in done.stdout + done.stderr, f"a secret is shown: {secret[:4]}…"
        return Result([str(a) for a in args], done.returncode, done.stdout, done.stderr)
