#!/usr/bin/env bash
# Runs schemathesis (PyPI) over the /openapi.json of a running aggregator with a federation in it: no status that is not documented, no
# failure of the server, no answer that is not of its schema. Administrative requests are signed by tools/schemathesis_hooks.py.
#
#     tools/schemathesis.sh [MORE ARGUMENTS OF schemathesis run]
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
venv="$target/schemathesis"
if [ ! -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet schemathesis==4.32.5 http-message-signatures==3.0.0 cbor2==6.3.0
fi
cargo build --locked --workspace --bin dawn --example edge_app >&2
PATH="$target/debug:$PATH"

lab=$(mktemp -d)
# Where the user that Postgres runs as may enter, when we are root.
data="${TMPDIR:-/tmp}/dawn-schemathesis-$$"
stop() {
    kill $(jobs -p) 2>/dev/null || true
    wait || true
    rm -rf "$lab" "$data"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export DAWN_URL="http://127.0.0.1:$port"
dawn aggregator init --config "$lab/aggregator.toml" --data-dir "$data" --listen "127.0.0.1:$port" >&2
# Thousands of signed requests of one key are the point here.
sed -i 's/^\(requests_per_key_per_minute\|strangers_per_minute\) = .*/\1 = 1000000/' "$lab/aggregator.toml"
dawn aggregator run --config "$lab/aggregator.toml" 2> "$lab/aggregator.log" &
timeout 60 sh -c "until grep -q 'listening on' '$lab/aggregator.log'; do sleep 1; done"

for org in north south west; do
    dawn org init --name "$org" --dir "$lab/$org" >&2
done
all=(--org "$lab/north" --org "$lab/south" --org "$lab/west")
dawn federation found --name Lab --server "$DAWN_URL" "${all[@]}" --out "$lab/federation.cbor" >&2
for org in north south west; do
    dawn org register --dir "$lab/$org" --server "$DAWN_URL" >&2
    dawn steward init --dir "$lab/$org-steward" --guard-dir "$lab/$org-guard" --server "$DAWN_URL" \
        --federation "$lab/federation.cbor" --org "$(dawn org show --dir "$lab/$org")" >&2
    dawn steward enrol --dir "$lab/$org-steward" --org "$lab/$org" --server "$DAWN_URL" >&2
done
roster=$(dawn roster sign --server "$DAWN_URL" "${all[@]}" --json)
DAWN_STEWARD=$(sed 's/.*"steward":"\([0-9a-f]*\)".*/\1/' <<< "$roster")
cat > "$lab/task.toml" <<'END'
name = "handwritten digits"
model = "logistic:64-10"
data_source = "digits"
rounds = 2

[policy]
min_accepted = 4
min_honest = 3
min_organisations = 2
max_org_share_permille = 500
max_submissions = 100
target_submissions = 6

[deadlines]
keying_ms = 600000
endorsing_ms = 10000
collecting_ms = 60000
challenging_ms = 60000
reporting_ms = 60000
opening_ms = 60000
grace_ms = 2000
END
DAWN_TASK=$(dawn task create --org "$lab/north" --server "$DAWN_URL" --file "$lab/task.toml" --json | sed 's/.*"task":"\([0-9a-f]*\)".*/\1/')
DAWN_ORG=$(dawn org show --dir "$lab/north")
DAWN_ROOT_KEY="$lab/north/root.pem"
export DAWN_STEWARD DAWN_TASK DAWN_ORG DAWN_ROOT_KEY

export SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH="$PWD/tools" PYTHONDONTWRITEBYTECODE=1
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,unsupported_method
# What it keeps between runs would be of a federation that is gone.
cd "$lab"
"$venv/bin/schemathesis" run "$DAWN_URL/openapi.json" --checks "$checks" --phases examples,coverage,fuzzing --continue-on-failure \
    --suppress-health-check all --request-timeout 30 "$@"
