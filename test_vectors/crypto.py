"""Writes crypto.json: what docs/crypto-table.md says, computed without any code of this project.

The transform is evaluated by its definition, the samplers by 80-digit decimals, shares by interpolation.
Needs blake3 and cryptography (for AES) from PyPI.
Run: python3 test_vectors/crypto.py > test_vectors/crypto.json
"""

import hashlib
import json
import random
import struct
import sys
from decimal import Decimal, getcontext

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

getcontext().prec = 80
Q = 2**32 - 2**20 + 1
N = 2048
PSI = pow(3925978153, 256, Q)
NUMBERS = random.Random(20261122)


def labelled(label, *fields, length=32):
    data = b"".join(struct.pack("<Q", len(f)) + f for f in fields)
    return blake3(data, derive_key_context="dawn v1 " + label).digest(length=length)


def words(values):
    return b"".join(struct.pack("<I", v) for v in values)


def summary(values):
    return {"first": values[:4], "last": values[-2:], "sha256": hashlib.sha256(words(values)).hexdigest()}


def uniform(stream, count):
    kept = [w for (w,) in struct.iter_unpack("<I", stream) if w < Q]
    assert len(kept) >= count
    return kept[:count]


def matrix_block(seed, block):
    key = labelled("matrix block key", seed, struct.pack("<Q", block))[:16]
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    counters = b"".join(struct.pack("<QQ", i, 0) for i in range(600))
    return uniform(aes.update(counters), N)


def share_of_seed(seed):
    return uniform(labelled("key share expansion", seed, length=9000), N)


def reversed_bits(i):
    return int(f"{i:011b}"[::-1], 2)


POINTS = [pow(PSI, 2 * reversed_bits(i) + 1, Q) for i in range(N)]


def transform(coefficients):
    out = []
    for point in POINTS:
        value = 0
        for c in reversed(coefficients):
            value = (value * point + c) % Q
        out.append(value)
    return out


def invert(values):
    """The coefficient of X^j is 1/N times the sum over the slots of value * point^-j."""
    inverse_points = [pow(p, -1, Q) for p in POINTS]
    powers, out, scale = [1] * N, [], pow(N, -1, Q)
    for _ in range(N):
        out.append(sum(v * p for v, p in zip(values, powers)) % Q * scale % Q)
        powers = [p * i % Q for p, i in zip(powers, inverse_points)]
    return out


def interpolate(points, x):
    """Value at x of the polynomial through [(point, value)]."""
    total = 0
    for i, y in points:
        term = y
        for j, _ in points:
            if j != i:
                term = term * (x - j) * pow(i - j, -1, Q) % Q
        total += term
    return total % Q


def cumulative(sigma, half):
    weights = []
    for x in range(200):
        rho = (-Decimal(x * x) / (2 * sigma * sigma)).exp()
        weights.append(rho if half or x == 0 else 2 * rho)
    total, running, out = sum(weights), Decimal(0), []
    for w in weights:
        running += w
        out.append(int(running / total * 2**126))
    return out


def narrow(units, stream):
    table, out = cumulative(Decimal(units) / 65536, False), []
    for at in range(0, len(stream), 16):
        number = int.from_bytes(stream[at : at + 16], "little")
        # bits 65..127 are the high half, bits 1..63 the low half, bit 0 the sign
        magnitude = sum(1 for e in table if e <= (number >> 65) << 63 | (number >> 1) & (2**63 - 1))
        out.append(-magnitude if number & 1 else magnitude)
    return out


def wide(units, stream):
    table, sigma, step = cumulative(Decimal(2), True), Decimal(units) / 65536, -(-units // (2 << 16))
    out = []
    for at in range(0, len(stream), 48 * 8):
        rows = struct.unpack("<48Q", stream[at : at + 48 * 8])
        for lane in range(8):
            high, low, u_high, u_low, mantissa, exponent = rows[lane::8]
            x = sum(1 for e in table if e <= (high >> 1) << 63 | low >> 1)
            y = step * x + ((u_high << 64 | u_low) * step >> 128)
            probability = (Decimal(x * x) / 8 - Decimal(y * y) / (2 * sigma * sigma)).exp()
            k = 0
            while probability * 2**k <= Decimal("0.5"):
                k += 1
            accepted = Decimal(mantissa) < probability * 2**k * 2**64 and exponent % 2**k == 0
            negative = high & 1 == 1
            if accepted and not (y == 0 and negative):
                out.append(-y if negative else y)
    return out


def seed(i):
    return bytes([i]) * 32


def masks():
    d, blocks = 10, 2
    key = [NUMBERS.randint(-20, 20) for _ in range(N)]
    x = [NUMBERS.choice([-(2**30), 2**30, -1, 0, 1, 12345]) for _ in range(d)]
    e = [NUMBERS.randint(-40, 40) for _ in range(blocks * N)]
    key_transformed = transform([k % Q for k in key])
    c = []
    for block in range(blocks):
        product = invert([a * k % Q for a, k in zip(matrix_block(seed(1), block), key_transformed)])
        v = [e[block * N + i] + (x[block * N + i] if block * N + i < d else 0) for i in range(N)]
        c += [(p + value) % Q for p, value in zip(product, v)]
    shares = [share_of_seed(seed(10 + j)) for j in range(3)]
    for point in range(4, 7):
        known = [(0, [k % Q for k in key])] + [(j + 1, shares[j]) for j in range(3)]
        shares.append([interpolate([(p, s[i]) for p, s in known], point) for i in range(N)])
    return {
        "matrix_seed": seed(1).hex(),
        "key": key,
        "x": x,
        "e": e,
        "c": summary(c),
        "payload_digest": blake3(words(c), derive_key_context="dawn v1 payload digest").hexdigest(),
        "threshold": [6, 1, 4, 5],
        "share_seeds": [seed(10 + j).hex() for j in range(3)],
        "shares": [summary(s) for s in shares],
        "blinds": [seed(20 + j).hex() for j in range(6)],
        "commitments": [
            labelled("key share commitment", bytes([j + 1]), seed(20 + j), words(s)).hex() for j, s in enumerate(shares)
        ],
    }


def samples():
    out = []
    for name, units, sampler, size in [
        ("key", 294912, narrow, 16),
        ("error", 417069, narrow, 16),
        ("eight", 8 << 16, wide, 48),
        ("hundred", 6586368, wide, 48),
        ("widest", 1 << 40, wide, 48),
    ]:
        stream = blake3(b"dawn samples " + name.encode()).digest(length=size * 256)
        out.append({"stream": "dawn samples " + name, "units": units, "samples": sampler(units, stream)[:120]})
    return out


def main():
    element = share_of_seed(seed(2))
    vectors = {
        "generated_by": "test_vectors/crypto.py with blake3 and cryptography",
        "version": "dawn v1",
        "q": Q,
        "n": N,
        "psi": PSI,
        "labelled": [
            {"label": "dawn v1 " + label, "fields": [f.hex() for f in fields], "digest": labelled(label, *fields).hex()}
            for label, fields in [
                ("key identifier", [b"\x07" * 32]),
                ("session identifier", []),
                ("package digest", [b"", b"ab", b"c"]),
                ("package digest", [b"", b"a", b"bc"]),
            ]
        ],
        "matrix_blocks": [
            {"seed": seed(i).hex(), "block": b, "values": summary(matrix_block(seed(i), b))}
            for i, b in [(0, 0), (1, 1), (255, 8192)]
        ],
        "share_expansions": [{"seed": seed(i).hex(), "elements": summary(share_of_seed(seed(i)))} for i in (0, 2, 255)],
        "transform": {"of_share_seed": seed(2).hex(), "values": summary(transform(element))},
        "mask": masks(),
        "samples": samples(),
        "accepted_threshold": "8406010405",
        "refused": {
            "payloads": [words([Q]).hex(), words([0, 2**32 - 1]).hex(), "000000"],
            "digests": ["581f" + "00" * 31, "5821" + "00" * 33, "7820" + "61" * 32, "80"],
            "thresholds": ["84060104", "8406010305", "8406010406", "8401000101", "9f06010405ff", "8403010304"],
            "share_sums": ["591fff" + "00" * 8191, "592000" + words([Q] + [0] * (N - 1)).hex(), "5820" + "00" * 32],
            "shares": ["581f" + "00" * 31, "592000" + words([0] * (N - 1) + [Q]).hex(), "40"],
            "sigmas": ["19ffff", "1b0000010000000001", "20"],
        },
    }
    json.dump(vectors, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
