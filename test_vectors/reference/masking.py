"""Masking and unmasking in the coefficient domain: docs/protocol.md, sections 4.2 and 4.7."""

from .field import N, Q, center, invert, multiply
from .hashes import matrix_block

_BLOCKS = {}


def padded(d):
    return N * (-(-d // N) + 1)


def block_of_matrix(seed, block):
    """a_b by its coefficients."""
    if (seed, block) not in _BLOCKS:
        _BLOCKS[seed, block] = invert(matrix_block(seed, block)[0])
    return _BLOCKS[seed, block]


def times_key(seed, key, length):
    """A k, `length` coordinates."""
    key = [k % Q for k in key]
    return [c for block in range(length // N) for c in multiply(block_of_matrix(seed, block), key)]


def mask(seed, key, x, e):
    assert len(e) == padded(len(x)) and len(key) == N
    v = [a + b for a, b in zip(e, x + [0] * (len(e) - len(x)))]
    return [(p + value) % Q for p, value in zip(times_key(seed, key, len(e)), v)]


def unmask(seed, sum_c, key_sum):
    return [center((c - p) % Q) for c, p in zip(sum_c, times_key(seed, key_sum, len(sum_c)))]
