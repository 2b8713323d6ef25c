"""noise.json: what a seed of a steward's noise gives, which candidate a beacon picks, and what a round then costs."""

import struct
from fractions import Fraction
from math import ceil

from reference import aes
from reference.cbor import encode
from reference.field import N, words
from reference.gaussian import NARROW_BYTES, narrow
from reference.hashes import input_bytes, labelled, raw
from reference.masking import mask, padded

from .forms import case, refused, seed
from .gaussian import error

KEY_DEVIATION = 294912


def candidate(matrix_seed, d, deviation, noise_seed):
    """The digest of the payload: protocol.md, section 4.8, stewards' noise, 1."""
    drawn = aes.counter_stream(labelled("noise candidate mask key", noise_seed), N * NARROW_BYTES)
    key = narrow(KEY_DEVIATION, drawn)
    e = error(deviation, padded(d) // N, labelled("noise candidate error", noise_seed))
    return raw("payload digest", words(mask(matrix_seed, key, [0] * d, e))).hex()


def choice(beacon, steward, candidates):
    (number,) = struct.unpack("<Q", labelled("noise candidate choice", beacon, steward)[:8])
    return number % candidates


def charge(clip, devices, error_deviation, stewards, noise_deviation):
    def variance(number, units):
        return number * Fraction(units, 2**16) ** 2

    noise = variance(devices, error_deviation) + variance(stewards, noise_deviation)
    return ceil(10**6 * clip * clip / (2 * noise))


def build():
    cases, corrupted = [], []
    for name, d, deviation in [("narrow noise, ten coordinates", 10, 417069), ("wide noise, one block and one", 2049, 6586368)]:
        fields = {"matrix_seed": seed(1).hex(), "d": d, "deviation": deviation, "seed": seed(61).hex()}
        digest = candidate(seed(1), d, deviation, seed(61))
        cases.append(case(name, "candidate", **fields, payload=digest))
        for what, change in [
            ("another seed", {"seed": seed(62).hex()}),
            ("another matrix", {"matrix_seed": seed(2).hex()}),
            ("another deviation", {"deviation": deviation + 65536}),
        ]:
            corrupted.append(refused(f"{name}: {what}", "candidate", "differs", **{**fields, **change}, payload=digest))
    for number in range(12):
        beacon, steward = input_bytes(f"beacon {number}", 32), input_bytes(f"steward {number % 3}", 32)
        candidates = 2 ** (number % 6 + 1)
        index = choice(beacon, steward, candidates)
        fields = {"beacon": beacon.hex(), "steward": steward.hex(), "candidates": candidates}
        cases.append(case(f"beacon {number}", "choice", **fields, index=index))
        wrong = (index + 1) % candidates
        corrupted.append(refused(f"beacon {number}: the next one", "choice", "differs", **fields, index=wrong))
    for index in (0, 1, 63):
        steward = input_bytes("steward 0", 32)
        body = encode([index, steward])
        identifier = labelled("noise candidate identifier", steward, bytes([index])).hex()
        fields = {"body": body.hex(), "index": index, "steward": steward.hex()}
        cases.append(case(f"candidate {index}", "author", **fields, submitter=identifier))
        other = labelled("noise candidate identifier", steward, bytes([index + 1])).hex()
        corrupted.append(refused(f"candidate {index}: the next one's", "author", "differs", **fields, submitter=other))
    long_form = b"\x82\x18\x01" + encode(input_bytes("steward 0", 32))
    fields = {"index": 1, "steward": input_bytes("steward 0", 32).hex(), "submitter": "00" * 32}
    corrupted.append(refused("an index in two bytes", "author", "not-canonical", body=long_form.hex(), **fields))
    short = encode([1, input_bytes("steward 0", 31)])
    corrupted.append(refused("a steward of 31 bytes", "author", "malformed", body=short.hex(), **fields))
    for number in range(16):
        (a, b, c, d, e) = struct.unpack("<5Q", input_bytes(f"charge {number}", 40))
        fields = {
            "clip": 1 + a % 2 ** (1 + a % 30),
            "min_honest": 2 + b % 50_000,
            "error_deviation": 417069 + c % 2 ** (c % 40),
            "stewards": 1 + d % 9,
            "noise_deviation": 417069 + e % 2 ** (e % 40),
        }
        cost = charge(*fields.values())
        cases.append(case(f"charge {number}", "charge", **fields, micro_rho=cost))
        corrupted.append(refused(f"charge {number}: one less", "charge", "differs", **fields, micro_rho=cost - 1))
    about = "Noise of stewards (protocol.md, section 4.8): candidates, the choice among them, their author, the charge."
    return about, cases, corrupted
