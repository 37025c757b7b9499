#!/bin/sh
# Shows what dbx-agents does, in a throw-away home: builds it, sets all agents up over realistic files, shows what changed,
# takes it back, and proves that every file came back byte for byte. Touches nothing of yours, uses no network but apt's.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

scripts/deps.sh --build-only
say "building"
cmake -S . -B build/install -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DDBX_SANITIZE= -DDBX_FUZZ=OFF >/dev/null
cmake --build build/install --parallel "$(jobs_that_fit)"

scene=$(mktemp -d)
trap 'rm -rf "$scene"' EXIT
trap 'exit 130' INT TERM
home=$scene/home
mkdir -p "$home/.codex" "$home/.claude" "$home/.gemini" "$scene/bin"
cp tests/acceptance/files/codex/19-old-databricks-document.toml "$home/.codex/config.toml"
cp tests/acceptance/files/claude/02-portal-crlf.json "$home/.claude/settings.json"
cp tests/acceptance/files/gemini-env/02-company.env "$home/.gemini/.env"
cp tests/acceptance/files/gemini-settings/02-comments.json "$home/.gemini/settings.json"
chmod 644 "$home"/.*/*
cp "$PWD/build/install/cli/dbx-agents" "$scene/bin/dbx-agents"
cp -a "$home" "$scene/before"

# A made-up workspace and token: nothing here is sent anywhere.
dbx_agents() {
    printf '\n$ dbx-agents %s\n' "$*"
    env -i HOME="$home" PATH="$scene/bin:/usr/bin:/bin" TERM="${TERM-dumb}" \
        DATABRICKS_TOKEN=dapi0123456789abcdef0123456789abcdef dbx-agents "$@"
}
listing() { (cd "$1" && find . -type f ! -path './.local/*' -exec sha256sum {} + -exec stat -c '%a %n' {} + | sort -k 2); }

say "a home with files that people have edited by hand for months:"
(cd "$home" && find . -type f | sort)
dbx_agents setup --all --workspace https://adb-1234567890123456.7.azuredatabricks.net --dry-run
dbx_agents setup --all --workspace https://adb-1234567890123456.7.azuredatabricks.net --yes
dbx_agents status
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
