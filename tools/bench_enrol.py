#!/usr/bin/env python3
"""What enrolling devices adds to a server: seconds, and rows of all its tables before and after.

Starts an aggregator with a Postgres of its own, founds a federation of three organisations with a steward each and a roster,
counts the rows of every table, enrols, and counts again. The last line is one JSON object; the exit code is 0 only when the
command enrolled as many as were asked for.

    python3 tools/bench_enrol.py --dawn target/debug/dawn --devices 1000000
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ORGS = ["north", "south", "west"]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def rows(data, psql):
    """Rows by table, counted one by one."""
    # Postgres says where it listens: lines four and five are its port and its folder.
    lines = next(data.glob("**/postmaster.pid")).read_text().splitlines()

    def query(sql):
        command = [psql, "-XAtq", "-h", lines[4], "-p", lines[3], "-U", "dawn", "-d", "dawn", "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    tables = query("select quote_ident(tablename) from pg_tables where schemaname = 'public' order by 1")
    return {table: int(query(f"select count(*) from {table}")[0]) for table in tables}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dawn", required=True, type=pathlib.Path)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--psql", default=shutil.which("psql") or "psql")
    asked = parser.parse_args()
    # As root, Postgres is another user, who must pass through this folder.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dawn-enrol-"))
    folder.chmod(0o711)
    server = f"http://127.0.0.1:{free_port()}"
    data = folder / "aggregator"

    def dawn(*words):
        return subprocess.run([asked.dawn.resolve(), *map(str, words)], check=True, cwd=folder, stdout=subprocess.PIPE, text=True).stdout

    dawn("aggregator", "init", "--config", "aggregator.toml", "--data-dir", data, "--listen", server.removeprefix("http://"))
    with open(folder / "aggregator.log", "wb") as log:
        running = subprocess.Popen([asked.dawn.resolve(), "aggregator", "run", "--config", "aggregator.toml"], cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(120):
            if b"listening on" in (folder / "aggregator.log").read_bytes():
                break
            time.sleep(0.5)
        for name in ORGS:
            dawn("org", "init", "--name", name, "--dir", name)
        orgs = [word for name in ORGS for word in ("--org", name)]
        dawn("federation", "found", "--name", "Lab", "--server", server, *orgs, "--out", "federation.cbor")
        for name in ORGS:
            dawn("org", "register", "--dir", name, "--server", server)
            org = dawn("org", "show", "--dir", name).strip()
            steward = f"{name}-steward"
            dawn("steward", "init", "--dir", steward, "--guard-dir", f"{name}-guard", "--server", server, "--federation", "federation.cbor", "--org", org)
            dawn("steward", "enrol", "--dir", steward, "--org", name, "--server", server)
        dawn("roster", "sign", "--server", server, *orgs)
        time.sleep(2)
        before = rows(data, asked.psql)
        began = time.monotonic()
        enrolled = json.loads(dawn("device", "enrol", "--org", ORGS[0], "--batch", "devices", "--count", asked.devices, "--json").splitlines()[-1])
        seconds = time.monotonic() - began
        time.sleep(2)
        after = rows(data, asked.psql)
    finally:
        running.terminate()
        running.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
    for table, count in after.items():
        print(f"{table:24} {before[table]:8} {count:8}", file=sys.stderr)
    added = sum(after.values()) - sum(before.values())
    changed = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    said = {
        "devices": enrolled["count"],
        "seconds": round(seconds, 1),
        "tables": len(after),
        "rows_before": sum(before.values()),
        "rows_added": added,
        "changed": changed,
    }
    print(json.dumps(said))
    return 0 if enrolled["count"] == asked.devices else 1


if __name__ == "__main__":
    sys.exit(main())
