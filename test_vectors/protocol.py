"""Writes protocol.json: what docs/protocol.md says, computed without any code of this project.

Statements are encoded by cbor2; judging is done by brute force from its definition, charges with fractions.
Needs blake3, cbor2 and cryptography from PyPI.
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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NUMBERS = random.Random(20261122)


def labelled(label, *fields):
    data = b"".join(struct.pack("<Q", len(f)) + f for f in fields)
    return blake3(data, derive_key_context="dawn v1 " + label).digest()


def body_digest(kind, body):
    return labelled("statement digest", kind.encode(), body)


def d(byte):
    return bytes([byte]) * 32


def signed(kind, body, seed):
    """The envelope of identity-formats.md, section 3."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    signer = labelled("key identifier", private.public_key().public_bytes(*raw))
    header = cbor2.dumps({1: -8, 3: "application/dawn+cbor; kind=" + kind, 4: signer})
    aad = b"dawn v1 envelope associated data"
    signature = private.sign(cbor2.dumps(["Signature1", header, aad, body]))
    return cbor2.dumps(cbor2.CBORTag(18, [header, {}, body, signature]))


ROUND, SESSION, STEWARD = [d(0x11), 3], d(0x22), d(0x33)


def statements():
    """The small statements, as in protocol/tests/rounds/statements.rs."""
    text = "2 of 3 organisations"
    beacon_share = [ROUND, SESSION, d(0x66), STEWARD, b"\x69" * 80]
    parts = [signed("beacon-share", cbor2.dumps(beacon_share), seed) for seed in (6, 7)]
    bodies = {
        "endorsement": [ROUND, SESSION, STEWARD],
        "receipt": [ROUND, SESSION, d(0x44), d(0x55), 1_800_000_000_123],
        "closed": [ROUND, SESSION, d(0x66), 4, 1_800_000_000_456, [3, d(0x57)]],
        "beacon-share": beacon_share,
        "challenge": [ROUND, SESSION, d(0x66), parts],
        "report": [ROUND, SESSION, d(0x66), STEWARD, bytes(range(5)), d(0x67), d(0x68)],
        "verdict": [
            ROUND, SESSION, d(0x66), bytes(range(8)), bytes([1, 2, 4, 5, 6]), [d(0x77), d(0x78)], 1000, 3000,
            d(0x67), d(0x79), bytes([3]),
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


def raw(label, data):
    return blake3(data, derive_key_context="dawn v1 " + label).digest()


# The outputs of RFC 9381, appendix B.3, examples 16 and 17.
VRF_OUTPUTS = [
    "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
    "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae",
    "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
    "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031",
]


def digests():
    def i32(values):
        return b"".join(struct.pack("<i", v) for v in values)

    outputs = [bytes.fromhex(output) for output in VRF_OUTPUTS]
    projection = labelled("projection seed", b"context")
    return {
        "beacon_input": labelled("beacon input", SESSION, d(0x66)).hex(),
        "beacon": labelled("beacon", SESSION, d(0x66), *outputs).hex(),
        "answers": raw("answers digest", b"answers").hex(),
        "scalars": raw("scalars digest", struct.pack("<4I", 1, 2, 3, 4293918720)).hex(),
        "projection_seed": projection.hex(),
        "joint_seed": labelled("norm proof joint seed", projection, d(0x58), d(0x59)).hex(),
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


RESULTS = {"too-few": 1, "disagree": 5, "projection": 6, "norm": 7}


def judge(m, f, orgs, devices, refused, reports, findings, policy, root):
    _, a = thresholds(m, f)
    if len(reports) < a:
        return {"abort": "too-few-reports"}
    count = len(orgs)

    def reported(p, i):
        return not refused[i] and reports[p][i] == 0

    def good(p, i):
        return reported(p, i) and findings[i]["result"] == "valid" and p in findings[i]["agreeing"]

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
        elif sum(reported(p, i) for p in reports) < a:
            decisions.append(1)
        elif findings[i]["result"] != "valid":
            decisions.append(RESULTS[findings[i]["result"]])
        elif i in kept:
            decisions.append(0)
        elif all(good(p, i) for p in chosen):
            decisions.append(3)
        else:
            decisions.append(2)
    openers = [p for p in sorted(reports) if all(good(p, i) for i in kept)]
    liars = [p for p in sorted(reports) if any(reported(p, i) and p in findings[i]["lied"] for i in range(count))]
    return {"decisions": decisions, "openers": openers, "liars": liars}


def finding(m, f, ok, lying, invalid):
    """What the answers of the stewards that report ok may show, section 4.6, judging 2."""
    _, a = thresholds(m, f)
    if len(ok) < a:
        return {"agreeing": [], "lied": [], "result": "too-few"}
    liars = [p for p in ok if p in lying]
    if len(ok) - len(liars) < a:
        return {"agreeing": [], "lied": [], "result": "disagree"}
    result = NUMBERS.choice(["projection", "norm"]) if invalid else "valid"
    return {"agreeing": [p for p in ok if p not in liars], "lied": liars, "result": result}


def judgements():
    out = []
    for number in range(120):
        m, f = NUMBERS.choice([(3, 0), (4, 0), (6, 1), (8, 1), (9, 1), (11, 2)])
        count = NUMBERS.randint(2, 20)
        orgs = [NUMBERS.randrange(NUMBERS.randint(1, 4)) for _ in range(count)]
        devices = sorted(NUMBERS.randbytes(32) for _ in range(count))
        refused = [NUMBERS.random() < 0.05 for _ in range(count)]
        away = NUMBERS.choice([0, 0, 0, 0, 1, m - thresholds(m, f)[1]])
        reporting = sorted(NUMBERS.sample(range(1, m + 1), m - away))
        bad = NUMBERS.choice([0.0, 0.02, 0.05, 0.15])
        reports = {p: [NUMBERS.randint(1, 3) if NUMBERS.random() < bad else 0 for _ in orgs] for p in reporting}
        if NUMBERS.random() < 0.15:
            reports[NUMBERS.choice(reporting)] = [1] * count
        # Up to f stewards that sometimes answer wrongly, and sometimes more.
        lying = NUMBERS.sample(range(1, m + 1), NUMBERS.choice([0, 0, 0, f, f, f, f + 1]))
        lies, invalid = NUMBERS.choice([0.1, 0.3, 1.0]), NUMBERS.choice([0.0, 0.1, 0.2])
        findings = []
        for i in range(count):
            ok = [p for p in reporting if not refused[i] and reports[p][i] == 0]
            wrong = [p for p in lying if NUMBERS.random() < lies]
            findings.append(finding(m, f, ok, wrong, NUMBERS.random() < invalid))
        policy = {
            "min_accepted": NUMBERS.randint(1, 3),
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
                "findings": findings,
                "expected": judge(m, f, orgs, devices, refused, reports, findings, policy, root),
            }
        )
    return out


def main():
    vectors = {
        "generated_by": "test_vectors/protocol.py with cbor2, blake3 and cryptography",
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
