#!/usr/bin/env python3
"""What an audit costs beside what the aggregator spent on the same round.

Plays one round of `dawn demo` for every number of devices: devices in the demo's process, the stewards and the aggregator
each in one of their own. The aggregator's CPU is user and system time of its own process, from its start to the end of the
round, as /proc has it; Postgres, which it starts, is not counted, so that the ratio is rather too high than too low. The
audit is `dawn audit verify` of the round's transcript, its CPU and largest resident size those of its process.

    python3 tools/bench_audit.py --dawn target/release/dawn --devices 100 300 1000 -- --model mlp:64-1024-32-10

What follows `--` is handed to `dawn demo`.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def children(pid):
    """The processes that this one has started."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            pass
    return found


def aggregator(demo):
    """The aggregator among the demo's processes."""
    for pid in children(demo):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:3] == [b"aggregator", b"run"]:
            return pid
    return None


def cpu(pid):
    """Seconds of user and system time of a process, without its children; none when it is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def play(dawn, devices, more, folder):
    """One round; the aggregator's CPU seconds, and the transcript."""
    out = folder / "demo"
    command = [dawn, "demo", "--devices", str(devices), "--rounds", "1", "--dropout", "0", "--kill-steward-in", "0"]
    command += ["--out", str(out), "--json", *more]
    spent, pid = 0.0, None
    with open(folder / "demo.json", "wb") as answer:
        demo = subprocess.Popen(command, stdout=answer, stderr=subprocess.DEVNULL)
        while demo.poll() is None:
            pid = pid or aggregator(demo.pid)
            spent = (cpu(pid) if pid else None) or spent
            time.sleep(0.1)
    if demo.returncode:
        raise SystemExit(f"the demo failed with {demo.returncode}")
    summary = json.loads((folder / "demo.json").read_text().splitlines()[-1])
    row = summary["rounds"][0]
    if row["outcome"] != "opened":
        raise SystemExit(f"the round was not opened: {row['outcome']}")
    [transcript] = (out / "transcripts").glob("*.dawn")
    return spent, transcript, row["accepted"], summary["dimension"]


def audit(dawn, transcript, *more):
    """CPU seconds, largest resident size in MB, and seconds of an audit in a process of its own."""
    begun = time.monotonic()
    process = subprocess.Popen([dawn, "audit", "verify", *more, str(transcript)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the audit failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dawn", default="target/debug/dawn")
    parser.add_argument("--devices", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("demo", nargs="*", help="options of dawn demo")
    given = parser.parse_args()
    print("| devices | coordinates | accepted | transcript MB | aggregator CPU s | audit CPU s | ratio | audit s | audit MB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for devices in given.devices:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="dawn-bench-"))
        try:
            spent, transcript, accepted, dimension = play(given.dawn, devices, given.demo, folder)
            size = transcript.stat().st_size / 1e6
            seconds, memory, wall = audit(given.dawn, transcript)
            print(
                f"| {devices} | {dimension} | {accepted} | {size:.0f} | {spent:.2f} | {seconds:.2f} | {seconds / spent:.2f} "
                f"| {wall:.1f} | {memory:.0f} |",
                flush=True,
            )
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
