"""core/otlp against another implementation of OTLP: the npm package @opentelemetry/otlp-transformer, kept in build/e2e/otlp.
Random messages and what the SDK itself serializes: our protobuf of the JSON means to it what its own protobuf means, and what
it encodes is amended and counted as it says itself.

    DBX_OTLP_TOOL=build/dev/tests/e2e/otlp_tool python3 tests/e2e/otlp_peer.py [SEED [MESSAGES]]

Needs node, npm and, the first time, a network: without them it ends with 77 (skipped).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import npm

HERE = Path(__file__).resolve().parent
# The last line of versions that holds all messages as protobufjs generates them; later ones encode by hand.
WANTED = ("@opentelemetry/otlp-transformer@0.208.0",)


def main():
    tool = os.environ.get("DBX_OTLP_TOOL", "")
    if not os.access(tool, os.X_OK):
        sys.exit("DBX_OTLP_TOOL is not an executable file: build the target otlp_tool first")
    folder = npm.packages("otlp", *WANTED)
    seed = sys.argv[1] if len(sys.argv) > 1 else str(time.time_ns() % 2**32)
    messages = sys.argv[2] if len(sys.argv) > 2 else "2000"
    done = subprocess.run(["node", HERE / "otlp_peer.mjs", folder, os.path.abspath(tool), seed, messages], timeout=600, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
