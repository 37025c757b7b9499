#!/bin/sh
# Runs the acceptance suite with the program that DBX_AGENTS_BIN names: an installed one, for example.
#
#   DBX_AGENTS_BIN=/usr/bin/dbx-agents DBX_AGENTS_WORKSPACE=…/dbx-agents-workspace scripts/acceptance.sh [GROUP...]
#
# A group is the part of tests/acceptance/test_GROUP.py; without one, all. Exit 1 when one fails.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

[ -x "${DBX_AGENTS_BIN-}" ] || die "DBX_AGENTS_BIN names no program" "fix: DBX_AGENTS_BIN=/usr/bin/dbx-agents scripts/acceptance.sh"
[ -x "${DBX_AGENTS_WORKSPACE-}" ] || die "DBX_AGENTS_WORKSPACE names no program" \
    "fix: cmake --build --preset dev --target dbx-agents-workspace; it is in build/dev/tests/workspace"
[ $# -gt 0 ] || set -- $(cd tests/acceptance && ls test_*.py | sed 's/^test_\(.*\)\.py$/\1/')
failed= skipped= good=0
for group; do
    status=0
    log=$(python3 -B "tests/acceptance/test_$group.py" 2>&1) || status=$?
    case $status in
    0) good=$((good + 1)) ;;
    77) skipped="$skipped $group" ;;
    *)
        failed="$failed $group"
        printf '%s\n' "$log" >&2
        ;;
    esac
    say "$group: exit $status"
done
say "$good groups passed;${skipped:+ skipped:$skipped;} failed:${failed:- none}"
[ -z "$failed" ]
