"""The bound of the norm proof (protocol.md, section 4.3)."""

from math import isqrt

# x and y in thousandths, by rows: what docs/norm-bound.py finds.
TABLE = {128: (2713, 213), 256: (2099, 361), 512: (1723, 503)}


def sqrt_up(x):
    root = isqrt(x)
    return root + (root * root < x)


def norm_bound(dimension, clip, sigma_units, rows):
    """`gamma B`, rounded up; the deviation in units of 2^-16."""
    padded = 2048 * (-(-dimension // 2048) + 1)
    chi = padded + 2 * sqrt_up(47 * padded) + 94
    squared = clip**2 + -(-(sigma_units**2 * chi) // 2**32) + -(-(20 * sigma_units * clip) // 2**16)
    bits = next(b for b in range(10, 31, 2) if 4 ** (b - 1) >= 54 * squared)
    shift = bits - 10
    x, y = TABLE[rows]
    root = sqrt_up(-(-(2 * x * rows * squared << 32) // 1000) >> (2 * shift)) + 1 + sqrt_up(rows << 32)
    bound = -(-(root**2) // 2**32)
    projected = sqrt_up(bound << 32) + sqrt_up(rows << 32)
    limit = sqrt_up(-(-(projected**2 * 2000) // (rows * y))) << shift
    return -(-limit // 2**17)
