#!/usr/bin/env bash
# What a change must pass before anybody reads it.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo clippy --locked --workspace --all-targets -- -D warnings
# Training needs no operating system (docs/learning.md, section 3), and is not to need one by accident.
cargo clippy --locked -p dawn-learn --no-default-features -- -D warnings
if ! command -v python3 >/dev/null 2>&1; then
    echo "lint: python3 is missing; install it with: apt-get install python3 (Debian), brew install python3 (macOS), or make setup" >&2
    exit 1
fi
python3 tools/check_layout.py
if cargo deny --version >/dev/null 2>&1; then
    # Not the advisories: they change from day to day, and need the network.
    cargo deny --locked check licenses bans sources
else
    echo "lint: cargo-deny is not installed; licences and duplicate crates were not checked (cargo install --locked cargo-deny)" >&2
fi
