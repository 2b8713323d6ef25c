"""shamir.json: thresholds, shares, sums of shares, interpolation."""

import itertools

from reference.cbor import encode
from reference.field import N, Q, words
from reference.hashes import share_of_seed
from reference.shamir import add, interpolate, lagrange, share_key, threshold

from .forms import case, flip, integers, refused, seed, stream, summary, whole


def shared(m, f, key, first_seed):
    """(seeds, all shares)."""
    seeds = [seed(first_seed + i) for i in range(threshold(m, f)[2] - 1)]
    return seeds, share_key(key, [share_of_seed(s)[0] for s in seeds], m)


def build():
    cases, corrupted = [], []
    allowed = [threshold(m, f) for m in range(256) for f in range(m + 1) if threshold(m, f)]
    cases.append(case("all there are", "thresholds", rows=[list(t) for t in allowed]))
    for th in [(6, 1, 4, 5), (16, 5, 11, 16)]:
        cases.append(case(f"CBOR of {th}", "threshold-cbor", cbor=encode(list(th)).hex(), threshold=list(th)))

    all_shares = {}
    for m, f, name in [(6, 1, "shared key"), (2, 0, "key of two"), (16, 5, "key of sixteen"), (3, 0, "key of three")]:
        key, written = integers(name, 81, N)
        seeds, shares = all_shares[m] = shared(m, f, key, 10 * m % 200)
        # Any T of them determine the key.
        last = range(m - len(seeds), m + 1)
        assert interpolate(last, [shares[p - 1] for p in last], 0) == [k % Q for k in key]
        cases.append(
            case(
                f"{m} stewards",
                "share-key",
                threshold=list(threshold(m, f)),
                key=written,
                seeds=[s.hex() for s in seeds],
                shares=[whole(s) if (m, p) == (2, 2) else summary(s) for p, s in enumerate(shares, 1)],
            )
        )
    seeds, shares = all_shares[6]
    cases.append(case("a seed in CBOR", "share-cbor", cbor=encode(seeds[0]).hex(), elements=summary(shares[0])))
    cases.append(case("a share in CBOR", "share-cbor", cbor=encode(words(shares[5])).hex(), elements=summary(shares[5])))

    for points, x in [([1, 2, 3, 4], 0), ([2, 3, 5, 6], 0), ([6, 1, 4, 2], 5), ([16], 3), (list(range(1, 17)), 0), ([1, 16, 8], 16)]:
        cases.append(case(f"weights of {points} at {x}", "lagrange", points=points, x=x, weights=lagrange(points, x)))

    # Two devices: the sums of their shares determine the sum of their keys.
    other_key, other_written = integers("another shared key", 81, N)
    other_seeds, other_shares = shared(6, 1, other_key, 100)
    key, key_written = integers("shared key", 81, N)
    sums = [add(pair) for pair in zip(shares, other_shares)]
    key_sum = add([[k % Q for k in key], [k % Q for k in other_key]])
    two = {
        "threshold": [6, 1, 4, 5],
        "keys": [key_written, other_written],
        "seeds": [[s.hex() for s in of] for of in (seeds, other_seeds)],
    }
    cases.append(case("two devices", "sums", **two, sums=[summary(s) for s in sums], key_sum=summary(key_sum)))
    random = [stream(f"answer {i}") for i in range(16)]
    for points, x in [([1, 3, 4, 6], 0), ([1, 3, 4, 6], 2), ([16, 2], 0), (list(range(16, 0, -1)), 0), ([5], 0)]:
        value = interpolate(points, [random[p - 1][0] for p in points], x)
        answers = [[p, random[p - 1][1]] for p in points]
        cases.append(case(f"answers at {points}, value at {x}", "interpolate", answers=answers, x=x, value=summary(value)))

    corrections(cases, corrupted)
    bad_thresholds(corrupted)
    bad_points(corrupted, random)
    # A share off the polynomial, and too few: both give another sum, which nothing here can tell.
    answers = [[p, whole(sums[p - 1])] for p in (1, 3, 4)]
    off = {"answers": answers + [[6, whole(flip(sums[5], 1234))]], "x": 0, "value": summary(key_sum)}
    corrupted += [
        refused("a share off the polynomial", "interpolate", "differs", **off),
        refused("too few shares", "interpolate", "differs", answers=answers, x=0, value=summary(key_sum)),
        refused(
            "another point than the share's",
            "interpolate",
            "differs",
            answers=answers[:2] + [[5, answers[2][1]], [6, {"stream": "answer 0", "count": N}]],
            x=0,
            value=summary(key_sum),
        ),
        refused("weights in another order", "lagrange", "differs", points=[1, 2, 3], x=0, weights=lagrange([3, 2, 1], 0)),
        refused(
            "seeds exchanged",
            "share-key",
            "differs",
            threshold=[6, 1, 4, 5],
            key=key_written,
            seeds=[s.hex() for s in seeds[::-1]],
            shares=[summary(s) for s in shares],
        ),
        refused("a sum that leaves out a device", "sums", "differs", **two, sums=[summary(s) for s in shares], key_sum=summary(key_sum)),
    ]
    bad_encodings(corrupted)
    about = "Thresholds, shares of keys, their sums and what they determine (protocol.md, sections 3, 4.2 and 4.7)."
    return about, cases, corrupted


def agreeing_by_search(answers, t):
    """(secret, agreeing, culprits): the largest set of answers on polynomials of degree below t that leaves few enough off."""
    for left_out in range((len(answers) - t) // 2 + 1):
        for off in itertools.combinations(answers, left_out):
            kept = [answer for answer in answers if answer not in off]
            points, values = [p for p, _ in kept[:t]], [v for _, v in kept[:t]]
            if all(interpolate(points, values, p) == v for p, v in kept):
                return interpolate(points, values, 0), [p for p, _ in kept], [p for p, _ in off]
    return None


def corrections(cases, corrupted):
    polynomials = [stream(f"corrected polynomial {i}", 4)[0] for i in range(6)]
    honest = [[p, [sum(c * p**i for i, c in enumerate(f)) % Q for f in polynomials]] for p in range(17)]

    def changed(answers, wrong):
        """`wrong`: (point, coordinate) whose value is another."""
        return [[p, [(x + 7) % Q if (p, i) in wrong else x for i, x in enumerate(v)]] for p, v in answers]

    for name, points, wrong in [
        ("four answers, nothing to notice", [1, 2, 3, 4], []),
        ("six that agree", [1, 2, 3, 4, 5, 6], []),
        ("one of six is wrong in one coordinate", [1, 2, 3, 4, 5, 6], [(3, 5)]),
        ("one of six is wrong in all", [6, 5, 4, 3, 2, 1], [(6, i) for i in range(6)]),
        ("two of nine, in different coordinates", [1, 3, 4, 6, 7, 10, 12, 15, 16], [(1, 0), (16, 5)]),
        ("four of twelve", list(range(5, 17)), [(p, p % 6) for p in (5, 7, 11, 16)]),
    ]:
        answers = changed([honest[p] for p in points], wrong)
        secret, agreeing, culprits = agreeing_by_search(answers, 4)
        assert secret == honest[0][1] and culprits == [p for p in points if p in {of for of, _ in wrong}]
        cases.append(case(name, "correct", t=4, answers=answers, secret=secret, agreeing=agreeing, culprits=culprits))
    nothing = {"secret": [], "agreeing": [], "culprits": []}
    six = [honest[p] for p in range(1, 7)]
    two_wrong = changed(six, [(1, 0), (6, 3)])
    assert agreeing_by_search(two_wrong, 4) is None
    for name, error, at, answers in [
        ("two of six are wrong", "too-many-wrong", 6, two_wrong),
        ("one of five is wrong", "too-many-wrong", 5, changed(six[:5], [(2, 2)])),
        ("three answers", "too-few-answers", 3, six[:3]),
        ("no answers", "no-points", None, []),
        ("a point twice among answers", "point", 2, six[:4] + [six[1]]),
        ("the point of the secret among answers", "point", 0, honest[:6]),
        ("a coordinate short", "lengths", None, six[:5] + [[6, six[5][1][:-1]]]),
    ]:
        corrupted.append(refused(name, "correct", error, at, t=4, answers=answers, **nothing))
    one_wrong = {"t": 4, "answers": changed(six, [(3, 5)]), "secret": honest[0][1]}
    corrupted.append(refused("an honest steward is named", "correct", "differs", **one_wrong, agreeing=[1, 2, 3, 5, 6], culprits=[4]))


def bad_thresholds(corrupted):
    for m, f in [(0, 0), (1, 0), (3, 1), (4, 2), (5, 5), (17, 0), (17, 5), (255, 255)]:
        t = (m + f) // 2 + 1
        row = [m, f, t % 256, (t + f) % 256]
        corrupted.append(refused(f"{f} of {m} malicious", "thresholds", "no-threshold", rows=[row]))
    for row in [(6, 1, 3, 4), (6, 1, 3, 5), (6, 1, 4, 4), (6, 1, 4, 6), (6, 1, 0, 0), (3, 0, 1, 1)]:
        corrupted.append(refused(f"{row}", "thresholds", "threshold-parts", rows=[list(row)]))
    for name, data, error in [
        ("three numbers", encode([6, 1, 4]), "cbor-message"),
        ("five numbers", encode([6, 1, 4, 5, 5]), "cbor-message"),
        ("indefinite length", bytes.fromhex("9f06010405ff"), "cbor-message"),
        ("T does not follow", encode([6, 1, 3, 4]), "threshold-parts"),
        ("one steward", encode([1, 0, 1, 1]), "no-threshold"),
        ("A above m", encode([3, 1, 3, 4]), "no-threshold"),
        ("cut off", encode([6, 1, 4, 5])[:-1], "cbor-end"),
        ("negative", encode([6, -1, 4, 5]), "cbor-type"),
        ("a byte string", encode(bytes([6, 1, 4, 5])), "cbor-type"),
    ]:
        corrupted.append(refused(f"CBOR: {name}", "threshold-cbor", error, cbor=data.hex(), threshold=[6, 1, 4, 5]))


def bad_points(corrupted, random):
    for name, points, error, at in [
        ("the point of the key", [0, 1, 2, 3], "point", 0),
        ("a point beyond 16", [1, 2, 3, 17], "point", 17),
        ("the largest byte", [255], "point", 255),
        ("a point twice", [1, 4, 2, 4], "point", 4),
        ("a point twice, in a row", [1, 1], "point", 1),
        ("no points", [], "no-points", None),
    ]:
        answers = [[p, random[i][1]] for i, p in enumerate(points)]
        corrupted.append(refused(name, "interpolate", error, at, answers=answers, x=0, value=random[0][1]))
        if points:
            corrupted.append(refused(f"{name}, at 5", "interpolate", error, at, answers=answers, x=5, value=random[0][1]))


def bad_encodings(corrupted):
    def words_of(patch=(), **change):
        return {"words": stream("encoded share", N, patch)[1], **change}

    for name, what, size, error, at in [
        ("8191 bytes", words_of(cut=8191), 8191, "encoded-length", 8191),
        ("8193 bytes", words_of(append="00"), 8193, "encoded-length", 8193),
        ("a word more", words_of(append="00000000"), 8196, "encoded-length", 8196),
        ("nothing", "", 0, "encoded-length", 0),
        ("q as the first element", words_of([(0, Q)]), 4 * N, "not-canonical", 0),
        ("too large a last element", words_of([(N - 1, 2**32 - 1)]), 4 * N, "not-canonical", N - 1),
    ]:
        corrupted.append(refused(f"a sum: {name}", "sum-bytes", error, at, bytes=what))
        head = encode(bytes(size))[: len(encode(bytes(size))) - size].hex()
        corrupted.append(refused(f"a share in CBOR: {name}", "share-cbor-parts", error, at, head=head, bytes=what))
    for count in (31, 33):
        head = encode(bytes(count))[:2].hex()
        name = f"a seed of {count} bytes"
        corrupted.append(refused(name, "share-cbor-parts", "encoded-length", count, head=head, bytes="07" * count))
    corrupted += [
        refused("a seed as a sum", "sum-bytes", "encoded-length", 32, bytes="07" * 32),
        refused("a share as a text", "share-cbor-parts", "cbor-type", head="7820", bytes="61" * 32),
        refused("a share as an array", "share-cbor-parts", "cbor-type", head="84", bytes="01020304"),
        refused("a share cut off", "share-cbor-parts", "cbor-end", head="5820", bytes="07" * 31),
    ]
