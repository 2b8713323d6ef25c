#!/usr/bin/env bash
# Runs a part of the tests under Miri, which sees undefined behaviour that happens to work: the unsafe code of the AVX2
# backend, the arithmetic without vectors, and the parsers. Miri is some thousand times slower than the processor, so
# it is given the tests that say much in little time, with few cases each. NEON and AVX-512 are not run: their kernels are
# the same code over other intrinsics, of which Miri knows few.
set -euo pipefail
cd "$(dirname "$0")/.."

miri() { cargo +nightly miri "$@"; }
need="rustup component add miri rust-src --toolchain nightly"
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "miri: the nightly toolchain is missing. Get it with: rustup toolchain install nightly --profile minimal && $need" >&2
    exit 2
fi
if ! miri --version >/dev/null 2>&1 || [ ! -d "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library" ]; then
    echo "miri: Miri or the standard library's source is missing; both need the network once. Get them with: $need" >&2
    exit 2
fi

# Tests read the environment and files of the repository.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
export PROPTEST_CASES=${PROPTEST_CASES:-1} DAWN_BACKEND_CASES=${DAWN_BACKEND_CASES:-1}

# run NAME FLAGS PACKAGE-AND-TARGET... -- FILTER...: every filter must meet a test.
passed=0
compared=
run() {
    local name=$1 flags=$2 began=$SECONDS log status=0 count
    shift 2
    log=$(mktemp)
    echo "miri: $name"
    RUSTFLAGS="$flags" cargo +nightly miri test --locked "$@" >"$log" 2>&1 || status=$?
    count=$(sed -nE 's/^test result: ok\. ([0-9]+) passed.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    compared=$(sed -n 's/.*compared with portable: //p' "$log" | head -1)
    if [ "$status" -ne 0 ] || [ "$count" -eq 0 ]; then
        grep -vE '^ +(Compiling|Downloaded|Blocking)' "$log" | tail -60 >&2
        rm -f "$log"
        echo "miri: FAILED: $name ($count tests passed before)" >&2
        exit 1
    fi
    rm -f "$log"
    passed=$((passed + count))
    echo "miri: $name: $count tests, $((SECONDS - began)) s"
}

run "arithmetic and encodings without vectors" "" -p dawn-crypto --lib -- \
    field:: params:: digest:: secret:: merkle::tests::hostile_proofs_never_panic merkle::tests::known_roots \
    shamir::tests::hostile_bytes_never_panic shamir::consistency::tests::other_encodings_are_refused shamir::threshold:: \
    mask::tests::hostile_payloads_never_panic
if [ "$(uname -m)" = x86_64 ]; then
    # Under Miri a feature is there when the program is compiled for it.
    run "the AVX2 backend against the portable one" "-Ctarget-feature=+avx2" -p dawn-crypto --lib -- \
        --nocapture backend::tests::same_bytes_on_random_and_edge_inputs \
        backend::tests::same_samples_on_random_and_edge_numbers
    # The test says what it compared: without a vector backend it would pass as well.
    if [ "$compared" != avx2 ]; then
        echo "miri: FAILED: the AVX2 backend did not run" >&2
        exit 1
    fi
else
    echo "miri: skipped: the AVX2 backend (another processor)"
fi
run "documents and envelopes" "" -p dawn-identity --test identity -- canonical::
run "statements and containers" "" -p dawn-protocol --test rounds -- statements::garbage_never_panics containers::lengths
echo "miri: passed: $passed tests"
