#!/bin/sh
# An example for a fleet: puts the coding agents of the user who runs it behind the AI Gateway. Made for device
# management and login hooks: no terminal, no network, no secret, and running it again changes nothing.
#
#   scripts/onboard-example.sh [AGENT...]     default: the four, and further ones that are installed
#
# The workspace comes from /etc/dbx-agents/config.toml (or DBX_AGENTS_WORKSPACE). It ends with
#   0   configured, or already so
#   1   dbx-agents is not installed, or failed for a reason of its own
#   2   the organisation's configuration is wrong: tell its maintainer, do not try again
#   3   a file of this user's cannot be parsed or written: its name is in the message, the user corrects it
#   4   no credential that the agent could use: the user logs in (databricks auth login), the next run takes it
#   6   somebody else held the lock for 30 seconds: run it again later
set -u

log() { printf 'onboard: %s\n' "$*" >&2; }

if ! command -v dbx-agents >/dev/null 2>&1; then
    log "dbx-agents is not on PATH ($PATH)"
    exit 1
fi
[ $# -gt 0 ] || set -- --all

# 0: nothing to do; 10: something would change; anything else is told again, with its reason, by the setup below.
if dbx-agents setup "$@" --check --quiet >/dev/null 2>&1 </dev/null; then
    log "already configured"
    exit 0
fi

for try in 1 2; do
    dbx-agents setup "$@" --yes </dev/null
    code=$?
    [ "$code" -eq 6 ] && [ "$try" -eq 1 ] || break
done
case $code in
0) log "configured" ;;
2) log "the configuration is wrong; nothing was changed" ;;
3) log "a file cannot be parsed or written; nothing was changed" ;;
4) log "no credential yet; nothing was changed" ;;
6) log "another setup is running; nothing was changed" ;;
*) log "failed with $code" ;;
esac
exit "$code"
