#!/bin/sh
# Formats the tracked sources with clang-format 14 (Debian 12's; other versions lay out differently).
#
#   scripts/format.sh          in place
#   scripts/format.sh --check  changes nothing; exit 1 and the places when something would change,
#                              77 when there is no clang-format 14
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

mode='-i'
case "${1-}" in
--check) mode='--dry-run --Werror' ;;
'') ;;
*) die "unknown option $1" "fix: scripts/format.sh [--check]" ;;
esac

formatter=
for candidate in clang-format-14 clang-format; do
    if [ -z "$formatter" ] && "$candidate" --version 2>/dev/null | grep -q 'version 14\.'; then formatter=$candidate; fi
done
if [ -z "$formatter" ]; then
    say "skipped: no clang-format 14"
    exit 77
fi

# A release archive has no git.
sources() {
    git ls-files -z -- '*.cpp' '*.hpp' 2>/dev/null || find core cli tests -name '*.[ch]pp' -print0
}
# A tracked file may be gone from the working tree.
# shellcheck disable=SC2086,SC2016 # options; the inner shell expands
sources | xargs -0 sh -c 'for file; do [ ! -f "$file" ] || printf "%s\0" "$file"; done' sh |
    xargs -0 "$formatter" --style=file $mode || exit 1
