"""The field, streams of elements, and the ring: docs/crypto-table.md, sections 1, 3 and 4."""

import struct

Q = 2**32 - 2**20 + 1
N = 2048
GENERATOR = 3925978153
PSI = pow(GENERATOR, 256, Q)
# Slot i of a transformed element is its value at POINTS[i].
POINTS = [pow(PSI, 2 * int(f"{i:011b}"[::-1], 2) + 1, Q) for i in range(N)]


def words(values):
    """Elements as bytes: LE32."""
    return struct.pack(f"<{len(values)}I", *values)


def uniform(stream, count):
    """Elements of a stream of bytes by rejection, and how many words were skipped before the last of them."""
    kept, skipped = [], 0
    for (word,) in struct.iter_unpack("<I", stream):
        if len(kept) == count:
            break
        if word < Q:
            kept.append(word)
        else:
            skipped += 1
    assert len(kept) == count, "the stream is too short"
    return kept, skipped


def transform(coefficients):
    """The values at POINTS, by Horner's rule."""
    out = []
    for point in POINTS:
        value = 0
        for c in reversed(coefficients):
            value = (value * point + c) % Q
        out.append(value)
    return out


def invert(values):
    """Coefficient j is 1/N times the sum over the slots of value * point^-j."""
    inverse_points = [pow(p, Q - 2, Q) for p in POINTS]
    terms, out, scale = list(values), [], pow(N, Q - 2, Q)
    for _ in range(N):
        out.append(sum(terms) * scale % Q)
        terms = [t * p % Q for t, p in zip(terms, inverse_points)]
    return out


def multiply(a, b):
    """The product in F_q[X]/(X^N + 1): one product of integers with 10 bytes a coefficient, then X^N = -1."""
    size = 10  # N q^2 < 2^75
    packed = [int.from_bytes(b"".join(c.to_bytes(size, "little") for c in p), "little") for p in (a, b)]
    product = (packed[0] * packed[1]).to_bytes(2 * N * size, "little")
    full = [int.from_bytes(product[i * size : (i + 1) * size], "little") for i in range(2 * N)]
    return [(full[i] - full[i + N]) % Q for i in range(N)]


def center(a):
    """The representative between -(q-1)/2 and (q-1)/2."""
    return a - Q if a > Q // 2 else a


def check():
    """What section 4 says of psi; products by their definition."""
    assert PSI == 1240740630 and pow(PSI, N, Q) == Q - 1
    a = [(i * i * 2654435761 + 12345) % Q for i in range(N)]
    b = [0] * N
    b[0], b[1], b[1000], b[2047] = 3, Q - 1, Q // 2, 77
    by_definition = [0] * N
    for j, c in enumerate(b):
        if c:
            for i, value in enumerate(a):
                sign, at = (1, i + j) if i + j < N else (-1, i + j - N)
                by_definition[at] = (by_definition[at] + sign * value * c) % Q
    assert multiply(a, b) == by_definition
    # The transform of a product is the product of the transforms.
    sparse = transform(b)
    assert [x * y % Q for x, y in zip(transform(a), sparse)] == transform(by_definition)
    assert invert(sparse) == b
