#!/bin/sh
# Shows what dbx-agents does, in a throw-away home and against a stand-in workspace on this machine: builds it, sets all agents
# up over realistic files, shows what changed, makes the OpenTelemetry tables, takes everything back, and proves that every
# file came back byte for byte. Touches nothing of yours, uses no network but apt's.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

scripts/deps.sh --build-only
say "building the program, and a stand-in for a Databricks workspace on this machine"
cmake -S . -B build/try -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DDBX_STANDIN=ON >/dev/null
cmake --build build/try --target dbx-agents dbx-agents-workspace --parallel "$(jobs_that_fit)"

scene=$(mktemp -d)
workspace=
trap 'test -z "$workspace" || kill "$workspace" 2>/dev/null; rm -rf "$scene"' EXIT
trap 'exit 130' INT TERM
home=$scene/home
mkdir -p "$home/.codex" "$home/.claude" "$home/.gemini" "$scene/bin"
cp tests/acceptance/files/codex/19-old-databricks-document.toml "$home/.codex/config.toml"
cp tests/acceptance/files/claude/02-portal-crlf.json "$home/.claude/settings.json"
cp tests/acceptance/files/gemini-env/02-company.env "$home/.gemini/.env"
cp tests/acceptance/files/gemini-settings/02-comments.json "$home/.gemini/settings.json"
chmod 644 "$home"/.*/*
cp build/try/cli/dbx-agents "$scene/bin/dbx-agents"
cp -a "$home" "$scene/before"

# The stand-in answers on 127.0.0.1 only, and knows this token: nothing leaves this machine.
build/try/tests/workspace/dbx-agents-workspace --port 0 --state "$scene/workspace" >"$scene/ready" &
workspace=$!
for _ in $(seq 100); do
    [ -s "$scene/ready" ] || sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$scene/ready")
[ -n "$url" ] || die "the stand-in workspace did not start"
dbx_agents() {
    printf '\n$ dbx-agents %s\n' "$*"
    env -i HOME="$home" PATH="$scene/bin:/usr/bin:/bin" TERM="${TERM-dumb}" \
        DATABRICKS_TOKEN=dapi-valid-token-0123456789abcdef dbx-agents "$@"
}
listing() { (cd "$1" && find . -type f ! -path './.local/*' -exec sha256sum {} + -exec stat -c '%a %n' {} + | sort -k 2); }

say "a home with files that people have edited by hand for months:"
(cd "$home" && find . -type f | sort)
dbx_agents setup --all --workspace "$url" --dry-run
dbx_agents setup --all --workspace "$url" --yes
dbx_agents status
dbx_agents doctor || say "doctor found something broken, see above"
dbx_agents tables create --catalog main --schema telemetry --prefix dev
dbx_agents tables check --catalog main --schema telemetry --prefix dev
dbx_agents revert --all --yes

listing "$scene/before" >"$scene/before.txt"
listing "$home" >"$scene/after.txt"
if cmp -s "$scene/before.txt" "$scene/after.txt"; then
    say "every file is back byte for byte, with its mode:"
    cat "$scene/after.txt"
else
    diff "$scene/before.txt" "$scene/after.txt" || true
    die "a file differs from what it was"
fi
