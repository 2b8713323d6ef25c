#!/usr/bin/env bash
# Runs the tests of the crates with a NEON backend on an emulated 64-bit Arm processor (qemu-user), whatever this machine is.
# The compiler is rustup's when it has the target; otherwise Debian's, from packages that are unpacked below target/ and not
# installed.
#   tools/neon.sh [CASES]    random inputs of every operation (100000)
set -euo pipefail
cd "$(dirname "$0")/.."
cases=${1:-100000}
triple=aarch64-unknown-linux-gnu

stop() {
    printf 'neon: %s\n' "$*" >&2
    exit 1
}

for tool in qemu-aarch64 aarch64-linux-gnu-gcc; do
    command -v "$tool" >/dev/null 2>&1 ||
        stop "$tool is missing; Debian has it:  apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
done
target=$(cargo metadata --locked --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
own=$target/neon
mkdir -p "$own"

# Debian's newest rustc with both standard libraries, from package lists of its own: the machine's stay as they are.
unpack() {
    command -v apt-get >/dev/null 2>&1 ||
        stop "no compiler for $triple: rustup target add $triple, or a Debian machine, whose packages have one"
    echo "neon: getting Debian's compiler and its library for $triple (130 MB)" >&2
    local lists=$own/lists packages=$own/packages version llvm
    mkdir -p "$lists/partial" "$packages"
    local apt=(-qq -o "Dir::State::Lists=$lists" -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o Debug::NoLocking=1)
    apt-get "${apt[@]}" update
    version=$(apt-cache "${apt[@]}" show --no-all-versions rustc-web | sed -n 's/^Version: \([0-9]*\.[0-9]*\)\..*/\1/p')
    [ -n "$version" ] || stop "Debian's package rustc-web is not to be had here"
    llvm=$(apt-cache "${apt[@]}" show --no-all-versions "libstd-rust-web-$version" | sed -n 's/^Depends:.*\(libllvm[0-9]*\).*/\1/p')
    (cd "$packages" && apt-get "${apt[@]}" download rustc-web "libstd-rust-web-$version" "$llvm" libstd-rust-web-dev:amd64 libstd-rust-web-dev:arm64) 2>/dev/null
    for package in "$packages"/*.deb; do
        dpkg -x "$package" "$own/debian"
    done
    rm -rf "$packages" "$lists"
}

build_with() { "$@"; }
if ! rustup target list --installed 2>/dev/null | grep -qx "$triple"; then
    [ "$(uname -m)" = x86_64 ] || stop "no compiler for $triple: rustup target add $triple"
    [ -x "$own/debian/usr/bin/rustc" ] || unpack
    build_with() {
        RUSTC=$own/debian/usr/bin/rustc LD_LIBRARY_PATH=$own/debian/usr/lib/x86_64-linux-gnu "$@"
    }
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
run() {
    build_with cargo test --locked --target "$triple" --target-dir "$own/build" "$@"
}
# What must be true of the run, or it shows nothing: that the chosen backend is NEON.
listing=$(build_with cargo run --quiet --locked --target "$triple" --target-dir "$own/build" -p dawn-crypto --example backends)
grep -qx 'neon chosen' <<<"$listing" || stop "the emulated processor did not choose neon: $listing"
listing=$(build_with cargo run --quiet --locked --target "$triple" --target-dir "$own/build" -p dawn-learn --example training_backends)
grep -qx 'neon chosen' <<<"$listing" || stop "the emulated processor did not choose neon for training: $listing"
DAWN_BACKEND_CASES=$cases run -p dawn-crypto --lib -- backend known_answers keystream mask norm noise ring shamir
# Not the examples in the documentation: rustdoc would need the same compiler.
run -p dawn-learn --lib --tests
echo "neon: passed, with $cases random inputs of every operation"
