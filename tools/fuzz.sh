#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (60) each, or those named in ARGS, one after the other. What is found is written to
# fuzz/artifacts/ and ends the run with an error; what is learnt stays in fuzz/corpus/.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

need() {
    echo "fuzz: $1 is missing. Get it with: $2" >&2
    exit 2
}
cargo +nightly --version >/dev/null 2>&1 || need "the nightly toolchain" "rustup toolchain install nightly --profile minimal"
cargo +nightly fuzz --version >/dev/null 2>&1 || need "cargo-fuzz" "cargo install --locked cargo-fuzz"
command -v c++ >/dev/null 2>&1 || need "a C++ compiler (for libFuzzer)" "apt-get install g++"

mapfile -t all < <(cargo +nightly fuzz list --fuzz-dir fuzz)
targets=("${@:-${all[@]}}")
echo "fuzz: building (minutes, the first time)"
if ! nice -n 5 cargo +nightly fuzz build --fuzz-dir fuzz; then
    echo "fuzz: FAILED: the targets do not compile" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=() total=0
for target in "${targets[@]}"; do
    options=(-max_total_time="$seconds" -timeout=60 -rss_limit_mb=3072 -print_final_stats=1)
    # Inputs that are read as choices need their whole length from the start.
    case $target in
        audit) options+=(-len_control=0 -max_len=100) ;;
        shamir | merkle | tiles | logs | register) options+=(-len_control=0 -max_len=200) ;;
        mask | gaussian | judging) options+=(-len_control=0 -max_len=1200) ;;
    esac
    status=0
    nice -n 5 cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- "${options[@]}" >"$log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    last=$(grep -aE '^#[0-9]+[[:space:]]' "$log" | tail -1)
    cover=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' <<<"$last")
    inputs=$(sed -nE 's/.* corp: ([0-9]+)\/.*/\1/p' <<<"$last")
    total=$((total + ${runs:-0}))
    printf 'fuzz: %-11s %9s runs, %6s/s, %6s edges, %5s inputs kept' "$target" "${runs:-?}" "${rate:-?}" "${cover:-?}" "${inputs:-?}"
    if [ "$status" -eq 0 ]; then
        echo
        continue
    fi
    failed+=("$target")
    echo ', FINDING'
    artefact=$(sed -nE 's/.*Test unit written to (.*)/\1/p' "$log" | tail -1)
    grep -aE 'panicked at|ERROR: |SUMMARY: ' -A 2 "$log" | head -20 >&2
    if [ -n "$artefact" ]; then
        echo "fuzz: the input is $artefact" >&2
        echo "fuzz: again with: cargo +nightly fuzz run --fuzz-dir fuzz $target $artefact" >&2
    else
        tail -20 "$log" >&2
    fi
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "fuzz: FAILED: findings in ${failed[*]}; ${#targets[@]} targets, $total runs" >&2
    exit 1
fi
echo "fuzz: passed: ${#targets[@]} targets, $total runs, no findings"
