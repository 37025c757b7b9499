#!/bin/sh
# Builds the program and installs it.
#
#   scripts/install.sh [--prefix DIR]              default: /usr/local as root, ~/.local otherwise
#   scripts/install.sh --uninstall [--prefix DIR]  removes exactly what it has installed there, and the folders
#                                                  that it made and that are empty
set -eu
here=$PWD
cd "$(dirname "$0")/.."
. scripts/lib.sh

prefix=
action=install
while [ $# -gt 0 ]; do
    case "$1" in
    --prefix)
        [ $# -ge 2 ] || die "--prefix needs a folder"
        prefix=$2
        shift
        ;;
    --prefix=*) prefix=${1#*=} ;;
    --uninstall) action=uninstall ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) die "unknown option $1" "fix: scripts/install.sh [--prefix DIR] [--uninstall]" ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?HOME is not set}/.local; fi
fi
case "$prefix" in
/*) ;;
*) prefix=$here/$prefix ;;
esac
prefix=$(realpath -m -- "$prefix")
manifest=$prefix/share/dbx-agents/installed-files
folder_list=$prefix/share/dbx-agents/made-folders

# The folders that are not there yet of the files on standard input.
missing_folders() {
    while IFS= read -r file; do
        folder=$(dirname -- "$file")
        while [ ! -e "$folder" ]; do
            printf '%s\n' "$folder"
            folder=$(dirname -- "$folder")
        done
    done | sort -u
}

if [ $action = uninstall ]; then
    [ -f "$manifest" ] || die "nothing to remove: scripts/install.sh has not installed into $prefix" \
        "fix: name the folder: scripts/install.sh --uninstall --prefix DIR"
    while IFS= read -r file; do
        case "$file" in
        "$prefix"/*) rm -f -- "$file" ;;
        esac
    done <"$manifest"
    made=$(cat -- "$folder_list" 2>/dev/null || printf '%s\n' "$(dirname -- "$manifest")")
    rm -f -- "$manifest" "$folder_list"
    # What lies in a folder comes before it; a folder in which somebody keeps something else stays.
    printf '%s\n' "$made" | sort -r | while IFS= read -r folder; do
        [ -L "$folder" ] || rmdir -- "$folder" 2>/dev/null || true
    done
    say "removed dbx-agents from $prefix"
    say "your configuration and state stay: ~/.config/dbx-agents, ~/.local/state/dbx-agents"
    exit 0
fi

made=$(printf '%s\n' "$manifest" | missing_folders)
mkdir -p -- "$prefix" 2>/dev/null || true
[ -w "$prefix" ] || die "cannot install into $prefix" "why: the folder is not writable for you" \
    "fix: scripts/install.sh --prefix ~/.local, or sudo scripts/install.sh"

scripts/deps.sh --build-only
jobs=$(jobs_that_fit)
say "building ($jobs compilers at once)"
cmake -S . -B build/install -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DDBX_SANITIZE= -DDBX_FUZZ=OFF >/dev/null
cmake --build build/install --parallel "$jobs"

say "installing into $prefix"
before=$(cat -- "$manifest" 2>/dev/null || true)
# Installed beside itself first, to know which folders it is going to make.
rm -rf build/install/stage
DESTDIR=$PWD/build/install/stage cmake --install build/install >/dev/null
rm -rf build/install/stage
made=$(printf '%s\n' "$made" && missing_folders <build/install/install_manifest.txt)
DESTDIR='' cmake --install build/install >/dev/null
mkdir -p -- "$(dirname -- "$manifest")"
{ cat -- "$folder_list" 2>/dev/null || true; printf '%s\n' "$made"; } | sed '/^$/d' | sort -u >"$folder_list.new"
mv -- "$folder_list.new" "$folder_list"
{ cat build/install/install_manifest.txt && echo; } | sed '/^$/d' >"$manifest"
# What an earlier version has installed and this one does not.
printf '%s\n' "$before" | while IFS= read -r file; do
    case "$file" in
    "$prefix"/*) grep -qxF -- "$file" "$manifest" || rm -f -- "$file" ;;
    esac
done
# Root's build in somebody's checkout stays usable for that person.
if [ "$(id -u)" = 0 ]; then
    chown -R --reference=. build/install
    chown --reference=. build
fi

program=$prefix/bin/dbx-agents
say "installed: $program ($("$program" --version))"
case ":$PATH:" in
*":$prefix/bin:"*)
    found=$(command -v dbx-agents || true)
    if [ "$found" = "$program" ]; then
        say "it is on your PATH: dbx-agents --help"
    else
        say "but PATH finds another one first: $found"
    fi
    ;;
*)
    say "$prefix/bin is not on your PATH; add this line to your shell's start file:"
    # shellcheck disable=SC2016 # for the reader's shell
    printf '    export PATH="%s/bin:$PATH"\n' "$prefix" >&2
    ;;
esac
