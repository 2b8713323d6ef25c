"""mask.json: c = A k + x + e mod q, its length and its digest."""

from reference.field import N, Q, words
from reference.hashes import raw
from reference.masking import mask, padded

from .forms import case, flip, integers, refused, seed, summary, whole

MOST = 2**30  # of a coordinate of x


def payload_digest(c):
    return raw("payload digest", words(c)).hex()


def build():
    def masked(name, matrix_seed, key, x, e, in_full=False):
        c = mask(matrix_seed, key[0], x[0], e[0])
        written = {
            "seed": matrix_seed.hex(),
            "key": key[0] if in_full else key[1],
            "x": x[0] if in_full or x[1] is None else x[1],
            "e": e[0] if in_full else e[1],
        }
        cases.append(case(name, "mask", **written, c=whole(c) if in_full else summary(c), digest=payload_digest(c)))
        return c, written

    cases, corrupted = [], []
    rows = [[d, padded(d) // N, padded(d), 4 * padded(d)] for d in (1, 10, 2047, 2048, 2049, 4096, 100_000, 2**24 - 1, 2**24)]
    cases.append(case("lengths", "dimensions", rows=rows))

    good = {"n": N, "q": Q, "key_deviation": 294912, "error_deviation": 417069}
    cases.append(case("the protocol's", "parameters", **good))
    cases.append(case("wider noise", "parameters", **{**good, "error_deviation": 2**40}))
    for name, error, at, change in [
        ("half the ring", "ring-too-small", N // 2, {"n": N // 2}),
        ("a modulus of 40 bits", "other-modulus", 2**40 + 1, {"q": 2**40 + 1}),
        ("a smaller modulus", "other-modulus", 8380417, {"q": 8380417}),
        ("a key a unit too narrow", "key-too-narrow", 294911, {"key_deviation": 294911}),
        ("an error a unit too narrow", "error-too-narrow", 417068, {"error_deviation": 417068}),
    ]:
        corrupted.append(refused(name, "parameters", error, at, **{**good, **change}))

    key = integers("mask key", 20, N)
    x = integers("update", 1000, 10)
    e = integers("error", 40, 2 * N)
    c, written = masked("ten coordinates, written out", seed(1), key, x, e, in_full=True)
    extremes = [-MOST, MOST, -1, 0, 1, MOST - 1]
    masked("extreme coordinates", seed(1), key, (extremes, None), integers("wide error", 2**28, 2 * N))
    masked("one coordinate", seed(1), integers("mask key 2", 81, N), ([7], None), e)
    masked("one whole block", seed(1), key, integers("update of a block", MOST, N), e)
    masked("one coordinate more", seed(1), key, integers("longer update", 5, N + 1), integers("longer error", 40, 3 * N))
    zero_key = ([0] * N, {"stream": "nothing", "bound": 0, "count": N})
    zero_error = ([0] * 2 * N, {"stream": "nothing", "bound": 0, "count": 2 * N})
    masked("no key and no error: x itself", seed(1), zero_key, ([5, -5], None), zero_error)

    written.update(c=summary(c), digest=payload_digest(c), key=key[1], e=e[1])

    def wrong(name, error, at=None, **changes):
        corrupted.append(refused(name, "mask", error, at, **{**written, **changes}))

    wrong("one bit of the first word", "differs", c=summary(flip(c, 0)))
    wrong("one bit of the last check coordinate", "differs", c=summary(flip(c, len(c) - 1, 31)))
    wrong("the digest of other words", "differs", digest=payload_digest(flip(c, 9)))
    wrong("the digest of big-endian words", "differs", digest=raw("payload digest", b"".join(w.to_bytes(4, "big") for w in c)).hex())
    wrong("another matrix", "differs", seed=seed(2).hex())
    wrong("another key", "differs", key=integers("mask key 2", 20, N)[1])
    wrong("another error", "differs", e=integers("error 2", 40, 2 * N)[1])
    minus = [(p - value) % Q for p, value in zip(mask(seed(1), key[0], [0] * 10, [0] * 2 * N), e[0])]
    wrong("A k - e", "differs", x=[0] * 10, c=summary(minus), digest=payload_digest(minus))
    wrong("an error that is a block short", "length", N, e=integers("error", 40, N)[1])
    wrong("an error that is a block long", "length", 3 * N, e=integers("error", 40, 3 * N)[1])
    wrong("an error that is a word short", "length", 2 * N - 1, e=integers("error", 40, 2 * N - 1)[1])
    corrupted += [
        refused("a short update", "mask-length", "length", 9, d=10, x=[0] * 9, e_count=2 * N),
        refused("a long update", "mask-length", "length", 11, d=10, x=[0] * 11, e_count=2 * N),
        refused("no update", "mask-length", "length", 0, d=10, x=[], e_count=2 * N),
    ]
    for name, values, at in [
        ("2^30 + 1", [0, 0, MOST + 1], 2),
        ("-2^30 - 1", [-MOST - 1], 0),
        ("the smallest 32-bit number", [1, -(2**31)], 1),
    ]:
        wrong(f"a coordinate of {name}", "coordinate-too-large", at, x=values)
    for name, d in [("no coordinates", 0), ("2^24 + 1 coordinates", 2**24 + 1)]:
        corrupted.append(refused(name, "dimensions", "dimension", d, rows=[[d, 0, 0, 0]]))
    corrupted.append(refused("no check block at 2048", "dimensions", "differs", rows=[[2048, 1, 2048, 8192]]))
    about = "Masking an update with given k, e and x (protocol.md, section 4.2), and the digest H(c) of the payload."
    return about, cases, corrupted
