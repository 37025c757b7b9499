#!/bin/sh
# Builds the Debian package: build/package/dbx-agents_VERSION_ARCH.deb.
#
#   scripts/package.sh          builds it; lintian looks at it where there is one
#   scripts/package.sh --test   then unpacks it into a scratch root and runs the acceptance suite with the program in there
#                               (build/dev has the stand-in workspace; it is built when it is missing)
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

test=no
case "${1-}" in
--test) test=yes ;;
-h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit 0 ;;
'') ;;
*) die "unknown option $1" "fix: scripts/package.sh [--test]" ;;
esac
for tool in dpkg-deb dpkg-shlibdeps dpkg-buildflags gzip; do
    command -v $tool >/dev/null || die "there is no $tool" "fix: apt-get install dpkg-dev gzip"
done

scripts/deps.sh --build-only
jobs=$(jobs_that_fit)
say "building ($jobs compilers at once)"
# The changelog's date is the last commit's, so that the same source gives the same package.
when=$(git log -1 --format=%aD 2>/dev/null) || when=$(date -R)
CXXFLAGS="$(dpkg-buildflags --get CXXFLAGS) $(dpkg-buildflags --get CPPFLAGS)" LDFLAGS="$(dpkg-buildflags --get LDFLAGS) -Wl,-z,now" \
    cmake -S . -B build/package -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX=/usr -DDBX_PACKAGE=ON -DDBX_ZSH_FUNCTIONS=share/zsh/vendor-completions \
    -DDBX_PACKAGE_DATE="$when" -DDBX_SANITIZE= -DDBX_FUZZ=OFF >/dev/null
cmake --build build/package --parallel "$jobs"
say "packing"
rm -f build/package/*.deb
(umask 022 && cd build/package && cpack >cpack.log 2>&1) || die "cpack failed" "why: see build/package/cpack.log"
package=$(echo build/package/dbx-agents_*.deb)
[ -f "$package" ] || die "cpack has built no package" "why: see build/package/cpack.log"

if command -v lintian >/dev/null; then
    say "lintian"
    as_user=
    [ "$(id -u)" != 0 ] || as_user=--allow-root
    lintian $as_user --fail-on error,warning "$package" >&2 || die "lintian does not accept the package"
else
    say "lintian is not installed: nobody has looked at the package"
fi
say "built: $package"

if [ $test = yes ]; then
    if [ ! -x build/dev/tests/workspace/dbx-agents-workspace ]; then
        cmake --preset dev -DBUILD_TESTING=ON >/dev/null
        cmake --build --preset dev --parallel "$jobs" --target dbx-agents-workspace
    fi
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    dpkg-deb -x "$package" "$root"
    say "the acceptance suite, with the package's program"
    DBX_AGENTS_BIN=$root/usr/bin/dbx-agents DBX_AGENTS_WORKSPACE=$PWD/build/dev/tests/workspace/dbx-agents-workspace \
        scripts/acceptance.sh
fi
