"""Labelled hashes and what is expanded from them: docs/crypto-table.md, sections 2 and 3."""

import struct

from . import aes
from .blake3 import blake3, derive_key
from .field import N, uniform


def framed(fields):
    return b"".join(struct.pack("<Q", len(field)) + field for field in fields)


def labelled(label, *fields, length=32):
    """H(LABEL, fields); a longer `length` is its stream. `label` without the common "dawn v1 "."""
    return derive_key("dawn v1 " + label, framed(fields), length)


def raw(label, data):
    """H of a label whose input has no frames."""
    return derive_key("dawn v1 " + label, data)


def matrix_block(seed, block):
    """Block `block` of the public matrix, in the transform domain; and the number of words skipped."""
    key = labelled("matrix block key", seed, struct.pack("<Q", block))[:16]
    return uniform(aes.counter_stream(key, 4 * N + 64), N)


def share_of_seed(seed):
    return uniform(labelled("key share expansion", seed, length=4 * N + 64), N)


def key_commitment(point, blind, share_bytes):
    return labelled("key share commitment", bytes([point]), blind, share_bytes)


# Inputs of the vectors that are too long to be written out: made from their names.


def input_bytes(name, length):
    return blake3(b"dawn vectors " + name.encode(), length)


def input_elements(name, count=N):
    return uniform(input_bytes(name, 4 * count + 256), count)[0]


def input_integers(name, bound, count):
    """Integers between -bound and bound: LE32 words of the stream modulo 2 bound + 1, less bound."""
    stream = input_bytes(name, 4 * count)
    return [w % (2 * bound + 1) - bound for (w,) in struct.iter_unpack("<I", stream)]
