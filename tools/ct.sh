#!/usr/bin/env bash
# Runs the cases of constant-time/ under valgrind's memcheck, which is told that secrets are undefined and reports every
# branch and address that depends on one (docs/crypto-table.md, section 9). Then leaks that it must find.
#   tools/ct.sh [CASE..]
set -euo pipefail
cd "$(dirname "$0")/.."

stop() {
    printf 'ct: %s\n' "$*" >&2
    exit 1
}

command -v valgrind >/dev/null 2>&1 || stop "valgrind is missing; Debian and Ubuntu have it with its headers:  apt-get install valgrind"
echo '#include <valgrind/memcheck.h>' | cc -E - >/dev/null 2>&1 ||
    stop "valgrind's headers are missing (valgrind/memcheck.h); Fedora has them in valgrind-devel, Debian in valgrind"

# Not AVX-512: valgrind does not know it.
case $(uname -m) in
    x86_64) backends=(portable avx2) ;;
    aarch64) backends=(portable neon) ;;
    *) backends=(portable) ;;
esac
skipped=
if [ "$(uname -m)" = x86_64 ] && ! grep -qw avx2 /proc/cpuinfo; then
    backends=(portable)
    skipped="; skipped: avx2 (this processor does not have it)"
fi

# The profile is the release profile with the names of lines.
cargo build --locked --profile ct -p dawn-constant-time --features valgrind
target=$(cargo metadata --locked --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
program=$target/ct/dawn-constant-time
logs=$target/ct/valgrind
mkdir -p "$logs"

REPORTED=99 # valgrind's exit code when it reported anything

# run BACKEND clean|planted [CASE..]: prints the program's lines; gives valgrind's exit code.
run() {
    local backend=$1 status=0
    shift
    DAWN_BACKEND=$backend valgrind --tool=memcheck --quiet --error-exitcode=$REPORTED --error-limit=no --num-callers=20 \
        --suppressions=constant-time/valgrind.supp --log-file="$logs/$backend-$1.log" \
        "$program" "$@" >"$logs/$backend-$1.out" || status=$?
    cat "$logs/$backend-$1.out"
    # Another backend than the one that was asked for would show nothing about it.
    grep -q "^$backend " "$logs/$backend-$1.out" || stop "the program did not run with $backend"
    return "$status"
}

clean=0 found=0 failed=()
for backend in "${backends[@]}"; do
    status=0
    run "$backend" clean "$@" || status=$?
    counted=$(sed -n 's/.* \([0-9]*\) of \([0-9]*\) clean$/\1 \2/p' "$logs/$backend-clean.out")
    if [ "$status" -ne 0 ] || [ -z "$counted" ] || [ "${counted% *}" -ne "${counted#* }" ] || [ "${counted% *}" -eq 0 ]; then
        failed+=("$backend: leaks, or a case that did not end (exit code $status)")
        # What and where: the first lines of each report.
        grep -E -A6 '(depends on|Use of) uninitialised' "$logs/$backend-clean.log" | sed -E 's/^==[0-9]+== //' | head -n 80 >&2 || true
        echo "ct: all reports are in $logs/$backend-clean.log" >&2
    fi
    clean=$((clean + ${counted%% *} + 0))

    status=0
    run "$backend" planted || status=$?
    counted=$(sed -n 's/.* \([0-9]*\) of \([0-9]*\) found$/\1 \2/p' "$logs/$backend-planted.out")
    if [ "$status" -ne $REPORTED ] || [ -z "$counted" ] || [ "${counted% *}" -ne "${counted#* }" ] || [ "${counted% *}" -eq 0 ]; then
        failed+=("$backend: a planted leak was not found (exit code $status): what is clean above means nothing")
    fi
    found=$((found + ${counted%% *} + 0))
done

for what in "${failed[@]}"; do
    echo "ct: FAILED: $what" >&2
done
echo "ct: $clean cases clean, $found planted leaks found, with ${backends[*]}$skipped; $([ ${#failed[@]} -eq 0 ] && echo passed || echo FAILED)"
[ ${#failed[@]} -eq 0 ]
