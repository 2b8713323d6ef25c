"""gaussian.json: the samplers, from given bytes, and errors from the noise generator."""

from reference import aes
from reference.blake3 import blake3
from reference.field import N
from reference.gaussian import NARROW_BYTES, WIDE_BYTES, narrow, wide

from .forms import case, refused, seed, signed_summary

EIGHT = 8 << 16
DEVIATIONS = [
    ("one, the smallest", 65536),
    ("the key's, 4.5", 294912),
    ("the smallest error's, 4.5 sqrt 2", 417069),
    ("just below 8", EIGHT - 1),
    ("8", EIGHT),
    ("100.5", 6586368),
    ("2^24, the largest", 1 << 40),
]


def samples(units, stream):
    return narrow(units, stream) if units < EIGHT else wide(units, stream)


def error(units, blocks, noise_seed):
    """Block after block: what the wide sampler's last step has left over is dropped at each one's end."""
    out, at = [], 0
    noise = aes.counter_stream(noise_seed, blocks * (N * NARROW_BYTES if units < EIGHT else 150_000))
    for _ in range(blocks):
        if units < EIGHT:
            out += narrow(units, noise[at : at + N * NARROW_BYTES])
            at += N * NARROW_BYTES
        else:
            block = []
            while len(block) < N:
                block += wide(units, noise[at : at + WIDE_BYTES])
                at += WIDE_BYTES
            out += block[:N]
    return out


def build():
    cases, corrupted = [], []
    for name, units in DEVIATIONS:
        label = "dawn samples " + name
        drawn = samples(units, blake3(label.encode(), 48 * 256))
        assert len(drawn) >= 96
        cases.append(case(name, "samples", bytes_of=label, deviation=units, samples=drawn[:96]))
        changed = drawn[:95] + [drawn[95] + 1]
        corrupted.append(refused(f"{name}: the last is one more", "samples", "differs", bytes_of=label, deviation=units, samples=changed))
        if any(drawn[:96]):
            mirrored = [-s for s in drawn[:96]]
            corrupted.append(refused(f"{name}: signs", "samples", "differs", bytes_of=label, deviation=units, samples=mirrored))
    for name, units, d in [("narrow", 417069, 10), ("wide", 6586368, 1)]:
        values = error(units, 2, seed(33))
        cases.append(
            case(f"a mask's error, {name}", "error", noise_seed=seed(33).hex(), deviation=units, d=d, drawn=signed_summary(values))
        )
    for name, units in [
        ("zero", 0),
        ("just below one", 65535),
        ("just above 2^24", (1 << 40) + 1),
        ("2^64 - 1", 2**64 - 1),
    ]:
        corrupted.append(refused(f"deviation: {name}", "deviation", "deviation", units, deviation=units))
    for name, bytes_hex, error_name, at in [
        ("just below one", "19ffff", "deviation", 65535),
        ("just above 2^24", "1b0000010000000001", "deviation", (1 << 40) + 1),
        ("a negative one", "20", "cbor-type", None),
        ("half a number", "1900", "cbor-end", None),
        ("a text", "6131", "cbor-type", None),
    ]:
        corrupted.append(refused(f"CBOR: {name}", "deviation-cbor", error_name, at, cbor=bytes_hex))
    about = "Discrete Gaussians (crypto-table.md, section 5), from the bytes that they are given."
    return about, cases, corrupted
