#!/usr/bin/env python3
"""What the norm proof accepts, recomputed from rows, completeness and grinding budget (docs/protocol.md, section 4.3).

    python3 docs/norm-bound.py                 # the table of gamma
    python3 docs/norm-bound.py 1000000 4096    # parameters of a task: dimension, clip, deviation of the error
    python3 docs/norm-bound.py 1000000 4096 6.37 direction    # with the direction filter of section 4.5; or a number, what one is in counts
    python3 docs/norm-bound.py --check         # fails when a number of this file is not what its inequality gives

Standard library only; shares no code with the implementation.
"""

import math
import sys

N = 2048
Q = 2**32 - 2**20 + 1
COMPLETENESS_BITS = 66  # of the sum of squares; with the other tails 2^-64 in all
SOUNDNESS_BITS = 70  # 2^60 tries succeed with 2^-10
TOP_BITS = 10
TABLE = {128: (2713, 213), 256: (2099, 361), 512: (1723, 503)}  # rows: (x, y) in thousandths


def tail_bits(rows, x):
    """Chernoff's bound on a chi-square variable of `rows` degrees being x times its mean, in bits."""
    return rows / 2 * (x - 1 - math.log(x)) / math.log(2)


def least_excess(rows):
    x = 1000
    while tail_bits(rows, x / 1000) < COMPLETENESS_BITS:
        x += 1
    return x


def largest_deficit(rows):
    y = 1000
    while tail_bits(rows, y / 1000) < SOUNDNESS_BITS:
        y -= 1
    return y


def sqrt_up(x):
    root = math.isqrt(x)
    return root + (root * root < x)


def parameters(dimension, clip, sigma_units, rows):
    """B^2, L, bound, gamma B of a task; sigma in units of 2^-16."""
    padded = N * (-(-dimension // N) + 1)
    chi = padded + 2 * sqrt_up(47 * padded) + 94
    squared = clip**2 + -(-(sigma_units**2 * chi) // 2**32) + -(-(20 * sigma_units * clip) // 2**16)
    bits = next(b for b in range(TOP_BITS, 31, 2) if 4 ** (b - 1) >= 54 * squared)
    shift = bits - TOP_BITS
    x, y = TABLE[rows]
    root = sqrt_up(-(-(2 * x * rows * squared << 32) // 1000) >> (2 * shift)) + 1 + sqrt_up(rows << 32)
    bound = -(-(root**2) // 2**32)
    projected = sqrt_up(bound << 32) + sqrt_up(rows << 32)
    limit = sqrt_up(-(-(projected**2 * 2000) // (rows * y))) << shift
    return squared, bits, bound, -(-limit // 2**17)


def functional(kind, dimension, clip, sigma_units, max_norm):
    """The largest norm of the row, lo, hi and the digits of a difference (section 4.5)."""
    if kind == "direction":
        limit = (Q // 4 - 1) // max_norm
        assert limit >= 2 * sqrt_up(dimension), "too short to say something"
        high = limit * clip
    else:
        limit, high = sqrt_up(dimension), int(kind)
    slack = -(-(10 * sigma_units * limit) // 2**16)
    digits = next(w for w in range(1, 17) if 4**w > high + 2 * slack)
    assert 4**digits + high + slack + max_norm * limit < Q
    return limit, -slack, high + slack, digits


def main(arguments):
    if arguments == ["--check"]:
        for rows, (x, y) in TABLE.items():
            assert (least_excess(rows), largest_deficit(rows)) == (x, y), rows
        print("ok")
        return
    if arguments:
        dimension, clip = int(arguments[0]), int(arguments[1])
        sigma = math.ceil(float(arguments[2]) * 65536) if len(arguments) > 2 else 417069
        for rows in TABLE:
            squared, bits, bound, limit = parameters(dimension, clip, sigma, rows)
            gamma = limit / math.sqrt(squared)
            if len(arguments) > 3:
                row, low, high, digits = functional(arguments[3], dimension, clip, sigma, limit)
                print(f"rows {rows}: |g| at most {row}, <g, v> in [{low}, {high}], {digits} digits a difference")
            print(f"rows {rows}: B {math.sqrt(squared):.1f}, L {bits}, bound {bound}, gamma B {limit}, gamma {gamma:.3f}")
        return
    print("rows  x      y      gamma without rounding")
    for rows, (x, y) in TABLE.items():
        print(f"{rows:4}  {x / 1000:.3f}  {y / 1000:.3f}  {math.sqrt(x / y):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
