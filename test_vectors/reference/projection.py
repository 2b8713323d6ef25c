"""The projection matrix of docs/crypto-table.md, section 3."""

import functools
import struct

from . import aes
from .field import N
from .hashes import labelled


@functools.lru_cache(maxsize=None)
def entries(seed, rows, block):
    """Rows of a block: `rows` lists of N entries -1, 0 or 1."""
    key = labelled("projection block key", seed, struct.pack("<Q", block))[:16]
    stream = aes.counter_stream(key, N * rows // 4)
    out = []
    for i in range(rows):
        row = []
        for j in range(N):
            at = 8 * rows * (j // 32) + 64 * (i // 8) + 2 * (j % 32)
            row.append((stream[at] >> i % 8 & 1) - (stream[at + 1] >> i % 8 & 1))
        out.append(row)
    return out


def project(seed, rows, v):
    z = [0] * rows
    for block in range(len(v) // N):
        part = v[block * N : (block + 1) * N]
        for i, row in enumerate(entries(seed, rows, block)):
            z[i] += sum(entry * x for entry, x in zip(row, part))
    return z


def combine(seed, rows, block, coefficients):
    """w_j: the sum over the rows of coefficient times entry, before reduction."""
    return [sum(c * e for c, e in zip(coefficients, column)) for column in zip(*entries(seed, rows, block))]
