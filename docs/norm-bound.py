#!/usr/bin/env python3
"""What the norm proof accepts, recomputed from rows, completeness and grinding budget (docs/protocol.md, section 4.3).

    python3 docs/norm-bound.py                 # the table of gamma
    python3 docs/norm-bound.py 1000000 4096    # parameters of a task: dimension, clip, deviation of the error
    python3 docs/norm-bound.py 1000000 4096 6.37 direction    # with the direction filter of section 4.5; or a number, what one is in counts
    python3 docs/norm-bound.py --predict 1000 8192 1.5    # with which probability a vector of 1.5 B passes: dimension, clip, factor
    python3 docs/norm-bound.py --check         # fails when a number of this file, or of the implementation's table, is not
                                               # what its inequality gives, or a vector of norm gamma B passes too often

Standard library only; shares no code with the implementation, and reads only the numbers of its table.
"""

import cmath
import math
import pathlib
import re
import sys

Q = 2**32 - 2**20 + 1
N = 2048
COMPLETENESS_BITS = 66  # of the sum of squares; with the other tails 2^-64 in all
SOUNDNESS_BITS = 70  # 2^60 tries succeed with 2^-10
TOP_BITS = 10
TABLE = {128: (2713, 213), 256: (2099, 361), 512: (1723, 503)}  # rows: (x, y) in thousandths
LEAST_SIGMA = 417069  # 4.5 sqrt 2 in units of 2^-16
TASKS = [(10, 50), (1000, 1000), (1000, 8192), (2**20, 4096), (2**24, 2**16)]  # dimension, clip
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "crypto/src/norm/params.rs"


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


# With which probability a vector passes. Rows are independent; (2h + 1)^2 = 8 T + 1 with T = h (h + 1) / 2, so that it passes when
# the sum of the T of all rows is at most K = (bound - rows) / 8.


def gaussian_squares(bits, norm):
    """{T: probability} of one row, of a projection that is a rounded normal variable: many small coordinates."""
    deviation, width, half = norm / math.sqrt(2), 2 ** (bits - TOP_BITS), 2 ** (TOP_BITS - 1)
    below = [math.erfc(-(h * width - 0.5) / deviation / math.sqrt(2)) / 2 for h in range(-half, half + 1)]
    squares = {}
    for h in range(-half, half):
        squares[h * (h + 1) // 2] = squares.get(h * (h + 1) // 2, 0) + below[h + half + 1] - below[h + half]
    return squares


def accepted_bits(rows, bound, squares):
    """log2 of the probability that the sum of `rows` such T is at most K, by Cauchy's formula: the coefficient of z^K in
    G(z)^rows / (1 - z) is an integral over a circle. Its radius is where the integrand is smallest on the real axis; the sum is so smooth
    that only angles near zero count."""
    most = (bound - rows) // 8
    terms = [(t, math.log(p)) for t, p in squares.items() if p > 1e-300]

    def cumulants(tilt):
        weights = [math.exp(log - tilt * t) for t, log in terms]
        total = sum(weights)
        mean = sum(w * t for w, (t, _) in zip(weights, terms)) / total
        return total, mean, sum(w * (t - mean) ** 2 for w, (t, _) in zip(weights, terms)) / total

    def slope(tilt):
        """Of the logarithm of the integrand."""
        return most - 1 / math.expm1(tilt) - rows * cumulants(tilt)[1]

    low, high = 1e-9, 1.0
    for _ in range(60):
        tilt = math.sqrt(low * high)
        low, high = (low, tilt) if slope(tilt) > 0 else (tilt, high)
    total, _, variance = cumulants(tilt)
    weights = [(t, math.exp(log - tilt * t) / total) for t, log in terms]
    steps, reach = 400, 10 / math.sqrt(rows * variance)
    integral = 0
    for i in range(-steps, steps + 1):
        angle = reach * i / steps
        z = cmath.exp(complex(-tilt, angle))
        characteristic = sum(w * cmath.exp(complex(0, angle * t)) for t, w in weights)
        integral += (characteristic**rows * cmath.exp(complex(0, -angle * most)) / (1 - z)).real
    integral *= reach / steps / (2 * math.pi)
    return (rows * math.log(total) + tilt * most + math.log(integral)) / math.log(2)


def spike_bits(rows, bits, bound, norm):
    """The same of one coordinate: a row misses it with probability 1/2, so that T is that of norm, of -norm, or zero."""
    shift = bits - TOP_BITS
    long = math.ceil(norm)
    if long >= 2 ** (bits - 1):
        return -float(rows)
    up, down = ((2 * (z >> shift) + 1) ** 2 for z in (long, -long))
    passing = sum(
        math.comb(rows, i) * math.comb(rows - i, j) * 2 ** (rows - i - j)
        for i in range(rows + 1)
        for j in range(rows + 1 - i)
        if i * up + j * down + rows - i - j <= bound
    )
    return math.log2(passing) - 2 * rows


def chi_square_bits(rows, x):
    """log2 P(chi-square of `rows` degrees <= x): a sum of Poisson's for an even number."""
    log, logs = -x / 2, []
    for i in range(1, rows // 2 + 4000):
        log += math.log(x / 2 / i)
        if i >= rows // 2:
            logs.append(log)
    top = max(logs)
    return (top + math.log(sum(math.exp(value - top) for value in logs))) / math.log(2)


def implemented_table():
    """{rows: (x, y)} as the implementation has it."""
    text = SOURCE.read_text()
    found = re.findall(r"Rows::R(\d+) => ([\d_]+),", text)
    values = {}
    for rows, value in found:
        values.setdefault(int(rows), []).append(int(value.replace("_", "")))
    # The number of rows itself comes first.
    assert all(of[0] == rows and len(of) == 3 for rows, of in values.items()), values
    return {rows: (of[1], of[2]) for rows, of in values.items()}


def check():
    assert implemented_table() == TABLE, "the implementation has another table"
    for rows, (x, y) in TABLE.items():
        assert (least_excess(rows), largest_deficit(rows)) == (x, y), rows
        for dimension, clip in TASKS:
            squared, bits, bound, limit = parameters(dimension, clip, LEAST_SIGMA, rows)
            honest = math.sqrt(squared)
            gaussian = accepted_bits(rows, bound, gaussian_squares(bits, limit))
            # Discretisation moves a projection by half an interval at most.
            unit = 2 ** (bits - TOP_BITS - 1)
            lengths = [(math.sqrt(bound) + sign * math.sqrt(rows)) * unit for sign in (-1, 1)]
            least, most = (chi_square_bits(rows, 2 * (length / limit) ** 2) for length in lengths)
            assert least <= gaussian <= most, (rows, dimension, least, gaussian, most)
            for name, log in [("normal", gaussian), ("spike", spike_bits(rows, bits, bound, limit))]:
                assert log <= -SOUNDNESS_BITS, f"{rows} rows, d = {dimension}: a {name} vector of norm gamma B passes with 2^{log:.1f}"
            # gamma is a property of the number of rows, but for the discretisation.
            assert math.sqrt(x / y) <= limit / honest <= 1.12 * math.sqrt(x / y), (rows, limit / honest)
    # The method itself: a distribution whose sums are known, and the worst case of completeness.
    fair = {0: 0.5, 1: 0.5}
    known = math.log2(sum(math.comb(256, i) for i in range(101)) / 2**256)
    assert abs(accepted_bits(256, 256 + 8 * 100, fair) - known) < 1e-3
    print("ok")


def predict(dimension, clip, factor):
    for rows in TABLE:
        squared, bits, bound, _ = parameters(dimension, clip, LEAST_SIGMA, rows)
        norm = factor * math.sqrt(squared)
        gaussian = accepted_bits(rows, bound, gaussian_squares(bits, norm))
        spike = spike_bits(rows, bits, bound, norm)
        print(f"rows {rows}: normal 2^{gaussian:.4f} = {2**gaussian:.6f}, spike 2^{spike:.4f} = {2**spike:.6f}")


def main(arguments):
    if arguments == ["--check"]:
        check()
        return
    if arguments[:1] == ["--predict"]:
        predict(int(arguments[1]), int(arguments[2]), float(arguments[3]))
        return
    if arguments:
        dimension, clip = int(arguments[0]), int(arguments[1])
        sigma = math.ceil(float(arguments[2]) * 65536) if len(arguments) > 2 else LEAST_SIGMA
        for rows in TABLE:
            squared, bits, bound, limit = parameters(dimension, clip, sigma, rows)
            gamma = limit / math.sqrt(squared)
            print(f"rows {rows}: B {math.sqrt(squared):.1f}, L {bits}, bound {bound}, gamma B {limit}, gamma {gamma:.3f}")
            if len(arguments) > 3:
                row, low, high, digits = functional(arguments[3], dimension, clip, sigma, limit)
                print(f"rows {rows}: |g| at most {row}, <g, v> in [{low}, {high}], {digits} digits a difference")
        return
    print("rows  x      y      gamma without rounding")
    for rows, (x, y) in TABLE.items():
        print(f"{rows:4}  {x / 1000:.3f}  {y / 1000:.3f}  {math.sqrt(x / y):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
