"""Writes protocol.json: what docs/protocol.md says, computed without any code of this project.

Statements are encoded by cbor2; judging is done by brute force from its definition, charges with fractions.
Needs blake3 and cbor2 from PyPI.
Run: python3 test_vectors/protocol.py > test_vectors/protocol.json
"""

import itertools
import json
import random
import struct
import sys
from fractions import Fraction
from math import ceil

import cbor2
from blake3 import blake3

NUMBERS = random.Random(20261122)


def labelled(label, *fields):
    data = b"".join(struct.pack("<Q", len(f)) + f for f in fields)
    return blake3(data, derive_key_context="dawn v1 " + label).digest()


def body_digest(kind, body):
    return labelled("statement digest", kind.encode(), body)


def d(byte):
    return bytes([byte]) * 32


ROUND, SESSION, STEWARD = [d(0x11), 3], d(0x22), d(0x33)


def statements():
    """The small statements, as in protocol/tests/rounds/statements.rs."""
    text = "2 of 3 organisations"
    bodies = {
        "endorsement": [ROUND, SESSION, STEWARD],
        "receipt": [ROUND, SESSION, d(0x44), d(0x55), 1_800_000_000_123],
        "closed": [ROUND, SESSION, d(0x66), 4, 1_800_000_000_456],
        "report": [ROUND, SESSION, d(0x66), STEWARD, bytes(range(5))],
        "verdict": [
            ROUND, SESSION, d(0x66), bytes(range(5)), bytes([1, 2, 4, 5, 6]), [d(0x77), d(0x78)], 1000, 3000,
        ],
        "opening": [ROUND, SESSION, d(0x66), d(0x88), STEWARD, bytes(8192)],
        "result": [ROUND, SESSION, d(0x88), [d(0x99)] * 5, bytes([1, 2, 4, 5]), [STEWARD], 4, d(0xAA), d(0xBB)],
        "aborted": [ROUND, SESSION, 4, text, d(0xDD), d(0xEE)],
        "log-head": [300, d(0xCC), 1_800_000_000_789],
    }
    encoded = {kind: cbor2.dumps(body, canonical=True) for kind, body in bodies.items()}
    return [
        {"kind": kind, "body": body.hex(), "digest": body_digest(kind, body).hex()} for kind, body in encoded.items()
    ]


def digests():
    def i32(values):
        return b"".join(struct.pack("<i", v) for v in values)

    return {
        "model": {"bytes": b"model".hex(), "digest": labelled("model digest", b"model").hex()},
        "sum": {"values": [1, -1, 2**31 - 1], "digest": labelled("opened sum digest", i32([1, -1, 2**31 - 1])).hex()},
        "package_aad": labelled("package associated data", b"pre-header", STEWARD, d(0x02)).hex(),
        "seal_info": labelled("package seal info", SESSION).hex(),
        "package": labelled("package digest", b"sealed").hex(),
        # Of three places without keys: what the seed of a round without any steward would be.
        "matrix_seed_of_nobody": labelled("matrix seed", d(0x11), struct.pack("<I", 3), b"", b"", b"").hex(),
    }


def charges():
    out = []
    for _ in range(40):
        clip = NUMBERS.randint(1, 2 ** NUMBERS.randint(1, 30))
        units = NUMBERS.randint(417_069, 2 ** NUMBERS.randint(20, 40))
        honest = NUMBERS.randint(1, 50_000)
        sigma = Fraction(units, 2**16)
        charge = ceil(Fraction(10**6 * clip * clip) / (2 * honest * sigma * sigma))
        out.append({"clip": clip, "sigma_units": units, "min_honest": honest, "micro_rho": charge})
    return out


def thresholds(m, f):
    t = (m + f) // 2 + 1
    return t, t + f


def cut(members, orgs, devices, root, permille):
    """The largest cap that fits, and who stays."""
    counts = {o: [i for i in members if orgs[i] == o] for o in set(orgs)}

    def total(cap):
        return sum(min(len(of), cap) for of in counts.values())

    cap = max(c for c in range(len(members) + 1) if 1000 * c <= permille * total(c))
    kept = []
    for of in counts.values():
        order = sorted(of, key=lambda i: labelled("organisation trimming order", root, devices[i]))
        kept += order[:cap]
    return sorted(kept)


def judge(m, f, orgs, devices, refused, reports, policy, root):
    _, a = thresholds(m, f)
    if len(reports) < a:
        return {"abort": "too-few-reports"}
    count = len(orgs)

    def good(p, i):
        return not refused[i] and reports[p][i] == 0

    best = None
    for chosen in itertools.combinations(sorted(reports), a):
        common = [i for i in range(count) if all(good(p, i) for p in chosen)]
        kept = cut(common, orgs, devices, root, policy["max_org_share_permille"])
        enough = len(kept) >= policy["min_accepted"]
        if enough and len({orgs[i] for i in kept}) >= policy["min_organisations"]:
            if best is None or len(kept) > len(best[1]):
                best = chosen, kept
    if best is None:
        return {"abort": "policy"}
    chosen, kept = best
    decisions = []
    for i in range(count):
        if refused[i]:
            decisions.append(4)
        elif sum(good(p, i) for p in reports) < a:
            decisions.append(1)
        elif i in kept:
            decisions.append(0)
        elif all(good(p, i) for p in chosen):
            decisions.append(3)
        else:
            decisions.append(2)
    openers = [p for p in sorted(reports) if all(good(p, i) for i in kept)]
    return {"decisions": decisions, "openers": openers}


def judgements():
    out = []
    for number in range(120):
        m, f = NUMBERS.choice([(3, 0), (4, 0), (6, 1), (8, 1), (9, 1), (11, 2)])
        count = NUMBERS.randint(1, 14)
        orgs = [NUMBERS.randrange(NUMBERS.randint(1, 4)) for _ in range(count)]
        devices = sorted(NUMBERS.randbytes(32) for _ in range(count))
        refused = [NUMBERS.random() < 0.05 for _ in range(count)]
        away = NUMBERS.choice([0, 0, 1, m - thresholds(m, f)[1]])
        reporting = sorted(NUMBERS.sample(range(1, m + 1), m - away))
        bad = NUMBERS.choice([0.0, 0.05, 0.15, 0.3])
        reports = {p: [NUMBERS.randint(1, 3) if NUMBERS.random() < bad else 0 for _ in orgs] for p in reporting}
        if NUMBERS.random() < 0.3:
            reports[NUMBERS.choice(reporting)] = [1] * count
        policy = {
            "min_accepted": NUMBERS.randint(1, 4),
            "min_organisations": NUMBERS.randint(1, 2),
            "max_org_share_permille": NUMBERS.choice([1000, 600, 500, 400, 350]),
        }
        if policy["min_organisations"] > policy["min_accepted"]:
            policy["min_accepted"] = policy["min_organisations"]
        root = NUMBERS.randbytes(32)
        out.append(
            {
                "m": m, "f": f, "root": root.hex(), "policy": policy,
                "submissions": [
                    {"device": dev.hex(), "org": org, "refused": ref} for dev, org, ref in zip(devices, orgs, refused)
                ],
                "reports": [{"point": p, "outcomes": reports[p]} for p in sorted(reports)],
                "expected": judge(m, f, orgs, devices, refused, reports, policy, root),
            }
        )
    return out


def main():
    vectors = {
        "generated_by": "test_vectors/protocol.py with cbor2 and blake3",
        "version": "dawn v1",
        "statements": statements(),
        "digests": digests(),
        "charges": charges(),
        "judgements": judgements(),
    }
    json.dump(vectors, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
