"""Discrete Gaussian samplers of docs/crypto-table.md, section 5, by decimals of 80 digits."""

import struct
from decimal import Decimal, getcontext

getcontext().prec = 80
NARROW_BYTES, WIDE_BYTES = 16, 384
_TABLES = {}


def cumulative(sigma, half):
    """floor(2^126 P(|x| <= i)); `half`: of the half-Gaussian, where zero counts like everything else."""
    if (sigma, half) not in _TABLES:
        weights = []
        for x in range(200):
            rho = (-Decimal(x * x) / (2 * sigma * sigma)).exp()
            weights.append(rho if half or x == 0 else 2 * rho)
        total, running, out = sum(weights), Decimal(0), []
        for weight in weights:
            running += weight
            out.append(int(running / total * 2**126))
        _TABLES[sigma, half] = out
    return _TABLES[sigma, half]


def narrow(units, stream):
    """A sample for every 16 bytes. `units`: the deviation in units of 2^-16, below 8."""
    table, out = cumulative(Decimal(units) / 65536, False), []
    for at in range(0, len(stream), NARROW_BYTES):
        w = int.from_bytes(stream[at : at + NARROW_BYTES], "little")
        u = (w >> 65) * 2**63 + (w >> 1) % 2**63
        magnitude = sum(1 for entry in table if entry <= u)
        out.append(-magnitude if w & 1 else magnitude)
    return out


def wide(units, stream):
    """What the steps of 384 bytes accept, in order. From 8 on."""
    table, sigma, step = cumulative(Decimal(2), True), Decimal(units) / 65536, -(-units // (2 << 16))
    out = []
    for at in range(0, len(stream), WIDE_BYTES):
        rows = struct.unpack("<48Q", stream[at : at + WIDE_BYTES])
        for lane in range(8):
            high, low, uniform_high, uniform_low, mantissa, exponent = rows[lane::8]
            u = (high >> 1) * 2**63 + (low >> 1)
            x = sum(1 for entry in table if entry <= u)
            y = step * x + (step * (uniform_high << 64 | uniform_low) >> 128)
            probability = (Decimal(x * x) / 8 - Decimal(y * y) / (2 * sigma * sigma)).exp()
            k = 0
            while probability * 2**k <= Decimal("0.5"):
                k += 1
            accepted = mantissa < probability * 2**k * 2**64 and exponent % 2**k == 0
            negative = high & 1 == 1
            if accepted and not (y == 0 and negative):
                out.append(-y if negative else y)
    return out


def check():
    """The tables begin with the probability of zero, and end with all of it."""
    key = cumulative(Decimal("4.5"), False)
    zero = 1 / sum((-Decimal(x * x) / Decimal("40.5")).exp() for x in range(-99, 100))
    assert abs(Decimal(key[0]) / 2**126 - zero) < Decimal(10) ** -37
    assert key == sorted(key) and 2**126 - key[-1] <= 1
