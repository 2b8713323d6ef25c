#!/usr/bin/env bash
# Every test of the workspace. cargo-nextest only runs the same tests faster, each in a process of its own; it does not
# know documentation examples, which go before so that the runner's summary is the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'test: %s\n' "$*" >&2; }

# What independent programs compute from the documents: first, because it takes seconds.
if ! command -v python3 >/dev/null 2>&1; then
    say "python3 is missing (3.9 or newer); install it with: apt-get install python3 (Debian), brew install python3 (macOS), or make setup"
    exit 1
fi
python3 test_vectors/generate.py --check
python3 docs/lwe-estimate.py --check >/dev/null || { say "docs/lwe-estimate.py no longer finds what docs/protocol.md, section 3, claims"; exit 1; }
python3 docs/norm-bound.py --check >/dev/null || { say "docs/norm-bound.py no longer finds the norm proof's table, or that it keeps what docs/protocol.md, section 4.3, claims"; exit 1; }

nextest=no
cargo nextest --version >/dev/null 2>&1 && nextest=yes

# Everything is built for the whole workspace: a single crate would be given other features, and built again.
say "building all tests (about 13 minutes on a clean clone with two cores; target/ grows to about 5 GB)"
if [ "$nextest" = yes ]; then
    cargo nextest run --locked --workspace --no-run
else
    cargo test --locked --workspace --no-run
fi
cargo build --locked --workspace --example backends --example training_backends
target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# A crate's arithmetic once more with every backend that this machine has and did not choose; the others by name.
# backends CRATE VARIABLE EXAMPLE: the example lists them.
backends() {
    local crate=$1 variable=$2 name supported listing
    listing=$("$target/debug/examples/$3")
    while read -r name supported; do
        case $supported in
            chosen) ;;
            yes)
                say "$crate with $variable=$name"
                if [ "$nextest" = yes ]; then
                    env "$variable=$name" cargo nextest run --locked --workspace --lib -E "package($crate)" --status-level fail </dev/null
                else
                    env "$variable=$name" cargo test --locked -p "$crate" --lib --quiet </dev/null
                fi
                ;;
            refused)
                say "FAILED: $crate: backend $name computes something else than the portable one on this processor"
                return 1
                ;;
            *) say "skipped: $crate: backend $name (this processor does not support it)" ;;
        esac
    done <<<"$listing"
}
backends dawn-crypto DAWN_BACKEND backends
backends dawn-learn DAWN_LEARN_BACKEND training_backends

say "dawn-learn without the standard library computes the same"
cargo test --locked -p dawn-learn --no-default-features --test golden --quiet

if [ "$nextest" = yes ]; then
    say "the examples in the documentation (each is compiled, some minutes)"
    cargo test --locked --workspace --doc
    say "all tests; \"2 skipped\" are supervise_until_killed and append_until_killed, which other tests run in processes of their own and kill"
    cargo nextest run --locked --workspace --no-fail-fast
    exit 0
fi

say "all tests; \"ignored\" are supervise_until_killed and append_until_killed, which other tests run in processes of their own and kill"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
awk '
    /^test result: / { for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) passed += $i; if ($(i + 1) ~ /^failed/) failed += $i } }
    END { printf "Summary: %d tests run: %d passed, %d failed\n", passed + failed, passed, failed }' "$log"
exit "$status"
