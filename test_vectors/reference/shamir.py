"""Shamir sharing of mask keys and the proof that shares are consistent: docs/protocol.md, sections 4.2 and 4.3."""

from .field import N, Q, uniform, words
from .hashes import labelled

REPETITIONS = 4


def threshold(m, f):
    """(m, f, T, A), or None where A > m or m is out of bounds."""
    t = (m + f) // 2 + 1
    return (m, f, t, t + f) if 2 <= m <= 16 and t + f <= m else None


def lagrange(points, x):
    """The weights with which values at `points` make the value at x."""
    weights = []
    for i in points:
        weight = 1
        for j in points:
            if j != i:
                weight = weight * (x - j) * pow(i - j, Q - 2, Q) % Q
        weights.append(weight)
    return weights


def interpolate(points, values, x):
    """Coefficient by coefficient, the value at x of the polynomials through `values` (lists) at `points`."""
    weights = lagrange(points, x)
    return [sum(w * v for w, v in zip(weights, column)) % Q for column in zip(*values)]


def share_key(key, expanded, m):
    """All m shares of a key, or of anything else, whose first shares, at points 1, 2, ..., are given."""
    points = range(len(expanded) + 1)
    known = [[k % Q for k in key], *expanded]
    return expanded + [interpolate(points, known, x) for x in range(len(expanded) + 1, m + 1)]


def add(vectors):
    return [sum(column) % Q for column in zip(*vectors)]


def evaluate(polynomial, x):
    return sum(c * pow(x, i, Q) for i, c in enumerate(polynomial)) % Q


def mask_of_blind(blind):
    return uniform(labelled("key share mask", blind, length=64), REPETITIONS)[0]


def challenge(header, corrections, count):
    """chi: for each repetition an element for each of a share. `header` is the canonical array of the header's first seven fields."""
    stream = labelled("key share consistency challenge", header, corrections, length=4 * count * REPETITIONS + 256)
    elements = uniform(stream, count * REPETITIONS)[0]
    return [elements[i * count : (i + 1) * count] for i in range(REPETITIONS)]


def inner(chi, share):
    return sum(a * b for a, b in zip(chi, share)) % Q


def prove(header, shares, blinds, polynomials):
    """(corrections, values) as bytes. `polynomials`: for each repetition the T coefficients of r."""
    corrections, values = [], []
    for point, blind in enumerate(blinds, 1):
        corrections += [(evaluate(r, point) - mask) % Q for r, mask in zip(polynomials, mask_of_blind(blind))]
    corrections = words(corrections)
    chis = challenge(header, corrections, len(shares[0]))
    for point in range(1, len(polynomials[0]) + 1):
        values += [(evaluate(r, point) + inner(chi, shares[point - 1])) % Q for r, chi in zip(polynomials, chis)]
    return corrections, words(values)


def accepts(header, corrections, values, point, share, blind):
    """What the steward at `point` finds."""
    row = uniform(corrections[16 * (point - 1) : 16 * point], REPETITIONS)[0]
    count = len(values) // (4 * REPETITIONS)
    columns = uniform(values, count * REPETITIONS)[0]
    expected = interpolate(range(1, count + 1), [columns[i * 4 : i * 4 + 4] for i in range(count)], point)
    found = zip(row, mask_of_blind(blind), challenge(header, corrections, len(share)))
    return expected == [(c + mask + inner(chi, share)) % Q for c, mask, chi in found]


def check():
    """The examples of docs/protocol.md, section 3; a polynomial whose values are known."""
    assert [threshold(*x)[2:] for x in [(6, 1), (8, 1), (11, 2), (3, 0)]] == [(4, 5), (5, 6), (7, 9), (2, 2)]
    cubic = [5, Q - 7, 11, 13]
    values = [[evaluate(cubic, x)] for x in range(6)]
    assert interpolate([2, 5, 1, 3], [values[i] for i in (2, 5, 1, 3)], 0) == [5]
    assert interpolate([0, 1, 2, 3], values[:4], 5) == values[5]
