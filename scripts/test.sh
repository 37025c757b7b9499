#!/bin/sh
# Builds everything and runs every test: a debug build with g++, then AddressSanitizer and UBSan with clang and the fuzz
# targets. Stops at the first failure. DBX_AGENTS_E2E=1 adds what needs packages of npm: scripts/e2e.sh with the real agents,
# and other implementations of SQL and OTLP. --dev-only: the first half.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

case "${1-}" in
'' | --dev-only) ;;
*) die "unknown option $1" "fix: scripts/test.sh [--dev-only]" ;;
esac

scripts/deps.sh
jobs=$(jobs_that_fit)

build() {
    say "$1: build ($jobs at once)"
    cmake --preset "$1" -DBUILD_TESTING=ON >/dev/null
    cmake --build --preset "$1" --parallel "$jobs"
}
check() {
    say "$1: tests"
    ctest --preset "$1" --parallel "$jobs" --timeout 600
}

build dev
check dev
[ "${1-}" != --dev-only ] || exit 0
build asan
if [ "${DBX_AGENTS_E2E-}" = 1 ] && [ -x scripts/e2e.sh ]; then
    say "end to end, with the real agents"
    scripts/e2e.sh
    say "the managed files of Claude Code and Codex, with the real agents"
    status=0
    DBX_AGENTS_BIN=build/dev/cli/dbx-agents DBX_AGENTS_WORKSPACE=$PWD/build/dev/tests/workspace/dbx-agents-workspace \
        python3 -B tests/e2e/managed.py || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || exit "$status"
    say "the tables' SQL by another grammar"
    status=0
    DBX_AGENTS_BIN=build/dev/cli/dbx-agents python3 -B tests/e2e/ddl_grammar.py || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || exit "$status" # 77: skipped, it said why
    say "the views by another engine"
    status=0
    DBX_AGENTS_BIN=build/dev/cli/dbx-agents DBX_AGENTS_WORKSPACE=build/dev/tests/workspace/dbx-agents-workspace \
        python3 -B tests/e2e/views_duckdb.py || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || exit "$status"
    say "OTLP by another implementation"
    status=0
    DBX_OTLP_TOOL=build/dev/tests/e2e/otlp_tool python3 -B tests/e2e/otlp_peer.py || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || exit "$status"
fi
check asan
