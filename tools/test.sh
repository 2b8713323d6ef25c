#!/usr/bin/env bash
# Every test of the workspace. cargo-nextest only runs the same tests faster, each in a process of its own; it does not
# know documentation examples, which go first so that the runner's summary is the last line.
set -euo pipefail
cd "$(dirname "$0")/.."

# What independent programs compute from the documents: first, because it takes seconds.
if ! command -v python3 >/dev/null 2>&1; then
    echo "test: python3 is missing (3.9 or newer); install it with: apt-get install python3 (Debian), brew install python3 (macOS), or make setup" >&2
    exit 1
fi
python3 test_vectors/generate.py --check
python3 docs/lwe-estimate.py --check >/dev/null || { echo "test: docs/lwe-estimate.py no longer finds what docs/protocol.md, section 3, claims" >&2; exit 1; }

# The arithmetic once more with every backend that this machine has and did not choose; the others by name.
backends() {
    local name supported
    while read -r name supported; do
        case $supported in
            chosen) ;;
            yes)
                echo "test: dawn-crypto with DAWN_BACKEND=$name"
                DAWN_BACKEND=$name cargo test --locked -p dawn-crypto --lib --quiet
                ;;
            refused)
                echo "test: FAILED: backend $name computes something else than the portable one on this processor" >&2
                return 1
                ;;
            *) echo "test: skipped: backend $name (this processor does not support it)" ;;
        esac
    done < <(cargo run --locked --quiet -p dawn-crypto --example backends)
}

if cargo nextest --version >/dev/null 2>&1; then
    cargo test --locked --workspace --doc --quiet
    backends
    cargo nextest run --locked --workspace --no-fail-fast
    exit 0
fi

backends
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
awk '
    /^test result: / { for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) passed += $i; if ($(i + 1) ~ /^failed/) failed += $i } }
    END { printf "Summary: %d tests run: %d passed, %d failed\n", passed + failed, passed, failed }' "$log"
exit "$status"
