"""How cases and long vectors are written; README.md describes it for readers."""

import hashlib
import struct

from reference.field import N, words
from reference.hashes import input_elements, input_integers


def case(name, kind, **fields):
    return {"name": name, "kind": kind, **fields}


def refused(name, kind, error, at=None, **fields):
    """A corrupted case. `at`: the number that the error carries, if it does."""
    where = {} if at is None else {"at": at}
    return {"name": name, "kind": kind, **fields, "error": error, **where}


def whole(elements):
    """Elements written out, as LE32 in hexadecimal."""
    return words(elements).hex()


def _digest(values, data):
    return {"count": len(values), "first": values[:4], "last": values[-2:], "sha256": hashlib.sha256(data).hexdigest()}


def summary(elements):
    """Elements by their digest."""
    return _digest(elements, words(elements))


def signed_summary(values):
    """Signed integers by the digest of their two's complement."""
    return _digest(values, struct.pack(f"<{len(values)}i", *values))


def stream(name, count=N, patch=()):
    """(elements, how they are written): made from a name, with some of them replaced."""
    values = input_elements(name, count)
    written = {"stream": name, "count": count}
    for index, word in patch:
        values[index] = word
    if patch:
        written["patch"] = [list(p) for p in patch]
    return values, written


def sparse(entries, count=N):
    """(elements, how they are written): zero but for [index, element] entries."""
    values = [0] * count
    for index, value in entries:
        values[index] = value
    return values, {"sparse": [list(e) for e in entries], "count": count}


def integers(name, bound, count):
    """(signed integers, how they are written)."""
    return input_integers(name, bound, count), {"stream": name, "bound": bound, "count": count}


def seed(i):
    return bytes([i]) * 32


def flip(elements, index, bit=0):
    """With one bit of one word changed."""
    out = list(elements)
    out[index] ^= 1 << bit
    return out
