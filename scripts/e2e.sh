#!/bin/sh
# Real agents from npm (Codex CLI, Claude Code, Gemini CLI) complete a turn each with what setup wrote, against the stand-in
# workspace on 127.0.0.1; revert then gives the files back. Then the cases of the local proxy: the same turn straight and through
# it, tokens that die, 429, 503, cut streams, restarts, limits. Needs npm and, the first time, a network; touches nothing of yours.
#
#   scripts/e2e.sh                    every version, every auth form, and every case of the proxy
#   scripts/e2e.sh --quick            the newest version of each, two auth forms, the main cases
#   scripts/e2e.sh --part turns       without the rest; --part telemetry: metrics, logs and traces in the tables; --part proxy: the
#                                     cases of the proxy alone, --case NAME: one of them
#   scripts/e2e.sh --skip-if-offline  exit 77 when npm or the network is missing
#   scripts/e2e.sh --readme           every row, and its table goes into README.md when all are good
#   scripts/e2e.sh --help             the other options
#
# The agents are kept in build/e2e/agents (about 2 GB; --update asks for the newest versions again), the table of outcomes is
# written to build/e2e/table.md and that of the proxy's cases to proxy.md (of some rows only: …-of-some.md). DBX_AGENTS_BIN and DBX_AGENTS_WORKSPACE name programs that are built already.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

python3 -c 'import tomllib' 2>/dev/null ||
    die "there is no Python 3.11 or later" "why: the suite reads TOML with its standard library" "fix: scripts/deps.sh"

case " $* " in
*' --help '* | *' -h '*) exec python3 -B tests/e2e/e2e.py --help ;;
esac

if [ -z "${DBX_AGENTS_BIN-}" ] || [ -z "${DBX_AGENTS_WORKSPACE-}" ]; then
    say "building"
    cmake --preset dev -DBUILD_TESTING=ON >/dev/null
    cmake --build --preset dev --parallel "$(jobs_that_fit)" --target dbx-agents dbx-agents-workspace >&2
fi
exec python3 -B tests/e2e/e2e.py --program "${DBX_AGENTS_BIN:-build/dev/cli/dbx-agents}" \
    --stand-in "${DBX_AGENTS_WORKSPACE:-build/dev/tests/workspace/dbx-agents-workspace}" "$@"
