# What the scripts share; sourced. Every script runs with set -eu and from the root of the repository.

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

# How many compilers at once: one per processor, but no more than there is memory for (about 1.5 GB each).
jobs_that_fit() {
    processors=$(nproc 2>/dev/null || echo 2)
    memory_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null || true)
    fit=$((${memory_kb:-3000000} / 1500000))
    [ "$fit" -ge 1 ] || fit=1
    [ "$fit" -le "$processors" ] || fit=$processors
    echo "${DBX_JOBS:-$fit}"
}
