#!/bin/sh
# Proves that a bare Debian is enough: makes one with debootstrap, puts a clone of this repository into it, and runs there what the
# README tells a newcomer to run. Needs root, debootstrap, about 6 GB and apt's network; touches nothing outside its folder.
#
#   scripts/bare-root.sh [--folder DIR] [STEP...]   default: build/bare-root, and every step
#
#   root      the bare system (kept; made again only when it is missing), with a clone of HEAD
#   try       scripts/try.sh
#   test      scripts/test.sh, up to the debug build and its tests (--whole: all of it)
#   package   scripts/package.sh, then: install, run, the acceptance suite with /usr/bin/dbx-agents, remove, purge
#
# The mirror is the one that this machine's own apt uses. Exit 77 without root, debootstrap or that mirror.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

skip() {
    say "skipped: $1"
    exit 77
}
folder=$PWD/build/bare-root
whole=no
steps=
while [ $# -gt 0 ]; do
    case "$1" in
    --folder)
        [ $# -ge 2 ] || die "--folder needs a folder"
        folder=$(realpath -m -- "$2")
        shift
        ;;
    --whole) whole=yes ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0" && exit 0 ;;
    root | try | test | package) steps="$steps $1" ;;
    *) die "unknown word $1" "fix: scripts/bare-root.sh --help" ;;
    esac
    shift
done
steps=${steps:-root try test package}
[ "$(id -u)" = 0 ] || skip "this needs root"
command -v debootstrap >/dev/null || skip "there is no debootstrap (fix: apt-get install debootstrap)"
suite=bookworm
# The first address of that suite in apt's own sources, in either of their two forms.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -n "s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\)  *$suite  *main.*/\2/p" | head -n 1)
[ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk -v suite=$suite 'BEGIN { RS = ""; FS = "\n" }
        { uri = ""; good = 0
          for (i = 1; i <= NF; i++) {
              if ($i ~ /^URIs:/) { split($i, part, " "); uri = part[2] }
              if ($i ~ /^Suites:/ && (" " $i " ") ~ (" " suite " ")) good = 1
          }
          if (good && uri != "") { print uri; exit } }')
[ -n "$mirror" ] || skip "no source of $suite is known to apt on this machine"

root=$folder/root
# A command in the bare system: with its own processes, terminals and shared memory, and nothing of this machine's environment. Its
# root is a mount of its own, so that namespaces can be made in it.
inside() {
    unshare --mount --pid --fork --mount-proc="$root/proc" --kill-child sh -euc '
        mount --rbind "$1" "$1"
        mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$1/dev/pts"
        mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
        exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            TERM=dumb DEBIAN_FRONTEND=noninteractive ${3:+DBX_JOBS="$3"} sh -euc "$2"' sh "$root" "$1" "${DBX_JOBS-}"
}
# What a package needs of devices, without the machine's own.
devices() {
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        [ -e "$root/dev/${device%:*}" ] || mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
    done
    [ -e "$root/dev/tty" ] || mknod -m 666 "$root/dev/tty" c 5 0
    mkdir -p "$root/dev/pts" "$root/dev/shm"
    ln -sfn pts/ptmx "$root/dev/ptmx"
    ln -sfn /proc/self/fd "$root/dev/fd"
}
timed() {
    started=$(date +%s)
    say "$1"
    shift
    "$@"
    say "done in $(($(date +%s) - started)) s"
}

bare_root() {
    if [ ! -e "$folder/made" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        # Packages of the bare system are checked against the machine's own keys of Debian.
        debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
            die "debootstrap failed" "why: see $folder/debootstrap.log"
        # How this machine reaches its mirror (a proxy, a certificate) holds for the bare system as well.
        for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
            [ ! -f "$file" ] || cp -L "$file" "$root$file"
        done
        # Updates and security fixes from where this machine has them.
        printf 'deb %s %s main\n' "$mirror" "$suite" >"$root/etc/apt/sources.list"
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/\[[^]]*\] *//' |
            grep -E "^deb [^ ]+ $suite-(updates|security) " >>"$root/etc/apt/sources.list" || true
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
            awk -v suite=$suite 'BEGIN { RS = ""; FS = "\n" } ("\n" $0) ~ ("\nSuites:.* " suite) { print $0 "\n" }' |
            grep -v '^#' >"$root/etc/apt/sources.list.d/machine.sources" || true
        [ ! -s "$root/etc/apt/sources.list.d/machine.sources" ] || : >"$root/etc/apt/sources.list"
        : >"$folder/made"
    fi
    devices
    rm -rf "$root/src"
    git clone -q --no-hardlinks --depth 1 "file://$PWD" "$root/src"
    say "bare system: $(cat "$root/etc/debian_version"), $(inside 'dpkg-query -f . -W | wc -c') packages; clone of $(git log -1 --format=%h)"
}
run_tests() {
    if [ $whole = yes ]; then
        inside 'cd /src && scripts/test.sh'
    else
        inside 'cd /src && scripts/test.sh --dev-only'
    fi
}
run_package() {
    inside 'cd /src && apt-get install -y -q --no-install-recommends dpkg-dev git lintian >/dev/null && scripts/package.sh'
    inside 'cd /src && scripts/deps.sh && cmake --preset dev -DBUILD_TESTING=ON >/dev/null &&
            cmake --build --preset dev --target dbx-agents-workspace && mkdir -p /keep &&
            cp build/dev/tests/workspace/dbx-agents-workspace /keep/ && cp build/package/*.deb /keep/'
    inside 'apt-get install -y -q /keep/dbx-agents_*.deb && dbx-agents --version && dpkg -L dbx-agents &&
            dpkg -s dbx-agents | grep -E "^(Version|Depends|Section|Architecture)"'
    inside 'cd /src && DBX_AGENTS_BIN=/usr/bin/dbx-agents DBX_AGENTS_WORKSPACE=/keep/dbx-agents-workspace scripts/acceptance.sh'
    inside 'apt-get purge -y -q dbx-agents && ! command -v dbx-agents && ! dpkg -L dbx-agents 2>/dev/null &&
            ! find /usr /etc /var -path "*dbx-agents*" ! -path "/var/lib/dpkg/*" ! -path "/var/log/*" ! -path "/var/cache/*" | grep .'
    say "purged: nothing of it is left"
}
mkdir -p "$folder"
[ -e "$folder/made" ] && [ -d "$root/src" ] || case $steps in *root*) ;; *) steps="root $steps" ;; esac
for step in $steps; do
    case $step in
    root) timed "a bare $suite" bare_root ;;
    try) timed "scripts/try.sh in it" inside 'cd /src && scripts/try.sh' ;;
    test) timed "scripts/test.sh in it" run_tests ;;
    package) timed "the package in it" run_package ;;
    esac
done
