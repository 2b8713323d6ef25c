#!/usr/bin/env bash
# Installs what is missing for the demo and the tests, or prints the one command that does. Silent when nothing is missing.
# With --tests also what single tests need, which are skipped without: it is no failure when that cannot be installed.
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v cargo >/dev/null 2>&1; then
    say "Rust is missing; install it with:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    exit 1
fi

# The places where the embedded Postgres is looked for (aggregator/src/postgres/binaries.rs).
has_postgres() {
    local dir
    if command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1; then
        return 0
    fi
    for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            return 0
        fi
    done
    return 1
}

# A verifier of the log that nobody here wrote (aggregator/tests/service/tlog.rs), from Debian's packages.
has_tlog_verifier() {
    command -v go >/dev/null 2>&1 && [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]
}

missing=()
command -v cc >/dev/null 2>&1 || missing+=(gcc libc6-dev) # the linker, and the C and assembly in ring and blake3
has_postgres || missing+=(postgresql)
command -v python3 >/dev/null 2>&1 || missing+=(python3) # known answers and the layout are checked with it; standard library only
wanted=()
if [ "${1:-}" = --tests ] && command -v apt-get >/dev/null 2>&1; then
    has_tlog_verifier || wanted+=(golang-go golang-golang-x-mod-dev)
    # A part of the tutorial signs its requests with a package from PyPI (cli/tests/documents.rs).
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || wanted+=(python3-venv)
fi
[ ${#missing[@]} -eq 0 ] && [ ${#wanted[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    say "missing: ${missing[*]}; install them with this system's package manager (for example: brew install postgresql@17)"
    exit 1
fi

install="apt-get install -y --no-install-recommends ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    # -n: a password prompt in the middle of a build helps nobody.
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        if [ ${#missing[@]} -eq 0 ]; then
            say "not installed: ${wanted[*]}; what needs them in the tests is skipped"
            exit 0
        fi
        if command -v sudo >/dev/null 2>&1; then command="sudo $install"; else command="su -c '$install'"; fi
        say "missing: ${missing[*]}; this user may not install packages without a password. Run:  $command"
        exit 1
    fi
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }
# Only a failed install needs new package lists; a fresh container has none.
install() {
    [ $# -eq 0 ] && return 0
    say "installing: $*"
    apt install -y --no-install-recommends "$@" || { apt update && apt install -y --no-install-recommends "$@"; }
}
install "${missing[@]}"
has_postgres || { say "Postgres was installed but initdb and postgres are still not found"; exit 1; }
install "${wanted[@]}" || say "not installed: ${wanted[*]}; what needs them in the tests is skipped"
