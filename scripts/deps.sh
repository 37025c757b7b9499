#!/bin/sh
# Installs the packages that building and testing need. Does nothing when all are there.
#
#   scripts/deps.sh               everything
#   scripts/deps.sh --build-only  what the program itself needs to be built
#
# DBX_NO_DEPS=1 skips it, where the libraries come from elsewhere than apt.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

# A line is a package; "a|b" is the first of them that this release has.
build_packages='
g++
cmake
ninja-build
ca-certificates
libcli11-dev
libtomlplusplus-dev
nlohmann-json3-dev
libcurl4-openssl-dev|libcurl4-gnutls-dev
libfmt-dev
libboost1.81-dev|libboost1.83-dev|libboost1.88-dev
libssl-dev
libsqlite3-dev
libprotozero-dev
libexpected-dev
zlib1g-dev
libmd-dev
'
test_packages='
ccache
git
curl
python3
doctest-dev
patch
clang
clang-format
libclang-rt-14-dev|libclang-rt-dev
zsh
fish
bash-completion
mandoc
chromium|chromium-browser
'

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

wanted="$build_packages $test_packages"
case "${1-}" in
--build-only) wanted=$build_packages ;;
-h | --help) usage && exit 0 ;;
'') ;;
*) die "unknown option $1" "fix: scripts/deps.sh [--build-only]" ;;
esac

if [ "${DBX_NO_DEPS-}" = 1 ]; then
    say "packages are not looked at (DBX_NO_DEPS=1)"
    exit 0
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # shellcheck disable=SC2046 # a line each
    die "this system has no apt" \
        "why: packages are known here for Debian 12 and its relatives" \
        "fix: install the equivalents of these, then set DBX_NO_DEPS=1:" \
        $(echo "$wanted" | tr '|' ' ' | awk 'NF { print $1 }')
fi

# "name status" of every package that is known to dpkg; only "installed" counts.
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')
is_installed() { printf '%s\n' "$installed" | grep -qxF "$1"; }

missing=
for line in $wanted; do
    found=no
    for package in $(echo "$line" | tr '|' ' '); do
        if is_installed "$package"; then found=yes; fi
    done
    [ $found = yes ] || missing="$missing $line"
done
if [ -z "$missing" ]; then
    say "all packages are installed"
    exit 0
fi

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
        die "packages are missing, and you are not root and have no sudo" "missing:$missing" \
            "fix: run scripts/deps.sh as root once"
    as_root=sudo
fi

apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@"; }

say "updating the package lists"
apt_get update -q >&2 || apt_get update -q >&2 || say "the package lists could not be updated; trying with those that are here"

packages=
for line in $missing; do
    chosen=
    for package in $(echo "$line" | tr '|' ' '); do
        if [ -z "$chosen" ] && apt-cache show "$package" >/dev/null 2>&1; then chosen=$package; fi
    done
    [ -n "$chosen" ] ||
        die "there is no package $line" "why: this release does not have it, or the machine is offline" \
            "fix: check the network and /etc/apt/sources.list*, then run scripts/deps.sh again"
    packages="$packages $chosen"
done

say "installing:$packages"
# shellcheck disable=SC2086 # a list of words
apt_get install -y -q --no-install-recommends $packages >&2 ||
    die "the packages could not be installed" "why: apt-get's own words are above; most often the machine is offline" \
        "fix: check the network, then run scripts/deps.sh again"
say "installed"
